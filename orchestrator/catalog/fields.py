"""Reading a config.json field by field: several spellings, null as missing, problems collected by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

_StandIn = TypeVar("_StandIn")

_LARGEST = 10**10
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one JSON object. `path` is put before their names in `problems`, which nested objects share.

    A missing or wrong field gives a harmless stand-in and adds a problem, so that one reading finds all of them.
    """

    values: Mapping[str, object]
    path: str = ""
    problems: list[str] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        """Whether one of the spellings is there and not null."""
        return any(self.values.get(name) is not None for name in names)

    def integer(self, *names: str, default: int | None = None, least: int = 1, most: int = _LARGEST) -> int:
        """A whole number within bounds; without a default it must be there."""
        name, value = self._first(names)
        if value is None:
            return self._missing(names, least) if default is None else default
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            return self._wrong(name, "a whole number", least)
        if not least <= value <= most:
            return self._wrong(name, f"a number from {least} to {most}", least)
        return int(value)

    def number(self, *names: str) -> float | None:
        """A finite number, or None when it is not there."""
        name, value = self._first(names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            return self._wrong(name, "a number", None)
        return float(value)

    def boolean(self, name: str, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        return value if isinstance(value, bool) else self._wrong(name, "true or false", default)

    def text(self, *names: str, default: str | None = None) -> str:
        """A text that is not empty; without a default it must be there."""
        name, value = self._first(names)
        if value is None:
            return self._missing(names, "") if default is None else default
        return value if isinstance(value, str) and value else self._wrong(name, "a text", "")

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty when it is not there."""
        value = self.values.get(name)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        return self._wrong(name, "a list of texts", ())

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers from 0; empty when it is not there."""
        value = self.values.get(name)
        if value is None:
            return ()
        if isinstance(value, list) and all(type(each) is int and 0 <= each <= _LARGEST for each in value):
            return tuple(value)
        return self._wrong(name, "a list of whole numbers", ())

    def nested(self, *names: str) -> Fields | None:
        """An object inside this one, or None when it is not there."""
        name, value = self._first(names)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            return self._wrong(name, "an object", None)
        return Fields(value, f"{self.path}{name}.", self.problems)

    def under(self, values: Mapping[str, object], path: str) -> Fields:
        """Other values whose problems are collected here."""
        return Fields(values, path, self.problems)

    def _first(self, names: tuple[str, ...]) -> tuple[str, object]:
        found = ((name, self.values[name]) for name in names if self.values.get(name) is not None)
        return next(found, (names[0], None))

    def _missing(self, names: tuple[str, ...], stand_in: _StandIn) -> _StandIn:
        self.problems.append(f"`{self.path}{names[0]}` is missing")
        return stand_in

    def _wrong(self, name: str, wanted: str, stand_in: _StandIn) -> _StandIn:
        self.problems.append(f"`{self.path}{name}` is {_shown(self.values[name])}, not {wanted}")
        return stand_in


def _shown(value: object) -> str:
    """A value for people: short, and never a whole list or object."""
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a very large number"
    if isinstance(value, str) and len(value) > _SHOWN:
        return repr(value[:_SHOWN] + "…")
    return repr(value)
