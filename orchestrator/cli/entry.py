"""The edge: where a command begins and every exception ends as an exit code and one message, never as a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from orchestrator.domain.failures import OutsideFailure


def run() -> None:
    """The console script. What is imported here is light, so that even an early Ctrl-C ends in order."""
    try:
        _run_command()
    except KeyboardInterrupt:
        _say(_what_became_of_the_files())
        sys.exit(ExitCode.INTERRUPTED)


def _what_became_of_the_files() -> str:
    from orchestrator.adapters.held_signals import FILES_WRITTEN

    return "interrupted after all files were written" if FILES_WRITTEN.is_set() else "interrupted; nothing was changed"


def _run_command() -> None:
    from orchestrator.adapters.held_signals import FILES_WRITTEN
    from orchestrator.cli.main import app
    from orchestrator.cli.terminal import prepare_streams
    from orchestrator.domain.failures import OutsideFailure

    FILES_WRITTEN.clear()
    try:
        prepare_streams()
        app()
    except SystemExit as ended:
        if ended.code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt from ended
        raise
    except OutsideFailure as failure:
        _report_failure(failure)
        sys.exit(ExitCode.OUTSIDE)
    except OSError as error:
        _say(f"error[E614]: the operating system refused: {error}")
        sys.exit(ExitCode.OUTSIDE)
    except Exception as bug:
        _report_bug(bug)
        sys.exit(ExitCode.OUR_BUG)


def _report_failure(failure: OutsideFailure) -> None:
    from orchestrator.cli.terminal import print_findings
    from orchestrator.domain.diagnostics import Report

    print_findings(Report([failure.finding]), {})


def _report_bug(bug: Exception) -> None:
    if os.environ.get("ORCHESTRATE_TRACEBACK"):
        raise bug
    _say(f"bug: {type(bug).__name__}: {bug}")
    _say("  = note: this is a defect in orchestrate, not in your files")
    _say("  = help: run again with ORCHESTRATE_TRACEBACK=1 and report what it prints")


def _say(line: str) -> None:
    """A line on stderr, where it can still be written to."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run()
