"""`orchestrate validate`: checks every profile without a GPU, a network or Docker."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import PATHS_DEFAULT, FormatOption, PathsArgument
from orchestrator.cli.release_option import read_release_option
from orchestrator.cli.terminal import colour_wanted, emit, remark
from orchestrator.cli.views.diagnostics import FindingsFormat
from orchestrator.domain.release import Release

if TYPE_CHECKING:
    from orchestrator.cli.project import CheckedFiles


def validate(
    paths: PathsArgument = None,
    output_format: FormatOption = FindingsFormat.FULL,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="RELEASE", help="Check against this vLLM release, not the pinned one."),
    ] = None,
) -> None:
    """Check profiles: keys, values, flags of the pinned release, and what services cannot have at once."""
    from orchestrator.cli.project import check_files
    from orchestrator.cli.views.diagnostics import render_findings, summary

    asked = paths or [PATHS_DEFAULT]
    checked = check_files(asked, release=read_release_option(release), with_models=True)
    findings = checked.report.in_order()
    color = output_format is FindingsFormat.FULL and colour_wanted()
    emit(render_findings(findings, checked.sources, output_format, color=color))
    remark(f"{summary(findings, len(checked.sources))}\n")
    if checked.report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)
    if output_format is FindingsFormat.FULL:
        emit("\n".join(_what_was_checked(asked, checked)) + "\n")


def _what_was_checked(asked: Sequence[str], checked: CheckedFiles) -> list[str]:
    lines = [
        f"{each.project}: {len(each.services)} service{'' if len(each.services) == 1 else 's'} "
        f"valid {_by_which_rules(each.release)}."
        for each in checked.deployments
    ]
    command = shlex.join(["orchestrate", "plan", *([] if list(asked) == [PATHS_DEFAULT] else asked)])
    return [*lines, f"Next: `{command}` shows where they run and whether they start."]


def _by_which_rules(release: Release) -> str:
    """`for vLLM 0.32.0`; for a release that is not known, by the rules of which one."""
    from orchestrator.engine.releases import closest_known, is_known

    if is_known(release):
        return f"for vLLM {release}"
    return f"by the rules of vLLM {closest_known(release)} (vLLM {release} is not known here)"
