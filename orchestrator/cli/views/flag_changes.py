"""What an upgrade (or the way back) changes, for people: what the project uses first, then the rest; and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.cli.views.flags import difference_in_words
from orchestrator.cli.views.flags_json import JSON_VERSION, as_text, change_as_dict
from orchestrator.cli.views.paper import Page
from orchestrator.domain.diagnostics import Span
from orchestrator.domain.release import Release
from orchestrator.engine.flag_changes import ChangeKind, FlagChange, takes_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """From one release to another. `used` says where the profiles under `paths` write a flag, `memory` what the rules
    about memory do to the same profile, in sentences, `why` how the two releases were chosen."""

    here: Release
    there: Release
    why: str
    paths: tuple[str, ...]
    changes: tuple[FlagChange, ...]
    used: Mapping[str, Sequence[Span]]
    memory: tuple[str, ...]

    @property
    def is_upwards(self) -> bool:
        return self.here < self.there


def upgrade_text(upgrade: Upgrade, page: Page) -> str:
    """The whole list."""
    kinds = [(kind, sum(each.kind is kind for each in upgrade.changes)) for kind in ChangeKind]
    counts = ", ".join(f"{number} {kind.value}" for kind, number in kinds)
    page.line(page.bold(f"vLLM {upgrade.here} to {upgrade.there}: {counts}"))
    page.hanging("  ", upgrade.why)
    _used_here(upgrade, page)
    if upgrade.memory:
        page.line()
        page.line(page.bold("memory, for the same profile"))
        for sentence in upgrade.memory:
            page.hanging("  - ", sentence)
    _others(upgrade, page)
    page.line()
    command = shlex.join(["orchestrate", "validate", *upgrade.paths, "--release", upgrade.there.text])
    page.hanging("Next: ", f"`{command}` checks the profiles against it.")
    return page.text()


def _used_here(upgrade: Upgrade, page: Page) -> None:
    if not upgrade.paths:
        return
    where = ", ".join(upgrade.paths)
    touched = [each for each in upgrade.changes if each.name in upgrade.used and not each.is_spelling_only]
    page.line()
    page.line(page.bold(f"used in {where}") + ("" if touched else "  nothing that changes"))
    for change in touched:
        page.hanging(f"  {change.name}  ", _in_words(change, upgrade))
        for place in upgrade.used[change.name]:
            page.line(f"      {place.file}:{place.line}:{place.column}")


def _others(upgrade: Upgrade, page: Page) -> None:
    others = [each for each in upgrade.changes if each.name not in upgrade.used]
    for kind in (ChangeKind.REMOVED, ChangeKind.CHANGED):
        rows = [each for each in others if each.kind is kind and not each.is_spelling_only]
        _section(page, kind.value, ((each.name, _in_words(each, upgrade)) for each in rows))
    added = [each for each in others if each.kind is ChangeKind.ADDED]
    _section(page, "added", ((each.name, _arrival(each, upgrade)) for each in added))
    spelt = [each.name for each in upgrade.changes if each.is_spelling_only]
    if spelt:
        page.line()
        page.line(page.bold("spelt otherwise on the command line only; profiles stay as they are"))
        page.hanging("  ", ", ".join(spelt))


def _section(page: Page, title: str, rows: Iterator[tuple[str, str]]) -> None:
    told = list(rows)
    if told:
        page.line()
        page.line(page.bold(title))
        page.table(("", ""), told, indent=2, whole_first=True)


def _in_words(change: FlagChange, upgrade: Upgrade) -> str:
    if change.kind is ChangeKind.ADDED:
        return _arrival(change, upgrade)
    if change.kind is ChangeKind.REMOVED:
        word = f"removed in {change.turns[-1]}" if upgrade.is_upwards else f"not there before {change.turns[0]}"
        return f"{word}; {change.instead}" if change.instead else word
    words = "; ".join(difference_in_words(each) for each in change.differences)
    return f"{words} (in {', '.join(each.text for each in change.turns)})"


def _arrival(change: FlagChange, upgrade: Upgrade) -> str:
    takes = takes_in_words(change.after) if change.after else ""
    when = f"since {change.turns[0]}" if upgrade.is_upwards else f"until {change.turns[-1]} came"
    return f"{when}; {takes}"


def upgrade_json(upgrade: Upgrade) -> str:
    """For programs: `used` holds the places in the profiles, empty for what they do not write."""
    changes = [
        {
            **change_as_dict(each),
            "used": [
                {"file": place.file, "line": place.line, "column": place.column}
                for place in upgrade.used.get(each.name, ())
            ],
        }
        for each in upgrade.changes
    ]
    document = {
        "version": JSON_VERSION,
        "from": upgrade.here.text,
        "to": upgrade.there.text,
        "paths": list(upgrade.paths),
        "changes": changes,
        "memory": list(upgrade.memory),
    }
    return as_text(document)
