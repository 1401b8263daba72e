"""What becomes of `rope-scaling` in each release, and how long it reaches."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.rope import derived_max_model_len, rope_arguments
from orchestrator.engine.rope_checks import check_lengths
from tests.unit.engine.engine_samples import MEDIUM, QWEN3_8B, QWEN3_32B, YARN, facts_of, release

AS_FLAG = [
    "--gpu-memory-utilization", "0.93",
    "--kv-cache-dtype", "fp8",
    "--max-model-len", "131072",
    "--rope-scaling", '{"factor":4.0,"original_max_position_embeddings":32768,"rope_type":"yarn"}',
    "--tensor-parallel-size", "2",
]  # fmt: skip
AS_SCALING = [
    "--gpu-memory-utilization", "0.93",
    "--hf-overrides",
    '{"rope_scaling":{"factor":4.0,"original_max_position_embeddings":32768,"rope_type":"yarn"}}',
    "--kv-cache-dtype", "fp8",
    "--max-model-len", "131072",
    "--tensor-parallel-size", "2",
]  # fmt: skip
AS_PARAMETERS = [
    "--gpu-memory-utilization", "0.93",
    "--hf-overrides",
    '{"max_position_embeddings":131072,"rope_parameters":{"factor":4.0,'
    '"original_max_position_embeddings":32768,"rope_theta":1000000,"rope_type":"yarn"}}',
    "--kv-cache-dtype", "fp8",
    "--max-model-len", "131072",
    "--tensor-parallel-size", "2",
]  # fmt: skip


@pytest.mark.parametrize(
    ("pinned", "flags"),
    [
        ("0.6.6", AS_FLAG),
        ("0.8.5", AS_FLAG),
        ("0.11.0", AS_FLAG),
        ("0.11.1", AS_SCALING),
        ("0.11.2", AS_SCALING),
        ("0.12.0", AS_PARAMETERS),
        ("0.19.1", AS_PARAMETERS),
        ("0.20.0", AS_PARAMETERS),
        ("0.29.0", AS_PARAMETERS),
        ("0.30.0", AS_PARAMETERS),
        ("0.33.0", AS_PARAMETERS),
    ],
)
def test_the_whole_command_line_in_every_epoch(pinned: str, flags: list[str]) -> None:
    arguments = serve_arguments(
        model="Qwen/Qwen3-32B-AWQ",
        revision="0123abc",
        served_name="medium",
        vllm=MEDIUM,
        release=release(pinned),
        facts=facts_of(QWEN3_32B),
        port=8000,
    )
    head = ["Qwen/Qwen3-32B-AWQ", "--revision", "0123abc", "--served-model-name", "medium"]
    assert list(arguments) == [*head, "--host", "0.0.0.0", "--port", "8000", *flags]


YARN_OVERRIDE: dict[str, FlagValue] = {"rope_parameters": {**YARN, "rope_theta": 1000000}}
LONG: dict[str, FlagValue] = {**YARN_OVERRIDE, "max_position_embeddings": 131072}


@pytest.mark.parametrize(
    ("vllm", "pinned", "length"),
    [
        ({}, "0.6.6", 40960),
        ({}, "0.33.0", 40960),
        ({"rope-scaling": YARN}, "0.11.0", 131072),
        ({"rope_scaling": YARN}, "0.11.2", 131072),
        ({"rope-scaling": YARN}, "0.12.0", 131072),
        ({"rope-scaling": YARN}, "0.30.0", 131072),
        ({"rope-scaling": json.dumps(YARN)}, "0.33.0", 131072),
        ({"rope-scaling": {"rope_type": "linear", "factor": 2}}, "0.33.0", 81920),
        ({"rope-scaling": {"rope_type": "llama3", "factor": 2}}, "0.33.0", 40960),
        ({"rope-scaling": {"rope_type": "yarn"}}, "0.33.0", 40960),
        ({"hf-overrides": {"rope_scaling": YARN}}, "0.11.2", 131072),
        ({"hf-overrides": {"rope_scaling": YARN}}, "0.12.0", 40960),
        ({"hf-overrides": {"rope_scaling": YARN, "max_position_embeddings": 131072}}, "0.12.0", 131072),
        ({"hf-overrides": {"rope_scaling": YARN}}, "0.20.0", 131072),
        ({"hf-overrides": YARN_OVERRIDE}, "0.11.2", 40960),
        ({"hf-overrides": YARN_OVERRIDE}, "0.12.0", 131072),
        ({"hf-overrides": LONG}, "0.12.0", 131072),
        ({"hf-overrides": YARN_OVERRIDE}, "0.29.0", 131072),
        ({"hf-overrides": YARN_OVERRIDE}, "0.30.0", 40960),
        ({"hf-overrides": LONG}, "0.33.0", 131072),
    ],
)
def test_the_derived_length_is_what_each_release_derives(vllm: dict[str, FlagValue], pinned: str, length: int) -> None:
    assert derived_max_model_len(QWEN3_8B, vllm, release(pinned)) == length


def test_a_checkpoint_with_its_own_scaling_is_long_by_itself() -> None:
    deepseek = replace(
        QWEN3_8B,
        max_position_embeddings=163840,
        rope_parameters={"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096},
    )
    assert {derived_max_model_len(deepseek, {}, release(text)) for text in ("0.8.5", "0.33.0")} == {163840}
    gemma = replace(QWEN3_8B, model_type="gemma3_text", rope_parameters={"rope_type": "linear", "factor": 8.0})
    assert derived_max_model_len(gemma, {}, release("0.12.0")) == 40960


def _said(vllm: dict[str, FlagValue], pinned: str) -> dict[str, FlagValue]:
    return rope_arguments(vllm=vllm, release=release(pinned), config=QWEN3_8B)


def test_the_users_overrides_are_kept_beside_the_scaling() -> None:
    vllm: dict[str, FlagValue] = {"rope-scaling": YARN, "hf-overrides": {"architectures": ["X"]}}
    assert _said(vllm, "0.11.0") == {
        "rope-scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        "hf-overrides": {"architectures": ["X"]},
    }
    assert _said(vllm, "0.11.1") == {"hf-overrides": {"architectures": ["X"], "rope_scaling": YARN}}
    assert _said(vllm, "0.33.0") == {
        "hf-overrides": {
            "architectures": ["X"],
            "max_position_embeddings": 131072,
            "rope_parameters": {"rope_theta": 1000000, **YARN},
        }
    }
    assert _said({"hf-overrides": {"a": 1}}, "0.33.0") == {"hf-overrides": {"a": 1}}
    assert _said({}, "0.33.0") == {}
    assert _said({}, "0.6.6") == {}


def test_rope_theta_is_said_as_the_release_wants() -> None:
    assert _said({"rope-theta": 5e6}, "0.11.0") == {"rope-theta": 5e6}
    assert _said({"rope-theta": 5e6}, "0.11.1") == {"hf-overrides": {"rope_theta": 5000000}}
    alone: FlagValue = {"rope_type": "default", "rope_theta": 5000000}
    assert _said({"rope-theta": 5e6}, "0.12.0") == {"hf-overrides": {"rope_parameters": alone}}
    both = _said({"rope-theta": 2.5, "rope-scaling": YARN}, "0.12.0")["hf-overrides"]
    assert isinstance(both, dict)
    assert both["rope_parameters"] == {"rope_theta": 2.5, **YARN}


def test_the_checkpoints_own_parameters_stay_under_a_new_theta() -> None:
    config = replace(QWEN3_8B, rope_parameters={"rope_type": "yarn", "factor": 2.0, "odd": object()})
    said = rope_arguments(vllm={"rope-theta": 10000}, release=release("0.20.0"), config=config)
    assert said == {"hf-overrides": {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "rope_theta": 10000}}}


def test_a_scaling_from_the_maximum_is_not_multiplied_twice() -> None:
    linear: dict[str, FlagValue] = {"rope-scaling": {"type": "linear", "factor": 2}}
    parameters: FlagValue = {"rope_theta": 1000000, "rope_type": "linear", "factor": 2.0}
    assert _said(linear, "0.29.0") == {"hf-overrides": {"rope_parameters": parameters}}
    assert _said(linear, "0.30.0") == {"hf-overrides": {"rope_parameters": parameters}}


def test_a_model_without_a_theta_gets_none() -> None:
    config = replace(QWEN3_8B, rope_theta=None)
    said = rope_arguments(vllm={"rope-scaling": YARN}, release=release("0.33.0"), config=config)
    assert said == {"hf-overrides": {"max_position_embeddings": 131072, "rope_parameters": YARN}}


def test_a_length_beyond_the_model_says_which_scaling_would_do() -> None:
    (problem,) = check_lengths(vllm={"max_model_len": "128K"}, release=release("0.33.0"), config=QWEN3_8B)
    assert (problem.code, problem.flag, problem.on_value) == ("E212", "max_model_len", True)
    assert problem.message == "`max_model_len` 131072 is more than this model's 40960 tokens"
    assert problem.notes == ("asked: 131072 tokens, available: 40960 tokens",)
    assert problem.help == (
        "add `rope-scaling: {rope_type: yarn, factor: 4.0, original_max_position_embeddings: 32768}`, "
        "if the model was made for it (model card)",
        "or set `max_model_len: 40960`",
    )
    fixed: dict[str, FlagValue] = {"max-model-len": 131072, "rope-scaling": YARN}
    assert check_lengths(vllm=fixed, release=release("0.33.0"), config=QWEN3_8B) == ()
    longer: dict[str, FlagValue] = {"max-model-len": 160000, "rope-scaling": YARN}
    (problem,) = check_lengths(vllm=longer, release=release("0.33.0"), config=QWEN3_8B)
    assert problem.help[0].startswith("change `rope-scaling: {rope_type: yarn, factor: 5.0,")


def test_yarn_without_need_is_a_warning() -> None:
    vllm: dict[str, FlagValue] = {"max-model-len": 32768, "rope-scaling": YARN}
    (problem,) = check_lengths(vllm=vllm, release=release("0.33.0"), config=QWEN3_8B)
    assert (problem.code, problem.flag, problem.help) == ("W202", "rope-scaling", ("delete `rope-scaling`",))
    overridden: dict[str, FlagValue] = {"max-model-len": 32768, "hf-overrides": LONG}
    (problem,) = check_lengths(vllm=overridden, release=release("0.33.0"), config=QWEN3_8B)
    assert problem.help == ("delete the RoPE keys of `hf-overrides`",)


@pytest.mark.parametrize("length", [None, "auto", -1, "x", True, 32768])
def test_a_length_that_is_no_longer_than_the_model_has_no_findings(length: FlagValue) -> None:
    vllm: dict[str, FlagValue] = {} if length is None else {"max-model-len": length}
    assert check_lengths(vllm=vllm, release=release("0.33.0"), config=QWEN3_8B) == ()
