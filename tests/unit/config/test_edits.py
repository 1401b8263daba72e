"""Every change to a YAML text leaves the rest byte for byte as it was, however the text is written."""

from __future__ import annotations

import pytest

from orchestrator.config.edit_places import Source
from orchestrator.config.edits import (
    Change,
    Delete,
    Insert,
    Rename,
    Replace,
    apply_edits,
    changed_text,
    edits_for,
    overlap,
    plain_edits,
)
from orchestrator.domain.diagnostics import Span, TextEdit

BLOCK = """\
# head
vllm: # flags
  # about the task
  task: embed  # embeddings

  swap-space: 4 # GiB
  'dtype': "half"
last: 1
"""


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (Replace(("vllm", "task"), "generate"), "task: embed  #", "task: generate  #"),
        (Replace(("vllm", "dtype"), "auto"), '"half"', '"auto"'),
        (Replace(("vllm", "swap-space"), [1, "no"]), "4 # GiB", '[1, "no"] # GiB'),
        (Rename(("vllm", "task"), "runner"), "task: embed", "runner: embed"),
        (Rename(("vllm", "dtype"), "type"), "'dtype'", "'type'"),
        (Delete(("vllm", "swap-space")), "  swap-space: 4 # GiB\n", ""),
        (Delete(("vllm", "task")), "  # about the task\n  task: embed  # embeddings\n", ""),
        (Delete(("last",)), "last: 1\n", ""),
        (Insert(("vllm", "seed"), 1), '"half"\n', '"half"\n  \'seed\': 1\n'),
        (Insert(("vllm", "seed"), 1, "swap-space"), "  swap-space", "  seed: 1\n  swap-space"),
        (Insert(("vllm", "x"), {"a": None, "b c": 1.5}, "task"), "  task", '  x: {a: null, "b c": 1.5}\n  task'),
        (Insert(("first",), True, "vllm"), "vllm:", "first: true\nvllm:"),
    ],
)  # fmt: skip
def test_a_change_to_a_block_mapping_changes_only_its_place(change: Change, old: str, new: str) -> None:
    assert changed_text(BLOCK, [change]) == BLOCK.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        ("{a: 1, b: 2, c: 3}", Delete(("a",)), "{b: 2, c: 3}"),
        ("{a: 1, b: 2, c: 3}", Delete(("c",)), "{a: 1, b: 2}"),
        ("{a: 1, b: 2, }", Delete(("b",)), "{a: 1, }"),
        ("{ a: 1, }", Delete(("a",)), "{}"),
        ("{}", Insert(("a",), 1), "{a: 1}"),
        ("{ }", Insert(("a",), 1), "{a: 1 }"),
        ('{"a":"x"}', Replace(("a",), "y"), '{"a":"y"}'),
        ('{"a":"x"}', Insert(("b",), "y"), '{"a":"x", "b": "y"}'),
        ('{"a":"x"}', Insert(("b",), "y", "a"), '{"b": "y", "a":"x"}'),
        ("{a: 1,\n b: 2, # two\n c: 3}", Delete(("b",)), "{a: 1,\n c: 3}"),
        ("{a: 1, # one\n b: 2 # two\n}", Delete(("b",)), "{a: 1, # one\n}"),
        ("{a: {b: 1}}", Delete(("a", "b")), "{a: {}}"),
        ("{a, b: 1}", Replace(("b",), None), "{a, b: null}"),
    ],
)
def test_a_change_to_a_flow_mapping_changes_only_its_place(change: str, old: Change, new: str) -> None:
    assert changed_text(f"v: {change}\n", [_below_v(old)]) == f"v: {new}\n"


def _below_v(change: Change) -> Change:
    return type(change)(("v", *change.path), *[getattr(change, name) for name in list(change.__slots__)[1:]])


@pytest.mark.parametrize(
    ("text", "change", "result"),
    [
        ("a: 1\r\nb: 2", Delete(("b",)), "a: 1"),
        ("a: 1\r\nb: 2\r\n", Insert(("c",), 3), "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("a: 1", Insert(("c",), 3), "a: 1\nc: 3"),
        ("\ufeffa: 1\nb: 2\n", Delete(("a",)), "\ufeffb: 2\n"),
        ("a:\nb: 2\n", Replace(("a",), "x"), "a: x\nb: 2\n"),
        ("a: # why\n  b: 1\n  c: 2\nd: 3\n", Replace(("a",), 5), "a: 5 # why\nd: 3\n"),
        ("a:\n  # own\n  b: 1 # too\nd: 3\n", Delete(("a", "b")), "a: {}\nd: 3\n"),
        ("a:\n- b: 1\n  c: 2\n", Delete(("a", 0, "b")), "a:\n- c: 2\n"),
        ("a:\n- b: 1\n- 2\n", Replace(("a", 1), 3), "a:\n- b: 1\n- 3\n"),
        ("a: |\n  x\n  y\nb: 1\n", Replace(("a",), "z"), "a: z\nb: 1\n"),
        ("a: |\n  x\n  y\nb: 1\n", Delete(("a",)), "b: 1\n"),
        ("a: x\n  y\nb: 1\n", Replace(("a",), "z"), "a: z\nb: 1\n"),
        ("a: &x\n  b: 1\nc: 2\n", Replace(("a",), 3), "a: 3\nc: 2\n"),
        ("a: &x 1\nb: *x\n", Replace(("b",), 2), "a: &x 1\nb: 2\n"),
        ("a: &x 1\nb: *x\n", Replace(("a",), 2), "a: &x 2\nb: 1\n"),
        ("a: &x 1 # one\nb: *x # two\n", Delete(("a",)), "b: 1 # two\n"),
        ("a: &x {p: 1}\nb: *x\n", Insert(("b", "q"), 2), "a: &x {p: 1}\nb: {p: 1, q: 2}\n"),
        ("a: &x {p: 1}\nb: *x\n", Insert(("a", "q"), 2), "a: &x {p: 1, q: 2}\nb: {p: 1}\n"),
        ("&k a: 1\n*k : 2\n", Replace(("a",), 3), "&k a: 3\n*k : 2\n"),
    ],
)
def test_unusual_texts_keep_their_shape(text: str, change: Change, result: str) -> None:
    assert changed_text(text, [change]) == result


def test_a_comment_above_several_entries_stays_with_those_that_stay() -> None:
    text = "a:\n  # memory\n  b: 1\n  c: 2\n"
    assert changed_text(text, [Delete(("a", "b"))]) == "a:\n  # memory\n  c: 2\n"


def test_the_comment_at_the_top_of_a_file_is_about_the_file() -> None:
    assert changed_text("# about all\na: 1\n\nb: 2\n", [Delete(("a",))]) == "# about all\n\nb: 2\n"


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("a: 1\n", Delete(("b",))),
        ("a: 1\n", Delete(("a",))),  # a file that says nothing is no profile
        ("a: 1\n", Insert(("a",), 2)),
        ("a: 1\n", Insert(("a", "b"), 2)),
        ("? a\n: 1\n? b\n: 2\n", Insert(("c",), 1, "b")),
        ("a: [1\n", Replace(("a",), 2)),
        ("- 1\n", Replace((0,), 2)),
    ],
)
def test_what_cannot_be_done_without_touching_more_is_not_done(text: str, change: Change) -> None:
    assert changed_text(text, [change]) is None


def test_several_changes_are_made_one_after_the_other() -> None:
    changes: list[Change] = [Insert(("vllm", "runner"), "pooling", "task"), Rename(("vllm", "task"), "convert")]
    result = changed_text(BLOCK, changes)
    assert result == BLOCK.replace("  task: embed", "  runner: pooling\n  convert: embed")


def test_edits_are_spans_of_the_text_and_texts() -> None:
    source = Source.of("a: 1\nb: 2\n", "f.yaml")
    span = Span(file="f.yaml", line=2, column=4, end_line=2, end_column=5)
    assert edits_for(source, Replace(("b",), 30)) == (TextEdit(span=span, text="30"),)
    assert plain_edits(source, [Replace(("b",), 30)]) == (TextEdit(span=span, text="30"),)
    assert plain_edits(source, [Replace(("c",), 30)]) is None


def test_edits_of_a_text_with_aliases_mind_what_is_repeated() -> None:
    source = Source.of("a: &x 1\nb: *x\n")
    edits = plain_edits(source, [Replace(("a",), 2)])
    assert edits is not None
    assert apply_edits(source.text, edits) == "a: &x 2\nb: 1\n"
    assert plain_edits(source, [Insert(("a",), 2)]) is None


def test_edits_that_touch_are_told_from_those_that_can_be_made_together() -> None:
    source = Source.of("a: 1\nb: 2\nc: 3\n")
    first, second = plain_edits(source, [Delete(("a",))]), plain_edits(source, [Replace(("c",), 4)])
    assert first is not None
    assert second is not None
    assert not overlap(first, second)
    assert overlap(first, (*second, *first))
    assert apply_edits(source.text, (*second, *first)) == "b: 2\nc: 4\n"
    with pytest.raises(ValueError, match="overlap"):
        apply_edits(source.text, (*first, *first))
