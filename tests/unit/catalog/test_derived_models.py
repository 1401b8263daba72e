"""Names that say which known model they are, in which form: what is derived, from what, and how it says so."""

from __future__ import annotations

import pytest

from orchestrator.catalog.derived_models import derive_model
from orchestrator.catalog.models import find_model, known_models
from orchestrator.domain.model_config import ModelFacts, Quantization, WeightPart
from orchestrator.domain.units import GIB


def derived(model: str) -> ModelFacts:
    facts = derive_model(model)
    assert facts is not None, model
    return facts


@pytest.mark.parametrize(
    ("model", "quantization", "size_gib"),
    [
        ("nvidia/Qwen3-8B-NVFP4", Quantization(method="modelopt_fp4", bits=4, group_size=16), 5.96),
        ("nvidia/Qwen3-30B-A3B-FP4", Quantization(method="modelopt_fp4", bits=4, group_size=16), 16.85),
        ("nvidia/Qwen3-8B-FP8", Quantization(method="modelopt", bits=8), 8.79),
        ("someone/Qwen3-8B-FP8", Quantization(method="fp8", bits=8, block_size=(128, 128)), 8.79),
        (
            "RedHatAI/Qwen3-8B-FP8",
            Quantization(method="compressed-tensors", bits=8, zero_point=False, is_float=True, scheme="fp8"),
            8.79,
        ),
        (
            "RedHatAI/Qwen3-8B-FP8-dynamic",
            Quantization(method="compressed-tensors", bits=8, zero_point=False, is_float=True, scheme="fp8"),
            8.79,
        ),
        (
            "RedHatAI/Qwen3-8B-quantized.w4a16",
            Quantization(
                method="compressed-tensors", bits=4, group_size=128, zero_point=False, is_float=False, scheme="wNa16"
            ),
            5.65,
        ),
        (
            "RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8",
            Quantization(method="compressed-tensors", bits=8, zero_point=False, is_float=False, scheme="w8a8_int8"),
            8.11,
        ),
        (
            "Qwen3-14B AutoRound INT4",
            Quantization(method="gptq", bits=4, group_size=128, zero_point=False),
            9.30,
        ),
        ("Qwen3-14B NVFP4", Quantization(method="modelopt_fp4", bits=4, group_size=16), 9.82),
        ("x/Qwen3-8B-AWQ-MTP", Quantization(method="awq", bits=4, group_size=128, zero_point=True), 5.68),
        ("x/Llama-3.1-8B-Instruct-GPTQ", Quantization(method="gptq", bits=4, group_size=128, zero_point=False), 5.34),
        (
            "x/Llama-3.1-8B-Instruct-GPTQ-Int8",
            Quantization(method="gptq", bits=8, group_size=128, zero_point=False),
            8.61,
        ),
        (
            "x/mistral-nemo-instruct-2407-awq",
            Quantization(method="awq", bits=4, group_size=128, zero_point=True),
            7.78,
        ),
        ("unsloth/Qwen3-8B-unsloth-bnb-4bit", Quantization(method="bitsandbytes", bits=4), 5.66),
        ("unsloth/Qwen3-8B-bnb-8bit", Quantization(method="bitsandbytes", bits=8), 8.79),
        ("Intel/Qwen3-8B-int4-AutoRound", Quantization(method="gptq", bits=4, group_size=128, zero_point=False), 5.69),
    ],
)
def test_a_form_at_the_end_of_a_name_gives_quantisation_and_bytes(
    model: str, quantization: Quantization, size_gib: float
) -> None:
    facts = derived(model)
    assert facts.config.quantization == quantization
    assert facts.checkpoint_bytes / GIB == pytest.approx(size_gib, abs=0.006)


def test_derived_facts_say_so() -> None:
    facts = derived("nvidia/Qwen3-8B-NVFP4")
    assert facts.model == "nvidia/Qwen3-8B-NVFP4"
    assert facts.exact is False
    assert facts.provenance == "derived: Qwen/Qwen3-8B as NVFP4 in groups of 16, as its name says; bytes computed"


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("unsloth/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("someone/Qwen2.5-14B-Chat", "Qwen/Qwen2.5-14B-Instruct"),
        ("google/gemma-2-27B-it-abliterated", "google/gemma-2-27b"),
    ],
)
def test_another_publisher_or_training_keeps_the_shape(model: str, base: str) -> None:
    facts, known = derived(model), find_model(base)
    assert known is not None
    assert (facts.config, facts.weights, facts.exact) == (known.config, known.weights, False)
    assert facts.provenance.startswith(f"derived: its name says that it has the shape of {base} (")


@pytest.mark.parametrize("model", ["someone/else-AWQ", "Qwen/Qwen3-9B-FP8", "zzz/000", "", "Qwen/Qwen3-32B-AWQQ"])
def test_nothing_is_made_of_names_that_lead_nowhere(model: str) -> None:
    assert derive_model(model) is None


def test_a_tied_head_stays_stored_where_the_known_model_stores_it() -> None:
    assert WeightPart.LM_HEAD in derived("x/Qwen3-1.7B-AWQ").weights


@pytest.mark.parametrize("model", [known for known in known_models() if "-AWQ" in known or known.endswith("-FP8")])
def test_what_is_derived_agrees_with_what_the_catalogue_lists(model: str) -> None:
    facts, known = derive_model(model), find_model(model)
    assert known is not None
    if facts is not None:
        assert loaded_bytes(facts) == pytest.approx(loaded_bytes(known), rel=0.01)


def loaded_bytes(facts: ModelFacts) -> int:
    """Quantisers differ in what they do with what vLLM leaves out: heads that are tied, layers for drafting."""
    left_out = {WeightPart.MTP} | ({WeightPart.LM_HEAD} if facts.config.tie_word_embeddings else set())
    return sum(size for part, size in facts.weights.items() if part not in left_out)


def test_layers_that_quantisers_leave_alone_keep_their_bytes() -> None:
    facts, known = derived("x/Qwen3.6-27B-AWQ"), find_model("Qwen/Qwen3.6-27B")
    assert known is not None
    for part in (WeightPart.VISION, WeightPart.MTP, WeightPart.EMBEDDING):
        assert facts.weights[part] == known.weights[part]
    assert facts.weights[WeightPart.LINEAR] < known.weights[WeightPart.LINEAR] * 0.3
