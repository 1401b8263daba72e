"""How much work a search may do, who watches it, and what is said when it is given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


class LimitReachedError(Exception):
    """The search was given up before there was an answer. Says nothing about whether there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search stands: the part of the objective it works on, the steps taken, and what it has so far."""

    part: str = "a first placement"
    steps: int = 0
    has_placement: bool = False
    smallest_headroom: float | None = None
    gpus_used: int | None = None


Watch = Callable[[Progress], bool]
"""Told now and then how a search stands; it answers True to have it stopped. A time limit is a watch with a clock."""

_LOOKS = 2_000
"""Steps between two looks of a watch: some hundredths of a second."""


@dataclass(slots=True)
class Steps:
    """Counts the work of a search, in nodes on up to 8 GPUs; `spend` raises `LimitReachedError` past the limit.

    `progress` is what the watch is told; whoever searches keeps it true. A part of the work counts for the `whole`.
    """

    limit: int
    taken: int = 0
    watch: Watch | None = None
    progress: Progress = field(default_factory=Progress)
    whole: Steps | None = None
    stopped: bool = False
    _next_look: int = 0

    @property
    def left(self) -> int:
        return 0 if self.stopped else max(0, self.limit - self.taken)

    def spend(self, count: int = 1) -> None:
        self.taken += count
        if self.whole is not None:
            self.whole.spend(count)
        if self.watch is not None and self.taken >= self._next_look:
            self._look(self.watch)
        if self.stopped or self.taken > self.limit:
            raise LimitReachedError

    def _look(self, watch: Watch) -> None:
        self._next_look = self.taken + _LOOKS
        told = Progress(
            part=self.progress.part,
            steps=self.taken,
            has_placement=self.progress.has_placement,
            smallest_headroom=self.progress.smallest_headroom,
            gpus_used=self.progress.gpus_used,
        )
        self.stopped = self.stopped or watch(told)

    def at_most(self, limit: int) -> Steps:
        """A part of the work, with a limit of its own."""
        return Steps(min(limit, self.left), whole=self)
