"""The command line: one function per subcommand, each in a module of its own, and the edge where exceptions end."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from orchestrator import __version__
from orchestrator.cli.accuracy import accuracy
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.fit import fit
from orchestrator.cli.gpus import gpus
from orchestrator.cli.plan import plan
from orchestrator.cli.render import render
from orchestrator.cli.schema import schema
from orchestrator.cli.terminal import print_findings
from orchestrator.cli.validate import validate
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.failures import OutsideFailure

app = typer.Typer(
    name="orchestrate",
    help="Several vLLM models on one box: validated, placed, predicted and rendered before anything starts.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"orchestrate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before any subcommand."""


for command in (validate, gpus, fit, plan, render, schema, accuracy):
    app.command()(command)


def run() -> None:
    """The edge: every exception ends here as an exit code and one message, never as a traceback."""
    try:
        app()
    except OutsideFailure as failure:
        print_findings(Report([failure.finding]), {})
        sys.exit(ExitCode.OUTSIDE)
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was changed", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FINE)
    except Exception as bug:
        _report_bug(bug)
        sys.exit(ExitCode.OUR_BUG)


def _report_bug(bug: Exception) -> None:
    if os.environ.get("ORCHESTRATE_TRACEBACK"):
        raise bug
    typer.echo(f"bug: {type(bug).__name__}: {bug}", err=True)
    typer.echo("  = note: this is a defect in orchestrate, not in your files", err=True)
    typer.echo("  = help: run again with ORCHESTRATE_TRACEBACK=1 and report what it prints", err=True)


if __name__ == "__main__":
    run()
