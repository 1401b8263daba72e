"""The vLLM releases whose flags and rules are known here."""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import lru_cache
from importlib.resources import files

from orchestrator.domain.release import Release

KNOWN_RELEASES: tuple[Release, ...] = tuple(
    Release.of(text)
    for text in json.loads(files("orchestrator.engine").joinpath("releases.json").read_text(encoding="utf-8"))
)
"""Oldest first. The package data of `flags` covers exactly these."""

NEWEST = KNOWN_RELEASES[-1]


def is_known(release: Release) -> bool:
    """Whether the flags of exactly this release are recorded."""
    return release in KNOWN_RELEASES


@lru_cache(maxsize=256)
def closest_known(release: Release) -> Release:
    """The newest known release that is not newer than `release`; the oldest known one when it is older than all."""
    return KNOWN_RELEASES[max(0, bisect_right(KNOWN_RELEASES, release) - 1)]


def release_after(release: Release) -> Release | None:
    """The first known release that is newer; None after the newest."""
    index = bisect_right(KNOWN_RELEASES, release)
    return KNOWN_RELEASES[index] if index < len(KNOWN_RELEASES) else None
