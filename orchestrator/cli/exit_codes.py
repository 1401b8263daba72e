"""What the exit status of `orchestrate` means."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    FINE = 0
    FINDINGS = 1
    USAGE = 2
    CHANGES = 2  # only with `--detailed-exitcode`, as terraform has it; wrong usage then prints nothing on stdout
    OUTSIDE = 3
    OUR_BUG = 70
    INTERRUPTED = 130
