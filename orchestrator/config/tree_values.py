"""From nodes to plain values and back to places: what was written, how to name it, where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from orchestrator.config.scalars import Scalar
from orchestrator.config.secret_shapes import masked
from orchestrator.config.yaml_nodes import BrokenNode, MappingNode, Node, Place, ScalarNode, SequenceNode
from orchestrator.domain.diagnostics import Span
from orchestrator.domain.profile import FlagValue, KeyPath, Places


class _Broken:
    """Stands for a value that has its finding already; no check accepts it, and no finding is made of that."""

    def __repr__(self) -> str:
        return "broken"


BROKEN: Final = _Broken()
_SHOWN = 60


def as_value(node: Node) -> object:
    """The plain value of a node: mappings, lists, scalars, and `BROKEN` in the place of broken nodes."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, MappingNode):
        return {key: as_value(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, SequenceNode):
        return [as_value(item) for item in node.items]
    return BROKEN


def as_flag_value(node: Node) -> FlagValue | _Broken:
    """The value of a flag; `BROKEN` when anything within it is broken."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, BrokenNode):
        return BROKEN
    if isinstance(node, SequenceNode):
        items = [as_flag_value(item) for item in node.items]
        whole = [item for item in items if not isinstance(item, _Broken)]
        return whole if len(whole) == len(items) else BROKEN
    values = {key: as_flag_value(entry.node) for key, entry in node.entries.items()}
    known = {key: value for key, value in values.items() if not isinstance(value, _Broken)}
    return known if len(known) == len(values) else BROKEN


def is_broken(value: object) -> bool:
    return isinstance(value, _Broken)


def described(node: Node) -> str:
    """What was written, for the sentence "… wants text, not …"."""
    if isinstance(node, SequenceNode):
        return "a list" if node.items else "an empty list"
    if isinstance(node, MappingNode):
        return "a mapping"
    if not isinstance(node, ScalarNode):
        return "this"
    if node.value is None:
        return "nothing" if not node.text else f"`{node.text}` (no value)"
    kind = "text" if isinstance(node.value, str) else "true or false" if isinstance(node.value, bool) else "number"
    if kind == "true or false":
        return f"`{node.text}`"
    return f"the {kind} `{clipped(node.text)}`"


def clipped(text: str, most: int = _SHOWN) -> str:
    """At most `most` characters (60), with secrets masked: what may stand in a message."""
    hidden = masked(text)
    return hidden if len(hidden) <= most else f"{hidden[:most]}…"


def child(node: Node, part: str | int) -> tuple[Place | None, Node] | None:
    """One step down the tree: the place of the key (lists have none) and the node under it."""
    if isinstance(node, MappingNode) and isinstance(part, str):
        entry = node.entries.get(part)
        return None if entry is None else (entry.key_place, entry.node)
    if isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.items):
        return None, node.items[part]
    return None


class _Spans(Mapping[KeyPath, Span]):
    """Spans by key path, looked up in the tree when somebody asks: most profiles have no finding."""

    def __init__(self, root: MappingNode, file: str, *, of_keys: bool) -> None:
        self._root = root
        self._file = file
        self._of_keys = of_keys

    def __getitem__(self, path: KeyPath) -> Span:
        place: Place | None = None
        node: Node = self._root
        for part in path:
            step = child(node, part)
            if step is None:
                raise KeyError(path)
            key_place, node = step
            place = key_place if self._of_keys else node.place
        if place is None:
            raise KeyError(path)
        return place.span(self._file)

    def __iter__(self) -> Iterator[KeyPath]:
        return (path for path, key_place, _ in walk(self._root, ()) if key_place or not self._of_keys)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def walk(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Place | None, Node]]:
    """Everything below a node: its path, the place of its key (items have none), and the node."""
    if isinstance(node, MappingNode):
        steps: list[tuple[KeyPath, Place | None, Node]] = [
            ((*path, key), entry.key_place, entry.node) for key, entry in node.entries.items()
        ]
    elif isinstance(node, SequenceNode):
        steps = [((*path, index), None, item) for index, item in enumerate(node.items)]
    else:
        return
    for step in steps:
        yield step
        yield from walk(step[2], step[0])


def places_of(root: MappingNode, file: str) -> Places:
    """Where the keys and values of a file stand."""
    return Places(file, keys=_Spans(root, file, of_keys=True), values=_Spans(root, file, of_keys=False))


def scalar_at(root: MappingNode, key: str) -> Scalar:
    """The value of a key at the top of a file; None where there is none, or something else than a scalar."""
    entry = root.entries.get(key)
    return entry.node.value if entry and isinstance(entry.node, ScalarNode) else None
