"""`orchestrate plan`: what will run where, with how many KV-cache tokens, or why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import (
    PATHS_DEFAULT,
    FormatOption,
    InventoryOption,
    OfflineOption,
    PathsArgument,
    render_command,
)
from orchestrator.cli.saved_plans import Comparison, compare, compose_target, lock_if_there, saved_file
from orchestrator.cli.terminal import (
    colour_wanted,
    emit,
    emit_document,
    print_findings,
    unicode_wanted,
    width_of_terminal,
)
from orchestrator.cli.views.diagnostics import FindingsFormat, visible
from orchestrator.domain.diagnostics import Diagnostic, Severity

if TYPE_CHECKING:
    from orchestrator.cli.planning import PlannedProject


def plan(
    paths: PathsArgument = None,
    inventory: InventoryOption = None,
    terms: Annotated[
        bool, typer.Option("--terms", help="Show every memory term with its interval and source.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Show what would change against a saved plan or a lock file.",
            show_default="the lock file that `render` left",
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Save the plan, to compare a later one with.")] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 where something would change, 0 where nothing.")
    ] = False,
    output_format: FormatOption = FindingsFormat.FULL,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the complete plan as JSON; the same as `--format json`.")
    ] = False,
    offline: OfflineOption = False,
) -> None:
    """Place all services on the GPUs, predict whether they start, and show what would change."""
    from orchestrator.cli.planning import make_plan

    planned = make_plan(
        paths or [PATHS_DEFAULT],
        inventory_option=inventory,
        offline=offline,
        against=lambda deployment: lock_if_there(compose_target(deployment)) if against is None else Path(against),
    )
    comparison = compare(planned)
    if out is not None and comparison is not None:
        _save(planned, comparison, Path(out))
    if as_json or output_format is FindingsFormat.JSON:
        _print_json(planned, comparison)
    elif output_format is FindingsFormat.FULL:
        _print_view(planned, terms=terms)
        print_findings(planned.report, planned.sources)
        if comparison is not None and planned.holds:
            next_step = _next_step(comparison, planned, paths, inventory, out)
            emit(_ending(planned, comparison, next_step, shows_changes=detailed_exitcode))
    else:
        print_findings(planned.report, planned.sources, output_format, on_stdout=True)
    if not planned.holds:
        raise typer.Exit(planned.exit_code)
    if detailed_exitcode and comparison is not None and not comparison.changes.is_empty:
        raise typer.Exit(ExitCode.CHANGES)


def _save(planned: PlannedProject, comparison: Comparison, path: Path) -> None:
    """Only what could be rendered is worth keeping: the findings of `render` count here, too."""
    from orchestrator.adapters.output_file import write_generated_file
    from orchestrator.render.safety import check_deployment

    if planned.deployment is None:
        return
    planned.report.extend(check_deployment(planned.deployment))
    if not planned.report.has_errors:
        outcome = write_generated_file(saved_file(comparison.new, path))
        if isinstance(outcome, Diagnostic):
            planned.report.add(outcome)


def _print_json(planned: PlannedProject, comparison: Comparison | None) -> None:
    from orchestrator.cli.views.plan_changes_json import changes_as_dict
    from orchestrator.cli.views.plan_json import render_plan_json

    against = None if planned.against is None else str(planned.against)
    changes = None if comparison is None else changes_as_dict(comparison.changes, against)
    emit_document(render_plan_json(planned.plan, planned.report, changes))


def _ending(planned: PlannedProject, comparison: Comparison, next_step: str, *, shows_changes: bool) -> str:
    """What would change, where there is something to compare with or the question was asked; then the last words."""
    from orchestrator.cli.views.plan_changes import render_changes, summary_of_changes

    if planned.before is None and not shows_changes:
        return f"{_verdict(planned)}\n{next_step}\n"
    section = render_changes(
        comparison.changes,
        planned.before,
        comparison.new,
        "" if planned.against is None else str(planned.against),
        color=colour_wanted(),
        unicode=unicode_wanted(),
        width=width_of_terminal(),
    )
    return f"{section}{_verdict(planned)}\n{summary_of_changes(comparison.changes)}\n{next_step}\n"


def _next_step(
    comparison: Comparison, planned: PlannedProject, paths: list[str] | None, inventory: str | None, out: str | None
) -> str:
    saved = "" if out is None else f"Saved as {visible(out)}; `orchestrate plan --against {visible(out)}` compares.\n"
    if planned.before is not None and planned.before.compose is not None and comparison.changes.is_empty:
        return f"{saved}Nothing to do: the compose file says so already."
    return f"{saved}Next: `{render_command(paths, inventory)}` writes the compose file."


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
