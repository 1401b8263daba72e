"""Models and cards that the tests of the engine room share."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

from orchestrator.domain.inventory import Gpu, Host
from orchestrator.domain.model_config import MixtureOfExperts, ModelConfig, ModelFacts, Quantization, WeightPart
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release

YARN: dict[str, FlagValue] = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}

QWEN3_32B = ModelConfig(
    architecture="Qwen3ForCausalLM",
    model_type="qwen3",
    dtype="bfloat16",
    hidden_size=5120,
    intermediate_size=25600,
    num_layers=64,
    num_attention_heads=64,
    num_kv_heads=8,
    head_dim=128,
    vocab_size=151936,
    max_position_embeddings=40960,
    tie_word_embeddings=False,
    layers=(),
    rope_theta=1000000.0,
    quantization=Quantization(method="awq", bits=4, group_size=128),
)
QWEN3_8B = replace(
    QWEN3_32B, hidden_size=4096, intermediate_size=12288, num_layers=36, num_attention_heads=32, num_kv_heads=8
)
QWEN3_1_7B_FP8 = replace(
    QWEN3_32B,
    hidden_size=2048,
    intermediate_size=6144,
    num_layers=28,
    num_attention_heads=16,
    quantization=Quantization(method="fp8", bits=8, block_size=(128, 128)),
)
QWEN3_30B_A3B_FP8 = replace(
    QWEN3_1_7B_FP8,
    num_attention_heads=32,
    num_kv_heads=4,
    moe=MixtureOfExperts(num_experts=128, experts_per_token=8, intermediate_size=768),
)

MEDIUM: dict[str, FlagValue] = {
    "tensor-parallel-size": 2,
    "gpu-memory-utilization": 0.93,
    "max-model-len": 131072,
    "kv-cache-dtype": "fp8",
    "rope-scaling": dict(YARN),
}
MINI: dict[str, FlagValue] = {"gpu-memory-utilization": 0.55, "max-model-len": 32768}
MICRO: dict[str, FlagValue] = {"gpu-memory-utilization": 0.3, "enforce-eager": True}


def facts_of(config: ModelConfig) -> ModelFacts:
    return ModelFacts(model="a/b", config=config, weights={WeightPart.LINEAR: 1}, provenance="made up")


def card(name: str, capability: tuple[int, int] | None) -> Gpu:
    return Gpu(index=0, uuid="GPU-1", name=name, total_bytes=1, free_bytes=1, compute_capability=capability)


def host(driver: str | None = "580.65.06") -> Host:
    return Host(name="box", gpus=(), driver_version=driver)


def release(text: str) -> Release:
    return Release.of(text)


def package_data() -> dict[str, Any]:
    """What the recorder reads and writes: the flags, and the releases that they were recorded for."""
    place = files("orchestrator.engine")
    flags, releases = (
        json.loads((place / name).read_text(encoding="utf-8")) for name in ("flags.json", "releases.json")
    )
    return {**flags, "releases": releases}


def package_data_until(newest: Release) -> dict[str, Any]:
    """The package data as it was when `newest` was the newest release in it."""
    document = package_data()
    releases = [text for text in document["releases"] if Release.of(text) <= newest]
    kept = {
        name: [
            [first, min(last, newest.text, key=Release.of), spec] for first, last, spec in entries if first in releases
        ]
        for name, entries in document["flags"].items()
    }
    return {**document, "releases": releases, "flags": {name: entries for name, entries in kept.items() if entries}}
