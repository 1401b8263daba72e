"""Files that a profile leads to and that are none: outside the profiles' directory, and nothing of them is shown."""

from __future__ import annotations

import os
import re

from orchestrator.domain.diagnostics import Diagnostic, Span

_PROFILE_KEY = re.compile(r"^[\ufeff{\"' ]*(?:service|model|project)[\"']?[ \t]*:", re.MULTILINE)
"""What every profile has at the start of some line, even one that is not valid YAML."""


def is_foreign(path: str, text: str, directory: str) -> bool:
    """Whether a file lies outside a directory, links followed, and has no key that every profile has.

    A service file may be shared from elsewhere; a link or a path to `/etc/passwd` must not print its lines.
    """
    return _PROFILE_KEY.search(text) is None and not _is_within(path, directory)


def _is_within(path: str, directory: str) -> bool:
    outer = os.path.realpath(directory or ".")
    return os.path.commonpath((os.path.realpath(path), outer)) == outer


def foreign_file(path: str, listed_at: Span | None = None) -> Diagnostic:
    """The finding (E139) at the line that lists the file, or at the file itself."""
    return Diagnostic(
        code="E139",
        message=f"`{path}` is no profile",
        span=listed_at or Span(file=path),
        label="listed here" if listed_at else "",
        notes=("it lies outside the directory of the profiles, so nothing that it says is shown",),
        help=("write `service:` and `model:` in it, or take it out",),
    )
