"""The key `vllm-release` of a deployment file: what it says, and whether its rules are known."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.config.yaml_nodes import MappingNode, ScalarNode
from orchestrator.domain.diagnostics import Diagnostic, Severity
from orchestrator.domain.profile import Places
from orchestrator.domain.release import Release
from orchestrator.engine.releases import KNOWN_RELEASES, NEWEST, closest_known, is_known

KEY = "vllm-release"


def readable_release(root: MappingNode) -> Release | None:
    """The release that is pinned; None where there is none, or none that can be read."""
    entry = root.entries.get(KEY)
    node = entry.node if entry else None
    return Release.parse(node.value) if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def check_release(release: Release, places: Places) -> Iterator[Diagnostic]:
    """An error for a release before all known ones, a warning for one that is not among them."""
    oldest = KNOWN_RELEASES[0]
    span = places.value((KEY,))
    if is_known(release):
        return
    known = f"known are the releases from {oldest} to {NEWEST}"
    if release < oldest:
        message = f"vLLM {release} is older than any release known here"
        yield Diagnostic(code="E140", message=message, span=span, notes=(known,), help=(f"pin {oldest} or later",))
        return
    rules = closest_known(release)
    yield Diagnostic(
        code="W133",
        message=f"vLLM {release} is not known here",
        severity=Severity.WARNING,
        span=span,
        label=f"checked by the rules of {rules}",
        notes=(known,),
        help=(f"pin {rules}, or update orchestrate",),
    )


def note_about_stand_in(places: Places) -> Diagnostic:
    """Where no release can be read: by the rules of which one the flags were checked all the same."""
    return Diagnostic(
        code="N102",
        message=f"flags were checked against vLLM {NEWEST}, the newest known release",
        severity=Severity.NOTE,
        span=places.key((KEY,)),
        notes=(f"`{KEY}` does not say which release runs",),
        help=("correct it: another release may have other flags",),
    )
