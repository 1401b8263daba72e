"""The service file that is offered: valid for `orchestrate validate`, whatever the model is called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.advisor.profile_text import profile_text, service_name
from orchestrator.config.load import Outline, load_service
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.release import Release
from tests.unit.advisor.advisor_samples import QWEN, judged, question


def test_the_profile_says_model_split_length_requests_and_utilization() -> None:
    fit = replace(judged(QWEN, "2xA10G", full_length_requests=2.5), utilization=0.95)
    assert (
        profile_text(fit, question(full_length_requests=2.5, flags={"kv-cache-dtype": "fp8", "enforce-eager": True}))
        == """\
service: qwen2-5-14b-instruct
model: Qwen/Qwen2.5-14B-Instruct
require:
  full-length-requests: 2.5
vllm:
  tensor-parallel-size: 2
  max-model-len: 8192
  kv-cache-dtype: fp8
  enforce-eager: true
  gpu-memory-utilization: 0.95
"""
    )


@pytest.mark.parametrize(
    "model",
    [
        "/models/qwen",
        "./my model",
        "../x: y",
        "~/models/#1",
        "models/yes",
        "123",
        "no",
        "a'b\"c",
        "models/größe",
        "1e3/x",
    ],
)
def test_any_name_of_a_model_is_read_back_as_it_was(model: str) -> None:
    fit = judged(QWEN, "H100")
    facts = replace(fit.form.facts, model=model)
    text = profile_text(replace(fit, form=replace(fit.form, facts=facts)), question())
    report = Report()
    service = load_service(parse(text, "fit.yaml"), report, Outline(release=Release.of("0.33.0")))
    assert list(report) == []
    assert service is not None
    assert service.model == model


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen2.5-14B-Instruct-AWQ", "qwen2-5-14b-instruct-awq"),
        ("./models/Mine_1/", "mine-1"),
        ("..", "model"),
        ("x/" + "a" * 80, "a" * 63),
        ("x/" + "a" * 62 + "-b", "a" * 62),
    ],
)
def test_a_service_is_named_after_its_model(model: str, name: str) -> None:
    assert service_name(model) == name
