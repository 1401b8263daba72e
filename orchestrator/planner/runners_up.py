"""The best placements after the best one, to show beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import product

from orchestrator.planner.entries import Entries, ground_of
from orchestrator.planner.problem import Option, Problem, Solution
from orchestrator.planner.questions import STEP_LIMIT, with_home
from orchestrator.planner.search import solve
from orchestrator.planner.steps import LimitReachedError, Watch
from orchestrator.planner.symmetry import alikeness

_MOST_SOLVED = 400
"""Problems solved for the runners-up of one placement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnersUp:
    """The best first. Not `proven`: there may be better ones than some of these."""

    solutions: tuple[Solution, ...]
    proven: bool = True


def runners_up(
    problem: Problem, best: Solution, count: int = 3, step_limit: int = STEP_LIMIT // 10, watch: Watch | None = None
) -> RunnersUp:
    """Placements that give at least one tenant other GPUs, each the best of those that are left.

    Placements that differ only by GPUs or hosts that look alike to all tenants count as one. All placements but the
    best are divided by the first tenant that has other GPUs; the best of each part waits for its turn, and when its
    turn comes, its part is divided in the same way.
    """
    search = _Dividing(problem, step_limit, watch)
    search.divide(tuple(tenant.options for tenant in problem.tenants), best)
    found: list[Solution] = []
    while search.waiting and len(found) < count:
        _, _, options, solution = heappop(search.waiting)
        found.append(solution)
        if len(found) < count:
            search.divide(options, solution)
    return RunnersUp(solutions=tuple(found), proven=search.proven and all(each.proven for each in found))


Row = tuple[tuple[Option, ...], ...]
"""The options of each tenant."""


@dataclass(slots=True)
class _Dividing:
    problem: Problem
    step_limit: int
    watch: Watch | None
    waiting: list[tuple[object, int, Row, Solution]] = field(default_factory=list)
    solved: int = 0
    proven: bool = True
    looks: list[tuple[int, int]] = field(init=False)
    zone_of: tuple[int, ...] = field(init=False)
    by_zone: bool = field(init=False)

    def __post_init__(self) -> None:
        ground = ground_of(self.problem.tenants, self.problem.free, self.problem.rules)
        entries, homes = Entries(ground), [with_home(tenant) for tenant in self.problem.tenants]
        rules = tuple(enumerate(self.problem.rules))
        alike = alikeness(
            ground,
            [entries.entry(home.options, home.moves) for home in homes],
            [
                frozenset(number for number, rule in rules if tenant.name in rule.members)
                for tenant in self.problem.tenants
            ],
        )
        self.looks = list(zip(alike.classes[0], self.problem.free, strict=True))
        self.zone_of, self.by_zone = ground.zone_of, alike.by_zone[0]

    def divide(self, row: Row, solution: Solution) -> None:
        """Part number n: the tenants before n have the GPUs of the solution, and n has others."""
        for number, option in enumerate(solution.options):
            fixed = tuple((each,) for each in solution.options[:number])
            others = tuple(self._others(row[number], option, solution.options[:number]))
            if others:
                self._solve((*fixed, others, *row[number + 1 :]))

    def _solve(self, row: Row) -> None:
        tenants = (replace(tenant, options=options) for tenant, options in zip(self.problem.tenants, row, strict=True))
        self.solved += 1
        if self.solved > _MOST_SOLVED:
            self.proven = False
            return
        try:
            found = solve(replace(self.problem, tenants=tuple(tenants)), self.step_limit, self.watch)
        except LimitReachedError:
            self.proven = False
            return
        if found is not None:
            heappush(self.waiting, (found.score.key, self.solved, row, found))

    def _others(self, options: tuple[Option, ...], taken: Option, fixed: tuple[Option, ...]) -> Iterator[Option]:
        """The sets that do not look like the one that is taken, with those fixed who are."""
        looks = self._with(fixed)
        wanted = sorted(looks[gpu] for gpu in taken.gpus)
        for option in options:
            for gpus, part in _parts(option, looks):
                if sorted(looks[gpu] for gpu in gpus) != wanted:
                    yield part

    def _with(self, fixed: tuple[Option, ...]) -> list[int]:
        """A number per GPU: how it looks with the fixed tenants on it and on the GPUs of its zone."""
        on: list[list[int]] = [[] for _ in self.problem.free]
        for number, option in enumerate(fixed):
            for gpu in option.gpus:
                on[gpu].append(number)
        looks: list[object] = [(look, tuple(who)) for look, who in zip(self.looks, on, strict=True)]
        names: dict[object, int] = {}
        own = [names.setdefault(look, len(names)) for look in looks]
        if not self.by_zone:
            return own
        zones: dict[int, list[int]] = {}
        for gpu, look in enumerate(own):
            zones.setdefault(self.zone_of[gpu], []).append(look)
        whole = {zone: tuple(sorted(members)) for zone, members in zones.items()}
        pairs: dict[object, int] = {}
        return [pairs.setdefault((whole[self.zone_of[gpu]], look), len(pairs)) for gpu, look in enumerate(own)]


def _parts(option: Option, looks: list[int]) -> Iterator[tuple[tuple[int, ...], Option]]:
    """The option by how many GPUs of each look it takes, each part with one of its sets."""
    pools = option.pools or tuple((gpu,) for gpu in option.gpus)
    shares = dict(zip(pools, option.shares, strict=True))
    ways = []
    for pool in dict.fromkeys(pools):
        by_look: dict[int, list[int]] = {}
        for gpu in pool:
            by_look.setdefault(looks[gpu], []).append(gpu)
        ways.append([(pool, way) for way in _drawn(tuple(map(tuple, by_look.values())), pools.count(pool))])
    for chosen in product(*ways):
        rows = [(gpu, shares[pool], part) for pool, way in chosen for part, count in way for gpu in part[:count]]
        rows.sort(key=lambda row: row[0])
        gpus = tuple(gpu for gpu, _, _ in rows)
        yield (
            gpus,
            replace(
                option, gpus=gpus, shares=tuple(share for _, share, _ in rows), pools=tuple(part for _, _, part in rows)
            ),
        )


def _drawn(parts: tuple[tuple[int, ...], ...], count: int) -> Iterator[tuple[tuple[tuple[int, ...], int], ...]]:
    """The ways to take that many, by how many of each part."""
    if count == 0:
        yield ()
    elif parts:
        for taken in range(min(count, len(parts[0])), -1, -1):
            for rest in _drawn(parts[1:], count - taken):
                yield ((parts[0], taken), *rest) if taken else rest
