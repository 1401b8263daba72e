"""Accuracy as a person reads it in a terminal: plain tables that fit 100 columns, the worst records first."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from orchestrator.cli.views.accuracy_rows import (
    GROUP_HEADS,
    QUANTITY_HEADS,
    WORST_HEADS,
    group_rows,
    quantity_rows,
    reason_rows,
    verdict_line,
    worst_rows,
)
from orchestrator.cli.views.paper import table_lines
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
    lines = ["", *table_lines(QUANTITY_HEADS, quantity_rows(report.scores), columns, numbers=True)]
    lines += ["", *textwrap.wrap(verdict_line(report.scores), columns)]
    for name, key in GROUPINGS:
        lines += ["", *table_lines((name, *GROUP_HEADS[1:]), group_rows(report.scores, key), columns, numbers=True)]
    worst = list(worst_rows(worst_first(report.scores)))
    if worst:
        lines += ["", "Worst first:", *table_lines(WORST_HEADS, worst[:_WORST], columns)]
    if len(worst) > _WORST:
        lines.append(f"and {len(worst) - _WORST} more; `--json` has all.")
    return lines


def _reasons(report: AccuracyReport, columns: int) -> Sequence[str]:
    lines: list[str] = []
    for count, reason, members in reason_rows(report):
        lines += textwrap.wrap(f"{count:>3}  {reason}", columns, subsequent_indent="     ")
        lines += textwrap.wrap(members, columns, initial_indent="     ", subsequent_indent="     ")
    return lines
