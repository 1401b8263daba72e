"""Our layout of the KV cache against vLLM's own planner: blocks, logged tokens, concurrency, and what is refused."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.catalog.models import raw_config
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Gpu, Inventory
from orchestrator.domain.model_config import ModelConfig, ModelFacts
from orchestrator.domain.plan import Footprint, KvCacheLayout, Prediction, Verdict
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, ByteRange
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.settings import EngineSettings, resolve_settings
from orchestrator.memory.kv_cache import kv_layout
from orchestrator.memory.prediction import predict
from tests.vllm.model_directories import WriteModel, gemma3, qwen3
from tests.vllm.oracle_process import Answer, Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
ESTIMATE = re.compile(r"the estimated maximum model length is (\d+)")
PLENTY = 1 << 50


@dataclass(frozen=True)
class Case:
    """A model, flags as in a profile, and sizes of the KV cache to ask about."""

    config: Mapping[str, object]
    vllm: Mapping[str, FlagValue]
    available_bytes: tuple[int, ...]

    def request(self, directory: str) -> Answer:
        flags = [word for name, value in self.vllm.items() for word in _words(name, value)]
        return {
            "ask": "cache",
            "argv": [directory, *flags],
            "available_bytes": self.available_bytes,
            "in_flight_batches": memory_rules(RELEASE).batches_in_flight,
        }


def _words(name: str, value: FlagValue) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]


def _gpu() -> Gpu:
    inventory = inventory_from_short_form("1xRTX4090")
    assert isinstance(inventory, Inventory)
    return next(inventory.gpus())


def _settings(case: Case) -> tuple[EngineSettings, ModelConfig]:
    config = parse_config(case.config)
    assert not isinstance(config, Diagnostic), config
    facts = ModelFacts(model="m", config=config, weights={}, provenance="made up")
    return resolve_settings(vllm=case.vllm, release=RELEASE, facts=facts, gpu=_gpu()), config


def _predicted(layout: KvCacheLayout, max_model_len: int, available_bytes: int) -> Prediction:
    footprint = Footprint(
        cuda_total=ByteRange.exactly(PLENTY),
        terms=(),
        kv=layout,
        max_model_len=max_model_len,
        kv_required_bytes=layout.bytes_for(max_model_len),
        fixed_kv_bytes=available_bytes,
        release=RELEASE,
    )
    return predict(footprint, 0.5, PLENTY)


def _ours(layout: KvCacheLayout, max_model_len: int, available_bytes: int) -> Answer:
    """Our prediction in the oracle's words."""
    predicted = _predicted(layout, max_model_len, available_bytes)
    if predicted.verdict is not Verdict.STARTS:
        return {"accepted": False, "longest": min(predicted.longest_model_len, max_model_len)}
    return {
        "accepted": True,
        "num_blocks": layout.blocks_in(available_bytes),
        "tokens": predicted.kv_tokens[1],
        "concurrency": predicted.concurrency[1],
    }


def _theirs(plan: Answer) -> Answer:
    if not plan["accepted"]:
        estimate = ESTIMATE.search(plan["reason"])
        return {"accepted": False, "longest": int(estimate.group(1)) if estimate else 0}
    return {name: plan[name] for name in ("accepted", "num_blocks", "tokens", "concurrency")}


def _disagreements(cases: Iterable[Case], oracle: Oracle, model_directory: WriteModel) -> list[object]:
    found: list[object] = []
    for case in cases:
        [answer] = oracle.ask([case.request(model_directory(case.config))])
        assert answer["ok"], (case, answer)
        settings, config = _settings(case)
        layout = kv_layout(settings, config)
        for size, plan in zip(case.available_bytes, answer["plans"], strict=True):
            ours, theirs = _ours(layout, settings.max_model_len, size), _theirs(plan)
            if ours != theirs:
                found.append((case.config["architectures"], case.vllm, size, ours, theirs, plan.get("groups")))
    return found


def _sizes_around(layout: KvCacheLayout, max_model_len: int) -> tuple[int, ...]:
    """Sizes where the answer changes: the least that is enough, one byte less, and some far from it."""
    enough = layout.bytes_for(max_model_len)
    return (enough, enough - 1, enough // 3, layout.block_bytes, layout.block_bytes - 1, 3 * enough + 17, 7 * GIB)


def _case(config: Mapping[str, object], vllm: Mapping[str, FlagValue]) -> Case:
    settings, parsed = _settings(Case(config, vllm, ()))
    return Case(config, vllm, _sizes_around(kv_layout(settings, parsed), settings.max_model_len))


def _published(model: str) -> Mapping[str, object]:
    """As published, but without the quantisation of the weights: a CPU lacks most kernels, and the cache does not care.

    The catalogue leaves out nulls, but a missing `sliding_window` has a default in transformers.
    """
    config = raw_config(model)
    assert config is not None
    return {"sliding_window": None, **{key: value for key, value in config.items() if key != "quantization_config"}}


@pytest.mark.parametrize("kv_cache_dtype", ["auto", "fp8"])
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("model", ["Qwen/Qwen3-32B", "Qwen/Qwen3-8B", "Qwen/Qwen3-1.7B"])
def test_the_cache_of_qwen3_is_the_one_that_vllm_plans(
    model: str, ranks: int, kv_cache_dtype: str, oracle: Oracle, model_directory: WriteModel
) -> None:
    vllm: dict[str, FlagValue] = {
        "max-model-len": 32768,
        "tensor-parallel-size": ranks,
        "kv-cache-dtype": kv_cache_dtype,
        "block-size": 16,
    }
    assert _disagreements([_case(_published(model), vllm)], oracle, model_directory) == []


KNOWN_FAMILIES = (
    "HuggingFaceTB/SmolLM2-135M",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "google/gemma-2-2b",
    "google/gemma-3-1b-it",
    "microsoft/Phi-3-mini-4k-instruct",
    "microsoft/Phi-3-mini-128k-instruct",
    "microsoft/Phi-4-mini-instruct",
    "mistralai/Mistral-7B-v0.1",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "mistralai/Mixtral-8x7B-v0.1",
    "openai/gpt-oss-20b",
    "zai-org/GLM-4-9B-0414",
    "zai-org/GLM-4.5-Air",
)
"""Whole pasts, windows in all layers, windows in some layers, experts; those that a CPU build can construct."""


@pytest.mark.parametrize("model", KNOWN_FAMILIES)
def test_the_cache_of_every_family_is_the_one_that_vllm_plans(
    model: str, oracle: Oracle, model_directory: WriteModel
) -> None:
    config = _published(model)
    longest, heads = config["max_position_embeddings"], config["num_attention_heads"]
    assert isinstance(longest, int)
    assert isinstance(heads, int)
    cases = [
        _case(config, {**_flags(min(longest, length), batch), "tensor-parallel-size": ranks, "kv-cache-dtype": dtype})
        for length, batch, ranks, dtype in ((longest, 8192, 1, "auto"), (5000, 2048, 1, "fp8"), (16384, 512, 2, "auto"))
        if heads % ranks == 0
    ]
    assert _disagreements(cases, oracle, model_directory) == []


def _flags(max_model_len: int, max_num_batched_tokens: int) -> dict[str, FlagValue]:
    """Blocks of 32: a CPU has no kernel that reads a window in smaller ones."""
    return {"max-model-len": max_model_len, "max-num-batched-tokens": max_num_batched_tokens, "block-size": 32}


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_cache_of_recurrent_layers_is_the_one_that_vllm_plans(
    ranks: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    config = {**_published("Qwen/Qwen3-Next-80B-A3B-Instruct"), "mamba_ssm_dtype": "float32"}  # as CPUs do it
    cases = [
        _case(config, {**_flags(length, 2048), "tensor-parallel-size": ranks, **caching})
        for length in (4096, 16384, 262144)
        for caching in ({}, {"enable-prefix-caching": True}, {"enable-prefix-caching": False})
    ]
    assert _disagreements(cases, oracle, model_directory) == []


def _made_up(chance: random.Random) -> Case:
    """A model of a random shape with random lengths, batches, blocks and ranks."""
    ranks = chance.choice((1, 1, 2, 4))
    kv_heads = chance.choice((1, 2, 4, 8))
    heads = kv_heads * chance.choice((1, 2, 4)) * 4
    layers = chance.randint(1, 30)
    head_dim = chance.choice((64, 96, 128, 256))
    if chance.random() < 0.5:
        config = qwen3(layers=layers, heads=heads, kv_heads=kv_heads, head_dim=head_dim, hidden=1024, longest=131072)
    else:
        window, every = chance.randint(16, 4096), chance.randint(2, 7)
        config = gemma3(
            layers=max(layers, every),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            window=window,
            full_every=every,
        )
    flags = _flags(chance.randint(1, 131072), chance.choice((512, 2048, 8192, chance.randint(256, 16384))))
    block = 32 * chance.randint(1, 8)
    dtype = chance.choice(("auto", "fp8"))
    vllm = {**flags, "block-size": block, "kv-cache-dtype": dtype, "tensor-parallel-size": ranks, "max-num-seqs": 256}
    return _case(config, vllm)


@pytest.mark.parametrize("seed", range(10))
def test_the_cache_of_made_up_models_is_the_one_that_vllm_plans(
    seed: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    chance = random.Random(seed)
    cases = [_made_up(chance) for _ in range(25)]
    assert _disagreements(cases, oracle, model_directory) == []


@pytest.mark.parametrize("block_size", [64, 128])
@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-V2-Lite", "deepseek-ai/DeepSeek-V3"])
def test_a_cache_of_latent_vectors_is_the_one_that_vllm_plans(
    model: str, block_size: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    """Latent layers have blocks of 16 on a CPU whatever is asked for, so the planner gets the layers in plain words."""
    vllm: dict[str, FlagValue] = {"max-model-len": 20000, "max-num-batched-tokens": 2048, "block-size": block_size}
    case = _case(_published(model), vllm)
    settings, config = _settings(case)
    [group] = config.layers
    layer = {"kind": "latent", "kv_heads": 1, "head_size": group.latent_size, "dtype": "bfloat16"}
    request = {
        "ask": "layers",
        "argv": [model_directory(qwen3(layers=1))],
        "in_flight_batches": 2,
        "max_model_len": settings.max_model_len,
        "max_num_batched_tokens": settings.max_num_batched_tokens,
        "block_size": block_size,
        "layers": [layer] * config.num_layers,
        "available_bytes": case.available_bytes,
    }
    [answer] = oracle.ask([request])
    layout = kv_layout(settings, config)
    ours = [_ours(layout, settings.max_model_len, size) for size in case.available_bytes]
    assert ours == [_theirs(plan) for plan in answer["plans"]]
