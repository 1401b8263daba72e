"""A migration as a person reads it: every change with its reason, and what services gain or lose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from orchestrator.cli.views.diagnostics import visible
from orchestrator.domain.plan import WorkerPlan

if TYPE_CHECKING:
    from orchestrator.cli.comparing import Compared
    from orchestrator.config.migrating import Step
    from orchestrator.planner.comparison import Difference

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_MOST_SHOWN = 90


def render_steps(steps: Sequence[Step], *, color: bool, unicode: bool = True) -> str:
    """A block per file, a line per change: where it stood, what it was, what it is, why."""
    arrow = "→" if unicode else "->"
    blocks = []
    for file, group in groupby(steps, key=lambda step: step.span.file):
        lines = [f"  {line}" for step in group for line in _step(step, arrow, color=color)]
        blocks.append("\n".join([_painted(visible(file), _BOLD, color=color), *lines]))
    return "\n\n".join(blocks) + ("\n\n" if blocks else "")


def _step(step: Step, arrow: str, *, color: bool) -> Iterator[str]:
    place = f"{step.span.line}:{step.span.column}"
    old, new = (_clipped(text) for text in (step.before, step.after or "deleted"))
    yield f"{place:>7}  {old} {arrow} {new}" if old else f"{place:>7}  {new}"
    if step.why:
        yield _painted(f"{'':>7}  {step.why}", _DIM, color=color)


def _clipped(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"


def render_comparison(compared: Compared, *, color: bool, unicode: bool = True) -> str:
    """A table of KV-cache tokens before and after, with the reasons under each service."""
    arrow = "→" if unicode else "->"
    title = f"{compared.project}: KV cache in tokens, vLLM {compared.source} {arrow} {compared.target}"
    rows = [_row(each) for each in compared.differences]
    widths = [max(len(row[column]) for row in [_HEAD, *rows]) for column in range(len(_HEAD))]
    lines = [_painted(visible(title), _BOLD, color=color), f"GPUs: {visible(compared.gpus)}", _line(_HEAD, widths)]
    for row, difference in zip(rows, compared.differences, strict=True):
        lines.append(_line(row, widths))
        lines += [_painted(f"    {_arrows(reason, arrow)}", _DIM, color=color) for reason in difference.reasons]
    return "\n".join(lines) + "\n\n"


_HEAD = ("service", "before", "after", "change", "start before", "start after")


def _row(difference: Difference) -> tuple[str, ...]:
    old, new = difference.before, difference.after
    return (
        visible(difference.service),
        _tokens(old),
        _tokens(new),
        _change(old, new),
        _verdict(old),
        _verdict(new),
    )


def _tokens(worker: WorkerPlan | None) -> str:
    return f"{worker.prediction.kv_tokens[1]:,}" if worker else "-"


def _change(old: WorkerPlan | None, new: WorkerPlan | None) -> str:
    if old is None or new is None or not old.prediction.kv_tokens[1]:
        return "-"
    before, after = old.prediction.kv_tokens[1], new.prediction.kv_tokens[1]
    return f"{(after - before) / before:+.0%}"


def _verdict(worker: WorkerPlan | None) -> str:
    return worker.prediction.verdict.value if worker else "not placed"


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    name, *rest = row
    cells = [f"{cell:>{width}}" for cell, width in zip(rest[:3], widths[1:4], strict=True)]
    words = [f"{cell:<{width}}" for cell, width in zip(rest[3:], widths[4:], strict=True)]
    return "  ".join([f"{name:<{widths[0]}}", *cells, *words]).rstrip()


def _arrows(text: str, arrow: str) -> str:
    return visible(text).replace(" -> ", f" {arrow} ")


def _painted(text: str, colour: str, *, color: bool) -> str:
    return f"{colour}{text}{_RESET}" if color else text
