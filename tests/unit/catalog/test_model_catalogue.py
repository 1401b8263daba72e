"""The catalogue of models: every entry holds together, and suggestions lead to it."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest

from orchestrator.catalog.checkpoint import weights_from_tensors
from orchestrator.catalog.models import find_model, forms_of, known_models, raw_config, similar_models
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.domain.model_config import LayerKind, ModelFacts, Quantization, WeightPart
from orchestrator.domain.units import GIB

STORES_TIED_HEAD = {
    "Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B-FP8", "Qwen/Qwen3-1.7B", "Qwen/Qwen3-1.7B-FP8",
}  # fmt: skip

PUBLISHERS_CHOICE = 0.004
"""The part of its bytes by which a checkpoint may differ from the computed ones: what it stores beside its weights
(rotary buffers, zero biases, float32 scales, orders of activation) is not told by config.json."""


def facts_of(model: str) -> ModelFacts:
    facts = find_model(model)
    assert facts is not None
    return facts


def test_the_catalogue_is_small_and_complete() -> None:
    assert len(known_models()) == 633
    assert len(files("orchestrator.catalog").joinpath("models.json").read_bytes()) < 420_000


@pytest.mark.parametrize("model", known_models())
def test_an_entry_holds_together(model: str) -> None:
    facts = facts_of(model)
    config = facts.config
    assert facts.model == model
    assert facts.provenance.startswith("catalogue: config ")
    assert all(size > 0 for size in facts.weights.values())
    assert sum(group.count for group in config.layers) > 0
    assert max(group.count for group in config.layers) <= config.num_layers
    assert config.num_attention_heads % config.num_kv_heads == 0
    assert 16 <= config.head_dim <= 576
    assert config.max_position_embeddings >= 1024
    assert facts.weights[WeightPart.EMBEDDING] in (config.vocab_size * config.hidden_size * size for size in (2, 4))
    if config.tie_word_embeddings:
        assert facts.weights.get(WeightPart.LM_HEAD, 0) in (0, facts.weights[WeightPart.EMBEDDING])
    else:
        assert facts.weights[WeightPart.LM_HEAD] >= facts.weights[WeightPart.EMBEDDING]
    assert (config.moe is None) == (WeightPart.EXPERTS not in facts.weights)
    assert config.is_multimodal == (WeightPart.VISION in facts.weights)


@pytest.mark.parametrize("model", known_models())
def test_an_entrys_bytes_follow_from_its_config(model: str) -> None:
    facts, config = facts_of(model), raw_config(model)
    assert config is not None
    is_stored = facts.config.tie_word_embeddings and WeightPart.LM_HEAD in facts.weights
    computed = dict(weights_from_tensors(tensors_from_config(config, stores_tied_head=is_stored), facts.config))
    if WeightPart.MTP not in facts.weights:
        computed.pop(WeightPart.MTP, None)
    if WeightPart.VISION not in computed:
        assert (WeightPart.VISION in facts.weights) == facts.provenance.endswith(", its vision part what is left of it")
    for part in {WeightPart.EMBEDDING, WeightPart.LM_HEAD, WeightPart.VISION} & {*computed, WeightPart.LM_HEAD}:
        assert computed.get(part) == facts.weights.get(part)
    for part in (WeightPart.LINEAR, WeightPart.EXPERTS, WeightPart.REPLICATED):
        assert computed.get(part, 0) == pytest.approx(facts.weights.get(part, 0), rel=PUBLISHERS_CHOICE)


def test_nine_of_ten_entries_follow_to_the_byte() -> None:
    exact = 0
    for model in known_models():
        facts, config = facts_of(model), raw_config(model)
        assert config is not None
        is_stored = facts.config.tie_word_embeddings and WeightPart.LM_HEAD in facts.weights
        tensors = tensors_from_config(config, stores_tied_head=is_stored)
        exact += weights_from_tensors(tensors, facts.config) == facts.weights
    assert exact == 594


@pytest.mark.parametrize(
    ("model", "size_gib", "exact"),
    [
        ("Qwen/Qwen3-32B", 61.02, True),
        ("Qwen/Qwen3-32B-AWQ", 18.00, True),
        ("Qwen/Qwen3-8B", 15.26, True),
        ("Qwen/Qwen3-8B-AWQ", 5.68, False),
        ("Qwen/Qwen3-1.7B", 3.78, True),
        ("Qwen/Qwen3-1.7B-FP8", 2.47, False),
        ("Qwen/Qwen2.5-14B-Instruct", 27.51, True),
        ("Qwen/Qwen2.5-14B-Instruct-GPTQ-Int8", 15.50, False),
        ("Qwen/Qwen2.5-14B-Instruct-AWQ", 9.29, False),
    ],
)
def test_the_models_of_the_reference_cases_have_their_sizes(model: str, size_gib: float, exact: bool) -> None:
    assert round(facts_of(model).checkpoint_bytes / GIB, 2) == size_gib
    assert facts_of(model).exact is exact


def test_qwen3_1_7b_stores_a_tied_head() -> None:
    facts = facts_of("Qwen/Qwen3-1.7B")
    assert facts.config.tie_word_embeddings
    assert facts.weights[WeightPart.LM_HEAD] == facts.weights[WeightPart.EMBEDDING] == 622_329_856


def test_some_checkpoints_repeat_a_tied_head() -> None:
    stored = {
        model
        for model in known_models()
        if facts_of(model).config.tie_word_embeddings and WeightPart.LM_HEAD in facts_of(model).weights
    }
    assert stored >= STORES_TIED_HEAD


def test_a_model_is_found_whatever_its_case() -> None:
    assert facts_of("qwen/QWEN3-32b-awq").model == "Qwen/Qwen3-32B-AWQ"
    assert find_model("Qwen/Qwen3-33B") is None
    assert raw_config("Qwen/Qwen3-33B") is None


def test_a_dense_quantised_entry_whole() -> None:
    facts = facts_of("Qwen/Qwen3-32B-AWQ")
    assert facts.config.quantization == Quantization(method="awq", bits=4, group_size=128, zero_point=True)
    assert facts.weights == {
        WeightPart.EMBEDDING: 1_555_824_640,
        WeightPart.LM_HEAD: 1_555_824_640,
        WeightPart.LINEAR: 16_212_295_680,
        WeightPart.REPLICATED: 1_353_728,
    }
    assert facts.provenance == "catalogue: config read, total from a listing of the checkpoint's tensors"


def test_kinds_of_layers_are_told_apart() -> None:
    def kinds(model: str) -> list[tuple[LayerKind, int]]:
        return [(group.kind, group.count) for group in facts_of(model).config.layers]

    assert kinds("deepseek-ai/DeepSeek-V3") == [(LayerKind.LATENT_ATTENTION, 61)]
    assert kinds("openai/gpt-oss-20b") == [(LayerKind.SLIDING_ATTENTION, 12), (LayerKind.FULL_ATTENTION, 12)]
    assert kinds("Qwen/Qwen3.6-35B-A3B") == [(LayerKind.LINEAR_ATTENTION, 30), (LayerKind.FULL_ATTENTION, 10)]
    assert kinds("google/gemma-3-27b-it") == [(LayerKind.SLIDING_ATTENTION, 52), (LayerKind.FULL_ATTENTION, 10)]
    assert kinds("mistralai/Mistral-7B-v0.1") == [(LayerKind.SLIDING_ATTENTION, 32)]
    assert kinds("Qwen/Qwen2.5-7B-Instruct") == [(LayerKind.FULL_ATTENTION, 28)]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("Qwen/Qwen3-32B-AWQQ", "Qwen/Qwen3-32B-AWQ"),
        ("unsloth/Qwen3-8B-bnb-4bit", "Qwen/Qwen3-8B"),
        ("Qwen3-8B", "Qwen/Qwen3-8B"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("someone/Llama-3.1-8B-Instruct-FP8", "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8"),
        ("Qwen/Qwen3-14B-GPTQ", "Qwen/Qwen3-14B"),
    ],
)
def test_similar_models_are_suggested(asked: str, first: str) -> None:
    assert similar_models(asked)[0] == first


def test_nothing_is_suggested_for_a_name_like_no_other() -> None:
    assert similar_models("zzz/000") == ()


def _forms(model: str) -> tuple[str, ...]:
    facts = find_model(model)
    assert facts is not None
    return tuple(each.model for each in forms_of(facts))


def test_the_forms_of_a_model_are_its_quantisations_whoever_published_them() -> None:
    assert _forms("Qwen/Qwen2.5-14B-Instruct-AWQ") == (
        "Qwen/Qwen2.5-14B-Instruct",
        "Qwen/Qwen2.5-14B-Instruct-GPTQ-Int4",
        "Qwen/Qwen2.5-14B-Instruct-GPTQ-Int8",
    )
    assert "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4" in _forms("meta-llama/Llama-3.1-8B-Instruct")
    assert _forms("Qwen/Qwen2.5-14B-Instruct") != _forms("Qwen/Qwen2.5-7B-Instruct")
    assert _forms("openai/gpt-oss-20b") == ()


def test_a_model_of_another_shape_is_no_form_whatever_its_name() -> None:
    facts = find_model("Qwen/Qwen3-8B")
    assert facts is not None
    other = replace(facts, config=replace(facts.config, num_layers=30))
    assert forms_of(other) == ()
    renamed = replace(facts, model="somebody/Qwen3-8B-FP8-dynamic")
    assert {each.model for each in forms_of(renamed)} == {"Qwen/Qwen3-8B", "Qwen/Qwen3-8B-FP8", "Qwen/Qwen3-8B-AWQ"}
