"""Package data by release: for every name rows of releases, from the first to the last, in which nothing changed."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain.release import Release


def neighbours(release: Release, recorded: Sequence[Release]) -> tuple[Release, Release]:
    """The nearest recorded releases (oldest first) at or below and at or above a release; the same one twice where it
    is recorded itself, or is older or newer than all."""
    below = recorded[max(0, bisect_right(recorded, release) - 1)]
    above = recorded[min(len(recorded) - 1, bisect_left(recorded, release))]
    return min(below, above), max(below, above)


Spec = Mapping[str, object]
"""One thing as the package data writes it."""


def merge_rows(
    document: Mapping[str, Any], release: Release, specs: Mapping[str, Spec], *, rows: str
) -> dict[str, Any]:
    """A document with one more release, which must be newer than those in it (ValueError otherwise). `rows` is the
    document's key that holds the rows of every name."""
    releases: list[str] = list(document.get("releases", ()))
    if releases and Release.of(releases[-1]) >= release:
        raise ValueError(f"{release} is not newer than {releases[-1]}")
    histories = {name: [list(entry) for entry in entries] for name, entries in document.get(rows, {}).items()}
    for name, spec in specs.items():
        entries = histories.setdefault(name, [])
        if entries and entries[-1][1:] == [releases[-1], spec]:
            entries[-1][1] = release.text
        else:
            entries.append([release.text, release.text, spec])
    return {**document, "releases": [*releases, release.text], rows: dict(sorted(histories.items()))}


def rows_text(document: Mapping[str, Any], *, rows: str) -> str:
    """A document as text, one name per line, so that a new release reads well as a diff."""
    head = [f"{_compact(key)}: {_compact(value)}," for key, value in document.items() if key != rows]
    lines = ",\n".join(f"{_compact(name)}: {_compact(entries)}" for name, entries in document[rows].items())
    return "\n".join(["{", *head, f"{_compact(rows)}: {{", lines, "}", "}", ""])


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
