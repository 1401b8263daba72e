"""What happened to flags between releases: in words, span by span, and as the list of changes of an upgrade."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import ROPE_FLAGS
from orchestrator.engine.flags import Flag, FlagHistory, Kind, find_named, flags, history
from orchestrator.engine.releases import KNOWN_RELEASES
from orchestrator.engine.rewrite_table import rewrite_of

_WORDS = {
    Kind.SWITCH: "a switch",
    Kind.BOOLEAN: "true or false",
    Kind.INTEGER: "an integer",
    Kind.HUMAN_INTEGER: "an integer (also 32K, 32k)",
    Kind.HUMAN_INTEGER_OR_AUTO: "an integer (also 32K, 32k) or auto",
    Kind.NUMBER: "a number",
    Kind.STRING: "text",
    Kind.JSON: "a mapping",
    Kind.JSON_LIST: "a list",
    Kind.JSON_OR_STRING: "a mapping or text",
    Kind.JSON_OR_INTEGER: "a mapping or an integer",
    Kind.PAIRS: "name=number pairs",
    Kind.JSON_OR_PAIRS: "a mapping or name=number pairs",
}


_FEW = 4
"""Choices that are spelt out where there is little room."""


def type_in_words(flag: Flag) -> str:
    """What a flag takes, apart from its choices: `text, several`."""
    return _WORDS[flag.kind] + (", several" if flag.many or flag.repeated else "")


def takes_in_words(flag: Flag) -> str:
    """What a flag takes, in a few words, choices included where there are few."""
    if not flag.choices:
        return type_in_words(flag)
    several = ", several" if flag.many or flag.repeated else ""
    few = " or ".join(str(choice) for choice in flag.choices)
    return (few if len(flag.choices) <= _FEW else f"one of {len(flag.choices)} words") + several


def default_in_words(flag: Flag) -> str:
    """The parser's default as in a profile; `none` where it has none, or one that only vLLM itself can compute."""
    return "none" if flag.default is None else value_in_words(flag.default)


def value_in_words(value: FlagValue) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def false_in_words(flag: Flag) -> str:
    """How the command line says false; empty for what takes other values."""
    if flag.kind not in {Kind.SWITCH, Kind.BOOLEAN}:
        return ""
    return flag.false_spelling or "cannot be said"


FALSE, OTHER_NAMES = "false", "other names"
"""What is only about the spelling on the command line, which a profile need not care about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing about a flag that is not as it was; of lists, what came (`after`) and what went (`before`)."""

    what: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def differences(before: Flag, after: Flag) -> tuple[Difference, ...]:
    """Everything in which two releases disagree about a flag."""
    one, other = _facts(before), _facts(after)
    moved = ((what, _without(one[what], other[what]), _without(other[what], one[what])) for what in one)
    return tuple(Difference(what=what, before=gone, after=new) for what, gone, new in moved if gone or new)


def _facts(flag: Flag) -> dict[str, tuple[str, ...]]:
    return {
        "type": (type_in_words(flag),),
        "choices": tuple(str(choice) for choice in flag.choices) or ("any",),
        "default": (default_in_words(flag),),
        FALSE: (false_in_words(flag),),
        "deprecated": ("yes" if flag.deprecated else "no",),
        OTHER_NAMES: (*flag.aliases, *flag.negations),
    }


def _without(row: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in row if each not in other)


class ChangeKind(StrEnum):
    REMOVED = "removed"
    CHANGED = "changed"
    ADDED = "added"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagChange:
    """What is different about one flag in the release that is gone to.

    `turns` are the releases in between at which something about it changed, oldest first, whichever way one goes.
    `instead` says what to write now; it is empty where nothing is known, or nothing needs to be done.
    """

    name: str
    kind: ChangeKind
    before: Flag | None
    after: Flag | None
    turns: tuple[Release, ...]
    differences: tuple[Difference, ...] = ()
    instead: str = ""

    @property
    def is_spelling_only(self) -> bool:
        """Whether profiles stay as they are, because only command lines are spelt otherwise."""
        return self.kind is ChangeKind.CHANGED and all(each.what in (FALSE, OTHER_NAMES) for each in self.differences)


def changes_between(here: Release, there: Release) -> tuple[FlagChange, ...]:
    """Everything about flags that is different in `there`, by name; both are known, and either may be the newer."""
    old, new = flags(here), flags(there)
    found = (_change(name, old.get(name), new.get(name), here, there) for name in sorted({*old, *new}))
    return tuple(change for change in found if change.kind is not ChangeKind.CHANGED or change.differences)


def _change(name: str, before: Flag | None, after: Flag | None, here: Release, there: Release) -> FlagChange:
    kind = ChangeKind.CHANGED if before and after else ChangeKind.ADDED if after else ChangeKind.REMOVED
    past = history(name)
    return FlagChange(
        name=name,
        kind=kind,
        before=before,
        after=after,
        turns=tuple(_turns(past, min(here, there), max(here, there))) if past else (),
        differences=differences(before, after) if before and after else (),
        instead=_instead(name, there) if kind is ChangeKind.REMOVED else "",
    )


def _turns(past: FlagHistory, oldest: Release, newest: Release) -> Iterator[Release]:
    """The releases after `oldest`, up to `newest`, that have the flag otherwise than the one before, or lost it."""
    spans = [(span.first, span.last) for span in past.spans]
    known = list(KNOWN_RELEASES)
    for number, release in enumerate(known):
        begins = any(release == first for first, _ in spans)
        is_lost = number > 0 and any(known[number - 1] == last for _, last in spans) and not begins
        if oldest < release <= newest and (begins or is_lost):
            yield release


def _instead(name: str, release: Release) -> str:
    if name in ROPE_FLAGS:
        return "nothing to do: in profiles it stays, and is turned into what the release wants"
    other = find_named(name, release)
    if other is not None:
        opposite = "the opposite" if other.is_negation else "another name"
        return f"it is {opposite} of `{other.flag.name}` there"
    return successor_of(name, release) or predecessor_of(name, release) or ""


def successor_of(name: str, release: Release) -> str | None:
    """What to write instead of a flag that the release no longer has; None where nothing is known about it."""
    return None if _is_to_come(name, release) else _how(name, release)


def predecessor_of(name: str, release: Release) -> str | None:
    """What to write instead of a flag that the release does not have yet; None where nothing is known about it."""
    return _how(name, release) if _is_to_come(name, release) else None


def _is_to_come(name: str, release: Release) -> bool:
    past = history(name)
    return past is not None and release < past.first


def _how(name: str, release: Release) -> str | None:
    row = rewrite_of(name, release)
    return row.how if row else None
