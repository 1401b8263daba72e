"""A change to a service, and the company in which it must fit: all others, replicas and all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.domain.profile import ServiceProfile
from orchestrator.planner.candidacy import Candidacy, Ground, as_services, problem_of
from orchestrator.planner.search import is_feasible
from orchestrator.planner.steps import LimitReachedError, Steps

_MOST_STEPS = 20_000
"""Nodes per question about a repair: one that takes longer is not offered."""

MOST_STEPS_IN_ALL = 200_000
_STEPS_PER_QUESTION = 100
"""What pricing a changed service weighs, in nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A change after which everybody in the company fits; `repaired` are the services as they then are."""

    text: str
    repaired: tuple[Candidacy, ...] = ()
    keeps_model: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Those who must fit beside the one that is repaired."""

    ground: Ground
    others: tuple[Candidacy, ...]
    steps: Steps = field(default_factory=lambda: Steps(MOST_STEPS_IN_ALL))
    """What all questions may take together; past that everything counts as no."""

    def fits_with(self, *candidacies: Candidacy) -> bool:
        """Whether all can be placed at once, with all their replicas; a search that takes too long counts as no."""
        replicas = tuple(replica for each in candidacies for replica in each.as_replicas())
        present = (*self.without(*candidacies).others, *replicas)
        try:
            self.steps.spend(_STEPS_PER_QUESTION + len(present))
            most = min(_MOST_STEPS, self.ground.step_limit, self.steps.left)
            return is_feasible(problem_of(self.ground, present), most, spent=self.steps)
        except LimitReachedError:
            return False

    def near(self, members: tuple[Candidacy, ...]) -> tuple[Candidacy, ...]:
        """The other services that may sit on a GPU that one of these may sit on."""
        places = {place for each in members for place in each.allowed}
        others = self.without(*members).others
        return as_services(each for each in others if places & set(each.allowed))

    def without(self, *services: Candidacy) -> Company:
        """Without these services, and all their replicas."""
        names = {each.profile.service for each in services}
        return replace(self, others=tuple(each for each in self.others if each.profile.service not in names))


def tried(candidacy: Candidacy, company: Company, profile: ServiceProfile, text: str) -> Repair | None:
    changed = company.ground.assess(profile, candidacy.facts)
    return Repair(text=text, repaired=(changed,)) if company.fits_with(changed) else None
