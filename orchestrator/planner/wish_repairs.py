"""Repairs of what a service demands of its replicas and neighbours: one demand less."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.domain.profile import Level, ServiceProfile
from orchestrator.planner.candidacy import Candidacy
from orchestrator.planner.company import Company, Repair, tried


def spread_over_gpus(candidacy: Candidacy, company: Company) -> Repair | None:
    """Replicas on GPUs of their own instead of hosts."""
    profile = candidacy.profile
    if profile.replicas == 1 or profile.spread is Level.GPU:
        return None
    return tried(candidacy, company, replace(profile, spread=Level.GPU), f"set `spread: gpu` for `{candidacy.name}`")


def one_wish_less(candidacy: Candidacy, company: Company) -> Repair | None:
    """One neighbour less to keep away from, or to stay with."""
    for changed, what in _with_one_wish_less(candidacy.profile):
        repair = tried(candidacy, company, changed, f"take {what} of `{candidacy.name}`")
        if repair is not None:
            return repair
    return None


def _with_one_wish_less(profile: ServiceProfile) -> Iterator[tuple[ServiceProfile, str]]:
    for level in Level:
        for name in profile.apart_from.at(level):
            less = profile.apart_from.without(level, name)
            yield replace(profile, apart_from=less), f"`{name}` out of `{level}` under `apart-from`"
        for name in profile.together_with.at(level):
            less = profile.together_with.without(level, name)
            yield replace(profile, together_with=less), f"`{name}` out of `{level}` under `together-with`"


def fewer_replicas(candidacy: Candidacy, company: Company) -> Repair | None:
    """As many replicas as there is room for; with pins, the user would have to say which to give up."""
    profile = candidacy.profile
    if profile.gpus is not None:
        return None
    for count in range(profile.replicas - 1, 0, -1):
        text = f"set `replicas: {count}` for `{candidacy.name}`"
        if (repair := tried(candidacy, company, replace(profile, replicas=count), text)) is not None:
            return repair
    return None
