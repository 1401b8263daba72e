"""Changes to files as a person reads them: a unified diff that a program can apply."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from orchestrator.cli.views.diagnostics import visible

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_RESET = "\x1b[0m"


def render_diff(old: Mapping[str, str], new: Mapping[str, str], *, color: bool) -> str:
    """The differences of every file whose text is in `new`, in order of name. What looks like a secret is hidden."""
    lines = (line for file in sorted(new) for line in _diff(file, old[file], new[file]))
    return "".join(_painted(line) if color else line for line in lines)


def _diff(file: str, old: str, new: str) -> Iterator[str]:
    name = visible(file)
    before, after = (text.split("\n") for text in (old, new))
    first, second = (name, name) if name.startswith("/") else (f"a/{name}", f"b/{name}")
    rows = difflib.unified_diff(_ended(before), _ended(after), first, second)
    for row in rows:
        text, ending = (row[:-1], "\n") if row.endswith("\n") else (row, "\n\\ No newline at end of file\n")
        carriage = "\r" if text.endswith("\r") else ""
        yield f"{visible(text.removesuffix(chr(13)).replace(chr(9), _TAB)).replace(_TAB, chr(9))}{carriage}{ending}"


_TAB = "    \ue000"


def _ended(lines: list[str]) -> list[str]:
    """Lines with their line break, the last one only where the text ends in one."""
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _painted(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    is_head = line.startswith(("+++", "---"))
    return line if colour is None or is_head else f"{colour}{line.rstrip(chr(10))}{_RESET}\n"
