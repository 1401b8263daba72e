"""`orchestrate render`: writes the compose file of a plan that holds."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.host_paths import with_paths_seen_from
from orchestrator.cli.options import PATHS_DEFAULT, InventoryOption, OfflineOption, PathsArgument, render_command
from orchestrator.cli.saved_plans import compare, compose_target, lock_file, lock_if_there
from orchestrator.cli.terminal import emit, emit_document, print_findings, remark
from orchestrator.domain.diagnostics import Diagnostic, Report, Severity
from orchestrator.domain.operations import Changes, DriftKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.cli.planning import PlannedProject
    from orchestrator.domain.model_config import ModelFacts
    from orchestrator.domain.plan import Plan
    from orchestrator.domain.profile import Deployment

_STDOUT = "-"


def render(
    paths: PathsArgument = None,
    inventory: InventoryOption = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Where to write.", show_default="compose/PROJECT/…"),
    ] = None,
    to_stdout: Annotated[bool, typer.Option("--stdout", help="Print instead of writing; the same as `-o -`.")] = False,
    offline: OfflineOption = False,
) -> None:
    """Plan, and write the compose file that runs the plan."""
    from orchestrator.cli.planning import make_plan
    from orchestrator.render.safety import check_deployment, check_hosts, check_inventory

    if to_stdout and output not in {None, _STDOUT}:
        raise typer.BadParameter("`--stdout` prints and `--output` writes a file: give one of the two")
    prints = to_stdout or output == _STDOUT
    if output is not None and not prints:
        _refuse_a_directory(output)
    planned = make_plan(
        paths or [PATHS_DEFAULT],
        inventory_option=inventory,
        offline=offline,
        against=lambda deployment: lock_if_there(_target(deployment, output)),
    )
    if planned.plan is not None and planned.deployment is not None:
        planned.report.extend(check_deployment(planned.deployment))
        planned.report.extend(check_hosts(planned.plan, planned.deployment))
        planned.report.extend(check_inventory(planned.plan))
    print_findings(planned.report, planned.sources)
    if planned.plan is None or planned.deployment is None or not planned.holds:
        if planned.deployment is not None and not prints:
            _mention_what_is_left(_target(planned.deployment, output))
        raise typer.Exit(planned.exit_code)
    target = _target(planned.deployment, output)
    text = _text(planned.plan, planned.deployment, planned.facts, target, _command(paths or [], inventory))
    if prints:
        emit_document(text)
    else:
        _write(planned, planned.deployment, target, text)


def _refuse_a_directory(output: str) -> None:
    """A name that only a directory can have, as `x/`, is one, whether or not it is there."""
    from orchestrator.adapters.output_file import not_a_file

    if os.path.basename(output) in {"", ".", ".."}:
        print_findings(Report([not_a_file(output or ".", "a directory")]), {})
        raise typer.Exit(ExitCode.FINDINGS)


def _target(deployment: Deployment, output: str | None) -> Path:
    """Where the file goes when it is written."""
    if output is not None and output != _STDOUT:
        return Path(output)
    return compose_target(deployment)


def _mention_what_is_left(target: Path) -> None:
    if target.is_file():
        remark(f"{_visible(target)} is left as an earlier run wrote it\n")


def _command(paths: list[str], inventory: str | None) -> str:
    """What to type to make the file anew; a path that would break out of a comment line is left to the reader."""
    command = render_command(paths, inventory)
    return command if command.isprintable() else "orchestrate render"


def _text(plan: Plan, deployment: Deployment, facts: Mapping[str, ModelFacts], target: Path, command: str) -> str:
    from orchestrator.render.compose import compose_document, compose_text

    seen_from_target = with_paths_seen_from(deployment, target.parent)
    return compose_text(
        compose_document(plan=plan, deployment=seen_from_target, facts=facts),
        command=command,
        is_example=plan.inventory.is_example,
    )


def _write(planned: PlannedProject, deployment: Deployment, target: Path, text: str) -> None:
    """The compose file and its lock file, both or neither."""
    from orchestrator.adapters.output_file import GeneratedFile, write_generated_files
    from orchestrator.render.compose import HEAD_MARK

    files = [GeneratedFile(path=target, text=text, mark=HEAD_MARK)]
    comparison = compare(planned, target)
    if comparison is not None:
        _warn_of_edits(comparison.changes, target)
        files.append(lock_file(comparison.new, target, text))
    outcomes = write_generated_files(files)
    if isinstance(outcomes, Diagnostic):
        print_findings(Report([outcomes]), {})
        raise typer.Exit(ExitCode.FINDINGS)
    written = [f"{outcome} {_visible(file.path)}" for outcome, file in zip(outcomes, files, strict=True)]
    written[0] += f" ({_counted(len(deployment.services))})"
    if comparison is not None and planned.before is not None:
        written.append(_what_changes(comparison.changes))
    emit("\n".join([*written, _next_step(target, deployment), ""]))


def _counted(services: int) -> str:
    return f"{services} service{'s' if services != 1 else ''}"


def _what_changes(changes: Changes) -> str:
    from orchestrator.cli.views.plan_changes import summary_of_changes

    return f"against the lock file as it was: {summary_of_changes(changes)}"


def _warn_of_edits(changes: Changes, target: Path) -> None:
    """Edits of a file that is generated are lost when it is: whoever made them is told, and where they belong."""
    if any(drift.kind is DriftKind.COMPOSE_EDITED for drift in changes.drift):
        finding = Diagnostic(
            code="W603",
            message=f"`{target}` was edited after it was rendered, and is made anew without the edits",
            severity=Severity.WARNING,
            notes=("its text is not the one that the lock file stands for",),
            help=(
                "write in the profiles what should stay, or in a file of your own: `docker compose -f … -f own.yaml`",
            ),
        )
        print_findings(Report([finding]), {})


def _visible(text: object) -> str:
    from orchestrator.cli.views.diagnostics import visible

    return visible(str(text))


def _quoted(target: Path) -> str:
    """The path for a shell; what would steer the terminal is spelt as bash spells it."""
    path = str(target)
    if path.isprintable():
        return _visible(shlex.quote(path))
    return f"$'{_visible(path.replace(chr(92), chr(92) * 2).replace(chr(39), chr(92) + chr(39)))}'"


def _next_step(target: Path, deployment: Deployment) -> str:
    up = f"docker compose -f {_quoted(target)} up --detach --wait"
    secrets = deployment.secrets
    wanted = []
    if secrets.api_key is not None:
        wanted.append(f"`{secrets.api_key}` to the key that clients must send")
    if secrets.hf_token is not None:
        wanted.append(f"`{secrets.hf_token}` to a Hugging Face token (empty will do for public models)")
    lines = [f"  {each}" for each in wanted]
    if wanted:
        lines.insert(0, f"Next: in the environment, or in {_visible(target.with_name('.env'))}, set")
        lines.append("and then")
    else:
        lines.append("Next:")
    return "\n".join([*lines, f"  {up}"])
