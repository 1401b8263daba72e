"""The plan as a person reads it: a table, a picture of each GPU's memory, every reduction, the start order."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.plan_picture import Paper, pictures
from orchestrator.cli.views.printed import printed
from orchestrator.cli.views.start_order import in_starting_order, when, why_it_waits
from orchestrator.domain.plan import Placement, Plan, Term, WorkerPlan
from orchestrator.domain.profile import Deployment
from orchestrator.domain.units import ByteRange, as_gib

_WIDTH = 100
_NARROWEST = 60
_WIDE_ENOUGH_FOR_MODELS = 100


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
    paper = Paper(width=max(width, _NARROWEST), unicode=unicode)
    return printed(_parts(plan, deployment, paper, terms=terms), width=paper.width, color=color)


def _parts(plan: Plan, deployment: Deployment, paper: Paper, *, terms: bool) -> Iterator[Text | Table]:
    yield from _headline(plan, paper)
    yield _services(plan, deployment, paper)
    yield Text(
        "tokens: expected (interval), or exact; requests: on the low side of the interval",
        style="dim",
    )
    yield Text()
    yield from pictures(plan, paper)
    yield Text()
    if terms:
        yield from _terms(plan, paper)
    yield from _reasons(plan, paper)
    yield from _reductions(plan, paper)
    yield from _start_order(plan, paper)


def _headline(plan: Plan, paper: Paper) -> Iterator[Text]:
    count = sum(1 for _ in plan.inventory.gpus())
    line = Text(plan.project, style="bold")
    line.append(f"  vLLM {plan.release}, {count} GPU{'s' if count != 1 else ''}", style="not bold")
    yield line
    for part in wrap(f"GPUs: {plan.inventory.source}", paper.width):
        yield Text(part, style="dim")
    yield Text()


def _services(plan: Plan, deployment: Deployment, paper: Paper) -> Table:
    """A row per service. Names give way where it is narrow, never figures; the models stand in the profiles, too."""
    shows_models = paper.width >= _WIDE_ENOUGH_FOR_MODELS
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service", overflow="fold")
    if shows_models:
        table.add_column("model", overflow="fold")
    table.add_column("GPUs", no_wrap=True)
    table.add_column("utilization", no_wrap=True)
    table.add_column("KV cache, tokens", justify="right", no_wrap=True)
    table.add_column("requests", justify="right", no_wrap=True)
    table.add_column("port", justify="right", no_wrap=True)
    for placement in plan.placements:
        worker = placement.weakest
        table.add_row(
            placement.service,
            *([deployment.service(placement.service).model] if shows_models else []),
            ", ".join(str(index) for index in placement.gpu_indices),
            _utilization(placement, paper),
            _token_interval(worker, paper),
            f"{worker.prediction.concurrency[0]:.1f} of {worker.footprint.max_model_len:,}",
            str(placement.port),
        )
    return table


def _utilization(placement: Placement, paper: Paper) -> str:
    granted = f"{placement.utilization:g}"
    asked = next((each.asked for each in placement.reductions if each.flag == "gpu-memory-utilization"), None)
    return granted if asked is None else f"{asked} {paper.arrow} {granted}"


def _token_interval(worker: WorkerPlan, paper: Paper) -> str:
    low, expected, high = worker.prediction.kv_tokens
    if low == high:
        return f"{expected:,} (exact)"
    return f"{expected:,} ({_thousands(low)}{paper.dash}{_thousands(high)})"


def _thousands(tokens: int) -> str:
    return f"{tokens / 1000:.0f}k" if tokens >= 10_000 else f"{tokens:,}"


def _terms(plan: Plan, paper: Paper) -> Iterator[Text | Table]:
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
            table.add_row(term.term.value, *_interval(term.size, paper), where, term.source)
        kv_cache = worker.prediction.kv_cache
        table.add_row(Term.KV_CACHE.value, *_interval(kv_cache, paper), "inside", worker.footprint.kv.source)
        yield table
        yield Text()


def _interval(size: ByteRange, paper: Paper) -> tuple[str, str]:
    return f"{as_gib(size.expected):.2f}", f"{as_gib(size.low):.2f}{paper.dash}{as_gib(size.high):.2f}"


def _reasons(plan: Plan, paper: Paper) -> Iterator[Text]:
    """Why every service is where it is, and what else the search has to say."""
    yield Text("where and why", style="bold")
    for note in plan.search_notes:
        for line in wrap(note, paper.width - 2, subsequent_indent="  ", break_long_words=False):
            yield Text(f"  {line}")
    yield Text()


def _reductions(plan: Plan, paper: Paper) -> Iterator[Text]:
    lines = [(placement.service, each) for placement in plan.placements for each in placement.reductions]
    if not lines:
        return
    yield Text("granted other than asked", style="bold")
    for service, each in lines:
        asked = "" if each.asked is None else f"{each.asked} {paper.arrow} "
        yield Text(f"  {service}: {each.flag} {asked}{each.granted}")
        for line in wrap(each.reason, paper.width - 4, break_long_words=False):
            yield Text(f"    {line}", style="dim")
    yield Text()


def _start_order(plan: Plan, paper: Paper) -> Iterator[Text]:
    yield Text("start order", style="bold")
    for placement in in_starting_order(plan):
        yield Text(f"  {placement.service}: {when(placement)}")
        for line in wrap(why_it_waits(plan, placement), paper.width - 4, break_long_words=False):
            yield Text(f"    {line}", style="dim")
    yield Text()
