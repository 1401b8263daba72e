"""Which tensor-parallel sizes a model can have: our findings against the real model classes."""

from __future__ import annotations

import random

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.release import Release
from orchestrator.engine.sharding_checks import check_sharding
from tests.vllm.model_directories import WriteModel, qwen3
from tests.vllm.oracle_process import Answer, Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")


def _request(directory: str, size: int) -> Answer:
    argv = [directory, "--tensor-parallel-size", str(size), "--max-model-len", "1024", "--block-size", "32"]
    return {"ask": "cache", "argv": argv, "available_bytes": [], "in_flight_batches": 2}


def test_sizes_that_divide_a_model_are_the_ones_that_vllm_can_build(
    oracle: Oracle, model_directory: WriteModel
) -> None:
    chance = random.Random(3)
    here, there = [], []
    for _ in range(100):
        kv_heads = chance.choice((1, 2, 3, 4, 6, 8))
        shape = {
            "heads": kv_heads * chance.choice((3, 4, 6, 8)),
            "kv_heads": kv_heads,
            "hidden": chance.choice((768, 1024, 1536)),
            "vocabulary": chance.choice((151936, 128256, 32000, 12288, 1000, 393216)),
        }
        size = chance.choice((2, 3, 4, 6, 8))
        config = qwen3(layers=1, **shape)
        parsed = parse_config(config)
        assert isinstance(parsed, ModelConfig)
        [answer] = oracle.ask([_request(model_directory(config), size)])
        problems = check_sharding(vllm={"tensor-parallel-size": size}, release=RELEASE, config=parsed)
        here.append((shape, size, not problems))
        there.append((shape, size, answer["ok"]))
    assert here == there
    assert 20 < sum(fits for _, _, fits in here) < 80
