"""Accuracy as a person reads it in a terminal: plain tables that fit 100 columns, the worst records first."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.accuracy_rows import (
    GROUP_HEADS,
    QUANTITY_HEADS,
    WORST_HEADS,
    Row,
    group_rows,
    quantity_rows,
    reason_rows,
    verdict_line,
    worst_rows,
)
from orchestrator.scoring.report import AccuracyReport
from orchestrator.scoring.summary import GROUPINGS, worst_first

_WORST = 20
_NARROWEST = 80


def accuracy_text(report: AccuracyReport, *, width: int) -> str:
    """The whole view, without colour."""
    columns = max(width, _NARROWEST)
    count = len(report.scores) + len(report.unpriced)
    records = "record" if count == 1 else "records"
    lines = [f"{count} {records}, {len(report.scores)} priced, {len(report.unpriced)} not."]
    if report.cross_validated:
        lines.append("Cross-validated: each record is priced with constants fitted without its source.")
    if report.scores:
        lines += _scored(report, columns)
    if report.unpriced:
        lines += ["", "Not priced:", *_reasons(report, columns)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _scored(report: AccuracyReport, columns: int) -> list[str]:
    lines = ["", *_table(QUANTITY_HEADS, quantity_rows(report.scores), columns)]
    lines += ["", *textwrap.wrap(verdict_line(report.scores), columns)]
    for name, key in GROUPINGS:
        lines += ["", *_table((name, *GROUP_HEADS[1:]), group_rows(report.scores, key), columns)]
    worst = list(worst_rows(worst_first(report.scores)))
    if worst:
        lines += ["", "Worst first:", *_table(WORST_HEADS, worst[:_WORST], columns, numbers=False)]
    if len(worst) > _WORST:
        lines.append(f"and {len(worst) - _WORST} more; `--json` has all.")
    return lines


def _table(heads: Row, rows: Iterable[Row], columns: int, *, numbers: bool = True) -> list[str]:
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if numbers and place else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    stream = io.StringIO()
    Console(file=stream, width=columns, no_color=True, highlight=False, legacy_windows=False).print(table)
    return stream.getvalue().splitlines()


def _reasons(report: AccuracyReport, columns: int) -> Sequence[str]:
    lines: list[str] = []
    for count, reason, members in reason_rows(report):
        lines += textwrap.wrap(f"{count:>3}  {reason}", columns, subsequent_indent="     ")
        lines += textwrap.wrap(members, columns, initial_indent="     ", subsequent_indent="     ")
    return lines
