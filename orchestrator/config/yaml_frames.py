"""What is open while a YAML tree is built: lists, mappings and anchors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.config.yaml_nodes import Entry, MappingNode, Node, Place, SequenceNode

KEY_WANTED = None
"""The state of a mapping between a value and the next key."""


@dataclass(slots=True)
class Frame:
    """A list or mapping that is still open."""

    start: Place
    is_mapping: bool
    is_flow: bool
    first_node: int
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    lost: list[tuple[str, Entry]] = field(default_factory=list)
    key: tuple[str | None, Place, str] | None = KEY_WANTED
    height: int = 1

    def finished(self, end: Place) -> Node:
        place = Place(self.start.line, self.start.column, end.end_line, end.end_column)
        if self.is_mapping:
            return MappingNode(self.entries, place, tuple(self.lost))
        return SequenceNode(tuple(self.items), place)


class Anchor(NamedTuple):
    """What `&name` stands for, with the number of its values and levels; `node` is None while it is still open."""

    node: Node | None
    size: int
    height: int = 0
