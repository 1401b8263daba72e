"""What runs without a GPU, by quantisation and release."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.catalog.models import find_model
from orchestrator.domain.model_config import ModelConfig, Quantization
from orchestrator.domain.release import Release
from orchestrator.engine.cpu_platform import (
    cache_left_unsaid,
    cautions_on_cpu,
    check_cpu,
    cpu_block_size,
    sizes_cache_by_flag,
)


def config_of(model: str) -> ModelConfig:
    facts = find_model(model)
    assert facts is not None
    return facts.config


PLAIN = config_of("Qwen/Qwen2.5-0.5B-Instruct")


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        (None, None),
        (Quantization(method="awq", bits=4), None),
        (Quantization(method="gptq", bits=4), None),
        (Quantization(method="auto_gptq"), None),
        (Quantization(method="compressed-tensors", bits=8, is_float=False), None),
        (Quantization(method="compressed-tensors", bits=4, is_float=False), None),
        (Quantization(method="gptq", bits=8), "vLLM's kernels for GPTQ on CPUs know 4 bits only, and these are 8"),
        (Quantization(method="compressed-tensors", bits=6, is_float=False), "and these are 6"),
        (Quantization(method="compressed-tensors", bits=8, is_float=True), "FP8 weights need a GPU"),
        (Quantization(method="compressed-tensors", bits=4, is_float=True), "FP4 weights need a GPU"),
        (Quantization(method="fp8", bits=8), "FP8 weights need a GPU"),
        (Quantization(method="modelopt_fp4", bits=4), "NVFP4 weights need a GPU"),
        (Quantization(method="mxfp4", bits=4), "MXFP4 weights need a GPU"),
        (Quantization(method="bitsandbytes", bits=4), "has no attribute 'SCB'"),
        (Quantization(method="gguf"), "vLLM cannot read GGUF without a GPU"),
        (Quantization(method="quark", bits=8), "`quark` has no kernels for CPUs that are known here"),
    ],
)
def test_each_quantisation_runs_or_says_why_not(stated: Quantization | None, why: str | None) -> None:
    refusal = check_cpu(replace(PLAIN, quantization=stated))
    if why is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert why in refusal.reason
        assert "unquantised model in bfloat16" in refusal.help


@pytest.mark.parametrize(
    ("release", "unsaid", "by_flag", "block"),
    [
        ("0.12.0", "4 GiB", False, 128),
        ("0.11.0", "4 GiB", False, 16),
        ("0.13.0", "half of the RAM", False, 128),
        ("0.19.1", "half of the RAM", False, 128),
        ("0.20.0", "0.92 of the RAM", True, 128),
    ],
)
def test_the_cache_and_its_blocks_by_release(release: str, unsaid: str, by_flag: bool, block: int) -> None:
    pinned = Release.of(release)
    assert cache_left_unsaid(pinned) == unsaid
    assert sizes_cache_by_flag(pinned) is by_flag
    assert cpu_block_size(PLAIN, pinned) == block


def test_latent_attention_has_blocks_of_16() -> None:
    assert cpu_block_size(config_of("deepseek-ai/DeepSeek-V2-Lite"), Release.of("0.33.0")) == 16


def test_quantising_while_loading_needs_a_gpu() -> None:
    bitsandbytes, fp8 = check_cpu(PLAIN, "bitsandbytes"), check_cpu(PLAIN, "fp8")
    assert bitsandbytes is not None
    assert "'Int8Params'" in bitsandbytes.reason
    assert fp8 is not None
    assert fp8.reason == "`fp8` has no kernels for CPUs that are known here"


@pytest.mark.parametrize("model", ["Qwen/Qwen3-30B-A3B-GPTQ-Int4", "TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ"])
def test_quantised_experts_need_a_gpu(model: str) -> None:
    refusal = check_cpu(config_of(model))
    assert refusal is not None
    assert refusal.reason.startswith("quantised experts need a GPU")
    assert check_cpu(config_of("Qwen/Qwen3-30B-A3B")) is None


def test_what_was_not_looked_at_is_said() -> None:
    latent, recurrent = config_of("deepseek-ai/DeepSeek-V2-Lite"), config_of("Qwen/Qwen3-Next-80B-A3B-Instruct")
    for config in (latent, recurrent):
        assert cautions_on_cpu(config, Release.of("0.32.0")) == ()
        assert "may refuse" in cautions_on_cpu(config, Release.of("0.31.0"))[0]
    assert cautions_on_cpu(PLAIN, Release.of("0.6.0")) == ()
