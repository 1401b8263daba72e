"""The `vllm serve` flags of every known release: names, kinds, choices, defaults, and how `false` is spelt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.releases import KNOWN_RELEASES, closest_known


class Kind(StrEnum):
    """What a flag takes, named as in the package data."""

    SWITCH = "switch"  # present, or spelt the other way round
    BOOLEAN = "boolean"  # takes the word true or false
    INTEGER = "integer"
    HUMAN_INTEGER = "human-integer"  # also `32k` (thousands) and `32K` (1024s)
    HUMAN_INTEGER_OR_AUTO = "human-integer-or-auto"
    NUMBER = "number"
    STRING = "string"
    JSON = "json"  # an object
    JSON_LIST = "json-list"
    JSON_OR_STRING = "json-or-string"
    JSON_OR_INTEGER = "json-or-integer"
    PAIRS = "pairs"  # image=1,video=0
    JSON_OR_PAIRS = "json-or-pairs"

    @property
    def is_json(self) -> bool:
        """Whether the value can be a mapping, written as one JSON element of the command line."""
        return self.value.startswith("json") and self is not Kind.JSON_LIST


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag of one release.

    `name` has no dashes in front. `many`: takes several values after one flag; `repeated`: the flag is given once per
    value. `loose`: choices are compared in lower case with `_` for `-`. `aliases` are other names for the same thing
    (`-tp`, `device-memory-utilization`), `negations` names that say the opposite (`no-enable-lora`), and
    `false_spelling` is the argument for false, None when the release has none.
    """

    name: str
    kind: Kind
    choices: tuple[str | int, ...] = ()
    many: bool = False
    repeated: bool = False
    loose: bool = False
    aliases: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    false_spelling: str | None = None
    default: FlagValue = None
    deprecated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSpan:
    """A row of known releases, from `first` to `last`, in which a flag did not change."""

    first: Release
    last: Release
    flag: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagHistory:
    """Everything known about a flag through the releases, oldest first."""

    name: str
    spans: tuple[FlagSpan, ...]

    @property
    def first(self) -> Release:
        return self.spans[0].first

    @property
    def last(self) -> Release:
        return self.spans[-1].last


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a key under `vllm:` means in a release: the flag, whether the key says its opposite, the dotted rest."""

    flag: Flag
    is_negation: bool = False
    dotted: tuple[str, ...] = ()


_SPEC_KEYS = {
    "c": "choices",
    "m": "many",
    "r": "repeated",
    "l": "loose",
    "a": "aliases",
    "n": "negations",
    "f": "false_spelling",
    "d": "default",
    "x": "deprecated",
}


def spec_of(flag: Flag) -> dict[str, object]:
    """A flag as the package data writes it: one letter per field, nothing for what is empty."""
    spec: dict[str, object] = {"k": flag.kind.value}
    for letter, field in _SPEC_KEYS.items():
        value = getattr(flag, field)
        if field == "default":
            if value is not _default_when_unwritten(flag.kind):
                spec[letter] = value
        elif value not in (None, False, ()):
            spec[letter] = list(value) if isinstance(value, tuple) else value
    return spec


def _default_when_unwritten(kind: Kind) -> FlagValue:
    return False if kind is Kind.SWITCH else None


def flag_of(name: str, spec: Mapping[str, Any]) -> Flag:
    """The inverse of `spec_of`."""
    fields = {field: spec[letter] for letter, field in _SPEC_KEYS.items() if letter in spec}
    for field in ("choices", "aliases", "negations"):
        fields[field] = tuple(fields.get(field, ()))
    kind = Kind(spec["k"])
    fields.setdefault("default", _default_when_unwritten(kind))
    return Flag(name=name, kind=kind, **fields)


@lru_cache(maxsize=1)
def _document() -> Mapping[str, Any]:
    text = files("orchestrator.engine").joinpath("flags.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@lru_cache(maxsize=1)
def _release_indices() -> Mapping[str, int]:
    return {release.text: index for index, release in enumerate(KNOWN_RELEASES)}


@lru_cache(maxsize=128)
def _flags_of_known(release: Release) -> Mapping[str, Flag]:
    order = _release_indices()
    here = order[release.text]
    found = {}
    for name, entries in _document()["flags"].items():
        for first, last, spec in entries:
            if order[first] <= here <= order[last]:
                found[name] = flag_of(name, spec)
                break
    return MappingProxyType(found)


def flags(release: Release) -> Mapping[str, Flag]:
    """The flags of a release by name; those of the closest older one when the release is not known."""
    return _flags_of_known(closest_known(release))


def flag(release: Release, name: str) -> Flag | None:
    """One flag by its own name."""
    return flags(release).get(name)


def history(name: str) -> FlagHistory | None:
    """A flag's life through all known releases; None when no release ever had it under this name."""
    entries = _document()["flags"].get(name)
    if entries is None:
        return None
    spans = (
        FlagSpan(first=Release.of(first), last=Release.of(last), flag=flag_of(name, spec))
        for first, last, spec in entries
    )
    return FlagHistory(name=name, spans=tuple(spans))


def all_names() -> tuple[str, ...]:
    """Every name that a flag ever had as its own, in any release, sorted."""
    return tuple(_document()["flags"])


@lru_cache(maxsize=128)
def _other_names(release: Release) -> Mapping[str, tuple[str, bool]]:
    return dict(_pairs_of_names(_flags_of_known(release).values()))


def _pairs_of_names(known: Any) -> Iterator[tuple[str, tuple[str, bool]]]:
    for each in known:
        for alias in each.aliases:
            yield alias, (each.name, False)
        for negation in each.negations:
            yield negation, (each.name, True)


def plain_name(key: str) -> str:
    """A key with dashes for underscores before the first dot, as vLLM reads its own `--config` files."""
    head, dot, rest = key.partition(".")
    return head.replace("_", "-") + dot + rest


def find_named(key: str, release: Release) -> Named | None:
    """The flag that a key means in a release: its own name, another name, or `flag.key` into a JSON flag."""
    head, dot, rest = plain_name(key).partition(".")
    known = flags(release)
    name, is_negation = head, False
    if name not in known:
        name, is_negation = _other_names(closest_known(release)).get(head, ("", False))
    if name not in known or (head.startswith("-")):
        return None
    return Named(flag=known[name], is_negation=is_negation, dotted=tuple(rest.split(".")) if dot else ())


def flag_with_short_name(letters: str, release: Release) -> Flag | None:
    """The flag that has `-letters` as a short name (`tp`)."""
    name, _ = _other_names(closest_known(release)).get(f"-{letters.lstrip('-')}", ("", False))
    return flags(release).get(name)


def completions(beginning: str, release: Release) -> Mapping[str, tuple[str, bool]]:
    """The names that begin so, as argparse completes a beginning: each with the flag it means, and whether it says the
    opposite. Several with different meanings are ambiguous to it; one is taken without a word."""
    names = {**{name: (name, False) for name in flags(release)}, **_other_names(closest_known(release))}
    return {name: names[name] for name in sorted(names) if beginning and name.startswith(beginning)}
