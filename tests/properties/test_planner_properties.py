"""The planner against brute force on small instances, and what must hold for every instance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.planner.best_set import best_set
from orchestrator.planner.problem import Option, Problem, Solution, Tenant
from orchestrator.planner.runners_up import runners_up
from orchestrator.planner.search import is_feasible, minimal_conflict, solve
from tests.properties.instances import Line, instance, spelt_out

Levels = tuple[int, ...]
Objective = tuple[tuple[tuple[int, ...], ...], float, int]


def random_problem(seed: int) -> Problem:
    """Up to 4 tenants on up to 3 GPUs with short grids, so that everything can be counted out."""
    random = Random(seed)
    gpu_count = random.randint(1, 3)
    tenants = []
    for number in range(random.randint(1, 4)):
        line = Line(random.randint(2, 5), random.randint(0, 3), random.randint(0, 4), random.randint(1, 6))
        kinds = [line.share(), replace(line, slope=line.slope + 1).share()]
        wide = gpu_count > 1 and random.random() < 0.25
        pairs = [(one, other) for one in range(gpu_count) for other in range(one + 1, gpu_count)]
        sets = pairs if wide else [(gpu,) for gpu in range(gpu_count)]
        allowed = [gpus for gpus in sets if random.random() < 0.85] or sets[:1]
        least = random.randint(1, 3)
        ceiling = least + random.randint(0, 3)
        options = tuple(
            Option(
                gpus=gpus,
                shares=tuple(kinds[gpu % 2] for gpu in gpus),
                least=least,
                ceiling=ceiling,
                rank=(random.randint(0, 2),) if wide else (),
            )
            for gpus in allowed
        )
        exclusive = random.random() < 0.2
        tenants.append(Tenant(name=f"t{number}", options=options, exclusive=exclusive, weight=random.randint(0, 9)))
    return Problem(tenants=tuple(tenants), free=tuple(random.randint(8, 34) for _ in range(gpu_count)))


def holds(problem: Problem, options: tuple[Option, ...], levels: Levels) -> bool:
    claimed = [0] * len(problem.free)
    tenants_on: list[list[Tenant]] = [[] for _ in problem.free]
    for tenant, option, level in zip(problem.tenants, options, levels, strict=True):
        for gpu, claim in zip(option.gpus, option.claims(level), strict=True):
            claimed[gpu] += claim
            tenants_on[gpu].append(tenant)
    alone = all(len(group) == 1 or not any(each.exclusive for each in group) for group in tenants_on)
    return alone and all(claim <= free for claim, free in zip(claimed, problem.free, strict=True))


def every_placement(problem: Problem) -> Iterator[tuple[tuple[Option, ...], Levels]]:
    for options in product(*(tenant.options for tenant in problem.tenants)):
        if not holds(problem, options, tuple(option.least for option in options)):
            continue
        for levels in product(*(range(option.least, option.ceiling + 1) for option in options)):
            if holds(problem, options, levels):
                yield options, levels


def objective(problem: Problem, solution: Solution) -> Objective:
    """Smaller is better, part by part."""
    heaviest_first = sorted(range(len(problem.tenants)), key=lambda number: (-problem.tenants[number].weight, number))
    ranks = tuple(solution.options[number].rank for number in heaviest_first)
    return (ranks, -solution.smallest_headroom, solution.gpus_used)


def best_by_counting(problem: Problem) -> Objective | None:
    placements = every_placement(problem)
    return min((objective(problem, Solution(options=o, levels=n)) for o, n in placements), default=None)


@pytest.mark.parametrize("block", range(12))
def test_the_search_finds_what_counting_everything_out_finds(block: int) -> None:
    feasible = 0
    for seed in range(block * 40, block * 40 + 40):
        problem = random_problem(seed)
        solution = solve(problem)
        expected = best_by_counting(problem)
        assert (solution is None) == (expected is None), seed
        assert is_feasible(problem) == (expected is not None), seed
        if solution is not None:
            feasible += 1
            assert solution.proven
            assert holds(problem, solution.options, solution.levels), seed
            assert objective(problem, solution) == expected, seed
    assert 5 <= feasible <= 38  # both answers are exercised


def _with_pools(seed: int) -> tuple[Problem, Problem]:
    """More equal GPUs beside the first, written as stand-ins, and the same with every set spelt out."""
    random = Random(seed)
    row = tuple(range(random.randint(2, 4)))
    share = Line(3, 1, 2, 4).share()
    pooled, spelt = [], []
    for number in range(random.randint(1, 4)):
        width = random.choice([1, 1, 2, len(row)])
        common: dict[str, Any] = {"shares": (share,) * width, "least": random.randint(1, 3), "ceiling": 4}
        option = Option(gpus=row[:width], pools=(row,) * width, **common)
        sets = tuple(Option(gpus=gpus, **common) for gpus in combinations(row, width))
        exclusive = random.random() < 0.2
        pooled.append(Tenant(name=f"t{number}", options=(option,), exclusive=exclusive))
        spelt.append(Tenant(name=f"t{number}", options=sets, exclusive=exclusive))
    pin = Option(gpus=(random.choice(row),), shares=(share,), least=1, ceiling=3)
    free = (random.randint(8, 34),) * len(row)
    pinned = (Tenant(name="pinned", options=(pin,)),) if random.random() < 0.6 else ()
    return (
        Problem(tenants=(*pooled, *pinned), free=free),
        Problem(tenants=(*spelt, *pinned), free=free),
    )


@pytest.mark.parametrize("block", range(4))
def test_gpus_that_stand_in_for_each_other_are_as_good_as_every_set_spelt_out(block: int) -> None:
    feasible = 0
    for seed in range(block * 50, block * 50 + 50):
        pooled, spelt = _with_pools(seed)
        one, other = solve(pooled), solve(spelt)
        assert (one is None) == (other is None), seed
        assert is_feasible(pooled) == (one is not None)
        if one is not None and other is not None:
            feasible += 1
            assert holds(pooled, one.options, one.levels)
            assert one.smallest_headroom == other.smallest_headroom
            assert one.gpus_used == other.gpus_used
            assert one.levels == other.levels
    assert 5 <= feasible <= 48


@pytest.mark.parametrize("block", range(4))
def test_a_minimal_conflict_is_impossible_and_every_proper_subset_is_possible(block: int) -> None:
    conflicts = 0
    for seed in range(1000 + block * 60, 1000 + block * 60 + 60):
        problem = random_problem(seed)
        found = minimal_conflict(problem)
        names = None if found is None else found.names
        if names is None:
            assert is_feasible(problem)
            continue
        conflicts += 1
        others = frozenset(tenant.name for tenant in problem.tenants) - set(names)
        core = problem.without(others)
        assert best_by_counting(core) is None
        for name in names:
            assert is_feasible(core.without(frozenset({name})))
    assert conflicts > 3


seeds = st.integers(min_value=10_000, max_value=10_000_000)


@settings(max_examples=120, deadline=None)
@given(seeds)
def test_claims_never_exceed_what_is_free_and_everybody_has_a_place(seed: int) -> None:
    problem = random_problem(seed)
    solution = solve(problem)
    if solution is not None:
        assert len(solution.options) == len(problem.tenants)
        assert holds(problem, solution.options, solution.levels)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_same_problem_has_the_same_answer(seed: int) -> None:
    one, other = solve(random_problem(seed)), solve(random_problem(seed))
    if one is None or other is None:
        assert one is other
        return
    assert [option.gpus for option in one.options] == [option.gpus for option in other.options]
    assert one.levels == other.levels


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_leaving_a_tenant_out_never_makes_it_impossible(seed: int) -> None:
    problem = random_problem(seed)
    if is_feasible(problem):
        for tenant in problem.tenants:
            assert is_feasible(problem.without(frozenset({tenant.name})))


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(min_value=0, max_value=40))
def test_one_more_gpu_never_makes_it_impossible_or_the_headroom_smaller(seed: int, free: int) -> None:
    problem = random_problem(seed)
    before = solve(problem)
    bigger = Problem(
        tenants=tuple(
            replace(tenant, options=(*tenant.options, *_on_new_gpu(tenant, len(problem.free))))
            for tenant in problem.tenants
        ),
        free=(*problem.free, free),
    )
    if before is not None:
        after = solve(bigger)
        assert after is not None
        if all(not option.rank for option in before.options):
            assert after.smallest_headroom >= before.smallest_headroom


def _on_new_gpu(tenant: Tenant, gpu: int) -> tuple[Option, ...]:
    first = tenant.options[0]
    return (replace(first, gpus=(gpu,)),) if len(first.gpus) == 1 else ()


@settings(max_examples=80, deadline=None)
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_of_gpus_changes_nothing_that_counts(seed: int, random: Random) -> None:
    problem = random_problem(seed)
    places = list(range(len(problem.free)))
    random.shuffle(places)
    renamed = Problem(
        tenants=tuple(
            replace(
                tenant,
                options=tuple(
                    replace(option, gpus=tuple(places[gpu] for gpu in option.gpus)) for option in tenant.options
                ),
            )
            for tenant in problem.tenants
        ),
        free=tuple(problem.free[places.index(gpu)] for gpu in range(len(places))),
    )
    one, other = solve(problem), solve(renamed)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert objective(problem, one) == objective(renamed, other)


@settings(max_examples=150, deadline=None)
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_of_tenants_and_of_rules_changes_nothing(seed: int, random: Random) -> None:
    problem = instance(seed)
    tenants, rules = list(problem.tenants), list(problem.rules)
    random.shuffle(tenants)
    random.shuffle(rules)
    one, other = best_set(problem), best_set(replace(problem, tenants=tuple(tenants), rules=tuple(rules)))
    assert set(one.left_out) == set(other.left_out)
    assert one.solution.score == other.solution.score
    names = [tenant.name for tenant in tenants if tenant.name in one.kept]
    assert dict(zip(one.kept, placed(one.solution), strict=True)) == dict(
        zip(names, placed(other.solution), strict=True)
    )


def placed(solution: Solution) -> list[tuple[tuple[int, ...], int]]:
    return [(option.gpus, level) for option, level in zip(solution.options, solution.levels, strict=True)]


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_a_constraint_less_never_makes_it_impossible_and_never_worse(seed: int) -> None:
    problem = instance(seed)
    best = solve(problem)
    for looser in with_one_constraint_less(problem):
        found = solve(looser)
        assert best is None or (found is not None and found.score.key <= best.score.key)


def with_one_constraint_less(problem: Problem) -> Iterator[Problem]:
    """A rule less, one who need not be alone, and one who may have more."""
    for rule in problem.rules:
        yield replace(problem, rules=tuple(each for each in problem.rules if each is not rule))
    for number, tenant in enumerate(problem.tenants):
        before, after = problem.tenants[:number], problem.tenants[number + 1 :]
        if tenant.exclusive:
            yield replace(problem, tenants=(*before, replace(tenant, exclusive=False), *after))
        wider = tuple(replace(option, ceiling=option.ceiling + 1) for option in tenant.options)
        yield replace(problem, tenants=(*before, replace(tenant, options=wider), *after))


@settings(max_examples=150, deadline=None)
@given(seeds, st.integers(min_value=0, max_value=40))
def test_a_gpu_more_never_makes_the_objective_worse(seed: int, free: int) -> None:
    problem = instance(seed)
    gpu = len(problem.free)
    bigger = replace(
        problem,
        tenants=tuple(replace(each, options=(*each.options, *_on_new_gpu(each, gpu))) for each in problem.tenants),
        free=(*problem.free, free),
        rules=tuple(replace(rule, zones=(*rule.zones, gpu)) for rule in problem.rules),
    )
    before, after = best_set(problem), best_set(bigger)
    assert left_out_counts(bigger, after.left_out) <= left_out_counts(problem, before.left_out)
    if set(before.left_out) == set(after.left_out):
        assert after.solution.score.key <= before.solution.score.key


def left_out_counts(problem: Problem, names: tuple[str, ...]) -> list[int]:
    """How many of each priority, the highest first."""
    rows = {tenant.name: tenant.priority for tenant in problem.tenants}
    return [sum(rows[name] == priority for name in names) for priority in (2, 1, 0)]


@pytest.mark.parametrize("block", range(4))
def test_a_minimal_conflict_of_ruled_tenants_is_one_and_is_minimal(block: int) -> None:
    conflicts = 0
    for seed in range(20_000 + block * 60, 20_000 + block * 60 + 60):
        problem = instance(seed)
        found = minimal_conflict(problem)
        assert (found is None) == is_feasible(problem)
        if found is not None:
            conflicts += 1
            core = problem.only(found.names)
            assert not is_feasible(core)
            assert all(is_feasible(core.without(frozenset({name}))) for name in found.names)
    assert conflicts > 5


@pytest.mark.parametrize("block", range(3))
def test_runners_up_are_the_best_of_all_other_placements(block: int) -> None:
    compared = 0
    for seed in range(30_000 + block * 40, 30_000 + block * 40 + 40):
        problem = instance(seed)
        best = solve(problem)
        if best is None or len(problem.tenants) > 3:
            continue
        found = runners_up(problem, best)
        assert found.proven
        keys = [each.score.key for each in found.solutions]
        sets = [tuple(option.gpus for option in each.options) for each in (best, *found.solutions)]
        assert keys == sorted(keys)
        assert len(set(sets)) == len(sets)
        everything = sorted({key for key, _ in keys_by_counting(problem)})
        assert set(keys) <= set(everything)
        better = {key for key in everything if keys and best.score.key < key < keys[-1]}
        assert better <= set(keys), seed
        if len(keys) < 3:
            assert set(everything) == {best.score.key, *keys}
        compared += len(keys)
    assert compared > 15


def keys_by_counting(problem: Problem) -> Iterator[tuple[Any, tuple[tuple[int, ...], ...]]]:
    """The best key of every way to give the tenants GPUs, each way solved by itself."""
    for options in product(*(spelt_out(tenant) for tenant in problem.tenants)):
        pairs = zip(problem.tenants, options, strict=True)
        fixed = replace(problem, tenants=tuple(replace(tenant, options=(option,)) for tenant, option in pairs))
        solution = solve(fixed)
        if solution is not None:
            yield solution.score.key, tuple(option.gpus for option in options)
