"""Where not all tenants fit: the best set of those that do, by priority."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.planner.problem import Gap, Problem, Solution, Tenant
from orchestrator.planner.questions import STEP_LIMIT, Questions, Struck, step_limit_for
from orchestrator.planner.search import solve
from orchestrator.planner.steps import LimitReachedError, Steps, Watch

_PER_QUESTION = 8
"""The part of the limit that one question may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSet:
    """Who is placed and how, and who is left out, by name in the order of the tenants.

    No other set has more of the highest priority, or as many and more of the next, and so on, unless a gap says that
    this is not known: its `bound` is the fewest that may have to be left out, all in all.
    """

    kept: tuple[str, ...]
    left_out: tuple[str, ...]
    solution: Solution
    gaps: tuple[Gap, ...] = ()

    @property
    def proven(self) -> bool:
        return not self.gaps and self.solution.proven


def best_set(problem: Problem, step_limit: int = STEP_LIMIT, watch: Watch | None = None) -> BestSet:
    """As many as possible of the highest priority, then of the next. Among sets with equal numbers those that run stay,
    then the heavier tenants, then the first by name; the placement is the best one for the set that is kept.

    Limits, and a `watch` that says stop, leave gaps. Raises `LimitReachedError` when the set has been found and no
    placement of it.
    """
    steps = Steps(step_limit_for(problem, step_limit), watch=watch)
    choosing = _Choosing(Questions(problem, steps), step_limit)
    names = frozenset(choosing.kept())
    solution = solve(problem.only(names), step_limit, watch)
    if solution is None:
        raise LimitReachedError
    row = tuple(tenant.name for tenant in problem.tenants)
    left_out = tuple(name for name in row if name not in names)
    bound = choosing.surely_left_out
    gaps = () if choosing.known else (Gap(part="left_out", reached=len(left_out), bound=bound),)
    return BestSet(kept=tuple(name for name in row if name in names), left_out=left_out, solution=solution, gaps=gaps)


@dataclass(slots=True)
class _Choosing:
    questions: Questions
    step_limit: int
    known: bool = True
    surely_left_out: int = 0
    budgets: list[int] = field(default_factory=list)
    """How many of each priority are left out, the highest priority first."""

    def kept(self) -> Iterable[str]:
        """Names of the best set."""
        struck: tuple[Struck, ...] = ()
        placed: frozenset[str] = frozenset()
        for number, priority in enumerate(sorted({each.priority for each in self.questions.tenants}, reverse=True)):
            members = (each for each in self.questions.tenants if each.priority == priority)
            struck = (*struck, *(Struck(each, each.options, skip=number) for each in members))
            placed = self._fewest_left_out(struck, placed)
        return self._settled(struck, placed)

    def _fewest_left_out(self, struck: tuple[Struck, ...], placed: frozenset[str]) -> frozenset[str]:
        """The fewest of the last budget, with the budgets before it as they are."""
        low, most = 0, sum(each.skip == len(self.budgets) for each in struck)
        bound, wanted = 0, 0
        while low < most:
            found, known = self._ask(struck, (*self.budgets, wanted))
            if found is not None:
                placed, most = found, wanted
            else:
                low = wanted + 1
                bound = low if known else bound
            wanted = (low + most - 1) // 2
        self.known = self.known and bound >= most
        self.surely_left_out += bound
        self.budgets.append(most)
        return placed

    def _settled(self, struck: tuple[Struck, ...], placed: frozenset[str]) -> frozenset[str]:
        """One after the other is kept for good where so many of each priority can be."""
        row = sorted(range(len(struck)), key=lambda number: _preference(struck[number].tenant))
        for number in row:
            each = struck[number]
            kept = (*struck[:number], Struck(each.tenant, each.options), *struck[number + 1 :])
            if each.tenant.name not in placed:
                found, known = self._ask(kept, tuple(self.budgets)) if each.tenant.options else (None, True)
                self.known = self.known and known
                if found is None:
                    continue
                placed = found
            struck = kept
        return placed

    def _ask(self, struck: tuple[Struck, ...], skips: tuple[int, ...]) -> tuple[frozenset[str] | None, bool]:
        """Names of those that are placed, or None, and whether that is known."""
        dives = 2 * (len(struck) + 1) * (1 + len(self.questions.problem.free) // 8)
        try:
            steps = self.questions.steps.at_most(self.step_limit // _PER_QUESTION + dives)
            found = self.questions.ask_some(struck, skips, steps)
        except LimitReachedError:
            return None, False
        if found is None:
            return None, True
        pairs = zip(struck, found, strict=True)
        return frozenset(each.tenant.name for each, option in pairs if option is not None), True


def _preference(tenant: Tenant) -> tuple[int, bool, int, str]:
    return (-tenant.priority, tenant.current is None, -tenant.weight, tenant.name)
