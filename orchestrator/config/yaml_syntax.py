"""What is wrong with a text that is not YAML: the parser's complaints in plain words, with the next step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from orchestrator.domain.diagnostics import Diagnostic, Fix, Severity, Span, TextEdit

_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)"
)
"""Control characters, lone carriage returns, line separators that only some editors honour, halves of surrogates."""

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_MAX_PLACES = 5


class SyntaxRule(NamedTuple):
    """`pattern` is what the parser says; `at_context` points at where the construct began instead of where it broke."""

    pattern: re.Pattern[str]
    code: str
    message: str
    help: str
    at_context: bool = False


_RULES = tuple(
    SyntaxRule(re.compile(pattern), code, message, help_, at_context)
    for pattern, code, message, help_, at_context in (
        (
            r"incompatible YAML document|duplicate YAML directive|scanning a directive|duplicate tag handle",
            "E113",
            "a `%` directive",
            "remove the directive: profiles are plain YAML 1.2",
            False,
        ),
        (r"character '\\t' that", "E117", "a tab where YAML wants spaces", "replace the tab by spaces", False),
        (
            r"character '(?P<what>.+?)' that cannot",
            "E101",
            "no value can start with `{what}`",
            "put the value in quotes",
            False,
        ),
        (
            r"could not find expected ':'",
            "E101",
            "this is neither a key nor a value: there is no `:` after it",
            "write `key: value`; indent a value that goes on over several lines",
            True,
        ),
        (
            r"mapping values are not allowed",
            "E101",
            "a `:` that cannot start a value here",
            "put a value that contains `: ` in quotes, or check the indentation of the line",
            False,
        ),
        (
            r"expected <block end>, but found '(?P<what>.+?)'",
            "E101",
            "this does not fit what stands above it (found `{what}`)",
            "give it the same indentation as its neighbours, or put the value above it in quotes",
            False,
        ),
        (
            r"found unexpected (end of stream|document separator).*quoted",
            "E101",
            "this quote is never closed",
            "close the quote",
            True,
        ),
        (
            r"expected ',' or '(?P<what>[\]}])'",
            "E101",
            "this is never closed: `,` or `{what}` is missing",
            "close it with `{what}`, or put a comma between its entries",
            True,
        ),
        (
            r"unknown escape character '(?P<what>.+?)'",
            "E101",
            "`\\{what}` is no escape sequence",
            "write `\\\\` for a backslash, or use single quotes",
            False,
        ),
        (
            r"escape sequence|chr\(\)|too large to convert|character code",
            "E101",
            "this escape sequence names no character",
            "use single quotes for text with backslashes",
            False,
        ),
        (
            r"(sequence entries|block sequence entries) are not allowed",
            "E101",
            "a list entry cannot stand here",
            "put the `-` on a line of its own, below the key",
            False,
        ),
    )
)
_FALLBACK = SyntaxRule(re.compile(""), "E101", "not valid YAML", "check quotes, brackets and indentation on this line")


class Forbidden(NamedTuple):
    """A character that no profile may hold, in words, and the next step where an escape sequence wrote it."""

    name: str
    help: str


def name_of_forbidden(text: str) -> Forbidden | None:
    """The first character of a value (of a quoted scalar with escapes) that no profile may hold."""
    match = _FORBIDDEN.search(text)
    if match is None:
        return None
    if "\ud800" <= match.group() <= "\udfff":
        help_ = "write the character itself, or both halves of it (`\\ud83c\\udf89`)"
        return Forbidden(f"half of a character (`\\u{ord(match.group()):04x}`)", help_)
    return Forbidden("a control character", "remove the escape sequence that stands for a control character")


def with_joined_surrogates(text: str) -> str:
    """The text with each pair of surrogate escapes (how JSON writes an emoji) as the one character that it means."""
    return _PAIR.sub(lambda match: match.group().encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)


def check_text(text: str, file: str) -> list[Diagnostic]:
    """Findings about characters, before any parsing: errors for what no profile may hold, warnings for the rest."""
    findings = []
    places = list(_FORBIDDEN.finditer(text, 1 if text.startswith("\ufeff") else 0))
    for match in places[:_MAX_PLACES]:
        findings.append(_forbidden(text, match.start(), file, len(places)))
    if text.startswith("\ufeff"):
        span = Span(file=file, end_column=2)
        help_ = ("save the file as UTF-8 without a byte order mark",)
        message = "the file starts with a byte order mark"
        fix = Fix(title="remove the byte order mark", edits=(TextEdit(span=span, text=""),))
        finding = Diagnostic(code="W101", message=message, severity=Severity.WARNING, span=span, help=help_, fix=fix)
        findings.append(finding)
    if "\r\n" in text:
        findings.append(_windows_line_ends(text, file))
    return findings


def _windows_line_ends(text: str, file: str) -> Diagnostic:
    count = text.count("\r\n")
    return Diagnostic(
        code="W102",
        message="the file has Windows line ends",
        severity=Severity.WARNING,
        span=_span_at(text, text.index("\r\n"), file),
        notes=(f"{count} of {text.count(chr(10))} line ends are CR LF",),
        help=("save the file with LF line ends",),
        fix=Fix(title="write LF line ends", edits=tuple(_carriage_returns(text, file))),
    )


def _carriage_returns(text: str, file: str) -> Iterator[TextEdit]:
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        if line.endswith("\r"):
            span = Span(file=file, line=number, column=len(line), end_line=number, end_column=len(line) + 1)
            yield TextEdit(span=span, text="")


def _span_at(text: str, offset: int, file: str) -> Span:
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    return Span(file=file, line=line, column=column, end_line=line, end_column=column + 1)


def _forbidden(text: str, offset: int, file: str, total: int) -> Diagnostic:
    character = text[offset]
    name = {"\0": "a NUL byte", "\r": "a carriage return without a line feed"}.get(character, "a control character")
    return Diagnostic(
        code="E116",
        message=f"{name} (U+{ord(character):04X}) in a text file",
        span=_span_at(text, offset, file),
        label="not allowed here",
        notes=(f"{total} such characters in the file",) if total > 1 else (),
        help=("remove it, or save the file again as plain UTF-8 text",),
    )


def explain(error: Exception, reached: yaml.Mark, file: str, *, first_line_offset: int, line_count: int) -> Diagnostic:
    """The finding for an exception of the pure Python parser, which had `reached` that mark.

    `first_line_offset` counts a byte order mark.
    """
    problem = str(getattr(error, "problem", None) or error)
    said = f"{problem} {getattr(error, 'context', None) or ''}"
    rule = next((rule for rule in _RULES if rule.pattern.search(said)), _FALLBACK)
    match = rule.pattern.search(said)
    what = (match.groupdict().get("what") if match else None) or ""
    mark = _mark(error, at_context=rule.at_context) or reached
    line, column = mark.line + 1, mark.column + 1
    line = min(line, line_count)
    if line == 1:
        column += first_line_offset
    is_at_start = (line, column) == (1, 1)  # where a span without width would mean the whole file
    return Diagnostic(
        code=rule.code,
        message=rule.message.format(what=_as_typed(what)),
        span=Span(file=file, line=line, column=column, end_line=line, end_column=column + is_at_start),
        notes=(f"the YAML parser says: {problem}",),
        help=(rule.help.format(what=what),),
    )


def _mark(error: Exception, *, at_context: bool) -> yaml.Mark | None:
    problem: yaml.Mark | None = getattr(error, "problem_mark", None)
    context: yaml.Mark | None = getattr(error, "context_mark", None)
    return (context or problem) if at_context else (problem or context)


def _as_typed(what: str) -> str:
    """The parser names its tokens; people know the signs."""
    return {"<block sequence start>": "-", "-": "-", "<scalar>": "a value", "<block mapping start>": "a key"}.get(
        what, what
    )
