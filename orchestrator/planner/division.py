"""How co-tenants share a GPU once everybody has a place: all headrooms rise together, like water in a vessel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from orchestrator.planner.problem import LEVELS, Option

_CLOSE = 1e-3
"""Relative width of the interval of the common headroom below which single steps finish the work."""


def divide(options: tuple[Option, ...], free: tuple[int, ...]) -> tuple[int, ...]:
    """The level of every tenant (beside `options`), from the least levels, which must fit.

    The tenant with the smallest headroom is raised by one step as long as there is one that can be: a tenant stops at
    its ceiling or when a GPU of its set is full. The smallest headroom that comes out is the largest possible.
    """
    levels = [option.least for option in options]
    for members in _components(options):
        vessel = _Vessel(options, free, levels, members, set(members))
        while vessel.rising:
            vessel.rise()
    return tuple(levels)


def smallest_headroom(options: tuple[Option, ...], free: tuple[int, ...]) -> float:
    """The smallest headroom that `divide` would leave anybody; infinite where there is nobody."""
    smallest = inf
    levels = [option.least for option in options]
    for members in _components(options):
        vessel = _Vessel(options, free, levels, members, set(members))
        if not vessel.can_all_have(smallest):
            vessel.rise()
            smallest = min(smallest, vessel.lowest())
    return smallest


def _components(options: tuple[Option, ...]) -> list[list[int]]:
    """Tenants that share GPUs, directly or through others, belong together."""
    groups: list[tuple[set[int], list[int]]] = []
    for number, option in enumerate(options):
        touched = [group for group in groups if group[0] & set(option.gpus)]
        groups = [group for group in groups if not group[0] & set(option.gpus)]
        gpus = set(option.gpus).union(*(group[0] for group in touched))
        members = sorted([number, *(member for group in touched for member in group[1])])
        groups.append((gpus, members))
    return [members for _, members in groups]


@dataclass(slots=True)
class _Vessel:
    """Tenants whose GPUs hang together; `levels` is written in place, `rising` are those that nothing has stopped."""

    options: tuple[Option, ...]
    free: tuple[int, ...]
    levels: list[int]
    members: list[int]
    rising: set[int]

    def rise(self) -> None:
        """Raises everybody who rises until one of them is stopped."""
        self._leap()
        while True:
            lowest = min(self.rising, key=lambda number: (self.options[number].headroom(self.levels[number]), number))
            self.levels[lowest] += 1
            if self.levels[lowest] > self.options[lowest].ceiling or not self._fits(self.levels):
                self.levels[lowest] -= 1
                self.rising.discard(lowest)
                return

    def lowest(self) -> float:
        return min(self.options[number].headroom(self.levels[number]) for number in self.members)

    def can_all_have(self, headroom: float) -> bool:
        if headroom > self._common_ceiling():
            return False
        return self._fits(self._raised(headroom))

    def _leap(self) -> None:
        """Brings everybody who rises close below the largest common headroom: steps that would all succeed, at once."""
        low, high = min(self._headrooms()), self._common_ceiling()
        most = self._raised(high)
        if self._fits(most):
            self.levels[:] = most
            return
        close = _CLOSE * max(1.0, abs(high))
        if not self._fits(self._raised(min(high, low + close), most)):  # full already: the most frequent case
            return
        while high - low > close:
            middle = (low + high) / 2
            raised = self._raised(middle, most)
            if self._fits(raised):
                low, self.levels[:] = middle, raised
            else:
                high, most = middle, raised

    def _headrooms(self) -> list[float]:
        return [self.options[number].headroom(self.levels[number]) for number in self.rising]

    def _common_ceiling(self) -> float:
        return min(self.options[number].headroom(self.options[number].ceiling) for number in self.rising)

    def _raised(self, headroom: float, most: list[int] | None = None) -> list[int]:
        """The levels at that headroom, which are not above `most`."""
        result = list(self.levels)
        for number in self.rising:
            below = LEVELS if most is None else most[number]
            result[number] = self.options[number].level_for(headroom, result[number], below) or result[number]
        return result

    def _fits(self, levels: list[int]) -> bool:
        return fits(self.options, self.free, levels, self.members)


def fits(options: tuple[Option, ...], free: tuple[int, ...], levels: list[int], members: Iterable[int]) -> bool:
    """Whether the claims of these tenants at their levels stay within the free bytes of every GPU."""
    claimed: dict[int, int] = {}
    for number in members:
        option = options[number]
        for gpu, claim in zip(option.gpus, option.claims(levels[number]), strict=True):
            claimed[gpu] = claimed.get(gpu, 0) + claim
            if claimed[gpu] > free[gpu]:
                return False
    return True
