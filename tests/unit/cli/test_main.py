"""The edge of the command line: every way a command can end is an exit code and one message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from orchestrator import __version__
from orchestrator.cli import entry, main
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure

ROOT = Path(__file__).resolve().parents[3]
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
        entry.run()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_failure_outside_is_one_finding_and_exit_code_three(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Diagnostic(code="E401", message="no driver", notes=("it said no",), help=("install one",))
    assert _run(monkeypatch, OutsideFailure(finding)) == ExitCode.OUTSIDE
    assert capsys.readouterr().err == (
        "error[E401]: no driver\n  = note: it said no\n  = help: install one\n\n"
        "Learn more: `orchestrate explain E401`\n"
    )


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
        entry.run()


def test_ctrl_c_is_130_and_says_that_nothing_was_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, KeyboardInterrupt()) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "interrupted; nothing was changed\n"


def test_the_operating_systems_refusal_is_a_failure_outside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, OSError(28, "No space left on device")) == ExitCode.OUTSIDE
    assert capsys.readouterr().err.startswith("error[E614]: the operating system refused: ")


def _in_shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run in the repository; `orchestrate` stands for the console script."""
    text = f"set -o pipefail; orchestrate() {{ '{ORCHESTRATE}' \"$@\"; }}; {script}"
    return subprocess.run(
        ["bash", "-c", text],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


PLAN = "orchestrate plan configs -i configs/inventories/3xrtx4090.json"


@pytest.mark.parametrize("command", ["orchestrate schema", "orchestrate validate configs", PLAN, f"{PLAN} --json"])
@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_a_reader_that_goes_away_is_no_error(command: str, reader: str) -> None:
    result = _in_shell(f"{command} 2>&1 | {reader}")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("command", ["orchestrate schema", "orchestrate validate configs", PLAN, "orchestrate --help"])
@pytest.mark.parametrize("target", [">/dev/full", ">&-"])
def test_output_that_is_lost_is_a_failure_outside(command: str, target: str) -> None:
    result = _in_shell(f"{command} {target}")
    assert result.returncode == ExitCode.OUTSIDE
    assert "error[E614]: " in result.stderr


def test_an_output_and_an_error_stream_that_are_both_full_still_end_in_order() -> None:
    assert _in_shell(f"{PLAN} >/dev/full 2>/dev/full").returncode == ExitCode.OUTSIDE
    assert _in_shell(f"{PLAN} 2>&-").returncode == ExitCode.FINE


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_findings_survive_a_stream_that_lacks_their_characters(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "party.yaml").write_text('service: party\nmodel: "🎉 model"\n"🎉": 1\n', encoding="utf-8")
    result = _in_shell(f"orchestrate validate {tmp_path}/party.yaml", PYTHONIOENCODING=encoding)
    assert result.returncode == ExitCode.FINDINGS
    assert "\\U0001f389" in result.stdout


def test_documents_are_utf_8_whatever_the_locale_says() -> None:
    usual, ascii_only = (_in_shell(f"{PLAN} --json", PYTHONIOENCODING=each).stdout for each in ("utf-8", "ascii"))
    assert usual == ascii_only


def test_an_early_ctrl_c_ends_without_a_traceback() -> None:
    script = (
        "import sys; sys.modules['typer'] = None\n"
        "import builtins; real = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name == 'orchestrator.cli.main': raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = interrupted\n"
        "from orchestrator.cli.entry import run; run()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (ExitCode.INTERRUPTED, "interrupted; nothing was changed\n")


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
