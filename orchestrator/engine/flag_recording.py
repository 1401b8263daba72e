"""How a release gets into the package data: the parser of an installed vLLM is read and merged into `flags.json`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from orchestrator.domain.release import Release
from orchestrator.engine.flags import Flag, Kind, spec_of
from orchestrator.engine.release_rows import merge_rows, rows_text

_REFUSED = object()
_SUPPRESSED = "==SUPPRESS=="
_NARROWER: Mapping[str, Kind] = {
    "hf-overrides": Kind.JSON,  # any text passes, and the start fails on it
    "max-num-queued-tokens": Kind.INTEGER,  # takes `2K`, as of 0.32.0; since when is not known
    "max-num-scheduled-tokens": Kind.INTEGER,  # the same
}
"""Flags of which less is recorded than their parser takes, so that a profile is right for every release."""

_PARSED_BY_THE_ACTION = {"LoRAParserAction": Kind.JSON_OR_STRING}
"""Actions that convert by themselves, where the converter shows nothing."""

_SWITCHES = ("BooleanOptionalAction", "EnableDisableAction", "_StoreTrueAction")


def recorded_flags(parser: argparse.ArgumentParser) -> tuple[Flag, ...]:
    """Every option of a parser as a Flag, by name. Kinds are found by asking each converter what it accepts."""
    actions = (action for action in parser._actions if any(name.startswith("--") for name in action.option_strings))
    recorded = (_recorded(action) for action in actions if not isinstance(action, argparse._HelpAction))
    return tuple(sorted(recorded, key=lambda flag: flag.name))


def merge_release(document: Mapping[str, Any], release: Release, flags: Iterable[Flag]) -> dict[str, Any]:
    """The package data with one more release, newer than all of its `releases` (ValueError otherwise)."""
    return merge_rows(document, release, {flag.name: spec_of(flag) for flag in flags}, rows="flags")


def releases_text(releases: Iterable[str]) -> str:
    """`releases.json` as text, one release per line."""
    return "[\n" + ",\n".join(json.dumps(each) for each in releases) + "\n]\n"


def document_text(document: Mapping[str, Any]) -> str:
    """`flags.json` as text, one flag per line, so that a new release reads well as a diff."""
    return rows_text(document, rows="flags")


def _recorded(action: argparse.Action) -> Flag:
    names = [name.removeprefix("--") for name in action.option_strings]
    name = next(name for name in names if not name.startswith("-"))
    kind = _NARROWER.get(name) or _kind(action)
    opposite = set(opposites(name)) if kind in {Kind.SWITCH, Kind.BOOLEAN} else set()
    negations = tuple(sorted((each for each in names if each in opposite), key=opposites(name).index))
    return Flag(
        name=name,
        kind=kind,
        choices=tuple(choice for choice in action.choices or () if choice not in (None, "None")),
        many=action.nargs in ("+", "*"),
        repeated=type(action).__name__ == "_AppendAction" and action.nargs is None,
        loose=_probe(action.type, "X-y") == "x_y",
        aliases=tuple(each for each in names if each != name and each not in opposite),
        negations=negations,
        false_spelling=false_spelling(name, type(action).__name__, negations),
        default=_plain_default(action.default),
        deprecated=bool(getattr(action, "deprecated", False)) or "deprecated" in (action.help or "").lower(),
    )


def opposites(name: str) -> tuple[str, ...]:
    """The names that vLLM gives to the opposite of a switch, the preferred one first."""
    swaps = {"enable-": "disable-", "disable-": "enable-"}
    swapped = tuple(to + name.removeprefix(front) for front, to in swaps.items() if name.startswith(front))
    return (*swapped, f"no-{name}")


def false_spelling(name: str, action: str, negations: tuple[str, ...]) -> str | None:
    """The argument that says false."""
    if action == "StoreBoolean":
        return f"--{name}=false"
    return f"--{negations[0]}" if negations else None


def _kind(action: argparse.Action) -> Kind:
    if type(action).__name__ in _SWITCHES:
        return Kind.SWITCH
    if type(action).__name__ == "StoreBoolean" or action.type is bool:
        return Kind.BOOLEAN
    by_action = _PARSED_BY_THE_ACTION.get(type(action).__name__)
    return by_action or kind_accepted_by(action.type, default=action.default)


def kind_accepted_by(converter: object, *, default: object = None) -> Kind:
    """The kind of a flag from what its converter makes of a few texts; None converts nothing."""
    if not callable(converter):
        return Kind.STRING
    takes = {text for text in ("1", "1.5", "1k", "auto", "x", "{}", "a=1") if _probe(converter, text) is not _REFUSED}
    return next(kind for kind, matches in _tests(takes, converter, default) if matches)


def _tests(takes: set[str], converter: object, default: object) -> Iterator[tuple[Kind, bool]]:
    makes_object = "{}" in takes and not isinstance(_probe(converter, "{}"), str | list)
    yield Kind.JSON_OR_STRING, "x" in takes and makes_object
    yield Kind.INTEGER, "x" in takes and type(_plain_default(default)) is int  # read as a number later
    yield Kind.STRING, "x" in takes
    yield Kind.JSON_LIST, makes_object and isinstance(default, list)
    yield Kind.JSON_OR_PAIRS, makes_object and "a=1" in takes
    yield Kind.JSON, makes_object
    yield Kind.PAIRS, "a=1" in takes
    yield Kind.HUMAN_INTEGER_OR_AUTO, {"1k", "auto"} <= takes
    yield Kind.HUMAN_INTEGER, "1k" in takes
    yield Kind.NUMBER, "1.5" in takes
    yield Kind.INTEGER, "1" in takes
    yield Kind.STRING, True


def _probe(converter: object, text: str) -> object:
    if not callable(converter):
        return _REFUSED
    function: Callable[[str], object] = converter
    try:
        return function(text)
    except (ValueError, TypeError, KeyError, AttributeError, SyntaxError, argparse.ArgumentTypeError):
        return _REFUSED


def _plain_default(default: object) -> Any:
    """A default that JSON can hold; None for empty texts, objects, and what the parser hides."""
    if isinstance(default, Enum):
        return _plain_default(default.value)
    if isinstance(default, str | bool | int | float):
        return None if default in ("", _SUPPRESSED) or str(default).startswith("<") else default
    return default if isinstance(default, list | dict) and default else None
