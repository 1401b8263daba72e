"""What stays where not everything fits, and searches that are stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.planner.best_set import BestSet, best_set
from orchestrator.planner.problem import Gap, Option, Problem, Rule, Tenant
from orchestrator.planner.runners_up import runners_up
from orchestrator.planner.search import is_feasible, solve
from orchestrator.planner.steps import LimitReachedError, Progress
from tests.benchmarks.clusters import cluster
from tests.unit.planner.test_search import fixed, flexible, hard_problem, share


def on(tenant: Tenant, *, priority: int = 0, current: tuple[int, ...] | None = None) -> Tenant:
    return replace(tenant, priority=priority, current=current)


def kept(found: BestSet) -> tuple[tuple[str, ...], bool]:
    return found.kept, found.proven


def test_one_of_high_priority_stays_before_two_of_low_priority() -> None:
    tenants = (on(fixed("low-1", 500, 1)), on(fixed("low-2", 500, 1)), on(fixed("high", 900, 1), priority=1))
    assert kept(best_set(Problem(tenants=tenants, free=(1000,)))) == (("high",), True)


def test_of_equal_priority_as_many_as_possible_stay() -> None:
    tenants = (fixed("large", 900, 1), fixed("small-1", 500, 1), fixed("small-2", 500, 1))
    assert kept(best_set(Problem(tenants=tenants, free=(1000,)))) == (("small-1", "small-2"), True)


def test_a_lower_priority_fills_what_the_higher_one_leaves() -> None:
    tenants = (
        on(fixed("a", 600, 2), priority=1),
        on(fixed("b", 700, 2), priority=1),
        fixed("c", 400, 2),
        fixed("d", 350, 2),
    )
    assert kept(best_set(Problem(tenants=tenants, free=(1000, 1000)))) == (("a", "b", "c"), True)


def test_of_sets_that_are_as_good_what_runs_stays() -> None:
    tenants = (fixed("a", 600, 1), on(fixed("b", 600, 1), current=(0,)))
    assert kept(best_set(Problem(tenants=tenants, free=(1000,)))) == (("b",), True)


def test_who_fits_nowhere_is_left_out_and_the_others_are_placed() -> None:
    found = best_set(Problem(tenants=(Tenant(name="nowhere", options=()), fixed("a", 600, 1)), free=(1000,)))
    assert (found.kept, found.left_out) == (("a",), ("nowhere",))


def test_what_runs_stays_where_it_runs_though_elsewhere_would_be_better() -> None:
    tenants = (on(flexible("a", 300), current=(1,)), on(flexible("b", 300), current=(1,)))
    solution = solve(Problem(tenants=tenants, free=(1000, 1000)))
    assert solution is not None
    assert ([option.gpus for option in solution.options], solution.score.moved) == ([(1,), (1,)], (False, False))


def test_when_one_has_to_move_it_is_the_less_important_one() -> None:
    tenants = (on(fixed("a", 600), current=(0,)), on(fixed("b", 600), current=(0,), priority=1))
    solution = solve(Problem(tenants=tenants, free=(1000, 1000)))
    assert solution is not None
    assert [option.gpus for option in solution.options] == [(1,), (0,)]
    assert solution.score.moved == (False, True)


def test_a_tenant_of_twice_the_weight_gets_twice_the_headroom() -> None:
    heavy = replace(flexible("heavy", 100, (0,)), headroom_weight=2.0)
    solution = solve(Problem(tenants=(flexible("a", 100, (0,)), heavy), free=(900,)))
    assert solution is not None
    assert solution.levels == (300, 600)


def test_replicas_that_keep_apart_sit_on_two_hosts_and_friends_on_one() -> None:
    tenants = (flexible("a", 300, (0, 1, 2, 3)), flexible("b", 300, (0, 1, 2, 3)), flexible("c", 300, (0, 1, 2, 3)))
    hosts = (0, 0, 1, 1)
    rules = (Rule(members=frozenset("ab"), zones=hosts), Rule(members=frozenset("bc"), zones=hosts, together=True))
    solution = solve(Problem(tenants=tenants, free=(1000,) * 4, rules=rules))
    assert solution is not None
    found = [hosts[option.gpus[0]] for option in solution.options]
    assert found[0] != found[1] == found[2]


def test_runners_up_leave_out_what_differs_only_by_equal_gpus() -> None:
    pool = (0, 1, 2, 3)
    option = Option(gpus=(0,), shares=(share(),), least=300, ceiling=500, pools=(pool,))
    tenants = tuple(Tenant(name=name, options=(option,)) for name in "ab")
    problem = Problem(tenants=tenants, free=(1000,) * 4)
    best = solve(problem)
    assert best is not None
    found = runners_up(problem, best)
    assert [[each.gpus for each in solution.options] for solution in (best, *found.solutions)] == [
        [(0,), (0,)],
        [(0,), (1,)],
    ]
    assert found.proven


def test_a_watch_that_says_stop_before_there_is_a_placement_gives_no_verdict() -> None:
    told: list[Progress] = []

    def stop(progress: Progress) -> bool:
        told.append(progress)
        return True

    with pytest.raises(LimitReachedError):
        is_feasible(hard_problem(), watch=stop)
    assert told == [Progress(steps=told[0].steps)]


def test_a_watch_that_says_stop_later_gives_the_best_so_far_and_its_gaps() -> None:
    problem = cluster(0, 64, 8, 0.97)
    told: list[Progress] = []

    def stop_once_there_is_a_placement(progress: Progress) -> bool:
        told.append(progress)
        return progress.has_placement

    stopped, whole = solve(problem, watch=stop_once_there_is_a_placement), solve(problem)
    assert stopped is not None
    assert whole is not None
    assert told[-1].part == "smallest_headroom"
    assert stopped.gaps[0].part == "smallest_headroom"
    assert stopped.smallest_headroom <= whole.smallest_headroom <= stopped.gaps[0].bound
    assert stopped.steps < whole.steps


def test_a_gap_is_relative_to_what_was_reached() -> None:
    assert Gap(part="gpus_used", reached=8, bound=6).size == 0.25
    assert Gap(part="moved", reached=0, bound=0).size == 0.0
