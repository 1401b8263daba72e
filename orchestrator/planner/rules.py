"""The rules of who keeps apart and who stays together, and the register by which a search keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.planner.problem import Rule

_Zones = frozenset[int]


@dataclass(slots=True)
class Register:
    """Who sits where, and whether one more may sit somewhere."""

    rules: tuple[Rule, ...]
    seats: dict[str, tuple[int, ...]] = field(init=False, default_factory=dict)
    _rules_of: dict[str, tuple[Rule, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name in frozenset[str]().union(*(rule.members for rule in self.rules)):
            self._rules_of[name] = tuple(rule for rule in self.rules if name in rule.members)

    def allows(self, name: str, gpus: tuple[int, ...]) -> bool:
        """Whether no rule is broken by that, whoever comes later."""
        return all(self._holds(rule, name, gpus) for rule in self._rules_of.get(name, ()))

    def enter(self, name: str, gpus: tuple[int, ...]) -> None:
        if name in self._rules_of:
            self.seats[name] = gpus

    def leave(self, name: str) -> None:
        self.seats.pop(name, None)

    def rules_of(self, name: str) -> tuple[Rule, ...]:
        return self._rules_of.get(name, ())

    def circle(self, name: str) -> frozenset[str]:
        """Those whom a rule names together with somebody; nobody where no rule names him."""
        return frozenset[str]().union(*(rule.members for rule in self.rules_of(name)))

    def role(self, name: str) -> object:
        """Equal for two who may change places as far as rules go."""
        return tuple(name in rule.members for rule in self.rules)

    def _holds(self, rule: Rule, name: str, gpus: tuple[int, ...]) -> bool:
        zones = _zones(rule, gpus)
        others = (_zones(rule, self.seats[each]) for each in rule.members if each != name and each in self.seats)
        if rule.together:
            return len(zones.union(*others)) == 1
        return not any(zones & each for each in others)


def _zones(rule: Rule, gpus: Iterable[int]) -> _Zones:
    return frozenset(rule.zones[gpu] for gpu in gpus)
