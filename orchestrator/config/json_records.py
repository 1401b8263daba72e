"""JSON records that we wrote ourselves, read back strictly: every key known, every value fit, findings with places."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.config.json_tree import parse_json
from orchestrator.domain.diagnostics import Diagnostic, Report, Span
from orchestrator.domain.profile import KeyPath, Places

_LARGEST_SIZE = 2**53
_LARGEST_NUMBER = 2**31
_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,96}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """What may stand under a key, in words and as a test; an optional key may be left out or be null."""

    expected: str
    fits: Callable[[object], bool]
    required: bool = False


def is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_name(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def is_uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def is_size(value: object) -> bool:
    return is_whole(value, 0, _LARGEST_SIZE)


def is_count(value: object) -> bool:
    return is_whole(value, 0, _LARGEST_NUMBER)


def is_list(value: object) -> bool:
    return isinstance(value, list)


def is_filled_list(value: object) -> bool:
    return isinstance(value, list) and value != []


def is_boolean(value: object) -> bool:
    return isinstance(value, bool)


SIZE = "a whole number of bytes, 0 or more"
COUNT = "a whole number, 0 or more"
NAME = "a text of printable characters that is not empty"
UUID_TEXT = "a UUID as NVML writes it, such as `GPU-…` or `MIG-…`"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """What a file is called, the key (one of `keys`) whose number is its format, and how to get such a file."""

    name: str
    plural: str
    keys: tuple[str, ...]
    version: int
    writer: str


def parse_records(text: str, file: str, kind: FileKind) -> tuple[object, RecordCheck] | tuple[Diagnostic, ...]:
    """The plain value of a file of that kind, with the check of what stands in it; else the findings: E411 to E413."""
    document = parse_json(text, file, help_line=kind.writer)
    if not isinstance(document[-1], Places):
        return tuple(finding for finding in document if isinstance(finding, Diagnostic))
    check = RecordCheck(document[-1])
    return (document[0], check) if check.is_of(kind, document[0]) else check.report.in_order()


class RecordCheck:
    """Looks at plain values and collects what is wrong with them, at the place where it stands."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.report = Report()

    def is_of(self, kind: FileKind, root: object) -> bool:
        """Whether this is a file of that kind in the one format there is; the finding says what it is instead."""
        present = [key for key in kind.keys if isinstance(root, dict) and root.get(key) is not None]
        versions = [root[key] for key in present] if isinstance(root, dict) else []
        if len(present) == 1 and is_whole(versions[0], kind.version, kind.version):
            return True
        if len(present) != 1:
            start = f"{kind.name} starts with " + " or ".join(f'`"{key}": {kind.version}`' for key in kind.keys)
            label = f"no `{kind.keys[0]}`" if not present else "two kinds at once"
            message = f"this is not {kind.name}"
            self._add("E413", message, self._opening(()), label=label, help=(start, kind.writer))
        else:
            message = f"{kind.plural} of format {json.dumps(versions[0])} cannot be read"
            known = (f"the format that is known: {kind.version}",)
            newer = isinstance(versions[0], int) and versions[0] > kind.version
            update = ("a newer orchestrate wrote it: update this one",) if newer else ()
            span = self._places.value((present[0],))
            self._add("E413", message, span, notes=known, help=(*update, kind.writer))
        return False

    def record(self, value: object, path: KeyPath, keys: Mapping[str, Key]) -> Mapping[str, object]:
        """The well-formed entries of an object; what is unknown, missing or ill-formed is found and left out."""
        if not isinstance(value, dict):
            self._wrong(value, path, "an object with keys")
            return {}
        for unknown in value.keys() - keys.keys():
            self._unknown_key(unknown, path, tuple(keys))
        for missing in (name for name, key in keys.items() if key.required and value.get(name) is None):
            span = self._places.value((*path, missing)) if missing in value else self._opening(path)
            self._add("E415", f"`{missing}` is missing", span, help=(f"add it: {keys[missing].expected}",))
        given = {name: each for name, each in value.items() if name in keys and each is not None}
        for name, each in given.items():
            if not keys[name].fits(each):
                self._wrong(each, (*path, name), keys[name].expected)
        return {name: each for name, each in given.items() if keys[name].fits(each)}

    def items(self, record: Mapping[str, object], key: str, path: KeyPath) -> Iterator[tuple[object, KeyPath]]:
        values = record.get(key)
        for position, each in enumerate(values if isinstance(values, list) else ()):
            yield each, (*path, key, position)

    def at_most(self, record: Mapping[str, object], path: KeyPath, key: str, limit_key: str) -> None:
        """E417 where one size is larger than another one that it is a part of."""
        size, limit = record.get(key), record.get(limit_key)
        if isinstance(size, int) and isinstance(limit, int) and size > limit:
            notes = (f"`{key}`: {size:,} bytes, `{limit_key}`: {limit:,} bytes",)
            self._add("E417", f"`{key}` is more than `{limit_key}`", self._places.value((*path, key)), notes=notes)

    def once(self, seen: dict[object, KeyPath], value: object, path: KeyPath, what: str = "") -> None:
        """E418 where a value that must be unique is given a second time; None is no value."""
        if value is None:
            return
        if value in seen:
            first = self._places.value(seen[value])
            message = f"{what or f'`{path[-1]}` {json.dumps(value)}'} is given twice"
            notes = (f"first on line {first.line}",)
            self._add("E418", message, self._places.value(path), notes=notes, help=("each must be unique",))
        seen.setdefault(value, path)

    def names(self, known: Mapping[object, object], value: object, path: KeyPath) -> None:
        """E419 where a UUID is named that no GPU of the host has."""
        if value is None or value in known:
            return
        near = difflib.get_close_matches(str(value), [str(each) for each in known], n=1)
        help_lines = tuple(f"did you mean `{each}`?" for each in near) or ("name the `uuid` of a GPU of this host",)
        span = self._places.value(path)
        self._add("E419", f"no GPU of this host has the UUID `{value}`", span, help=help_lines)

    def refuse(self, code: str, message: str, path: KeyPath, help_line: str) -> None:
        self._add(code, message, self._places.value(path), help=(help_line,))

    def _unknown_key(self, key: str, path: KeyPath, known: tuple[str, ...]) -> None:
        near = difflib.get_close_matches(key, known, n=1)
        help_line = f"did you mean `{near[0]}`?" if near else "keys here: " + ", ".join(f"`{each}`" for each in known)
        span = self._places.key((*path, key))
        self._add("E414", f"unknown key `{key}`", span, label="no such key here", help=(help_line,))

    def _wrong(self, value: object, path: KeyPath, expected: str) -> None:
        where = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "this entry"
        shown = _shown(value)
        span = self._places.value(path)
        self._add("E416", f"{where} cannot be {shown}", span, label=f"expected {expected}", help=(f"write {expected}",))

    def _opening(self, path: KeyPath) -> Span:
        """The bracket that opens an object."""
        span = self._places.value(path)
        return Span(file=span.file, line=span.line, column=span.column, end_line=span.line, end_column=span.column + 1)

    def _add(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        notes: tuple[str, ...] = (),
        help: tuple[str, ...] = (),
    ) -> None:
        self.report.add(Diagnostic(code=code, message=message, span=span, label=label, notes=notes, help=help))


def _shown(value: object) -> str:
    """A value as the finding repeats it: short."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an empty list" if not value else "this list"
        case _:
            text = json.dumps(value, ensure_ascii=False)
            return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}…`"
