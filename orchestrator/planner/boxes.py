"""Boxes to plan on instead: the smallest row of equal known cards that takes a whole deployment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.catalog.cards import KnownGpu, find_gpu, known_gpus, short_gpu_name
from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.profile import FlagValue
from orchestrator.planner.candidacy import Candidacy, Ground, problem_of, world_size_of
from orchestrator.planner.flag_keys import shown_key, with_values
from orchestrator.planner.problem import Problem
from orchestrator.planner.search import is_feasible
from orchestrator.planner.seats import seats_of
from orchestrator.planner.steps import LimitReachedError

_TENSOR_PARALLEL = "tensor-parallel-size"
_SIZES = (2, 4, 8, 16)
_MOST_CARDS = 16
_MOST_SERVICES = 16
_MOST_STEPS = 2_000
"""Nodes per box; one that takes longer to judge is not offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Equal cards in one host, by their short form (`2xRTX4090`). `unpinned`: it takes the services without `gpus:`.

    `total_bytes` are those of all cards. `change` says what else has to be written, if anything.
    """

    short_form: str
    total_bytes: int
    unpinned: bool = False
    change: str = ""

    def sentence(self, who: str) -> str:
        """An offer, such as "`a` would start on `1xL4`, the smallest known box that takes it"."""
        pins = ", with `gpus:` left out," if self.unpinned else ""
        change = f" with {self.change}" if self.change else ""
        them = "them" if who.startswith("all ") else "it"
        return f"{who} would start{pins} on `{self.short_form}`{change}, the smallest known box that takes {them}"


def paste_name(card: KnownGpu) -> str:
    """A card's short name in one word that means this card and no other: `RTX4090`, `A100-80GB`."""
    short = short_gpu_name(card.name)
    return next((word for word in _joined(short) if find_gpu(word) == card), short)


def _joined(short: str) -> Iterator[str]:
    yield short.replace(" ", "")
    yield short.replace(" ", "-")


def smallest_box(ground: Ground, candidacies: tuple[Candidacy, ...]) -> Box | None:
    """The fewest bytes of equal known cards on which all services start together, as they are written.

    None when no known box is enough, or when there are too many services to look. Pins count where such a box can have
    them, else they are left out. Among equals: fewer cards, then those that are there already.
    """
    if not candidacies or len(candidacies) > _MOST_SERVICES:
        return None
    present = {seat.gpu.name for seat in ground.seats}
    fewest = max(each.world_size for each in candidacies)
    most = min(_MOST_CARDS, max(fewest, sum(each.widest for each in candidacies)))
    boxes = sorted(
        ((card, count) for card in known_gpus() for count in range(fewest, most + 1)),
        key=lambda box: (box[0].total_bytes * box[1], box[1], box[0].name not in present, box[0].name),
    )
    stocks: dict[str, _Stock | None] = {}
    for card, count in boxes:
        if card.name not in stocks:
            stocks[card.name] = _stock(ground, candidacies, card, most)
        stock = stocks[card.name]
        if stock is not None and stock.takes(count):
            short_form = f"{count}x{stock.name}"
            unpinned = not _takes_as_written(ground, candidacies, short_form)
            return Box(short_form=short_form, total_bytes=card.total_bytes * count, unpinned=unpinned)
    return None


def box_for_one(ground: Ground, candidacy: Candidacy) -> Box | None:
    """The smallest box for one service as it is written; else with the tensor-parallel-size that needs the least."""
    as_written = smallest_box(ground, (candidacy,))
    if as_written is not None:
        return as_written
    boxes = []
    for size in _SIZES:
        values: dict[str, FlagValue] = {_TENSOR_PARALLEL: size}
        profile = replace(candidacy.profile, vllm=with_values(candidacy.profile.vllm, values, ground.release))
        wider = replace(candidacy, profile=profile, world_size=world_size_of(profile, ground.release))
        box = smallest_box(ground, (wider,))
        if box is not None:
            key = shown_key(profile.vllm, _TENSOR_PARALLEL, ground.release)
            boxes.append(replace(box, change=f"`{key}: {size}`"))
    return min(boxes, key=lambda box: box.total_bytes, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stock:
    """As many cards of one kind as a box may have, and the services as they fit on any of them."""

    name: str
    problem: Problem

    def takes(self, count: int) -> bool:
        """Whether the first `count` of the cards are enough."""
        there = frozenset(range(count))
        tenants = []
        for tenant in self.problem.tenants:
            options = (option.only_on(there) for option in tenant.options)
            tenants.append(replace(tenant, options=tuple(each for each in options if each is not None)))
        return _is_feasible(replace(self.problem, tenants=tuple(tenants), free=self.problem.free[:count]))


def _stock(ground: Ground, candidacies: tuple[Candidacy, ...], card: KnownGpu, count: int) -> _Stock | None:
    """None where a service does not fit on such cards at all."""
    name = paste_name(card)
    there = _ground_of(ground, f"{count}x{name}")
    moved = []
    for each in candidacies:
        moved.append(there.assess(replace(each.profile, gpus=None), each.facts))
        if not moved[-1].options:
            return None
    return _Stock(name=name, problem=problem_of(there, tuple(moved)))


def _takes_as_written(ground: Ground, candidacies: tuple[Candidacy, ...], short_form: str) -> bool:
    there = _ground_of(ground, short_form)
    return _is_feasible(problem_of(there, tuple(there.assess(each.profile, each.facts) for each in candidacies)))


def _ground_of(ground: Ground, short_form: str) -> Ground:
    inventory = inventory_from_short_form(short_form)
    seats = seats_of(inventory) if isinstance(inventory, Inventory) else ()
    return replace(ground, seats=seats)


def _is_feasible(problem: Problem) -> bool:
    try:
        return is_feasible(problem, _MOST_STEPS)
    except LimitReachedError:
        return False
