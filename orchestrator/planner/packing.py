"""Does it fit, and how: an exact depth-first search over fixed claims, the first answer in the order of ties."""

from __future__ import annotations

from dataclasses import dataclass, field


class LimitReachedError(Exception):
    """The search was given up before there was an answer. Says nothing about whether there is one."""


@dataclass(slots=True)
class Steps:
    """Counts the nodes of a search; `spend` raises `LimitReachedError` past the limit."""

    limit: int
    taken: int = 0

    def spend(self) -> None:
        self.taken += 1
        if self.taken > self.limit:
            raise LimitReachedError


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to place an item: GPUs and the bytes on each; `option` is what the caller knows it by."""

    option: int
    gpus: tuple[int, ...]
    claims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Item:
    choices: tuple[Choice, ...]
    exclusive: bool = False


State = tuple[tuple[int, int, bool], ...]

_TAKEN = -1
"""What is left of a GPU that an exclusive item holds: less than any claim."""


def pack(
    items: tuple[Item, ...], free: tuple[int, ...], steps: Steps, most_gpus: int | None = None
) -> list[int] | None:
    """The chosen option of every item, or None when there is no packing.

    Items with one choice come first, then sets of several GPUs, then the largest claims; the answer is the one whose
    choices come first in that order. Raises `LimitReachedError`.
    """
    order = sorted(range(len(items)), key=lambda number: _difficulty(items[number], number))
    if any(not items[number].choices for number in order):
        return None
    search = _Search(tuple(items[number] for number in order), free, steps, most_gpus)
    if not search.place(0):
        return None
    result = [0] * len(items)
    for number, choice in zip(order, search.chosen, strict=True):
        result[number] = choice.option
    return result


def _difficulty(item: Item, number: int) -> tuple[bool, int, int, int]:
    widest = max((len(choice.gpus) for choice in item.choices), default=0)
    return (len(item.choices) > 1, -widest, -_least_demand(item), number)


def _least_demand(item: Item) -> int:
    return min((sum(choice.claims) for choice in item.choices), default=0)


@dataclass(slots=True)
class _Search:
    items: tuple[Item, ...]
    free: tuple[int, ...]
    steps: Steps
    most_gpus: int | None
    chosen: list[Choice] = field(init=False, default_factory=list)
    left: list[int] = field(init=False)
    empty: list[bool] = field(init=False)
    demand: list[int] = field(init=False)
    smallest: list[int] = field(init=False)
    alike: list[list[int]] = field(init=False)
    hopeless: set[tuple[int, State]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.left = list(self.free)
        self.empty = [True] * len(self.free)
        self.demand = [0]
        self.smallest = [max(self.free, default=0) + 1]
        for item in reversed(self.items):
            least_claim = min(min(choice.claims) for choice in item.choices)
            self.demand.append(self.demand[-1] + _least_demand(item))
            self.smallest.append(min(self.smallest[-1], least_claim))
        self.demand.reverse()
        self.smallest.reverse()
        self.alike = _alike_from(self.items, len(self.free))

    def place(self, depth: int) -> bool:
        """Places the items from `depth` on; what is chosen stands in `chosen`."""
        if depth == len(self.items):
            return True
        self.steps.spend()
        if self._capacity(self.smallest[depth]) < self.demand[depth]:
            return False
        state = (depth, self._state(depth))
        if state in self.hopeless:
            return False
        if self._try_choices(depth):
            return True
        self.hopeless.add(state)
        return False

    def _try_choices(self, depth: int) -> bool:
        item = self.items[depth]
        alike = self.alike[depth]
        tried: set[tuple[tuple[int, int, bool], ...]] = set()
        for choice in item.choices:
            if not self._fits(choice, item.exclusive):
                continue
            looks = tuple((alike[gpu], self.left[gpu], self.empty[gpu]) for gpu in choice.gpus)
            if looks in tried:
                continue
            tried.add(looks)
            before = [(self.left[gpu], self.empty[gpu]) for gpu in choice.gpus]
            self._take(choice, item.exclusive)
            if self.place(depth + 1):
                return True
            self._give_back(choice, before)
        return False

    def _fits(self, choice: Choice, exclusive: bool) -> bool:
        for gpu, claim in zip(choice.gpus, choice.claims, strict=True):
            if self.left[gpu] < claim or (exclusive and not self.empty[gpu]):
                return False
        return self.most_gpus is None or self._used() + sum(self.empty[gpu] for gpu in choice.gpus) <= self.most_gpus

    def _take(self, choice: Choice, exclusive: bool) -> None:
        for gpu, claim in zip(choice.gpus, choice.claims, strict=True):
            self.left[gpu] = _TAKEN if exclusive else self.left[gpu] - claim
            self.empty[gpu] = False
        self.chosen.append(choice)

    def _give_back(self, choice: Choice, before: list[tuple[int, bool]]) -> None:
        for gpu, (left, empty) in zip(choice.gpus, before, strict=True):
            self.left[gpu], self.empty[gpu] = left, empty
        self.chosen.pop()

    def _used(self) -> int:
        return len(self.empty) - sum(self.empty)

    def _capacity(self, smallest: int) -> int:
        """Bytes that any later item could still take: a remnant smaller than every claim is lost."""
        if self.most_gpus is None:
            return sum(left for left in self.left if left >= smallest)
        opened = sum(left for left, empty in zip(self.left, self.empty, strict=True) if left >= smallest and not empty)
        unopened = sorted((left for left, empty in zip(self.left, self.empty, strict=True) if empty), reverse=True)
        return opened + sum(left for left in unopened[: self.most_gpus - self._used()] if left >= smallest)

    def _state(self, depth: int) -> State:
        return tuple(sorted(zip(self.alike[depth], self.left, self.empty, strict=True)))


def _alike_from(items: tuple[Item, ...], gpu_count: int) -> list[list[int]]:
    """For every depth a number per GPU: equal numbers mean that all items from there on see the two GPUs alike.

    Items that take sets of several GPUs tell all GPUs apart.
    """
    rows = [[0] * gpu_count]
    for item in reversed(items):
        rows.append(_refined(rows[-1], item, gpu_count))
    rows.reverse()
    return rows


def _refined(row: list[int], item: Item, gpu_count: int) -> list[int]:
    if any(len(choice.gpus) > 1 for choice in item.choices):
        return list(range(gpu_count))
    claims = {choice.gpus[0]: choice.claims[0] for choice in item.choices}
    names: dict[tuple[int, int | None], int] = {}
    return [names.setdefault((row[gpu], claims.get(gpu)), len(names)) for gpu in range(gpu_count)]
