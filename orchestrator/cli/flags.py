"""`orchestrate flags`: the flags of a release, the history of one, and the changes that an upgrade brings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from orchestrator.cli.options import PATHS_DEFAULT
from orchestrator.cli.release_option import read_release_option
from orchestrator.cli.terminal import colour_wanted, emit, emit_document, print_findings, width_of_terminal
from orchestrator.domain.diagnostics import Report, repeated
from orchestrator.domain.release import Release

if TYPE_CHECKING:
    from orchestrator.engine.flags import FlagHistory


class Chosen(NamedTuple):
    """A known release and why it is the one that is meant."""

    release: Release
    why: str


def flags(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME|PATH", help="A flag, for its history; with --from or --to, profiles."),
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", metavar="RELEASE", help="Another release than the pinned one.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="RELEASE", help="List what changes from here; default: pinned.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="RELEASE", help="List what changes to here; default: the newest.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the flags of a vLLM release, the history of a flag, or what an upgrade changes."""
    if start is None and end is None:
        chosen = _chosen(release)
        histories = [_history(name, chosen.release) for name in dict.fromkeys(names or ())]
        _show_flags(chosen, histories, as_json=as_json)
        return
    if release is not None:
        raise typer.BadParameter("not together with --from and --to", param_hint="'--release'")
    here, there = _both_ends(start, end)
    _show_changes(here, there, names or [], as_json=as_json)


def _chosen(option: str | None, hint: str = "'--release'") -> Chosen:
    from orchestrator.cli.profile_documents import pinned_release
    from orchestrator.engine.releases import NEWEST, closest_known, is_known

    asked = read_release_option(option, hint)
    if asked is not None:
        return Chosen(asked, "as asked")
    pinned = pinned_release(PATHS_DEFAULT) if os.path.isdir(PATHS_DEFAULT) else None
    if pinned is None:
        return Chosen(NEWEST, "the newest known here")
    release, file = pinned
    if is_known(release):
        return Chosen(release, f"pinned by {file}")
    return Chosen(closest_known(release), f"the nearest to {release}, which {file} pins and nobody knows here")


def _both_ends(start: str | None, end: str | None) -> tuple[Chosen, Chosen]:
    from orchestrator.engine.releases import NEWEST

    here = _chosen(start, "'--from'")
    asked = read_release_option(end, "'--to'")
    there = Chosen(NEWEST, "the newest known here") if asked is None else Chosen(asked, "as asked")
    if here.release == there.release:
        raise typer.BadParameter(f"vLLM {here.release} ({here.why}) is where you start", param_hint="'--to'")
    return here, there


def _history(name: str, release: Release) -> FlagHistory:
    """The history of a flag by any of its names; typer.BadParameter with the nearest names where there is none."""
    from difflib import get_close_matches

    from orchestrator.engine.flags import all_names, find_named, flag_with_short_name, history, plain_name

    head = plain_name(name.strip().removeprefix("--")).partition(".")[0]
    meaning, short = find_named(head, release), flag_with_short_name(head, release)
    other = meaning.flag if meaning is not None else short
    found = history(head) or (history(other.name) if other is not None else None)
    if found is not None:
        return found
    near = get_close_matches(head, all_names(), n=3, cutoff=0.6)
    offer = f"did you mean {' or '.join(near)}?" if near else "`orchestrate flags` lists those of a release"
    raise typer.BadParameter(f"no vLLM release has a flag {repeated(name, 60)!r}; {offer}", param_hint="'NAME'")


def _show_flags(chosen: Chosen, histories: list[FlagHistory], *, as_json: bool) -> None:
    from orchestrator.cli.views.flags import histories_text, release_text
    from orchestrator.cli.views.flags_json import histories_json, release_json
    from orchestrator.cli.views.paper import Page

    if as_json:
        made = histories_json(histories, chosen.release) if histories else release_json(chosen.release)
        emit_document(made)
        return
    page = Page(width_of_terminal(), colour_wanted())
    if histories:
        emit(histories_text(histories, chosen.release, chosen.why, page))
    else:
        emit(release_text(chosen.release, chosen.why, page))


def _show_changes(here: Chosen, there: Chosen, paths: list[str], *, as_json: bool) -> None:
    from orchestrator.cli.exit_codes import ExitCode
    from orchestrator.cli.profile_documents import used_flags
    from orchestrator.cli.views.flag_changes import Upgrade, upgrade_json, upgrade_text
    from orchestrator.cli.views.paper import Page
    from orchestrator.engine.flag_changes import changes_between
    from orchestrator.memory.rule_changes import rule_changes

    report = Report()
    looked_in = paths or ([PATHS_DEFAULT] if os.path.isdir(PATHS_DEFAULT) else [])
    used = used_flags(looked_in, (here.release, there.release), report)
    print_findings(report, {})
    if report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)
    upgrade = Upgrade(
        here=here.release,
        there=there.release,
        why=f"{here.release}: {here.why}; {there.release}: {there.why}",
        paths=tuple(looked_in),
        changes=changes_between(here.release, there.release),
        used=used,
        memory=rule_changes(here.release, there.release),
    )
    if as_json:
        emit_document(upgrade_json(upgrade))
    else:
        emit(upgrade_text(upgrade, Page(width_of_terminal(), colour_wanted())))
