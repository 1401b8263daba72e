"""Changes that make an impossible plan possible: each is planned again before it is offered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.catalog.cards import known_gpus, short_gpu_name
from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.profile import FlagValue, ServiceProfile, Sharing
from orchestrator.engine.canonical import canonical_flags, named
from orchestrator.planner.candidacy import Candidacy, Ground, Obstacle
from orchestrator.planner.packing import LimitReachedError
from orchestrator.planner.problem import LEVELS, Problem
from orchestrator.planner.search import is_feasible
from orchestrator.planner.seats import listed, seats_of

_SHORTEST_WORTH_OFFERING = 1024
_EIGHT_BIT = "fp8"
_MOST_STEPS = 20_000
"""Nodes per question about a repair: one that takes longer is not offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A change after which everybody in the company fits; `repaired` are the services as they then are."""

    text: str
    repaired: tuple[Candidacy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Those who must fit beside the one that is repaired."""

    ground: Ground
    others: tuple[Candidacy, ...]

    def fits_with(self, *candidacies: Candidacy) -> bool:
        """Whether all can be placed at once; a search that takes too long counts as no."""
        present = (*self.others, *candidacies)
        problem = problem_of(self.ground, present)
        try:
            return is_feasible(problem, min(_MOST_STEPS, self.ground.step_limit))
        except LimitReachedError:
            return False

    def near(self, members: tuple[Candidacy, ...]) -> tuple[Candidacy, ...]:
        """The others who may sit on a GPU that one of these may sit on."""
        places = {place for each in members for place in each.allowed}
        names = {each.name for each in members}
        return tuple(each for each in self.others if places & set(each.allowed) and each.name not in names)

    def without(self, *names: str) -> Company:
        return replace(self, others=tuple(each for each in self.others if each.name not in names))


def problem_of(ground: Ground, candidacies: tuple[Candidacy, ...]) -> Problem:
    """The services as the search sees them."""
    return Problem(
        tenants=tuple(candidacy.tenant() for candidacy in candidacies),
        free=tuple(seat.gpu.free_bytes for seat in ground.seats),
    )


def repairs_for(candidacy: Candidacy, company: Company) -> Iterator[Repair]:
    """Repairs of one service that let it and its company fit, the mildest first."""
    for attempt in (_shared, _higher_ceiling, _eight_bit_cache, _shorter, anywhere):
        repair = attempt(candidacy, company)
        if repair is not None:
            yield repair


def _tried(candidacy: Candidacy, company: Company, profile: ServiceProfile, text: str) -> Repair | None:
    changed = company.ground.assess(profile, candidacy.facts)
    return Repair(text=text, repaired=(changed,)) if company.fits_with(changed) else None


def _shared(candidacy: Candidacy, company: Company) -> Repair | None:
    if candidacy.profile.sharing is not Sharing.EXCLUSIVE:
        return None
    profile = replace(candidacy.profile, sharing=Sharing.SHARED)
    return _tried(candidacy, company, profile, f"set `sharing: shared` for `{candidacy.name}`")


def _higher_ceiling(candidacy: Candidacy, company: Company) -> Repair | None:
    """The least ceiling that is enough."""
    if not any(refusal.obstacle is Obstacle.CEILING for refusal in candidacy.refusals):
        return None
    low, high = 0, LEVELS
    best = company.ground.assess(_with_ceiling(candidacy, high, company), candidacy.facts)
    if not company.fits_with(best):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        changed = company.ground.assess(_with_ceiling(candidacy, middle, company), candidacy.facts)
        if company.fits_with(changed):
            high, best = middle, changed
        else:
            low = middle
    text = f"raise `gpu-memory-utilization` of `{candidacy.name}` to {high / LEVELS:g} or more"
    return Repair(text=text, repaired=(best,))


def _with_ceiling(candidacy: Candidacy, level: int, company: Company) -> ServiceProfile:
    flags = with_flag(candidacy.profile.vllm, "gpu-memory-utilization", level / LEVELS, company.ground)
    return replace(candidacy.profile, vllm=flags)


def _eight_bit_cache(candidacy: Candidacy, company: Company) -> Repair | None:
    sixteen_bit = {"auto", "bfloat16", "float16", None}
    if canonical_flags(candidacy.profile.vllm, company.ground.release).get("kv-cache-dtype") not in sixteen_bit:
        return None
    flags = with_flag(candidacy.profile.vllm, "kv-cache-dtype", _EIGHT_BIT, company.ground)
    text = f"set `kv-cache-dtype: {_EIGHT_BIT}` for `{candidacy.name}`: half the bytes per token"
    return _tried(candidacy, company, replace(candidacy.profile, vllm=flags), text)


def _shorter(candidacy: Candidacy, company: Company) -> Repair | None:
    """The greatest max-model-len with which everybody fits, to the token."""
    return shorter_together((candidacy,), company)


def shorter_together(members: tuple[Candidacy, ...], company: Company) -> Repair | None:
    """The greatest common max-model-len of some services with which everybody fits, to the token."""
    longest = max((_length(each) for each in members), default=0)
    low, high = _SHORTEST_WORTH_OFFERING, longest
    if low >= high or not company.fits_with(*_cut(members, low, company)):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if company.fits_with(*_cut(members, middle, company)) else (low, middle)
    names = listed(f"`{each.name}`" for each in members if _length(each) > low)
    each_word = " each" if len(members) > 1 else ""
    return Repair(
        text=f"lower `max-model-len` of {names} from {longest} to {low}{each_word}, or less",
        repaired=_cut(members, low, company),
    )


def _length(candidacy: Candidacy) -> int:
    """max-model-len in tokens as it would be without a repair; 0 where no GPU was priced."""
    return max((size.settings.max_model_len for size in candidacy.sizes.values()), default=0)


def _cut(members: tuple[Candidacy, ...], length: int, company: Company) -> tuple[Candidacy, ...]:
    return tuple(
        company.ground.assess(_with_length(each, length, company), each.facts) if _length(each) > length else each
        for each in members
    )


def _with_length(candidacy: Candidacy, length: int, company: Company) -> ServiceProfile:
    flags = with_flag(candidacy.profile.vllm, "max-model-len", length, company.ground)
    return replace(candidacy.profile, vllm=flags)


def anywhere(candidacy: Candidacy, company: Company) -> Repair | None:
    """The service without its pins."""
    if candidacy.profile.gpus is None:
        return None
    profile = replace(candidacy.profile, gpus=None)
    text = f"leave `gpus:` of `{candidacy.name}` out: there is room for it without"
    return _tried(candidacy, company, profile, text)


def with_flag(vllm: Mapping[str, FlagValue], name: str, value: FlagValue, ground: Ground) -> dict[str, FlagValue]:
    """The flags with one of them set, however it was spelt before."""
    kept = {key: each for key, each in vllm.items() if not _means(key, name, ground)}
    return kept | {name: value}


def _means(key: str, name: str, ground: Ground) -> bool:
    meaning = named(key, ground.release)
    return meaning is not None and not meaning.dotted and meaning.flag.name == name


def leave_out(conflict: tuple[Candidacy, ...], company: Company) -> Repair | None:
    """Giving up those who matter least, as few as it takes, if somebody is left who then fits."""
    rest = (*conflict, *company.near(conflict))
    given_up: list[Candidacy] = []
    while len(rest) > 1:
        least = least_important(rest)
        given_up.append(least)
        rest = tuple(each for each in rest if each is not least)
        if company.without(*(each.name for each in given_up)).fits_with():
            names = listed(f"`{each.name}` (priority {each.profile.priority})" for each in given_up)
            return Repair(text=f"leave out {names}: nobody concerned has a lower priority")
    return None


def least_important(conflict: tuple[Candidacy, ...]) -> Candidacy:
    """The lowest priority, among equals the last in the file."""
    return min(reversed(conflict), key=lambda each: each.profile.priority)


def other_cards(candidacy: Candidacy, company: Company) -> Repair | None:
    """The smallest known card on which the service would fit alone, as many of them as it takes."""
    profile = replace(candidacy.profile, gpus=None)
    for card in sorted(known_gpus(), key=lambda each: (each.total_bytes, each.name)):
        short = f"{candidacy.world_size}x{short_gpu_name(card.name)}"
        inventory = inventory_from_short_form(short)
        if not isinstance(inventory, Inventory):
            continue
        ground = replace(company.ground, seats=seats_of(inventory))
        if ground.assess(profile, candidacy.facts).options:
            return Repair(text=f"`{candidacy.name}` would start on {short}, the smallest known card that takes it")
    return None
