"""The vLLM releases whose flags and rules are known here."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from orchestrator.domain.release import Release

KNOWN_RELEASES: tuple[Release, ...] = tuple(
    Release.of(text)
    for text in (
        "0.6.0",
        "0.6.1.post2",
        "0.6.2",
        "0.6.3.post1",
        "0.6.4",
        "0.6.4.post1",
        "0.6.5",
        "0.6.6",
        "0.6.6.post1",
        "0.7.0",
        "0.7.1",
        "0.7.2",
        "0.7.3",
        "0.8.0",
        "0.8.1",
        "0.8.2",
        "0.8.3",
        "0.8.4",
        "0.8.5",
        "0.8.5.post1",
        "0.9.0",
        "0.9.0.1",
        "0.9.1",
        "0.9.2",
        "0.10.0",
        "0.10.1",
        "0.10.1.1",
        "0.10.2",
        "0.11.0",
        "0.11.1",
        "0.11.2",
        "0.12.0",
        "0.13.0",
        "0.14.0",
        "0.14.1",
        "0.15.0",
        "0.15.1",
        "0.16.0",
        "0.17.0",
        "0.17.1",
        "0.18.0",
        "0.18.1",
        "0.19.0",
        "0.19.1",
        "0.20.0",
        "0.20.1",
        "0.20.2",
        "0.21.0",
        "0.22.0",
        "0.22.1",
        "0.23.0",
        "0.24.0",
        "0.25.0",
        "0.25.1",
        "0.26.0",
        "0.27.0",
        "0.27.1",
        "0.28.0",
        "0.29.0",
        "0.30.0",
        "0.31.0",
        "0.32.0",
        "0.33.0",
    )
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
