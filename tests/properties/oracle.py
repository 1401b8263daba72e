"""The same problem for OR-tools CP-SAT, written from the text of `docs/planning.md`: claims and headrooms as tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ortools.sat.python import cp_model

from orchestrator.planner.problem import Option, Problem, Tenant
from tests.properties.instances import spelt_out

Terms = list[tuple[Any, int]]
"""Expressions that are to be small, the first above all, with the number of values that each can have."""


@dataclass(frozen=True)
class Best:
    """What the oracle found: who is left out, and the objective of those who are placed."""

    left_out: frozenset[str]
    moved: tuple[bool, ...]
    ranks: tuple[tuple[int, ...], ...]
    smallest_headroom: float
    gpus_used: int


@dataclass(frozen=True)
class Place:
    """One tenant on one set of GPUs at one level, if `chosen`."""

    tenant: Tenant
    option: Option
    level: int
    chosen: Any

    @property
    def headroom(self) -> float:
        return min(share.headroom(self.level) for share in self.option.shares) / self.tenant.headroom_weight

    @property
    def is_move(self) -> bool:
        return self.tenant.current is not None and set(self.tenant.current) != set(self.option.gpus)


class Oracle:
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.tenants = sorted(problem.tenants, key=lambda each: (-each.priority, -each.weight, each.name))
        self.skipped = {each.name: self.model.new_bool_var(each.name) for each in self.tenants}
        self.places = {each.name: list(self._places(each)) for each in self.tenants}
        self.every = list(chain.from_iterable(self.places.values()))
        self.used = [self.model.new_bool_var("") for _ in problem.free]
        self._one_place_each()
        self._memory()
        self._rules()

    def _places(self, tenant: Tenant) -> Iterable[Place]:
        for option in spelt_out(tenant):
            for level in range(option.least, option.ceiling + 1):
                yield Place(tenant, option, level, self.model.new_bool_var(""))

    def _one_place_each(self) -> None:
        for name, places in self.places.items():
            self.model.add_exactly_one([self.skipped[name], *(place.chosen for place in places)])

    def _on(self, gpu: int, name: str) -> Any:
        return sum(place.chosen for place in self.places[name] if gpu in place.option.gpus)

    def _memory(self) -> None:
        for gpu, free in enumerate(self.problem.free):
            claims = [
                place.option.claims(place.level)[place.option.gpus.index(gpu)] * place.chosen
                for place in self.every
                if gpu in place.option.gpus
            ]
            self.model.add(sum(claims) <= free)
            for tenant in self.tenants:
                self.model.add(self._on(gpu, tenant.name) <= self.used[gpu])
                for other in self.tenants:
                    if tenant.exclusive and other is not tenant:
                        self.model.add(self._on(gpu, tenant.name) + self._on(gpu, other.name) <= 1)

    def _rules(self) -> None:
        for rule in self.problem.rules:
            members = [place for place in self.every if place.tenant.name in rule.members]
            zones = sorted(set(rule.zones))
            home = {zone: self.model.new_bool_var("") for zone in zones}
            self.model.add_exactly_one(list(home.values()))
            for place in members if rule.together else ():
                zones_of = {rule.zones[gpu] for gpu in place.option.gpus}
                for zone in zones_of:  # two of them cannot both be the home
                    self.model.add(place.chosen <= home[zone])
            for zone in () if rule.together else zones:
                self.model.add(
                    sum(each.chosen for each in members if zone in {rule.zones[g] for g in each.option.gpus}) <= 1
                )

    def _objective(self) -> Terms:
        terms: Terms = []
        for priority in sorted({each.priority for each in self.tenants}, reverse=True):
            out = [self.skipped[each.name] for each in self.tenants if each.priority == priority]
            terms.append((sum(out), len(out) + 1))
        by_preference = sorted(self.tenants, key=lambda t: (-t.priority, t.current is None, -t.weight, t.name))
        terms.extend((self.skipped[each.name], 2) for each in by_preference)
        moved = [(each, self._moved(each)) for each in self.tenants if each.current is not None]
        terms.append((sum(expression for _, expression in moved), len(moved) + 1))
        terms.extend((expression, 2) for _, expression in moved)
        ranks = sorted({place.option.rank for place in self.every})
        for tenant in self.tenants:
            rank = sum(ranks.index(place.option.rank) * place.chosen for place in self.places[tenant.name])
            terms.append((rank, max(1, len(ranks))))
        terms.append(self._lack_of_headroom())
        terms.append((sum(self.used), len(self.used) + 1))
        return terms

    def _moved(self, tenant: Tenant) -> Any:
        return sum(place.chosen for place in self.places[tenant.name] if place.is_move)

    def _lack_of_headroom(self) -> tuple[Any, int]:
        table = sorted({place.headroom for place in self.every}, reverse=True)
        worst = self.model.new_int_var(0, len(table), "")
        for places in self.places.values():
            self.model.add(sum(table.index(place.headroom) * place.chosen for place in places) <= worst)
        return (worst, len(table) + 1)

    def solve(self) -> Best:
        total: Any = 0
        for expression, count in self._objective():
            total = total * count + expression
        self.model.minimize(total)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.cp_model_presolve = False
        assert solver.solve(self.model) == cp_model.OPTIMAL
        chosen = [place for place in self.every if solver.value(place.chosen)]
        return Best(
            left_out=frozenset(name for name, skipped in self.skipped.items() if solver.value(skipped)),
            moved=tuple(place.is_move for place in chosen if place.tenant.current is not None),
            ranks=tuple(place.option.rank for place in chosen),
            smallest_headroom=min((place.headroom for place in chosen), default=float("inf")),
            gpus_used=len({gpu for place in chosen for gpu in place.option.gpus}),
        )
