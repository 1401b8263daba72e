"""The `VLLM_...` environment variables of every recorded release: what each takes, and its default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from orchestrator.domain.release import Release
from orchestrator.engine.release_rows import neighbours

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Takes(StrEnum):
    """What a release makes of a variable's text, named as in the package data."""

    TEXT = "text"  # anything, or not known
    INTEGER = "integer"  # fails on what is no whole number
    NUMBER = "number"
    SWITCH = "switch"  # a whole number that counts as yes or no: `true` fails
    WORDS = "words"  # yes for a few words, no for anything else
    CHOICE = "choice"  # fails on other words
    CHOICES = "choices"  # the same for each part between commas


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable of one release. `words` are those that mean yes, or the choices; `loose`: in any case of letters.

    `default` is the text that counts when nothing is set; None where there is none, or it is computed.
    """

    name: str
    takes: Takes
    words: tuple[str, ...] = ()
    loose: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableSpan:
    """A row of recorded releases, from `first` to `last`, in which a variable did not change."""

    first: Release
    last: Release
    variable: Variable


_SPEC_KEYS = {"w": "words", "l": "loose", "d": "default"}


def spec_of_variable(variable: Variable) -> dict[str, object]:
    """A variable as the package data writes it: one letter per field, nothing for what is empty."""
    written = {letter: getattr(variable, field) for letter, field in _SPEC_KEYS.items()}
    filled = {letter: value for letter, value in written.items() if value not in (None, False, ())}
    return {"k": variable.takes.value, **{key: list(v) if isinstance(v, tuple) else v for key, v in filled.items()}}


def variable_of(name: str, spec: Mapping[str, Any]) -> Variable:
    """The inverse of `spec_of_variable`."""
    fields = {field: spec[letter] for letter, field in _SPEC_KEYS.items() if letter in spec}
    return Variable(name=name, takes=Takes(spec["k"]), **{**fields, "words": tuple(fields.get("words", ()))})


@lru_cache(maxsize=1)
def _histories() -> Mapping[str, tuple[VariableSpan, ...]]:
    return MappingProxyType(
        {
            name: tuple(
                VariableSpan(first=Release.of(first), last=Release.of(last), variable=variable_of(name, spec))
                for first, last, spec in entries
            )
            for name, entries in _document()["variables"].items()
        }
    )


@lru_cache(maxsize=1)
def _document() -> Mapping[str, Any]:
    text = files("orchestrator.engine").joinpath("environment.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@lru_cache(maxsize=1)
def recorded_releases() -> tuple[Release, ...]:
    """The releases whose variables were read, oldest first; between two of them what either has counts as known."""
    return tuple(Release.of(text) for text in _document()["releases"])


def variable(name: str, release: Release) -> Variable | None:
    """A variable as a release reads it; None when the release does not know it."""
    below, above = neighbours(release, recorded_releases())
    spans = (span for span in _histories().get(name, ()) if span.first <= above and below <= span.last)
    return next((span.variable for span in spans), None)


def variable_history(name: str) -> tuple[VariableSpan, ...]:
    """A variable's life through the recorded releases, oldest first; empty when none ever had it."""
    return _histories().get(name, ())


@lru_cache(maxsize=16)
def variable_names(release: Release) -> tuple[str, ...]:
    """The variables that a release knows, sorted."""
    return tuple(name for name in _histories() if variable(name, release) is not None)


def setting(environment: Mapping[str, str], name: str, release: Release) -> str | None:
    """What counts for a variable in a release: the text that is set, else the default; None where it knows neither."""
    known = variable(name, release)
    return None if known is None else environment.get(name, known.default)


def is_on(environment: Mapping[str, str], name: str, release: Release) -> bool | None:
    """Whether a release takes a variable for a yes; None when it does not know it, fails on it, or nothing is said."""
    known, text = variable(name, release), setting(environment, name, release)
    if known is None or text is None:
        return None
    if known.takes is Takes.WORDS:
        return folded(text, known) in known.words
    return bool(number) if (number := whole(text)) is not None else None


def folded(text: str, known: Variable) -> str:
    """A text as the release compares it with its words."""
    return text.strip().lower() if known.loose else text


def whole(text: str) -> int | None:
    """The whole number that a text is to Python, blanks and underscores included; None where it is none."""
    try:
        return int(text)
    except ValueError:
        return None
