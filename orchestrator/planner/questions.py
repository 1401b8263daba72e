"""Questions that the packing answers: can all have a place, with so much headroom, on so few GPUs?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf
from typing import TypeVar

from orchestrator.planner.entries import Entries, ground_of
from orchestrator.planner.items import Item, item_of
from orchestrator.planner.packing import Limits, Packing, pack
from orchestrator.planner.problem import Option, Problem, Tenant
from orchestrator.planner.steps import Steps

T = TypeVar("T")

STEP_LIMIT = 200_000
"""Steps until a first placement, and as many to improve it (a few seconds); past it the answer is "not known"."""

_DIVES = 16
"""Placements of everybody without a step back that come on top of the limit, so that large problems get their share."""


def step_limit_for(problem: Problem, step_limit: int) -> int:
    """The limit, and for large problems what placing everybody a few times takes."""
    return (
        step_limit if step_limit < STEP_LIMIT else step_limit + _DIVES * len(problem.tenants) * len(problem.free) // 8
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A placement, or none; not `known`: the question was given up."""

    found: tuple[Option, ...] | None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Struck:
    """A tenant with the options that it still has; `moves` beside them where it matters that they are moves.

    `skip` is the number of the budget that leaving it out draws from, where it may be left out.
    """

    tenant: Tenant
    options: tuple[Option, ...]
    moves: tuple[bool, ...] = ()
    skip: int | None = None


@dataclass(slots=True)
class Questions:
    """A problem as `pack` wants it. Tenants are in the order of their names, so that no other order counts."""

    problem: Problem
    steps: Steps
    tenants: tuple[Tenant, ...] = field(init=False)
    entries: Entries = field(init=False)
    rules: dict[str, frozenset[int]] = field(init=False)
    by_rank: dict[tuple[int, tuple[int, ...]], tuple[Option, ...]] = field(init=False, default_factory=dict)
    kept: list[tuple[Option, ...]] = field(init=False, default_factory=list)
    """Rows of options that are known by their identity, so that they live as long."""

    def __post_init__(self) -> None:
        shared: dict[tuple[int, float], tuple[Option, ...]] = {}
        ordered = sorted(self.problem.tenants, key=lambda tenant: tenant.name)
        for tenant in ordered:
            shared.setdefault((id(tenant.options), tenant.headroom_weight), tenant.weighted)
        self.tenants = tuple(
            replace(tenant, options=shared[id(tenant.options), tenant.headroom_weight]) for tenant in ordered
        )
        self.entries = Entries(ground_of(self.tenants, self.problem.free, self.problem.rules))
        numbered = tuple(enumerate(self.problem.rules))
        self.rules = {
            tenant.name: frozenset(number for number, rule in numbered if tenant.name in rule.members)
            for tenant in self.tenants
        }

    @property
    def everybody(self) -> tuple[Struck, ...]:
        return tuple(Struck(tenant, tenant.options) for tenant in self.tenants)

    def of_rank(self, struck: Struck, rank: tuple[int, ...]) -> Struck:
        """Only the options of that rank; the same ones for tenants that have the same options."""
        key = (id(struck.options), rank)
        if key not in self.by_rank:
            self.by_rank[key] = tuple(option for option in struck.options if option.rank == rank)
            self.kept.append(struck.options)
        return replace(struck, options=self.by_rank[key])

    def items(self, struck: Iterable[Struck], headroom: float) -> tuple[Item, ...]:
        """Beside them; equal tenants get equal items."""
        made: dict[object, Item] = {}
        result = []
        for each in struck:
            alone, rules = each.tenant.exclusive, self.rules[each.tenant.name]
            key = (id(each.options), each.moves, alone, rules, each.skip)
            if key not in made:
                entry = self.entries.entry(each.options, each.moves)
                free = self.problem.free
                made[key] = item_of(entry, free, headroom, exclusive=alone, rules=rules, skip=each.skip)
            result.append(made[key])
        return tuple(result)

    def ask(
        self,
        struck: tuple[Struck, ...],
        headroom: float = -inf,
        *,
        limits: Limits | None = None,
        steps: Steps | None = None,
        spread: bool = False,
    ) -> tuple[Option, ...] | None:
        """Where all can be placed so that everybody has that headroom. Raises `LimitReachedError`."""
        items = self.items(struck, headroom)
        found = pack(items, self.entries.ground, steps or self.steps, limits or Limits(), spread=spread)
        return None if found is None else tuple(each for each in _options(struck, found) if each is not None)

    def ask_some(
        self, struck: tuple[Struck, ...], skips: tuple[int, ...], steps: Steps
    ) -> tuple[Option | None, ...] | None:
        """Where they can be placed if so many of each budget are left out: those have None."""
        found = pack(self.items(struck, -inf), self.entries.ground, steps, Limits(skips=skips))
        return None if found is None else _options(struck, found)

    def as_given(self, row: tuple[T, ...]) -> tuple[T, ...]:
        """What stands beside the tenants, from the order of names to that of the problem."""
        by_name = {tenant.name: each for tenant, each in zip(self.tenants, row, strict=True)}
        return tuple(by_name[tenant.name] for tenant in self.problem.tenants)


def _options(struck: tuple[Struck, ...], found: Packing) -> tuple[Option | None, ...]:
    pairs = zip(struck, found, strict=True)
    return tuple(None if place is None else each.options[place[0]].placed(place[1]) for each, place in pairs)


def with_home(tenant: Tenant) -> Struck:
    """Where the tenant may stay where it runs: that first, then everything else, which counts as a move."""
    current = tenant.current
    homes = () if current is None else tuple(each.placed(current) for each in tenant.options if each.has(current))
    if current is None or not homes:
        return Struck(tenant, tenant.options)
    away = tuple(chain.from_iterable(each.apart_from(current) for each in tenant.options))
    return Struck(tenant, (*homes, *away), (False,) * len(homes) + (True,) * len(away))
