"""Typed looks at canonical flags (see `canonical`): a value of another type counts as not given, nothing is raised."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.profile import FlagValue

Flags = Mapping[str, FlagValue]
"""Flags by their own names with plain values, or one of the mappings in them."""


def as_positive_integer(value: FlagValue) -> int | None:
    """A whole number above zero."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def integer(flags: Flags, name: str) -> int | None:
    """A whole number, of whatever sign."""
    value = flags.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def positive_integer(flags: Flags, name: str) -> int | None:
    """A whole number above zero."""
    return as_positive_integer(flags.get(name))


def number(flags: Flags, name: str) -> float | None:
    """A number above zero."""
    value = flags.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and isinstance(value, int | float) and value > 0 else None


def fraction(flags: Flags, name: str) -> float | None:
    """A number above 0 and at most 1."""
    value = number(flags, name)
    return value if value is not None and value <= 1 else None


def text(flags: Flags, name: str) -> str | None:
    """A text that is not empty."""
    value = flags.get(name)
    return value if isinstance(value, str) and value else None


def switch(flags: Flags, name: str) -> bool | None:
    """Whether something is on; None where nothing is said about it."""
    value = flags.get(name)
    return value if isinstance(value, bool) else None


def mapping(flags: Flags, name: str) -> Flags:
    """A mapping; empty where there is none."""
    value = flags.get(name)
    return value if isinstance(value, dict) else {}


def positive_integers(flags: Flags, name: str) -> tuple[int, ...]:
    """The whole numbers above zero of a list (or a single one), sorted, each once."""
    value = flags.get(name)
    parts = value if isinstance(value, list) else [value]
    return tuple(sorted({part for each in parts if (part := as_positive_integer(each)) is not None}))
