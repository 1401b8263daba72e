"""Which releases a record may be of: its own words, its author's hint, else every release that knows the model."""

from __future__ import annotations

import re

from orchestrator.domain.release import Release
from orchestrator.domain.startup import StartupInputs
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.releases import KNOWN_RELEASES, closest_known, release_after

_ANY_VERSION = r"(\d+)\.(\d+)(?:\.(\d+))?(?:\.(post\d+|\d+))?"
_VERSION = re.compile(_ANY_VERSION)
_DEVELOPMENT = re.compile(rf"{_ANY_VERSION}(?:rc\d+)?[.-]dev")
_FORK = re.compile(r"fork|derivative|patched", re.IGNORECASE)
_FIRST_BY_ARCHITECTURE = {
    "Qwen3ForCausalLM": "0.8.4",
    "Qwen3MoeForCausalLM": "0.8.4",
    "Gemma3ForCausalLM": "0.8.0",
    "Gemma3ForConditionalGeneration": "0.8.0",
    "Mistral3ForConditionalGeneration": "0.8.0",
    "Glm4MoeForCausalLM": "0.10.0",
    "GptOssForCausalLM": "0.10.1",
    "Qwen3NextForCausalLM": "0.10.2",
    "Qwen3VLForConditionalGeneration": "0.11.0",
    "Qwen3VLMoeForConditionalGeneration": "0.11.0",
    "MiniMaxM2ForCausalLM": "0.11.1",
    "KimiK25ForConditionalGeneration": "0.15.0",
    "Qwen3_5ForConditionalGeneration": "0.17.0",
    "Qwen3_5MoeForConditionalGeneration": "0.17.0",
}
"""The first release whose model registry has an architecture; what is not named here runs on every release."""


def possible_releases(inputs: StartupInputs, architecture: str) -> tuple[Release, ...] | str:
    """The known releases that a record may be of, oldest first, or why none is.

    A development version lies between two releases, so it may be like either. A record without a release may be of
    any that has the model's architecture and the engine.
    """
    written = inputs.release or inputs.release_hint
    if written is None:
        first = first_release(architecture)
        return tuple(each for each in KNOWN_RELEASES if each >= first and _has_engine(each, inputs.engine))
    if _FORK.search(written):
        return f"vLLM `{written}` is a fork or patched: its rules are not known"
    found = _named(written)
    if not found:
        return f"no release can be read from `{written}`"
    if found[-1] < KNOWN_RELEASES[0]:
        return f"vLLM {found[-1]} is older than {KNOWN_RELEASES[0]}, the first whose rules are known"
    return found


def first_release(architecture: str) -> Release:
    return Release.of(_FIRST_BY_ARCHITECTURE.get(architecture, KNOWN_RELEASES[0].text))


def _has_engine(release: Release, engine: str | None) -> bool:
    """Whether a release can run that engine without being told to: both came with some."""
    rules = memory_rules(release)
    return rules.v1_engine if engine == "V1" else engine != "V0" or not rules.v1_engine or rules.falls_back_to_v0


def _named(text: str) -> tuple[Release, ...]:
    text = re.split(r"\s\(", text)[0]
    versions = [_release(match) for match in _VERSION.finditer(text)]
    if not versions:
        return KNOWN_RELEASES[-1:] if text.startswith("main") else ()
    if _DEVELOPMENT.search(text):
        return _around(closest_known(_release_before(versions[0])))
    if text.startswith(">="):
        return tuple(each for each in KNOWN_RELEASES if each >= versions[0])
    if len(versions) == 2 and re.search(r"\d\s*-\s*\d", text):
        return tuple(each for each in KNOWN_RELEASES if versions[0] <= each and _belongs(each, versions[1], text))
    listed = tuple(known for version in versions for known in _all_like(version, text))
    return tuple(sorted(set(listed)))


def _around(before: Release) -> tuple[Release, ...]:
    """The release that development went on from, and what was released next from there, patch or not."""
    after = release_after(before)
    next_minor = next((each for each in KNOWN_RELEASES if each.parts[:2] > before.parts[:2]), None)
    return tuple(sorted({each for each in (before, after, next_minor) if each is not None}))


def _release(match: re.Match[str]) -> Release:
    major, minor, patch, post = match.groups()
    text = f"{major}.{minor}.{patch or 0}" + (f".{post}" if post else "")
    release = Release.parse(text)
    return release if release is not None else Release.of(f"{major}.{minor}.{patch or 0}")


def _release_before(version: Release) -> Release:
    """A development version `0.28.1rc1.dev9` counts on from 0.28.0, `0.10.0.dev9` from the last of 0.9."""
    earlier = [each for each in KNOWN_RELEASES if each.parts[:3] < version.parts[:3]]
    return earlier[-1] if earlier else version


def _has_patch(version: Release, text: str) -> bool:
    return re.search(rf"(?<![\d.]){re.escape('.'.join(map(str, version.parts[:3])))}", text) is not None


def _belongs(known: Release, last: Release, text: str) -> bool:
    """Whether a known release is not after `last`; `0.10` stands for all of its patch releases."""
    return known <= last or (not _has_patch(last, text) and known.parts[:2] == last.parts[:2])


def _all_like(version: Release, text: str) -> tuple[Release, ...]:
    if _has_patch(version, text):
        return (closest_known(version),) if version >= KNOWN_RELEASES[0] else (version,)
    same = tuple(each for each in KNOWN_RELEASES if each.parts[:2] == version.parts[:2])
    return same or (closest_known(version),)
