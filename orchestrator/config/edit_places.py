"""Where things stand in a YAML text, as offsets: what an edit has to know of the way a file is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

from orchestrator.config.tree_values import as_flag_value, child, is_broken
from orchestrator.config.yaml_nodes import Document, Entry, MappingNode, Node, Place, ScalarNode, SequenceNode
from orchestrator.config.yaml_tree import parse
from orchestrator.config.yaml_writing import one_line
from orchestrator.domain.diagnostics import Span, TextEdit
from orchestrator.domain.profile import KeyPath

_ANCHOR = re.compile(r"&\S+\s*")
_COMMENT_LINE = re.compile(r"[ \t]*#")
_TO_COLON = re.compile(r"\s*:")


@dataclass(frozen=True, slots=True)
class Source:
    """A text with its tree. Offsets count characters from 0; ends are exclusive."""

    text: str
    root: MappingNode | None
    line_starts: tuple[int, ...]
    file: str = ""

    @classmethod
    def of(cls, text: str, file: str = "") -> Source:
        return cls.of_document(parse(text, file))

    @classmethod
    def of_document(cls, document: Document) -> Source:
        """The same for what is parsed already."""
        return cls(document.text, document.root, _line_starts(document.text), document.file)

    @property
    def new_line(self) -> str:
        """How lines end in this file."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def node(self, path: KeyPath) -> Node | None:
        """What stands at a path; None for nothing."""
        node: Node | None = self.root
        for part in path:
            step = child(node, part) if node is not None else None
            node = step[1] if step else None
        return node

    def entry(self, path: KeyPath) -> Entry | None:
        """The entry of a mapping at a path; None where there is none, or where it is an item of a list."""
        parent = self.node(path[:-1]) if path else None
        return parent.entries.get(str(path[-1])) if isinstance(parent, MappingNode) else None

    def offset(self, line: int, column: int) -> int:
        return min(self.line_starts[min(line, len(self.line_starts)) - 1] + column - 1, len(self.text))

    def range_at(self, place: Place) -> tuple[int, int]:
        return self.offset(place.line, place.column), self.offset(place.end_line, place.end_column)

    def range_of(self, span: Span) -> tuple[int, int]:
        return self.offset(span.line, span.column), self.offset(span.end_line, span.end_column)

    def edit(self, start: int, end: int, text: str) -> TextEdit:
        first, last = self._place(start), self._place(end)
        span = Span(file=self.file, line=first[0], column=first[1], end_line=last[0], end_column=last[1])
        return TextEdit(span=span, text=text)

    def _place(self, offset: int) -> tuple[int, int]:
        line = self.text.count("\n", 0, offset) + 1
        return line, offset - self.line_starts[line - 1] + 1

    def replaced(self, node: Node, text: str) -> TextEdit:
        start, end = self._without_anchor(node)
        return self.edit(start, end, text)

    def range_of_value(self, entry: Entry) -> tuple[int, int]:
        """From the start of a value (after its anchor) to its end; an empty range for one that was not written."""
        if entry.node.place == entry.key_place:
            return (0, 0)
        return self._without_anchor(entry.node)

    def _without_anchor(self, node: Node) -> tuple[int, int]:
        start, end = self.range_at(node.place)
        anchor = _ANCHOR.match(self.text, start)
        start = min(anchor.end(), end) if anchor else start
        return start, start + len(self.text[start:end].rstrip())

    def end_of(self, entry: Entry) -> int:
        """The end of an entry: of its value, or of its colon where it has none."""
        start, end = self.range_of_value(entry)
        return end if end > start else self.after_colon(entry)

    def after_colon(self, entry: Entry) -> int:
        _, end = self.range_at(entry.key_place)
        colon = _TO_COLON.match(self.text, end)
        return colon.end() if colon else end

    def after_comma(self, offset: int) -> int:
        comma = re.compile(r"[ \t]*,").match(self.text, offset)
        return comma.end() if comma else offset

    def quote_at(self, offset: int) -> str:
        """The quote that stands there, if one does."""
        return self.text[offset] if self.text[offset : offset + 1] in ("'", '"') else ""

    def is_block(self, node: Node) -> bool:
        """Whether a list or mapping is spelt by indentation."""
        start, _ = self._without_anchor(node)
        return isinstance(node, MappingNode | SequenceNode) and self.text[start : start + 1] not in ("{", "[", "*")

    def column_of(self, offset: int) -> int:
        return offset - self.start_of_line(offset)

    def start_of_line(self, offset: int) -> int:
        return self.text.rfind("\n", 0, offset) + 1

    def end_of_line(self, offset: int) -> int:
        """The end of the line without its line break."""
        end = self.text.find("\n", offset)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[end - 1 : end] == "\r" and end > offset else end

    def starts_line(self, offset: int) -> bool:
        """Whether only blanks stand before it on its line."""
        return not self.text[self.start_of_line(offset) : offset].strip(" ")

    def lines_of(self, start: int, end: int) -> tuple[int, int]:
        """The whole lines from `start` to `end`, with the comment above that is about them alone. At the end of a text
        without a last line break the one before them goes instead."""
        first, last = self.start_of_line(start), self.text.find("\n", end)
        stop = len(self.text) if last < 0 else last + 1
        if self._nothing_beside(stop, self.column_of(start)):
            first = self._start_of_comment(first, self.column_of(start))
        if last < 0 and first:
            return first - len("\r\n" if self.text.endswith("\r\n", 0, first) else "\n"), stop
        return first, stop

    def _nothing_beside(self, offset: int, column: int) -> bool:
        """Whether no further entry follows at once that the comment above could be about, too."""
        line = self.text[offset : self.end_of_line(offset)]
        return not line.strip() or line.lstrip().startswith("#") or len(line) - len(line.lstrip(" ")) < column

    def _start_of_comment(self, start: int, column: int) -> int:
        """Where the comment above begins; one at the top of the file is about the file."""
        first = start
        while first:
            above = self.start_of_line(first - 1)
            line = self.text[above:first]
            if not _COMMENT_LINE.match(line) or len(line) - len(line.lstrip(" ")) != column:
                return first
            first = above
        return start

    def instead_of_block(self, entry: Entry, text: str) -> tuple[TextEdit, ...]:
        """One line instead of a value that is spelt by indentation on the lines below its key."""
        colon = self.after_colon(entry)
        start, end = self._without_anchor(entry.node)
        if "\n" not in self.text[colon:start]:
            return (self.edit(start, end, text),)
        anchor, _ = self.range_at(entry.node.place)
        is_anchored = "\n" not in self.text[colon:anchor]
        first = self.end_of_line(colon)
        head = self.edit(colon, anchor + len(self.text[anchor:start].split()[0]) if is_anchored else colon, f" {text}")
        return head, self.edit(first, self.end_of_line(end), "")

    @property
    def has_aliases(self) -> bool:
        """Whether a change at one place can be seen at another."""
        return any(True for _ in self._aliases())

    def written_out_aliases(self) -> Iterator[TextEdit]:
        """Edits that put what it stands for in the place of every alias."""
        for node, place in self._aliases():
            start, end = self.range_at(place)
            yield self.edit(start, end, one_line(node))

    def _aliases(self) -> Iterator[tuple[object, Place]]:
        """Every alias of the text: what it stands for, and where it stands."""
        return self._aliases_in(self.root) if self.root is not None else iter(())

    def _aliases_in(self, node: Node) -> Iterator[tuple[object, Place]]:
        if self.text.startswith("*", self.range_at(node.place)[0]) and not _is_quoted(node):
            value = as_flag_value(node)
            if not is_broken(value):
                yield value, node.place
        elif isinstance(node, MappingNode):
            for key, entry in node.entries.items():
                if self.text.startswith("*", self.range_at(entry.key_place)[0]):
                    yield key, entry.key_place
                yield from self._aliases_in(entry.node)
        elif isinstance(node, SequenceNode):
            for item in node.items:
                yield from self._aliases_in(item)

    def difference(self, text: str) -> tuple[TextEdit, ...]:
        """Edits that make this text into another one."""
        old, new = self.text.splitlines(keepends=True), text.splitlines(keepends=True)
        starts, others = (tuple(accumulate(map(len, lines), initial=0)) for lines in (old, new))
        codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        changed = [code[1:] for code in codes if code[0] != "equal"]
        return tuple(self.edit(starts[a], starts[b], text[others[c] : others[d]]) for a, b, c, d in changed)


def _line_starts(text: str) -> tuple[int, ...]:
    lengths = (len(line) + 1 for line in text.split("\n"))
    return tuple(accumulate(lengths, initial=0))[:-1]


def _is_quoted(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.is_plain
