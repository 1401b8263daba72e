"""Labels of precisions, for every way a checkpoint can be kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.advisor.precision import Precision, precision_of
from orchestrator.domain.model_config import Quantization
from tests.unit.advisor.advisor_samples import QWEN, facts_of

CONFIG = facts_of(QWEN).config


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (QWEN, Precision(bits=16, label="bf16")),
        ("meta-llama/Llama-2-7b-hf", Precision(bits=16, label="fp16")),
        ("openai-community/gpt2", Precision(bits=16, label="fp32")),
        (f"{QWEN}-GPTQ-Int8", Precision(bits=8, label="8 bit GPTQ")),
        (f"{QWEN}-AWQ", Precision(bits=4, label="4 bit AWQ")),
        ("Qwen/Qwen3-8B-FP8", Precision(bits=8, label="8 bit FP8")),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", Precision(bits=8, label="8 bit FP8")),
        ("nvidia/Llama-3.3-70B-Instruct-FP4", Precision(bits=4, label="4 bit NVFP4")),
        ("openai/gpt-oss-20b", Precision(bits=4, label="4 bit MXFP4")),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", Precision(bits=8, label="8 bit FP8")),
        ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w4a16", Precision(bits=4, label="4 bit INT4")),
    ],
)
def test_a_published_model_is_labelled_as_its_publishers_do(model: str, expected: Precision) -> None:
    assert precision_of(facts_of(model).config) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (Quantization(method="auto_gptq", bits=8), Precision(bits=8, label="8 bit GPTQ")),
        (Quantization(method="awq_marlin", bits=4), Precision(bits=4, label="4 bit AWQ")),
        (Quantization(method="compressed-tensors", bits=8, is_float=False), Precision(bits=8, label="8 bit INT8")),
        (
            Quantization(method="compressed-tensors", bits=6, is_float=False),
            Precision(bits=6, label="6 bit compressed-tensors"),
        ),
        (Quantization(method="compressed-tensors", bits=8), Precision(bits=8, label="8 bit compressed-tensors")),
        (Quantization(method="bitsandbytes", bits=8), Precision(bits=8, label="8 bit bnb")),
        (Quantization(method="quark"), Precision(bits=8, label="quark")),
    ],
)
def test_other_methods_keep_their_names(stated: Quantization, expected: Precision) -> None:
    assert precision_of(replace(CONFIG, quantization=stated)) == expected


def test_an_unheard_dtype_is_named_as_it_is() -> None:
    assert precision_of(replace(CONFIG, dtype="float8")).label == "float8"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, Precision(bits=16, label="bf16")),
        ("fp8", Precision(bits=8, label="8 bit FP8")),
        ("fp8_per_block", Precision(bits=8, label="8 bit FP8")),
        ("int8_per_channel_weight_only", Precision(bits=8, label="8 bit INT8")),
        ("bitsandbytes", Precision(bits=4, label="4 bit bnb")),
        ("nvfp4_per_token", Precision(bits=4, label="4 bit NVFP4")),
    ],
)
def test_quantising_while_loading_counts_as_that_precision(said: str | None, expected: Precision) -> None:
    assert precision_of(CONFIG, said) == expected
    quantised = facts_of(f"{QWEN}-AWQ").config
    assert precision_of(quantised, said).label == "4 bit AWQ"
