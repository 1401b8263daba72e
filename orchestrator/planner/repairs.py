"""Changes that make an impossible plan possible: each is planned again before it is offered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import FlagValue, KeyPath, ServiceProfile, Sharing
from orchestrator.engine.canonical import canonical_flags, named
from orchestrator.memory.prediction import longest_model_len
from orchestrator.planner.candidacy import Candidacy, Ground, Obstacle
from orchestrator.planner.packing import LimitReachedError
from orchestrator.planner.problem import LEVELS, Problem
from orchestrator.planner.search import is_feasible

_SHORTEST_WORTH_OFFERING = 1024
_EIGHT_BIT = "fp8"
_STEPS = 20_000
"""Nodes per question about a repair: one that takes longer is not offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A change to one service after which everybody in its company fits. `blame` is the key to change."""

    text: str
    blame: KeyPath
    repaired: Candidacy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Those who must fit beside the one that is repaired."""

    ground: Ground
    others: tuple[Candidacy, ...]

    def fits_with(self, candidacy: Candidacy | None) -> bool:
        """Whether all can be placed at once; a search that takes too long counts as no."""
        present = (*self.others, candidacy) if candidacy is not None else self.others
        problem = problem_of(self.ground, present)
        try:
            return all(each.options for each in present) and is_feasible(problem, _STEPS)
        except LimitReachedError:
            return False

    def without(self, name: str) -> Company:
        return replace(self, others=tuple(each for each in self.others if each.name != name))


def problem_of(ground: Ground, candidacies: tuple[Candidacy, ...]) -> Problem:
    """The services as the search sees them."""
    return Problem(
        tenants=tuple(candidacy.tenant() for candidacy in candidacies),
        free=tuple(seat.gpu.free_bytes for seat in ground.seats),
    )


def repairs_for(candidacy: Candidacy, company: Company) -> Iterator[Repair]:
    """Repairs of one service that let it and its company fit, the mildest first."""
    for attempt in (_shared, _higher_ceiling, _eight_bit_cache, _shorter, _anywhere):
        repair = attempt(candidacy, company)
        if repair is not None:
            yield repair


def _tried(candidacy: Candidacy, company: Company, profile: ServiceProfile, text: str, blame: KeyPath) -> Repair | None:
    changed = company.ground.assess(profile, candidacy.facts)
    fits = company.fits_with(changed)
    return Repair(text=text, blame=blame, repaired=changed) if fits else None


def _shared(candidacy: Candidacy, company: Company) -> Repair | None:
    if candidacy.profile.sharing is not Sharing.EXCLUSIVE:
        return None
    profile = replace(candidacy.profile, sharing=Sharing.SHARED)
    return _tried(candidacy, company, profile, f"set `sharing: shared` for `{candidacy.name}`", ("sharing",))


def _higher_ceiling(candidacy: Candidacy, company: Company) -> Repair | None:
    """The least ceiling that is enough."""
    if not any(refusal.obstacle is Obstacle.CEILING for refusal in candidacy.refusals):
        return None
    low, high = 0, LEVELS
    while high - low > 1:
        middle = (low + high) // 2
        fits = company.fits_with(company.ground.assess(_with_ceiling(candidacy, middle, company), candidacy.facts))
        low, high = (low, middle) if fits else (middle, high)
    text = f"raise `gpu-memory-utilization` of `{candidacy.name}` to {high / LEVELS:g} or more"
    blame = ("vllm", "gpu-memory-utilization")
    return _tried(candidacy, company, _with_ceiling(candidacy, high, company), text, blame)


def _with_ceiling(candidacy: Candidacy, level: int, company: Company) -> ServiceProfile:
    flags = with_flag(candidacy.profile.vllm, "gpu-memory-utilization", level / LEVELS, company.ground)
    return replace(candidacy.profile, vllm=flags)


def _eight_bit_cache(candidacy: Candidacy, company: Company) -> Repair | None:
    sixteen_bit = {"auto", "bfloat16", "float16", None}
    if canonical_flags(candidacy.profile.vllm, company.ground.release).get("kv-cache-dtype") not in sixteen_bit:
        return None
    flags = with_flag(candidacy.profile.vllm, "kv-cache-dtype", _EIGHT_BIT, company.ground)
    text = f"set `kv-cache-dtype: {_EIGHT_BIT}` for `{candidacy.name}`: half the bytes per token"
    return _tried(candidacy, company, replace(candidacy.profile, vllm=flags), text, ("vllm", "kv-cache-dtype"))


def _shorter(candidacy: Candidacy, company: Company) -> Repair | None:
    """The greatest max-model-len with which everybody fits, to the token."""
    if not candidacy.sizes:
        return None
    settings = next(iter(candidacy.sizes.values())).settings
    low, high = _SHORTEST_WORTH_OFFERING - 1, settings.max_model_len
    most = max(_longest_on(candidacy, company.ground, place) for place in candidacy.sizes)
    if not settings.tokens_follow_length:
        high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        fits = company.fits_with(company.ground.assess(_with_length(candidacy, middle, company), candidacy.facts))
        low, high = (middle, high) if fits else (low, middle)
    if low < _SHORTEST_WORTH_OFFERING:
        return None
    text = f"lower `max-model-len` of `{candidacy.name}` from {settings.max_model_len:,} to at most {low} tokens"
    return _tried(candidacy, company, _with_length(candidacy, low, company), text, ("vllm", "max-model-len"))


def _longest_on(candidacy: Candidacy, ground: Ground, place: int) -> int:
    """No max-model-len beyond this fits on a GPU, even if nothing but the KV cache grew: a bound for the search."""
    priced = candidacy.sizes[place].footprint
    left = max(0, ground.seats[place].gpu.free_bytes - priced.inside.low - priced.outside.low)
    return longest_model_len(replace(priced, longest_priced_len=None), left)


def _with_length(candidacy: Candidacy, length: int, company: Company) -> ServiceProfile:
    flags = with_flag(candidacy.profile.vllm, "max-model-len", length, company.ground)
    return replace(candidacy.profile, vllm=flags)


def _anywhere(candidacy: Candidacy, company: Company) -> Repair | None:
    if candidacy.profile.gpus is None:
        return None
    profile = replace(candidacy.profile, gpus=None)
    text = f"leave `gpus:` of `{candidacy.name}` out: there is room for it elsewhere"
    return _tried(candidacy, company, profile, text, ("gpus",))


def with_flag(vllm: Mapping[str, FlagValue], name: str, value: FlagValue, ground: Ground) -> dict[str, FlagValue]:
    """The flags with one of them set, however it was spelt before."""
    kept = {key: each for key, each in vllm.items() if not _means(key, name, ground)}
    return kept | {name: value}


def _means(key: str, name: str, ground: Ground) -> bool:
    meaning = named(key, ground.release)
    return meaning is not None and not meaning.dotted and meaning.flag.name == name


def help_lines(repairs: tuple[Repair, ...], most: int = 3) -> tuple[str, ...]:
    """The first few repairs as help; the first one is what `blame` points at."""
    return tuple(repair.text for repair in repairs[:most])


def leave_out(conflict: tuple[Candidacy, ...], company: Company) -> Repair | None:
    """Giving up the service of the conflict that matters least, if the rest then fits."""
    least = min(reversed(conflict), key=lambda each: each.profile.priority)
    if not company.without(least.name).fits_with(None):
        return None
    text = f"leave out `{least.name}` (priority {least.profile.priority}, the lowest of them)"
    return Repair(text=text, blame=(), repaired=None)


def explained(rejection: Rejection, repairs: tuple[Repair, ...]) -> Rejection:
    """The rejection with its repairs as help, pointing at the key that the first of them changes."""
    blame = next((repair.blame for repair in repairs if repair.blame), rejection.blame)
    return replace(rejection, help=(*help_lines(repairs), *rejection.help) or rejection.help, blame=blame)
