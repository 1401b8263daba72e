"""Whatever a YAML text looks like: a change says what was meant, and touches nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.edit_places import Source
from orchestrator.config.edits import Change, Delete, Insert, Rename, Replace, apply_edits, changed_text, edits_for
from orchestrator.config.scalars import resolve
from orchestrator.config.tree_values import as_value
from orchestrator.config.yaml_writing import one_line

NAMES = st.sampled_from(["a", "bb", "max-len", "d_e", "f.g", "on", "1"])
TEXTS = st.sampled_from(["x", "yes", "010", "a: b", "#c", "it's", 'say "x"', "", "ü", "1.5", "- y", "a,b", "[", "*z"])
SCALARS: st.SearchStrategy[Any] = st.one_of(
    TEXTS, st.integers(-5, 10**6), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False, width=16)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
MAPPINGS = st.dictionaries(NAMES, VALUES, min_size=2, max_size=4)
BREAKS = st.sampled_from(["\n", "\r\n"])


@st.composite
def written(draw: st.DrawFn, value: Any, indent: int = 0) -> str:
    """A mapping as somebody may write it: block or flow, quotes or not, comments anywhere, blank lines."""
    lines: list[str] = []
    for key, part in value.items():
        front = " " * indent
        if draw(st.booleans()):
            lines += [f"{front}# over {draw(st.integers(100, 999))}"]
        name = key if resolve(key) == key and draw(st.booleans()) else draw(st.sampled_from([f'"{key}"', f"'{key}'"]))
        tail = f" # beside {draw(st.integers(100, 999))}" if draw(st.booleans()) else ""
        if isinstance(part, dict) and part and draw(st.booleans()):
            lines += [f"{front}{name}:{tail}", draw(written(part, indent + 2))]
        elif isinstance(part, list) and part and draw(st.booleans()):
            lines += [f"{front}{name}:{tail}", *(f"{front}- {one_line(item)}" for item in part)]
        else:
            lines += [f"{front}{name}: {draw(spelt(part))}{tail}"]
        lines += [""] * draw(st.integers(0, 1))
    return "\n".join(lines)


def spelt(value: Any) -> st.SearchStrategy[str]:
    return st.sampled_from([one_line(value), one_line(value, '"'), one_line(value, "'")])


@st.composite
def texts_and_trees(draw: st.DrawFn) -> tuple[str, Any]:
    value = draw(MAPPINGS)
    text = draw(written(value)) + draw(st.sampled_from(["", "\n", "\n\n# the end\n"]))
    return text.replace("\n", draw(BREAKS)), value


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = list(value.items()) if isinstance(value, dict) else []
    return [found for key, part in steps for found in ((*path, key), *paths(part, (*path, key)))]


@st.composite
def changes(draw: st.DrawFn, value: Any) -> Change:
    path = draw(st.sampled_from(paths(value)))
    new = draw(NAMES.map(lambda name: f"{name}-new"))
    before = draw(st.sampled_from([None, path[-1]]))
    possible: list[Change] = [
        Delete(path),
        Rename(path, new),
        Replace(path, draw(VALUES)),
        Insert((*path[:-1], new), draw(VALUES), before),
    ]
    return draw(st.sampled_from(possible))


@given(st.data())
def test_a_change_says_what_was_meant_and_leaves_the_rest_byte_for_byte(data: st.DataObject) -> None:
    text, value = data.draw(texts_and_trees())
    source = Source.of(text)
    assert source.root is not None
    assert as_value(source.root) == value
    change = data.draw(changes(value))
    edits = edits_for(source, change)
    assert edits is not None
    after = apply_edits(text, edits)
    tree = as_value(Source.of(after).root)  # type: ignore[arg-type]
    assert tree == _expected(value, change.path, change)
    assert _outside(source, edits) == _without_the_new(after, source, edits)


def _expected(value: Any, path: tuple[Any, ...], change: Change) -> Any:
    key, *rest = path
    if rest:
        return {name: _expected(part, tuple(rest), change) if name == key else part for name, part in value.items()}
    copy = dict(value)
    if isinstance(change, Delete):
        del copy[key]
    elif isinstance(change, Rename):
        copy[change.key] = copy.pop(key)
    else:
        copy[key] = change.value
    return copy


def _outside(source: Source, edits: Any) -> str:
    """The text without what the edits replace."""
    return apply_edits(source.text, [type(each)(span=each.span, text="") for each in edits])


def _without_the_new(after: str, source: Source, edits: Any) -> str:
    """The new text without what the edits wrote: found by where each of them must have put it."""
    shift, kept, reached = 0, [], 0
    for edit in sorted(edits, key=lambda each: each.span):
        start, end = source.range_of(edit.span)
        kept.append(after[reached : start + shift])
        reached = start + shift + len(edit.text)
        shift += len(edit.text) - (end - start)
    return "".join([*kept, after[reached:]])


@given(st.data())
def test_comments_survive_whatever_does_not_delete_their_line(data: st.DataObject) -> None:
    text, value = data.draw(texts_and_trees())
    path = data.draw(st.sampled_from(paths(value)))
    possible: list[Change] = [Rename(path, "new"), Insert((*path[:-1], "new"), 1, path[-1])]
    new = data.draw(st.sampled_from(possible))
    after = changed_text(text, [new])
    assert after is not None
    assert after.count("#") == text.count("#")
    assert after.count("\r\n") - text.count("\r\n") == (after.count("\n") - text.count("\n")) * ("\r\n" in text)


@given(st.data())
def test_an_entry_that_comes_and_goes_leaves_no_trace(data: st.DataObject) -> None:
    text, value = data.draw(texts_and_trees())
    path = data.draw(st.sampled_from(paths(value)))
    place = (*path[:-1], "new")
    added = changed_text(text, [Insert(place, data.draw(SCALARS), path[-1])])
    assert added is not None
    assert as_value(Source.of(changed_text(added, [Delete(place)]) or "").root) == value  # type: ignore[arg-type]


@given(VALUES)
def test_a_value_on_one_line_reads_back_as_itself(value: Any) -> None:
    root = Source.of(f"v: {one_line(value)}\n").root
    assert root is not None
    assert as_value(root) == {"v": value}
