"""What the exit status of `orchestrate` means."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    FINE = 0
    FINDINGS = 1
    USAGE = 2
    OUTSIDE = 3
    OUR_BUG = 70
    INTERRUPTED = 130
