"""What a release does differently although nobody wrote a word: defaults whose change a service notices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flags import flags


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultChange:
    """From `since` on, `after` counts where `before` counted, unless one of `flags` is written.

    `keep` and `keep_back` are what a person can write to have the other behaviour in the newer and the older release
    (empty where no release offers it).
    """

    since: Release
    flags: tuple[str, ...]
    before: str
    after: str
    keep: str = ""
    keep_back: str = ""


DEFAULT_CHANGES: tuple[DefaultChange, ...] = (
    DefaultChange(
        since=Release.of("0.8.0"),
        flags=("generation-config",),
        before="vLLM's own sampling defaults count",
        after="the model's own sampling defaults count (its generation_config.json)",
        keep="generation-config: vllm",
        keep_back="generation-config: auto",
    ),
    DefaultChange(
        since=Release.of("0.8.0"),
        flags=("enable-prefix-caching",),
        before="prefixes are not cached",
        after="prefixes are cached",
        keep="enable-prefix-caching: false",
        keep_back="enable-prefix-caching: true",
    ),
    DefaultChange(
        since=Release.of("0.10.1"),
        flags=("enable-log-requests", "disable-log-requests"),
        before="every request is logged",
        after="requests are not logged",
        keep="enable-log-requests: true",
        keep_back="disable-log-requests: true",
    ),
    DefaultChange(
        since=Release.of("0.14.0"),
        flags=("async-scheduling",),
        before="batches are scheduled one after the other",
        after="the next batch is scheduled while one runs, where that is possible",
        keep="async-scheduling: false",
        keep_back="async-scheduling: true",
    ),
    DefaultChange(
        since=Release.of("0.20.0"),
        flags=("gpu-memory-utilization", "kv-cache-memory-bytes"),
        before="`gpu-memory-utilization` is 0.90",
        after="`gpu-memory-utilization` is 0.92",
        keep="gpu-memory-utilization: 0.9",
        keep_back="gpu-memory-utilization: 0.92",
    ),
)
"""Read in the parsers and sources of the releases; oldest first. Sizes that follow from the card are no defaults."""


def changed_defaults(
    vllm: Mapping[str, FlagValue], source: Release, target: Release
) -> Iterator[tuple[DefaultChange, str]]:
    """The changes between two releases that a service notices, in either direction, with what keeps things as they
    were (empty where nothing does)."""
    written = canonical_flags(vllm, target)
    low, high = sorted((source, target))
    for change in DEFAULT_CHANGES:
        if not low < change.since <= high or any(flag in written for flag in change.flags):
            continue
        keep = change.keep if source < target else change.keep_back
        yield change, keep if keep.partition(":")[0] in flags(target) else ""
