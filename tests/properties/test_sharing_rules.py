"""Rules about who keeps apart and who stays together: against counting everything out, and what must always hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.planner.problem import Option, Problem, Rule
from orchestrator.planner.search import is_feasible, minimal_conflict, solve
from tests.properties.test_planner_properties import holds, random_problem

seeds = st.integers(min_value=0, max_value=100_000)


def ruled_problem(seed: int) -> Problem:
    """A small problem on up to two hosts with up to three rules; some of the tenants are replicas: equal, and apart."""
    random = Random(seed)
    plain = random_problem(seed)
    first = plain.tenants[0]
    replicas = tuple(replace(first, name=f"replica{number}") for number in range(random.randint(0, 2)))
    tenants = (*plain.tenants, *replicas)
    gpus = tuple(range(len(plain.free)))
    hosts = tuple(gpu % 2 for gpu in gpus)
    rules = [
        Rule(
            members=frozenset(random.sample([each.name for each in tenants], min(2, len(tenants)))),
            zones=random.choice([gpus, hosts]),
            together=random.random() < 0.4,
        )
        for _ in range(random.randint(0, 2))
    ]
    if replicas:
        group = frozenset((first.name, *(each.name for each in replicas)))
        rules.append(Rule(members=group, zones=random.choice([gpus, hosts])))
    return replace(plain, tenants=tenants, rules=tuple(rules))


def obeys(problem: Problem, options: tuple[Option, ...]) -> bool:
    """The rules read word by word."""
    gpus = {tenant.name: option.gpus for tenant, option in zip(problem.tenants, options, strict=True)}
    for rule in problem.rules:
        zones = [{rule.zones[gpu] for gpu in gpus[name]} for name in rule.members if name in gpus]
        if rule.together and len(set().union(*zones)) > 1:
            return False
        if not rule.together and any(one & other for one, other in combinations(zones, 2)):
            return False
    return True


def feasible_by_counting(problem: Problem) -> bool:
    return any(
        holds(problem, options, tuple(option.least for option in options)) and obeys(problem, options)
        for options in product(*(tenant.options for tenant in problem.tenants))
    )


@pytest.mark.parametrize("block", range(10))
def test_the_search_keeps_rules_and_finds_what_counting_everything_out_finds(block: int) -> None:
    feasible = bound = 0
    for seed in range(block * 60, block * 60 + 60):
        problem = ruled_problem(seed)
        expected = feasible_by_counting(problem)
        solution = solve(problem)
        assert (solution is not None) == expected, seed
        if solution is not None:
            assert obeys(problem, solution.options), seed
            assert holds(problem, solution.options, solution.levels), seed
        feasible += expected
        bound += not expected and feasible_by_counting(replace(problem, rules=()))
    assert feasible >= 5
    assert bound >= 5  # rules decided


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_under_rules_leaving_a_tenant_out_never_makes_it_impossible(seed: int) -> None:
    problem = ruled_problem(seed)
    if is_feasible(problem):
        for tenant in problem.tenants:
            assert is_feasible(problem.without(frozenset({tenant.name})))


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_a_conflict_under_rules_is_minimal(seed: int) -> None:
    problem = ruled_problem(seed)
    conflict = minimal_conflict(problem)
    assert (conflict is None) == feasible_by_counting(problem)
    if conflict is not None:
        members = problem.only(conflict.names)
        assert not feasible_by_counting(members)
        for name in conflict.names:
            assert feasible_by_counting(members.without(frozenset({name})))


@settings(max_examples=100, deadline=None)
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_of_tenants_and_rules_does_not_decide_whether_they_fit(seed: int, random: Random) -> None:
    problem = ruled_problem(seed)
    tenants, rules = list(problem.tenants), list(problem.rules)
    random.shuffle(tenants)
    random.shuffle(rules)
    assert is_feasible(replace(problem, tenants=tuple(tenants), rules=tuple(rules))) == is_feasible(problem)


def test_one_replica_too_many_is_refuted_without_trying_every_order() -> None:
    share = random_problem(0).tenants[0].options[0].shares[0]
    tenant = replace(
        random_problem(0).tenants[0],
        exclusive=False,
        options=tuple(Option(gpus=(gpu,), shares=(share,), least=1, ceiling=1) for gpu in range(15)),
    )
    names = tuple(f"r{number}" for number in range(16))
    problem = Problem(
        tenants=tuple(replace(tenant, name=each) for each in names),
        free=(10_000,) * 15,
        rules=(Rule(members=frozenset(names), zones=tuple(range(15))),),
    )
    assert not is_feasible(problem, step_limit=2_000)
    assert is_feasible(problem.without(frozenset({"r0"})), step_limit=2_000)
