"""Which model with which flags runs on which card under which release."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, Quantization
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.compatibility import check_compatibility, check_model
from orchestrator.engine.problems import FlagProblem
from tests.unit.engine.engine_samples import (
    MEDIUM,
    QWEN3_1_7B_FP8,
    QWEN3_8B,
    QWEN3_30B_A3B_FP8,
    QWEN3_32B,
    card,
    facts_of,
    host,
    release,
)

CARDS = {
    "V100": (7, 0),
    "T4": (7, 5),
    "A100": (8, 0),
    "A10G": (8, 6),
    "RTX 4090": (8, 9),
    "H100": (9, 0),
    "RTX 5090": (12, 0),
}


def found(
    config: ModelConfig,
    vllm: dict[str, FlagValue],
    name: str,
    pinned: str = "0.32.0",
    *,
    driver: str | None = "580.65.06",
    image: str | None = None,
) -> tuple[FlagProblem, ...]:
    return check_compatibility(
        vllm=vllm,
        release=release(pinned),
        facts=facts_of(config),
        gpu=card(name, CARDS.get(name)),
        host=host(driver),
        image=image,
    )


def codes(problems: tuple[FlagProblem, ...]) -> list[str]:
    return [problem.code for problem in problems]


HALF = replace(QWEN3_8B, dtype="float16")
WHOLE_TENSORS = Quantization(method="compressed-tensors", bits=8)
GROUPS = Quantization(method="gptq", bits=4, group_size=128)


@pytest.mark.parametrize(
    ("config", "vllm", "name", "pinned", "expected"),
    [
        (QWEN3_32B, MEDIUM, "RTX 4090", "0.32.0", []),
        (QWEN3_1_7B_FP8, {}, "RTX 4090", "0.32.0", []),
        (QWEN3_1_7B_FP8, {}, "A10G", "0.32.0", ["W220"]),
        (QWEN3_1_7B_FP8, {"dtype": "half"}, "T4", "0.13.0", ["E221"]),
        (QWEN3_1_7B_FP8, {"dtype": "half"}, "T4", "0.14.0", ["W220"]),
        (HALF, {}, "V100", "0.11.0", ["E221"]),
        (HALF, {"quantization": "gguf"}, "A10G", "0.32.0", ["E220"]),
        (HALF, {"quantization": "mxfp4"}, "A10G", "0.9.0", ["E220"]),
        (HALF, {"quantization": "aqw"}, "A10G", "0.32.0", ["E220"]),
        (HALF, {"quantization": "zzzzzz"}, "A10G", "0.32.0", ["E220"]),
        (replace(HALF, quantization=None), {"quantization": "fp8_per_tensor"}, "A10G", "0.32.0", []),
        (replace(HALF, quantization=Quantization(method="new-one")), {}, "A10G", "0.32.0", []),
        (replace(HALF, quantization=None), {"kv-cache-dtype": "fp8"}, "T4", "0.32.0", ["E222"]),
        (HALF, {"kv-cache-dtype": "fp8"}, "A10G", "0.32.0", ["W221"]),
        (HALF, {"kv-cache-dtype": "fp8"}, "A10G", "0.11.0", ["W221"]),
        (HALF, {"kv-cache-dtype": "fp8"}, "A10G", "0.10.2", ["W221"]),
        (HALF, {"kv-cache-dtype": "fp8", "attention-backend": "TRITON_ATTN"}, "A10G", "0.32.0", ["E222"]),
        (HALF, {"kv-cache-dtype": "fp8", "attention-backend": "flashinfer"}, "A10G", "0.32.0", ["W221"]),
        (HALF, {"kv-cache-dtype": "fp8"}, "H100", "0.32.0", []),
        (HALF, {"kv-cache-dtype": "nvfp4"}, "H100", "0.32.0", ["E222"]),
        (HALF, {"kv-cache-dtype": "nvfp4"}, "RTX 5090", "0.32.0", []),
        (QWEN3_1_7B_FP8, {"kv-cache-dtype": "fp8_e5m2"}, "H100", "0.32.0", ["E222"]),
        (HALF, {"kv-cache-dtype": "fp8_e5m2"}, "H100", "0.32.0", []),
        (HALF, {"dtype": "bfloat16"}, "T4", "0.32.0", ["E223"]),
        (QWEN3_8B, {}, "T4", "0.8.5", ["E223"]),
        (QWEN3_8B, {}, "T4", "0.32.0", ["W223"]),
        (replace(QWEN3_8B, model_type="gemma2"), {}, "T4", "0.32.0", ["W223"]),
        (QWEN3_8B, {"dtype": "half"}, "T4", "0.32.0", []),
        (replace(HALF, quantization=WHOLE_TENSORS), {}, "V100", "0.20.0", ["E227"]),
        (QWEN3_8B, {"quantization": "awq"}, "A10G", "0.23.0", ["W229", "E230"]),
        (QWEN3_8B, {"quantization": "awq"}, "T4", "0.23.0", ["W229", "W223"]),
        (QWEN3_8B, {"quantization": "awq"}, "A10G", "0.24.0", []),
        (HALF, {}, "RTX 5090", "0.9.1", ["E227"]),
        (HALF, {"max-model-len": 50000}, "H100", "0.32.0", ["E212"]),
    ],
)
def test_each_combination_has_its_verdict(
    config: ModelConfig, vllm: dict[str, FlagValue], name: str, pinned: str, expected: list[str]
) -> None:
    assert codes(found(config, vllm, name, pinned)) == expected


def test_a_finding_has_the_users_key_the_numbers_and_the_next_step() -> None:
    (problem,) = found(replace(HALF, quantization=None), {"kv_cache_dtype": "fp8"}, "T4")
    assert problem == FlagProblem(
        code="E222",
        flag="kv_cache_dtype",
        on_value=True,
        message="`fp8` KV cache does not run on T4 in vLLM 0.32.0",
        label="no attention backend has it for this card",
        notes=("T4: compute capability 7.5",),
        help=("delete the line, or write `kv-cache-dtype: auto`",),
    )
    (problem,) = found(QWEN3_1_7B_FP8, {"dtype": "half"}, "T4", "0.13.0")
    assert (problem.flag, problem.on_value) == ("", False)
    assert problem.help == ("pin vLLM 0.14.0 or later, which needs less, or choose another card",)
    (problem,) = found(HALF, {}, "V100", "0.11.0")
    assert problem.help == ("choose another card, or a checkpoint in another form",)


def test_advice_that_asks_for_nothing_is_a_note() -> None:
    (problem,) = found(HALF, {"kv-cache-dtype": "fp8"}, "A10G")
    assert (problem.severity, problem.help) == (Severity.NOTE, ())
    (problem,) = found(HALF, {"kv-cache-dtype": "fp8"}, "A10G", "0.10.2")
    assert problem.severity is Severity.WARNING
    assert problem.label == "without it the engine falls back to the older V0 engine"


def test_methods_that_left_say_where_they_are() -> None:
    (problem,) = found(HALF, {"quantization": "bitsandbytes"}, "A10G")
    assert problem.message == "vLLM 0.32.0 no longer knows `bitsandbytes` quantisation"
    assert problem.help == (
        "pin vLLM 0.27.1, or an image with `vllm-bnb-plugin` installed",
        "without a GPU no release runs it: take the unquantised model in bfloat16, or a 4 bit AWQ or GPTQ form of it;"
        " bitsandbytes is for GPUs only",
    )
    (problem,) = found(HALF, {"quantization": "hqq"}, "A10G")
    assert problem.help == ("pin vLLM 0.14.1",)
    (problem,) = found(HALF, {"quantization": "aqw"}, "A10G")
    assert problem.help == ("did you mean `awq`?",)
    (problem,) = found(HALF, {"quantization": "zzzzzz"}, "A10G")
    assert problem.help == ("delete the line; the checkpoint says its method",)


@pytest.mark.parametrize(
    ("driver", "pinned", "expected"),
    [
        ("580.65.06", "0.32.0", []),
        ("575.51.03", "0.32.0", ["E228"]),
        ("550.90.07", "0.11.1", ["W228"]),
        ("515.10", "0.11.1", ["E228"]),
        (None, "0.32.0", []),
        ("unknown", "0.32.0", []),
    ],
)
def test_the_driver_must_carry_the_cuda_of_the_image(driver: str | None, pinned: str, expected: list[str]) -> None:
    assert codes(found(HALF, {}, "RTX 4090", pinned, driver=driver)) == expected


def test_the_driver_finding_gives_both_versions() -> None:
    (problem,) = found(HALF, {}, "RTX 4090", driver="575.51.03")
    assert problem.message == "driver 575.51.03 of host `box` is too old for CUDA 13.0 of the image"
    assert problem.notes[1] == "driver: 575.51.03, needed: 580 or later"


def test_nothing_is_said_about_an_image_of_the_users_own() -> None:
    assert found(HALF, {}, "RTX 4090", driver="575.51.03", image="mine:latest") == ()
    assert len(found(HALF, {}, "RTX 4090", driver="575.51.03", image="vllm/vllm-openai:v0.32.0")) == 1


def test_a_card_that_nobody_knows_is_not_judged() -> None:
    assert found(QWEN3_8B, {"kv-cache-dtype": "fp8"}, "mystery") == ()


MLA = LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=2, latent_size=576)


@pytest.mark.parametrize(
    ("config", "size", "expected"),
    [
        (QWEN3_32B, 1, []),
        (QWEN3_32B, 2, []),
        (QWEN3_32B, 8, []),
        (QWEN3_32B, 3, ["E224", "E225", "E225"]),
        (replace(QWEN3_8B, num_attention_heads=36, num_kv_heads=6, intermediate_size=12288), 3, ["E225"]),
        (QWEN3_8B, 16, []),
        (replace(QWEN3_8B, num_kv_heads=6), 4, ["E224"]),
        (replace(QWEN3_8B, num_kv_heads=6, layers=(MLA,)), 4, []),
        (replace(QWEN3_8B, quantization=None), 32, []),
        (QWEN3_32B, 16, ["E226"]),
        (replace(QWEN3_8B, quantization=replace(GROUPS, group_size=-1)), 32, []),
        (QWEN3_30B_A3B_FP8, 2, []),
        (QWEN3_30B_A3B_FP8, 4, ["E226"]),
    ],
)
def test_a_model_is_divided_only_where_it_can_be(config: ModelConfig, size: int, expected: list[str]) -> None:
    vllm: dict[str, FlagValue] = {"tensor-parallel-size": size}
    assert codes(check_model(vllm=vllm, release=release("0.32.0"), facts=facts_of(config))) == expected


def test_the_largest_division_that_works_is_named() -> None:
    vllm: dict[str, FlagValue] = {"tensor_parallel_size": 4}
    (problem,) = check_model(vllm=vllm, release=release("0.32.0"), facts=facts_of(QWEN3_30B_A3B_FP8))
    assert problem.flag == "tensor_parallel_size"
    assert problem.label == "experts' intermediate size 768 / 4 = 192 splits quantisation groups of 128"
    assert problem.notes == ("asked: 4, largest that works below: 2",)
    assert problem.help == (
        "write `tensor_parallel_size: 2`",
        "or keep experts whole with `enable-expert-parallel: true`",
    )
    whole = {**vllm, "enable-expert-parallel": True}
    assert check_model(vllm=whole, release=release("0.32.0"), facts=facts_of(QWEN3_30B_A3B_FP8)) == ()


def test_shared_experts_are_divided_too() -> None:
    moe = QWEN3_30B_A3B_FP8.moe
    assert moe is not None
    config = replace(QWEN3_30B_A3B_FP8, moe=replace(moe, shared_intermediate_size=5))
    vllm: dict[str, FlagValue] = {"tensor-parallel-size": 2}
    (problem,) = check_model(vllm=vllm, release=release("0.32.0"), facts=facts_of(config))
    assert (problem.code, problem.help) == ("E225", ("write `tensor-parallel-size: 1`",))
