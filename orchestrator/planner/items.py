"""Tenants at fixed claims: what the packing places, and what must hold wherever they may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.planner.entries import Entry, Group

_MOST_THRESHOLDS = 64
"""Sizes of claims for which places are counted before a search; more are left to the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A tenant with the bytes that each of its options takes.

    `singles` are (GPU, claim, option, whether it is a move), `groups` the same for several GPUs. `skip` is the number
    of the budget that leaving it out draws from, where it may be left out. `rules` are the numbers of its rules.
    """

    entry: Entry
    singles: tuple[tuple[int, int, int, bool], ...]
    groups: tuple[tuple[Group, tuple[int, ...], bool], ...]
    exclusive: bool = False
    rules: frozenset[int] = frozenset()
    skip: int | None = None
    demand: int = 0
    claim: int = 0
    width: int = 1
    """The least that it takes: bytes in all, bytes on one GPU, and GPUs."""

    @property
    def is_possible(self) -> bool:
        return bool(self.singles or self.groups) or self.skip is not None

    @property
    def difficulty(self) -> tuple[bool, int, int]:
        """Sorts items: those with one place first, then groups of many GPUs, then large claims."""
        single = len(self.singles) == 1 and not self.groups
        one_set = len(self.groups) == 1 and all(len(pool) == count for pool, count, _ in self.groups[0][0].pools)
        widest = max((len(claims) for _, claims, _ in self.groups), default=1)
        return (not (single or (one_set and not self.singles)), -widest, -self.demand)


def item_of(
    entry: Entry,
    free: tuple[int, ...],
    headroom: float,
    *,
    exclusive: bool = False,
    rules: frozenset[int] = frozenset(),
    skip: int | None = None,
) -> Item:
    """What the tenant takes to have that headroom, on the GPUs that have so much free."""
    levels = (kind.level_for(headroom) for kind in entry.kinds)
    claims = [None if level is None else kind.claims(level) for kind, level in zip(entry.kinds, levels, strict=True)]
    singles, groups = [], []
    for gpu, kind, option in entry.singles:
        row = claims[kind]
        if row is not None and row[0] <= free[gpu]:
            singles.append((gpu, row[0], option, entry.tolls[kind]))
    for group in entry.groups:
        row = claims[group.kind]
        if row is not None and all(row[at] <= free[pool[0]] for pool, _, at in group.pools):
            groups.append((group, row, entry.tolls[group.kind]))
    rows = {(each[1],) for each in singles} | {each[1] for each in groups}
    return Item(
        entry=entry,
        singles=tuple(singles),
        groups=tuple(groups),
        exclusive=exclusive,
        rules=rules,
        skip=skip,
        demand=min(map(sum, rows), default=0),
        claim=min(map(min, rows), default=0),
        width=min(map(len, rows), default=1),
    )


def may_fit(items: Iterable[Item], free: tuple[int, ...]) -> bool:
    """What must hold wherever items may go: enough bytes, and enough places for the claims of any size and above."""
    reaches: dict[int, frozenset[int]] = {}
    within: dict[frozenset[int], list[Item]] = {}
    for item in items:
        if item.skip is not None:
            continue
        key = id(item.entry)
        if key not in reaches:
            pools = (pool for group, _, _ in item.groups for pool, _, _ in group.pools)
            reaches[key] = frozenset(gpu for gpu, _, _, _ in item.singles).union(*pools)
        within.setdefault(reaches[key], []).append(item)
    widest = sorted(within, key=len)[:_MOST_THRESHOLDS]
    return all(
        _have_room([item for inner in within if inner <= reach for item in within[inner]], [free[gpu] for gpu in reach])
        for reach in widest
    )


def _have_room(items: list[Item], free: list[int]) -> bool:
    if sum(item.demand for item in items) > sum(free):
        return False
    wanted: dict[int, int] = {}
    count = 0
    for claim, width in sorted(((item.claim, item.width) for item in items), reverse=True):
        count += width
        wanted[claim] = count
    thresholds = sorted(wanted)[:_MOST_THRESHOLDS]
    return all(claim <= 0 or sum(left // claim for left in free) >= wanted[claim] for claim in thresholds)


def fewest_gpus(items: Iterable[Item], free: tuple[int, ...]) -> int:
    """No placement takes fewer GPUs: their bytes would not do, or not their places."""
    items = tuple(items)
    demand, rows = sum(item.demand for item in items), sorted(free, reverse=True)
    count = max((item.width for item in items), default=0)
    while sum(rows[:count]) < demand and count < len(rows):
        count += 1
    for claim in sorted({item.claim for item in items if item.claim > 0}, reverse=True)[:_MOST_THRESHOLDS]:
        places = sum(item.width for item in items if item.claim >= claim)
        while sum(left // claim for left in rows[:count]) < places and count < len(rows):
            count += 1
    alone = sum(item.width for item in items if item.exclusive)
    return max(count, alone + any(not item.exclusive for item in items))
