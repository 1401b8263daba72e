"""`orchestrate render`: writes the compose file of a plan that holds."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import PATHS_DEFAULT, InventoryOption, OfflineOption, PathsArgument, render_command
from orchestrator.cli.terminal import emit, emit_document, print_findings, remark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.adapters.output_file import Outcome
    from orchestrator.domain.model_config import ModelFacts
    from orchestrator.domain.plan import Plan
    from orchestrator.domain.profile import Deployment, ServiceProfile

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
    planned = make_plan(paths or [PATHS_DEFAULT], inventory_option=inventory, offline=offline)
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
        _write(target, text, planned.deployment)


def _refuse_a_directory(output: str) -> None:
    """A name that only a directory can have, as `x/`, is one, whether or not it is there."""
    from orchestrator.adapters.output_file import not_a_file
    from orchestrator.domain.diagnostics import Report

    if os.path.basename(output) in {"", ".", ".."}:
        print_findings(Report([not_a_file(output or ".", "a directory")]), {})
        raise typer.Exit(ExitCode.FINDINGS)


def _target(deployment: Deployment, output: str | None) -> Path:
    """Where the file goes when it is written."""
    if output is not None and output != _STDOUT:
        return Path(output)
    return Path("compose") / deployment.project / "compose.yaml"


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


def with_paths_seen_from(deployment: Deployment, directory: Path) -> Deployment:
    """The deployment with its relative host paths as Compose reads them: from the compose file's directory.

    Whoever writes a path means it from the file in which it stands.
    """
    written_in = Path(deployment.places.file).parent
    caches = replace(
        deployment.caches,
        huggingface=_seen_from(deployment.caches.huggingface, written_in, directory),
        vllm=_seen_from(deployment.caches.vllm, written_in, directory),
    )
    services = tuple(_service_seen_from(service, directory) for service in deployment.services)
    return replace(deployment, caches=caches, services=services)


def _service_seen_from(service: ServiceProfile, directory: Path) -> ServiceProfile:
    """A model that names a directory beside the profile is that directory, as it was for whoever read its facts."""
    from orchestrator.render.compose_service import is_host_path

    written_in, model = Path(service.places.file).parent, service.model
    if not is_host_path(model) and (written_in / model).is_dir():
        model = f"./{model}"
    return replace(service, model=_seen_from(model, written_in, directory))


def _seen_from(written: str, written_in: Path, directory: Path) -> str:
    if not written.startswith("."):
        return written
    path = relpath(written_in / written, directory)
    return path if path.startswith(".") else f"./{path}"


def _write(target: Path, text: str, deployment: Deployment) -> None:
    from orchestrator.adapters.output_file import write_generated_file
    from orchestrator.domain.diagnostics import Diagnostic, Report
    from orchestrator.render.compose import HEAD_MARK

    outcome = write_generated_file(target, text, mark=HEAD_MARK)
    if isinstance(outcome, Diagnostic):
        print_findings(Report([outcome]), {})
        raise typer.Exit(ExitCode.FINDINGS)
    emit(f"{_what_was_done(outcome, target, deployment)}\n{_next_step(target, deployment)}\n")


def _visible(text: object) -> str:
    from orchestrator.cli.views.diagnostics import visible

    return visible(str(text))


def _quoted(target: Path) -> str:
    """The path for a shell; what would steer the terminal is spelt as bash spells it."""
    path = str(target)
    if path.isprintable():
        return _visible(shlex.quote(path))
    return f"$'{_visible(path.replace(chr(92), chr(92) * 2).replace(chr(39), chr(92) + chr(39)))}'"


def _what_was_done(outcome: Outcome, target: Path, deployment: Deployment) -> str:
    count = len(deployment.services)
    return f"{outcome} {_visible(target)} ({count} service{'s' if count != 1 else ''})"


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
