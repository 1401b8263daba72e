"""A first placement made the best one, part by part of the objective that `search` states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf, nextafter

from orchestrator.planner.division import smallest_headroom
from orchestrator.planner.entries import Entry
from orchestrator.planner.items import fewest_gpus
from orchestrator.planner.packing import Limits
from orchestrator.planner.problem import Gap, Option, Tenant
from orchestrator.planner.questions import Answer, Questions, Struck, with_home
from orchestrator.planner.steps import LimitReachedError, Progress

_PER_QUESTION = 8
"""The part of the limit that one question may take."""

_CLOSE = 0.02
"""Relative width of the interval of headrooms below which the search stops halving and asks for the next value."""


@dataclass(slots=True)
class Improving:
    """A placement on its way to the best one; every method settles one part of the objective."""

    questions: Questions
    best: tuple[Option, ...]
    step_limit: int
    struck: tuple[Struck, ...] = ()
    floor: float = -inf
    """The headroom that everybody is known to be able to have at once."""
    gaps: list[Gap] = field(default_factory=list)

    def run(self) -> None:
        self.struck = self.questions.everybody
        for part, settle in (
            ("moved", self.moves),
            ("ranks", self.interconnect),
            ("smallest_headroom", self.headroom),
            ("gpus_used", self.gpu_count),
        ):
            self._tell(part)
            settle()

    def _tell(self, part: str) -> None:
        self.questions.steps.progress = Progress(
            part=part,
            has_placement=True,
            smallest_headroom=self.floor if self.floor > -inf else None,
            gpus_used=_count(self.best),
        )

    def _ask(
        self,
        struck: tuple[Struck, ...],
        headroom: float = -inf,
        *,
        gpus: int | None = None,
        moves: int | None = None,
        spread: bool = False,
    ) -> Answer:
        whole = self.questions.steps
        if not whole.left:
            return Answer(None, known=False)
        dives = 2 * (len(struck) + 1) * (1 + len(self.questions.problem.free) // 8)
        most = dives if spread else self.step_limit // _PER_QUESTION + dives
        try:
            steps = whole.at_most(most)
            limits = Limits(gpus=gpus, moves=moves)
            return Answer(self.questions.ask(struck, headroom, limits=limits, steps=steps, spread=spread))
        except LimitReachedError:
            return Answer(None, known=False)

    def moves(self) -> None:
        """The fewest who move; of equals, those who are more important stay."""
        tenants = self.questions.tenants
        homes = tuple(map(with_home, tenants))
        row = [number for number, home in enumerate(homes) if home.moves]
        row.sort(key=lambda number: tenants[number].importance)
        if not row:
            return

        def count(options: tuple[Option, ...]) -> int:
            return sum(not _is_home(tenants[number], options[number]) for number in row)

        fewest = self._fewest("moved", 0, lambda most: self._ask(homes, moves=most), count)
        self.struck = homes
        for number in row:
            self._stays_or_moves(number, fewest)
        self.struck = tuple(replace(each, moves=()) for each in self.struck)

    def _stays_or_moves(self, number: int, fewest: int) -> None:
        """Stays for good where that is possible with so few moves in all, else moves for good."""
        staying = _with(self.struck, number, _only(self.struck[number], moves=False))
        if not _is_home(self.questions.tenants[number], self.best[number]):
            answer = self._ask(staying, moves=fewest)
            if answer.found is None:
                if not answer.known:
                    self._leave_open("moved", reached=fewest, bound=fewest)
                self.struck = _with(self.struck, number, _only(self.struck[number], moves=True))
                return
            self.best = answer.found
        self.struck = staying

    def _fewest(
        self, part: str, bound: int, ask: Callable[[int], Answer], count: Callable[[tuple[Option, ...]], int]
    ) -> int:
        """The least count for which there is a placement; `bound` is known to be no more than that."""
        low, most = bound, count(self.best)
        wanted = low
        while low < most:
            answer = ask(wanted)
            if answer.found is not None:
                self.best, most = answer.found, count(answer.found)
            else:
                low = wanted + 1
                bound = low if answer.known else bound
            wanted = (low + most - 1) // 2
        if bound < most:
            self._leave_open(part, reached=most, bound=bound)
        return most

    def interconnect(self) -> None:
        """The most important tenant first: the best rank that leaves room for everybody; the others are struck out."""
        row = sorted(range(len(self.struck)), key=lambda number: self.struck[number].tenant.importance)
        row = [number for number in row if len({option.rank for option in self.struck[number].options}) > 1]
        while row:
            settled = self._best_ranks(row)
            if settled < len(row):
                self._next_rank(row[settled])
                settled += 1
            row = row[settled:]

    def _best_ranks(self, row: list[int]) -> int:
        """How many of the row, from the first, can all have their best rank at once; they get it."""
        low, high = 0, len(row)
        while low < high:
            middle = high if low == 0 and high == len(row) else (low + high + 1) // 2
            wanted = self.struck
            for number in row[:middle]:
                wanted = _with(wanted, number, self.questions.of_rank(wanted[number], _ranks(wanted[number])[0]))
            if all(self.best[number].rank == _ranks(wanted[number])[0] for number in row[:middle]):
                low = middle
                continue
            answer = self._ask(wanted)
            if answer.found is None:
                high = middle - 1
                if not answer.known:
                    self._leave_open("ranks", reached=low, bound=len(row))
            else:
                self.best, low = answer.found, middle
        for number in row[:low]:
            self.struck = _with(
                self.struck, number, self.questions.of_rank(self.struck[number], self.best[number].rank)
            )
        return low

    def _next_rank(self, number: int) -> None:
        """The best rank below the very best for one tenant."""
        for rank in _ranks(self.struck[number])[1:]:
            narrowed = _with(self.struck, number, self.questions.of_rank(self.struck[number], rank))
            if rank == self.best[number].rank:
                self.struck = narrowed
                return
            answer = self._ask(narrowed)
            if answer.found is not None:
                self.struck, self.best = narrowed, answer.found
                return
            if not answer.known:
                self._leave_open("ranks", reached=0, bound=1)
        self.struck = _with(self.struck, number, self.questions.of_rank(self.struck[number], self.best[number].rank))

    def _leave_open(self, part: str, *, reached: float, bound: float) -> None:
        if all(gap.part != part for gap in self.gaps):
            self.gaps.append(Gap(part=part, reached=reached, bound=bound))

    def headroom(self) -> None:
        """Raises `floor` until no placement gives everybody more."""
        free = self.questions.problem.free
        self.floor = smallest_headroom(self.best, free)
        self._take_if_better(self._ask(self.struck, spread=True))
        bound = self._roof()
        roof, asked = bound, False
        while self.floor < roof:
            wide = roof - self.floor > _CLOSE * max(1.0, abs(roof))
            wanted = (self.floor + roof) / 2 if wide else nextafter(self.floor, inf)
            if not asked:
                wanted = roof
            answer = self._ask(self.struck, wanted)
            wide, asked = wide or not asked, True
            if answer.found is not None:
                self._take_if_better(answer)
                self._tell("smallest_headroom")
                continue
            if answer.known:
                bound = min(bound, wanted if wide else self.floor)
            if not wide:
                break
            roof = wanted
        if bound > self.floor:
            self._leave_open("smallest_headroom", reached=self.floor, bound=bound)

    def _take_if_better(self, answer: Answer) -> None:
        if answer.found is not None:
            reached = smallest_headroom(answer.found, self.questions.problem.free)
            if reached > self.floor:
                self.best, self.floor = answer.found, reached

    def _roof(self) -> float:
        """Nobody can have more than alone on the best GPUs."""
        entries = {id(each.options): self.questions.entries.entry(each.options) for each in self.struck}
        return min((self._alone(entry) for entry in entries.values()), default=self.floor)

    def _alone(self, entry: Entry) -> float:
        free = self.questions.problem.free
        alone: set[tuple[int, tuple[int, ...]]] = {(kind, (free[gpu],)) for gpu, kind, _ in entry.singles}
        for group in entry.groups:
            claimed = {at: free[pool[0]] for pool, _, at in group.pools}
            option = entry.kinds[group.kind]
            alone.add((group.kind, tuple(claimed.get(at, max(free)) for at in range(len(option.shares)))))
        levels = ((entry.kinds[kind], entry.kinds[kind].highest(row)) for kind, row in alone)
        return max((option.headroom(level) for option, level in levels if level is not None), default=-inf)

    def gpu_count(self) -> None:
        """The fewest GPUs that still give everybody `floor`."""
        free = self.questions.problem.free
        tightest = self._ask(self.struck, self.floor)
        if tightest.found is not None and _count(tightest.found) <= _count(self.best):
            self.best = tightest.found
        bound = fewest_gpus(self.questions.items(self.struck, self.floor), free)
        self._fewest("gpus_used", bound, lambda most: self._ask(self.struck, self.floor, gpus=most), _count)


def _count(options: tuple[Option, ...]) -> int:
    return len({gpu for option in options for gpu in option.gpus})


def _with(row: tuple[Struck, ...], number: int, struck: Struck) -> tuple[Struck, ...]:
    return (*row[:number], struck, *row[number + 1 :])


def _ranks(struck: Struck) -> list[tuple[int, ...]]:
    return sorted({option.rank for option in struck.options})


def _is_home(tenant: Tenant, option: Option) -> bool:
    return tenant.current is not None and frozenset(tenant.current) == frozenset(option.gpus)


def _only(struck: Struck, *, moves: bool) -> Struck:
    options = tuple(each for each, move in zip(struck.options, struck.moves, strict=True) if move is moves)
    return replace(struck, options=options, moves=(moves,) * len(options))
