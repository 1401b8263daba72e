"""How long the exact search takes, without any vLLM knowledge: measured, never asserted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from orchestrator.planner.problem import Option, Problem, Share, Tenant
from orchestrator.planner.search import is_feasible, solve

GPU_BYTES = 24_000


def linear_share(base: int, inside: int, required: int) -> Share:
    return Share(
        claim=lambda level: GPU_BYTES * level // 1000 + base,
        headroom=lambda level: (GPU_BYTES * level // 1000 - inside) / required,
    )


def tight_problem(seed: int, tenant_count: int = 16, gpu_count: int = 8, filling: float = 0.97) -> Problem:
    """Tenants whose least claims together fill `filling` of all GPUs, in random parts."""
    random = Random(seed)
    parts = [random.uniform(0.15, 0.85) for _ in range(tenant_count)]
    scale = filling * gpu_count / sum(parts)
    tenants = []
    for number, part in enumerate(parts):
        least = min(990, max(20, int(part * scale * 1000)))
        inside = int(least * GPU_BYTES / 1000 * random.uniform(0.4, 0.8))
        share = linear_share(0, inside, GPU_BYTES * least // 1000 - inside)
        options = tuple(Option(gpus=(gpu,), shares=(share,), least=least, ceiling=1000) for gpu in range(gpu_count))
        tenants.append(Tenant(name=f"t{number:02}", options=options))
    return Problem(tenants=tuple(tenants), free=(GPU_BYTES,) * gpu_count)


def measure(benchmark: Any, search: Callable[[Problem], object], problems: Iterator[Problem]) -> None:
    """Every one of 200 rounds gets a problem of its own."""
    benchmark.pedantic(search, setup=lambda: ((next(problems),), {}), rounds=200, iterations=1)


@pytest.mark.parametrize("filling", [0.7, 0.9, 0.97, 0.99])
def test_the_best_placement_of_16_services_on_8_gpus(benchmark: BenchmarkFixture, filling: float) -> None:
    problems: Iterator[Problem] = (tight_problem(seed, filling=filling) for seed in range(1_000_000))
    measure(benchmark, solve, problems)


@pytest.mark.parametrize("filling", [0.9, 0.97, 0.99, 1.0])
def test_feasibility_of_16_services_on_8_gpus(benchmark: BenchmarkFixture, filling: float) -> None:
    problems: Iterator[Problem] = (tight_problem(seed, filling=filling) for seed in range(1_000_000))
    measure(benchmark, is_feasible, problems)
