"""The edge of the command line: every way a command can end is an exit code and one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from orchestrator import __version__
from orchestrator.cli import main
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure

ORCHESTRATE = Path(sys.executable).with_name("orchestrate")


def _ending_with(error: BaseException) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def end() -> None:
        raise error

    return app


def _run(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    monkeypatch.setattr(main, "app", _ending_with(error))
    monkeypatch.setattr(sys, "argv", ["orchestrate"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_failure_outside_is_one_finding_and_exit_code_three(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Diagnostic(code="E401", message="no driver", notes=("it said no",), help=("install one",))
    assert _run(monkeypatch, OutsideFailure(finding)) == ExitCode.OUTSIDE
    assert capsys.readouterr().err == "error[E401]: no driver\n  = note: it said no\n  = help: install one\n\n"


def test_a_bug_is_said_to_be_ours_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, RuntimeError("impossible")) == ExitCode.OUR_BUG
    errors = capsys.readouterr().err
    assert errors.startswith("bug: RuntimeError: impossible\n")
    assert "Traceback" not in errors


def test_a_bug_shows_its_traceback_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATE_TRACEBACK", "1")
    monkeypatch.setattr(main, "app", _ending_with(RuntimeError("impossible")))
    monkeypatch.setattr(sys, "argv", ["orchestrate"])
    with pytest.raises(RuntimeError, match="impossible"):
        main.run()


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch, KeyboardInterrupt()) == ExitCode.INTERRUPTED


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{ORCHESTRATE} schema service | head -n 1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "{\n", "")


def test_the_version_is_printed_and_nothing_else() -> None:
    result = subprocess.run([ORCHESTRATE, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == f"orchestrate {__version__}\n"


def test_wrong_usage_is_exit_code_two() -> None:
    result = subprocess.run(
        [ORCHESTRATE, "plan", "--nonsense"], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == ExitCode.USAGE
    assert "No such option" in result.stderr


def test_help_names_every_command() -> None:
    result = subprocess.run([ORCHESTRATE, "--help"], capture_output=True, text=True, check=True, timeout=60)
    for command in ("validate", "gpus", "plan", "render", "schema"):
        assert f"\n  {command}" in result.stdout
