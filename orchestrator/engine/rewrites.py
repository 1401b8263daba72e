"""What takes the place of a flag, a value or a variable that a release does not have: mechanism, and shapes of rows.

The rows are in `rewrite_table`. One row is the help line of a finding, the fix of `validate --fix` and a step of
`migrate`, so that these three cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.flag_values import Flags

Part = tuple[tuple[str, ...], FlagValue]
"""A flag, or a flag and the keys that lead into its mapping, with the value that belongs there."""

Parts = tuple[Part, ...]
Write = Callable[[FlagValue, Flags], Parts | None]
"""From a flag's plain value and all flags beside it to what takes its place; None where a person must decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """`key`, as it was written, gives way to `parts` (none: it is deleted); `why` says what makes that the same."""

    key: str
    parts: Parts
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What becomes of `old` in a release without it that knows all of `new`.

    `how` tells a person what to do. `why` says what makes that safe; after a colon, it asks what a person must decide
    where `write` gives None.
    """

    old: str
    new: tuple[str, ...]
    how: str
    why: str
    write: Write

    @property
    def reason(self) -> str:
        """What makes it safe, without the question."""
        return self.why.partition(": ")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRewrite:
    """`new` means to `flag` what `old` meant in the releases that know only one of the two."""

    flag: str
    old: FlagValue
    new: FlagValue
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableRewrite:
    """A variable that releases read up to `last` (and from `first` on), and the flag that took its place in `since`.

    `write` gives the flag's parts for the variable's text, and `back` the text for the flag's value.
    """

    variable: str
    last: Release
    flag: str
    since: Release
    how: str
    why: str
    write: Callable[[str], Parts | None]
    back: Callable[[FlagValue], str | None]


def same(old: str, new: str, *, how: str = "", why: str = "only the name changed") -> Rewrite:
    """Another name for the same thing."""
    return Rewrite(
        old=old,
        new=(new,),
        how=how or f"write `{new}` with the same value",
        why=why,
        write=lambda value, _: (((new,), value),),
    )


def inside(old: str, new: str, key: str, *, how: str = "") -> Rewrite:
    """A flag that became a key of a mapping."""
    return Rewrite(
        old=old,
        new=(new,),
        how=how or f"write `{new}: {{{key}: ...}}` with the same value",
        why=f"the same setting is a key of `{new}`",
        write=lambda value, _: (((new, key), value),),
    )


def taken_apart(old: str, keys: Mapping[str, str], *, how: str, main: str) -> Rewrite:
    """A mapping whose keys were flags of their own; `keys` says which."""

    def write(value: FlagValue, _: Flags) -> Parts | None:
        if not isinstance(value, dict) or not set(value) <= set(keys):
            return None
        return tuple(((keys[key],), part) for key, part in value.items())

    known = ", ".join(f"`{key}`" for key in keys)
    why = f"its keys were flags of their own: what shall become of others than {known}?"
    return Rewrite(old=old, new=(main,), how=how, why=why, write=write)


def gone(old: str, why: str, *, how: str = "delete the line", only: Iterable[FlagValue] | None = None) -> Rewrite:
    """A flag that nothing takes the place of, or none is needed; `only` are the values of which that is certain."""
    certain = None if only is None else tuple(only)

    def write(value: FlagValue, _: Flags) -> Parts | None:
        return () if certain is None or any(_is(value, each) for each in certain) else None

    return Rewrite(old=old, new=(), how=how, why=why, write=write)


def asks(old: str, why: str, *, how: str = "delete the line", new: tuple[str, ...] = ()) -> Rewrite:
    """A flag about which only a person can decide."""
    return Rewrite(old=old, new=new, how=how, why=why, write=lambda _value, _flags: None)


def by_value(
    old: str, new: tuple[str, ...], parts: Iterable[tuple[FlagValue, Parts]], *, how: str, why: str
) -> Rewrite:
    """A flag of which each value has its own answer; a person decides about the others."""
    answers = tuple(parts)

    def write(value: FlagValue, _: Flags) -> Parts | None:
        return next((answer for known, answer in answers if _is(value, known)), None)

    return Rewrite(old=old, new=new, how=how, why=why, write=write)


def _is(one: FlagValue, other: FlagValue) -> bool:
    """Equality that knows `1` from `true`."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)
