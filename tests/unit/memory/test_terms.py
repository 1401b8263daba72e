from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import MixtureOfExperts, ModelConfig
from orchestrator.domain.plan import Footprint, Term
from orchestrator.domain.units import GIB, ByteRange
from orchestrator.memory.activation import activation_term, sampling_buffers_term, vision_bytes
from orchestrator.memory.constants import CONSTANTS, VISION_FORWARD
from orchestrator.memory.context import Fabric, context_term, fabric, late_term, non_torch_term
from orchestrator.memory.graphs import graphs_term
from orchestrator.memory.weights import weights_term
from tests.unit.memory.memory_samples import (
    A10G,
    ADA_24,
    BLACKWELL,
    H100,
    T4,
    Flags,
    card,
    config_of,
    facts_of,
    facts_with,
    footprint_of,
    settings_for,
)


def activation(config: ModelConfig, release: str, gpu: Gpu = ADA_24, **flags: Any) -> ByteRange:
    return activation_term(settings_for(facts_with(config), gpu, release, **flags), config).size


def test_sampling_decides_the_peak_and_fell_in_0_17_0() -> None:
    config = facts_of("Qwen/Qwen3-14B").config
    before, after = (activation(config, release, H100) for release in ("0.16.0", "0.17.0"))
    assert before.low <= 5.64 * GIB <= before.high
    assert after.low <= 2.23 * GIB <= after.high


def test_a_long_batch_makes_the_forward_pass_decide() -> None:
    config = facts_of("Qwen/Qwen3-4B").config
    peak = activation(config, "0.7.3", max_model_len=10000, max_num_seqs=1)
    assert peak.low <= 0.74 * GIB <= peak.high


def test_v0_does_not_sample_when_it_profiles_in_chunks() -> None:
    config = facts_of("meta-llama/Llama-3.1-8B-Instruct").config
    settings = settings_for(facts_with(config), release="0.7.3", max_model_len=131072)
    term = activation_term(settings, config)
    assert term.size.high < 0.3 * GIB
    assert term.source == "forward of 2,048 tokens about 233 MiB"


def test_experts_and_vision_come_on_top() -> None:
    plain = config_of()
    moe = MixtureOfExperts(num_experts=8, experts_per_token=2, intermediate_size=512)
    assert activation(config_of(moe=moe), "0.19.0").expected > activation(plain, "0.19.0").expected
    seeing = config_of(is_multimodal=True)
    assert activation(seeing, "0.19.0").expected > activation(plain, "0.19.0").expected + GIB // 2
    assert activation(seeing, "0.19.0", language_model_only=True) == activation(plain, "0.19.0")
    text = activation_term(settings_for(facts_with(seeing)), config_of(moe=moe, is_multimodal=True)).source
    assert text.endswith("workspace of 2 experts a token, vision encoder at its largest input")


def test_a_pipeline_stage_need_not_sample() -> None:
    config = config_of()
    assert activation(config, "0.19.0", pipeline_parallel_size=2).low < activation(config, "0.19.0").low
    assert activation(config, "0.19.0", pipeline_parallel_size=2).high > activation(config, "0.19.0").high


@pytest.mark.parametrize(
    ("release", "size", "counted"),
    [
        ("0.19.0", 0, False),
        ("0.25.0", 256 * 151936 * 4 * 33 // 32, False),
        ("0.27.0", 256 * 151936 * 4 * 33 // 32, True),
    ],
)
def test_the_v2_runner_keeps_counts_per_request_and_token(release: str, size: int, counted: bool) -> None:
    facts = facts_of("Qwen/Qwen3-8B")
    term = sampling_buffers_term(settings_for(facts, release=release), facts.config)
    assert (term.size, term.in_budget) == (ByteRange.exactly(size), counted)


def test_graphs_are_reserved_or_come_on_top_by_release_and_runner() -> None:
    facts = facts_of("Qwen/Qwen3-8B")
    placed = {
        release: graphs_term(settings_for(facts, release=release), facts.config).in_budget
        for release in ("0.19.0", "0.20.0", "0.25.0", "0.28.0", "0.29.0")
    }
    assert placed == {"0.19.0": False, "0.20.0": True, "0.25.0": False, "0.28.0": False, "0.29.0": True}


def test_graphs_cost_more_with_several_ranks_and_nothing_when_eager() -> None:
    facts = facts_of("Qwen/Qwen3-8B")
    one, two = (
        graphs_term(settings_for(facts, tensor_parallel_size=ranks, release="0.19.0"), facts.config) for ranks in (1, 2)
    )
    assert two.size.high > one.size.high
    assert one.source == "51 piecewise and 35 full graphs, not reserved by this release"
    eager = graphs_term(settings_for(facts, enforce_eager=True), facts.config)
    assert (eager.size.high, eager.source) == (0, "no graphs are captured")


def test_graphs_of_experts_may_be_larger_each() -> None:
    dense, experts = (
        graphs_term(settings_for(facts, release="0.19.0"), facts.config).size
        for facts in (facts_of("Qwen/Qwen3-8B"), facts_of("Qwen/Qwen3-30B-A3B"))
    )
    assert experts.expected == dense.expected
    assert experts.high > 1.8 * dense.high


@pytest.mark.parametrize(
    ("release", "gpu", "ranks", "recorded_gib"),
    [
        ("0.10.1", ADA_24, 1, 65.97),
        ("0.10.1.1", ADA_24, 4, 17.22),
        ("0.11.0", H100, 1, 64.38),
        ("0.25.1", H100, 1, 61.29),
    ],
)
def test_packed_experts_are_padded_as_the_kernels_want_them(
    release: str, gpu: Gpu, ranks: int, recorded_gib: float
) -> None:
    facts = facts_of("openai/gpt-oss-120b")
    size = weights_term(settings_for(facts, gpu, release, tensor_parallel_size=ranks), facts, gpu).size
    assert size.expected / GIB == pytest.approx(recorded_gib, rel=0.01)
    assert size.low <= recorded_gib * GIB <= size.high


def test_the_vision_encoder_took_more_before_0_12() -> None:
    facts = facts_of("Qwen/Qwen3-VL-30B-A3B-Instruct")
    before, after = (activation(facts.config, release, A10G) for release in ("0.11.2", "0.12.0"))
    assert before.expected > 1.2 * after.expected


def test_the_peak_is_that_of_the_vision_encoder_or_that_of_the_language_model_and_what_the_encoder_made() -> None:
    config = facts_of("Qwen/Qwen3.5-9B").config
    text = replace(config, is_multimodal=False)
    settings = settings_for(facts_of("Qwen/Qwen3.5-9B"), A10G, "0.20.0")
    patches, width = 65_536, (3 * 1152 + 2 * 4304) + 4 * 1152
    assert vision_bytes(settings, config) == patches * width * 2
    assert activation(config, "0.20.0", A10G) == CONSTANTS[VISION_FORWARD].of(patches * width * 2)
    many = activation(config, "0.20.0", A10G, max_num_seqs=2048, max_num_batched_tokens=16384)
    made = 16_384 * config.hidden_size * 2
    beside = activation(text, "0.20.0", A10G, max_num_seqs=2048, max_num_batched_tokens=16384) + ByteRange.exactly(made)
    assert (many.low, many.expected, many.high) == (beside.low, beside.expected, beside.high)


@pytest.mark.parametrize(
    "flags",
    [
        {"language_model_only": True},
        {"skip_mm_profiling": True},
        {"limit_mm_per_prompt": {"image": 0, "video": 0}},
    ],
)
def test_nothing_to_see_takes_no_vision_memory(flags: Flags) -> None:
    config = facts_of("Qwen/Qwen3.5-9B").config
    assert activation(config, "0.20.0", A10G, **flags) == activation(
        replace(config, is_multimodal=False), "0.20.0", A10G
    )


def test_ranks_share_the_widest_tensors_of_the_encoder_and_not_its_residual() -> None:
    facts = facts_of("Qwen/Qwen3.5-9B")
    alone, shared, split = (
        vision_bytes(settings_for(facts, A10G, "0.20.0", **flags), facts.config)
        for flags in (
            {},
            {"tensor_parallel_size": 2},
            {"tensor_parallel_size": 2, "mm_encoder_tp_mode": "data"},
        )
    )
    assert alone / 2 < shared < split == alone


def test_packed_experts_need_little_workspace() -> None:
    packed = facts_of("openai/gpt-oss-20b").config
    plain = replace(packed, quantization=None)
    assert activation(packed, "0.19.0", H100).expected < activation(plain, "0.19.0", H100).expected


@pytest.mark.parametrize(
    ("gpu", "flags", "expected"),
    [
        (H100, {}, Fabric.ALONE),
        (H100, {"pipeline_parallel_size": 2}, Fabric.STAGES),
        (H100, {"tensor_parallel_size": 2}, Fabric.NVLINK),
        (card(79.1, (9, 0), name="NVIDIA H100 PCIe"), {"tensor_parallel_size": 2}, Fabric.PCIE),
        (ADA_24, {"tensor_parallel_size": 2}, Fabric.PCIE),
        (replace(ADA_24, has_nvlink=True), {"tensor_parallel_size": 2}, Fabric.NVLINK),
        (replace(H100, has_nvlink=False), {"tensor_parallel_size": 2}, Fabric.PCIE),
        (BLACKWELL, {"tensor_parallel_size": 2}, Fabric.PCIE_LARGE),
        (card(24.0, None), {"tensor_parallel_size": 2}, Fabric.PCIE_LARGE),
    ],
)
def test_the_class_of_a_card_decides_what_ranks_talk_over(gpu: Gpu, flags: Flags, expected: Fabric) -> None:
    facts = facts_with(config_of())
    assert fabric(settings_for(facts, gpu, **flags), gpu) is expected


@pytest.mark.parametrize(
    ("release", "flags", "gib"),
    [
        ("0.16.0", {}, 0.13),
        ("0.19.0", {}, 0.25),
        ("0.11.0", {"tensor_parallel_size": 2}, 0.54),
        ("0.19.0", {"tensor_parallel_size": 2}, 2.07),
        ("0.19.0", {"pipeline_parallel_size": 2}, 0.07),
        ("0.10.2", {"pipeline_parallel_size": 2}, 0.13),
    ],
)
def test_recorded_non_torch_memory_of_an_h100_is_inside(release: str, flags: Flags, gib: float) -> None:
    settings = settings_for(facts_with(config_of()), H100, release, **flags)
    size = non_torch_term(settings, H100).size
    assert size.low <= gib * GIB <= size.high


def test_the_context_is_charged_only_by_the_device_wide_releases() -> None:
    facts = facts_with(config_of())
    charged = [
        release
        for release in ("0.6.3", "0.6.4", "0.6.5", "0.7.3", "0.8.0", "0.9.0.1", "0.9.1", "0.32.0")
        if context_term(settings_for(facts, release=release), ADA_24).in_budget
    ]
    assert charged == ["0.6.4", "0.8.0", "0.9.0.1"]


def test_communicators_join_the_context_from_0_11_0() -> None:
    facts = facts_with(config_of())
    sources = [
        context_term(settings_for(facts, release=release, tensor_parallel_size=2), ADA_24).source
        for release in ("0.10.2", "0.11.0", "0.32.0")
    ]
    assert sources == [
        "CUDA context",
        "CUDA context, communicators (PCIe)",
        "CUDA context, communicators (PCIe), cuBLAS handles",
    ]


@pytest.mark.parametrize(
    ("gpu", "release", "dtype", "workspace"),
    [
        (ADA_24, "0.32.0", "auto", False),
        (ADA_24, "0.32.0", "fp8", True),
        (H100, "0.32.0", "fp8", False),
        (T4, "0.23.0", "auto", True),
        (T4, "0.24.0", "auto", False),
        (card(15.7, (7, 0)), "0.11.0", "auto", False),
        (card(178.0, (10, 0)), "0.32.0", "auto", True),
        (card(24.0, None), "0.32.0", "auto", True),
    ],
)
def test_flashinfer_brings_a_workspace_where_it_is_likely(gpu: Gpu, release: str, dtype: str, workspace: bool) -> None:
    settings = settings_for(facts_with(config_of()), gpu, release, kv_cache_dtype=dtype)
    assert ("FlashInfer" in late_term(settings, gpu).source) is workspace


def test_a_footprint_lists_every_term_with_its_source() -> None:
    fp: Footprint = footprint_of(facts_of("Qwen/Qwen3-32B-AWQ"), tensor_parallel_size=2, max_model_len=32768)
    assert [(term.term, term.in_budget) for term in fp.terms] == [
        (Term.WEIGHTS, True),
        (Term.ACTIVATION, True),
        (Term.ACTIVATION, False),
        (Term.CUDA_GRAPHS, True),
        (Term.NON_TORCH, True),
        (Term.NON_TORCH, True),
        (Term.CONTEXT, False),
        (Term.NON_TORCH, False),
    ]
    assert fp.terms[0].source == "checkpoint 18.00 GiB, 18.00 GiB / 2 ranks, 0.011 GiB on every rank"
    assert fp.kv.source == "64 layers x 2,048 bytes a token (float16), blocks of 16 tokens"
    assert fp.kv_required_bytes == (2048 + 1) * 16 * 131072


def test_requirements_multiply_the_requests_but_never_below_one() -> None:
    facts = facts_with(config_of())
    required = [
        footprint_of(facts, max_model_len=1600, requests=requests).kv_required_bytes // (16 * 8 * 2048) - 1
        for requests in (0.5, 1.0, 2.5)
    ]
    assert required == [100, 100, 250]
