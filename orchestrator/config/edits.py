"""Changes to YAML text that leave every other byte as it is: replace a value, rename, insert or delete an entry.

Each change is proved before it is handed out: the new text is parsed, and it must say exactly what the old one said
with the change made. Where the way a file is written does not allow that, there is no new text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.config.edit_places import Source
from orchestrator.config.tree_values import as_value
from orchestrator.config.yaml_nodes import Document, Entry, MappingNode, Node, SequenceNode
from orchestrator.config.yaml_writing import one_line, text_of
from orchestrator.domain.diagnostics import Span, TextEdit
from orchestrator.domain.profile import KeyPath


@dataclass(frozen=True, slots=True)
class Replace:
    """Another value at `path`."""

    path: KeyPath
    value: object


@dataclass(frozen=True, slots=True)
class Rename:
    """Another key for the entry at `path`; its value and its place stay."""

    path: KeyPath
    key: str


@dataclass(frozen=True, slots=True)
class Delete:
    """No entry at `path`, and no comment that was about it alone."""

    path: KeyPath


@dataclass(frozen=True, slots=True)
class Insert:
    """A new entry `path`, before the key `before` of the same mapping, or at its end."""

    path: KeyPath
    value: object
    before: str | None = None


Change = Replace | Rename | Delete | Insert


def changed_text(text: str, changes: Iterable[Change]) -> str | None:
    """The text after all changes, one after the other; None if one of them cannot be made without touching more."""
    source = Source.of(text)
    for change in changes:
        edits = edits_for(source, change)
        if edits is None:
            return None
        source = Source.of(apply_edits(source.text, edits))
    return source.text


def edits_for(source: Source, change: Change) -> tuple[TextEdit, ...] | None:
    """The edits that make one change; None if it cannot be made without touching more."""
    if source.root is None:
        return None
    for edits in _ways(source, change):
        after = Source.of(apply_edits(source.text, edits))
        wanted = _changed(as_value(source.root), change)
        if after.root is not None and _same(as_value(after.root), wanted):
            return edits
    return None


def plain_edits(source: Source, changes: Iterable[Change]) -> tuple[TextEdit, ...] | None:
    """The edits of several changes at different places of one text. They are proved only where aliases repeat parts
    of it, which takes its time; None if one of them cannot be made."""
    if source.has_aliases:
        text = changed_text(source.text, changes)
        return source.difference(text) if text is not None else None
    found: list[TextEdit] = []
    for change in changes:
        edits = _edits(source, change, source.node(change.path[:-1]))
        if edits is None:
            return None
        found += edits
    return tuple(found)


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """The text with the edits made. They must not overlap."""
    source = Source.of_document(Document(file="", root=None, findings=(), text=text))
    parts: list[str] = []
    reached = 0
    for edit in sorted(edits, key=lambda each: each.span):
        start, end = source.range_of(edit.span)
        if start < reached:
            raise ValueError("edits overlap")
        parts += [text[reached:start], edit.text]
        reached = end
    return "".join([*parts, text[reached:]])


def overlap(one: Iterable[TextEdit], other: Iterable[TextEdit]) -> bool:
    """Whether two sets of edits touch, so that they cannot be made together."""
    others = tuple(other)
    return any(_touch(first.span, second.span) for first in one for second in others)


def _touch(one: Span, other: Span) -> bool:
    ends = (one.end_line, one.end_column) >= (other.line, other.column)
    return one.file == other.file and ends and (other.end_line, other.end_column) >= (one.line, one.column)


def _same(one: object, other: object) -> bool:
    """Equality that knows `1` from `1.0` and from `true`, and minds the order of keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_same(part, other[key]) for key, part in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def _changed(value: object, change: Change) -> object:
    """The value that the whole file has after the change."""
    return _at(value, change.path, change)


def _at(value: object, path: KeyPath, change: Change) -> object:
    if len(path) > 1 or isinstance(value, list):
        return _with_child(value, path, change)
    if not isinstance(value, dict):
        return value
    key = str(path[0])
    match change:
        case Replace(_, new):
            return {**value, key: new}
        case Delete():
            return {each: part for each, part in value.items() if each != key}
        case Rename(_, name):
            return {name if each == key else each: part for each, part in value.items()}
        case Insert(_, new, before):
            front = list(value).index(before) if before is not None else len(value)
            pairs = list(value.items())
            return dict([*pairs[:front], (key, new), *pairs[front:]])


def _with_child(value: object, path: KeyPath, change: Change) -> object:
    first, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: _at(part, rest, change) if key == first else part for key, part in value.items()}
    if isinstance(value, list) and not rest and isinstance(change, Replace):
        return [change.value if index == first else part for index, part in enumerate(value)]
    if isinstance(value, list) and rest:
        return [_at(part, rest, change) if index == first else part for index, part in enumerate(value)]
    return value


def _ways(source: Source, change: Change) -> Iterator[tuple[TextEdit, ...]]:
    """Edits that may make the change, the one that reads best first."""
    parent, own = source.node(change.path[:-1]), source.node(change.path)
    if parent is None or (own is None) is not isinstance(change, Insert):
        return
    plain = _edits(source, change, parent)
    aliases = tuple(source.written_out_aliases())
    if plain is not None:
        yield plain
    if plain is not None and aliases:
        written_out = Source.of(apply_edits(source.text, aliases))
        again = _edits(written_out, change, written_out.node(change.path[:-1]))
        if again is not None:
            yield source.difference(apply_edits(written_out.text, again))


def _edits(source: Source, change: Change, parent: Node | None) -> tuple[TextEdit, ...] | None:
    key = change.path[-1]
    if isinstance(parent, SequenceNode) and isinstance(key, int) and isinstance(change, Replace):
        return (source.replaced(parent.items[key], one_line(change.value)),)
    if not isinstance(parent, MappingNode):
        return None
    if isinstance(change, Insert):
        return _insertion(source, parent, str(key), change)
    entry = parent.entries.get(str(key))
    return _of_entry(source, change, parent, entry) if entry is not None else None


def _of_entry(
    source: Source, change: Replace | Rename | Delete, parent: MappingNode, entry: Entry
) -> tuple[TextEdit, ...] | None:
    match change:
        case Replace(_, value):
            return _replacement(source, entry, value)
        case Rename(_, name):
            start, end = source.range_at(entry.key_place)
            return (source.edit(start, end, text_of(name, source.quote_at(start))),)
        case Delete(path):
            return _deletion(source, path, parent, entry)


def _replacement(source: Source, entry: Entry, value: object) -> tuple[TextEdit, ...]:
    start, end = source.range_of_value(entry)
    text = one_line(value, source.quote_at(start))
    if start == end:
        colon = source.after_colon(entry)
        return (source.edit(colon, colon, f" {text}"),)
    if source.is_block(entry.node):
        return source.instead_of_block(entry, text)
    return (source.edit(start, end, text),)


def _insertion(source: Source, parent: MappingNode, key: str, change: Insert) -> tuple[TextEdit, ...] | None:
    value, before = change.value, change.before
    if before is not None and before not in parent.entries:
        return None
    is_flow = not source.is_block(parent)
    if not parent.entries:
        start, _ = source.range_at(parent.place)
        opening = source.text.find("{", start) + 1
        return (source.edit(opening, opening, f"{key}: {one_line(value)}"),)
    other = parent.entries[before] if before is not None else list(parent.entries.values())[-1]
    start, _ = source.range_at(other.key_place)
    quote = source.quote_at(start)
    written = f"{text_of(key, quote)}: {one_line(value, quote)}"
    if before is not None:
        gap = ", " if is_flow else source.new_line + " " * source.column_of(start)
        return (source.edit(start, start, written + gap),)
    end = source.end_of(other)
    if is_flow:
        return (source.edit(end, end, f", {written}"),)
    end = source.end_of_line(end)
    return (source.edit(end, end, source.new_line + " " * source.column_of(start) + written),)


def _deletion(source: Source, path: KeyPath, parent: MappingNode, entry: Entry) -> tuple[TextEdit, ...] | None:
    if len(parent.entries) == 1:
        return _emptied(source, path[:-1], parent, entry)
    entries = list(parent.entries.values())
    index = entries.index(entry)
    follower = entries[index + 1] if index + 1 < len(entries) else None
    start, _ = source.range_at(entry.key_place)
    if source.is_block(parent) and source.starts_line(start):
        return (source.edit(*source.lines_of(start, source.end_of(entry)), ""),)
    if follower is not None:
        return (source.edit(start, source.range_at(follower.key_place)[0], ""),)
    end = source.end_of(entry)
    before = source.end_of(entries[index - 1])
    if "\n" not in source.text[before:start]:
        return (source.edit(before, end, ""),)
    return (source.edit(*source.lines_of(start, source.after_comma(end)), ""),)


def _emptied(source: Source, path: KeyPath, parent: MappingNode, entry: Entry) -> tuple[TextEdit, ...] | None:
    """The only entry goes: `{}` stays, because a key without a value would say something else."""
    start, end = source.range_at(parent.place)
    if not source.is_block(parent):
        return (source.edit(source.text.find("{", start) + 1, end - 1, ""),)
    owner = source.entry(path)
    key_start, _ = source.range_at(entry.key_place)
    if owner is None or not source.starts_line(key_start):
        return (source.edit(key_start, source.end_of(entry), "{}"),) if path else None
    colon = source.after_colon(owner)
    return (
        source.edit(colon, colon, " {}"),
        source.edit(*source.lines_of(key_start, source.end_of(entry)), ""),
    )
