"""Findings about the variables under `environment:`."""

from __future__ import annotations

import pytest

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.environment import recorded_releases, variable, variable_history
from orchestrator.engine.environment_checks import check_environment
from orchestrator.engine.problems import FlagProblem
from orchestrator.engine.rope_checks import check_lengths
from tests.unit.engine.engine_samples import QWEN3_8B, release


def found(
    environment: dict[str, str], pinned: str = "0.32.0", vllm: dict[str, FlagValue] | None = None
) -> list[FlagProblem]:
    return list(check_environment(environment, vllm or {}, release(pinned)))


def only(environment: dict[str, str], pinned: str = "0.32.0", vllm: dict[str, FlagValue] | None = None) -> FlagProblem:
    (problem,) = found(environment, pinned, vllm)
    return problem


def warning(code: str, name: str, message: str, label: str, *notes: str, help_line: str) -> FlagProblem:
    return FlagProblem(
        code=code,
        flag="",
        variable=name,
        severity=Severity.WARNING,
        message=message,
        label=label,
        notes=notes,
        help=(help_line,),
    )


def test_variables_that_the_release_reads_and_those_of_others_pass() -> None:
    environment = {
        "VLLM_LOGGING_LEVEL": "DEBUG",
        "VLLM_USE_V2_MODEL_RUNNER": "0",
        "VLLM_LOG_STATS_INTERVAL": "2.5",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_FLOAT32_MATMUL_PRECISION": "HIGH",
        "NCCL_P2P_DISABLE": "1",
        "MY_OWN": "anything",
    }
    assert found(environment) == []


def test_an_unknown_variable_names_the_nearest_one() -> None:
    assert only({"VLLM_USE_V2_MODEL_RUNER": "1"}) == warning(
        "W204",
        "VLLM_USE_V2_MODEL_RUNER",
        "unknown vLLM variable `VLLM_USE_V2_MODEL_RUNER`",
        "vLLM 0.32.0 does not read it",
        help_line="did you mean `VLLM_USE_V2_MODEL_RUNNER`?",
    )
    assert only({"VLLM_ZZZZ_QQQQ_XXXX": "1"}).help == ("delete the line, unless a plugin in your image reads it",)


def test_a_variable_that_lost_its_effect_says_since_when_and_what_to_write() -> None:
    assert only({"VLLM_ATTENTION_BACKEND": "FLASHINFER"}) == warning(
        "W205",
        "VLLM_ATTENTION_BACKEND",
        "`VLLM_ATTENTION_BACKEND` has no effect since vLLM 0.15.0",
        "vLLM 0.32.0 does not read it",
        "last release that reads it: 0.14.1",
        help_line="write `attention-backend` under `vllm:` with the same value",
    )
    assert found({"VLLM_ATTENTION_BACKEND": "FLASHINFER"}, "0.14.1") == []


@pytest.mark.parametrize(
    ("name", "pinned", "instead"),
    [
        ("VLLM_USE_V1", "0.11.1", "delete the line; the V1 engine is the only one"),
        ("VLLM_FLASH_ATTN_VERSION", "0.16.0", "write `attention-config.flash_attn_version` under `vllm:`"),
        ("VLLM_MM_INPUT_CACHE_GIB", "0.13.0", "write `mm-processor-cache-gb` under `vllm:`"),
        ("VLLM_TRITON_ATTN_USE_TD", "0.33.0", "write `VLLM_TRITON_USE_TD`"),
        ("VLLM_SLEEP_WHEN_IDLE", "0.20.0", "delete the line"),
    ],
)
def test_what_took_the_place_of_a_variable(name: str, pinned: str, instead: str) -> None:
    assert (only({name: "1"}, pinned).code, only({name: "1"}, pinned).help) == ("W205", (instead,))


def test_a_variable_of_a_later_release_says_which() -> None:
    assert only({"VLLM_SERVER_DEV_MODE": "1"}, "0.6.6") == warning(
        "W206",
        "VLLM_SERVER_DEV_MODE",
        "`VLLM_SERVER_DEV_MODE` does not exist yet in vLLM 0.6.6 and has no effect",
        "read from 0.7.0 on",
        "first release that reads it: 0.7.0",
        help_line="pin vLLM 0.7.0 or later, or delete the line",
    )


def test_a_release_that_is_told_to_fail_on_unknown_variables_does() -> None:
    problem = only({"VLLM_USE_V1": "1"}, vllm={"fail-on-environ-validation": True})
    assert problem == FlagProblem(
        code="E219",
        flag="",
        variable="VLLM_USE_V1",
        message="vLLM 0.32.0 does not start with `VLLM_USE_V1` and `fail-on-environ-validation`",
        label="vLLM 0.32.0 does not read it",
        notes=("last release that reads it: 0.11.0",),
        help=("delete the line; the V1 engine is the only one",),
    )


@pytest.mark.parametrize(
    ("name", "text", "label", "instead"),
    [
        ("VLLM_SERVER_DEV_MODE", "true", "`0` or `1` is needed", 'write `"1"`'),
        ("VLLM_SERVER_DEV_MODE", "off", "`0` or `1` is needed", 'write `"0"`'),
        (
            "VLLM_ENGINE_READY_TIMEOUT_S",
            "10m",
            "a whole number is needed",
            'write a number, such as `"600"`, or delete the line',
        ),
        (
            "VLLM_LOG_STATS_INTERVAL",
            "often",
            "a number is needed",
            'write a number, such as `"10."`, or delete the line',
        ),
        ("VLLM_WORKER_MULTIPROC_METHOD", "spwan", "one of `spawn` or `fork`", "did you mean `spawn`?"),
        ("VLLM_WORKER_MULTIPROC_METHOD", "", "one of `spawn` or `fork`", "write `spawn`"),
        ("VLLM_FLOAT32_MATMUL_PRECISION", "zzz", "one of `highest`, `high` or `medium`", "write `highest`"),
    ],
)
def test_a_text_on_which_the_release_fails_is_an_error(name: str, text: str, label: str, instead: str) -> None:
    assert only({name: text}) == FlagProblem(
        code="E218",
        flag="",
        variable=name,
        on_value=True,
        message=f"vLLM 0.32.0 fails on `{text}` in `{name}`",
        label=label,
        help=(instead,),
    )
    repaired = instead.split("`")[1].strip('"')
    assert found({name: repaired}) == []


def test_a_yes_that_is_read_as_a_no_is_told() -> None:
    assert only({"VLLM_NO_USAGE_STATS": "true"}) == FlagProblem(
        code="W207",
        flag="",
        variable="VLLM_NO_USAGE_STATS",
        severity=Severity.WARNING,
        on_value=True,
        message="vLLM 0.32.0 takes `true` in `VLLM_NO_USAGE_STATS` for a no",
        label="only `1` means yes",
        help=('write `"1"`',),
    )
    assert found({"VLLM_NO_USAGE_STATS": "0", "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "TRUE"}) == []


def test_variables_that_hide_gpus_are_told() -> None:
    assert only({"CUDA_VISIBLE_DEVICES": "2"}) == warning(
        "W208",
        "CUDA_VISIBLE_DEVICES",
        "`CUDA_VISIBLE_DEVICES` would hide GPUs from the container",
        "the container is given its GPUs by UUID, and counts them from 0",
        help_line="delete the line; write the service's `gpus:` instead",
    )


def test_sleep_mode_wants_dev_mode() -> None:
    sleepy: dict[str, FlagValue] = {"enable_sleep_mode": True}
    assert only({}, vllm=sleepy) == FlagProblem(
        code="W209",
        flag="enable_sleep_mode",
        severity=Severity.WARNING,
        message="nobody can put this service to sleep: `/sleep` and `/wake_up` answer in dev mode only",
        label="needs `VLLM_SERVER_DEV_MODE`",
        help=('write `VLLM_SERVER_DEV_MODE: "1"` under `environment:`, or delete the line',),
    )
    assert found({"VLLM_SERVER_DEV_MODE": "1"}, vllm=sleepy) == []
    assert found({}, vllm={"enable-sleep-mode": False}) == []


def test_a_length_that_is_let_through_is_a_warning() -> None:
    environment = {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}
    vllm: dict[str, FlagValue] = {"max-model-len": 131072}
    (problem,) = check_lengths(vllm=vllm, release=release("0.32.0"), config=QWEN3_8B, environment=environment)
    assert problem == FlagProblem(
        code="W211",
        flag="max-model-len",
        severity=Severity.WARNING,
        on_value=True,
        message="`max-model-len` 131072 is more than this model's 40960 tokens",
        label="starts only because `VLLM_ALLOW_LONG_MAX_MODEL_LEN` is set",
        notes=(
            "asked: 131072 tokens, available: 40960 tokens",
            "the variable stretches nothing: beyond the model's length the answers make no sense",
        ),
        help=(
            "add `rope-scaling: {rope_type: yarn, factor: 4.0, original_max_position_embeddings: 32768}`, if the model"
            " was made for it (model card)",
            "or set `max-model-len: 40960`",
        ),
    )


def test_between_two_recorded_releases_what_either_has_is_known() -> None:
    assert release("0.9.0.1") not in recorded_releases()
    assert variable("VLLM_USE_V1", release("0.8.4")) == variable_history("VLLM_USE_V1")[1].variable
    assert variable("VLLM_USE_V1", release("0.99.0")) is None
    assert variable("VLLM_LOGGING_LEVEL", release("0.99.0")) is not None
    assert variable("VLLM_LOGGING_LEVEL", release("0.1.0")) is not None
