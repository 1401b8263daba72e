"""What the search works on: tenants, the GPU sets each may take, and how a claim grows with its share. No vLLM here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

LEVELS = 1000
"""A share of a GPU is a whole number of thousandths of it: the grid of gpu-memory-utilization."""


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What one tenant takes and gets on one GPU at a level of 0 to 1000. Compared by identity.

    `claim` gives bytes, `headroom` what is granted over what is required (1.0 is just enough). Neither ever falls when
    the level rises.
    """

    claim: Callable[[int], int]
    headroom: Callable[[int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One set of GPUs that a tenant may take as a whole, all at one level between `least` and `ceiling`.

    `gpus` are positions in the row of GPUs, `shares` stand beside them. `rank` orders the options of a tenant by their
    interconnect; the smallest is best.
    """

    gpus: tuple[int, ...]
    shares: tuple[Share, ...]
    least: int
    ceiling: int
    rank: tuple[int, ...] = ()

    def headroom(self, level: int) -> float:
        """The headroom of the worst GPU of the set."""
        if self.is_uniform:
            return self.shares[0].headroom(level)
        return min(share.headroom(level) for share in self.shares)

    @property
    def is_uniform(self) -> bool:
        """One kind of share on all GPUs of the set."""
        return all(share is self.shares[0] for share in self.shares)

    def claims(self, level: int) -> tuple[int, ...]:
        """Bytes on each GPU of the set."""
        return tuple(share.claim(level) for share in self.shares)

    def level_for(self, headroom: float) -> int | None:
        """The least level that gives that headroom, or None when the ceiling does not."""
        levels = range(self.least, self.ceiling + 1)
        key = self.shares[0].headroom if self.is_uniform else self.headroom
        place = bisect_left(levels, headroom, key=key)
        return levels[place] if place < len(levels) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Somebody to place. `weight` says whose interconnect counts first; exclusive: nobody else on its GPUs."""

    name: str
    options: tuple[Option, ...]
    exclusive: bool = False
    weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All tenants, and the free bytes of each GPU in the order that ties go by."""

    tenants: tuple[Tenant, ...]
    free: tuple[int, ...]

    def without(self, names: frozenset[str]) -> Problem:
        return Problem(tenants=tuple(each for each in self.tenants if each.name not in names), free=self.free)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Where everybody goes and at which level, beside the tenants. `proven`: no better one exists."""

    options: tuple[Option, ...]
    levels: tuple[int, ...]
    proven: bool = True
    steps: int = field(default=0, compare=False)

    @property
    def smallest_headroom(self) -> float:
        """Infinite where nobody is placed."""
        pairs = zip(self.options, self.levels, strict=True)
        return min((option.headroom(level) for option, level in pairs), default=float("inf"))

    @property
    def gpus_used(self) -> int:
        return len({gpu for option in self.options for gpu in option.gpus})
