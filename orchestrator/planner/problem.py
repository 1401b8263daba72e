"""What the search works on: tenants, the GPU sets each may take, and how a claim grows with its share. No vLLM here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace

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

    `pools` beside `gpus` hold the GPUs that may stand in for each, itself among them: the option then is all the sets
    with as many GPUs of each pool. Pools are equal or have nothing in common; their GPUs have the same free bytes.
    Where `pools` is empty the option is one set.
    """

    gpus: tuple[int, ...]
    shares: tuple[Share, ...]
    least: int
    ceiling: int
    rank: tuple[int, ...] = ()
    pools: tuple[tuple[int, ...], ...] = ()

    def share_on(self, gpu: int) -> Share | None:
        """The share on a GPU that some set of the option has; None where none has it."""
        pools = self.pools or tuple((each,) for each in self.gpus)
        return next((share for share, pool in zip(self.shares, pools, strict=True) if gpu in pool), None)

    @property
    def reach(self) -> frozenset[int]:
        """All GPUs that some set of the option has."""
        return frozenset(self.gpus).union(*self.pools)

    def is_bound_to(self, gpu: int) -> bool:
        """Whether every set of the option has that GPU."""
        pool = next((pool for pool in self.pools if gpu in pool), None)
        return gpu in self.gpus if pool is None else self.pools.count(pool) == len(pool)

    @property
    def is_one_set(self) -> bool:
        return all(self.is_bound_to(gpu) for gpu in self.gpus)

    def placed(self, gpus: tuple[int, ...]) -> Option:
        """One set of the option."""
        if gpus == self.gpus and not self.pools:
            return self
        shares = tuple(share for share in map(self.share_on, gpus) if share is not None)
        return replace(self, gpus=gpus, shares=shares, pools=())

    def only_on(self, allowed: frozenset[int]) -> Option | None:
        """The sets of the option that lie within those GPUs; None where there is none."""
        if self.reach <= allowed:
            return self
        pools = tuple(tuple(gpu for gpu in pool if gpu in allowed) for pool in self.pools)
        left = {pool: list(pool) for pool in pools}
        if not pools or any(len(pool) < pools.count(pool) for pool in pools):
            return None
        pairs = sorted((left[pool].pop(0), number) for number, pool in enumerate(pools))
        return replace(
            self,
            gpus=tuple(gpu for gpu, _ in pairs),
            shares=tuple(self.shares[number] for _, number in pairs),
            pools=tuple(pools[number] for _, number in pairs),
        )

    def apart_from(self, gpus: tuple[int, ...]) -> tuple[Option, ...]:
        """The sets of the option that are not just these GPUs."""
        if not frozenset(gpus) <= self.reach:
            return (self,)
        found = (self.only_on(self.reach - {gpu}) for gpu in gpus)
        return tuple(each for each in found if each is not None)

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
