"""JSON text read strictly into plain values, each key and value remembering where it stood."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from orchestrator.domain.diagnostics import Diagnostic, Span
from orchestrator.domain.profile import KeyPath, Places

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_WORDS = {"true": True, "false": False, "null": None}
_SURROGATE = re.compile("[\ud800-\udfff]")
_DEEPEST = 32
_LONGEST_NUMBER = 40


def parse_json(text: str, file: str, *, help_line: str) -> tuple[object, Places] | tuple[Diagnostic, ...]:
    """The value and its places, or why there is none: the first slip of syntax (E411), every key written twice (E412).

    Nothing is guessed: no `NaN`, no comments, no trailing commas. `help_line` says where a whole file comes from.
    """
    reader = _Reader(text, file, help_line)
    try:
        value = reader.document()
    except _SyntaxSlipError as slip:
        return (slip.finding, *reader.findings)
    if reader.findings:
        return tuple(reader.findings)
    return value, reader.places


class _SyntaxSlipError(Exception):
    """Where JSON ends to be JSON; never leaves this module."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(finding.message)
        self.finding = finding


class _Reader:
    """Walks through the text once; `places` and `findings` grow on the way."""

    def __init__(self, text: str, file: str, help_line: str) -> None:
        self._text = text
        self._file = file
        self._help_line = help_line
        self._at = 0
        self._line_starts = [0, *(match.end() for match in re.finditer(r"\n", text))]
        self._keys: dict[KeyPath, Span] = {}
        self._values: dict[KeyPath, Span] = {}
        self.places = Places(file, self._keys, self._values)
        self.findings: list[Diagnostic] = []

    def document(self) -> object:
        self._skip_blank()
        value = self._value(())
        if self._at < len(self._text):
            raise self._slip("text after the end of the JSON value", self._at, self._at + 1)
        return value

    def _value(self, path: KeyPath) -> object:
        start = self._at
        if len(path) > _DEEPEST:
            raise self._slip(f"nested more than {_DEEPEST} deep", start, start + 1)
        match self._text[start : start + 1]:
            case "{":
                value: object = self._object(path)
            case "[":
                value = self._array(path)
            case '"':
                value = self._string()
            case _:
                value = self._number_or_word()
        self._values[path] = self._span(start, self._at)
        self._skip_blank()
        return value

    def _object(self, path: KeyPath) -> dict[str, object]:
        found: dict[str, object] = {}
        self._step()
        while not self._closes("}", first=not found):
            start = self._at
            if not self._text.startswith('"', start):
                raise self._slip('expected a key in `"` or `}`', start, start + 1)
            key = self._string()
            span = self._span(start, self._at)
            self._skip_blank()
            self._expect(":")
            if key in found:
                self._add_duplicate(key, span, self._keys[*path, key])
            else:
                self._keys[*path, key] = span
            found[key] = self._value((*path, key))
        return found

    def _array(self, path: KeyPath) -> list[object]:
        found: list[object] = []
        self._step()
        while not self._closes("]", first=not found):
            found.append(self._value((*path, len(found))))
        return found

    def _closes(self, bracket: str, *, first: bool) -> bool:
        """Takes the closing bracket, or the comma before the next entry."""
        if self._text.startswith(bracket, self._at):
            self._at += 1
            return True
        if not first:
            comma = self._at
            self._expect(",", f"expected `,` or `{bracket}`")
            if self._text.startswith(bracket, self._at):
                raise self._slip(f"a comma before `{bracket}`", comma, comma + 1)
        return False

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            end = self._text.find("\n", self._at)
            raise self._slip("a string that does not end, or holds what JSON wants escaped", self._at, end)
        text: str = json.loads(match[0])
        if _SURROGATE.search(text):
            raise self._slip("half a surrogate pair is no character", self._at, match.end())
        self._at = match.end()
        return text

    def _number_or_word(self) -> object:
        start = self._at
        word = _WORD.match(self._text, start)
        if word is not None:
            if word[0] not in _WORDS:
                raise self._slip(f"`{word[0]}` is not JSON", start, word.end())
            self._at = word.end()
            return _WORDS[word[0]]
        number = _NUMBER.match(self._text, start)
        if number is None:
            raise self._slip("expected a value", start, start + 1)
        if len(number[0]) > _LONGEST_NUMBER:
            raise self._slip(f"a number of more than {_LONGEST_NUMBER} characters", start, number.end())
        self._at = number.end()
        return float(number[0]) if number[1] or number[2] else int(number[0])

    def _step(self) -> None:
        self._at += 1
        self._skip_blank()

    def _expect(self, character: str, otherwise: str = "") -> None:
        if not self._text.startswith(character, self._at):
            raise self._slip(otherwise or f"expected `{character}`", self._at, self._at + 1)
        self._step()

    def _skip_blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = self._at if match is None else match.end()

    def _add_duplicate(self, key: str, span: Span, first: Span) -> None:
        finding = Diagnostic(
            code="E412",
            message=f"key `{key}` is written twice",
            span=span,
            label="here again",
            notes=(f"first on line {first.line}",),
            help=("keep one of the two",),
        )
        self.findings.append(finding)

    def _slip(self, what: str, start: int, end: int) -> _SyntaxSlipError:
        at_end = start >= len(self._text)
        return _SyntaxSlipError(
            Diagnostic(
                code="E411",
                message="the file ends in the middle of its JSON" if at_end else f"this is not JSON: {what}",
                span=self._span(start, max(end, start)),
                label="here it ends" if at_end else what,
                help=(self._help_line,),
            )
        )

    def _span(self, start: int, end: int) -> Span:
        line, column = self._place(start)
        end_line, end_column = self._place(end)
        return Span(file=self._file, line=line, column=column, end_line=end_line, end_column=end_column)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1
