"""Changes to files as a person reads them: a unified diff that a program can apply."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.cli.views.diagnostics import Sources, visible
from orchestrator.domain.diagnostics import Diagnostic

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_RESET = "\x1b[0m"


def render_diff(
    old: Mapping[str, str],
    new: Mapping[str, str],
    *,
    found: tuple[Iterable[Diagnostic], Iterable[Diagnostic]],
    color: bool,
) -> str:
    """The differences of every file whose text is in `new`, in order of name.

    What looks like a secret is hidden, and so is what the findings (`found` in the old texts, and in the new) hide.
    """
    shown = (Sources(old, found[0]), Sources(new, found[1]))
    rows = (row for file in sorted(new) for row in _rows(file, old[file], new[file], shown))
    lines = map(_safe, rows)
    return "".join(_painted(line) if color else line for line in lines)


def _rows(file: str, old: str, new: str, shown: tuple[Sources, Sources]) -> Iterator[str]:
    """A unified diff of the true lines, each shown as its file's lines may be shown."""
    name = visible(file)
    before, after = (text.split("\n") for text in (old, new))
    first, second = (name, name) if name.startswith("/") else (f"a/{name}", f"b/{name}")
    head, lines = True, [0, 0]
    for row in difflib.unified_diff(_ended(before), _ended(after), first, second):
        if hunk := _HUNK.match(row):
            head, lines = False, [int(start) - 1 for start in hunk.groups()]
        if head or hunk:
            yield row
            continue
        side = 1 if row[0] == "+" else 0
        line = shown[side].lines(file)[lines[side]]
        lines = [at + (row[0] in mine) for at, mine in zip(lines, (" -", " +"), strict=True)]
        yield row[0] + line + row[1 + len(line) :]


_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


def _safe(row: str) -> str:
    text, ending = (row[:-1], "\n") if row.endswith("\n") else (row, "\n\\ No newline at end of file\n")
    carriage = "\r" if text.endswith("\r") else ""
    return f"{visible(text.removesuffix(chr(13)).replace(chr(9), _TAB)).replace(_TAB, chr(9))}{carriage}{ending}"


_TAB = "    \ue000"


def _ended(lines: list[str]) -> list[str]:
    """Lines with their line break, the last one only where the text ends in one."""
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _painted(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    is_head = line.startswith(("+++", "---"))
    return line if colour is None or is_head else f"{colour}{line.rstrip(chr(10))}{_RESET}\n"
