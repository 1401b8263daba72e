"""Types of KV cache, schemes of compressed-tensors and float16 against models, cards and releases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, Quantization
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.compatibility import check_compatibility, check_model
from orchestrator.engine.problems import FlagProblem
from tests.unit.engine.engine_samples import QWEN3_8B, card, facts_of, host, release

CARDS = {"V100": (7, 0), "T4": (7, 5), "A10G": (8, 6), "RTX 4090": (8, 9), "H100": (9, 0), "RTX 5090": (12, 0)}
FULL = replace(
    QWEN3_8B, dtype="float16", quantization=None, layers=(LayerGroup(kind=LayerKind.FULL_ATTENTION, count=2),)
)
LATENT = replace(FULL, layers=(LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=2, latent_size=576),))


def scheme(word: str) -> ModelConfig:
    return replace(FULL, quantization=Quantization(method="compressed-tensors", scheme=word))


def found(
    config: ModelConfig,
    vllm: dict[str, FlagValue],
    name: str,
    pinned: str = "0.32.0",
    environment: dict[str, str] | None = None,
) -> tuple[FlagProblem, ...]:
    return check_compatibility(
        vllm=vllm,
        release=release(pinned),
        facts=facts_of(replace(config, architecture="LlamaForCausalLM")),
        gpu=card(name, CARDS[name]),
        host=host(),
        environment=environment or {},
    )


def codes(problems: tuple[FlagProblem, ...]) -> list[str]:
    return [problem.code for problem in problems]


@pytest.mark.parametrize(
    ("config", "vllm", "name", "pinned", "expected"),
    [
        (scheme("wNa16"), {}, "T4", "0.11.2", ["E221"]),
        (scheme("wNa16"), {}, "T4", "0.12.0", []),
        (scheme("fp8"), {}, "T4", "0.15.1", ["E221"]),
        (scheme("fp8"), {}, "T4", "0.16.0", []),
        (scheme("fp8"), {}, "A10G", "0.8.5", []),
        (scheme("w8a8_int8"), {}, "T4", "0.8.5", []),
        (scheme("w8a8_int8"), {}, "V100", "0.11.0", ["E221"]),
        (scheme("w4a8_fp8"), {}, "RTX 4090", "0.32.0", ["E221"]),
        (scheme("w4a8_fp8"), {}, "H100", "0.32.0", []),
        (scheme("mxfp4"), {}, "T4", "0.32.0", ["E221"]),
        (scheme("mxfp8"), {}, "T4", "0.19.0", []),
        (FULL, {"kv-cache-dtype": "nvfp4_4over6"}, "H100", "0.32.0", ["E222"]),
        (FULL, {"kv-cache-dtype": "fp8_per_token_head"}, "A10G", "0.32.0", ["E222"]),
        (FULL, {"kv-cache-dtype": "int8_per_token_head"}, "A10G", "0.32.0", []),
        (FULL, {"kv-cache-dtype": "turboquant_4bit_nc"}, "A10G", "0.32.0", []),
        (LATENT, {"kv-cache-dtype": "fp8"}, "A10G", "0.32.0", ["E222"]),
        (LATENT, {"kv-cache-dtype": "fp8"}, "RTX 4090", "0.17.1", ["E222"]),
        (LATENT, {"kv-cache-dtype": "fp8"}, "RTX 4090", "0.18.0", []),
        (LATENT, {"kv-cache-dtype": "fp8"}, "RTX 5090", "0.32.0", []),
        (LATENT, {"kv-cache-dtype": "fp8"}, "H100", "0.16.0", []),
        (LATENT, {"kv-cache-dtype": "fp8"}, "RTX 4090", "0.10.2", []),
    ],
)
def test_schemes_and_cache_types_have_their_cards(
    config: ModelConfig, vllm: dict[str, FlagValue], name: str, pinned: str, expected: list[str]
) -> None:
    assert codes(found(config, vllm, name, pinned)) == expected


def test_a_scheme_says_what_it_needs_and_which_release_needs_less() -> None:
    assert found(scheme("fp8"), {}, "T4", "0.15.1") == (
        FlagProblem(
            code="E221",
            flag="",
            message="`compressed-tensors` (fp8) quantisation does not run on T4",
            label="needs compute capability 8.0",
            notes=("T4: compute capability 7.5", "vLLM 0.15.1 needs 8.0 for `compressed-tensors` (fp8)"),
            help=("pin vLLM 0.16.0 or later, which needs less, or choose another card",),
        ),
    )


def test_an_fp8_cache_of_latent_attention_says_from_when_on() -> None:
    assert found(LATENT, {"kv-cache-dtype": "fp8"}, "RTX 4090", "0.17.1") == (
        FlagProblem(
            code="E222",
            flag="kv-cache-dtype",
            on_value=True,
            message="`fp8` KV cache does not run on RTX 4090 in vLLM 0.17.1",
            label="latent attention (MLA) has it on such cards from vLLM 0.18.0 on",
            notes=("RTX 4090: compute capability 8.9",),
            help=("pin vLLM 0.18.0 or later, or delete the line",),
        ),
    )


FP8_INSTEAD = "write `kv-cache-dtype: fp8`, or delete the line"
CHOOSES = "or delete it: vLLM chooses the backend that has it"


@pytest.mark.parametrize(
    ("config", "vllm", "label", "for_whom", "help_line"),
    [
        (
            LATENT,
            {"kv-cache-dtype": "int8_per_token_head"},
            "not with latent attention (MLA)",
            "for this model",
            "delete the line",
        ),
        (LATENT, {"kv-cache-dtype": "fp8_e5m2"}, "not with latent attention (MLA)", "for this model", FP8_INSTEAD),
        (FULL, {"kv-cache-dtype": "fp8_ds_mla"}, "only with latent attention (MLA)", "for this model", FP8_INSTEAD),
        (
            FULL,
            {"kv-cache-dtype": "nvfp4", "attention-backend": "flash_attn"},
            "only `FLASHINFER` has it",
            "with `FLASH_ATTN` attention",
            f"write `attention-backend: FLASHINFER`, {CHOOSES}",
        ),
        (
            FULL,
            {"kv-cache-dtype": "fp8_per_token_head", "attention-config.backend": "FLASHINFER"},
            "only `TRITON_ATTN` has it",
            "with `FLASHINFER` attention",
            f"write `attention-backend: TRITON_ATTN`, {CHOOSES}",
        ),
    ],
)
def test_cache_types_that_no_card_helps_are_told_without_one(
    config: ModelConfig, vllm: dict[str, FlagValue], label: str, for_whom: str, help_line: str
) -> None:
    word = vllm["kv-cache-dtype"]
    assert check_model(vllm=vllm, release=release("0.32.0"), facts=facts_of(config)) == (
        FlagProblem(
            code="E222",
            flag="kv-cache-dtype",
            on_value=True,
            message=f"vLLM 0.32.0 cannot keep a `{word}` KV cache {for_whom}",
            label=label,
            help=(help_line,),
        ),
    )


@pytest.mark.parametrize(
    ("backend", "pinned", "expected"),
    [
        ("FLASHINFER", "0.10.2", []),
        ("FLASHINFER", "0.14.1", ["W221"]),
        ("TRITON_ATTN", "0.14.1", ["E222"]),
        ("TRITON_ATTN", "0.15.0", ["W221"]),
    ],
)
def test_the_variable_that_chose_the_backend_counts_where_it_is_read(
    backend: str, pinned: str, expected: list[str]
) -> None:
    said = found(FULL, {"kv-cache-dtype": "fp8"}, "A10G", pinned, {"VLLM_ATTENTION_BACKEND": backend})
    assert codes(said) == expected


@pytest.mark.parametrize(
    ("model_type", "pinned", "expected"),
    [
        ("gemma3", "0.9.0", []),
        ("gemma3", "0.9.1", ["E233"]),
        ("gemma3_text", "0.10.1", []),
        ("gemma3_text", "0.10.2", ["E233"]),
        ("plamo2", "0.26.0", ["E233"]),
        ("plamo2", "0.27.0", []),
        ("qwen3", "0.32.0", []),
    ],
)
def test_float16_is_refused_for_some_kinds_of_models(model_type: str, pinned: str, expected: list[str]) -> None:
    config = replace(FULL, model_type=model_type)
    half: dict[str, FlagValue] = {"dtype": "half"}
    assert codes(check_model(vllm=half, release=release(pinned), facts=facts_of(config))) == expected
    as_offered: dict[str, FlagValue] = {"dtype": "bfloat16"}
    assert check_model(vllm=as_offered, release=release(pinned), facts=facts_of(config)) == ()


def test_the_refusal_of_float16_offers_other_types() -> None:
    config = replace(FULL, model_type="gemma3_text", dtype="bfloat16")
    assert check_model(vllm={"dtype": "half"}, release=release("0.32.0"), facts=facts_of(config)) == (
        FlagProblem(
            code="E233",
            flag="dtype",
            on_value=True,
            message="vLLM 0.32.0 refuses `half` for models of type `gemma3_text`",
            label="their numbers run over in float16",
            help=("write `dtype: bfloat16`, or `dtype: float` on cards without it",),
        ),
    )
    (problem,) = found(config, {"dtype": "bfloat16"}, "T4")
    assert problem.help == ("write `dtype: float`, twice the memory, or choose a card with bfloat16",)
