"""How long the exact search takes and how its cost grows, without any vLLM knowledge: measured, never asserted.

`pytest tests/benchmarks/test_search_benchmark.py --benchmark-only --benchmark-group-by=func` shows in brackets how many
times as long each size takes as the smallest one of the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from orchestrator.planner.best_set import best_set
from orchestrator.planner.problem import Option, Problem, Tenant
from orchestrator.planner.search import is_feasible, solve
from tests.benchmarks.clusters import GPU_BYTES, cluster, linear_share


def tight_problem(seed: int, tenant_count: int = 16, gpu_count: int = 8, filling: float = 0.97) -> Problem:
    """Every GPU is cut into random least shares that fill `filling` of it, so there is a placement; then shuffled."""
    random = Random(seed)
    owners = [*range(gpu_count), *(random.randrange(gpu_count) for _ in range(tenant_count - gpu_count))]
    leasts: list[int] = []
    for gpu in range(gpu_count):
        parts = [random.uniform(0.5, 3.0) for owner in owners if owner == gpu]
        leasts.extend(max(1, int(1000 * filling * part / sum(parts))) for part in parts)
    random.shuffle(leasts)
    tenants = []
    for number, least in enumerate(leasts):
        inside = int(least * GPU_BYTES / 1000 * random.uniform(0.4, 0.8))
        share = linear_share(0, inside, GPU_BYTES * least // 1000 - inside)
        options = tuple(Option(gpus=(gpu,), shares=(share,), least=least, ceiling=1000) for gpu in range(gpu_count))
        tenants.append(Tenant(name=f"t{number:02}", options=options))
    return Problem(tenants=tuple(tenants), free=(GPU_BYTES,) * gpu_count)


def measure(
    benchmark: Any, search: Callable[[Problem], object], problems: Iterator[Problem], rounds: int = 200
) -> None:
    """Every round gets a problem of its own."""
    benchmark.pedantic(search, setup=lambda: ((next(problems),), {}), rounds=rounds, iterations=1)


@pytest.mark.parametrize("filling", [0.7, 0.9, 0.97, 0.99])
def test_the_best_placement_of_16_services_on_8_gpus(benchmark: BenchmarkFixture, filling: float) -> None:
    problems: Iterator[Problem] = (tight_problem(seed, filling=filling) for seed in range(1_000_000))
    measure(benchmark, solve, problems)


@pytest.mark.parametrize("filling", [0.9, 0.97, 0.99, 1.0])
def test_feasibility_of_16_services_on_8_gpus(benchmark: BenchmarkFixture, filling: float) -> None:
    problems: Iterator[Problem] = (tight_problem(seed, filling=filling) for seed in range(1_000_000))
    measure(benchmark, is_feasible, problems)


@pytest.mark.parametrize(("tenants", "hosts"), [(8, 1), (16, 2), (32, 4), (64, 8), (128, 16), (256, 32)])
def test_growth_with_services_and_hosts(benchmark: BenchmarkFixture, tenants: int, hosts: int) -> None:
    problems = (cluster(seed, tenants, hosts) for seed in range(1_000_000))
    measure(benchmark, solve, problems, rounds=3)


def test_500_services_on_1000_gpus_of_125_hosts(benchmark: BenchmarkFixture) -> None:
    measure(benchmark, solve, iter([cluster(0, 500, 125)]), rounds=1)


@pytest.mark.parametrize("tenants", [8, 16, 32])
def test_growth_of_the_best_set_when_a_quarter_too_much_is_asked_for(benchmark: BenchmarkFixture, tenants: int) -> None:
    problems = (tight_problem(seed, tenants, tenants // 2, filling=1.25) for seed in range(1_000_000))
    measure(benchmark, best_set, problems, rounds=5)
