"""The plan as a person reads it: a table, a picture of each GPU's memory, every reduction, the start order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import accumulate
from textwrap import shorten, wrap

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.plan import Placement, Plan, Term, WorkerPlan
from orchestrator.domain.profile import Deployment
from orchestrator.domain.units import ByteRange, as_gib

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
_WORKING = _Ink(glyph="▒", ascii="a", style="yellow", label="working memory")
_CONTEXT = _Ink(glyph="░", ascii="c", style="magenta", label="outside the budget")
_TAKEN = _Ink(glyph="x", ascii="x", style="red", label="driver, others")
_FREE = _Ink(glyph="·", ascii=".", style="dim", label="free")
_INKS = (_WEIGHTS, _KV_CACHE, _WORKING, _CONTEXT, _TAKEN, _FREE)


def render_plan(
    plan: Plan,
    deployment: Deployment,
    *,
    color: bool,
    unicode: bool = True,
    width: int = _WIDTH,
    terms: bool = False,
) -> str:
    """The whole view as text; `unicode=False` keeps to ASCII, `width` is in columns, `terms` adds every memory term."""
    console = Console(
        file=StringIO(),
        width=max(width, 60),
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        legacy_windows=False,
        emoji=False,
    )
    for part in _parts(plan, deployment, unicode=unicode, width=console.width, terms=terms):
        console.print(part)
    file = console.file
    text = file.getvalue() if isinstance(file, StringIO) else ""
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _parts(plan: Plan, deployment: Deployment, *, unicode: bool, width: int, terms: bool) -> Iterator[Text | Table]:
    yield _headline(plan)
    yield Text()
    yield _services(plan, deployment, unicode=unicode)
    yield Text("tokens: expected (interval); requests: on the low side of the interval", style="dim")
    yield Text()
    yield from _pictures(plan, unicode=unicode)
    if terms:
        yield from _terms(plan, unicode=unicode)
    yield from _reductions(plan, unicode=unicode, width=width)
    yield from _start_order(plan)


def _headline(plan: Plan) -> Text:
    count = sum(1 for _ in plan.inventory.gpus())
    source = shorten(plan.inventory.source, 50, placeholder=" ...")
    line = Text(plan.project, style="bold")
    line.append(f"  vLLM {plan.release}, {count} GPU{'s' if count != 1 else ''} ({source})", style="not bold")
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


def _terms(plan: Plan, *, unicode: bool) -> Iterator[Text | Table]:
    """Every term of the worker that decides for its service: expected size, interval, where the figure comes from."""
    for placement in plan.placements:
        worker = placement.weakest
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        table.add_column(f"{placement.service}, per GPU", no_wrap=True)
        table.add_column("GiB", justify="right", no_wrap=True)
        table.add_column("interval", no_wrap=True)
        table.add_column("budget", no_wrap=True)
        table.add_column("from")
        for term in worker.footprint.terms:
            where = "inside" if term.in_budget else "outside"
            table.add_row(term.term.value, *_interval(term.size, unicode=unicode), where, term.source)
        kv_cache = worker.prediction.kv_cache
        table.add_row(Term.KV_CACHE.value, *_interval(kv_cache, unicode=unicode), "inside", worker.footprint.kv.source)
        yield table
        yield Text()


def _interval(size: ByteRange, *, unicode: bool) -> tuple[str, str]:
    dash = "–" if unicode else "-"
    return f"{as_gib(size.expected):.2f}", f"{as_gib(size.low):.2f}{dash}{as_gib(size.high):.2f}"


def _reductions(plan: Plan, *, unicode: bool, width: int) -> Iterator[Text]:
    lines = [(placement.service, each) for placement in plan.placements for each in placement.reductions]
    if not lines:
        return
    yield Text("granted less than asked", style="bold")
    for service, each in lines:
        yield Text(f"  {service}: {each.flag} {each.asked} {_arrow(unicode)} {each.granted}")
        for line in wrap(each.reason, width - 4, break_long_words=False):
            yield Text(f"    {line}", style="dim")
    yield Text()


def _start_order(plan: Plan) -> Iterable[Text]:
    yield Text("start order", style="bold")
    for placement in sorted(plan.placements, key=lambda each: (len(each.start_after), each.service)):
        after = f"after {', '.join(placement.start_after)} is healthy" if placement.start_after else "at once"
        yield Text(f"  {placement.service}: {after}")
    yield Text()
