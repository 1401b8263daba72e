"""Our layout of the KV cache against vLLM's own planner: blocks, logged tokens, concurrency, and what is refused."""

from __future__ import annotations

import random

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.memory.kv_cache import kv_layout
from tests.vllm.cache_cases import Case, case_of, disagreements, ours, published, resolved, theirs
from tests.vllm.model_directories import WriteModel, gemma3, qwen3
from tests.vllm.oracle_process import Oracle

pytestmark = pytest.mark.vllm


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
    assert disagreements([case_of(published(model), vllm)], oracle, model_directory) == []


KNOWN_FAMILIES = (
    "HuggingFaceTB/SmolLM2-135M",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "google/gemma-2-2b",
    "google/gemma-3-1b-it",
    "microsoft/Phi-3-mini-4k-instruct",
    "microsoft/Phi-3-mini-128k-instruct",
    "microsoft/Phi-4-mini-instruct",
    "microsoft/phi-4",
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Meta-Llama-3-8B-Instruct",
    "mistralai/Mistral-7B-v0.1",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "mistralai/Mistral-Nemo-Instruct-2407",
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
    config = published(model)
    longest, heads = config["max_position_embeddings"], config["num_attention_heads"]
    assert isinstance(longest, int)
    assert isinstance(heads, int)
    cases = [
        case_of(config, {**_flags(min(longest, length), batch), "tensor-parallel-size": ranks, "kv-cache-dtype": dtype})
        for length, batch, ranks, dtype in ((longest, 8192, 1, "auto"), (5000, 2048, 1, "fp8"), (16384, 512, 2, "auto"))
        if heads % ranks == 0
    ]
    assert disagreements(cases, oracle, model_directory) == []


def _flags(max_model_len: int, max_num_batched_tokens: int) -> dict[str, FlagValue]:
    """Blocks of 32: a CPU has no kernel that reads a window in smaller ones."""
    return {"max-model-len": max_model_len, "max-num-batched-tokens": max_num_batched_tokens, "block-size": 32}


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_cache_of_recurrent_layers_is_the_one_that_vllm_plans(
    ranks: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    """The type of the state is said, because a CPU with AVX-512 BF16 chooses another one than a CPU without."""
    config = published("Qwen/Qwen3-Next-80B-A3B-Instruct")
    said: dict[str, FlagValue] = {"tensor-parallel-size": ranks, "mamba-ssm-cache-dtype": "float32"}
    cases = [
        case_of(config, {**_flags(length, 2048), **said, **caching})
        for length in (4096, 16384, 262144)
        for caching in ({}, {"enable-prefix-caching": True}, {"enable-prefix-caching": False})
    ]
    assert disagreements(cases, oracle, model_directory) == []


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
    return case_of(config, vllm)


@pytest.mark.parametrize("seed", range(10))
def test_the_cache_of_made_up_models_is_the_one_that_vllm_plans(
    seed: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    chance = random.Random(seed)
    cases = [_made_up(chance) for _ in range(25)]
    assert disagreements(cases, oracle, model_directory) == []


@pytest.mark.parametrize("block_size", [64, 128])
@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-V2-Lite", "deepseek-ai/DeepSeek-V3"])
def test_a_cache_of_latent_vectors_is_the_one_that_vllm_plans(
    model: str, block_size: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    """Latent layers have blocks of 16 on a CPU whatever is asked for, so the planner gets the layers in plain words."""
    vllm: dict[str, FlagValue] = {"max-model-len": 20000, "max-num-batched-tokens": 2048, "block-size": block_size}
    case = case_of(published(model), vllm)
    settings, config = resolved(case)
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
    here = [ours(layout, settings, size) for size in case.available_bytes]
    assert here == [theirs(plan) for plan in answer["plans"]]
