"""The picture of each GPU's memory: a bar per tenant on one axis, readable without colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from rich.text import Text

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.plan import Plan, Term, WorkerPlan
from orchestrator.domain.units import as_gib

_LONGEST_BAR = 48
_SHORTEST_BAR = 12
_ROOM_FOR_SIZES = len("  00.0 weights, 000.0 KV, 00.0 other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What the view is drawn on: `width` in columns; without `unicode` it keeps to ASCII."""

    width: int
    unicode: bool

    @property
    def arrow(self) -> str:
        return "→" if self.unicode else "->"

    @property
    def dash(self) -> str:
        return "–" if self.unicode else "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ink:
    """How one kind of memory is drawn: a glyph that reads without colour, a stand-in for ASCII terminals, a style."""

    glyph: str
    ascii: str
    style: str
    label: str


_WEIGHTS = _Ink(glyph="█", ascii="W", style="blue", label="weights")
_KV_CACHE = _Ink(glyph="▓", ascii="K", style="green", label="KV cache")
_WORKING = _Ink(glyph="▒", ascii="a", style="yellow", label="working")
_OUTSIDE = _Ink(glyph="░", ascii="c", style="magenta", label="outside")
_TAKEN = _Ink(glyph="x", ascii="x", style="red", label="driver, others")
_FREE = _Ink(glyph="·", ascii=".", style="dim", label="free")
_INKS = (_WEIGHTS, _KV_CACHE, _WORKING, _OUTSIDE, _TAKEN, _FREE)

_Pieces = list[tuple[int, _Ink]]


def pictures(plan: Plan, paper: Paper) -> Iterator[Text]:
    """Every GPU of the inventory, then what the glyphs mean."""
    for host in plan.inventory.hosts:
        for gpu in sorted(host.gpus, key=lambda each: each.index):
            yield from _picture(plan, gpu, paper)
    legend = Text("  ")
    for ink in _INKS:
        legend.append(_drawn(ink, paper), style=ink.style)
        legend.append(f" {ink.label}  ")
    yield legend


def _drawn(ink: _Ink, paper: Paper) -> str:
    return ink.glyph if paper.unicode else ink.ascii


def _picture(plan: Plan, gpu: Gpu, paper: Paper) -> Iterator[Text]:
    title = Text(f"GPU {gpu.index}", style="bold")
    sizes = f"{as_gib(gpu.total_bytes):.1f} GiB, {as_gib(gpu.free_bytes):.1f} GiB free now"
    title.append(f"  {gpu.name}, {sizes}", style="not bold")
    yield title
    rows = list(_rows(plan, gpu))
    names = max(len(name) for name, _ in rows)
    cells = min(max(paper.width - names - len("    ") - _ROOM_FOR_SIZES, _SHORTEST_BAR), _LONGEST_BAR)
    start = 0
    for name, pieces in rows:
        line = Text(f"  {name.ljust(names)}  ")
        line.append_text(_bar(pieces, gpu=gpu, start=start, cells=cells, paper=paper))
        line.append(f"  {_sizes(pieces)}")
        yield line
        start += sum(size for size, _ in pieces)
    yield Text()


def _rows(plan: Plan, gpu: Gpu) -> Iterator[tuple[str, _Pieces]]:
    """Every tenant of a GPU with its pieces in bytes, then who else holds memory, then what stays free."""
    free = gpu.free_bytes
    for placement in plan.placements:
        for worker in placement.workers:
            if worker.gpu_uuid == gpu.uuid:
                pieces = _pieces(worker)
                free -= sum(size for size, _ in pieces)
                yield placement.service, pieces
    if gpu.used_bytes:
        yield "in use", [(gpu.used_bytes, _TAKEN)]
    yield "free", [(max(free, 0), _FREE)]


def _pieces(worker: WorkerPlan) -> _Pieces:
    """The expected sizes; the KV cache takes what the budget leaves."""
    footprint = worker.footprint
    weights = sum(term.size.expected for term in footprint.terms if term.term is Term.WEIGHTS)
    return [
        (weights, _WEIGHTS),
        (worker.prediction.kv_cache.expected, _KV_CACHE),
        (max(footprint.inside.expected - weights, 0), _WORKING),
        (footprint.outside.expected, _OUTSIDE),
    ]


def _bar(pieces: _Pieces, *, gpu: Gpu, start: int, cells: int, paper: Paper) -> Text:
    """The pieces from `start` bytes on, on an axis of `cells` columns for the whole GPU."""
    edges = [
        min(round(edge / gpu.total_bytes * cells), cells)
        for edge in accumulate((size for size, _ in pieces), initial=start)
    ]
    line = Text(" " * edges[0])
    for (_, ink), left, right in zip(pieces, edges, edges[1:], strict=False):
        line.append(_drawn(ink, paper) * (right - left), style=ink.style)
    line.append(" " * (cells - edges[-1]))
    return line


def _sizes(pieces: _Pieces) -> str:
    if len(pieces) == 1:
        return f"{as_gib(pieces[0][0]):.1f} GiB"
    weights, kv_cache, working, outside = (as_gib(size) for size, _ in pieces)
    return f"{weights:.1f} weights, {kv_cache:.1f} KV, {working + outside:.1f} other"
