"""Which GPUs, and which zones of them, the tenants still to be placed cannot tell apart."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.planner.entries import Entry, Ground

Classes = list[int]
"""A number per GPU: equal numbers look alike."""


@dataclass(frozen=True, slots=True)
class Alikeness:
    """For every depth of a search the classes of GPUs as the entries from there on see them.

    As long as groups of several GPUs are to come (`by_zone`), GPUs are in one class only if their zones look alike as
    well; GPUs of one class in one zone may change places, and zones whose GPUs have the same classes and the same left
    may change places as a whole. Afterwards zones count no more.
    """

    classes: list[Classes]
    by_zone: list[bool]


def alikeness(ground: Ground, entries: Sequence[Entry], ruled: Sequence[frozenset[int]]) -> Alikeness:
    """`entries` in the order in which they are placed; `ruled` are the numbers of the rules for each of them."""
    classes: list[Classes] = [[0] * len(ground.free)]
    by_zone = [False]
    flat, zoned = classes[0], classes[0]
    seen: set[int] = set()
    rules_seen: set[int] = set()
    for entry, rules in zip(reversed(entries), reversed(ruled), strict=True):
        groups_to_come = by_zone[-1] or bool(entry.groups)
        for number in sorted(rules - rules_seen):
            if not ground.rules[number].is_per_gpu:
                flat = _refined(flat, ground.rules[number].zones)
                zoned = _refined(zoned, ground.rules[number].zones)
        rules_seen |= rules
        if id(entry) not in seen:
            seen.add(id(entry))
            flat = _refined(flat, entry.looks)
            zoned = _refined(zoned, entry.zone_looks)
        by_zone.append(groups_to_come)
        classes.append(zoned if groups_to_come else flat)
    classes.reverse()
    by_zone.reverse()
    return Alikeness(classes, by_zone)


def _refined(row: Classes, looks: Iterable[Hashable]) -> Classes:
    names: dict[tuple[int, Hashable], int] = {}
    refined = [names.setdefault((old, look), len(names)) for old, look in zip(row, looks, strict=True)]
    return row if len(names) == len(set(row)) else refined
