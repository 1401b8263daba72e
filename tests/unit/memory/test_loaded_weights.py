"""What one worker loads: shares, copies, padding, what is left out, what comes beside the checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.model_config import MixtureOfExperts, ModelFacts, Quantization, WeightPart
from orchestrator.domain.plan import MemoryTerm
from orchestrator.domain.units import GIB, MIB
from orchestrator.memory.lora import lora_term
from orchestrator.memory.weights import weights_term
from tests.unit.memory.memory_samples import ADA_24, config_of, facts_of, facts_with, full, settings_for


def weights(facts: ModelFacts, release: str = "0.32.0", **flags: Any) -> MemoryTerm:
    return weights_term(settings_for(facts, ADA_24, release, **flags), facts)


def low_gib(term: MemoryTerm) -> float:
    return term.size.low / GIB


def test_what_is_sharded_is_divided_and_what_is_replicated_is_not() -> None:
    facts = facts_with(config_of(), linear=4 * GIB, experts=2 * GIB, embedding=GIB, lm_head=GIB, replicated=GIB)
    term = weights(facts, tensor_parallel_size=4)
    assert low_gib(term) == pytest.approx(8 / 4 + 1)
    assert term.source == "checkpoint 9.00 GiB, 8.00 GiB / 4 ranks, 1.000 GiB on every rank"


def test_a_tied_head_that_is_stored_is_not_loaded() -> None:
    facts = facts_with(config_of(tie_word_embeddings=True), linear=GIB, embedding=GIB, lm_head=GIB)
    term = weights(facts)
    assert low_gib(term) == pytest.approx(2)
    assert term.source == "checkpoint 3.00 GiB, tied lm_head of 1.00 GiB not loaded"


def test_the_vocabulary_is_padded_to_64_rows() -> None:
    facts = facts_with(config_of(vocab_size=32001), embedding=32001 * 2048)
    assert weights(facts).size.low == pytest.approx(32064 * 2048, abs=1)


def test_draft_layers_and_vision_are_loaded_only_where_they_are_used() -> None:
    facts = facts_with(config_of(is_multimodal=True), linear=GIB, mtp=GIB, vision=GIB, unloaded=GIB)
    assert low_gib(weights(facts)) == pytest.approx(2)
    assert low_gib(weights(facts, language_model_only=True)) == pytest.approx(1)
    assert low_gib(weights(facts, speculative_config={"method": "mtp"})) == pytest.approx(3)
    assert "vision tower not loaded" in weights(facts, language_model_only=True).source


def test_a_32_bit_checkpoint_is_loaded_in_16_bits() -> None:
    facts = facts_with(config_of(dtype="float32"), linear=4 * GIB)
    term = weights(facts)
    assert low_gib(term) == pytest.approx(2)
    assert "stored as float32, loaded as float16" in term.source


def test_quantising_while_loading_halves_the_linear_weights() -> None:
    facts = facts_with(config_of(), linear=4 * GIB, embedding=GIB)
    assert low_gib(weights(facts, quantization="fp8")) == pytest.approx(3)


def test_kv_projections_are_repeated_when_ranks_outnumber_kv_heads() -> None:
    config = config_of(full(8, num_kv_heads=2), num_kv_heads=2)
    facts = facts_with(config, linear=8 * GIB)
    projections = 1024 * 128 * 2 * 2
    layer = 1024 * 128 * 2 * (8 + 2) + 3 * 1024 * 4096
    expected = 8 / 8 + 8 * projections / layer * (1 / 2 - 1 / 8)
    term = weights(facts, tensor_parallel_size=8)
    assert low_gib(term) == pytest.approx(expected)
    assert "2 KV heads repeated on 8 ranks" in term.source


def test_experts_do_not_count_as_attention_when_kv_heads_are_repeated() -> None:
    moe = MixtureOfExperts(num_experts=8, experts_per_token=2, intermediate_size=512, shared_intermediate_size=256)
    config = config_of(full(8, num_kv_heads=2), num_kv_heads=2, moe=moe)
    facts = facts_with(config, linear=GIB, experts=8 * GIB)
    projections = 1024 * 128 * 2 * 2
    layer = 1024 * 128 * 2 * (8 + 2) + 3 * 1024 * 256
    assert low_gib(weights(facts, tensor_parallel_size=4)) == pytest.approx(
        9 / 4 + projections / layer * (1 / 2 - 1 / 4)
    )


def test_the_heaviest_pipeline_stage_has_an_embedding_or_a_head() -> None:
    facts = facts_with(config_of(full(9), num_layers=9), linear=9 * GIB, embedding=GIB, lm_head=5 * GIB // 2)
    assert low_gib(weights(facts, pipeline_parallel_size=2)) == pytest.approx(4 + 2.5)
    heavy_embedding = facts_with(config_of(full(9), num_layers=9), linear=9 * GIB, embedding=2 * GIB, lm_head=GIB)
    term = weights(heavy_embedding, pipeline_parallel_size=2)
    assert low_gib(term) == pytest.approx(5 + 2)
    assert "the largest of 2 stages" in term.source


def test_layers_between_the_ends_may_be_the_heaviest_stage() -> None:
    facts = facts_with(config_of(full(10), num_layers=10), linear=10 * GIB, embedding=GIB // 2, lm_head=GIB // 4)
    assert low_gib(weights(facts, pipeline_parallel_size=4)) == pytest.approx(3)


def test_the_last_stage_has_a_tied_embedding_too() -> None:
    config = config_of(full(4), num_layers=4, tie_word_embeddings=True)
    facts = facts_with(config, linear=4 * GIB, embedding=3 * GIB, mtp=GIB)
    flags: Any = {"pipeline_parallel_size": 2, "speculative_config": {"method": "mtp"}}
    assert low_gib(weights(facts, **flags)) == pytest.approx(2 + 3 + 1)


def experts_of(num_experts: int) -> ModelFacts:
    moe = MixtureOfExperts(num_experts=num_experts, experts_per_token=2, intermediate_size=512)
    return facts_with(config_of(moe=moe), linear=GIB, experts=num_experts * GIB)


@pytest.mark.parametrize(
    ("flags", "experts"),
    [
        ({"tensor_parallel_size": 2}, 5.0),
        ({"tensor_parallel_size": 2, "enable_expert_parallel": True}, 5.0),
        ({"tensor_parallel_size": 4, "enable_expert_parallel": True}, 3.0),
        ({"tensor_parallel_size": 2, "data_parallel_size": 2}, 2.5),
        ({"tensor_parallel_size": 2, "data_parallel_size": 2, "enable_expert_parallel": True}, 3.0),
        ({"data_parallel_size": 5, "enable_expert_parallel": True}, 2.0),
    ],
)
def test_experts_are_shared_by_replicas_and_whole_with_expert_parallelism(flags: Any, experts: float) -> None:
    ranks = flags.get("tensor_parallel_size", 1)
    assert low_gib(weights(experts_of(10), **flags)) == pytest.approx(1 / ranks + experts)


def test_replicas_of_a_dense_model_are_whole() -> None:
    assert low_gib(weights(facts_with(config_of(), linear=GIB), data_parallel_size=4)) == pytest.approx(1)


def test_the_vocabulary_is_padded_so_that_odd_numbers_of_ranks_divide_it() -> None:
    facts = facts_with(config_of(vocab_size=32000), embedding=32000 * 2048)
    assert weights(facts, tensor_parallel_size=3).size.low == pytest.approx(32064 * 2048 / 3, abs=1)


def test_tables_of_rope_are_on_every_rank_and_follow_the_longest_length() -> None:
    config = config_of(rotary_elements=128)
    facts = facts_with(config, linear=4)
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    sizes = [
        weights(facts, tensor_parallel_size=4, **flags).size.low
        for flags in ({}, {"rope_scaling": rope}, {"dtype": "float32"}, {"max_model_len": 1024})
    ]
    table = 32768 * 128 * 2
    assert sizes == pytest.approx([table + 1, 4 * table + 1, 2 * table + 2, table + 1], abs=1)


def test_recorded_weights_are_met_to_a_hundredth_of_a_gib_with_the_tables_of_rope() -> None:
    """Llama-3.1-8B and Qwen3-14B as llm-d-planner's pull request 205 printed them."""
    llama, qwen = facts_of("meta-llama/Llama-3.1-8B-Instruct"), facts_of("Qwen/Qwen3-14B")
    found = [weights(llama), weights(llama, tensor_parallel_size=4), weights(qwen)]
    assert [round(term.size.expected / GIB, 2) for term in found] == [14.99, 3.77, 27.52]


def test_part_of_the_weights_may_stay_in_the_hosts_memory() -> None:
    facts = facts_with(config_of(), linear=4 * GIB)
    term = weights(facts, tensor_parallel_size=2, cpu_offload_gb=1.5)
    assert low_gib(term) == pytest.approx(0.5)
    assert "1.50 GiB kept in the host's memory" in term.source
    assert weights(facts, cpu_offload_gb=9).size.low == 0


def test_a_vision_tower_may_be_whole_on_every_rank() -> None:
    facts = facts_with(config_of(is_multimodal=True), linear=4 * GIB, vision=2 * GIB)
    assert low_gib(weights(facts, tensor_parallel_size=4)) == pytest.approx(1.5)
    assert low_gib(weights(facts, tensor_parallel_size=4, mm_encoder_tp_mode="data")) == pytest.approx(3)


def test_scales_of_bitsandbytes_are_unpacked_while_loading() -> None:
    facts = facts_with(config_of(quantization=Quantization(method="bitsandbytes", bits=4)), linear=GIB, embedding=GIB)
    assert low_gib(weights(facts)) == pytest.approx(2.09)


def test_lora_slots_take_two_thin_matrices_for_every_matrix() -> None:
    """79 MiB per slot were printed by vLLM 0.27.1 (gist on LoRA and CUDA graphs with Qwen3-4B on a 4090)."""
    facts = facts_of("Qwen/Qwen3-4B")
    flags: Any = {"enable_lora": True, "max_loras": 64, "max_lora_rank": 16}
    term = lora_term(settings_for(facts, ADA_24, "0.27.1", **flags), facts.config)
    assert term.source == "64 LoRA slots of rank 16, about 72 MiB each"
    assert term.size.low < 64 * 79 * MIB < term.size.high
    assert lora_term(settings_for(facts), facts.config).size.high == 0


_DIVISIONS: tuple[dict[str, Any], ...] = (
    {},
    {"tensor_parallel_size": 4},
    {"tensor_parallel_size": 4, "fully_sharded_loras": True},
)


def test_ranks_split_one_side_of_lora_matrices_or_both() -> None:
    facts = facts_with(config_of())
    flags: Any = {"enable_lora": True, "max_lora_rank": 8}
    sizes = [lora_term(settings_for(facts, ADA_24, **flags, **more), facts.config).size.expected for more in _DIVISIONS]
    hidden, heads, keys, width, vocabulary = 1024, 1024, 512, 4096, 32000
    columns = (hidden, heads), (hidden, keys), (hidden, keys), (hidden, width), (hidden, width)
    rows = (heads, hidden), (width, hidden)
    one = sum(map(sum, columns)) + sum(map(sum, rows))
    four = sum(i + o / 4 for i, o in columns) + sum(i / 4 + o for i, o in rows)
    expected = [
        (8 * one + 2 * (vocabulary + hidden)) * 8 * 2,
        (8 * four + 2 * (vocabulary / 4 + hidden)) * 8 * 2,
        (8 * one / 4 + 2 * (vocabulary / 4 + hidden)) * 8 * 2,
    ]
    assert sizes == expected


def test_experts_have_lora_slots_from_0_11_2() -> None:
    facts = experts_of(10)
    flags: Any = {"enable_lora": True}
    older, newer = (
        lora_term(settings_for(facts, ADA_24, release, **flags), facts.config).size.expected
        for release in ("0.11.1", "0.11.2")
    )
    assert newer - older == 8 * 10 * 3 * (1024 + 512) * 16 * 2


def test_bytes_derived_from_a_config_have_a_wider_interval() -> None:
    exact = facts_with(config_of(), linear=GIB)
    derived = ModelFacts(
        model="test/model", config=exact.config, weights=exact.weights, provenance="config", exact=False
    )
    assert low_gib(weights(derived)) == pytest.approx(0.98)
    assert weights(derived).source == "checkpoint 1.00 GiB, bytes computed, ±2 % (config)"


@pytest.mark.parametrize(
    ("method", "high"), [("awq", 1.012), ("gptq_marlin", 1.012), ("mxfp4", 1.01), ("other", 1.0045)]
)
def test_repacking_widens_the_interval_by_method(method: str, high: float) -> None:
    facts = facts_with(config_of(quantization=Quantization(method=method)), linear=GIB)
    assert weights(facts).size.high / GIB == pytest.approx(high)


def test_parts_that_no_checkpoint_names_cost_nothing() -> None:
    facts = facts_with(config_of(), linear=GIB)
    assert WeightPart.LM_HEAD not in facts.weights
    assert low_gib(weights(facts)) == pytest.approx(1)
