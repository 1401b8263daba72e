"""Findings as data: where, what, which numbers, what to do next. Views turn them into text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A stretch of a text file; lines and columns count from 1, columns in characters, the end is exclusive."""

    file: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEdit:
    """`text` takes the place of what stands at `span`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Edits of one file that mend a finding without a doubt about what was meant; `title` says what they do."""

    title: str
    edits: tuple[TextEdit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding.

    `code` names the kind (`E102`), `message` is the line that stands alone, `label` is written under the caret,
    `notes` give numbers (asked, available), `help` gives the next thing to do, and that thing works.
    `hidden` are stretches of the file that no view may print: secrets that stand where only their names belong.
    `fix` is there where what to do is certain; help alone is for people to decide.
    """

    code: str
    message: str
    severity: Severity = Severity.ERROR
    span: Span | None = None
    label: str = ""
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    hidden: tuple[Span, ...] = ()
    fix: Fix | None = None

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


def repeated(text: str, most: int = 240) -> str:
    """What a message repeats of a text: all of it up to `most` characters, else its start and its end."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def _place(finding: Diagnostic) -> tuple[str, int, int, str, str]:
    span = finding.span or Span(file="", line=0, column=0)
    return (span.file, span.line, span.column, finding.code, finding.message)


@dataclass(slots=True)
class Report:
    """Collects findings; nothing is raised one by one. The one mutable value of the house."""

    findings: list[Diagnostic] = field(default_factory=list)

    def add(self, finding: Diagnostic) -> None:
        self.findings.append(finding)

    def extend(self, findings: Iterable[Diagnostic]) -> None:
        self.findings.extend(findings)

    @property
    def has_errors(self) -> bool:
        return any(finding.is_error for finding in self.findings)

    def in_order(self) -> tuple[Diagnostic, ...]:
        """All findings by place, each once."""
        return tuple(sorted(dict.fromkeys(self.findings), key=_place))

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.in_order())

    def __len__(self) -> int:
        return len(self.findings)
