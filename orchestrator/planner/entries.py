"""Tenants made ready for the packing: what they may take on single GPUs and in groups, and which GPUs look alike to
them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.planner.problem import Option, Rule, Tenant

Pool = tuple[int, ...]
"""GPUs of which each may stand in for any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The GPUs: their free bytes, the zone of each (groups of GPUs lie within one), and the rules of who may meet."""

    free: tuple[int, ...]
    zones: tuple[tuple[int, ...], ...]
    zone_of: tuple[int, ...]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """An option of several GPUs: how many of each pool, and which of the option's claims each of them takes."""

    option: int
    kind: int
    pools: tuple[tuple[Pool, int, int], ...]
    zone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A tenant's options. `kinds` are options of which each stands for those with equal claims at every level.

    `singles` are (GPU, kind, option). `looks` say for each GPU how the tenant sees it, `zone_looks` how it
    sees it and the zone around it: zones that look alike have the same groups, GPU by GPU in their order.
    """

    kinds: tuple[Option, ...]
    tolls: tuple[bool, ...]
    singles: tuple[tuple[int, int, int], ...]
    groups: tuple[Group, ...]
    looks: tuple[int, ...]
    zone_looks: tuple[int, ...]


@dataclass(slots=True)
class Entries:
    """Makes an entry of options once; tenants with the same options have the same entry."""

    ground: Ground
    made: dict[tuple[int, tuple[bool, ...]], tuple[tuple[Option, ...], Entry]] = field(default_factory=dict)
    numbers: dict[object, int] = field(default_factory=dict)
    """Of looks; equal ones have equal numbers."""

    def entry(self, options: tuple[Option, ...], tolls: tuple[bool, ...] = ()) -> Entry:
        """`tolls` beside the options say which of them count as moves."""
        key = (id(options), tolls)
        if key not in self.made:
            self.made[key] = (options, self._entry(options, tolls or (False,) * len(options)))
        return self.made[key][1]

    def _entry(self, options: tuple[Option, ...], tolls: tuple[bool, ...]) -> Entry:
        numbers: dict[object, int] = {}
        kinds: list[Option] = []
        kind_tolls: list[bool] = []
        singles: list[tuple[int, int, int]] = []
        groups: list[Group] = []
        for number, (option, toll) in enumerate(zip(options, tolls, strict=True)):
            look = (option.shares, option.least, option.ceiling, option.headroom_weight, toll)
            kind = numbers.setdefault(look, len(kinds))
            if kind == len(kinds):
                kinds.append(option)
                kind_tolls.append(toll)
            if len(option.gpus) == 1:
                singles.extend((gpu, kind, number) for gpu in (option.pools[0] if option.pools else option.gpus))
            else:
                groups.append(Group(number, kind, tuple(_pools(option)), self.ground.zone_of[option.gpus[0]]))
        looks = _looks(self.ground, singles, groups)
        in_zones = _zone_looks(self.ground, groups, looks) if len(self.ground.zones) < len(looks) else looks
        return Entry(
            kinds=tuple(kinds),
            tolls=tuple(kind_tolls),
            singles=tuple(singles),
            groups=tuple(groups),
            looks=tuple(map(self._number, looks)),
            zone_looks=tuple(map(self._number, in_zones)),
        )

    def _number(self, look: object) -> int:
        return self.numbers.setdefault(look, len(self.numbers))


def ground_of(tenants: tuple[Tenant, ...], free: tuple[int, ...], rules: tuple[Rule, ...]) -> Ground:
    """Zones are as small as the groups allow."""
    parent = list(range(len(free)))

    def root(gpu: int) -> int:
        while parent[gpu] != gpu:
            parent[gpu] = parent[parent[gpu]]
            gpu = parent[gpu]
        return gpu

    distinct = {id(tenant.options): tenant.options for tenant in tenants}
    reaches = {option.reach for options in distinct.values() for option in options if len(option.gpus) > 1}
    for reach in reaches:
        first, *others = sorted(reach)
        for gpu in others:
            parent[root(gpu)] = root(first)
    zones: dict[int, list[int]] = {}
    for gpu in range(len(free)):
        zones.setdefault(root(gpu), []).append(gpu)
    zone_of = {gpu: number for number, members in enumerate(zones.values()) for gpu in members}
    return Ground(
        free=free,
        zones=tuple(map(tuple, zones.values())),
        zone_of=tuple(zone_of[gpu] for gpu in range(len(free))),
        rules=rules,
    )


def _pools(option: Option) -> Iterator[tuple[Pool, int, int]]:
    pools = option.pools or tuple((gpu,) for gpu in option.gpus)
    for pool in dict.fromkeys(pools):
        yield pool, pools.count(pool), pools.index(pool)


def _looks(ground: Ground, singles: list[tuple[int, int, int]], groups: list[Group]) -> tuple[object, ...]:
    """Per GPU the kinds it may be taken as, and its place in the groups of its zone: the pools that it is in."""
    kinds: list[list[int]] = [[] for _ in ground.free]
    for gpu, kind, _ in singles:
        kinds[gpu].append(kind)
    pools: list[set[tuple[int, ...]]] = [set() for _ in ground.free]
    first = [members[0] for members in ground.zones]
    for pool, zone in {(pool, group.zone) for group in groups for pool, _, _ in group.pools}:
        local = _local(ground, zone, first[zone], pool)
        for gpu in pool:
            pools[gpu].add(local)
    return tuple((tuple(sorted(one)), frozenset(other)) for one, other in zip(kinds, pools, strict=True))


def _local(ground: Ground, zone: int, first: int, pool: Pool) -> tuple[int, ...]:
    """The pool by the numbers that its GPUs have within the zone."""
    members = ground.zones[zone]
    if members[-1] - first == len(members) - 1:
        return tuple(gpu - first for gpu in pool)
    return tuple(members.index(gpu) for gpu in pool)


def _zone_looks(ground: Ground, groups: list[Group], looks: tuple[object, ...]) -> Iterator[object]:
    """Per GPU: all of its zone, and its own place there."""
    found: list[list[object]] = [[] for _ in ground.zones]
    for group in groups:
        first = ground.zones[group.zone][0]
        pools = tuple((_local(ground, group.zone, first, pool), count, at) for pool, count, at in group.pools)
        found[group.zone].append((group.kind, pools))
    whole = [
        (tuple(in_zone), tuple(looks[gpu] for gpu in members))
        for in_zone, members in zip(found, ground.zones, strict=True)
    ]
    names = {look: number for number, look in enumerate(whole)}
    return ((names[whole[zone]], look) for zone, look in zip(ground.zone_of, looks, strict=True))
