"""The search against an oracle of another make: the same feasibility, the same set, the same objective."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.planner.best_set import best_set
from orchestrator.planner.problem import Problem, Solution
from orchestrator.planner.search import is_feasible, solve
from tests.properties.instances import instance
from tests.properties.oracle import Best, Oracle

BLOCKS, PER_BLOCK = 24, 90


def as_best(left_out: tuple[str, ...], solution: Solution) -> Best:
    score = solution.score
    return Best(frozenset(left_out), score.moved, score.ranks, score.smallest_headroom, score.gpus_used)


def judged(problem: Problem) -> tuple[str, Best]:
    solution = solve(problem)
    assert is_feasible(problem) == (solution is not None)
    if solution is not None:
        assert solution.proven
        return "all placed", as_best((), solution)
    found = best_set(problem)
    assert found.proven
    return "some left out", as_best(found.left_out, found.solution)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_search_finds_what_cp_sat_finds(block: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
        problem = instance(seed)
        kind, found = judged(problem)
        seen[kind] += 1
        assert found == Oracle(problem).solve(), seed
    assert min(seen["all placed"], seen["some left out"]) > PER_BLOCK // 10  # both are exercised
