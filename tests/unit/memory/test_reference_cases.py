"""The reference cases A to F: would vLLM 0.32.0 start, on cards with 24.0, 22.5 and 15.0 GiB of CUDA total."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.plan import Verdict
from orchestrator.memory.prediction import claim_bytes, largest_utilization, predict, smallest_utilization
from tests.unit.memory.memory_samples import A10G, ADA_24, T4, Flags, facts_of, footprint_of

MEDIUM = "Qwen/Qwen3-32B-AWQ"
BF16_8B = "Qwen/Qwen3-8B"
BF16_14B = "Qwen/Qwen2.5-14B-Instruct"
INT8_14B = "Qwen/Qwen2.5-14B-Instruct-GPTQ-Int8"
AWQ_14B = "Qwen/Qwen2.5-14B-Instruct-AWQ"


def verdict(model: str, gpu: Gpu, **vllm: Any) -> Verdict:
    """The verdict with the utilization that was asked for, lowered to what the idle card can start."""
    fp = footprint_of(facts_of(model), gpu, **vllm)
    asked = vllm.get("gpu_memory_utilization", 0.92)
    assert isinstance(asked, float)
    utilization = min(asked, largest_utilization(fp, gpu.free_bytes))
    return predict(fp, utilization, gpu.free_bytes).verdict


def test_case_a_a_32b_with_bf16_kv_at_131072_is_refused_whatever_the_budget() -> None:
    flags: Flags = {"tensor_parallel_size": 2, "max_model_len": 131072, "gpu_memory_utilization": 0.99}
    assert verdict(MEDIUM, ADA_24, **flags) is Verdict.REFUSES
    assert smallest_utilization(footprint_of(facts_of(MEDIUM), ADA_24, **flags)) is None


def test_case_a_fits_with_an_fp8_kv_cache() -> None:
    flags: Flags = {"tensor_parallel_size": 2, "max_model_len": 131072, "gpu_memory_utilization": 0.99}
    assert verdict(MEDIUM, ADA_24, kv_cache_dtype="fp8", **flags) is Verdict.STARTS


def test_case_b_an_8b_at_its_default_length_is_refused_at_0_90() -> None:
    assert verdict(BF16_8B, ADA_24, gpu_memory_utilization=0.9) is Verdict.REFUSES


def test_case_b_is_too_close_to_call_at_0_92_and_names_a_length_that_starts() -> None:
    fp = footprint_of(facts_of(BF16_8B), ADA_24)
    prediction = predict(fp, 0.92, ADA_24.free_bytes)
    assert prediction.verdict is Verdict.TOO_CLOSE
    assert 32000 <= prediction.longest_model_len < 40960
    shorter = footprint_of(facts_of(BF16_8B), ADA_24, max_model_len=prediction.longest_model_len)
    assert predict(shorter, 0.92, ADA_24.free_bytes).verdict is Verdict.STARTS


def test_case_c_two_small_models_share_a_card() -> None:
    mini = footprint_of(facts_of("Qwen/Qwen3-8B-AWQ"), ADA_24, max_model_len=16384, gpu_memory_utilization=0.6)
    micro = footprint_of(facts_of("Qwen/Qwen3-1.7B-FP8"), ADA_24, max_model_len=16384, gpu_memory_utilization=0.35)
    assert predict(mini, 0.6, ADA_24.free_bytes).verdict is Verdict.STARTS
    small = (smallest_utilization(mini), smallest_utilization(micro))
    assert small[0] is not None
    assert small[1] is not None
    left = ADA_24.free_bytes - claim_bytes(mini, small[0])
    assert predict(micro, small[1], left).verdict is Verdict.STARTS


@pytest.mark.parametrize("gpu", [T4, A10G])
def test_case_d_a_14b_in_bf16_is_refused_by_small_cards(gpu: Gpu) -> None:
    assert verdict(BF16_14B, gpu, max_model_len=8192) is Verdict.REFUSES


@pytest.mark.parametrize(
    ("model", "gpu", "length", "expected"),
    [
        (INT8_14B, T4, 8192, Verdict.REFUSES),
        (INT8_14B, A10G, 8192, Verdict.STARTS),
        (INT8_14B, A10G, 32768, Verdict.REFUSES),
        (AWQ_14B, T4, 8192, Verdict.STARTS),
        (AWQ_14B, T4, 32768, Verdict.REFUSES),
        (AWQ_14B, A10G, 8192, Verdict.STARTS),
        (AWQ_14B, A10G, 32768, Verdict.STARTS),
    ],
)
def test_cases_e_and_f_quantised_14b_by_card_and_length(model: str, gpu: Gpu, length: int, expected: Verdict) -> None:
    assert verdict(model, gpu, max_model_len=length) is expected


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-1.7B-FP8"])
def test_a_shipped_model_starts_at_65536_tokens_with_fp8_kv(model: str) -> None:
    assert verdict(model, ADA_24, max_model_len=65536, kv_cache_dtype="fp8") is Verdict.STARTS


def test_both_shipped_small_models_fit_together_on_the_pessimistic_side() -> None:
    card_bytes = round(23.5 * 2**30)
    claims = 0
    for model in ("Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-1.7B-FP8"):
        fp = footprint_of(facts_of(model), ADA_24, max_model_len=65536, kv_cache_dtype="fp8")
        least = smallest_utilization(fp)
        assert least is not None
        claims += claim_bytes(fp, least)
    assert claims <= card_bytes


def test_0_99_of_a_24_gib_card_does_not_pass_the_start_up_check() -> None:
    fp = footprint_of(facts_of("Qwen/Qwen3-1.7B-FP8"), ADA_24)
    prediction = predict(fp, 0.999, ADA_24.free_bytes)
    assert prediction.verdict is Verdict.REFUSES
    assert prediction.reason == (
        "vLLM finds 23.32 to 23.77 GiB free at start-up and wants 23.98 GiB (0.999 of 24.00 GiB)"
    )
    assert prediction.longest_model_len == 0
