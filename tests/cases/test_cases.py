"""Case folders: profiles and an inventory in, the whole plan and the whole compose file out.

`ORCHESTRATE_UPDATE_CASES=1 pytest tests/cases` writes what is expected anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app

CASES = Path(__file__).parent
UPDATE = bool(os.environ.get("ORCHESTRATE_UPDATE_CASES"))

STARTS, REFUSES, TOO_CLOSE = "starts", "refuses", "too close to call"

VERDICTS = {
    "shipped": STARTS,
    "naive": REFUSES,
    "a-32b-awq-tp2-bf16-kv": REFUSES,
    "a-32b-awq-tp2-fp8-kv": STARTS,
    "b-8b-bf16-default-length-at-0.90": REFUSES,
    "b-8b-bf16-default-length-at-0.92": TOO_CLOSE,
    "c-8b-awq-beside-1.7b-fp8": STARTS,
    "d-14b-bf16-on-t4": REFUSES,
    "d-14b-bf16-on-a10g": REFUSES,
    "e-14b-int8-on-t4": REFUSES,
    "e-14b-int8-on-a10g-8k": STARTS,
    "e-14b-int8-on-a10g-32k": REFUSES,
    "f-14b-awq-on-t4-8k": STARTS,
    "f-14b-awq-on-t4-32k": REFUSES,
    "f-14b-awq-on-a10g-8k": STARTS,
    "f-14b-awq-on-a10g-32k": STARTS,
    "g-replicas-beside-a-chosen-width": STARTS,
}
"""What must come out, case by case: the verdicts of the reference arithmetic, and of the deployment that ships."""


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100", "NO_COLOR": "1"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout + result.stderr


def _verdict(exit_code: int, output: str) -> str:
    if exit_code == 0:
        return STARTS
    return TOO_CLOSE if TOO_CLOSE in output else REFUSES


def _agrees(expected: Path, text: str) -> None:
    if UPDATE:
        expected.write_text(text)
    assert expected.read_text() == text


def test_no_case_folder_is_an_orphan() -> None:
    assert {path.name for path in CASES.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(VERDICTS)


@pytest.mark.parametrize("case", sorted(VERDICTS))
def test_the_plan_is_the_expected_one(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    exit_code, output = _run("plan", "configs", "--inventory", "inventory.json", "--offline")
    assert _verdict(exit_code, output) == VERDICTS[case], output
    _agrees(CASES / case / "plan.txt", output)


@pytest.mark.parametrize("case", sorted(name for name, verdict in VERDICTS.items() if verdict == STARTS))
def test_the_compose_file_is_the_expected_one(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    exit_code, output = _run("render", "configs", "--inventory", "inventory.json", "--offline", "--stdout")
    assert exit_code == 0, output
    _agrees(CASES / case / "compose.yaml", output)


@pytest.mark.parametrize("case", sorted(name for name, verdict in VERDICTS.items() if verdict != STARTS))
def test_what_is_refused_has_no_compose_file(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    exit_code, _ = _run("render", "configs", "--inventory", "inventory.json", "--offline", "--stdout")
    assert exit_code == 1
    assert not (CASES / case / "compose.yaml").exists()
