"""The exact joint placement and its objective; where there is none, a smallest set that is to blame.

The objective, in this order: (1) every tenant has a place; (2) the interconnect ranks, the heaviest tenant first;
(3) the largest smallest headroom over all tenants; (4) the fewest GPUs; (5) among equals, the tenant that is hardest to
place takes the GPUs that come first. Shares are then divided by `division.divide`.

Headrooms are real numbers on a finite grid, so (3) is a row of yes-or-no questions ("can everybody have more than
this?"), each answered exactly by `packing.pack`; the last answer is a proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, nextafter

from orchestrator.planner.division import divide, smallest_headroom
from orchestrator.planner.packing import Choice, Item, LimitReachedError, Steps, pack
from orchestrator.planner.problem import Gap, Option, Problem, Score, Solution, Tenant

STEP_LIMIT = 200_000
"""Nodes until a first placement, and as many to improve it (a few seconds); past it the answer is "not known"."""

_CLOSE = 0.02
"""Relative width of the interval of headrooms below which the search stops halving and asks for the next value."""


def is_feasible(
    problem: Problem, step_limit: int = STEP_LIMIT, headroom: float | None = None, *, spent: Steps | None = None
) -> bool:
    """Whether all tenants can be placed at their least levels, or with that headroom. Raises `LimitReachedError`.

    What the search takes is added to `spent`.
    """
    least = -inf if headroom is None else headroom
    steps = Steps(step_limit)
    try:
        return _pack(problem, least, steps) is not None
    finally:
        if spent is not None:
            spent.taken += steps.taken


def solve(problem: Problem, step_limit: int = STEP_LIMIT) -> Solution | None:
    """The best placement, or None when there is provably none.

    Raises `LimitReachedError` when not even a first placement was found; a limit reached later gives the best placement
    so far with `proven` False.
    """
    first = _pack(problem, -inf, Steps(step_limit))
    if first is None:
        return None
    improving = _Improving(problem, first, Steps(step_limit))
    proven = True
    try:
        improving.interconnect()
        improving.headroom()
        improving.gpu_count()
    except LimitReachedError:
        proven = False
    levels = divide(improving.best, problem.free)
    score = Score.of(problem.tenants, improving.best, levels)
    gaps = () if proven else (Gap(part="smallest_headroom", reached=0.0, bound=inf),)
    return Solution(options=improving.best, levels=levels, score=score, gaps=gaps, steps=improving.steps.taken)


@dataclass(slots=True)
class _Improving:
    """A placement on its way to the best one; every method settles one part of the objective."""

    problem: Problem
    best: tuple[Option, ...]
    steps: Steps
    floor: float = -inf
    """The headroom that everybody is known to be able to have at once."""

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        return self.problem.tenants

    @property
    def free(self) -> tuple[int, ...]:
        return self.problem.free

    def interconnect(self) -> None:
        """Heaviest tenant first: the best rank that leaves room for everybody; worse and better ones are struck out."""
        order = sorted(range(len(self.tenants)), key=lambda number: (-self.tenants[number].weight, number))
        for number in order:
            ranks = sorted({option.rank for option in self.tenants[number].options})
            for rank in ranks:
                if rank == self.best[number].rank:
                    self.problem = self._only_rank(number, rank)
                    break
                narrowed = self._only_rank(number, rank)
                found = self._ask(narrowed, -inf)
                if found is not None:
                    self.problem, self.best = narrowed, found
                    break

    def _only_rank(self, number: int, rank: tuple[int, ...]) -> Problem:
        tenant = self.tenants[number]
        kept = replace(tenant, options=tuple(option for option in tenant.options if option.rank == rank))
        return replace(self.problem, tenants=(*self.tenants[:number], kept, *self.tenants[number + 1 :]))

    def headroom(self) -> None:
        """Raises `floor` until no placement gives everybody more."""
        self.floor = smallest_headroom(self.best, self.free)
        roof = self._roof()
        while self.floor < roof:
            wide = roof - self.floor > _CLOSE * max(1.0, abs(roof))
            wanted = (self.floor + roof) / 2 if wide else nextafter(self.floor, inf)
            found = self._ask(self.problem, wanted)
            if found is not None:
                self.best, self.floor = found, smallest_headroom(found, self.free)
            elif wide:
                roof = wanted
            else:
                return

    def _roof(self) -> float:
        """Nobody can have more than alone on the best GPUs."""
        return min((self._alone(tenant) for tenant in self.tenants), default=0.0)

    def _alone(self, tenant: Tenant) -> float:
        return max(option.headroom(divide((option,), self.free)[0]) for option in tenant.options if self._fits(option))

    def _fits(self, option: Option) -> bool:
        claims = option.claims(option.least)
        return all(claim <= self.free[gpu] for gpu, claim in zip(option.gpus, claims, strict=True))

    def gpu_count(self) -> None:
        """The fewest GPUs that still give everybody `floor`, and the first such placement in the order of ties."""
        most = len({gpu for option in self.best for gpu in option.gpus})
        for count in range(self._fewest(), most + 1):
            found = self._ask(self.problem, self.floor, count)
            if found is not None:
                self.best = found
                return

    def _fewest(self) -> int:
        return max((min(len(option.gpus) for option in tenant.options) for tenant in self.tenants), default=0)

    def _ask(self, problem: Problem, headroom: float, most: int | None = None) -> tuple[Option, ...] | None:
        return _pack(problem, headroom, self.steps, most)


def _pack(problem: Problem, headroom: float, steps: Steps, most: int | None = None) -> tuple[Option, ...] | None:
    items = _items(problem.tenants, problem.free, headroom)
    chosen = pack(items, problem.free, steps, most, rules=problem.rules)
    if chosen is None:
        return None
    pairs = zip(problem.tenants, chosen, strict=True)
    return tuple(tenant.options[number].placed(gpus) for tenant, (number, gpus) in pairs)


def _items(tenants: tuple[Tenant, ...], free: tuple[int, ...], headroom: float) -> tuple[Item, ...]:
    """Beside the tenants; those with the same options get the same choices."""
    choices: dict[int, tuple[Choice, ...]] = {}
    for tenant in tenants:
        if id(tenant.options) not in choices:
            choices[id(tenant.options)] = tuple(_choices(tenant, free, headroom))
    return tuple(Item(choices[id(tenant.options)], tenant.exclusive, tenant.name) for tenant in tenants)


def _choices(tenant: Tenant, free: tuple[int, ...], headroom: float) -> Iterator[Choice]:
    """The options that give that headroom, at the claims that it takes."""
    claims_of: dict[tuple[object, ...], tuple[int, ...] | None] = {}
    for number, option in enumerate(tenant.options):
        kind = (option.shares, option.least, option.ceiling)
        if kind not in claims_of:
            level = option.level_for(headroom)
            claims_of[kind] = None if level is None else option.claims(level)
        claims = claims_of[kind]
        if claims is not None and all(claim <= free[gpu] for gpu, claim in zip(option.gpus, claims, strict=True)):
            yield Choice(number, option.gpus, claims, option.pools)


def minimal_conflict(problem: Problem, step_limit: int = STEP_LIMIT) -> Conflict | None:
    """Tenants that cannot coexist though every proper subset of them can; None when all can coexist.

    One tenant after the other, from the last, is left out for good where the rest still cannot coexist. As leaving
    somebody out never makes room scarcer, what remains is minimal, a row of tenants can be judged by halving it, and of
    equal tenants all are needed when one is. All questions share the steps. Raises `LimitReachedError` when not even
    the first was answered; a limit reached later gives the smallest conflict so far with `minimal` False.
    """
    steps = Steps(step_limit)
    if _pack(problem, -inf, steps) is not None:
        return None
    rest, needed = list(problem.tenants), list[Tenant]()
    try:
        while rest:
            count = _fewest_in_the_way(rest, needed, problem, steps)
            culprit = rest[count - 1] if count else None
            same = [each for each in rest[:count] if culprit is not None and _are_equal(each, culprit, problem)]
            needed.extend(same)
            rest = [each for each in rest[:count] if each not in same]
    except LimitReachedError:
        return _conflict(problem, [*rest, *needed], minimal=False)
    return _conflict(problem, needed, minimal=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Names of tenants that cannot coexist, in their order. `minimal`: every proper subset of them can."""

    names: tuple[str, ...]
    minimal: bool = True


def _conflict(problem: Problem, members: list[Tenant], *, minimal: bool) -> Conflict:
    names = {tenant.name for tenant in members}
    return Conflict(names=tuple(each.name for each in problem.tenants if each.name in names), minimal=minimal)


def _are_equal(one: Tenant, other: Tenant, problem: Problem) -> bool:
    if one is other:
        return True
    unruled = not any(name in rule.members for name in (one.name, other.name) for rule in problem.rules)
    return unruled and one.options is other.options and one.exclusive == other.exclusive


def _fewest_in_the_way(rest: list[Tenant], needed: list[Tenant], problem: Problem, steps: Steps) -> int:
    """How many of `rest`, from the first, cannot coexist with the needed ones; all of them together cannot."""
    low, high = 0, len(rest)
    while low < high:
        middle = (low + high) // 2
        if _pack(replace(problem, tenants=(*rest[:middle], *needed)), -inf, steps) is None:
            high = middle
        else:
            low = middle + 1
    return low
