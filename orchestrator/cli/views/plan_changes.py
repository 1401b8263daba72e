"""What would change, as a person reads it: every service with its causes, what drifted, in which order, the sums."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap

from rich.text import Text

from orchestrator.cli.views.diagnostics import visible
from orchestrator.cli.views.plan_picture import Paper
from orchestrator.cli.views.printed import printed
from orchestrator.domain.operations import Action, Cause, Changes, Drift, DriftKind, Operation, OperationKind
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.saved_plan import SavedPlan, SavedService


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How a kind of operation is drawn: signs that read without colour, and what is counted in the summary."""

    sign: str
    style: str
    counted: str


_LOOKS = {
    OperationKind.CREATE: _Look(sign="+", style="green", counted="create"),
    OperationKind.RECREATE: _Look(sign="-/+", style="magenta", counted="recreate"),
    OperationKind.UPDATE: _Look(sign="~", style="yellow", counted="update in place"),
    OperationKind.KEEP: _Look(sign="", style="dim", counted="keep"),
    OperationKind.REMOVE: _Look(sign="-", style="red", counted="remove"),
}
_INDENT = 8
_LONGEST_KEY = 32


def summary_of_changes(changes: Changes) -> str:
    """`1 to create, 1 to recreate, 1 to keep, 0 to remove`; updates in place are named where there are any."""
    counts = {kind: changes.count(kind) for kind in OperationKind}
    return ", ".join(
        f"{count} to {_LOOKS[kind].counted}"
        for kind, count in counts.items()
        if count or kind is not OperationKind.UPDATE
    )


def render_changes(
    changes: Changes, before: SavedPlan | None, new: SavedPlan, against: str, *, color: bool, unicode: bool, width: int
) -> str:
    """The whole section; `against` is the name of the file that was compared with, empty where there is none."""
    paper = Paper(width=max(width, 60), unicode=unicode)
    return printed(_parts(changes, before, new, against, paper), width=paper.width, color=color)


def _parts(changes: Changes, before: SavedPlan | None, new: SavedPlan, against: str, paper: Paper) -> Iterator[Text]:
    title = f"what would change, against {visible(against)}" if against else "what would change: nothing is there yet"
    yield from _wrapped(title, paper, "", style="bold")
    names = max((len(each.service) for each in changes.operations), default=0)
    for operation in changes.operations:
        yield from _operation(operation, before, new, names, paper)
    yield Text()
    yield from _drift(changes, paper)
    yield from _order(changes)


def _operation(
    operation: Operation, before: SavedPlan | None, new: SavedPlan, names: int, paper: Paper
) -> Iterator[Text]:
    look = _LOOKS[operation.kind]
    line = Text(f"  {look.sign:<3} ", style=look.style)
    line.append(f"{visible(operation.service):<{names}}  {_headline(operation, before, new, paper)}")
    yield line
    rows = [*(_cause_row(cause) for cause in operation.causes), *_token_row(operation)]
    keys = min(max((len(row.key) for row in rows), default=0), _LONGEST_KEY)
    for row in rows:
        yield from _drawn(row, keys, paper)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a service has under a key, before and after; `before` is empty where there is nothing to compare."""

    key: str
    before: str
    after: str


def _drawn(row: _Row, keys: int, paper: Paper) -> Iterator[Text]:
    """The key with both values beside it or, where there is no room, below it, each on lines of its own."""
    change = f"{row.before} {paper.arrow} {row.after}" if row.before else row.after
    beside = f"{' ' * _INDENT}{row.key:<{keys}}  {change}"
    if len(beside) <= paper.width:
        yield Text(beside)
        return
    yield Text(f"{' ' * _INDENT}{row.key}")
    indent = " " * (_INDENT + 2)
    yield from _wrapped(row.before, paper, f"{indent}{' ' * len(paper.arrow)} ")
    yield from _wrapped(f"{paper.arrow} {row.after}", paper, indent)


def _headline(operation: Operation, before: SavedPlan | None, new: SavedPlan, paper: Paper) -> str:
    was = _gpus(operation.before, before)
    now = _gpus(operation.after, new)
    match operation.kind:
        case OperationKind.CREATE:
            return f"create on {now}"
        case OperationKind.REMOVE:
            return f"remove from {was}"
        case OperationKind.RECREATE:
            where = f"on {now}" if was == now else f"from {was} to {now}"
            return f"recreate {where}: down until it has loaded again"
        case OperationKind.UPDATE:
            return f"update in place on {now}: it runs on"
        case OperationKind.KEEP:
            return f"keep on {now}"


def _gpus(service: SavedService | None, plan: SavedPlan | None) -> str:
    if service is None or plan is None:
        return ""
    indices = [(uuid, plan.gpu_index(uuid)) for uuid in service.gpu_uuids]
    names = ", ".join(f"GPU {uuid if index is None else index}" for uuid, index in indices)
    return f"{visible(service.host)}: {names}" if len(plan.hosts) > 1 else names


def _cause_row(cause: Cause) -> _Row:
    asked = f"  (granted; asked for: {_value(cause.asked)})" if cause.asked is not None else ""
    return _Row(key=visible(cause.key), before=_value(cause.before), after=f"{_value(cause.after)}{asked}")


def _value(value: FlagValue) -> str:
    match value:
        case None:
            return "not set"
        case str():
            return visible(value)
        case list():
            return f"[{', '.join(_value(each) for each in value)}]"
        case _:
            return visible(json.dumps(value, ensure_ascii=False))


def _token_row(operation: Operation) -> Iterator[_Row]:
    """How the predicted KV cache changes; that of new services too, as that is what they are for."""
    was, now = (None if each is None else each.weakest.kv_tokens[1] for each in (operation.before, operation.after))
    if now is not None and was != now:
        yield _Row(key="KV cache", before="" if was is None else f"{was:,}", after=f"{now:,} tokens")


_SENTENCES: Mapping[DriftKind, Callable[[Drift, str], str]] = {
    DriftKind.EXAMPLE: lambda drift, arrow: f"the GPUs are others altogether: {drift.before} {arrow} {drift.after}",
    DriftKind.HOST_GONE: lambda drift, arrow: f"the host {drift.subject} is not in the inventory any more",
    DriftKind.HOST_NEW: lambda drift, arrow: f"the host {drift.subject} is new",
    DriftKind.GPU_GONE: lambda drift, arrow: f"{drift.subject} is gone: {drift.before}",
    DriftKind.GPU_REPLACED: lambda drift, arrow: (
        f"{drift.subject} is another card: {drift.before} {arrow} {drift.after}"
    ),
    DriftKind.GPU_NEW: lambda drift, arrow: f"{drift.subject} is new: {drift.after}",
    DriftKind.GPU_RENUMBERED: lambda drift, arrow: f"{drift.before} is now {drift.after}: {drift.subject}",
    DriftKind.GPU_MEMORY: lambda drift, arrow: f"memory of {drift.subject}: {drift.before} {arrow} {drift.after}",
    DriftKind.DRIVER: lambda drift, arrow: f"driver of {drift.subject}: {drift.before} {arrow} {drift.after}",
    DriftKind.CUDA: lambda drift, arrow: f"CUDA of {drift.subject}'s driver: {drift.before} {arrow} {drift.after}",
    DriftKind.COMPOSE_EDITED: lambda drift, arrow: (
        f"{drift.subject} is not what was written: it was edited by hand, or its writing was interrupted;"
        " `orchestrate render` makes it anew"
    ),
    DriftKind.COMPOSE_GONE: lambda drift, arrow: f"{drift.subject} is gone; `orchestrate render` writes it anew",
    DriftKind.MODEL_MOVED: lambda drift, arrow: (
        f"{drift.subject} was published anew: {drift.before[:12]} {arrow} {drift.after[:12]};"
        " what is started from now on loads that, unless `revision` pins the other"
    ),
}


def _drift(changes: Changes, paper: Paper) -> Iterator[Text]:
    if not changes.drift:
        return
    yield Text("not as it was saved", style="bold")
    for drift in changes.drift:
        users = ", ".join(drift.services)
        sentence = _SENTENCES[drift.kind](drift, paper.arrow) + (f" (used by {users})" if users else "")
        yield from _wrapped(visible(sentence), paper, "  ")
    yield Text()


_VERBS = {Action.STOP: "stop", Action.REPLACE: "recreate", Action.START: "start"}


def _order(changes: Changes) -> Iterator[Text]:
    """Nothing to say where there is one step, or none."""
    if len(changes.steps) < 2:
        return
    removed = {each.service for each in changes.operations if each.kind is OperationKind.REMOVE}
    yield Text("in this order", style="bold")
    for number, step in enumerate(changes.steps, start=1):
        verb = "remove" if step.service in removed else _VERBS[step.action]
        yield Text(f"  {number}. {verb} {visible(step.service)}")
    yield Text()


def _wrapped(text: str, paper: Paper, indent: str, *, style: str = "") -> Iterator[Text]:
    for line in wrap(text, paper.width, initial_indent=indent, subsequent_indent=f"{indent}  ") or [indent]:
        yield Text(line, style=style)
