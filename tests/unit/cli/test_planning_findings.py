"""Findings of the planner at the line that the user wrote, in any spelling, or at a line to write it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.cli.planning import make_plan
from orchestrator.config.inventory_file import inventory_as_dict
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Inventory

MODEL = "model: meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*lines: str, inventory: str = "1xRTX3090", defaults: str = "") -> list[Diagnostic]:
    deployment = f"project: test\nvllm-release: 0.11.2\nservices: [llama.yaml]\n{defaults}"
    Path("deployment.yaml").write_text(deployment)
    Path("llama.yaml").write_text("\n".join(("service: llama", MODEL, *lines, "")))
    return list(make_plan(["."], inventory_option=inventory, offline=True).report)


def place(finding: Diagnostic) -> tuple[str, int, int]:
    assert finding.span is not None
    assert finding.span.end_column > finding.span.column
    return (Path(finding.span.file).name, finding.span.line, finding.span.column)


def test_a_flag_with_underscores_is_pointed_at_and_named_as_written() -> None:
    (finding,) = found("vllm:", "  gpu_memory_utilization: 0.92", "  enforce-eager: true", "  max_model_len: 128k")
    assert (finding.code, place(finding), finding.label) == ("E506", ("llama.yaml", 6, 18), "")
    assert any(line.startswith("lower `max_model_len` of `llama` from 128000 to ") for line in finding.help)


def test_a_flag_that_nobody_wrote_points_at_the_section() -> None:
    (finding,) = found("vllm:", "  max-model-len: 43000")
    assert (finding.code, place(finding)) == ("E506", ("llama.yaml", 3, 1))
    assert finding.label == "`gpu-memory-utilization` is not set here: the default counts"


def test_without_a_section_the_model_is_pointed_at() -> None:
    (finding,) = found()
    assert (finding.code, place(finding)) == ("E506", ("llama.yaml", 2, 8))
    assert finding.label == "`max-model-len` is not set here: the default counts"


def test_pins_that_nobody_wrote_point_at_the_model() -> None:
    inventory = inventory_from_short_form("1xRTX3090")
    assert isinstance(inventory, Inventory)
    (host,) = inventory.hosts
    used = replace(host, gpus=(replace(host.gpus[0], free_bytes=10_000_000_000),))
    box = json.dumps(inventory_as_dict(replace(inventory, hosts=(used,))))
    Path("box.json").write_text(box)
    findings = found("vllm:", "  max-model-len: 8192", inventory="box.json")
    assert [(each.code, place(each)) for each in findings] == [("E506", ("llama.yaml", 2, 8))]
    assert "too full with what others hold now" in findings[0].notes[1]


def test_a_flag_of_the_defaults_is_pointed_at_in_the_deployment() -> None:
    (finding,) = found(defaults="defaults:\n  vllm:\n    max_model_len: 131072\n")
    assert (finding.code, place(finding)) == ("E506", ("deployment.yaml", 6, 20))


def test_a_flag_that_is_not_in_the_prediction_is_warned_about_at_its_line() -> None:
    (finding,) = found("vllm:", "  max-model-len: 8192", "  kv_transfer_config: {kv_connector: OffloadingConnector}")
    assert (finding.code, finding.severity, place(finding)) == ("W505", "warning", ("llama.yaml", 5, 23))
    assert finding.message == "`kv_transfer_config` is not in the prediction"
