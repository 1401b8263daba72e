"""What an unquoted YAML scalar means: the YAML 1.2 core rules, and a refusal where readers of YAML disagree."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

Scalar = bool | int | float | str | None


class Ambiguity(NamedTuple):
    """An unquoted scalar that two readers of YAML would take for two things; `help` says how to write each.
    `word` is what it means as a number or truth value, spelt without a doubt; empty where it can mean none, or two."""

    meanings: str
    help: str
    word: str = ""


_WORDS: dict[str, Scalar] = {
    "": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_TRUE_OR_FALSE = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_NUMERIC_START = frozenset("0123456789+-.~")
_MAX_DIGITS = 300
"""Python refuses to convert more than 4300 digits; nothing in a profile needs more than these."""

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)


def resolve(text: str) -> Scalar | Ambiguity:
    """The value of a plain (unquoted) scalar, or why it is refused."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMERIC_START:
        return _number_or_text(text)
    truth = _TRUE_OR_FALSE.get(text.lower()) if len(text) <= 3 else None
    if truth is not None:
        return Ambiguity(f"{truth} or the text `{text}`", f'write `{truth}`, or `"{text}"` for the text', truth)
    return text


def _number_or_text(text: str) -> Scalar | Ambiguity:
    if len(text) <= _MAX_DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        for pattern, explain in _AMBIGUOUS:
            if pattern.fullmatch(text):
                return explain(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def _float(text: str) -> float | Ambiguity:
    number = float(text)
    if math.isinf(number) or len(text) > _MAX_DIGITS:
        return Ambiguity("a number too large to hold, or text", "write a smaller number, or put the text in quotes")
    return number


def _either(text: str, number: object, readings: str) -> Ambiguity:
    return Ambiguity(readings, f'write `{number}` for the number, or `"{text}"` for the text', str(number))


def _leading_zero(text: str) -> Ambiguity:
    decimal = int(text)
    if any(digit in "89" for digit in text):
        return _either(text, decimal, f"the number {decimal} or the text `{text}`")
    octal = int(text, 8)
    readings = f"the octal number {octal} or the decimal number {decimal}"
    return Ambiguity(readings, f'write `{octal}` or `{decimal}` for the number, or `"{text}"` for the text')


def _other_base(text: str) -> Ambiguity:
    number = int(text.replace("_", ""), 0)
    return _either(text, number, f"the number {number} or the text `{text}`")


def _base_sixty(text: str) -> Ambiguity:
    whole, _, fraction = text.replace("_", "").lstrip("+-").partition(".")
    number = 0
    for part in whole.split(":"):
        number = number * 60 + int(part)
    written = f"{'-' if text.startswith('-') else ''}{number}{'.' + fraction if fraction else ''}"
    return _either(text, written, f"the number {written} (base 60) or the text `{text}`")._replace(word="")


def _underscores(text: str) -> Ambiguity:
    digits = text.replace("_", "")
    number = digits if "." in digits else str(int(digits))
    return _either(text, number, f"the number {number} or the text `{text}`")


def _not_finite(text: str) -> Ambiguity:
    name = "not-a-number" if "nan" in text.lower() else "infinity"
    return Ambiguity(f"{name} or the text `{text}`", f'write a finite number, or `"{text}"` for the text')


def _date(text: str) -> Ambiguity:
    return Ambiguity(f"a date or the text `{text}`", f'no key takes a date: write `"{text}"` for the text')


def _tilde(text: str) -> Ambiguity:
    return Ambiguity("no value or the text `~`", f'write `null` for no value, or `"{text}"` for the text')


_AMBIGUOUS: tuple[tuple[re.Pattern[str], Callable[[str], Ambiguity]], ...] = tuple(
    (re.compile(pattern, re.ASCII), explain)
    for pattern, explain in (
        (r"~", _tilde),
        (r"[-+]?0[0-9]+", _leading_zero),
        (r"[-+]?0o[0-7]+", _other_base),
        (r"[-+]?0x[0-9a-fA-F](?:_?[0-9a-fA-F])*", _other_base),
        (r"[-+]?0b[01](?:_?[01])*", _other_base),
        (r"[-+]?[0-9][0-9_]*(?::[0-9]{1,2})+(?:\.[0-9_]*)?", _base_sixty),
        (r"[-+]?(?=[0-9.]*_)(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)", _underscores),
        (r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", _not_finite),
        (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ]+[0-9].*)?", _date),
    )
)
