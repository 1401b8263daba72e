"""Does it fit, and how: an exact depth-first search over fixed claims, the first answer in the order of ties."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge

from orchestrator.planner.problem import Rule
from orchestrator.planner.rules import Register


class LimitReachedError(Exception):
    """The search was given up before there was an answer. Says nothing about whether there is one."""


@dataclass(slots=True)
class Steps:
    """Counts the work of a search, in nodes on up to 8 GPUs; `spend` raises `LimitReachedError` past the limit."""

    limit: int
    taken: int = 0

    @property
    def left(self) -> int:
        return max(0, self.limit - self.taken)

    def spend(self, count: int = 1) -> None:
        self.taken += count
        if self.taken > self.limit:
            raise LimitReachedError


Pool = tuple[int, ...]
"""GPUs of which each may stand in for any other."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to place an item: GPUs and the bytes on each; `option` is what the caller knows it by.

    `pools` beside the GPUs are those that may stand in for each (the GPU itself among them); empty: none may.
    """

    option: int
    gpus: tuple[int, ...]
    claims: tuple[int, ...]
    pools: tuple[Pool, ...] = ()

    def members(self) -> Iterator[tuple[int, int]]:
        """Every GPU that may be taken, with the bytes on it."""
        pools = self.pools or tuple((gpu,) for gpu in self.gpus)
        for claim, pool in zip(self.claims, pools, strict=True):
            yield from ((each, claim) for each in pool)


@dataclass(frozen=True, slots=True)
class Item:
    """`name` is that by which rules mean it."""

    choices: tuple[Choice, ...]
    exclusive: bool = False
    name: str = ""


State = tuple[int, object]
Look = tuple[int, int, bool, int]

_TAKEN = -1
"""What is left of a GPU that an exclusive item holds: less than any claim."""

_MOST_THRESHOLDS = 64
"""Sizes of claims for which places are counted before a search; more are left to the search."""


def pack(
    items: tuple[Item, ...],
    free: tuple[int, ...],
    steps: Steps,
    most_gpus: int | None = None,
    *,
    rules: tuple[Rule, ...] = (),
) -> list[tuple[int, tuple[int, ...]]] | None:
    """The chosen option of every item with its GPUs, or None when there is no packing.

    Items with one choice come first, then sets of several GPUs, then the largest claims; the answer is the one whose
    choices come first in that order. Raises `LimitReachedError`.
    """
    steps.spend(len(items) * len(free) // 64)
    order = sorted(range(len(items)), key=lambda number: _difficulty(items[number], number))
    if any(not items[number].choices for number in order) or not _may_fit(items, free):
        return None
    search = _Search(tuple(items[number] for number in order), free, steps, most_gpus, Register(rules))
    if not search.run():
        return None
    result: list[tuple[int, tuple[int, ...]]] = [(0, ())] * len(items)
    for number, choice in zip(order, search.chosen, strict=True):
        result[number] = (choice.option, choice.gpus)
    return result


def _difficulty(item: Item, number: int) -> tuple[bool, int, int, int]:
    widest = max((len(choice.gpus) for choice in item.choices), default=0)
    is_bound = len(item.choices) == 1 and all(len(pool) == 1 for pool in item.choices[0].pools)
    return (not is_bound, -widest, -_least_demand(item), number)


def _least_demand(item: Item) -> int:
    return min((sum(choice.claims) for choice in item.choices), default=0)


def _least_claim(item: Item) -> int:
    return min(min(choice.claims) for choice in item.choices)


def _may_fit(items: tuple[Item, ...], free: tuple[int, ...]) -> bool:
    """What must hold wherever items may go: enough bytes, and enough places for the claims of any size and above."""
    reaches: dict[int, frozenset[int]] = {}
    groups: dict[frozenset[int], list[Item]] = {}
    for item in items:
        key = id(item.choices)
        if key not in reaches:
            reaches[key] = frozenset(gpu for choice in item.choices for gpu, _ in choice.members())
        groups.setdefault(reaches[key], []).append(item)
    widest = sorted(groups, key=len)[:_MOST_THRESHOLDS]
    return all(
        _have_room([item for inner in groups if inner <= reach for item in groups[inner]], [free[gpu] for gpu in reach])
        for reach in widest
    )


def _have_room(items: list[Item], free: list[int]) -> bool:
    if sum(_least_demand(item) for item in items) > sum(free):
        return False
    claims = sorted(
        ((_least_claim(item), min(len(choice.gpus) for choice in item.choices)) for item in items), reverse=True
    )
    wanted: dict[int, int] = {}
    count = 0
    for claim, width in claims:
        count += width
        wanted[claim] = count
    thresholds = sorted(wanted)[:_MOST_THRESHOLDS]
    return all(claim <= 0 or sum(left // claim for left in free) >= wanted[claim] for claim in thresholds)


@dataclass(slots=True)
class _Frame:
    """An item that is being placed: the choices not tried yet, and how to undo the one that is."""

    state: State
    choices: Iterator[Choice]
    before: list[tuple[int, bool, int]] | None = None


@dataclass(slots=True)
class _Search:
    items: tuple[Item, ...]
    free: tuple[int, ...]
    steps: Steps
    most_gpus: int | None
    register: Register
    chosen: list[Choice] = field(init=False, default_factory=list)
    frames: list[_Frame] = field(init=False, default_factory=list)
    left: list[int] = field(init=False)
    empty: list[bool] = field(init=False)
    demand: list[int] = field(init=False)
    places: list[int] = field(init=False)
    smallest: list[int] = field(init=False)
    alike: list[list[int]] = field(init=False)
    marks: list[int] = field(init=False)
    mark_of: list[int] = field(init=False)
    heeded: list[int] = field(init=False)
    hopeless: set[State] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.left = list(self.free)
        self.empty = [True] * len(self.free)
        self.demand, self.places = [0], [0]
        self.smallest = [max(self.free, default=0) + 1]
        for item in reversed(self.items):
            self.demand.append(self.demand[-1] + _least_demand(item))
            self.places.append(self.places[-1] + min(len(choice.gpus) for choice in item.choices))
            self.smallest.append(min(self.smallest[-1], _least_claim(item)))
        for row in (self.demand, self.places, self.smallest):
            row.reverse()
        self.alike = _alike_from(self.items, len(self.free), self.register)
        self.marks = [0] * len(self.free)
        self.mark_of = _marks(self.items, self.register)
        self.heeded = _heeded_from(self.items, self.mark_of, self.register)

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
        self.steps.spend(max(1, len(self.free) // 8))
        if self._is_short(depth):
            return
        state = (depth, self._state(depth))
        if state not in self.hopeless:
            self.frames.append(_Frame(state, self._choices(depth)))

    def _advance(self, frame: _Frame) -> bool:
        """Takes the next choice in place of the last one; False when there is none."""
        if frame.before is not None:
            self._give_back(frame.before)
            frame.before = None
        choice = next(frame.choices, None)
        if choice is None:
            return False
        frame.before = [(self.left[gpu], self.empty[gpu], self.marks[gpu]) for gpu in choice.gpus]
        self._take(choice, self.items[len(self.chosen)])
        return True

    def _choices(self, depth: int) -> Iterator[Choice]:
        """The choices that fit, those that look alike once, in the order of their GPUs where GPUs stand in."""
        item = self.items[depth]
        tried: set[tuple[Look, ...]] = set()
        for choice in self._instances(item, depth):
            if not self._fits(choice, item):
                continue
            looks = tuple(self._look(depth, gpu) for gpu in choice.gpus)
            if looks not in tried:
                tried.add(looks)
                yield choice

    def _look(self, depth: int, gpu: int) -> Look:
        """All that the items from `depth` on see of a GPU."""
        return (self.alike[depth][gpu], self.left[gpu], self.empty[gpu], self.marks[gpu] & self.heeded[depth])

    def _instances(self, item: Item, depth: int) -> Iterator[Choice]:
        if not any(choice.pools for choice in item.choices):
            return iter(item.choices)
        rows = (self._stand_ins(choice, item.exclusive, depth) for choice in item.choices)
        return merge(*rows, key=lambda choice: choice.gpus)

    def _stand_ins(self, choice: Choice, exclusive: bool, depth: int) -> Iterator[Choice]:
        """A choice with every set of GPUs that its pools allow, those that look alike once: the first of them."""
        needs: dict[Pool, int] = {}
        claims: dict[Pool, int] = {}
        pools = choice.pools or tuple((gpu,) for gpu in choice.gpus)
        for pool, claim in zip(pools, choice.claims, strict=True):
            needs[pool] = needs.get(pool, 0) + 1
            claims[pool] = claim
        row = sorted(
            (gpu, pool, self._look(depth, gpu))
            for pool, claim in claims.items()
            for gpu in pool
            if self.left[gpu] >= claim and (self.empty[gpu] or not exclusive)
        )
        for found in self._sets(row, needs):
            gpus, owners = zip(*found, strict=True)
            yield Choice(choice.option, gpus, tuple(claims[pool] for pool in owners))

    def _sets(
        self, row: list[tuple[int, Pool, Look]], needs: dict[Pool, int]
    ) -> Iterator[tuple[tuple[int, Pool], ...]]:
        """Sets with that many GPUs of each pool in the order of their GPUs; of GPUs that look alike the first ones."""
        if not needs:
            yield ()
            return
        row = [each for each in row if each[1] in needs]
        if any(sum(1 for each in row if each[1] == pool) < count for pool, count in needs.items()):
            return
        gpu, pool, look = row[0]
        fewer = {each: count - (each == pool) for each, count in needs.items() if count > 1 or each != pool}
        for rest in self._sets(row[1:], fewer):
            yield ((gpu, pool), *rest)
        self.steps.spend(len(needs) > 1 or needs[pool] > 1)
        yield from self._sets([each for each in row if each[1:] != (pool, look)], needs)

    def _fits(self, choice: Choice, item: Item) -> bool:
        for gpu, claim in zip(choice.gpus, choice.claims, strict=True):
            if self.left[gpu] < claim or (item.exclusive and not self.empty[gpu]):
                return False
        if self.most_gpus is not None and self._used() + sum(self.empty[gpu] for gpu in choice.gpus) > self.most_gpus:
            return False
        return self.register.allows(item.name, choice.gpus)

    def _take(self, choice: Choice, item: Item) -> None:
        for gpu, claim in zip(choice.gpus, choice.claims, strict=True):
            self.left[gpu] = _TAKEN if item.exclusive else self.left[gpu] - claim
            self.empty[gpu] = False
            self.marks[gpu] |= self.mark_of[len(self.chosen)]
        self.register.enter(item.name, choice.gpus)
        self.chosen.append(choice)

    def _give_back(self, before: list[tuple[int, bool, int]]) -> None:
        for gpu, (left, empty, mark) in zip(self.chosen.pop().gpus, before, strict=True):
            self.left[gpu], self.empty[gpu], self.marks[gpu] = left, empty, mark
        self.register.leave(self.items[len(self.chosen)].name)

    def _used(self) -> int:
        return len(self.empty) - sum(self.empty)

    def _is_short(self, depth: int) -> bool:
        """Too few bytes or places for the items from `depth` on: a remnant smaller than every claim is lost."""
        smallest = self.smallest[depth]
        usable = self._usable(smallest)
        if sum(usable) < self.demand[depth]:
            return True
        return smallest > 0 and sum(left // smallest for left in usable) < self.places[depth]

    def _usable(self, smallest: int) -> list[int]:
        if self.most_gpus is None:
            return [left for left in self.left if left >= smallest]
        opened = [left for left, empty in zip(self.left, self.empty, strict=True) if left >= smallest and not empty]
        unopened = sorted((left for left, empty in zip(self.left, self.empty, strict=True) if empty), reverse=True)
        return opened + [left for left in unopened[: self.most_gpus - self._used()] if left >= smallest]

    def _state(self, depth: int) -> object:
        """What the GPUs look like to the items from `depth` on, whichever of those that look alike is which."""
        if self.heeded[depth]:
            return tuple(sorted(self._look(depth, gpu) for gpu in range(len(self.free))))
        words = [
            (alike << 49) | (left + 1) << 1 | empty
            for alike, left, empty in zip(self.alike[depth], self.left, self.empty, strict=True)
        ]
        return array("Q", sorted(words)).tobytes()


def _marks(items: tuple[Item, ...], register: Register) -> list[int]:
    """The bit by which each item is known on its GPUs, 0 for those whom no rule names; one for those who are equal."""
    bits: dict[object, int] = {}
    return [
        bits.setdefault((id(item.choices), item.exclusive, register.role(item.name)), 1 << len(bits))
        if register.circle(item.name)
        else 0
        for item in items
    ]


def _heeded_from(items: tuple[Item, ...], mark_of: list[int], register: Register) -> list[int]:
    """For every depth the marks of all on whom the place of an item from there on depends."""
    row = [0]
    for item in reversed(items):
        circle = register.circle(item.name)
        heeded = row[-1]
        for other, mark in zip(items, mark_of, strict=True):
            heeded |= mark if other.name in circle else 0
        row.append(heeded)
    row.reverse()
    return row


def _alike_from(items: tuple[Item, ...], gpu_count: int, register: Register) -> list[list[int]]:
    """For every depth a number per GPU: equal numbers mean that all items from there on see the two GPUs alike.

    Items that take sets of several GPUs tell all GPUs apart that cannot stand in for each other, and those with a rule
    about hosts tell hosts apart.
    """
    rows = [[0] * gpu_count]
    later: Item | None = None
    for item in reversed(items):
        same = later is not None and item.choices is later.choices
        row = rows[-1] if same else _refined(rows[-1], item, gpu_count)
        for rule in register.rules_of(item.name):
            row = row if rule.is_per_gpu else _numbered(row, rule.zones)
        rows.append(row)
        later = item
    rows.reverse()
    return rows


def _refined(row: list[int], item: Item, gpu_count: int) -> list[int]:
    looks: dict[int, object]
    if all(len(choice.gpus) == 1 for choice in item.choices):
        looks = {gpu: claim for choice in item.choices for gpu, claim in choice.members()}
    elif all(choice.pools for choice in item.choices):
        pools = dict.fromkeys(pool for choice in item.choices for pool in choice.pools)
        looks = {gpu: tuple(pool for pool in pools if gpu in pool) for gpu in range(gpu_count)}
    else:
        return list(range(gpu_count))
    return _numbered(row, [looks.get(gpu) for gpu in range(gpu_count)])


def _numbered(row: list[int], looks: Sequence[object]) -> list[int]:
    """One number for each pair that differs from the others."""
    names: dict[tuple[int, object], int] = {}
    return [names.setdefault(pair, len(names)) for pair in zip(row, looks, strict=True)]
