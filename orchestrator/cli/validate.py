"""`orchestrate validate`: checks every profile without a GPU, a network or Docker."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import PATHS_DEFAULT, FormatOption, PathsArgument
from orchestrator.cli.release_option import read_release_option
from orchestrator.cli.terminal import colour_wanted, emit, print_findings, remark
from orchestrator.cli.views.diagnostics import FindingsFormat
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.release import Release

if TYPE_CHECKING:
    from orchestrator.cli.project import CheckedFiles
    from orchestrator.domain.profile import Deployment


def validate(
    paths: PathsArgument = None,
    output_format: FormatOption = FindingsFormat.FULL,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="RELEASE", help="Check against this vLLM release, not the pinned one."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Apply the fixes that are certain, each only if the result is better.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="With `--fix`: show the changes and write nothing.")] = False,
) -> None:
    """Check profiles: keys, values, flags of the pinned release, and what services cannot have at once."""
    from orchestrator.cli.project import check_files
    from orchestrator.cli.views.diagnostics import render_findings, summary

    asked = paths or [PATHS_DEFAULT]
    if diff and not fix:
        raise typer.BadParameter("`--diff` shows what `--fix` would change: give both", param_hint="'--diff'")
    chosen = read_release_option(release)
    checked = check_files(asked, release=chosen, with_models=True)
    if diff:
        _show_fixes(asked, chosen, checked)
        return
    if fix:
        checked = _fixed(asked, chosen, checked)
    findings = checked.report.in_order()
    color = output_format is FindingsFormat.FULL and colour_wanted()
    emit(render_findings(findings, checked.sources, output_format, color=color))
    remark(f"{summary(findings, len(checked.sources))}\n{_fixable(asked, chosen, checked, was_asked=fix)}")
    if checked.report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)
    if output_format is FindingsFormat.FULL:
        emit("\n".join(_what_was_checked(asked, checked)) + "\n")


def _show_fixes(asked: Sequence[str], release: Release | None, before: CheckedFiles) -> None:
    from orchestrator.cli.fixing import fix_files
    from orchestrator.cli.views.changes import render_diff
    from orchestrator.cli.views.diagnostics import summary

    fixed = fix_files(asked, release=release)
    found = (before.report, fixed.checked.report)
    emit(render_diff(before.sources, fixed.texts, found=found, color=colour_wanted()))
    left = summary(fixed.checked.report.in_order(), len(fixed.checked.sources))
    remark(f"{_counted(fixed.fixed)} would be fixed in {_files(fixed.texts)}; {left} would be left\n")
    if fixed.texts or before.report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)


def _fixed(asked: Sequence[str], release: Release | None, before: CheckedFiles) -> CheckedFiles:
    """What is left after the fixes were written."""
    from orchestrator.adapters.edited_files import EditedFile, write_edited_files
    from orchestrator.cli.fixing import fix_files

    fixed = fix_files(asked, release=release)
    files = [EditedFile(file=file, old=before.sources[file], new=text) for file, text in sorted(fixed.texts.items())]
    refused = write_edited_files(files)
    if refused is not None:
        print_findings(Report([refused]), {})
        raise typer.Exit(ExitCode.FINDINGS)
    remark(f"fixed {_counted(fixed.fixed)} in {_files(fixed.texts)}\n" if files else "nothing that is certain to fix\n")
    return fixed.checked


def _counted(number: int) -> str:
    return f"{number} finding{'' if number == 1 else 's'}"


def _files(texts: Mapping[str, str]) -> str:
    return f"{len(texts)} file{'' if len(texts) == 1 else 's'}"


def _fixable(asked: Sequence[str], release: Release | None, checked: CheckedFiles, *, was_asked: bool) -> str:
    """How many findings `--fix` would mend; found out by mending them in memory."""
    from orchestrator.cli.fixing import fix_files

    if was_asked or not any(finding.fix for finding in checked.report):
        return ""
    number = fix_files(asked, release=release).fixed
    if not number:
        return ""
    command = shlex.join(["orchestrate", "validate", *([] if list(asked) == [PATHS_DEFAULT] else asked), "--fix"])
    return f"{_counted(number)} can be fixed: `{command}` (`--diff` shows how)\n"


def _what_was_checked(asked: Sequence[str], checked: CheckedFiles) -> list[str]:
    lines = [
        f"{each.project}: {_services_of(each)} valid {_by_which_rules(each.release)}." for each in checked.deployments
    ]
    command = shlex.join(["orchestrate", "plan", *([] if list(asked) == [PATHS_DEFAULT] else asked)])
    return [*lines, f"Next: `{command}` shows where they run and whether they start."]


def _services_of(deployment: Deployment) -> str:
    """`3 services`; with replicas `3 services (5 containers)`."""
    count = len({each.service for each in deployment.services})
    containers = f" ({len(deployment.services)} containers)" if len(deployment.services) > count else ""
    return f"{count} service{'' if count == 1 else 's'}{containers}"


def _by_which_rules(release: Release) -> str:
    """`for vLLM 0.32.0`; for a release that is not known, by the rules of which one."""
    from orchestrator.engine.releases import closest_known, is_known

    if is_known(release):
        return f"for vLLM {release}"
    return f"by the rules of vLLM {closest_known(release)} (vLLM {release} is not known here)"
