"""What the search works on: tenants, the GPU sets each may take, and how a claim grows with its share. No vLLM here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import inf

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
    Where `pools` is empty the option is one set. `headroom_weight` is that of the tenant; the search writes it here.
    """

    gpus: tuple[int, ...]
    shares: tuple[Share, ...]
    least: int
    ceiling: int
    rank: tuple[int, ...] = ()
    pools: tuple[tuple[int, ...], ...] = ()
    headroom_weight: float = 1.0

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
        """The headroom of the worst GPU of the set over the tenant's weight."""
        if self.is_uniform:
            return self.shares[0].headroom(level) / self.headroom_weight
        return min(share.headroom(level) for share in self.shares) / self.headroom_weight

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
        place = 0 if headroom == -inf else bisect_left(levels, headroom, key=self.headroom)
        return levels[place] if place < len(levels) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Somebody to place. `weight` is what is lightest of it; exclusive: nobody else on its GPUs.

    `priority`: where not all fit, the higher ones stay. `current` are the GPUs that it runs on, where it does. A tenant
    of `headroom_weight` 2 counts as having half of the headroom that it has, so that it gets twice as much.
    """

    name: str
    options: tuple[Option, ...]
    exclusive: bool = False
    weight: int = 0
    priority: int = 0
    current: tuple[int, ...] | None = None
    headroom_weight: float = 1.0

    @property
    def importance(self) -> tuple[int, int, str]:
        """Sorts tenants, the most important first: by priority, then weight, then name."""
        return (-self.priority, -self.weight, self.name)

    @property
    def weighted(self) -> tuple[Option, ...]:
        """The options with the tenant's weight on their headroom."""
        if self.headroom_weight == 1.0:
            return self.options
        return tuple(replace(option, headroom_weight=self.headroom_weight) for option in self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Tenants that keep apart, or stay together: `zones` has a number per GPU, such as that of its host.

    Apart: no zone has GPUs of two of them. Together: one zone has all their GPUs. With GPUs as zones, only tenants of
    one GPU each can be together.
    """

    members: frozenset[str]
    zones: tuple[int, ...]
    together: bool = False

    @property
    def is_per_gpu(self) -> bool:
        return len(set(self.zones)) == len(self.zones)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All tenants, the free bytes of each GPU in the order that ties go by, and who keeps apart or together."""

    tenants: tuple[Tenant, ...]
    free: tuple[int, ...]
    rules: tuple[Rule, ...] = ()

    def without(self, names: frozenset[str]) -> Problem:
        return replace(self, tenants=tuple(each for each in self.tenants if each.name not in names))

    def only(self, names: Iterable[str]) -> Problem:
        kept = frozenset(names)
        return replace(self, tenants=tuple(each for each in self.tenants if each.name in kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a placement is judged by, the first field first; `key` is smaller for the better one.

    `moved` has a yes or no for each tenant that runs, and `ranks` the interconnect of each tenant, both in the order of
    importance. The fewest moved come first, then the more important ones stay.
    """

    moved: tuple[bool, ...]
    ranks: tuple[tuple[int, ...], ...]
    smallest_headroom: float
    gpus_used: int

    @classmethod
    def of(cls, tenants: tuple[Tenant, ...], options: tuple[Option, ...], levels: tuple[int, ...]) -> Score:
        """`options` and `levels` stand beside the tenants."""
        placed = sorted(zip(tenants, options, levels, strict=True), key=lambda each: each[0].importance)
        headrooms = (
            replace(option, headroom_weight=tenant.headroom_weight).headroom(level) for tenant, option, level in placed
        )
        return cls(
            moved=tuple(
                frozenset(tenant.current) != frozenset(option.gpus)
                for tenant, option, _ in placed
                if tenant.current is not None
            ),
            ranks=tuple(option.rank for _, option, _ in placed),
            smallest_headroom=min(headrooms, default=inf),
            gpus_used=len({gpu for option in options for gpu in option.gpus}),
        )

    @property
    def moved_count(self) -> int:
        return sum(self.moved)

    @property
    def key(self) -> tuple[int, tuple[bool, ...], tuple[tuple[int, ...], ...], float, int]:
        return (self.moved_count, self.moved, self.ranks, -self.smallest_headroom, self.gpus_used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A part of the objective that is not proven: what was reached, and the bound that nothing can be better than.

    `part` is the name of the field of `Score`; for "ranks" and "moved" the numbers count the tenants that are (in the
    order of importance) surely best off.
    """

    part: str
    reached: float
    bound: float

    @property
    def size(self) -> float:
        """Relative to what was reached, where that is not 0."""
        return abs(self.bound - self.reached) / (abs(self.reached) or 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Where everybody goes and at which level, beside the tenants.

    `gaps` are the parts of the objective that are not proven, each under what was reached in the parts before it.
    """

    options: tuple[Option, ...]
    levels: tuple[int, ...]
    score: Score = Score(moved=(), ranks=(), smallest_headroom=inf, gpus_used=0)
    gaps: tuple[Gap, ...] = ()
    steps: int = field(default=0, compare=False)

    @property
    def proven(self) -> bool:
        """No better placement exists."""
        return not self.gaps

    @property
    def smallest_headroom(self) -> float:
        """Infinite where nobody is placed."""
        pairs = zip(self.options, self.levels, strict=True)
        return min((option.headroom(level) for option, level in pairs), default=inf)

    @property
    def gpus_used(self) -> int:
        return len({gpu for option in self.options for gpu in option.gpus})
