"""Random small problems for the search: tight and loose, with groups, stand-ins, hosts, rules, and tenants that run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, product
from random import Random

from orchestrator.planner.problem import Option, Problem, Rule, Share, Tenant


@dataclass(frozen=True)
class Line:
    """Claims and headrooms that grow on a straight line."""

    slope: int
    base: int
    inside: int
    required: int

    def share(self) -> Share:
        return Share(
            claim=lambda level: self.slope * level + self.base,
            headroom=lambda level: (self.slope * level - self.inside) / self.required,
        )


@dataclass(frozen=True)
class Cards:
    """GPUs in hosts; those of one pool may stand in for each other."""

    free: tuple[int, ...]
    hosts: tuple[tuple[int, ...], ...]
    pools: tuple[tuple[int, ...], ...]

    def host_of(self, gpu: int) -> int:
        return next(number for number, host in enumerate(self.hosts) if gpu in host)


def instance(seed: int) -> Problem:
    """Up to 5 tenants on up to 4 GPUs."""
    random = Random(seed)
    cards = _cards(random)
    tenants = [_tenant(random, cards, number) for number in range(random.randint(1, 5))]
    if len(tenants) > 2 and random.random() < 0.3:  # equal services
        tenants[1] = replace(tenants[0], name=tenants[1].name, current=None)
    return Problem(tenants=tuple(tenants), free=cards.free, rules=tuple(_rules(random, cards, tenants)))


def _cards(random: Random) -> Cards:
    count = random.randint(1, 4)
    cut = random.randint(1, count - 1) if count > 1 and random.random() < 0.4 else count
    hosts = tuple(host for host in (tuple(range(cut)), tuple(range(cut, count))) if host)
    sizes = [random.randint(10, 36) for _ in range(2)]
    kinds = [random.randrange(2) for _ in range(count)]
    if random.random() < 0.5:
        kinds = [0] * count
    pools = [tuple(gpu for gpu in host if kinds[gpu] == kind) for host in hosts for kind in (0, 1)]
    return Cards(
        free=tuple(sizes[kind] for kind in kinds), hosts=hosts, pools=tuple(sorted(pool for pool in pools if pool))
    )


def _tenant(random: Random, cards: Cards, number: int) -> Tenant:
    line = Line(random.randint(2, 5), random.randint(0, 3), random.randint(0, 4), random.randint(1, 6))
    shares = {0: line.share(), 1: replace(line, slope=line.slope + 1).share()}
    width = random.choice([1, 1, 1, 2]) if max(map(len, cards.hosts)) > 1 else 1
    pinned = random.random() < 0.2
    least = random.randint(1, 3)
    ceiling = least + random.randint(0, 3)
    options = []
    for gpus in (gpus for host in cards.hosts for gpus in combinations(host, width)):
        pools = tuple(next(pool for pool in cards.pools if gpu in pool) for gpu in gpus)
        first = all(gpus.index(gpu) == 0 or gpus[0] == pools[0][0] for gpu in gpus)
        rank = (len(set(pools)),) if width > 1 else ()
        share = tuple(shares[cards.pools.index(pool) % 2] for pool in pools)
        option = Option(gpus=gpus, shares=share, least=least, ceiling=ceiling, rank=rank)
        if pinned:
            options.append(replace(option, rank=(random.randint(0, 2),) if width > 1 else ()))
        elif first and gpus == _first_of(pools):
            options.append(replace(option, pools=pools))
    if pinned:
        options = options[: random.randint(1, len(options))]
    running = options and random.random() < 0.35
    return Tenant(
        name=f"t{number}",
        options=tuple(options),
        exclusive=random.random() < 0.12,
        weight=random.randint(0, 2),
        priority=random.randint(0, 2),
        current=random.choice(sets_of(random.choice(options))) if running else None,
        headroom_weight=random.choice([1.0, 1.0, 2.0, 0.5]),
    )


def _first_of(pools: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    left = {pool: list(pool) for pool in pools}
    return tuple(sorted(left[pool].pop(0) for pool in pools))


def _rules(random: Random, cards: Cards, tenants: list[Tenant]) -> list[Rule]:
    rules = []
    while len(tenants) > 1 and random.random() < 0.25:
        members = frozenset(tenant.name for tenant in random.sample(tenants, 2))
        hosts = tuple(map(cards.host_of, range(len(cards.free))))
        zones = hosts if random.random() < 0.5 else tuple(range(len(cards.free)))
        rules.append(Rule(members=members, zones=zones, together=random.random() < 0.5))
    return rules


def sets_of(option: Option) -> list[tuple[int, ...]]:
    """Every set of GPUs that the option stands for."""
    if not option.pools:
        return [option.gpus]
    parts = [combinations(pool, option.pools.count(pool)) for pool in dict.fromkeys(option.pools)]
    return [tuple(sorted(gpu for part in parts for gpu in part)) for parts in product(*parts)]


def spelt_out(tenant: Tenant) -> list[Option]:
    """Every set of GPUs as an option of its own."""
    return [option.placed(gpus) for option in tenant.options for gpus in sets_of(option)]
