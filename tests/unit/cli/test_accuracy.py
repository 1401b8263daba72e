"""The command `accuracy` on a small file of real records, in all its views."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.catalog.models import find_model
from orchestrator.cli.main import app
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure

ROOT = Path(__file__).resolve().parents[3]
RECORDS = ROOT / "tests" / "data" / "startups.jsonl"


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["accuracy", *arguments, "--offline"])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_view_fits_a_hundred_columns_and_says_all_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = _run(str(RECORDS))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in text
    assert lines[0] == "28 records, 24 priced, 4 not."
    heads = [line.split("  ")[0] for line in lines if re.search(r"  records  ", line)]
    assert heads == ["", "GPU", "release", "form of the weights", "architecture"]
    assert "Worst first:" in lines
    assert lines[lines.index("Not priced:") + 1 :] == [
        "  1  `AMD Radeon Pro VII / MI50 16GB (gfx906, 15.98GiB)` is not an NVIDIA card",
        "     f-qwen3-0.6b-rocm",
        "  1  vLLM `development fork (vllm-moe, --moe-cpu-offload)` is a fork or patched: its rules are not",
        "     known",
        "     y-gptoss20b-131k-refused",
        "  1  no model is named",
        "     i-vllm-docs-643k",
        "  1  no GPU is named and no total is given",
        "     p-gptoss20b-a100-.65",
    ]


def test_cross_validation_is_said_and_changes_the_figures() -> None:
    plain, held_out = _run(str(RECORDS)), _run(str(RECORDS), "--cross-validate")
    assert "Cross-validated: each record is priced with constants fitted without its source." in held_out
    assert plain != held_out


def test_json_has_prediction_and_interval_of_each_record_or_the_reason() -> None:
    document = json.loads(_run(str(RECORDS), "--json"))
    assert (document["version"], document["records"], document["cross_validated"]) == (1, 28, False)
    assert len(document["priced"]) + len(document["unpriced"]) == 28
    for each in document["priced"]:
        size = each["prediction"]["kv_cache"]
        assert size["low"] <= size["expected"] <= size["high"]
        assert each["prediction"]["verdict"] in ("starts", "refuses", "too close to call")
    assert {each["reason"] for each in document["unpriced"]} >= {"no model is named"}
    assert document["summary"]["quantities"]["weights"]["median_error"] < 0.01
    judged = document["summary"]["verdicts"]
    assert (judged["wrong"], judged["dangerous"]) == (0, 0)


def test_the_page_in_docs_has_the_sections_that_the_command_writes() -> None:
    written = _run(str(RECORDS), "--markdown")
    page = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    assert _headings(page) == _headings(written)
    assert "do not edit by hand" in page
    for line in page.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    peers = written[written.index("## Beside other tools") : written.index("## Worst first")]
    assert "| weights | " in peers
    assert "0.89 %" in peers


def _headings(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("#")]


def test_broken_lines_are_findings_beside_the_scores_of_the_others(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text(RECORDS.read_text(encoding="utf-8").splitlines()[0] + "\n{\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["accuracy", str(file), "--offline"])
    assert result.exit_code == 1
    assert result.stdout.startswith("1 record, 1 priced, 0 not.\n")
    assert "error[E150]: not a JSON object" in result.stderr
    assert "runs.jsonl:2:" in result.stderr


def test_a_file_that_is_not_there_is_a_finding() -> None:
    result = CliRunner().invoke(app, ["accuracy", "nowhere.jsonl"])
    assert result.exit_code == 1
    assert "error[E120]: `nowhere.jsonl` does not exist" in result.stderr


def test_a_file_without_a_record_that_can_be_priced_has_no_tables(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text('{"id": "a", "outcome": "started", "model": "nobody/nothing"}\n', encoding="utf-8")
    text = CliRunner().invoke(app, ["accuracy", str(file), "--offline"]).stdout
    assert text == (
        "1 record, 0 priced, 1 not.\n\nNot priced:\n  1  model … is not known; give its directory\n"
        "     a (nobody/nothing)\n"
    )
    page = CliRunner().invoke(app, ["accuracy", str(file), "--offline", "--markdown"]).stdout
    assert "0 of them name model" in page


def test_a_hub_that_fails_is_said_once_and_the_other_records_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def refuse(model: str, revision: str | None, *, offline: bool, base_directory: Path) -> object:
        asked.append(offline)
        if offline:
            return find_model(model) or Diagnostic(code="E306", message="nothing is known")
        raise OutsideFailure(Diagnostic(code="E320", message="the hub does not answer"))

    monkeypatch.setattr("orchestrator.adapters.model_source.find_model_facts", refuse)
    file = tmp_path / "runs.jsonl"
    known = RECORDS.read_text(encoding="utf-8").splitlines()[0]
    unknown = [f'{{"id": "{each}", "outcome": "started", "model": "nobody/{each}"}}' for each in "ab"]
    file.write_text("\n".join([*unknown, known]), encoding="utf-8")
    result = CliRunner().invoke(app, ["accuracy", str(file)])
    assert result.exit_code == 1
    assert asked == [False, True, True]
    assert result.stdout.startswith("3 records, 1 priced, 2 not.")
    assert result.stderr.count("the hub does not answer") == 1
