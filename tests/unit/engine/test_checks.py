"""Findings about what stands under `vllm:`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.checks import FlagProblem, check_flags
from orchestrator.engine.rewrites import Replacement
from orchestrator.engine.rope import rope_arguments
from tests.unit.engine.engine_samples import QWEN3_8B, YARN, release

OUTCOMES = json.loads((Path(__file__).parents[2] / "data" / "parse_outcomes.json").read_text(encoding="utf-8"))
DTYPES = "one of `auto`, `bfloat16`, `float`, `float16`, `float32`, `half`"
AS_MAPPING = "write it as a YAML mapping instead of a string"
AS_LIST = "write it as a YAML list instead of a string"
PARSE_LEVEL = {"E201", "E202", "E203", "E204", "E205", "E208", "E211"}


@pytest.mark.parametrize("index", range(len(OUTCOMES["releases"])), ids=OUTCOMES["releases"])
def test_single_flags_get_the_verdict_of_the_real_parser(index: int) -> None:
    pinned = release(OUTCOMES["releases"][index])
    recorded, ours = {}, {}
    for name, value, outcomes in OUTCOMES["fragments"]:
        if outcomes[index] != "x":
            recorded[name, str(value)] = outcomes[index] == "+"
            codes = {problem.code for problem in check_flags({name: value}, pinned)}
            ours[name, str(value)] = not codes & PARSE_LEVEL
    assert ours == recorded
    assert len(ours) > 110


@pytest.mark.parametrize("index", range(len(OUTCOMES["releases"])), ids=OUTCOMES["releases"])
def test_what_the_real_parser_only_completes_is_refused(index: int) -> None:
    pinned = release(OUTCOMES["releases"][index])
    completed = [(name, value) for name, value, outcomes in OUTCOMES["fragments"] if outcomes[index] == "x"]
    assert [name for name, value in completed if not {each.code for each in check_flags({name: value}, pinned)}] == []


@pytest.mark.parametrize("fragment", OUTCOMES["aside"], ids=lambda fragment: str(fragment[0])[:40])
def test_fragments_that_a_profile_says_otherwise(fragment: list[FlagValue]) -> None:
    _, _, key, value, code, _ = fragment
    for text in OUTCOMES["releases"]:
        found = {problem.code for problem in check_flags({str(key): value}, release(text))} & {*PARSE_LEVEL, "E207"}
        assert found == ({code} if code else set()), text


def test_no_recorded_fragment_is_left_out() -> None:
    assert len(OUTCOMES["fragments"]) + len(OUTCOMES["aside"]) == 142
    assert {len(outcomes) for _, outcomes, *_ in OUTCOMES["aside"]} == {len(OUTCOMES["releases"])} == {22}


def test_words_of_our_own_are_rendered_where_the_real_parser_takes_them() -> None:
    outcomes = {fragment[0].partition(" ")[0].lstrip("-"): fragment[1] for fragment in OUTCOMES["aside"][:2]}
    for text, *verdicts in zip(OUTCOMES["releases"], *outcomes.values(), strict=True):
        vllm: dict[str, FlagValue] = {"rope-scaling": dict(YARN), "rope-theta": 1000000}
        said = rope_arguments(vllm=vllm, release=release(text), config=QWEN3_8B)
        assert ["+" if name in said else "-" for name in outcomes] == verdicts, text


def only(vllm: dict[str, FlagValue], pinned: str) -> FlagProblem:
    (problem,) = check_flags(vllm, release(pinned))
    return problem


def test_an_unknown_flag_names_the_nearest_one() -> None:
    assert only({"gpu-memory-utilisation": 0.2}, "0.32.0") == FlagProblem(
        code="E201",
        flag="gpu-memory-utilisation",
        message="unknown vLLM flag `gpu-memory-utilisation`",
        label="no such flag in vLLM 0.32.0",
        help=("did you mean `gpu-memory-utilization`?",),
        repair=Replacement(key="gpu-memory-utilisation", parts=((("gpu-memory-utilization",), 0.2),)),
    )
    assert only({"tp": 2}, "0.32.0").help == ("did you mean `tensor-parallel-size`?",)
    assert only({"zzzzqqqq": 2}, "0.32.0").help == ("see `vllm serve --help` of 0.32.0 for its flags",)


def test_a_removed_flag_says_since_when_and_what_to_write() -> None:
    assert only({"swap-space": 4}, "0.32.0") == FlagProblem(
        code="E202",
        flag="swap-space",
        message="`swap-space` was removed from vLLM in 0.18.0",
        label="no longer in vLLM 0.32.0",
        notes=("last release that knows it: 0.17.1",),
        help=("delete the line; the engine no longer swaps",),
        repair=Replacement(key="swap-space", parts=()),
    )
    assert only({"preemption-mode": "swap"}, "0.32.0").help[0].startswith("delete the line")


def test_a_beginning_of_a_flag_says_what_the_parser_of_the_release_makes_of_it() -> None:
    assert only({"kv-cache-memory": 4}, "0.32.0") == FlagProblem(
        code="E201",
        flag="kv-cache-memory",
        message="unknown vLLM flag `kv-cache-memory`",
        label="no such flag in vLLM 0.32.0",
        notes=("vLLM 0.32.0 itself takes `--kv-cache-memory` for `--kv-cache-memory-bytes`, without a word",),
        help=("did you mean `kv-cache-memory-bytes`?",),
        repair=Replacement(key="kv-cache-memory", parts=((("kv-cache-memory-bytes",), 4),)),
    )
    assert only({"device": "cuda"}, "0.30.0").notes == (
        "last release that knows it: 0.9.2",
        "vLLM 0.30.0 itself takes `--device` for `--device-ids`, without a word",
    )


def test_what_no_flag_begins_with_or_several_do_has_no_such_note() -> None:
    assert only({"device": "cuda"}, "0.32.0").notes == ("last release that knows it: 0.9.2",)
    assert only({"enable": True}, "0.20.0").notes == ()
    assert only({"runner": "pooling"}, "0.9.2").notes == ("first release that knows it: 0.10.1",)
    assert only({"max-num-seqss": 1}, "0.9.2").notes == ()


def test_what_argparse_was_recorded_to_complete_is_what_we_say_it_completes() -> None:
    completed = [
        only({name: value}, pinned).notes[-1]
        for name, value, outcomes in OUTCOMES["fragments"]
        for pinned, outcome in zip(OUTCOMES["releases"], outcomes, strict=True)
        if outcome == "x"
    ]
    said = {note.partition("itself takes ")[2] for note in completed}
    assert said == {
        "`--device` for `--device-ids`, without a word",
        "`--kv-cache-memory` for `--kv-cache-memory-bytes`, without a word",
    }
    assert len(completed) == 23


def test_a_flag_that_came_back_says_so() -> None:
    problem = only({"disable-log-requests": True}, "0.20.0")
    assert problem.notes == ("last release that knows it: 0.16.0",)
    assert only({"structured-outputs-config.backend": "xgrammar"}, "0.10.2").help == (
        "write `guided-decoding-backend`",
    )


def test_a_flag_that_is_not_there_yet_says_since_when() -> None:
    assert only({"kv-cache-memory-bytes": 4}, "0.9.2") == FlagProblem(
        code="E203",
        flag="kv-cache-memory-bytes",
        message="`kv-cache-memory-bytes` does not exist yet in vLLM 0.9.2",
        label="known from 0.10.2 on",
        notes=("first release that knows it: 0.10.2",),
        help=("pin vLLM 0.10.2 or later, or delete the line",),
    )
    assert only({"compilation-config.level": 3}, "0.8.5").message == "keys with dots do not exist yet in vLLM 0.8.5"


def test_a_key_with_dots_needs_a_flag_that_takes_a_mapping() -> None:
    problem = only({"max-model-len.x": 3}, "0.32.0")
    assert problem.label == "`max-model-len` takes human integer or auto, it has no parts"
    assert only({"compilation-config.": 3}, "0.32.0").code == "E201"


@pytest.mark.parametrize(
    ("name", "value", "code", "label", "help_lines"),
    [
        ("tensor-parallel-size", True, "E204", "an integer is needed, this is a boolean", ()),
        (
            "tensor-parallel-size",
            "2",
            "E204",
            "an integer is needed, this is a string",
            ("write the number without quotes",),
        ),
        ("tensor-parallel-size", 2.0, "E204", "an integer is needed, this is a number", ("write `2`",)),
        ("max-num-seqs", "1k", "E204", "an integer is needed, this is a string", ("write `1000`",)),
        ("max-model-len", "1.5K", "E204", "an integer such as `32768`, `32K` or `32k` is needed, this is a string", ()),
        ("gpu-memory-utilization", "9e-1", "E204", "a number is needed, this is a string", ("write `0.9`",)),
        ("gpu-memory-utilization", "much", "E204", "a number is needed, this is a string", ()),
        ("gpu-memory-utilization", float("nan"), "E204", "not a finite number", ()),
        (
            "enforce-eager",
            "True",
            "E204",
            "`true` or `false` is needed, this is a string",
            ("write `true` without quotes",),
        ),
        ("enforce-eager", 1, "E204", "`true` or `false` is needed, this is an integer", ()),
        ("tokenizer", 7, "E204", "a string is needed, this is an integer", ('put it in quotes: `"7"`',)),
        ("tokenizer", ["a"], "E204", "a string is needed, this is a list", ()),
        ("tokenizer", None, "E204", "no value here", ("give a value, or delete the line",)),
        ("served-model-name", [], "E204", "needs at least one value", ("give a value, or delete the line",)),
        ("allowed-origins", 3, "E204", "a list is needed, this is an integer", ()),
        ("additional-config", 3, "E204", "a mapping or a string is needed, this is an integer", ()),
        ("speculative-config", [1], "E204", "a mapping is needed, this is a list", ()),
        ("dtype", "hlaf", "E205", DTYPES, ("did you mean `half`?",)),
        ("dtype", "qqqq", "E205", DTYPES, (f"choose {DTYPES}",)),
        (
            "hf-overrides",
            "{x",
            "E208",
            "not JSON: Expecting property name enclosed in double quotes at character 2",
            (AS_MAPPING,),
        ),
        ("hf-overrides", '{"a": NaN}', "E208", "not JSON", (AS_MAPPING,)),
        ("allowed-origins", "[", "E208", "not JSON: Expecting value at character 2", (AS_LIST,)),
    ],
)
def test_a_wrong_value_is_pointed_at(
    name: str, value: FlagValue, code: str, label: str, help_lines: tuple[str, ...]
) -> None:
    problem = only({name: value}, "0.32.0")
    assert (problem.code, problem.on_value, problem.label, problem.help) == (code, True, label, help_lines)


def test_a_wrong_part_of_a_value_has_a_path() -> None:
    assert only({"cudagraph-capture-sizes": [1, "x"]}, "0.32.0").path == (1,)
    assert only({"cudagraph-capture-sizes": [1, 0]}, "0.32.0").path == (1,)
    assert only({"cudagraph-capture-sizes": "x"}, "0.32.0").path == ()
    deep = only({"hf-overrides": {"a": [1.0, float("inf")]}}, "0.32.0")
    assert (deep.path, deep.label) == (("a", 1), "a mapping of JSON values is needed: not a finite number")
    nested: FlagValue = 1
    for _ in range(80):
        nested = [nested]
    assert only({"hf-overrides": {"a": nested}}, "0.32.0").path == ("a",)
    pairs = only({"limit-mm-per-prompt": {"image": "x"}}, "0.7.3")
    assert (pairs.path, pairs.label) == (("image",), "an integer is needed, this is a string")
    assert only({"limit-mm-per-prompt": 3}, "0.7.3").code == "E204"


@pytest.mark.parametrize(
    ("name", "value", "pinned", "label"),
    [
        ("gpu-memory-utilization", 0, "0.32.0", "must be above 0 and at most 1"),
        ("gpu-memory-utilization", 1.01, "0.32.0", "must be above 0 and at most 1"),
        ("tensor-parallel-size", 0, "0.32.0", "must be at least 1 and at most 1,024"),
        ("pipeline-parallel-size", 10**40, "0.32.0", "must be at least 1 and at most 1,024"),
        ("max-cudagraph-capture-size", 10**18, "0.32.0", "must be at least 0 and at most 1,000,000"),
        ("max-model-len", 0, "0.32.0", "must be at least 1 and at most 1,000,000,000"),
        ("max-model-len", -1, "0.13.0", "must be at least 1 and at most 1,000,000,000"),
        ("video-pruning-rate", 1, "0.32.0", "must be at least 0 and below 1"),
        ("rope-theta", 0, "0.32.0", "must be above 0"),
    ],
)
def test_a_number_out_of_range_says_the_range(name: str, value: FlagValue, pinned: str, label: str) -> None:
    problem = only({name: value}, pinned)
    assert (problem.code, problem.message, problem.label) == ("E206", f"`{name}` `{value}` is out of range", label)


@pytest.mark.parametrize(
    ("vllm", "pinned"),
    [
        ({"max-model-len": -1}, "0.14.0"),
        ({"max-model-len": "auto"}, "0.14.0"),
        ({"max_model_len": "32K", "gpu_memory_utilization": 1}, "0.32.0"),
        ({"max-logprobs": -1}, "0.32.0"),
        ({"hf-overrides": '{"a": 1}'}, "0.32.0"),
        ({"compilation-config": 3}, "0.8.5"),
        ({"compilation-config.cudagraph_mode": "NONE", "compilation-config": {"level": 1}}, "0.11.0"),
        ({"lora-modules": ["a=b", {"name": "a", "path": "b"}]}, "0.32.0"),
        ({"moe-backend": "Triton"}, "0.32.0"),
        ({"rope-scaling": dict(YARN)}, "0.33.0"),
        ({"rope-scaling": dict(YARN), "rope-theta": 5e6}, "0.9.2"),
        ({"hf-overrides": {"rope_parameters": {}}}, "0.32.0"),
    ],
)
def test_what_the_release_takes_has_no_findings(vllm: dict[str, FlagValue], pinned: str) -> None:
    assert check_flags(vllm, release(pinned)) == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("api-key", "a secret does not belong in a profile"),
        ("hf-token", "a secret does not belong in a profile"),
        ("host", "orchestrate sets this itself"),
        ("model", "orchestrate sets this itself"),
        ("data_parallel_size", "a service is one container on one host"),
        ("headless", "a service is one container on one host"),
        ("config", "a second file would hide flags from the checks"),
    ],
)
def test_what_orchestrate_decides_cannot_be_set(name: str, why: str) -> None:
    problem = only({name: "x"}, "0.32.0")
    assert (problem.code, problem.message, problem.label) == ("E207", f"`{name}` cannot be set here", why)
    assert problem.help


def test_the_same_flag_cannot_be_said_twice() -> None:
    problem = only({"max-model-len": 1, "max_model_len": 2}, "0.32.0")
    assert (problem.code, problem.flag) == ("E210", "max_model_len")
    assert problem.message == "`max_model_len` and `max-model-len` set the same flag `max-model-len`"
    clash: dict[str, FlagValue] = {"compilation-config": {"mode": 1}, "compilation-config.mode": 2}
    assert only(clash, "0.32.0").code == "E210"
    turned: dict[str, FlagValue] = {"compilation-config.mode": 2, "compilation-config": '{"backend": "x"}'}
    assert only(turned, "0.32.0").code == "E210"


def test_a_switch_that_cannot_be_turned_off_is_an_error() -> None:
    turned_off, old = check_flags({"use-v2-block-manager": False}, release("0.7.3"))
    assert (turned_off.code, turned_off.help) == ("E211", ("delete the line",))
    assert (old.code, old.severity, old.help) == ("W201", Severity.WARNING, ("delete the line",))
    assert check_flags({"enforce-eager": False}, release("0.7.3")) == ()


def test_a_deprecated_flag_is_a_warning() -> None:
    problem = only({"disable-cascade-attn": True}, "0.33.0")
    assert (problem.code, problem.severity, problem.is_error) == ("W201", Severity.WARNING, False)
    assert problem.message == "vLLM 0.33.0 calls `disable-cascade-attn` deprecated"


@pytest.mark.parametrize(
    ("scaling", "path", "message"),
    [
        ({}, (), "`rope-scaling` has no `rope_type`"),
        ({"rope_type": "yran"}, ("rope_type",), "unknown `rope_type` `yran` in `rope-scaling`"),
        ({"rope_type": ["yarn"]}, ("rope_type",), "unknown `rope_type` `a list` in `rope-scaling`"),
        ({"rope_type": {}}, ("rope_type",), "unknown `rope_type` `a mapping` in `rope-scaling`"),
        ({"rope_type": None}, ("rope_type",), "unknown `rope_type` `null` in `rope-scaling`"),
        ({"rope_type": True}, ("rope_type",), "unknown `rope_type` `true` in `rope-scaling`"),
        ({"type": 3}, ("type",), "unknown `type` `3` in `rope-scaling`"),
        ({"rope_type": "yarn", "original_max_position_embeddings": 1}, (), "`rope-scaling` has no `factor`"),
        ({**YARN, "factor": 1}, ("factor",), "`factor` of `rope-scaling` must be a number above 1, not `1`"),
        ({**YARN, "factor": "4"}, ("factor",), "`factor` of `rope-scaling` must be a number above 1, not `4`"),
        ({"type": "yarn", "factor": 4}, (), "`rope-scaling` has no `original_max_position_embeddings`"),
        (
            {**YARN, "original_max_position_embeddings": 0},
            ("original_max_position_embeddings",),
            "`original_max_position_embeddings` must be a length in tokens, not `0`",
        ),
    ],
)
@pytest.mark.parametrize("pinned", ["0.6.6", "0.11.0", "0.11.2", "0.12.0", "0.33.0"])
def test_rope_scaling_is_checked_in_every_release(
    scaling: dict[str, FlagValue], path: tuple[str, ...], message: str, pinned: str
) -> None:
    problem = only({"rope-scaling": scaling}, pinned)
    assert (problem.code, problem.path, problem.message) == ("E209", path, message)


def test_rope_scaling_and_overrides_of_rope_are_a_conflict() -> None:
    problem = only({"rope-scaling": dict(YARN), "hf-overrides": {"max_position_embeddings": 1}}, "0.33.0")
    assert (problem.code, problem.flag, problem.path) == ("E210", "hf-overrides", ("max_position_embeddings",))


def test_an_override_that_the_release_ignores_is_an_error() -> None:
    problem = only({"hf_overrides": {"rope_scaling": dict(YARN)}}, "0.19.1")
    assert (problem.code, problem.flag) == ("E213", "hf_overrides")
    assert check_flags({"hf-overrides": {"rope_scaling": dict(YARN)}}, release("0.20.0")) == ()
    assert only({"hf-overrides": {"rope_parameters": dict(YARN)}}, "0.11.2").code == "E213"


def test_all_findings_come_in_one_run_in_the_order_written() -> None:
    vllm: dict[str, FlagValue] = {
        "gpu-memory-utilisation": 0.2,
        "port": 1,
        "max-num-seqs": "auto",
        "rope-scaling": {},
        "swap-space": 4,
    }
    codes = [problem.code for problem in check_flags(vllm, release("0.32.0"))]
    assert codes == ["E201", "E207", "E204", "E202", "E209"]
