"""What this terminal can show: colour, box glyphs, width; and the one way findings reach it."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TextIO

from orchestrator.domain.diagnostics import Diagnostic, Report
from orchestrator.domain.failures import OutsideFailure


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


def prepare_streams() -> None:
    """Text that a stream's encoding lacks is escaped, not an error; raises OutsideFailure when stdout is closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for the life of the process)
    if sys.stdout is None:
        raise _no_output("standard output is closed")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def emit(text: str) -> None:
    """Text for people on stdout. A reader that went away is no error; OutsideFailure when it cannot be written."""
    _write_out(lambda: sys.stdout.write(text))


def emit_document(text: str) -> None:
    """A document for programs on stdout: UTF-8 whatever the locale says."""
    _write_out(lambda: sys.stdout.buffer.write(text.encode("utf-8")))


def remark(text: str) -> None:
    """Text on stderr, as far as anybody can still read it."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _write_out(write: Callable[[], object]) -> None:
    try:
        sys.stdout.flush()
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise _no_output(error.strerror or str(error)) from error


def _no_output(why: str) -> OutsideFailure:
    finding = Diagnostic(
        code="E614",
        message=f"the output cannot be written: {why}",
        help=("free some space, or send the output somewhere else",),
    )
    return OutsideFailure(finding)


def print_findings(
    report: Report,
    sources: Mapping[str, str],
    output_format: str = "full",
    *,
    on_stdout: bool = False,
) -> None:
    """All findings of a run in order of place: on stderr unless they are what was asked for."""
    if not len(report):
        return
    from orchestrator.cli.views.diagnostics import render_findings

    color = output_format == "full" and colour_wanted(sys.stdout if on_stdout else sys.stderr)
    text = render_findings(report.in_order(), sources, output_format, color=color)
    (emit if on_stdout else remark)(text)
