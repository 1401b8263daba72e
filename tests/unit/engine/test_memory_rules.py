from __future__ import annotations

import pytest

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import (
    LayerGroup,
    LayerKind,
    MixtureOfExperts,
    ModelConfig,
    Quantization,
    RecurrentState,
)
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB
from orchestrator.engine.memory_rules import LoggedTokens, MemoryRules, Sampler, memory_epochs, memory_rules
from orchestrator.engine.releases import KNOWN_RELEASES


def rules(release: str) -> MemoryRules:
    return memory_rules(Release.of(release))


def releases_where(claim: str) -> tuple[str, str]:
    """The first and the last known release of which a rule holds; fails when it holds with gaps."""
    held = [release for release in KNOWN_RELEASES if getattr(memory_rules(release), claim)]
    between = [release for release in KNOWN_RELEASES if held[0] <= release <= held[-1]]
    assert held == between
    return (str(held[0]), str(held[-1]))


@pytest.mark.parametrize(
    ("claim", "first"),
    [
        ("v1_engine", "0.8.0"),
        ("startup_free_check", "0.9.1"),
        ("hybrid_allocator", "0.9.1"),
        ("graph_sizes_follow_requests", "0.6.0"),
        ("fixed_kv_bytes", "0.10.2"),
        ("full_graphs", "0.11.0"),
        ("caps_tokens_by_requests", "0.11.1"),
        ("coarse_graph_steps", "0.11.1"),
        ("rounds_budget_up", "0.14.0"),
        ("error_names_device", "0.14.0"),
        ("auto_max_model_len", "0.14.0"),
        ("performance_mode", "0.17.0"),
        ("measures_free_memory_drop", "0.27.0"),
        ("null_block_in_fit_check", "0.29.0"),
        ("handles_before_snapshot", "0.32.0"),
    ],
)
def test_a_rule_holds_from_its_release_to_the_newest(claim: str, first: str) -> None:
    if claim == "graph_sizes_follow_requests":
        without = [str(release) for release in KNOWN_RELEASES if not memory_rules(release).graph_sizes_follow_requests]
        assert (without[0], without[-1]) == ("0.8.0", "0.9.2")
    else:
        assert releases_where(claim) == (first, "0.33.0")


def test_communicators_count_against_the_budget_up_to_0_10_2() -> None:
    assert releases_where("nccl_in_budget") == ("0.6.0", "0.10.2")


def test_two_rows_of_releases_charge_the_whole_device() -> None:
    charged = [str(release) for release in KNOWN_RELEASES if memory_rules(release).device_wide]
    assert charged == [
        "0.6.4", "0.6.4.post1", "0.8.0", "0.8.1", "0.8.2", "0.8.3", "0.8.4", "0.8.5", "0.8.5.post1", "0.9.0", "0.9.0.1",
    ]  # fmt: skip


def test_the_default_utilization_rose_in_0_20_0() -> None:
    assert [rules(release).default_utilization for release in ("0.6.0", "0.19.1", "0.20.0", "0.33.0")] == [
        0.9, 0.9, 0.92, 0.92,
    ]  # fmt: skip


def test_samplers_and_logged_tokens_change_with_the_release() -> None:
    assert [rules(release).sampler for release in ("0.16.0", "0.17.0", "0.20.2", "0.21.0")] == [
        Sampler.SORT, Sampler.TRITON, Sampler.TRITON, Sampler.FLASHINFER,
    ]  # fmt: skip
    assert rules("0.20.0").logged_tokens is LoggedTokens.BLOCKS_PER_GROUP
    assert rules("0.20.1").logged_tokens is LoggedTokens.FULL_LENGTH_REQUESTS


def test_epochs_begin_in_order_and_a_release_between_two_belongs_to_the_older() -> None:
    starts = [since for since, _ in memory_epochs()]
    assert starts == sorted(set(starts))
    assert rules("0.19.5").since == "0.17.0"
    assert rules("0.5.0").since == "0.6.0"
    assert rules("1.0.0").since == "0.33.0"


@pytest.mark.parametrize(
    ("release", "name", "total_gib", "capability", "expected"),
    [
        ("0.7.3", "NVIDIA H100 80GB HBM3", 80, (9, 0), (2048, 256)),
        ("0.8.5", "NVIDIA A100-SXM4-80GB", 80, (8, 0), (8192, 1024)),
        ("0.9.0", "NVIDIA A100-SXM4-80GB", 80, (8, 0), (2048, 256)),
        ("0.9.0", "NVIDIA H100 80GB HBM3", 80, (9, 0), (8192, 1024)),
        ("0.27.1", "NVIDIA B200", 179, (10, 0), (8192, 1024)),
        ("0.28.0", "NVIDIA B200", 179, (10, 0), (16384, 1024)),
        ("0.32.0", "NVIDIA GeForce RTX 4090", 24, (8, 9), (2048, 256)),
        ("0.32.0", "NVIDIA GB10", 120, (12, 1), (8192, 1024)),
        ("0.33.0", "NVIDIA GB10", 120, (12, 1), (2048, 256)),
    ],
)
def test_batch_defaults_follow_the_memory_of_the_card(
    release: str, name: str, total_gib: int, capability: tuple[int, int], expected: tuple[int, int]
) -> None:
    gpu = Gpu(index=0, uuid="u", name=name, total_bytes=total_gib * GIB, free_bytes=0, compute_capability=capability)
    tier = rules(release).batch_tier(gpu)
    assert (tier.max_num_batched_tokens, tier.max_num_seqs) == expected


def model(architecture: str, *, moe: bool = False, quantized: bool = False, hybrid: bool = False) -> ModelConfig:
    state = RecurrentState(num_key_heads=1, num_value_heads=1, key_head_dim=1, value_head_dim=1, conv_kernel=4)
    kind = LayerKind.LINEAR_ATTENTION if hybrid else LayerKind.FULL_ATTENTION
    return ModelConfig(
        architecture=architecture, model_type="x", dtype="bfloat16", hidden_size=8, intermediate_size=8, num_layers=1,
        num_attention_heads=1, num_kv_heads=1, head_dim=8, vocab_size=8, max_position_embeddings=8,
        tie_word_embeddings=False, layers=(LayerGroup(kind=kind, count=1, recurrent=state if hybrid else None),),
        moe=MixtureOfExperts(num_experts=2, experts_per_token=1, intermediate_size=8) if moe else None,
        quantization=Quantization(method="awq") if quantized else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "first"),
    [
        (model("Qwen3ForCausalLM"), "0.22.0"),
        (model("LlamaForCausalLM"), "0.23.0"),
        (model("Qwen3ForCausalLM", quantized=True), "0.24.0"),
        (model("DeepseekV2ForCausalLM", moe=True), "0.24.0"),
        (model("Gemma2ForCausalLM"), "0.25.0"),
        (model("Qwen3MoeForCausalLM", moe=True), "0.29.0"),
        (model("Qwen3NextForCausalLM", hybrid=True), "0.29.0"),
    ],
)
def test_the_v2_runner_takes_over_model_by_model(config: ModelConfig, first: str) -> None:
    taken = [str(release) for release in KNOWN_RELEASES if memory_rules(release).uses_v2_runner(config)]
    assert taken[0] == first


def test_graphs_are_reserved_for_v1_from_0_20_0_and_for_v2_from_0_29_0() -> None:
    by_release = {
        release: (rules(release).reserves_graphs(False), rules(release).reserves_graphs(True))
        for release in ("0.19.1", "0.20.0", "0.28.0", "0.29.0")
    }
    assert by_release == {
        "0.19.1": (False, False), "0.20.0": (True, False), "0.28.0": (True, False), "0.29.0": (True, True),
    }  # fmt: skip
