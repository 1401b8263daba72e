"""What holds for the loader whatever the text: None if and only if an error, places inside the text, no exceptions."""

# ruff: noqa: E501 (lists of pieces)

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config.load import Outline, load_deployment, load_service, outline_of
from orchestrator.config.scalars import Ambiguity, resolve
from orchestrator.config.tree_values import as_value
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report, Span
from orchestrator.domain.release import Release

RELEASE = Release.of("0.32.0")

SCALARS = st.sampled_from(
    ["1", "0", "-1", "0.9", "true", "yes", "010", "1:30", "null", "~", "''", "x", '"8"', "[0, 1]", "[0]", "{}", "[]", "auto",
     "shared", "*a", "&a 1", "!t 1", "fp8", "32k", "{a: 1}", "mini", "GPU-1", "", "0.32.0", "[a.yaml]", "hf_abcdefghij"]
)  # fmt: skip
SERVICE_KEYS = st.sampled_from(
    ["service", "model", "revision", "gpus", "sharing", "priority", "port", "require", "environment", "vllm", "modle", "<<",
     "project"]
)  # fmt: skip
DEPLOYMENT_KEYS = st.sampled_from(
    ["project", "vllm-release", "image", "services", "defaults", "ports", "caches", "secrets", "model", "max-model-len"]
)
FLAGS = st.sampled_from(
    [
        "max-model-len",
        "tensor-parallel-size",
        "kv-cache-dtype",
        "max_model_len",
        "enforce-eager",
        "rope-scaling",
        "nope",
    ]
)


def mapping(keys: st.SearchStrategy[str], indent: str = "") -> st.SearchStrategy[str]:
    lines = st.lists(st.tuples(keys, SCALARS), max_size=8)
    return lines.map(lambda pairs: "".join(f"{indent}{key}: {value}\n" for key, value in pairs))


SERVICES = st.tuples(
    st.sampled_from(["service: mini\nmodel: m\n", ""]), mapping(SERVICE_KEYS), st.just("vllm:\n"), mapping(FLAGS, "  ")
).map("".join)
DEPLOYMENTS = st.tuples(
    st.sampled_from(["project: p\nvllm-release: 0.32.0\nservices: [a.yaml]\n", ""]), mapping(DEPLOYMENT_KEYS)
).map("".join)
TEXTS = st.one_of(st.text(max_size=60), st.text(alphabet="ab:-?[]{}&*!|>'\"#%@,\n\r\t 01~\\\ufeff", max_size=60))


def is_inside(span: Span, text: str) -> bool:
    lines = text.split("\n")
    if not 1 <= span.line <= span.end_line <= len(lines):
        return False
    starts_inside = 1 <= span.column <= len(lines[span.line - 1]) + 1
    ends_inside = 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
    return starts_inside and ends_inside and (span.line, span.column) <= (span.end_line, span.end_column)


def check_report(text: str, report: Report, *, is_loaded: bool) -> None:
    assert is_loaded == (not report.has_errors)
    for finding in report:
        assert finding.span is not None
        assert is_inside(finding.span, text), finding
        assert finding.help


@settings(max_examples=150, deadline=None)
@given(st.one_of(SERVICES, TEXTS))
def test_a_service_is_none_if_and_only_if_an_error_was_added(text: str) -> None:
    report = Report()

    profile = load_service(parse(text, "f"), report, Outline(release=RELEASE))

    check_report(text, report, is_loaded=profile is not None)


@settings(max_examples=150, deadline=None)
@given(st.one_of(DEPLOYMENTS, TEXTS))
def test_a_deployment_is_none_if_and_only_if_an_error_was_added(text: str) -> None:
    report = Report()

    deployment = load_deployment(parse(text, "f"), report)
    outline_of(parse(text, "f"))

    check_report(text, report, is_loaded=deployment is not None)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_both_parsers_read_every_text_alike(text: str) -> None:
    assert parse(text, "f") == parse(text, "f", pure=True)


FLAG_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("xyz", min_size=1), FLAG_VALUES, min_size=1, max_size=4))
def test_what_is_written_as_json_is_read_back(values: dict[str, object]) -> None:
    import json

    document = parse(json.dumps(values, ensure_ascii=False), "f")

    assert document.root is not None
    assert document.findings == ()
    assert as_value(document.root) == values


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text("0123456789+-._:eExob~yn", min_size=1, max_size=12), st.floats().map(str), st.integers().map(str))
)
def test_a_plain_scalar_has_one_meaning_or_a_refusal(text: str) -> None:
    value = resolve(text)

    if isinstance(value, Ambiguity):
        assert value.meanings
        assert value.help
    elif isinstance(value, float):
        assert value == float(text)
    elif isinstance(value, int):
        assert value == int(text, 10)
