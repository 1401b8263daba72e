"""Does it fit, and how: an exact depth-first search over fixed claims.

Items come the hardest first, and each tries the GPUs that it fills best. Of GPUs, groups and hosts that look alike to
all that is still to come only one is tried; a state that was hopeless once is not entered again; and what is left of
every GPU is rounded down to what the claims still to come can add up to.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.planner.entries import Ground, Group, Pool
from orchestrator.planner.items import Item, may_fit
from orchestrator.planner.outlook import Outlook
from orchestrator.planner.steps import Steps
from orchestrator.planner.symmetry import Alikeness, alikeness

_TAKEN = -1
"""What is left of a GPU that an exclusive item holds: less than any claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a packing may use: GPUs in all, moves of those that run, items left out by the number of their budget."""

    gpus: int | None = None
    moves: int | None = None
    skips: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One item placed, or left out (no GPUs)."""

    option: int
    gpus: tuple[int, ...]
    claims: tuple[int, ...]
    is_move: bool = False
    skip: int | None = None


Packing = list[tuple[int, tuple[int, ...]] | None]
"""Beside the items: the option and its GPUs, or None for an item that is left out."""

_ANYWHERE = Limits()


def pack(
    items: Sequence[Item], ground: Ground, steps: Steps, limits: Limits = _ANYWHERE, *, spread: bool = False
) -> Packing | None:
    """Where the items go, or None when there is no packing. `spread` tries the emptiest GPUs first.

    Raises `LimitReachedError`. The order of the items decides ties.
    """
    steps.spend(1 + len(items) * len(ground.free) // 256)
    if not all(item.is_possible for item in items) or not may_fit(items, ground.free):
        return None
    order = sorted(range(len(items)), key=lambda number: (items[number].difficulty, number))
    search = _Search([items[number] for number in order], ground, steps, limits, spread)
    if not search.run():
        return None
    result: Packing = [None] * len(items)
    for number, choice in zip(order, search.chosen, strict=True):
        result[number] = (choice.option, choice.gpus) if choice.gpus else None
    return result


@dataclass(slots=True)
class _Frame:
    """An item that is being placed: the choices not tried yet, and how to undo the one that is."""

    state: bytes
    choices: Iterator[Choice]
    undo: list[tuple[int, int, bool]] | None = None
    marks: list[int] | None = None


Look = tuple[int, int, bool, int]


@dataclass(slots=True)
class _Search:
    items: list[Item]
    ground: Ground
    steps: Steps
    limits: Limits
    spread: bool
    chosen: list[Choice] = field(init=False, default_factory=list)
    frames: list[_Frame] = field(init=False, default_factory=list)
    left: list[int] = field(init=False)
    empty: list[bool] = field(init=False)
    marks: list[int] = field(init=False)
    """Per GPU, a bit for each rule that has a member in the GPU's zone."""
    zones_left: list[bytes] = field(init=False, default_factory=list)
    """How each zone looks to the items from the current depth on; groups only."""
    budget: list[int] = field(init=False)
    """What is left of the limits: skips, then moves, then GPUs to be opened."""
    names: dict[tuple[int, int], int] = field(init=False, default_factory=dict)
    alike: Alikeness = field(init=False)
    outlook: Outlook = field(init=False)
    hopeless: set[bytes] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        count = len(self.ground.free)
        self.left, self.empty, self.marks = list(self.ground.free), [True] * count, [0] * count
        moves = len(self.items) if self.limits.moves is None else self.limits.moves
        gpus = 2 * count if self.limits.gpus is None else self.limits.gpus
        self.budget = [*self.limits.skips, moves, gpus]
        self.alike = alikeness(self.ground, [item.entry for item in self.items], [item.rules for item in self.items])
        self.outlook = Outlook.of(self.items, max(self.ground.free, default=0), len(self.limits.skips))

    def run(self) -> bool:
        """Places all items; what is chosen stands in `chosen`."""
        if not self.items:
            return True
        self._open()
        while self.frames:
            if not self._advance(self.frames[-1]):
                self.hopeless.add(self.frames.pop().state)
            elif len(self.chosen) == len(self.items):
                return True
            else:
                self._open()
        return False

    def _open(self) -> None:
        """Turns to the next item, unless what is left cannot do for the items from there on."""
        depth = len(self.chosen)
        self.steps.spend(max(1, len(self.left) // 8))
        if not self.outlook.is_enough(depth, self.left, self.empty, self.budget):
            return
        state = self._state(depth)
        if state not in self.hopeless:
            self.frames.append(_Frame(state, iter(self._choices(depth))))

    def _advance(self, frame: _Frame) -> bool:
        """Takes the next choice in place of the last one; False when there is none."""
        if frame.undo is not None:
            self._give_back(frame)
        choice = next(frame.choices, None)
        if choice is None:
            return False
        frame.undo = [(gpu, self.left[gpu], self.empty[gpu]) for gpu in choice.gpus]
        frame.marks = self.marks
        self._take(choice, self.items[len(self.chosen)])
        return True

    def _take(self, choice: Choice, item: Item) -> None:
        self._charge(choice, -1)
        for gpu, claim in zip(choice.gpus, choice.claims, strict=True):
            self.left[gpu] = _TAKEN if item.exclusive else self.left[gpu] - claim
            self.empty[gpu] = False
        if item.rules and choice.gpus:
            self.marks = self._marked(choice, item)
        self.chosen.append(choice)

    def _give_back(self, frame: _Frame) -> None:
        choice = self.chosen.pop()
        for gpu, left, empty in frame.undo or ():
            self.left[gpu], self.empty[gpu] = left, empty
        self.marks = frame.marks or self.marks
        frame.undo = None
        self._charge(choice, 1)

    def _charge(self, choice: Choice, sign: int) -> None:
        """Called while the GPUs of the choice are as they were before it."""
        if choice.skip is not None:
            self.budget[choice.skip] += sign
        self.budget[-2] += sign * choice.is_move
        self.budget[-1] += sign * sum(self.empty[gpu] for gpu in choice.gpus)

    def _marked(self, choice: Choice, item: Item) -> list[int]:
        marks = list(self.marks)
        for number in item.rules:
            zones = self.ground.rules[number].zones
            taken = {zones[gpu] for gpu in choice.gpus}
            for gpu, zone in enumerate(zones):
                if zone in taken:
                    marks[gpu] |= 1 << number
        return marks

    def _obeys(self, item: Item, gpus: tuple[int, ...]) -> bool:
        for number in item.rules:
            rule, bit = self.ground.rules[number], 1 << number
            if not rule.together:
                if any(self.marks[gpu] & bit for gpu in gpus):
                    return False
            elif len({rule.zones[gpu] for gpu in gpus}) > 1 or (
                not self.marks[gpus[0]] & bit and any(mark & bit for mark in self.marks)
            ):
                return False
        return True

    def _choices(self, depth: int) -> Iterator[Choice]:
        """The choices within the limits, those that look alike once, the tightest first, after leaving it out."""
        item = self.items[depth]
        if item.skip is not None and self.budget[item.skip] > 0:
            yield Choice(-1, (), (), skip=item.skip)
        found = [*self._single_choices(item, depth), *self._group_choices(item, depth)]
        if len(found) > 1:
            sign = -1 if self.spread else 1
            found.sort(key=lambda each: (each[1].is_move, each[0] * sign, each[1].gpus))
        for _, choice in found:
            yield choice

    def _single_choices(self, item: Item, depth: int) -> Iterator[tuple[int, Choice]]:
        classes, by_zone = self.alike.classes[depth], self.alike.by_zone[depth]
        tried = set()
        for gpu, claim, option, is_move in item.singles:
            left = self.left[gpu]
            if left < claim or not self._is_open(item, gpu) or (is_move and self.budget[-2] < 1):
                continue
            zone = self.zones_left[self.ground.zone_of[gpu]] if by_zone else b""
            look = (classes[gpu], left, self.empty[gpu], self.marks[gpu], claim, is_move, zone)
            if look not in tried and (not item.rules or self._obeys(item, (gpu,))):
                tried.add(look)
                yield left - claim, Choice(option, (gpu,), (claim,), is_move)

    def _is_open(self, item: Item, gpu: int) -> bool:
        return self.budget[-1] > 0 if self.empty[gpu] else not item.exclusive

    def _group_choices(self, item: Item, depth: int) -> Iterator[tuple[int, Choice]]:
        """Of zones that look alike the first; in a zone, of GPUs that look alike the first."""
        first_zone: dict[bytes, int] = {}
        for group, claims, is_move in item.groups:
            if is_move and self.budget[-2] < 1:
                continue
            if first_zone.setdefault(self.zones_left[group.zone], group.zone) != group.zone:
                continue
            for gpus, taken in self._sets(item, group, claims, depth):
                opened = sum(self.empty[gpu] for gpu in gpus)
                if opened <= self.budget[-1] and (not item.rules or self._obeys(item, gpus)):
                    rest = sum(self.left[gpu] for gpu in gpus) - sum(taken)
                    yield rest // len(gpus), Choice(group.option, gpus, taken, is_move)

    def _sets(
        self, item: Item, group: Group, claims: tuple[int, ...], depth: int
    ) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The GPUs in order, with the bytes on each."""
        parts: list[list[tuple[int, ...]]] = []
        for pool, count, at in group.pools:
            parts.append(list(self._subsets(item, pool, count, claims[at], depth)))
            if not parts[-1]:
                return
        self.steps.spend(len(parts) > 1 or group.pools[0][1] > 1)
        for combination in _products(parts):
            pairs = sorted(
                (gpu, claims[at]) for gpus, (_, _, at) in zip(combination, group.pools, strict=True) for gpu in gpus
            )
            yield tuple(gpu for gpu, _ in pairs), tuple(claim for _, claim in pairs)

    def _subsets(self, item: Item, pool: Pool, count: int, claim: int, depth: int) -> Iterator[tuple[int, ...]]:
        """That many GPUs of the pool; only how many of each look counts."""
        classes = self.alike.classes[depth]
        looks: dict[Look, list[int]] = {}
        for gpu in pool:
            if self.left[gpu] >= claim and (self.empty[gpu] or not item.exclusive):
                look = (classes[gpu], self.left[gpu], self.empty[gpu], self.marks[gpu])
                looks.setdefault(look, []).append(gpu)
        return _drawn(list(looks.values()), count, self.steps)

    def _state(self, depth: int) -> bytes:
        """What is left to the items from `depth` on, whichever of the GPUs and zones that look alike is which."""
        words = self._words(self.alike.classes[depth])
        if not self.alike.by_zone[depth]:
            return array("Q", [depth, *self.budget[:-1], *sorted(words)]).tobytes()
        self.zones_left = [array("Q", sorted([words[gpu] for gpu in zone])).tobytes() for zone in self.ground.zones]
        return array("Q", [depth, *self.budget[:-1]]).tobytes() + b"".join(sorted(self.zones_left))

    def _words(self, classes: list[int]) -> list[int]:
        if self.ground.rules:
            names = self.names
            classes = [names.setdefault(pair, len(names)) for pair in zip(classes, self.marks, strict=True)]
        return [
            alike << 49 | (left + 1) << 1 | empty
            for alike, left, empty in zip(classes, self.left, self.empty, strict=True)
        ]


def _products(parts: list[list[tuple[int, ...]]]) -> Iterator[tuple[tuple[int, ...], ...]]:
    if not parts:
        yield ()
        return
    for first in parts[0]:
        for rest in _products(parts[1:]):
            yield (first, *rest)


def _drawn(looks: list[list[int]], count: int, steps: Steps) -> Iterator[tuple[int, ...]]:
    """Sets of that many, of those that look alike the first ones."""
    if count == 0:
        yield ()
    elif looks and count <= sum(map(len, looks)):
        for taken in range(min(count, len(looks[0])), -1, -1):
            for rest in _drawn(looks[1:], count - taken, steps):
                yield (*looks[0][:taken], *rest)
            steps.spend()
