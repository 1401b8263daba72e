"""The plan as a person reads it: a table, a picture of each GPU's memory, every reduction, the start order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import accumulate

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.plan import Placement, Plan, Term, WorkerPlan
from orchestrator.domain.profile import Deployment
from orchestrator.domain.units import as_gib

_BAR_CELLS = 48
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ink:
    """How one kind of memory is drawn: a glyph that reads without colour, a stand-in for ASCII terminals, a style."""

    glyph: str
    ascii: str
    style: str
    label: str


_WEIGHTS = _Ink(glyph="█", ascii="W", style="blue", label="weights")
_KV_CACHE = _Ink(glyph="▓", ascii="K", style="green", label="KV cache")
_WORKING = _Ink(glyph="▒", ascii="a", style="yellow", label="activation, graphs, non-torch")
_CONTEXT = _Ink(glyph="░", ascii="c", style="magenta", label="context, outside the budget")
_TAKEN = _Ink(glyph="x", ascii="x", style="red", label="driver and others")
_FREE = _Ink(glyph="·", ascii=".", style="dim", label="free")
_INKS = (_WEIGHTS, _KV_CACHE, _WORKING, _CONTEXT, _TAKEN, _FREE)


def render_plan(plan: Plan, deployment: Deployment, *, color: bool, unicode: bool = True, width: int = _WIDTH) -> str:
    """The whole view as text; `unicode=False` keeps to ASCII, `width` is in columns."""
    console = Console(
        file=StringIO(),
        width=max(width, 60),
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        legacy_windows=False,
        emoji=False,
    )
    for part in _parts(plan, deployment, unicode=unicode):
        console.print(part)
    file = console.file
    text = file.getvalue() if isinstance(file, StringIO) else ""
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _parts(plan: Plan, deployment: Deployment, *, unicode: bool) -> Iterator[Text | Table]:
    yield _headline(plan)
    yield Text()
    if plan.placements:
        yield _services(plan, deployment, unicode=unicode)
        yield Text()
        yield from _pictures(plan, unicode=unicode)
        yield from _reductions(plan, unicode=unicode)
        yield from _start_order(plan)


def _headline(plan: Plan) -> Text:
    count = sum(1 for _ in plan.inventory.gpus())
    facts = (f"vLLM {plan.release}", f"{count} GPU{'s' if count != 1 else ''} ({plan.inventory.source})")
    line = Text()
    line.append(plan.project, style="bold")
    line.append("  " + ", ".join(facts))
    return line


def _services(plan: Plan, deployment: Deployment, *, unicode: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column("GPUs", no_wrap=True)
    table.add_column("utilization", no_wrap=True)
    table.add_column("KV cache, tokens", justify="right")
    table.add_column("full-length requests", justify="right")
    table.add_column("port", justify="right", no_wrap=True)
    for placement in plan.placements:
        worker = placement.weakest
        table.add_row(
            placement.service,
            deployment.service(placement.service).model,
            ", ".join(str(index) for index in placement.gpu_indices),
            _utilization(placement, unicode=unicode),
            _token_interval(worker, unicode=unicode),
            f"{worker.prediction.concurrency[0]:.1f} of {worker.footprint.max_model_len:,}",
            str(placement.port),
        )
    return table


def _utilization(placement: Placement, *, unicode: bool) -> str:
    granted = f"{placement.utilization:g}"
    asked = next((each.asked for each in placement.reductions if each.flag == "gpu-memory-utilization"), None)
    return granted if asked is None else f"{asked} {_arrow(unicode)} {granted}"


def _token_interval(worker: WorkerPlan, *, unicode: bool) -> str:
    low, expected, high = worker.prediction.kv_tokens
    dash = "–" if unicode else "-"
    return f"{expected:,} ({_thousands(low)}{dash}{_thousands(high)})"


def _thousands(tokens: int) -> str:
    return f"{tokens / 1000:.0f}k" if tokens >= 10_000 else f"{tokens:,}"


def _arrow(unicode: bool) -> str:
    return "→" if unicode else "->"


def _pictures(plan: Plan, *, unicode: bool) -> Iterator[Text]:
    for host in plan.inventory.hosts:
        for gpu in sorted(host.gpus, key=lambda each: each.index):
            yield from _picture(plan, gpu, unicode=unicode)
    legend = Text("  ")
    for ink in _INKS:
        legend.append(ink.glyph if unicode else ink.ascii, style=ink.style)
        legend.append(f" {ink.label}   ")
    yield legend
    yield Text()


def _picture(plan: Plan, gpu: Gpu, *, unicode: bool) -> Iterator[Text]:
    title = Text()
    title.append(f"GPU {gpu.index}", style="bold")
    title.append(f"  {gpu.name}, {as_gib(gpu.total_bytes):.1f} GiB, {as_gib(gpu.free_bytes):.1f} GiB free now")
    yield title
    rows = list(_rows(plan, gpu))
    name_width = max((len(name) for name, _ in rows), default=0)
    start = 0
    for name, pieces in rows:
        yield _bar(name.ljust(name_width), pieces, gpu=gpu, start=start, unicode=unicode)
        start += sum(size for size, _ in pieces)
    yield Text()


_Pieces = list[tuple[int, _Ink]]


def _rows(plan: Plan, gpu: Gpu) -> Iterator[tuple[str, _Pieces]]:
    """Every tenant of a GPU with its pieces in bytes, then who else holds memory, then what stays free."""
    free = gpu.free_bytes
    tenants = [
        (placement.service, worker)
        for placement in plan.placements
        for worker in placement.workers
        if worker.gpu_uuid == gpu.uuid
    ]
    for service, worker in tenants:
        pieces = _pieces(worker)
        free -= sum(size for size, _ in pieces)
        yield service, pieces
    if gpu.used_bytes:
        yield "in use", [(gpu.used_bytes, _TAKEN)]
    yield "free", [(max(free, 0), _FREE)]


def _pieces(worker: WorkerPlan) -> _Pieces:
    """The expected sizes; the KV cache takes what the budget leaves."""
    sizes = {term.term: term.size.expected for term in worker.footprint.terms}
    inside = worker.footprint.inside.expected
    outside = worker.footprint.outside.expected
    weights = sizes.get(Term.WEIGHTS, 0)
    return [
        (weights, _WEIGHTS),
        (worker.prediction.kv_cache.expected, _KV_CACHE),
        (max(inside - weights, 0), _WORKING),
        (outside, _CONTEXT),
    ]


def _bar(name: str, pieces: _Pieces, *, gpu: Gpu, start: int, unicode: bool) -> Text:
    line = Text(f"  {name}  ")
    edges = [_cell(edge, gpu) for edge in accumulate((size for size, _ in pieces), initial=start)]
    line.append(" " * edges[0])
    for (_, ink), left, right in zip(pieces, edges, edges[1:], strict=False):
        line.append((ink.glyph if unicode else ink.ascii) * (right - left), style=ink.style)
    line.append(" " * (_BAR_CELLS - edges[-1]))
    line.append("  " + _sizes(pieces))
    return line


def _cell(edge_bytes: int, gpu: Gpu) -> int:
    return min(round(edge_bytes / gpu.total_bytes * _BAR_CELLS), _BAR_CELLS)


def _sizes(pieces: _Pieces) -> str:
    if len(pieces) == 1:
        return f"{as_gib(pieces[0][0]):.1f} GiB"
    weights, kv_cache, working, context = (as_gib(size) for size, _ in pieces)
    return f"{weights:.1f} weights, {kv_cache:.1f} KV, {working + context:.1f} other"


def _reductions(plan: Plan, *, unicode: bool) -> Iterator[Text]:
    lines = [(placement.service, each) for placement in plan.placements for each in placement.reductions]
    if not lines:
        return
    yield Text("granted less than asked", style="bold")
    for service, each in lines:
        yield Text(f"  {service}: {each.flag} {each.asked} {_arrow(unicode)} {each.granted}")
        yield Text(f"    {each.reason}", style="dim")
    yield Text()


def _start_order(plan: Plan) -> Iterable[Text]:
    yield Text("start order", style="bold")
    for placement in sorted(plan.placements, key=lambda each: (len(each.start_after), each.service)):
        after = f"after {', '.join(placement.start_after)} is healthy" if placement.start_after else "at once"
        yield Text(f"  {placement.service}: {after}")
    yield Text()
