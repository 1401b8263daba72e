"""Flags that are right alone and wrong together, files that are not there, words that read as flags."""

from __future__ import annotations

import pytest

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.checks import check_flags
from orchestrator.engine.problems import FlagProblem
from tests.unit.engine.engine_samples import release


def codes(vllm: dict[str, FlagValue], pinned: str = "0.32.0") -> list[str]:
    return [problem.code for problem in check_flags(vllm, release(pinned))]


@pytest.mark.parametrize(
    ("vllm", "expected"),
    [
        ({"enable-auto-tool-choice": True}, ["E214"]),
        ({"enable-auto-tool-choice": True, "tool-call-parser": "hermes"}, []),
        ({"enable-auto-tool-choice": False}, []),
        ({"tool-call-parser": "hermes"}, []),
        ({"enable-log-outputs": True}, ["E214"]),
        ({"enable-log-outputs": True, "enable-log-requests": True}, []),
        ({"enable-log-outputs": True, "enable-log-requests": False}, ["E214"]),
        ({"enable-eplb": True}, ["E214"]),
        ({"enable-eplb": True, "enable-expert-parallel": True}, []),
        ({"enable-elastic-ep": True}, ["E214"]),
        ({"numa-bind-nodes": [0]}, ["E214"]),
        ({"numa-bind-cpus": ["0-3"], "numa-bind": True}, []),
        ({"per-request-spec-decode-metrics": "summary"}, ["E214"]),
        ({"per-request-spec-decode-metrics": "none"}, []),
        ({"quantization": "fbgemm_fp8"}, ["E214"]),
        ({"quantization": "fbgemm_fp8", "allow-deprecated-quantization": True}, []),
        ({"enable-per-request-metrics": True, "disable-log-stats": True}, ["E215"]),
        ({"enable-per-request-metrics": False, "disable-log-stats": True}, []),
        ({"attention-backend": "FLASHINFER", "attention-config": {"backend": "FLASHINFER"}}, ["E215"]),
        ({"attention-backend": "FLASHINFER", "attention-config.backend": "FLASHINFER"}, ["E215"]),
        ({"attention-backend": "FLASHINFER", "attention-config": {"flash_attn_version": 2}}, []),
        ({"cudagraph-capture-sizes": [1], "compilation-config": {"cudagraph_capture_sizes": [1]}}, ["E215"]),
        ({"max-num-batched-tokens": 16, "max-num-seqs": 32}, ["E216"]),
        ({"max-num-batched-tokens": 32, "max-num-seqs": 32}, []),
        ({"max-num-batched-tokens": "1k", "max-model-len": "4k", "enable-chunked-prefill": False}, ["E216"]),
        ({"max-num-batched-tokens": "1k", "max-model-len": "4k", "no-enable-chunked-prefill": True}, ["E216"]),
        ({"max-num-batched-tokens": "1k", "max-model-len": "4k"}, []),
        ({"max-num-seqs": 4, "max-num-active-seqs": 8}, ["E216"]),
        ({"max-loras": 4, "max-cpu-loras": 2}, ["E216"]),
        ({"max-model-len": -1, "max-num-batched-tokens": 16, "enable-chunked-prefill": False}, []),
        ({"served-model-name": ["a", "-b"]}, ["E217"]),
        ({"served-model-name": ["-b"]}, []),
        ({"served-model-name": ["a", "b-c", "-1"]}, []),
    ],
)
def test_each_pair_has_vllms_verdict(vllm: dict[str, FlagValue], expected: list[str]) -> None:
    assert codes(vllm) == expected


def test_a_rule_holds_only_where_the_release_has_both_flags() -> None:
    assert codes({"quantization": "fbgemm_fp8"}, "0.13.0") == []
    assert (
        codes({"max-num-batched-tokens": 1024, "max-model-len": 4096, "enable-chunked-prefill": False}, "0.9.0") == []
    )
    assert codes({"enable-auto-tool-choice": True}, "0.6.0") == ["E214"]


def test_what_is_missing_is_named_with_the_line_to_add() -> None:
    assert check_flags({"enable_auto_tool_choice": True}, release("0.32.0")) == (
        FlagProblem(
            code="E214",
            flag="enable_auto_tool_choice",
            message="`enable_auto_tool_choice` does not start without `tool-call-parser`",
            label="needs `tool-call-parser`",
            help=("add `tool-call-parser:` with the parser of this model (model card), such as `hermes`",),
        ),
    )
    (problem,) = check_flags({"quantization": "fp_quant"}, release("0.32.0"))
    assert problem.message == "`quantization` `fp_quant` does not start without `allow-deprecated-quantization`"


def test_numbers_the_wrong_way_round_are_both_given() -> None:
    (problem,) = check_flags({"max-num-batched-tokens": 16, "max-num-seqs": 32}, release("0.32.0"))
    assert problem.message == "`max-num-batched-tokens` 16 is less than `max-num-seqs` 32"
    assert problem.help == ("write `max-num-batched-tokens: 32` or more, or lower `max-num-seqs`",)
    (problem,) = check_flags(
        {"max-num-batched-tokens": 16, "max-model-len": 32, "enable-chunked-prefill": False}, release("0.32.0")
    )
    assert problem.message == (
        "`max-num-batched-tokens` 16 is less than `max-model-len` 32 with `enable-chunked-prefill: false`"
    )


def test_a_word_that_reads_as_a_flag_is_pointed_at() -> None:
    (problem,) = check_flags({"served-model-name": ["a", "-b"]}, release("0.32.0"))
    assert (problem.path, problem.message) == ((1,), "`-b` in `served-model-name` would be read as a flag")


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("chat-template", "./x.jinja", ["W203"]),
        ("chat-template", "x.jinja", ["W203"]),
        ("chat-template", "~/x.jinja", ["W203"]),
        ("chat-template", "/templates/x.jinja", []),
        ("chat-template", "examples/tool_chat_template_hermes.jinja", []),
        ("chat-template", "{% for message in messages %}", []),
        ("tool-parser-plugin", "./parser.py", ["W203"]),
        ("ssl-certfile", "/run/secrets/cert.pem", []),
    ],
)
def test_files_of_the_host_are_warned_about(flag: str, value: str, expected: list[str]) -> None:
    assert codes({flag: value}) == expected


def test_the_warning_about_a_template_says_how_to_give_one() -> None:
    assert check_flags({"chat-template": "./x.jinja"}, release("0.32.0")) == (
        FlagProblem(
            code="W203",
            flag="chat-template",
            on_value=True,
            severity=Severity.WARNING,
            message="`chat-template` `./x.jinja` names a file that is not in the container",
            label="files of the host are not mounted",
            help=(
                "write the template itself (`|` and the text below it), or give the absolute path of a file that the"
                " image holds",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("size", "pinned", "expected"),
    [(7, "0.32.0", ["E206"]), (40, "0.18.0", ["E206"]), (48, "0.32.0", []), (8, "0.17.1", []), (7, "0.17.1", ["E205"])],
)
def test_blocks_are_multiples_of_what_kernels_take(size: int, pinned: str, expected: list[str]) -> None:
    assert codes({"block-size": size}, pinned) == expected


def test_what_a_size_of_blocks_must_be_is_said() -> None:
    (problem,) = check_flags({"block-size": 7}, release("0.32.0"))
    assert problem.label == "must be a multiple of 16, at least 16 and at most 65,536"
