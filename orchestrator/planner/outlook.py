"""What the items still to come need at the least, against what is left: refuses states that lead nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from orchestrator.planner.items import Item

_GRAINS = 4096
"""Into how many parts the largest GPU is divided where sums of claims are looked up."""

_MOST_SUMMANDS = 14
"""Claims still to come for which their sums are looked up; with more nearly every sum is possible."""


@dataclass(slots=True)
class Outlook:
    """By depth: bytes and places needed, the smallest claim, and (near the end) the sums that claims can make.

    `spared` are the bytes that can be saved by leaving out one, two, ... of the items that may be left out, by budget.
    """

    demand: list[int]
    places: list[int]
    smallest: list[int]
    grain: int
    parts: list[int]
    sums: list[int]
    """A bit for every sum of some of the claims, in grains rounded down; 0 where there are too many claims."""
    spared: list[list[list[int]]]

    @classmethod
    def of(cls, items: Sequence[Item], largest: int, budgets: int) -> Outlook:
        grain = max(1, largest // _GRAINS)
        found = cls([0], [0], [largest + 1], grain, [0], [1], [])
        summands = 0
        for item in reversed(items):
            certain = item.skip is None
            found.demand.append(found.demand[-1] + item.demand)
            found.places.append(found.places[-1] + item.width * certain)
            found.smallest.append(min(found.smallest[-1], item.claim))
            summands += item.width
            part = item.claim // grain
            found.parts.append(found.parts[-1] + item.width * part)
            sums = found.sums[-1] if summands <= _MOST_SUMMANDS else 0
            for _ in range(item.width if sums else 0):
                sums |= sums << part
            found.sums.append(sums)
        for row in (found.demand, found.places, found.smallest, found.parts, found.sums):
            row.reverse()
        if budgets:
            found.spared = [_spared(items[depth:], budgets) for depth in range(len(items) + 1)]
        return found

    def is_enough(self, depth: int, left: Sequence[int], empty: Sequence[bool], budget: Sequence[int]) -> bool:
        """Bytes and places may do for the items from `depth` on; a remnant smaller than every claim is lost."""
        smallest = self.smallest[depth]
        usable = self._usable(smallest, left, empty, budget[-1])
        demand = self.demand[depth]
        for spared, skips in zip(self.spared[depth] if self.spared else (), budget, strict=False):
            demand -= spared[min(skips, len(spared) - 1)]
        if sum(usable) < demand:
            return False
        if smallest > 0 and sum([each // smallest for each in usable]) < self.places[depth]:
            return False
        return bool(self.spared) or self._add_up(depth, usable)

    def _add_up(self, depth: int, usable: Sequence[int]) -> bool:
        """Rounded down to sums that the claims can make, what is left still is enough."""
        sums = self.sums[depth]
        if not sums:
            return True
        reached = 0
        for each in usable:
            below = sums & ((2 << each // self.grain) - 1)
            reached += below.bit_length() - 1
        return reached >= self.parts[depth]

    @staticmethod
    def _usable(smallest: int, left: Sequence[int], empty: Sequence[bool], gpus: int) -> list[int]:
        if gpus >= len(left):
            return [each for each in left if each >= smallest]
        opened = [each for each, unused in zip(left, empty, strict=True) if each >= smallest and not unused]
        unopened = [each for each, unused in zip(left, empty, strict=True) if each >= smallest and unused]
        if len(unopened) > gpus:
            unopened = sorted(unopened, reverse=True)[:gpus]
        return opened + unopened


def _spared(items: Sequence[Item], budgets: int) -> list[list[int]]:
    rows = [sorted((item.demand for item in items if item.skip == budget), reverse=True) for budget in range(budgets)]
    return [[0, *accumulate(row)] for row in rows]
