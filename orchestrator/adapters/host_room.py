"""RAM of this machine, and what is free on the disk that models are cached on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def ram_bytes() -> int | None:
    """All of it; None where the system does not say."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    return size if size > 0 else None


def disk_free_bytes(directory: Path) -> int | None:
    """What this user may still write where the directory is, or will be; None where the system does not say."""
    there = next((each for each in (directory, *directory.parents) if each.exists()), None)
    try:
        return None if there is None else shutil.disk_usage(there).free
    except OSError:
        return None
