"""Findings as text: in full with the line they are about, concise, as JSON, and as GitHub annotations."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from orchestrator.config.secret_shapes import masked
from orchestrator.domain.diagnostics import Diagnostic, Fix, Severity, Span


class FindingsFormat(StrEnum):
    """How findings are printed: for people, editors, programs, and CI annotations."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    GITHUB = "github"


JSON_VERSION = 1
"""Version of the JSON layout; it changes only when a field is renamed, removed or changes its meaning."""

_WIDTH = 110
"""Columns of a source line that are shown; longer lines are clipped around the caret."""

_TAB = "    "
_COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.NOTE: "\x1b[1;36m"}
_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_MOST_OFFERED = 3
"""Codes that the last line names; whoever wants more knows how to ask by then."""


def render_findings(
    findings: Iterable[Diagnostic],
    sources: Mapping[str, str],
    output_format: str = FindingsFormat.FULL,
    *,
    color: bool = False,
) -> str:
    """Findings as text that ends in a newline (empty for none, except as JSON).

    `sources` holds the text of each file by the name that spans use; a finding whose file is not there is shown
    without its line. What a finding calls hidden, and what looks like a secret, is shown as `*`.
    """
    found = tuple(findings)
    match FindingsFormat(output_format):
        case FindingsFormat.JSON:
            return _json(found, sources)
        case FindingsFormat.CONCISE:
            return "".join(f"{_concise(finding)}\n" for finding in found)
        case FindingsFormat.GITHUB:
            return "".join(f"{_github(finding)}\n" for finding in found)
        case FindingsFormat.FULL:
            lines = Sources(sources, found)
            shown = "".join(f"{_full(finding, lines, color=color)}\n\n" for finding in found)
            return shown + _how_to_learn_more(found, color=color)


def _how_to_learn_more(findings: Sequence[Diagnostic], *, color: bool) -> str:
    """A quiet last line; nothing for notes alone, which say all there is."""
    codes = dict.fromkeys(finding.code for finding in findings if finding.severity is not Severity.NOTE)
    if not codes:
        return ""
    dim, reset = (_DIM, _RESET) if color else ("", "")
    return f"{dim}Learn more: `orchestrate explain {' '.join(list(codes)[:_MOST_OFFERED])}`{reset}\n"


def summary(findings: Iterable[Diagnostic], number_of_files: int) -> str:
    """One line that counts: `2 errors, 1 warning in 3 files`."""
    counts = _counts(findings)
    parts = [_counted(counts[severity], severity.value) for severity in Severity if counts[severity]]
    where = f" in {_counted(number_of_files, 'file')}" if number_of_files else "; no file was read"
    return f"{', '.join(parts) or 'no findings'}{where}"


def _counts(findings: Iterable[Diagnostic]) -> dict[Severity, int]:
    severities = [finding.severity for finding in findings]
    return {severity: severities.count(severity) for severity in Severity}


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def visible(text: str) -> str:
    """User input that is safe to print: control and direction characters as escapes, secrets as `*`."""
    hidden = masked(text)
    return hidden if hidden.isascii() and hidden.isprintable() else "".join(_visible(each) for each in hidden)


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _width(text: str) -> int:
    """Columns that a visible text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def _is_whole_file(span: Span) -> bool:
    return span == Span(file=span.file)


def _location(span: Span) -> str:
    return visible(span.file) if _is_whole_file(span) else f"{visible(span.file)}:{span.line}:{span.column}"


def _concise(finding: Diagnostic) -> str:
    where = f"{visible(finding.span.file)}:{finding.span.line}:{finding.span.column}: " if finding.span else ""
    return f"{where}{finding.severity}[{finding.code}] {visible(finding.message)}"


class Sources:
    """The lines of the files, with what is hidden already replaced."""

    def __init__(self, sources: Mapping[str, str], findings: Iterable[Diagnostic]) -> None:
        self._sources = sources
        self._lines: dict[str, list[str]] = {}
        self._hidden: dict[str, list[Span]] = {}
        for finding in findings:
            for span in finding.hidden:
                self._hidden.setdefault(span.file, []).append(span)

    def line(self, span: Span) -> str | None:
        lines = self.lines(span.file)
        return lines[span.line - 1] if 0 < span.line <= len(lines) else None

    def lines(self, file: str) -> list[str]:
        if file not in self._lines:
            self._lines[file] = self._read(file)
        return self._lines[file]

    def _read(self, file: str) -> list[str]:
        text = self._sources.get(file)
        if not text:
            return []
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        for span in self._hidden.get(file, ()):
            _hide(lines, span)
        return [masked(line) for line in lines]


def _hide(lines: list[str], span: Span) -> None:
    """Replaces a stretch of lines by `*`, each character by one, so that columns stay what they are."""
    for number in range(span.line, min(span.end_line, len(lines)) + 1):
        line = lines[number - 1]
        start = span.column - 1 if number == span.line else 0
        end = span.end_column - 1 if number == span.end_line else len(line)
        lines[number - 1] = line[:start] + "*" * len(line[start:end]) + line[end:]


class _Excerpt(NamedTuple):
    """A source line ready to print, with the columns before the caret and under it."""

    text: str
    indent: int
    width: int


def _excerpt(line: str, span: Span) -> _Excerpt:
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line)
    first, last = _clip(line, start)
    before, under, after = (
        _shown(part)
        for part in (line[first:start], line[start : min(end, last)], line[max(start, min(end, last)) : last])
    )
    front, back = "…" if first else "", "…" if last < len(line) else ""
    return _Excerpt(f"{front}{before}{under}{after}{back}", len(front) + _width(before), max(1, _width(under)))


def _clip(line: str, start: int) -> tuple[int, int]:
    """The stretch of a long line to show: the caret with a third of the room before it."""
    if len(line) <= _WIDTH:
        return 0, len(line)
    first = max(0, min(start - _WIDTH // 3, len(line) - _WIDTH))
    return first, min(len(line), first + _WIDTH)


def _shown(part: str) -> str:
    return "".join(_TAB if each == "\t" else _visible(each) for each in part)


def _full(finding: Diagnostic, lines: Sources, *, color: bool) -> str:
    paint, reset = (_COLOURS[finding.severity], _RESET) if color else ("", "")
    head = f"{paint}{finding.severity}[{finding.code}]{reset}: {visible(finding.message)}"
    gutter = " "
    body: list[str] = []
    if finding.span is not None:
        line = None if _is_whole_file(finding.span) else lines.line(finding.span)
        number = str(finding.span.line) if line is not None else ""
        gutter = " " * max(1, len(number))
        body.append(f"{gutter}--> {_location(finding.span)}")
        if line is not None:
            excerpt = _excerpt(line, finding.span)
            carets = f"{paint}{'^' * excerpt.width}{reset}"
            label = f" {visible(finding.label)}" if finding.label else ""
            body += [
                f"{gutter} |",
                f"{number} | {excerpt.text}".rstrip(),
                f"{gutter} | {' ' * excerpt.indent}{carets}{label}",
            ]
    body += [f"{gutter} = note: {visible(note)}" for note in finding.notes]
    body += [f"{gutter} = help: {visible(line)}" for line in finding.help]
    return "\n".join((head, *body))


def _github(finding: Diagnostic) -> str:
    """A workflow command: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    command = "notice" if finding.severity is Severity.NOTE else finding.severity.value
    properties: dict[str, str | int] = {}
    if finding.span is not None:
        span = finding.span
        properties = {"file": visible(span.file), "line": span.line, "col": span.column}
        properties |= {"endLine": span.end_line, "endColumn": span.end_column}
    properties["title"] = finding.code
    written = ",".join(f"{name}={_github_property(str(value))}" for name, value in properties.items())
    label = (f"{finding.label}",) if finding.label else ()
    parts = (
        finding.message,
        *label,
        *(f"note: {note}" for note in finding.notes),
        *(f"help: {h}" for h in finding.help),
    )
    return f"::{command} {written}::{_github_text(chr(10).join(visible(part) for part in parts))}"


def _github_text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_text(text).replace(":", "%3A").replace(",", "%2C")


def _json(findings: Sequence[Diagnostic], sources: Mapping[str, str]) -> str:
    counts = _counts(findings)
    document = {
        "version": JSON_VERSION,
        "summary": {
            "errors": counts[Severity.ERROR],
            "warnings": counts[Severity.WARNING],
            "notes": counts[Severity.NOTE],
            "files": len(sources),
        },
        "findings": [finding_as_dict(finding) for finding in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def finding_as_dict(finding: Diagnostic) -> dict[str, object]:
    """One finding for programs: every field is always there; the place is null when there is none."""
    span = finding.span
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": visible(finding.message),
        "file": visible(span.file) if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "end_line": span.end_line if span else None,
        "end_column": span.end_column if span else None,
        "label": visible(finding.label),
        "notes": [visible(note) for note in finding.notes],
        "help": [visible(line) for line in finding.help],
        "fix": _fix_as_dict(finding.fix) if finding.fix else None,
    }


def _fix_as_dict(fix: Fix) -> dict[str, object]:
    """The edits of a fix; they all belong to one file, and must be made together."""
    edits = [
        {
            "file": visible(edit.span.file),
            "line": edit.span.line,
            "column": edit.span.column,
            "end_line": edit.span.end_line,
            "end_column": edit.span.end_column,
            "text": masked(edit.text),
        }
        for edit in fix.edits
    ]
    return {"title": visible(fix.title), "edits": edits}
