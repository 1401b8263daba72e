"""The door to files that we write: whole or not at all, and never over what somebody else wrote."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from secrets import token_hex

from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure


class Outcome(StrEnum):
    """What became of a file."""

    CREATED = "wrote"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEffects:
    """Everything that is done to the disk, one by one, so that each can fail in a test."""

    make_directory: Callable[[Path], None] = lambda path: path.mkdir(parents=True, exist_ok=True)
    create: Callable[[Path], int] = lambda path: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    write: Callable[[int, bytes], int] = os.write
    set_mode: Callable[[int, int], None] = os.fchmod
    flush: Callable[[int], None] = os.fsync
    rename: Callable[[Path, Path], None] = os.replace


REAL_EFFECTS = FileEffects()


def write_generated_file(
    path: Path, text: str, *, mark: str, effects: FileEffects = REAL_EFFECTS
) -> Outcome | Diagnostic:
    """Make `path` hold `text`, through a temporary file beside it and a rename: readers see the old or the new one.

    A symbolic link is followed and stays one; an existing file keeps its mode. A file that does not begin with `mark`,
    or something that is not a file, is left alone and answered with a finding. Raises OutsideFailure when the disk or
    its permissions forbid the writing; what stood there before stands there still, and nothing is left behind.
    """
    try:
        target = path.resolve()
        old = _existing(target, path, mark)
        if isinstance(old, Diagnostic):
            return old
        content = text.encode()
        if old == content:
            return Outcome.UNCHANGED
        effects.make_directory(target.parent)
        _replace(target, content, effects)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in a circle, before Python 3.13
        raise OutsideFailure(_cannot_write(path, error)) from error
    return Outcome.CREATED if old is None else Outcome.REPLACED


def _existing(target: Path, path: Path, mark: str) -> bytes | Diagnostic | None:
    try:
        mode = path.stat().st_mode  # not the target's: what `/dev/stdout` leads to has no name of its own
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        return not_a_file(path, "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket")
    content = target.read_bytes()
    if content and not content.startswith(mark.encode()):
        return _somebody_elses(path)
    return content


def _replace(target: Path, content: bytes, effects: FileEffects) -> None:
    temporary = stage(target, content, effects)
    try:
        effects.rename(temporary, target)
    except BaseException:
        discard(temporary)
        raise
    flush_directory(target.parent, effects)


def stage(target: Path, content: bytes, effects: FileEffects) -> Path:
    """A file beside `target`, with its mode, that holds `content` and waits to take its name. Nothing is left behind
    when that fails."""
    temporary = target.with_name(f".{target.name}.{token_hex(4)}.new")
    descriptor = effects.create(temporary)
    try:
        try:
            _fill(descriptor, content, target, effects)
        finally:
            os.close(descriptor)
    except BaseException:
        discard(temporary)
        raise
    return temporary


def discard(temporary: Path) -> None:
    """Removes a file that nobody waits for any more."""
    with suppress(OSError):
        temporary.unlink()


def _fill(descriptor: int, content: bytes, target: Path, effects: FileEffects) -> None:
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[effects.write(descriptor, bytes(remaining)) :]
    with suppress(FileNotFoundError):
        effects.set_mode(descriptor, stat.S_IMODE(target.stat().st_mode))
    effects.flush(descriptor)


def flush_directory(directory: Path, effects: FileEffects) -> None:
    """The rename is done and seen; that it also survives a power cut is asked for, and some file systems decline."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            effects.flush(descriptor)
        finally:
            os.close(descriptor)


def not_a_file(path: Path | str, what: str) -> Diagnostic:
    """The finding about a name that is that of something else; nothing is written."""
    return Diagnostic(
        code="E612",
        message=f"`{path}` is {what}, not a file to write to",
        help=("name a file, such as `--output compose.yaml`, or `--stdout` for the standard output",),
    )


def _somebody_elses(path: Path) -> Diagnostic:
    return Diagnostic(
        code="E613",
        message=f"`{path}` was not written by `orchestrate render`, and is left as it is",
        notes=("a rendered file begins with a line that says so",),
        help=("move it away, or name another file with `--output`",),
    )


def _cannot_write(path: Path, error: Exception) -> Diagnostic:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Diagnostic(
        code="E611",
        message=f"cannot write `{path}`: {reason}",
        notes=("no file was changed",),
        help=("mend that, or write elsewhere with `--output FILE`, or print with `--stdout`",),
    )
