"""Flags as a person reads them: all of a release, and one through all releases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.cli.views.paper import Page
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import COUNTED_ON
from orchestrator.engine.canonical import ROPE_FLAGS
from orchestrator.engine.checks import reserved
from orchestrator.engine.flag_changes import (
    ChangeKind,
    Difference,
    changes_between,
    default_in_words,
    differences,
    false_in_words,
    predecessor_of,
    successor_of,
    takes_in_words,
    type_in_words,
)
from orchestrator.engine.flag_rules import RANGES
from orchestrator.engine.flags import Flag, FlagHistory, FlagSpan, flags
from orchestrator.engine.releases import KNOWN_RELEASES, release_after


def release_text(release: Release, why: str, page: Page) -> str:
    """The flags of a release as a table, and how they differ from the release before."""
    known = flags(release)
    page.line(page.bold(f"vLLM {release}: {len(known)} flags") + f"  ({why})")
    page.line()
    page.table(("flag", "takes", "default"), (_row(each) for each in known.values()), whole_first=True)
    page.hanging("* ", "refused in profiles: orchestrate sets it itself, or it does not go with containers")
    older = release_before(release)
    if older is not None:
        page.line()
        _against(older, release, page)
    page.line()
    page.line("Next: `orchestrate flags NAME` shows the history of one.")
    return page.text()


def _row(flag: Flag) -> tuple[str, ...]:
    return flag.name + (" *" if reserved(flag.name) else ""), takes_in_words(flag), default_in_words(flag)


def release_before(release: Release) -> Release | None:
    """The known release just before."""
    place = KNOWN_RELEASES.index(release)
    return KNOWN_RELEASES[place - 1] if place else None


def _against(older: Release, release: Release, page: Page) -> None:
    changes = [each for each in changes_between(older, release) if not each.is_spelling_only]
    page.line(page.bold(f"against vLLM {older}") + ("" if changes else "  nothing changed"))
    for kind in (ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED):
        names = [each.name for each in changes if each.kind is kind]
        if names:
            page.hanging(f"  {kind.value:<9}", ", ".join(names))


def histories_text(histories: Sequence[FlagHistory], release: Release, why: str, page: Page) -> str:
    """One flag or several: what they are in a release, what orchestrate makes of them, and what they were."""
    for number, each in enumerate(histories):
        if number:
            page.line()
        _tell(each, release, why, page)
    return page.text()


def _tell(past: FlagHistory, release: Release, why: str, page: Page) -> None:
    flag = flags(release).get(past.name)
    page.line(page.bold(past.name) + f"  vLLM {release} ({why})")
    if flag is None:
        page.hanging("  ", _absence(past, release))
    else:
        for what, words in described(flag):
            page.hanging(f"  {what:<12}", words)
    for sentence in roles(past.name):
        page.hanging(f"  {'here':<12}", sentence)
    page.line()
    page.line(page.bold("history"))
    rows = list(told(past))
    width = max(len(stretch) for stretch, _ in rows) + 2
    for stretch, what in rows:
        page.hanging(f"  {stretch:<{width}}", what)


def described(flag: Flag) -> Iterator[tuple[str, str]]:
    """What a flag is in one release, fact by fact."""
    yield "takes", type_in_words(flag)
    if flag.choices:
        yield "choices", ", ".join(str(choice) for choice in flag.choices)
    yield "default", default_in_words(flag)
    if false_in_words(flag):
        yield "false", false_in_words(flag)
    if flag.aliases:
        yield "other names", ", ".join(flag.aliases)
    if flag.deprecated:
        yield "deprecated", "a later release will refuse it"


def _absence(past: FlagHistory, release: Release) -> str:
    if release < past.first:
        back = predecessor_of(past.name, release)
        return f"not there yet: first in {past.first}" + (f"; {back}" if back else "")
    last = max(span.last for span in past.spans if span.last < release)
    instead = successor_of(past.name, release)
    return f"no longer there: removed in {release_after(last)}" + (f"; {instead}" if instead else "")


def roles(name: str) -> Iterator[str]:
    """What a flag means to orchestrate beyond what vLLM's parser says."""
    refused = reserved(name)
    if refused is not None:
        why, instead = refused
        yield f"refused in profiles: {why}; {instead}"
    if name in ROPE_FLAGS:
        yield "understood for every release, and turned into what the release wants"
    if name in COUNTED_ON:
        yield "always written out, even at its default: the plan counts on it"
    if name in RANGES:
        yield f"checked: {RANGES[name].described()}"


def told(past: FlagHistory) -> Iterator[tuple[str, str]]:
    """The life of a flag: what it was at first, and what changed when; with the releases that it stayed so."""
    rows: list[tuple[Release, Release, str]] = []
    earlier: FlagSpan | None = None
    for span in past.spans:
        gone = release_after(earlier.last) if earlier is not None else None
        if earlier is None or gone != span.first:
            rows += [(gone, gone, "removed")] if gone else []
            rows.append((span.first, span.last, "; ".join(f"{what} {words}" for what, words in described(span.flag))))
        else:
            words = "; ".join(difference_in_words(each) for each in differences(earlier.flag, span.flag))
            before = rows.pop() if not words else None
            rows.append((before[0] if before else span.first, span.last, before[2] if before else words))
        earlier = span
    gone = release_after(past.last)
    rows += [(gone, gone, "removed")] if gone else []
    return ((first.text if first == last else f"{first} to {last}", words) for first, last, words in rows)


def difference_in_words(each: Difference) -> str:
    """`default 0.92, was 0.9`; of lists what is new and what is gone."""
    if each.what in ("choices", "other names") and "any" not in (*each.before, *each.after):
        news = [f"new {', '.join(each.after)}"] if each.after else []
        gone = [f"gone {', '.join(each.before)}"] if each.before else []
        return f"{each.what}: {'; '.join([*news, *gone])}"
    before, after = (", ".join(side) or "none" for side in (each.before, each.after))
    return f"{each.what}: {after} (was {before})"
