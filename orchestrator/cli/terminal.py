"""What this terminal can show: colour, box glyphs, width; and the one way findings reach it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

from orchestrator.domain.diagnostics import Report


def colour_wanted(stream: TextIO | None = None) -> bool:
    """Colour only on a terminal, and never against the user's `NO_COLOR` (any value) or `TERM=dumb`."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return (sys.stdout if stream is None else stream).isatty()


def unicode_wanted(stream: TextIO | None = None) -> bool:
    """Whether the stream's encoding has block and arrow glyphs."""
    encoding = (sys.stdout if stream is None else stream).encoding or "ascii"
    try:
        "█▓▒░·→–".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def width_of_terminal() -> int:
    """Columns of the terminal; 100 where there is none."""
    return shutil.get_terminal_size(fallback=(100, 24)).columns


def print_findings(
    report: Report,
    sources: Mapping[str, str],
    output_format: str = "full",
    stream: TextIO | None = None,
) -> None:
    """All findings of a run in order of place: on stderr unless they are what was asked for."""
    if not len(report):
        return
    from orchestrator.cli.views.diagnostics import render_findings

    target = sys.stderr if stream is None else stream
    color = output_format == "full" and colour_wanted(target)
    print(render_findings(report.in_order(), sources, output_format, color=color), end="", file=target)
