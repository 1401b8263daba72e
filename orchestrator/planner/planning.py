"""From profiles, model facts and GPUs to a plan, or to the reasons why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Placement, Plan, Rejection, Verdict
from orchestrator.domain.profile import Deployment
from orchestrator.planner.boxes import Box, box_for_one, smallest_box
from orchestrator.planner.candidacy import Candidacy, Ground, as_services, problem_of
from orchestrator.planner.cautions import cautions
from orchestrator.planner.company import MOST_STEPS_IN_ALL, Company, Repair
from orchestrator.planner.conflicts import cannot_coexist
from orchestrator.planner.giving_up import leave_out
from orchestrator.planner.grants import placements_of
from orchestrator.planner.host_room import Lodger, short_of_room
from orchestrator.planner.ports import hand_out_ports
from orchestrator.planner.problem import Solution
from orchestrator.planner.reasons import placement_reasons
from orchestrator.planner.rejections import does_not_start, gave_up, nowhere, too_close
from orchestrator.planner.repairs import (
    anywhere_together,
    least_fixed_cache,
    repairs_for,
    shorter_together,
)
from orchestrator.planner.search import is_feasible, minimal_conflict, solve
from orchestrator.planner.seats import listed, places_of, seats_of
from orchestrator.planner.sizing import Leaning
from orchestrator.planner.steps import LimitReachedError, Steps, Watch
from orchestrator.planner.unpriced import unpriced

_MOST_REPAIRS = 4
"""Repairs offered for a conflict, besides leaving a service out."""

_MOST_CONFLICTS = 4
"""Conflicts shown; what else is in the way is said to be there and not looked for."""


def plan(
    *,
    deployment: Deployment,
    facts: Mapping[str, ModelFacts],
    inventory: Inventory,
    current: Mapping[str, tuple[str, ...]] | None = None,
    watch: Watch | None = None,
) -> Plan:
    """Place all services of the deployment at once, or say why that is impossible. Same input, same plan.

    `facts` holds the model facts of every service by its name. `current` says on which GPUs, by UUID, a service runs:
    as few as possible move. `watch` is told how a long search stands, and may have
    it stopped: then the plan is the best one so far, if there is one.
    """
    seats = seats_of(inventory)
    ground = Ground(
        seats=seats,
        release=deployment.release,
        image=deployment.image,
        watch=watch,
        current=places_of(current or {}, seats),
    )
    return plan_on(ground, deployment=deployment, facts=facts, inventory=inventory)


def plan_on(ground: Ground, *, deployment: Deployment, facts: Mapping[str, ModelFacts], inventory: Inventory) -> Plan:
    """`plan` on ground that says how long to search."""
    candidacies = tuple(ground.assess(service, facts[service.name]) for service in deployment.services)
    ports, rejections = hand_out_ports(deployment)
    doubts = tuple(chain.from_iterable(unpriced(ground, each) for each in candidacies if each.is_first))
    empty = Plan(
        project=deployment.project, release=deployment.release, inventory=inventory, placements=(), warnings=doubts
    )
    refusing = _Refusing(ground, candidacies)
    refused = (*rejections, *refusing.fitting_nowhere())
    if refused:
        return replace(empty, rejections=(*refused, *refusing.conflicts()))
    try:
        problem = problem_of(ground, candidacies)
        solution = solve(problem, ground.step_limit, ground.watch)
    except LimitReachedError:
        return replace(empty, rejections=(gave_up(candidacies),))
    if solution is None:
        return replace(empty, rejections=refusing.conflicts())
    placements = placements_of(ground, candidacies, solution, ports)
    settled = tuple(each.settled(option) for each, option in zip(candidacies, solution.options, strict=True))
    room = tuple(short_of_room(inventory.hosts, _lodgers(placements, settled), ground.release))
    failing = (*filter(None, map(_failing, placements)), *(each for each in room if each.is_error))
    return replace(
        empty,
        placements=() if failing else placements,
        rejections=failing,
        warnings=(
            *doubts,
            *cautions(ground, settled, solution.options, placements),
            *(each for each in room if not each.is_error),
        ),
        search_notes=(*_notes(solution), *placement_reasons(ground, candidacies, problem, solution)),
    )


def _lodgers(placements: tuple[Placement, ...], candidacies: tuple[Candidacy, ...]) -> tuple[Lodger, ...]:
    return tuple(
        Lodger(host=placement.host, profile=each.profile, facts=each.facts, workers=len(placement.workers))
        for placement, each in zip(placements, candidacies, strict=True)
    )


def _failing(placement: Placement) -> Rejection | None:
    """Whatever was planned is predicted once more, as it will start; what would not start is no plan."""
    for worker in placement.workers:
        if worker.prediction.verdict is not Verdict.STARTS:
            return does_not_start(placement.service, worker.prediction.reason)
    return None


_WORDS_OF_PARTS = {
    "moved": "how many services move",
    "ranks": "the interconnect",
    "smallest_headroom": "the smallest headroom",
    "gpus_used": "the number of GPUs",
}


def _notes(solution: Solution) -> tuple[str, ...]:
    """What is not proven, with how far it may be from the best."""
    if solution.proven:
        return ()
    open_parts = listed(f"{_WORDS_OF_PARTS[gap.part]} (gap {gap.size:.1%})" for gap in solution.gaps)
    return (f"the best placement found within {solution.steps:,} steps; open is {open_parts}",)


@dataclass(slots=True)
class _Refusing:
    """Looks for what stands against a plan: services that fit nowhere, then sets that cannot coexist."""

    ground: Ground
    candidacies: tuple[Candidacy, ...]
    boxes: list[Box | None] = field(default_factory=list)
    """The answer about another box, once it was asked for."""
    steps: Steps = field(default_factory=lambda: Steps(MOST_STEPS_IN_ALL))
    """What looking for repairs may take, all in all."""

    def fitting_nowhere(self) -> tuple[Rejection, ...]:
        """Services that could not run even alone; each is repaired in the company of those before it."""
        rejections: list[Rejection] = []
        company = self._placeable()
        for candidacy in self.candidacies:
            if not candidacy.options and candidacy.is_first:
                found, repaired = self._nowhere(candidacy.as_written(), company)
                rejections.extend(replace(each, notes=(*each.notes, *self._others_too(candidacy))) for each in found)
                company = (*(each for each in company if each.name not in repaired), *repaired.values())
        return tuple(rejections)

    def _others_too(self, candidacy: Candidacy) -> tuple[str, ...]:
        services = dict.fromkeys(each.profile.service for each in self.candidacies if not each.options)
        others = [f"`{name}`" for name in services if name != candidacy.profile.service]
        verb = "is" if len(others) == 1 else "are"
        return (f"{listed(others)} {verb} in the way of a plan, too",) if others else ()

    def _placeable(self) -> tuple[Candidacy, ...]:
        return tuple(each for each in self.candidacies if each.options)

    def _nowhere(
        self, candidacy: Candidacy, others: tuple[Candidacy, ...]
    ) -> tuple[tuple[Rejection, ...], dict[str, Candidacy]]:
        """The rejections of one service, and the services as they are after the first of the repairs offered."""
        reasons = nowhere(self.ground, candidacy)
        if not (candidacy.sizes or candidacy.rejections) or candidacy.too_many_sets:
            return reasons, {}
        repairs = self._repairs(candidacy, Company(ground=self.ground, others=others, steps=self.steps))
        if candidacy.sizes and self._optimistic(candidacy).options:
            reasons = (too_close(self.ground, candidacy),)
        offered = tuple(repair.text for repair in repairs[:_MOST_REPAIRS])
        first = next((repair.repaired for repair in repairs), ())
        explained = tuple(replace(reason, help=(*reason.help, *offered)) for reason in reasons)
        return explained, {replica.name: replica for each in first for replica in each.as_replicas()}

    def _repairs(self, candidacy: Candidacy, company: Company) -> tuple[Repair, ...]:
        """Of the service alone; where none keeps its model, also of all who may sit on its GPUs, or another box."""
        single = tuple(repairs_for(candidacy, company))
        if candidacy.rejections or any(repair.keeps_model for repair in single):
            return single
        together = None if single else self._together((candidacy,), company)
        last = together or self._another_box(candidacy) or least_fixed_cache(candidacy, company)
        return single if last is None else (*single, last)

    def _another_box(self, candidacy: Candidacy | None = None) -> Repair | None:
        """Other cards, on which the whole deployment would start as it is written; else one service alone."""
        if not self.boxes:
            self.boxes.append(smallest_box(self.ground, self.candidacies))
        count = len(self.candidacies)
        if self.boxes[0] is not None:
            who = f"`{self.candidacies[0].name}`" if count == 1 else f"all {count} services together"
            return Repair(text=self.boxes[0].sentence(who))
        box = None if candidacy is None else box_for_one(self.ground, candidacy)
        if box is None or candidacy is None:
            return None
        rest = f"; none is known for all {count} services as they are written" if count > 1 else ""
        return Repair(text=box.sentence(f"`{candidacy.name}`" + (" alone" if count > 1 else "")) + rest)

    def _together(self, members: tuple[Candidacy, ...], company: Company) -> Repair | None:
        """One max-model-len for some services and all who may sit on their GPUs."""
        near = company.near(members)
        everybody = (*members, *near)
        if len(everybody) == 1:
            return None
        return shorter_together(everybody, company.without(*near))

    def _optimistic(self, candidacy: Candidacy) -> Candidacy:
        return self.ground.assess(candidacy.profile, candidacy.facts, Leaning.OPTIMISTIC)

    def conflicts(self) -> tuple[Rejection, ...]:
        """A minimal conflict, then one among those whom it leaves, and a few more: they have nobody in common."""
        rejections: list[Rejection] = []
        rest = self._placeable()
        try:
            while len(rejections) < _MOST_CONFLICTS:
                found = minimal_conflict(problem_of(self.ground, rest), self.ground.step_limit, self.ground.watch)
                if found is None:
                    return tuple(rejections)
                conflict = tuple(each for each in rest if each.name in found.names)
                rejections.append(self._conflict(conflict, rest, minimal=found.minimal))
                rest = tuple(each for each in rest if each.name not in found.names)
        except LimitReachedError:
            return (*rejections, gave_up(rest))
        *shown, last = rejections
        more = f"{len(rest):,} services are in none of the conflicts shown; there may be more conflicts among them"
        return (*shown, replace(last, notes=(*last.notes, more)) if rest else last)

    def _mildest(self, conflict: tuple[Candidacy, ...], company: Company) -> Iterator[Repair]:
        """Repairs of one member each, the least important first; one who is like another that has none has none."""
        in_vain: list[Candidacy] = []
        for candidacy in sorted(as_services(conflict), key=lambda each: each.profile.priority):
            if any(candidacy.options is each.options for each in in_vain):
                continue
            repair = None
            for repair in repairs_for(candidacy, company.without(candidacy)):
                yield repair
            if repair is None:
                in_vain.append(candidacy)

    def _conflict(self, conflict: tuple[Candidacy, ...], present: tuple[Candidacy, ...], *, minimal: bool) -> Rejection:
        company = Company(ground=self.ground, others=present, steps=self.steps)
        repairs = list(islice(self._mildest(conflict, company), _MOST_REPAIRS))
        services = as_services(conflict)
        beside = company.without(*services)
        if not repairs:
            together = anywhere_together(services, beside)
            repairs.extend(() if together is None else (together,))
        if not repairs:
            together = self._together(services, beside)
            repairs.extend(() if together is None else (together,))
        if not repairs:
            box = self._another_box()
            repairs.extend(() if box is None else (box,))
        last = leave_out(services, company)
        if last is not None:
            repairs.append(last)
        rejection = cannot_coexist(self.ground, conflict, close=self._is_close(conflict), minimal=minimal)
        return replace(rejection, help=tuple(repair.text for repair in repairs))

    def _is_close(self, conflict: tuple[Candidacy, ...]) -> bool:
        hopeful = problem_of(self.ground, tuple(self._optimistic(each) for each in conflict))
        return is_feasible(hopeful, self.ground.step_limit)
