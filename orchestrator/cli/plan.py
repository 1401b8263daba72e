"""`orchestrate plan`: what will run where, with how many KV-cache tokens, or why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import (
    PATHS_DEFAULT,
    FormatOption,
    InventoryOption,
    OfflineOption,
    PathsArgument,
    render_command,
)
from orchestrator.cli.terminal import (
    colour_wanted,
    emit,
    emit_document,
    print_findings,
    unicode_wanted,
    width_of_terminal,
)
from orchestrator.cli.views.diagnostics import FindingsFormat
from orchestrator.domain.diagnostics import Severity

if TYPE_CHECKING:
    from orchestrator.cli.planning import PlannedProject


def plan(
    paths: PathsArgument = None,
    inventory: InventoryOption = None,
    terms: Annotated[
        bool, typer.Option("--terms", help="Show every memory term with its interval and source.")
    ] = False,
    output_format: FormatOption = FindingsFormat.FULL,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the complete plan as JSON; the same as `--format json`.")
    ] = False,
    offline: OfflineOption = False,
) -> None:
    """Place all services on the GPUs and predict whether they start."""
    from orchestrator.cli.planning import make_plan

    planned = make_plan(paths or [PATHS_DEFAULT], inventory_option=inventory, offline=offline)
    if as_json or output_format is FindingsFormat.JSON:
        from orchestrator.cli.views.plan_json import render_plan_json

        emit_document(render_plan_json(planned.plan, planned.report))
    elif output_format is FindingsFormat.FULL:
        _print_view(planned, terms=terms)
        print_findings(planned.report, planned.sources)
    else:
        print_findings(planned.report, planned.sources, output_format, on_stdout=True)
    if not planned.holds:
        raise typer.Exit(planned.exit_code)
    if not as_json and output_format is FindingsFormat.FULL:
        emit(f"{_verdict(planned)}\nNext: `{render_command(paths, inventory)}` writes the compose file.\n")


def _verdict(planned: PlannedProject) -> str:
    """The last word, which carries the doubts that the warnings raised."""
    warnings = sum(1 for finding in planned.report if finding.severity is Severity.WARNING)
    if not warnings:
        return "Every service starts."
    return f"Every service starts, as far as the plan can see: mind the warning{'s' if warnings > 1 else ''} above."


def _print_view(planned: PlannedProject, *, terms: bool) -> None:
    if planned.plan is None or planned.deployment is None or not planned.plan.placements:
        return
    from orchestrator.cli.views.plan import render_plan

    text = render_plan(
        planned.plan,
        planned.deployment,
        color=colour_wanted(),
        unicode=unicode_wanted(),
        width=width_of_terminal(),
        terms=terms,
    )
    emit(text)
