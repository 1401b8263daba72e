"""What a view is written on: lines that are wrapped at a width, bold where the terminal has it, plain where not."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_NARROWEST = 60
_WIDEST = 120


class Page:
    """Lines of one view. `width` is that of the terminal; text is never wider than 120 columns."""

    def __init__(self, width: int, color: bool) -> None:
        self.columns = min(max(width, _NARROWEST), _WIDEST)
        self._color = color
        self._lines: list[str] = []

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._color and text else text

    def line(self, text: str = "") -> None:
        self._lines.append(text.rstrip())

    def hanging(self, front: str, text: str, *, bold: bool = False) -> None:
        """A paragraph that stands to the right of `front`."""
        room = self.columns - len(front)
        first, *rest = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
        head = self.bold(front) if bold else front
        self.line(head + (self.bold(first) if bold else first))
        for each in rest:
            self.line(" " * len(front) + (self.bold(each) if bold else each))

    def literal(self, lines: Iterable[str], *, indent: int) -> None:
        """Lines that are never wrapped: what is meant to be copied."""
        for each in lines:
            self.line(" " * indent + each)

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], *, indent: int = 0, whole_first: bool = False
    ) -> None:
        """Columns that share the width; long cells are folded."""
        self._lines += table_lines(heads, rows, self.columns, indent=indent, whole_first=whole_first)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def table_lines(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    columns: int,
    *,
    numbers: bool = False,
    indent: int = 0,
    whole_first: bool = False,
) -> list[str]:
    """A table without rules, as plain lines. With `numbers`, all columns but the first are set to the right; with
    `whole_first`, the first is never folded."""
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0), show_header=any(heads))
    for place, head in enumerate(heads):
        right, whole = numbers and place > 0, whole_first and place == 0
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    stream = io.StringIO()
    console = Console(file=stream, width=columns - indent, no_color=True, highlight=False, legacy_windows=False)
    console.print(table)
    return [" " * indent + line.rstrip() for line in stream.getvalue().splitlines()]
