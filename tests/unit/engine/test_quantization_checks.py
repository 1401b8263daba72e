"""What `quantization` and `dtype` may say about a checkpoint, without a card."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.model_config import ModelConfig, Quantization
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.checks import check_flags
from orchestrator.engine.compatibility import check_model
from orchestrator.engine.problems import FlagProblem
from tests.unit.engine.engine_samples import QWEN3_8B, facts_of, release


def stored(method: str | None, *, bits: int = 4, group_size: int | None = 128, asymmetric: bool = False) -> ModelConfig:
    if method is None:
        return replace(QWEN3_8B, quantization=None)
    quantization = Quantization(method=method, bits=bits, group_size=group_size, zero_point=asymmetric)
    return replace(QWEN3_8B, quantization=quantization)


def found(method: str | None, vllm: dict[str, FlagValue], pinned: str = "0.32.0") -> tuple[FlagProblem, ...]:
    return check_model(vllm=vllm, release=release(pinned), facts=facts_of(stored(method)))


ASKED_OF_VLLM_0_32: dict[str | None, dict[str, list[str]]] = {
    None: {
        "fp8": [],
        "fp8_per_tensor": [],
        "experts_int8": [],
        "torchao": [],
        "humming": [],
        "online": [],
        "mxfp8": [],
        "awq": ["E229"],
        "auto_gptq": ["E229"],
        "compressed-tensors": ["E229"],
        "moe_wna16": ["E229"],
        "marlin": ["E229"],
        "awq_marlin2": ["E220"],
        "bitsandbytes": ["E220"],
    },
    "gptq": {
        "gptq": [],
        "gptq_marlin": [],
        "auto_gptq": [],
        "marlin": [],
        "moe_wna16": [],
        "humming": [],
        "awq": ["E229"],
        "awq_marlin": ["E229"],
        "fp8": ["E229"],
        "inc": ["E229"],
        "compressed-tensors": ["E229"],
        "awq_marlin2": ["E220"],
    },
    "awq": {"awq": [], "awq_marlin": [], "auto_awq": [], "humming": [], "gptq": ["E229"], "fp8_per_tensor": ["E229"]},
    "fp8": {"fp8": [], "humming": [], "fp8_per_tensor": ["E229"], "experts_int8": ["E229"], "awq": ["E229"]},
    "compressed-tensors": {"compressed-tensors": [], "humming": [], "fp8": ["E229"], "awq": ["E229"]},
    "mxfp4": {"mxfp4": [], "gpt_oss_mxfp4": [], "fp8": ["E229"]},
    "modelopt": {"modelopt": [], "fp8": [], "awq": []},
}


@pytest.mark.parametrize(
    ("method", "word", "expected"),
    [(method, word, codes) for method, words in ASKED_OF_VLLM_0_32.items() for word, codes in words.items()],
)
def test_each_word_has_vllms_verdict_for_each_form_of_checkpoint(
    method: str | None, word: str, expected: list[str]
) -> None:
    assert [problem.code for problem in found(method, {"quantization": word})] == expected


def test_a_word_that_contradicts_the_checkpoint_says_what_the_checkpoint_is() -> None:
    assert found("awq", {"quantization": "gptq"}) == (
        FlagProblem(
            code="E229",
            flag="quantization",
            on_value=True,
            message="`quantization` `gptq` contradicts the checkpoint, which is quantised with `awq`",
            label="the checkpoint is `awq`",
            help=("delete the line; vLLM reads the method from the checkpoint",),
        ),
    )
    (plain,) = found(None, {"quantization": "awq"})
    assert plain.message == (
        "`quantization` `awq` needs a checkpoint that is quantised so, and this one is not quantised"
    )
    assert plain.help == (
        "delete the line, or name a checkpoint in that form as `model:`; `quantization: fp8` makes its weights"
        " smaller while loading",
    )


@pytest.mark.parametrize(
    ("config", "word", "pinned", "warned"),
    [
        (stored("awq"), "awq", "0.23.0", True),
        (stored("awq"), "awq", "0.24.0", False),
        (stored("gptq"), "gptq", "0.21.0", True),
        (stored("gptq", bits=8), "gptq", "0.21.0", True),
        (stored("gptq"), "gptq", "0.22.0", False),
        (stored("gptq"), "gptq_marlin", "0.21.0", False),
        (stored("gptq", bits=3), "gptq", "0.21.0", False),
        (stored("gptq", group_size=16), "gptq", "0.21.0", False),
        (stored("gptq", asymmetric=True), "gptq", "0.21.0", False),
        (stored("awq", asymmetric=True), "awq", "0.21.0", True),
    ],
)
def test_plain_kernels_are_warned_about_where_marlin_would_be_chosen(
    config: ModelConfig, word: str, pinned: str, warned: bool
) -> None:
    problems = check_model(vllm={"quantization": word}, release=release(pinned), facts=facts_of(config))
    assert [problem.code for problem in problems] == (["W229"] if warned else [])
    assert all(problem.severity is Severity.WARNING for problem in problems)


def test_the_warning_about_plain_kernels_says_what_would_be_chosen_and_where() -> None:
    (problem,) = found("awq", {"quantization": "awq"}, "0.11.0")
    assert (
        problem.message == "`quantization: awq` keeps vLLM 0.11.0 on slower kernels: left alone it chooses `awq_marlin`"
    )
    assert problem.notes == ("Marlin kernels need compute capability 8.0",)
    (problem,) = found("awq", {"quantization": "awq"}, "0.14.0")
    assert problem.notes == ("Marlin kernels need compute capability 7.5",)


@pytest.mark.parametrize(
    ("method", "vllm", "pinned", "expected"),
    [
        ("awq", {"dtype": "float32"}, "0.32.0", ["E230"]),
        ("awq", {"dtype": "float"}, "0.32.0", ["E230"]),
        ("gptq", {"dtype": "float32"}, "0.8.5", ["E230"]),
        ("fp8", {"dtype": "float32"}, "0.32.0", ["E230"]),
        (None, {"dtype": "float32"}, "0.32.0", []),
        (None, {"dtype": "float32", "quantization": "fp8"}, "0.32.0", ["E230"]),
        ("compressed-tensors", {"dtype": "float32"}, "0.32.0", []),
        ("awq", {"dtype": "bfloat16"}, "0.11.0", []),
        ("awq", {"dtype": "bfloat16", "quantization": "awq"}, "0.11.0", ["W229", "E230"]),
        ("awq", {"dtype": "half", "quantization": "awq"}, "0.11.0", ["W229"]),
        ("awq", {"dtype": "bfloat16", "quantization": "awq"}, "0.32.0", []),
        ("mxfp4", {"dtype": "half"}, "0.32.0", ["E230"]),
        ("mxfp4", {"dtype": "auto"}, "0.32.0", []),
    ],
)
def test_a_type_is_refused_where_the_weights_cannot_be_computed_in_it(
    method: str | None, vllm: dict[str, FlagValue], pinned: str, expected: list[str]
) -> None:
    assert [problem.code for problem in found(method, vllm, pinned)] == expected


def test_the_refusal_of_a_type_names_those_that_go() -> None:
    (problem,) = found("awq", {"dtype": "float32"})
    assert (problem.flag, problem.on_value) == ("dtype", True)
    assert problem.message == "this model's quantised weights cannot be computed in `float32` by vLLM 0.32.0"
    assert problem.label == "only `float16` or `bfloat16`"
    assert problem.help == ("write `dtype: float16`",)


def test_an_unknown_method_is_said_without_a_model_once_the_parser_has_no_choices() -> None:
    (problem,) = check_flags({"quantization": "awq_marlin2"}, release("0.32.0"))
    assert (problem.code, problem.on_value) == ("E220", True)
    assert problem.message == "unknown quantisation method `awq_marlin2`"
    assert problem.help == ("did you mean `awq_marlin`?",)
    (problem,) = check_flags({"quantization": "awq_marlin2"}, release("0.9.1"))
    assert problem.code == "E205"
    assert check_flags({"quantization": "marlin"}, release("0.32.0")) == ()
    assert check_flags({"quantization": "fp8"}, release("0.32.0")) == ()


def test_the_checkpoints_own_method_is_asked_for_too() -> None:
    (problem,) = found("bitsandbytes", {})
    assert (problem.code, problem.flag) == ("E220", "")
    assert found("auto-round", {}) == ()
    assert found("a-new-one", {}) == ()


def test_a_method_that_left_is_named_by_its_load_format_too() -> None:
    (problem,) = check_flags({"load-format": "bitsandbytes"}, release("0.28.0"))
    assert (problem.code, problem.flag, problem.on_value) == ("E220", "load-format", True)
    assert problem.message == "vLLM 0.28.0 no longer knows `bitsandbytes` quantisation"
    assert problem.help[0] == "pin vLLM 0.27.1, or an image with `vllm-bnb-plugin` installed"
    assert check_flags({"load-format": "bitsandbytes"}, release("0.27.1")) == ()
    assert check_flags({"load-format": "runai_streamer"}, release("0.28.0")) == ()
    assert [each.code for each in check_flags({"load-format": "gguf"}, release("0.24.0"))] == ["E220"]


def test_a_load_format_that_is_for_another_method_contradicts_the_checkpoint() -> None:
    (problem,) = found("awq", {"load-format": "bitsandbytes"}, "0.27.1")
    assert problem.code == "E229"
    assert problem.message == "`load-format` `bitsandbytes` contradicts the checkpoint, which is quantised with `awq`"
    assert problem.help == ("delete the line; vLLM reads the method from the checkpoint",)
    assert found(None, {"load-format": "bitsandbytes"}, "0.27.1") == ()
