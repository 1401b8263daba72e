"""Service files: to domain values, or to all their findings at their places in one run."""

# ruff: noqa: E501 (one case per line)

from __future__ import annotations

import pytest

from orchestrator.config.flags_section import FlagsSection
from orchestrator.config.load import Outline, kind_of, load_service, outline_of
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report, Span
from orchestrator.domain.profile import Requirements, ServiceProfile, Sharing
from orchestrator.domain.release import Release

OUTLINE = Outline(release=Release.of("0.32.0"))
SMALLEST = "service: mini\nmodel: Qwen/Qwen3-8B\n"
DEFAULTS = outline_of(
    parse(
        "project: p\nvllm-release: 0.32.0\ndefaults:\n  vllm:\n    gpu-memory-utilization: 0.9\n"
        "    max-model-len: 4096\n    enforce-eager: true\n",
        "deployment.yaml",
    )
)


def load(text: str, outline: Outline = OUTLINE) -> tuple[ServiceProfile | None, list[str]]:
    report = Report()
    profile = load_service(parse(text, "mini.yaml"), report, outline)
    return profile, [
        f"{finding.code} {finding.span.line}:{finding.span.column} {finding.message} | {'; '.join(finding.help)}"
        for finding in report
        if finding.span is not None
    ]


def test_a_whole_service_becomes_a_profile() -> None:
    text = """\
service: medium
model: ./models/qwen
revision: 1a2b3c
gpus: [0, GPU-12ab]
sharing: exclusive
priority: 100
port: 8005
require: {full-length-requests: 1.5}
environment: {NCCL_P2P_DISABLE: "1", TOKENIZERS_PARALLELISM: "false"}
vllm: {tensor-parallel-size: 2, max-model-len: 32k}
"""
    profile, findings = load(text)

    assert findings == []
    assert profile == ServiceProfile(
        name="medium",
        model="./models/qwen",
        revision="1a2b3c",
        gpus=(0, "GPU-12ab"),
        sharing=Sharing.EXCLUSIVE,
        priority=100,
        port=8005,
        requirements=Requirements(full_length_requests=1.5),
        vllm={"tensor-parallel-size": 2, "max-model-len": "32k"},
        environment={"NCCL_P2P_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )


def test_what_is_not_written_has_its_default() -> None:
    profile, findings = load(SMALLEST + "gpus: auto\n")

    assert findings == []
    assert profile == ServiceProfile(name="mini", model="Qwen/Qwen3-8B")


def test_the_service_wins_over_defaults_and_null_removes_one() -> None:
    profile, findings = load(
        SMALLEST + "vllm:\n  max_model_len: 8192\n  no-enforce-eager: true\n  gpu-memory-utilization: null\n", DEFAULTS
    )

    assert findings == []
    assert profile is not None
    assert profile.vllm == {"max_model_len": 8192, "no-enforce-eager": True}


def test_every_flag_remembers_the_file_it_was_written_in() -> None:
    profile, _ = load(SMALLEST + "vllm:\n  max-model-len: 8192\n", DEFAULTS)

    assert profile is not None
    assert profile.flag_value("gpu-memory-utilization") == Span(
        file="deployment.yaml", line=5, column=29, end_line=5, end_column=32
    )
    assert profile.places.key(("vllm", "max-model-len")) == Span(
        file="mini.yaml", line=4, column=3, end_line=4, end_column=16
    )
    assert profile.places.value(("model",)).column == 8
    assert profile.places.key(("vllm", "no", "such")) == profile.places.key(("vllm",))
    assert ("vllm",) in profile.places.keys
    assert sorted(profile.places.values) == [("model",), ("service",), ("vllm",), ("vllm", "max-model-len")]


def test_a_finding_about_a_default_points_into_the_deployment_file() -> None:
    outline = outline_of(parse("project: p\ndefaults: {vllm: {max-modle-len: 1}}\n", "deployment.yaml"))
    report = Report()

    profile = load_service(parse(SMALLEST, "mini.yaml"), report, outline)

    (finding,) = report
    assert profile is None
    assert finding.code == "E201"
    assert finding.span == Span(file="deployment.yaml", line=2, column=19, end_line=2, end_column=32)


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("prioritty: 1", "E102 3:1 unknown key `prioritty` | did you mean `priority`?"),
        ("max-model-len: 1", "E102 3:1 unknown key `max-model-len` | `max-model-len` is a flag of vLLM: it belongs under `vllm:`"),
        ("max_model_len: 1", "E102 3:1 unknown key `max_model_len` | `max_model_len` is a flag of vLLM: it belongs under `vllm:`"),
        ("rope-scaling: {}", "E102 3:1 unknown key `rope-scaling` | `rope-scaling` is a flag of vLLM: it belongs under `vllm:`"),
        ("caches: {}", "E102 3:1 unknown key `caches` | `caches` belongs in the deployment file"),
        ("require: {zzz: 1}", "E102 3:11 unknown key `zzz` | allowed here: `full-length-requests`"),
        ("sharing: exclusiv", "E106 3:10 `sharing` wants `exclusive` or `shared`, not the text `exclusiv` | did you mean `exclusive`?"),
        ("sharing: 1", "E106 3:10 `sharing` wants `exclusive` or `shared`, not the number `1` | write it like `sharing: exclusive`"),
        ('priority: "5"', "E105 3:11 `priority` wants a whole number, not the text `5` | remove the quotes: `5`"),
        ("priority: high", "E105 3:11 `priority` wants a whole number, not the text `high` | write it like `priority: 100`"),
        ("priority: 1.5", "E105 3:11 `priority` wants a whole number, not the number `1.5` | write it like `priority: 100`"),
        ("priority: true", "E105 3:11 `priority` wants a whole number, not `true` | write it like `priority: 100`"),
        ("priority: -1", "E106 3:11 `priority` wants 0 or more, not the number `-1` | write it like `priority: 100`"),
        ("priority:", "E105 3:1 `priority` wants a whole number, not nothing | write a whole number, or remove the key"),
        ("priority: null", "E105 3:11 `priority` wants a whole number, not `null` (no value) | write a whole number, or remove the key"),
        ("port: 0", "E106 3:7 `port` wants 1 or more, not the number `0` | write it like `port: 8001`"),
        ("port: 65536", "E106 3:7 `port` wants 65535 or less, not the number `65536` | write it like `port: 8001`"),
        ("port: 80", "W132 3:7 port 80 is privileged | choose a port from 1024 on, unless the Docker Engine runs as root and this is meant"),
        ("revision: 1234567", 'E105 3:11 `revision` wants text, not the number `1234567` | put it in quotes: `"1234567"`'),
        ("revision: -x", "E106 3:11 `revision` wants a commit, branch or tag, not the text `-x` | write it like `revision: main`"),
        ("require: 1", "E105 3:10 `require` wants a mapping, not the number `1` | write a mapping"),
        ("require: {full-length-requests: 0}", "E106 3:33 `require.full-length-requests` wants more than 0, not the number `0` | write it like `full-length-requests: 1`"),
        ("require: {full-length-requests: 9e9}", "E106 3:33 `require.full-length-requests` wants 1,000,000 or less, not the number `9e9` | write it like `full-length-requests: 1`"),
        ("gpus: 0", "E106 3:7 `gpus` wants `auto` or a list of GPUs, not the number `0` | write `gpus: [0]`"),
        ("gpus: 0, 3", "E106 3:7 `gpus` wants `auto` or a list of GPUs, not the text `0, 3` | write `gpus: [0, 3]`"),
        ("gpus: all", "E106 3:7 `gpus` wants `auto` or a list of GPUs, not the text `all` | write `gpus: [0, 1]`, or `gpus: auto`"),
        ("gpus: []", "E106 3:7 `gpus` wants at least one entry, not an empty list | write it like `gpus: [0, 1]`"),
        ("gpus: [-1]", "E106 3:8 `gpus` wants the index of a GPU (0, 1, …) or its UUID (`GPU-…`), not the number `-1` | `orchestrate gpus` lists indices and UUIDs"),
        ("gpus: [[0]]", "E106 3:8 `gpus` wants the index of a GPU (0, 1, …) or its UUID (`GPU-…`), not a list | `orchestrate gpus` lists indices and UUIDs"),
        ("gpus: [0, 0]", "E132 3:11 GPU `0` is listed twice | list each GPU once"),
        ("gpus: [0, 1]", "E133 3:7 2 GPUs are listed, but the flags use 1 | list 1 GPU, or write `tensor-parallel-size: 2` under `vllm:`"),
        ("environment: {A: 1}", 'E105 3:18 `environment.A` wants text, not the number `1` | put it in quotes: `"1"`'),
        ("environment: {1a: x}", "E106 3:15 `1a` is no name for a key of `environment` | rename it"),
        ("environment: {HF_TOKEN: x}", "E137 3:15 `HF_TOKEN` looks like a secret, and a profile is no place for one | remove it here, set the variable where you run `orchestrate`, and name it: `secrets: {hf-token: HF_TOKEN}` in the deployment file"),
        ("environment: {A: sk-0123456789abc}", "E137 3:15 `A` looks like a secret, and a profile is no place for one | remove it here; what must stay secret can come from a file of your own: `docker compose -f compose.yaml -f own.yaml up`"),
        ("vllm: {max-model-len: null}", "E105 3:8 `max-model-len` has no value | write a value, or remove the key"),
        ("vllm: [1]", "E105 3:7 `vllm` wants a mapping, not a list | write it like `vllm: {max-model-len: 32768}`"),
        ("vllm: {gpu-memory-utilization: 010}", 'E107 3:32 `010` is ambiguous | write `8` or `10` for the number, or `"010"` for the text'),
        ("priority: 010", 'E107 3:11 `010` is ambiguous | write `8` or `10` for the number, or `"010"` for the text'),
        ("model: x", "E103 3:1 `model` is written twice | keep one of the two"),
    ],
)  # fmt: skip
def test_each_mistake_has_one_finding_at_its_place(line: str, finding: str) -> None:
    profile, findings = load(SMALLEST + line + "\n")

    assert findings == [finding]
    assert (profile is None) == finding.startswith("E")


def test_missing_keys_are_said_with_an_example() -> None:
    assert load("priority: 1\n") == (
        None,
        [
            "E104 1:1 the key `model` is missing | write `model: Qwen/Qwen3-32B-AWQ`",
            "E104 1:1 the key `service` is missing | write `service: medium`",
        ],
    )
    assert load("{}\n")[1] == [
        "E104 1:1 the key `model` is missing | write `model: Qwen/Qwen3-32B-AWQ`",
        "E104 1:1 the key `service` is missing | write `service: medium`",
    ]


@pytest.mark.parametrize("name", ["Mini", "-mini", "mini-", "mi ni", "m" * 64, "mini\n", "''"])
def test_a_service_name_must_fit_docker_and_dns(name: str) -> None:
    profile, findings = load(f"service: {name!r}\nmodel: m\n" if name != "''" else "service: ''\nmodel: m\n")

    assert profile is None
    assert [finding[:4] for finding in findings] == ["E106"]


def test_pinned_gpus_count_against_the_product_of_the_parallel_sizes() -> None:
    text = SMALLEST + "gpus: [0, 1, 2]\nvllm: {tensor-parallel-size: 2, pipeline-parallel-size: 2}\n"
    report = Report()

    assert load_service(parse(text, "f"), report, OUTLINE) is None

    (finding,) = report
    assert finding.message == "3 GPUs are listed, but the flags use 4"
    assert finding.notes == ("`tensor-parallel-size` 2 x `pipeline-parallel-size` 2 is 4",)
    assert finding.help == ("list 4 GPUs",)


def test_gpus_are_not_counted_while_a_parallel_size_is_unreadable() -> None:
    _, broken = load(SMALLEST + "gpus: [0, 1]\nvllm: {tensor-parallel-size: 010}\n")
    _, wrong = load(SMALLEST + "gpus: [0, 1]\nvllm: {tensor-parallel-size: two}\n")

    assert [finding[:4] for finding in broken] == ["E107"]
    assert [finding[:4] for finding in wrong] == ["E204"]


def test_a_broken_value_hides_the_default_and_broken_parts_break_the_whole() -> None:
    _, findings = load(SMALLEST + "vllm: {max-model-len: ~, hf-overrides: {a: [1, yes]}}\n", DEFAULTS)

    assert [finding[:4] for finding in findings] == ["E107", "E107"]


def test_a_secret_under_vllm_is_hidden() -> None:
    report = Report()
    load_service(parse(SMALLEST + "vllm:\n  api-key: swordfish\n", "f"), report, OUTLINE)

    (finding,) = report
    assert finding.hidden == (Span(file="f", line=4, column=12, end_line=4, end_column=21),)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("project: p\nservice: s\n", "deployment"),
        ("model: x\n", "service"),
        ("hosts: []\n", "other"),
        ("- 1\n", "unreadable"),
        ("a: '", "unreadable"),
    ],
)
def test_the_kind_of_a_file_is_known_by_its_keys(text: str, kind: str) -> None:
    assert kind_of(parse(text, "f")) == kind


def test_an_empty_section_has_no_flags() -> None:
    assert outline_of(parse("- 1\n", "f")) == Outline(file="f")
    assert FlagsSection().values == {}


def test_thousands_of_flags_are_one_finding() -> None:
    _, findings = load(SMALLEST + "vllm:\n" + "".join(f"  flag-{number}: 1\n" for number in range(1001)))

    assert findings == ["E112 3:1 too many flags under `vllm:` | keep the flags that are meant"]


def test_text_that_cannot_be_shown_whole_is_clipped() -> None:
    _, (finding,) = load(SMALLEST + f"priority: {'x' * 500}\n")

    assert f"not the text `{'x' * 60}…`" in finding


def test_a_list_in_a_flag_is_read_and_its_parts_have_places() -> None:
    profile, findings = load(SMALLEST + "vllm: {cudagraph-capture-sizes: [1, 2, 4]}\n")

    assert findings == []
    assert profile is not None
    assert profile.vllm == {"cudagraph-capture-sizes": [1, 2, 4]}
    assert profile.places.value(("vllm", "cudagraph-capture-sizes", 1)).column == 37
    assert ("vllm", "cudagraph-capture-sizes", 1) not in profile.places.keys
    assert len(profile.places.keys) == 4
    assert len(profile.places.values) == 7
