"""`orchestrate plan`: what will run where, with how many KV-cache tokens, or why it cannot."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.terminal import colour_wanted, print_findings, unicode_wanted, width_of_terminal


def plan(
    paths: Annotated[
        list[str] | None, typer.Argument(help="A directory of profiles, or profile files.", show_default="configs")
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            "--inventory",
            "-i",
            metavar="FILE|3xRTX4090",
            help="GPUs to plan on instead of this machine's: a file from `orchestrate gpus --json`, or a short form.",
        ),
    ] = None,
    terms: Annotated[
        bool, typer.Option("--terms", help="Show every memory term with its interval and source.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the complete plan as JSON.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a hub for model facts.")] = False,
) -> None:
    """Place all services on the GPUs and predict whether they start."""
    from orchestrator.cli.planning import make_plan

    planned = make_plan(paths or ["configs"], inventory_option=inventory, offline=offline)
    if as_json:
        from orchestrator.cli.views.plan_json import render_plan_json

        typer.echo(render_plan_json(planned.plan, planned.report), nl=False)
    else:
        if planned.plan is not None and planned.deployment is not None and planned.plan.placements:
            from orchestrator.cli.views.plan import render_plan

            text = render_plan(
                planned.plan,
                planned.deployment,
                color=colour_wanted(),
                unicode=unicode_wanted(),
                width=width_of_terminal(),
                terms=terms,
            )
            typer.echo(text, nl=False)
        print_findings(planned.report, planned.sources)
    if planned.plan is None or not planned.plan.is_feasible or planned.report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)
    if not as_json:
        typer.echo("Every service starts. Next: `orchestrate render` writes the compose file.")
