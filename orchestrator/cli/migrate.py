"""`orchestrate migrate`: writes profiles anew for another vLLM release, all of them or none."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import PATHS_DEFAULT, InventoryOption, OfflineOption, PathsArgument
from orchestrator.cli.release_option import read_release_option
from orchestrator.cli.terminal import colour_wanted, emit, print_findings, remark, unicode_wanted

if TYPE_CHECKING:
    from orchestrator.cli.migrating import Migration
    from orchestrator.domain.release import Release


def migrate(
    paths: PathsArgument = None,
    to: Annotated[str, typer.Option("--to", metavar="RELEASE", help="The vLLM release to go to, up or down.")] = "",
    diff: Annotated[bool, typer.Option("--diff", help="Show the changes as a unified diff and write nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 when something would change (for CI).")
    ] = False,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="IMAGE", help="The image to write where the old one does not say its release."),
    ] = None,
    inventory: InventoryOption = None,
    offline: OfflineOption = False,
) -> None:
    """Rewrite profiles for another vLLM release: the pinned release, its image, and every flag."""
    from orchestrator.cli.migrating import migrate_files

    target = _target(to)
    asked = paths or [PATHS_DEFAULT]
    migration = migrate_files(asked, target, image=image)
    if migration.report.has_errors:
        print_findings(migration.report, migration.before.sources)
        remark(_refusal(migration, asked))
        raise typer.Exit(ExitCode.FINDINGS)
    if not diff and not check:
        _write(migration)
    _show(migration, as_diff=diff)
    print_findings(migration.report, migration.before.sources)
    _compare(migration, inventory, offline=offline)
    _conclude(migration, asked, is_written=not diff and not check)
    if check and migration.texts:
        raise typer.Exit(ExitCode.FINDINGS)


def _target(text: str) -> Release:
    release = read_release_option(text or None, "'--to'")
    if release is None:
        raise typer.BadParameter("say which release to go to, such as `--to 0.32.0`", param_hint="'--to'")
    return release


def _refusal(migration: Migration, asked: Sequence[str]) -> str:
    from orchestrator.cli.fixing import fix_files

    number = sum(1 for finding in migration.report if finding.is_error)
    places = "place is" if number == 1 else "places are"
    lines = [f"nothing was changed: {number} {places} left for a person to decide before vLLM {migration.target}"]
    if fix_files(asked, release=None).fixed:
        arguments = [] if list(asked) == [PATHS_DEFAULT] else list(asked)
        lines.append(f"`{shlex.join(['orchestrate', 'validate', *arguments, '--fix'])}` can do some of that first")
    return "\n".join(lines) + "\n"


def _write(migration: Migration) -> None:
    from orchestrator.adapters.edited_files import EditedFile, write_edited_files
    from orchestrator.domain.diagnostics import Report

    old = migration.before.sources
    files = [EditedFile(file=file, old=old[file], new=text) for file, text in sorted(migration.texts.items())]
    refused = write_edited_files(files)
    if refused is not None:
        print_findings(Report([refused]), {})
        raise typer.Exit(ExitCode.FINDINGS)


def _show(migration: Migration, *, as_diff: bool) -> None:
    from orchestrator.cli.views.changes import render_diff
    from orchestrator.cli.views.migration import render_steps

    if as_diff:
        found = (migration.before.report, migration.after.report)
        emit(render_diff(migration.before.sources, migration.texts, found=found, color=colour_wanted()))
    else:
        emit(render_steps(migration.steps, color=colour_wanted(), unicode=unicode_wanted()))


def _compare(migration: Migration, inventory: str | None, *, offline: bool) -> None:
    """What the services gain or lose, where GPUs to ask about are given or at hand."""
    from orchestrator.cli.comparing import compare_deployments
    from orchestrator.cli.views.migration import render_comparison
    from orchestrator.domain.diagnostics import Report

    report = Report()
    sources = dict(migration.before.sources)
    for compared in compare_deployments(migration, inventory, report, sources, offline=offline):
        emit(render_comparison(compared, color=colour_wanted(), unicode=unicode_wanted()))
    print_findings(report, sources)
    if report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)


def _conclude(migration: Migration, asked: Sequence[str], *, is_written: bool) -> None:
    count = len(migration.texts)
    files = f"{count} file{'' if count == 1 else 's'}"
    arguments = [] if list(asked) == [PATHS_DEFAULT] else list(asked)
    if not count:
        emit(f"Nothing to change: everything is written for vLLM {migration.target} already.\n")
    elif is_written:
        command = shlex.join(["orchestrate", "plan", *arguments])
        emit(f"{files} written for vLLM {migration.target}.\nNext: `{command}` shows where they run.\n")
    else:
        command = shlex.join(["orchestrate", "migrate", *arguments, "--to", str(migration.target)])
        emit(f"{files} would change for vLLM {migration.target}; nothing was written.\nNext: `{command}`\n")
