"""How long one estimate takes once facts are loaded, as planner and `fit` ask for it; measured, never asserted."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.catalog.models import find_model
from orchestrator.domain.inventory import Gpu, Inventory
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Prediction
from orchestrator.domain.profile import FlagValue, Requirements
from orchestrator.domain.release import Release
from orchestrator.engine.settings import resolve_settings
from orchestrator.memory.footprint import footprint
from orchestrator.memory.prediction import largest_utilization, predict, smallest_utilization

RELEASE = Release.of("0.32.0")
FLAGS: dict[str, FlagValue] = {
    "max-model-len": 32768,
    "gpu-memory-utilization": 0.9,
    "tensor-parallel-size": 2,
    "kv-cache-dtype": "fp8",
    "max-num-seqs": 64,
    "rope-scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
}


def estimate(facts: ModelFacts, gpu: Gpu) -> Prediction:
    """All that is asked about one service on one kind of GPU."""
    settings = resolve_settings(vllm=FLAGS, release=RELEASE, facts=facts, gpu=gpu)
    requirements = Requirements(full_length_requests=1.0)
    priced = footprint(settings=settings, facts=facts, gpu=gpu, requirements=requirements)
    smallest_utilization(priced)
    granted = largest_utilization(priced, gpu.free_bytes)
    return predict(priced, granted, gpu.free_bytes)


@pytest.mark.parametrize(
    "model",
    [
        "Qwen/Qwen3-8B",
        "google/gemma-3-27b-it",
        "Qwen/Qwen3-Next-80B-A3B-Instruct",
        "deepseek-ai/DeepSeek-V2-Lite",
        "openai/gpt-oss-20b",
    ],
)
def test_one_estimate(benchmark: BenchmarkFixture, model: str) -> None:
    inventory = inventory_from_short_form("1xRTX4090")
    facts = find_model(model)
    assert isinstance(inventory, Inventory)
    assert facts is not None
    prediction = benchmark(estimate, facts, next(inventory.gpus()))
    assert prediction.kv_cache.low <= prediction.kv_cache.high
