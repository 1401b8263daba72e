"""The command line: one function per subcommand, each in a module of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator import __version__
from orchestrator.cli.accuracy import accuracy
from orchestrator.cli.explain import explain
from orchestrator.cli.fit import fit
from orchestrator.cli.flags import flags
from orchestrator.cli.gpus import gpus
from orchestrator.cli.migrate import migrate
from orchestrator.cli.plan import plan
from orchestrator.cli.render import render
from orchestrator.cli.schema import schema
from orchestrator.cli.validate import validate

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


for command in (validate, gpus, fit, plan, render, migrate, schema, accuracy, explain, flags):
    app.command()(command)
