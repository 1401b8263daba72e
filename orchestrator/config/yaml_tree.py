"""YAML text as a tree of nodes that know where they stand, built from parser events within fixed limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from orchestrator.config.scalars import Ambiguity, resolve
from orchestrator.config.secret_search import without_secrets
from orchestrator.config.secret_shapes import names_a_secret
from orchestrator.config.tree_values import clipped
from orchestrator.config.yaml_frames import KEY_WANTED, Anchor, Frame
from orchestrator.config.yaml_nodes import (
    BrokenNode,
    Document,
    Entry,
    MappingNode,
    Node,
    Place,
    ScalarNode,
)
from orchestrator.config.yaml_syntax import check_text, explain, name_of_forbidden, with_joined_surrogates
from orchestrator.domain.diagnostics import Diagnostic

MAX_DEPTH = 64
MAX_NODES = 100_000
"""Nodes of one file after every alias has been replaced by what it stands for."""

_SHOWN_OF_SENTENCE = 240
_PARSERS_DISAGREE = re.compile(r"\t|[|>][-+0-9]*#")
"""Texts that the C parser and the Python one read differently: tabs, and a comment glued to a block indicator."""


class _EventSource(Protocol):
    def get_event(self) -> yaml.Event | None: ...


class _PureParser(Reader, Scanner, Parser):
    """PyYAML's event parser in pure Python, without its constructors and resolvers."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


def fast_parser_is_present() -> bool:
    """Whether PyYAML was built with libyaml."""
    return bool(yaml.__with_libyaml__)


def _fast_parser(text: str) -> _EventSource:
    from yaml._yaml import CParser  # noqa: PLC0415 (not built on every platform)

    parser: _EventSource = CParser(text)
    return parser


def parse(text: str, file: str, *, pure: bool = False) -> Document:
    """The tree of a text with all findings. `pure` keeps to the Python parser; the result is the same, only slower.

    The two parsers word their errors differently, and disagree on a few texts: those always take the Python one.
    """
    findings = check_text(text, file)
    if any(finding.is_error for finding in findings):
        return Document(file=file, root=None, findings=tuple(findings), text=text)
    offset = 1 if text.startswith("\ufeff") else 0
    body = text[offset:]
    builder: _Builder | None = None
    if fast_parser_is_present() and not pure and not _PARSERS_DISAGREE.search(body):
        builder = _build_fast(body, file, offset)
    if builder is None:
        builder = _build_pure(body, file, offset)
    root = builder.finished_root(body)
    cleaned, secrets = without_secrets(root, file) if root else (None, ())
    hidden = {span for secret in secrets for span in secret.hidden}
    said = (each for each in builder.findings if each.span not in hidden)
    return Document(file=file, root=cleaned, findings=(*findings, *said, *secrets), text=text)


def _build_fast(text: str, file: str, offset: int) -> _Builder | None:
    builder = _Builder(file, offset)
    try:
        builder.read(_fast_parser(text))
    except (yaml.YAMLError, ValueError):
        return None
    return builder


def _build_pure(text: str, file: str, offset: int) -> _Builder:
    builder = _Builder(file, offset)
    parser = _PureParser(text)
    try:
        builder.read(parser)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        lines = text.count("\n") + 1
        finding = explain(error, parser.get_mark(), file, first_line_offset=offset, line_count=lines)
        builder.findings.append(finding)
        builder.is_stopped = True
    return builder


class _Builder:
    """Turns events into nodes with a stack of its own, so that no input can exhaust Python's."""

    def __init__(self, file: str, first_line_offset: int) -> None:
        self.file = file
        self.findings: list[Diagnostic] = []
        self.is_stopped = False
        self._offset = first_line_offset
        self._frames: list[Frame] = []
        self._anchors: dict[str, Anchor] = {}
        self._root: Node | None = None
        self._root_is_empty = False
        self._count = 0
        self._documents = 0
        self._last = Place(1, 1, 1, 1)

    def read(self, source: _EventSource) -> None:
        """Reads events to the end, or to the first thing after which the rest makes no sense."""
        while not self.is_stopped:
            event = source.get_event()
            if event is None:
                return
            step = _STEPS.get(type(event))
            if step is not None:
                step(self, event)

    def finished_root(self, text: str) -> MappingNode | None:
        """The root mapping, or None with a finding that says why there is none."""
        if isinstance(self._root, MappingNode):
            return self._root
        if self.is_stopped or (self._root is None and self.findings):
            return None
        if self._root is None or self._root_is_empty:
            message = "the file holds only comments" if text.strip() else "the file is empty"
            start = Place(1, 1, 1, 1)
            self._add(
                "E114", message, start, help_="write a service (`service:`, `model:`) or a deployment (`project:`)"
            )
        else:
            help_ = "write keys and values, such as `service: mini`"
            self._add("E115", "a profile is a mapping of keys to values", self._root.place, help_=help_)
        return None

    def _add(
        self,
        code: str,
        message: str,
        place: Place,
        *,
        help_: str,
        label: str = "",
        note: str = "",
        hidden: tuple[Place, ...] = (),
    ) -> None:
        self.findings.append(
            Diagnostic(
                code=code,
                message=message,
                span=place.span(self.file),
                label=label,
                notes=(note,) if note else (),
                help=(help_,),
                hidden=tuple(each.span(self.file) for each in hidden),
            )
        )

    def _stop(self, code: str, message: str, place: Place, *, help_: str, note: str = "") -> None:
        self._add(code, message, place, help_=help_, note=note)
        self.is_stopped = True

    def _place(self, event: Any) -> Place:
        start, end = event.start_mark, event.end_mark
        line, column, end_line, end_column = start.line, start.column, end.line, end.column
        if self._offset:
            column += self._offset if line == 0 else 0
            end_column += self._offset if end_line == 0 else 0
        return Place(line + 1, column + 1, end_line + 1, end_column + 1)

    def _place_of_nothing(self) -> Place:
        """A value that was not written stands at its key, or after what stands before it.

        The parsers do not agree on where it is.
        """
        if self._frames and self._frames[-1].key is not None:
            return self._frames[-1].key[1]
        return Place(self._last.end_line, self._last.end_column, self._last.end_line, self._last.end_column)

    def document_start(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        place = self._place(event)
        if self._documents > 1:
            help_ = "keep one profile per file: move what follows `---` to a file of its own"
            self._stop("E113", "a second document starts here", place, help_=help_)
        elif event.version or event.tags:
            self._add("E113", "a `%` directive", place, help_="remove the directive: profiles are plain YAML 1.2")

    def scalar(self, event: yaml.ScalarEvent) -> None:
        is_plain = not event.style
        text: str = with_joined_surrogates(event.value) if event.style == '"' else event.value
        place = self._place(event) if text or not is_plain or event.tag else self._place_of_nothing()
        if self._expects_key():
            self._scalar_key(text, place, event, is_plain=is_plain)
            return
        self._root_is_empty = not self._frames and is_plain and not text
        node: Node = self._scalar_value(text, place, is_plain=is_plain, style=event.style)
        if event.tag is not None:
            node = self._refuse_tag(event.tag, place)
        self._put(node, 1, event.anchor)

    def _scalar_value(self, text: str, place: Place, *, is_plain: bool, style: str | None) -> Node:
        if not is_plain:
            if style == '"' and (forbidden := name_of_forbidden(text)):
                self._add("E116", f"a text with {forbidden.name} in it", place, help_=forbidden.help)
                return BrokenNode(place)
            return ScalarNode(text, text, False, place)
        value = resolve(text)
        if isinstance(value, Ambiguity):
            note = f"it could mean {clipped(value.meanings, _SHOWN_OF_SENTENCE)}"
            message = f"`{clipped(text)}` is ambiguous"
            help_ = clipped(value.help, _SHOWN_OF_SENTENCE)
            self._add("E107", message, place, help_=help_, label="two meanings", note=note)
            return BrokenNode(place, text, value.word)
        return ScalarNode(value, text, True, place)

    def _scalar_key(self, text: str, place: Place, event: yaml.ScalarEvent, *, is_plain: bool) -> None:
        self._step(place)
        if event.anchor is not None:
            self._anchors[event.anchor] = Anchor(ScalarNode(text, text, is_plain, place), 1)
        key: str | None = text
        if event.tag is not None:
            self._refuse_tag(event.tag, place)
            key = None
        elif is_plain and text == "<<":
            help_ = "write the keys out, or put what services share under `defaults:` of the deployment file"
            self._add("E109", "`<<` merge keys are not part of YAML 1.2", place, help_=help_)
            key = None
        elif not text or (not is_plain and name_of_forbidden(text)):
            forbidden = name_of_forbidden(text)
            message = f"a key with {forbidden.name} in it" if forbidden else "a key without a name"
            self._add("E110", message, place, help_="write `name: value`")
            key = None
        self._frames[-1].key = (key, place, text)

    def alias(self, event: yaml.AliasEvent) -> None:
        name = str(event.anchor)
        place = self._place(event)
        anchor = self._anchors.get(name)
        if anchor is None:
            help_ = (
                f"write `&{clipped(name)}` before the value it stands for, or put text that starts with `*` in quotes"
            )
            self._add("E111", f"`*{clipped(name)}` stands for nothing", place, help_=help_)
        elif anchor.node is None:
            help_ = "write the value out: nothing can contain itself"
            self._add("E111", f"`*{clipped(name)}` stands inside the value it names", place, help_=help_)
        self._use_alias(anchor, place)

    def _use_alias(self, anchor: Anchor | None, place: Place) -> None:
        node = anchor.node if anchor else None
        if self._expects_key():
            self._step(place)
            if isinstance(node, ScalarNode):
                self._frames[-1].key = (node.text, place, node.text)
            else:
                self._frames[-1].key = (None, place, "")
                if node is not None:
                    self._refuse_key(place)
            return
        self._count += anchor.size - 1 if anchor and anchor.node else 0
        height = anchor.height if anchor else 0
        if len(self._frames) + height > MAX_DEPTH:
            self._stop_for_depth(place)
        self._put(node._replace(place=place) if node else BrokenNode(place), 1, None, height=height)

    def sequence_start(self, event: yaml.SequenceStartEvent) -> None:
        self._open(event, is_mapping=False)

    def mapping_start(self, event: yaml.MappingStartEvent) -> None:
        self._open(event, is_mapping=True)

    def _open(self, event: yaml.CollectionStartEvent, *, is_mapping: bool) -> None:
        place = self._place(event)
        self._step(place)
        if event.tag is not None:
            self._refuse_tag(event.tag, place)
        if self._expects_key():
            self._refuse_key(place)
        if len(self._frames) >= MAX_DEPTH:
            self._stop_for_depth(place)
            return
        if event.anchor is not None:
            self._anchors[event.anchor] = Anchor(None, 1)
        frame = Frame(place, is_mapping, bool(event.flow_style), self._count, event.anchor)
        self._frames.append(frame)
        self._last = place

    def _stop_for_depth(self, place: Place) -> None:
        help_ = "flatten it: nothing in a profile needs that depth"
        self._stop("E112", f"nested more than {MAX_DEPTH} levels deep", place, help_=help_)

    def close(self, event: yaml.Event) -> None:
        frame = self._frames.pop()
        end = self._place(event) if frame.is_flow else self._last
        node = frame.finished(end)
        self._put(node, self._count - frame.first_node + 1, frame.anchor, is_counted=True, height=frame.height)

    def _expects_key(self) -> bool:
        return bool(self._frames) and self._frames[-1].is_mapping and self._frames[-1].key is KEY_WANTED

    def _step(self, place: Place) -> None:
        self._count += 1
        self._last = place
        if self._count > MAX_NODES and not self.is_stopped:
            note = f"aliases count as what they stand for; at most {MAX_NODES:,} values in a file"
            self._stop("E112", "too many values", place, help_="split the file, or write fewer aliases", note=note)

    def _put(self, node: Node, size: int, anchor: str | None, *, is_counted: bool = False, height: int = 0) -> None:
        if not is_counted:
            self._step(node.place)
        self._last = node.place
        if anchor is not None:
            self._anchors[anchor] = Anchor(node, size, height)
        if not self._frames:
            self._root = node
            return
        frame = self._frames[-1]
        frame.height = max(frame.height, height + 1)
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is KEY_WANTED:
            frame.key = (None, node.place, "")
        else:
            self._put_entry(frame, *frame.key, node)
            frame.key = KEY_WANTED

    def _put_entry(self, frame: Frame, key: str | None, key_place: Place, written: str, node: Node) -> None:
        if key is None:
            frame.lost.append((written, Entry(key_place, node)))
            return
        earlier = frame.entries.get(key)
        if earlier is None:
            frame.entries[key] = Entry(key_place, node)
            return
        frame.lost.append((key, Entry(key_place, node)))
        first = earlier.key_place
        note = f"it was written first at {self.file}:{first.line}:{first.column}"
        help_ = "keep one of the two"
        message, hidden = f"`{clipped(key)}` is written twice", (node.place,) if names_a_secret(key) else ()
        self._add("E103", message, key_place, help_=help_, label="written again", note=note, hidden=hidden)

    def _refuse_tag(self, tag: str, place: Place) -> BrokenNode:
        help_ = "remove the tag: values are text, numbers, true, false, lists and mappings"
        written = tag.replace("tag:yaml.org,2002:", "!!", 1)
        self._add("E108", f"a tag (`{clipped(written)}`) is not allowed", place, help_=help_)
        return BrokenNode(place)

    def _refuse_key(self, place: Place) -> None:
        self._add("E110", "a key that is a list or a mapping", place, help_="write a plain name before the `:`")


_STEPS: dict[type, Callable[[_Builder, Any], None]] = {
    yaml.DocumentStartEvent: _Builder.document_start,
    yaml.ScalarEvent: _Builder.scalar,
    yaml.AliasEvent: _Builder.alias,
    yaml.SequenceStartEvent: _Builder.sequence_start,
    yaml.MappingStartEvent: _Builder.mapping_start,
    yaml.SequenceEndEvent: _Builder.close,
    yaml.MappingEndEvent: _Builder.close,
}
