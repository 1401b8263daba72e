"""What profiles demand of each other, as rules of the search: replicas apart, `apart-from`, `together-with`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from orchestrator.domain.profile import KeyPath, Level, ServiceProfile
from orchestrator.planner.problem import Rule
from orchestrator.planner.seats import Seat, listed


def rules_for(profiles: Iterable[ServiceProfile], seats: tuple[Seat, ...]) -> tuple[Rule, ...]:
    """The rules, the same in whatever order the profiles come; who is not among them binds nobody."""
    hosts = sorted({seat.host.name for seat in seats})
    zones = {
        Level.GPU: tuple(range(len(seats))),
        Level.HOST: tuple(hosts.index(seat.host.name) for seat in seats),
    }
    services = {each.service: each for each in profiles}
    return tuple(
        dict.fromkeys(
            Rule(members=frozenset(members), zones=zones[level], together=together)
            for name in sorted(services)
            for members, level, together in _groups(services[name], services)
        )
    )


_Group = tuple[tuple[str, ...], Level, bool]


def _groups(profile: ServiceProfile, services: dict[str, ServiceProfile]) -> Iterator[_Group]:
    """Names that keep apart or stay together, and on which level."""
    if profile.replicas > 1:
        yield profile.instances, profile.spread, False
    for level in Level:
        for name in sorted({*profile.apart_from.at(level)} & services.keys()):
            yield from ((pair, level, False) for pair in product(profile.instances, services[name].instances))
        for name in sorted({*profile.together_with.at(level)} & services.keys()):
            yield from ((members, level, True) for members in _partners(profile, services[name]))


def _partners(one: ServiceProfile, other: ServiceProfile) -> Iterator[tuple[str, ...]]:
    """As many replicas on both sides go in pairs, by their numbers; else all of them stay together."""
    if one.replicas == other.replicas:
        yield from zip(one.instances, other.instances, strict=True)
    else:
        yield (*one.instances, *other.instances)


def wish_about(profile: ServiceProfile, others: tuple[ServiceProfile, ...]) -> KeyPath | None:
    """The key under which a profile demands something of one of these; that of replicas where two of them are there."""
    services = {each.service for each in others}
    if sum(each.service == profile.service for each in others) > 1:
        return ("replicas",)
    for key, neighbours in (("apart-from", profile.apart_from), ("together-with", profile.together_with)):
        for level in Level:
            for number, name in enumerate(neighbours.at(level)):
                if name in services:
                    return (key, level.value, number)
    return None


def wishes_in_words(profiles: tuple[ServiceProfile, ...]) -> Iterator[str]:
    """What these demand of each other, a line for each wish, in the words of the profiles."""
    services = {each.service: each for each in profiles}
    present = {each.name for each in profiles}
    for profile in services.values():
        replicas = [f"`{name}`" for name in profile.instances if name in present]
        if profile.replicas > 1 and len(replicas) > 1:
            yield f"{listed(replicas)} are replicas: each on a {_zone(profile.spread)} of its own"
        for level in Level:
            for name in (each for each in profile.apart_from.at(level) if each in services):
                yield f"`{profile.service}` keeps away from `{name}`: no {_zone(level)} for both"
            for name in (each for each in profile.together_with.at(level) if each in services):
                yield f"`{profile.service}` stays together with `{name}`: one {_zone(level)} for both"


def _zone(level: Level) -> str:
    return "GPU" if level is Level.GPU else "host"
