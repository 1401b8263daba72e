"""Warnings about a plan that holds: what the user would want to know before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.plan import Placement, Rejection
from orchestrator.domain.profile import Sharing
from orchestrator.domain.units import GIB
from orchestrator.planner.candidacy import Candidacy, Ground, problems_on
from orchestrator.planner.interconnect import interconnect_rank, interconnect_words
from orchestrator.planner.problem import Option
from orchestrator.planner.seats import Seat, gib_text, listed, occupants

_MOSTLY_IDLE = 0.5
_WORTH_SHARING_BYTES = 4 * GIB
_MORE_THAN_THE_DRIVER = GIB // 2


def cautions(
    ground: Ground, candidacies: tuple[Candidacy, ...], options: tuple[Option, ...], placements: tuple[Placement, ...]
) -> tuple[Rejection, ...]:
    """W5xx about links, unlike cards, memory in use and idle exclusive cards; W2xx about flags on the chosen cards."""
    found: list[Rejection] = []
    for candidacy, option, placement in zip(candidacies, options, placements, strict=True):
        seats = tuple(ground.seats[place] for place in option.gpus)
        found.extend(_worse_link(ground, candidacy, option, seats))
        found.extend(_unlike_cards(candidacy, seats))
        found.extend(_idle(candidacy, placement, seats))
        found.extend(_about_flags(ground, candidacy, seats))
    found.extend(_in_use(ground, candidacies, options))
    return tuple(dict.fromkeys(found))


def _worse_link(ground: Ground, candidacy: Candidacy, option: Option, seats: tuple[Seat, ...]) -> Iterator[Rejection]:
    """A pinned group that another set of the same host would serve better."""
    if candidacy.profile.gpus is None or len(seats) == 1:
        return
    others = ground.sets_on(seats[0].host.name, candidacy.world_size)
    best = min(others, key=lambda places: (interconnect_rank(_seats(ground, places)), places), default=option.gpus)
    better = _seats(ground, best)
    if interconnect_rank(better) >= interconnect_rank(seats):
        return
    yield Rejection(
        code="W501",
        service=candidacy.name,
        message=f"{_labels(better)} are better connected than {_labels(seats)}, which `{candidacy.name}` is pinned to",
        blame=("gpus",),
        notes=(
            f"{_labels(seats)}: {interconnect_words(seats)}",
            f"{_labels(better)}: {interconnect_words(better)}",
        ),
        help=(f"consider `gpus: [{', '.join(str(seat.gpu.index) for seat in better)}]`",),
    )


def _seats(ground: Ground, places: tuple[int, ...]) -> tuple[Seat, ...]:
    return tuple(ground.seats[place] for place in places)


def _labels(seats: tuple[Seat, ...]) -> str:
    return listed(seat.label for seat in seats)


def _unlike_cards(candidacy: Candidacy, seats: tuple[Seat, ...]) -> Iterator[Rejection]:
    if len({(seat.gpu.name, seat.gpu.total_bytes) for seat in seats}) == 1:
        return
    smallest = min(seats, key=lambda seat: (seat.gpu.total_bytes, seat.label))
    yield Rejection(
        code="W502",
        service=candidacy.name,
        message=f"`{candidacy.name}` runs on unlike cards: the smallest, {smallest.label}, decides for all",
        blame=("gpus",),
        notes=tuple(f"{seat.label}: {seat.gpu.name}, {gib_text(seat.gpu.total_bytes)}" for seat in seats),
        help=("put the group on equal cards where there are enough of them",),
    )


def _idle(candidacy: Candidacy, placement: Placement, seats: tuple[Seat, ...]) -> Iterator[Rejection]:
    """An exclusive service whose ceiling leaves most of its cards to nobody."""
    left = min(seat.gpu.free_bytes for seat in seats) - max(worker.budget_bytes for worker in placement.workers)
    total = max(seat.gpu.total_bytes for seat in seats)
    if candidacy.profile.sharing is not Sharing.EXCLUSIVE or left < max(_MOSTLY_IDLE * total, _WORTH_SHARING_BYTES):
        return
    yield Rejection(
        code="W504",
        service=candidacy.name,
        message=f"`{candidacy.name}` keeps {_labels(seats)} to itself and leaves {gib_text(left)} of it idle",
        blame=("sharing",),
        help=("raise its `gpu-memory-utilization`, or set `sharing: shared`",),
    )


def _about_flags(ground: Ground, candidacy: Candidacy, seats: tuple[Seat, ...]) -> Iterator[Rejection]:
    for seat in seats:
        for problem in problems_on(ground, candidacy, seat):
            if problem.severity is Severity.WARNING:
                yield Rejection(
                    code=problem.code,
                    service=candidacy.name,
                    message=problem.message,
                    blame=problem.key_path or ("vllm",),
                    notes=problem.notes,
                    help=problem.help,
                )


def _in_use(ground: Ground, candidacies: tuple[Candidacy, ...], options: tuple[Option, ...]) -> Iterator[Rejection]:
    """GPUs of the plan on which others hold memory now: their memory counts as taken."""
    for place, seat in enumerate(ground.seats):
        users = [each for each, option in zip(candidacies, options, strict=True) if place in option.gpus]
        names = occupants(seat.gpu)
        if users and (names or _is_clearly_used(users[0], place, seat)):
            yield Rejection(
                code="W503",
                service=users[0].name,
                message=f"others use {seat.label} now: {gib_text(seat.gpu.free_bytes)} of"
                f" {gib_text(seat.gpu.total_bytes)} are free",
                blame=("gpus",),
                others=tuple(each.name for each in users[1:]),
                notes=(names,) if names else (),
                help=("the plan holds as long as they take no more; stop them and plan again for more KV cache",),
            )


def _is_clearly_used(candidacy: Candidacy, place: int, seat: Seat) -> bool:
    """More is gone than an idle card's driver takes, though the driver names nobody."""
    return candidacy.sizes[place].footprint.cuda_total.low - seat.gpu.free_bytes > _MORE_THAN_THE_DRIVER
