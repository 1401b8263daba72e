"""In which order services are stopped and started, so that each is down for as short as the memory allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.domain.operations import Action, Operation, OperationKind, Step
from orchestrator.domain.saved_plan import SavedService


def changeover(operations: tuple[Operation, ...]) -> tuple[Step, ...]:
    """The steps: what goes is stopped first; then each is replaced by itself, as far as its GPUs and port are free.

    A new container is started beside old ones only where no GPU holds more than it held before or will hold, where
    nobody who leaves the GPU is left on it, and where those that it waits for run. Where services wait for each
    other's memory (they swap GPUs, say) as many are stopped as must be.
    """
    return tuple(_joined(_Box.before(operations).walk()))


def _joined(steps: Iterator[Step]) -> Iterator[Step]:
    """A stop and a start of the same service with nothing between are a replacement."""
    waiting: Step | None = None
    for step in steps:
        if waiting is not None and step == Step(action=Action.START, service=waiting.service):
            yield Step(action=Action.REPLACE, service=step.service)
            waiting = None
            continue
        if waiting is not None:
            yield waiting
        waiting = step if step.action is Action.STOP else None
        if waiting is None:
            yield step
    if waiting is not None:
        yield waiting


@dataclass(slots=True)
class _Box:
    """What runs at a moment of the changeover, by name; `pending` are yet to be started, `held` what a GPU may hold."""

    running: dict[str, SavedService]
    goal: Mapping[str, SavedService]
    removed: tuple[str, ...]
    pending: list[str]
    held: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def before(cls, operations: tuple[Operation, ...]) -> _Box:
        running = {each.service: each.before for each in operations if each.before is not None}
        goal = {each.service: each.after for each in operations if each.after is not None}
        started = {OperationKind.CREATE, OperationKind.RECREATE}
        then, now = _claims(running.values()), _claims(goal.values())
        return cls(
            running=dict(running),
            goal=goal,
            removed=tuple(each.service for each in operations if each.kind is OperationKind.REMOVE),
            pending=_in_starting_order([each.service for each in operations if each.kind in started], goal),
            held={uuid: max(then.get(uuid, 0), now.get(uuid, 0)) for uuid in {*then, *now}},
        )

    def walk(self) -> Iterator[Step]:
        for name in self.removed:
            yield self._stop(name)
        while self.pending:
            ready = next((name for name in self.pending if self._can_start(name)), None)
            if ready is None:
                yield from self._make_room()
                ready = self.pending[0]
            if ready in self.running:
                yield self._stop(ready)
            yield self._start(ready)

    def _can_start(self, name: str) -> bool:
        return set(self.goal[name].start_after) <= self.running.keys() and not self._in_the_way(name)

    def _make_room(self) -> Iterator[Step]:
        """Stops what is in the way of the first that is pending, which waits for nobody who is, until it can start."""
        while blocking := self._in_the_way(self.pending[0]):
            yield self._stop(blocking)

    def _stop(self, name: str) -> Step:
        del self.running[name]
        return Step(action=Action.STOP, service=name)

    def _start(self, name: str) -> Step:
        self.pending.remove(name)
        self.running[name] = self.goal[name]
        return Step(action=Action.START, service=name)

    def _in_the_way(self, name: str) -> str:
        """An old container that must be gone before this one starts; empty where there is none."""
        after = self.goal[name]
        old = {other: each for other, each in self.running.items() if other != name and other in self.pending}
        return next((other for other, each in old.items() if self._blocks(each, other, after, name)), "")

    def _blocks(self, old: SavedService, other: str, after: SavedService, name: str) -> bool:
        if (old.host, old.port) == (after.host, after.port):
            return True
        shared = set(old.gpu_uuids) & set(after.gpu_uuids)
        leaves = not shared <= set(self.goal[other].gpu_uuids)
        return bool(shared) and (leaves or not self._has_room(after, name, shared))

    def _has_room(self, after: SavedService, name: str, uuids: set[str]) -> bool:
        beside = [each for other, each in self.running.items() if other != name]
        claims = _claims([*beside, after])
        return all(claims[uuid] <= self.held[uuid] for uuid in uuids)


def _claims(services: Iterable[SavedService]) -> dict[str, int]:
    """Bytes on every GPU, pessimistically."""
    found: dict[str, int] = {}
    for service in services:
        for worker in service.workers:
            found[worker.gpu_uuid] = found.get(worker.gpu_uuid, 0) + worker.claim_bytes
    return found


def _in_starting_order(names: list[str], goal: Mapping[str, SavedService]) -> list[str]:
    """Those that others wait for first."""
    placed: list[str] = []
    waiting = list(names)
    while waiting:
        ready = [name for name in waiting if not set(goal[name].start_after) & set(waiting)]
        placed.extend(ready or waiting)
        waiting = [name for name in waiting if name not in placed]
    return placed
