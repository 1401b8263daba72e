"""The rights of somebody who is not the super-user, for tests that may run as one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Gives the super-user's rights up for a while; anybody else has none to give up."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if before == 0:
            os.seteuid(before)


@contextmanager
def open_directory() -> Iterator[Path]:
    """A new directory that everybody may enter, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        for each in (directory, *(path for path in directory.rglob("*") if path.is_dir())):
            each.chmod(0o755)
        shutil.rmtree(directory)
