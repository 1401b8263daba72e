"""Why a set of services cannot coexist: the sum on every GPU where they meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import KeyPath
from orchestrator.planner.candidacy import Candidacy, Ground, problem_of
from orchestrator.planner.giving_up import least_important
from orchestrator.planner.search import is_feasible
from orchestrator.planner.seats import gib_text, listed
from orchestrator.planner.steps import LimitReachedError
from orchestrator.planner.wishes import wish_about, wishes_in_words

_MOST_NAMED = 20
"""Services of one conflict that are named; the others are counted."""

_MOST_GPUS = 8
"""GPUs whose sums are shown."""


def cannot_coexist(ground: Ground, conflict: tuple[Candidacy, ...], *, close: bool, minimal: bool = True) -> Rejection:
    """E508 (E507 when the optimistic end of the intervals would do); of a `minimal` set each smaller one fits."""
    names = [f"`{each.name}`" for each in conflict]
    places = sorted({place for each in conflict for place in _reach(each)})
    wish = _deciding_wish(ground, conflict)
    culprit = least_important(conflict) if wish is None else wish[0]
    row = listed(names)
    smaller = "" if len(names) < 3 or not minimal else f"; any {_number(len(names) - 1)} of them can"
    start = "too close to call: whether " + row + " fit together" if close else row + " cannot coexist"
    taken_alone = any(each.alone for each in conflict)
    blame: KeyPath = ("gpus",) if taken_alone else ("vllm", "max-model-len")
    meetings = () if taken_alone else tuple(_Meeting.on(ground, conflict, place) for place in places)
    overfull = [each for each in meetings if each.missing_bytes > 0]
    worst = max(overfull, key=lambda each: each.missing_bytes, default=None)
    return Rejection(
        code="E507" if close else "E508",
        service=culprit.name,
        message=f"{start} on {listed(ground.seats[place].label for place in places)}{smaller}",
        blame=wish[1] if wish is not None else ("sharing",) if culprit.alone else blame,
        others=tuple(each.name for each in conflict if each is not culprit)[:_MOST_NAMED],
        asked_bytes=None if worst is None else worst.asked_bytes,
        available_bytes=None if worst is None else worst.free_bytes,
        notes=(
            *(_wants(ground, each) for each in conflict[:_MOST_NAMED]),
            *wishes_in_words(tuple(each.profile for each in conflict)),
            *(_sums(ground, meetings) if wish is None else ()),
        ),
    )


def _deciding_wish(ground: Ground, conflict: tuple[Candidacy, ...]) -> tuple[Candidacy, KeyPath] | None:
    """Where all would fit if nobody had a wish about the others: the least important who has one, and its key."""
    profiles = tuple(each.profile for each in conflict)
    wishes = [(each, key) for each in conflict if (key := wish_about(each.profile, profiles)) is not None]
    if not wishes or not _fit_without_wishes(ground, conflict):
        return None
    return min(reversed(wishes), key=lambda wish: wish[0].profile.priority)


def _fit_without_wishes(ground: Ground, conflict: tuple[Candidacy, ...]) -> bool:
    try:
        return is_feasible(replace(problem_of(ground, conflict), rules=()), ground.step_limit)
    except LimitReachedError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meeting:
    """One GPU and who may come there, with the least that each claims; `bound` have nowhere else to go."""

    place: int
    free_bytes: int
    claims: dict[str, int]
    bound: frozenset[str]

    @classmethod
    def on(cls, ground: Ground, conflict: tuple[Candidacy, ...], place: int) -> _Meeting:
        claims = {each.name: _claim_on(each, place) for each in conflict}
        return cls(
            place=place,
            free_bytes=ground.seats[place].gpu.free_bytes,
            claims={name: claim for name, claim in claims.items() if claim is not None},
            bound=frozenset(
                each.name for each in conflict if all(option.is_bound_to(place) for option in each.options)
            ),
        )

    @property
    def asked_bytes(self) -> int:
        """What those ask for who must be there."""
        return sum(claim for name, claim in self.claims.items() if name in self.bound)

    @property
    def missing_bytes(self) -> int:
        return self.asked_bytes - self.free_bytes

    @property
    def most_at_once(self) -> int:
        """How many of those who may come fit there together, at best."""
        count, taken = 0, 0
        for claim in sorted(self.claims.values()):
            taken += claim
            count += taken <= self.free_bytes
        return count

    def claims_text(self, names: frozenset[str]) -> str:
        return listed([f"`{name}` {gib_text(claim)}" for name, claim in self.claims.items() if name in names])


def _claim_on(candidacy: Candidacy, place: int) -> int | None:
    """The least bytes that the service takes on a GPU, where it may go there."""
    shares = ((option.share_on(place), option.least) for option in candidacy.options)
    return min((share.claim(least) for share, least in shares if share is not None), default=None)


def _reach(candidacy: Candidacy) -> frozenset[int]:
    """All GPUs that the service may go to."""
    return frozenset[int]().union(*(option.reach for option in candidacy.options))


def _sums(ground: Ground, meetings: tuple[_Meeting, ...]) -> Iterator[str]:
    """The sum on each GPU that is asked for too much; where none is by itself, how many fit on each."""
    overfull = [each for each in meetings if each.missing_bytes > 0][:_MOST_GPUS]
    for each in overfull:
        yield (
            f"on {ground.seats[each.place].label}: {each.claims_text(each.bound)} make {gib_text(each.asked_bytes)},"
            f" and {gib_text(each.free_bytes)} are free"
        )
    for each in () if overfull else meetings[:_MOST_GPUS]:
        count = len(each.claims)
        if each.most_at_once < count:
            yield (
                f"on {ground.seats[each.place].label}: {gib_text(each.free_bytes)} are free, room for"
                f" {_number(each.most_at_once)} of {each.claims_text(frozenset(each.claims))} at once"
            )


def _number(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[count] if count < len(words) else str(count)


def _wants(ground: Ground, candidacy: Candidacy) -> str:
    """What one of a conflicting set needs at least, and where it may go."""
    least = min(candidacy.options, key=lambda option: sum(option.claims(option.least)))
    each = gib_text(max(least.claims(least.least)))
    gpus = sorted(_reach(candidacy))
    row = listed((ground.seats[place].label for place in gpus), "and" if len(gpus) == candidacy.world_size else "or")
    alone = ", nobody beside it" if candidacy.alone else ""
    per_gpu = f" on each of {candidacy.world_size} GPUs" if candidacy.world_size > 1 else ""
    return f"`{candidacy.name}` needs {each}{per_gpu}{alone}: {row}"
