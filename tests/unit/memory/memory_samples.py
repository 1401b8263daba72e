"""Models, cards and footprints that the tests of the memory room share."""

from __future__ import annotations

from typing import Any

from orchestrator.catalog.models import find_model
from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, ModelFacts, WeightPart
from orchestrator.domain.plan import Footprint
from orchestrator.domain.profile import FlagValue, Requirements
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB
from orchestrator.engine.settings import EngineSettings, resolve_settings
from orchestrator.memory.footprint import footprint

NEWEST = "0.32.0"

Flags = dict[str, Any]
"""Flags under `vllm:` as keywords, with underscores."""


def card(total_gib: float, capability: tuple[int, int] | None, *, name: str = "card", nvml_gib: float = 0.0) -> Gpu:
    """An idle card whose CUDA total is known exactly."""
    total = round(total_gib * GIB)
    nvml = round((nvml_gib or total_gib) * GIB)
    return Gpu(
        index=0,
        uuid="GPU-0",
        name=name,
        total_bytes=nvml,
        free_bytes=nvml,
        cuda_total_bytes=total,
        compute_capability=capability,
    )


ADA_24 = card(24.0, (8, 9))
T4 = card(15.0, (7, 5))
A10G = card(22.5, (8, 6))
H100 = card(79.19, (9, 0), name="NVIDIA H100 80GB HBM3", nvml_gib=79.65)


BLACKWELL = card(31.4, (12, 0), name="NVIDIA GeForce RTX 5090", nvml_gib=31.84)


def facts_of(model: str) -> ModelFacts:
    facts = find_model(model)
    if facts is None:
        raise LookupError(model)
    return facts


def settings_for(
    facts: ModelFacts, gpu: Gpu = ADA_24, release: str = NEWEST, has_flashinfer: bool = True, **vllm: FlagValue
) -> EngineSettings:
    flags = {name.replace("_", "-"): value for name, value in vllm.items()}
    return resolve_settings(
        vllm=flags, release=Release.of(release), facts=facts, gpu=gpu, has_flashinfer=has_flashinfer
    )


def footprint_of(
    facts: ModelFacts,
    gpu: Gpu = ADA_24,
    release: str = NEWEST,
    requests: float = 1.0,
    has_flashinfer: bool = True,
    **vllm: FlagValue,
) -> Footprint:
    return footprint(
        settings=settings_for(facts, gpu, release, has_flashinfer, **vllm),
        facts=facts,
        gpu=gpu,
        requirements=Requirements(full_length_requests=requests),
    )


def config_of(*layers: LayerGroup, **changes: object) -> ModelConfig:
    """A small dense model with 1 GiB of weights (see `facts_with`), 4 KV heads of 128."""
    fields: dict[str, object] = {
        "architecture": "LlamaForCausalLM",
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_layers": sum(group.count for group in layers) or 8,
        "num_attention_heads": 8,
        "num_kv_heads": 4,
        "head_dim": 128,
        "vocab_size": 32000,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "layers": layers or (full(8),),
    }
    return ModelConfig(**{**fields, **changes})  # type: ignore[arg-type]


def full(count: int, num_kv_heads: int = 4) -> LayerGroup:
    return LayerGroup(kind=LayerKind.FULL_ATTENTION, count=count, num_kv_heads=num_kv_heads, head_size=128)


def sliding(count: int, window: int = 1024) -> LayerGroup:
    return LayerGroup(kind=LayerKind.SLIDING_ATTENTION, count=count, num_kv_heads=4, head_size=128, window=window)


def facts_with(config: ModelConfig, **weights: int) -> ModelFacts:
    """Facts with the given bytes per part (by the names of `WeightPart`)."""
    parts = {WeightPart[name.upper()]: size for name, size in weights.items()} or {WeightPart.LINEAR: GIB}
    return ModelFacts(model="test/model", config=config, weights=parts, provenance="made up for a test")
