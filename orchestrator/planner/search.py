"""The exact joint placement and its objective; where there is none, a smallest set that is to blame.

The objective, in this order: (1) every tenant has a place (`best_set` says what stays where that cannot be); (2) what
runs stays where it runs: the fewest moves, then the more important ones stay; (3) the interconnect ranks, the most
important tenant first; (4) the largest smallest headroom over all tenants, each over its weight; (5) the fewest GPUs;
(6) ties by the order of the GPUs and the names of tenants, never by the order in which tenants are given. Shares are
then divided by `division.divide`.

Every part is a row of yes-or-no questions ("can everybody have more than this?"), each answered exactly by
`packing.pack`; the last answer is a proof. A question that takes too long is left open, and the solution says how far
what was reached may be from the best: its gaps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from orchestrator.planner.division import divide
from orchestrator.planner.improving import Improving
from orchestrator.planner.problem import Problem, Rule, Score, Solution, Tenant
from orchestrator.planner.questions import STEP_LIMIT, Questions, step_limit_for
from orchestrator.planner.steps import LimitReachedError, Steps, Watch


def is_feasible(
    problem: Problem,
    step_limit: int = STEP_LIMIT,
    headroom: float | None = None,
    *,
    spent: Steps | None = None,
    watch: Watch | None = None,
) -> bool:
    """Whether all tenants can be placed at their least levels, or with that headroom. Raises `LimitReachedError`.

    What the search takes is added to `spent`.
    """
    steps = Steps(step_limit_for(problem, step_limit), watch=watch)
    questions = Questions(problem, steps)
    try:
        return questions.ask(questions.everybody, -inf if headroom is None else headroom) is not None
    finally:
        if spent is not None:
            spent.taken += steps.taken


def solve(problem: Problem, step_limit: int = STEP_LIMIT, watch: Watch | None = None) -> Solution | None:
    """The best placement, or None when there is provably none.

    Raises `LimitReachedError` when not even a first placement was found; a limit reached later, or a `watch` that says
    stop, gives the best placement so far with its gaps.
    """
    limit = step_limit_for(problem, step_limit)
    questions = Questions(problem, Steps(limit, watch=watch))
    first = questions.ask(questions.everybody)
    if first is None:
        return None
    questions.steps.limit += limit
    improving = Improving(questions, first, step_limit)
    improving.run()
    options = questions.as_given(improving.best)
    levels = questions.as_given(divide(improving.best, problem.free))
    score = Score.of(problem.tenants, options, levels)
    return Solution(
        options=options, levels=levels, score=score, gaps=tuple(improving.gaps), steps=questions.steps.taken
    )


def minimal_conflict(problem: Problem, step_limit: int = STEP_LIMIT, watch: Watch | None = None) -> Conflict | None:
    """Tenants that cannot coexist though every proper subset of them can; None when all can coexist.

    One tenant after the other, from the last, is left out for good where the rest still cannot coexist. As leaving
    somebody out never makes room scarcer, what remains is minimal, a row of tenants can be judged by halving it, and of
    equal tenants all are needed when one is. All questions share the steps. Raises `LimitReachedError` when not even
    the first was answered; a limit reached later gives the smallest conflict so far with `minimal` False.
    """
    steps = Steps(step_limit_for(problem, step_limit), watch=watch)
    if _fit_together(problem, problem.tenants, steps):
        return None
    rest, needed = list(problem.tenants), list[Tenant]()
    try:
        while rest:
            count = _fewest_in_the_way(problem, rest, needed, steps)
            culprit = rest[count - 1] if count else None
            same = [each for each in rest[:count] if culprit is not None and _are_equal(each, culprit, problem.rules)]
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


def _are_equal(one: Tenant, other: Tenant, rules: tuple[Rule, ...]) -> bool:
    ruled = any(each.name in rule.members for each in (one, other) for rule in rules)
    return one is other or (one.options is other.options and one.exclusive == other.exclusive and not ruled)


def _fewest_in_the_way(problem: Problem, rest: list[Tenant], needed: list[Tenant], steps: Steps) -> int:
    """How many of `rest`, from the first, cannot coexist with the needed ones; all of them together cannot."""
    low, high = 0, len(rest)
    while low < high:
        middle = (low + high) // 2
        if _fit_together(problem, (*rest[:middle], *needed), steps):
            low = middle + 1
        else:
            high = middle
    return low


def _fit_together(problem: Problem, tenants: Iterable[Tenant], steps: Steps) -> bool:
    questions = Questions(replace(problem, tenants=tuple(tenants)), steps)
    return questions.ask(questions.everybody) is not None
