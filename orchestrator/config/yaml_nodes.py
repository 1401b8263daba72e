"""The nodes of a YAML tree: values that know where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.config.scalars import Scalar
from orchestrator.domain.diagnostics import Diagnostic, Span


class Place(NamedTuple):
    """Start and exclusive end of a node; lines and columns count from 1, columns in characters."""

    line: int
    column: int
    end_line: int
    end_column: int

    def span(self, file: str) -> Span:
        return Span(file=file, line=self.line, column=self.column, end_line=self.end_line, end_column=self.end_column)


class ScalarNode(NamedTuple):
    """A single value; `text` is what was written, `is_plain` says that it stood without quotes."""

    value: Scalar
    text: str
    is_plain: bool
    place: Place


class SequenceNode(NamedTuple):
    items: tuple[Node, ...]
    place: Place


class Entry(NamedTuple):
    """One key of a mapping with its value."""

    key_place: Place
    node: Node


class MappingNode(NamedTuple):
    """`lost` are entries that have their finding and no say: written twice, or under a key that is refused. Only who
    looks for secrets reads them, as their lines can be shown all the same."""

    entries: Mapping[str, Entry]
    place: Place
    lost: tuple[tuple[str, Entry], ...] = ()


class BrokenNode(NamedTuple):
    """A value that has its finding already; nobody need complain about it again. Where it is only ambiguous, `text` is
    what was written, and `word` what it means as a number or truth value."""

    place: Place
    text: str = ""
    word: str = ""


Node = ScalarNode | SequenceNode | MappingNode | BrokenNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed file. `root` is None when nothing can be read from it (then there is an error among the findings).
    `text` is what was parsed."""

    file: str
    root: MappingNode | None
    findings: tuple[Diagnostic, ...]
    text: str = ""

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self.root.entries) if self.root else frozenset()
