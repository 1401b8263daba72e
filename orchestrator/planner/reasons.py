"""Why each service of a plan sits where it sits, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from orchestrator.planner.candidacy import Candidacy, Ground
from orchestrator.planner.problem import Problem, Solution
from orchestrator.planner.search import is_feasible
from orchestrator.planner.seats import listed
from orchestrator.planner.steps import LimitReachedError

_MOST_STEPS = 2_000
"""Nodes per question about a service; past them its line says less."""

_MOST_SERVICES = 32


def placement_reasons(
    ground: Ground, candidacies: tuple[Candidacy, ...], problem: Problem, solution: Solution
) -> Iterator[str]:
    """One line per service, in their order: its GPUs and what decided for them."""
    for number, (candidacy, option) in enumerate(zip(candidacies, solution.options, strict=True)):
        labels = listed(ground.seats[place].label for place in option.gpus)
        yield f"`{candidacy.name}` on {labels}: {_reason(candidacies, problem, solution, number)}"


def _reason(candidacies: tuple[Candidacy, ...], problem: Problem, solution: Solution, number: int) -> str:
    candidacy, option = candidacies[number], solution.options[number]
    if len(candidacy.options) == 1 and candidacy.options[0].is_one_set:
        many = len(option.gpus) > 1
        return "pinned" if candidacy.profile.gpus is not None else f"the only GPU{'s' if many else ''} it fits on"
    if frozenset(problem.tenants[number].current or ()) == frozenset(option.gpus):
        return "there already"
    if len(candidacies) > _MOST_SERVICES:
        return "most KV cache for the tightest service"
    elsewhere = _elsewhere(problem, solution, number)
    if not _can(elsewhere):
        return "anywhere else somebody would have no place"
    if any(each.rank > option.rank and len(each.gpus) == len(option.gpus) for each in candidacy.options):
        return "the best connected GPUs with room"
    enough = _can(elsewhere, solution.smallest_headroom)
    return _about_headroom(_tightest(candidacies, solution), candidacy.name, as_much_elsewhere=enough)


def _about_headroom(tightest: str, name: str, *, as_much_elsewhere: bool) -> str:
    if not as_much_elsewhere:
        return f"most KV cache for {'it' if tightest == name else f'the tightest service, `{tightest}`'}"
    return f"elsewhere `{tightest}`, the tightest service, would get no more KV cache"


def _elsewhere(problem: Problem, solution: Solution, number: int) -> Problem:
    """The problem in which one service has to go to GPUs that are not just those it has."""
    tenant = problem.tenants[number]
    taken = solution.options[number].gpus
    moved = replace(tenant, options=tuple(chain.from_iterable(each.apart_from(taken) for each in tenant.options)))
    return replace(problem, tenants=(*problem.tenants[:number], moved, *problem.tenants[number + 1 :]))


def _can(problem: Problem, headroom: float | None = None) -> bool:
    """Whether everybody has a place (with that headroom); yes where a search takes too long: then no claim is made."""
    try:
        return is_feasible(problem, _MOST_STEPS, headroom)
    except LimitReachedError:
        return True


def _tightest(candidacies: tuple[Candidacy, ...], solution: Solution) -> str:
    headrooms = [option.headroom(level) for option, level in zip(solution.options, solution.levels, strict=True)]
    return candidacies[headrooms.index(min(headrooms))].name
