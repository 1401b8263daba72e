"""The door to files that we write: whole or not at all, and never over what somebody else wrote."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from secrets import token_hex

from orchestrator.adapters.held_signals import FILES_WRITTEN, signals_held
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedFile:
    """A file to write. `mark` is how ours begin, `maker` the command that makes them, `elsewhere` its option for the
    name.
    """

    path: Path
    text: str
    mark: str
    maker: str = "orchestrate render"
    elsewhere: str = "--output"


@dataclass(slots=True)
class _Staged:
    """What is to become of one file, and what it held; `temporary` is set while its new content lies beside it."""

    file: GeneratedFile
    target: Path
    content: bytes
    old: bytes | None
    temporary: Path | None = None

    @property
    def outcome(self) -> Outcome:
        if self.old is None:
            return Outcome.CREATED
        return Outcome.UNCHANGED if self.old == self.content else Outcome.REPLACED


def write_generated_file(file: GeneratedFile, effects: FileEffects = REAL_EFFECTS) -> Outcome | Diagnostic:
    """`write_generated_files` of one."""
    outcomes = write_generated_files((file,), effects)
    return outcomes if isinstance(outcomes, Diagnostic) else outcomes[0]


def write_generated_files(
    files: Sequence[GeneratedFile], effects: FileEffects = REAL_EFFECTS
) -> tuple[Outcome, ...] | Diagnostic:
    """Make every path hold its text, through temporary files beside them and renames: readers see the old or the new.

    All are written in full before the first is renamed, and where a rename fails the old texts are put back: all are
    written or none. A symbolic link is followed and stays one; an existing file keeps its mode. A file that does not
    begin with its mark, or something that is not a file, is left alone with all the others and answered with a
    finding. Raises OutsideFailure when the disk or its permissions forbid the writing; nothing is left behind. An
    interrupt before the first rename leaves all as they were, a later one waits for the last.
    """
    with signals_held() as give_up_if_asked:
        staged = _written(files, effects, give_up_if_asked)
        if isinstance(staged, Diagnostic):
            return staged
        changed = [each for each in staged if each.outcome is not Outcome.UNCHANGED]
        if changed:
            FILES_WRITTEN.set()
        for directory in sorted({each.target.parent for each in changed}):
            flush_directory(directory, effects)
        return tuple(each.outcome for each in staged)


def _written(
    files: Sequence[GeneratedFile], effects: FileEffects, give_up_if_asked: Callable[[], None]
) -> Sequence[_Staged] | Diagnostic:
    staged: list[_Staged] = []
    file = files[0]
    try:
        for file in files:
            found = _looked_at(file)
            if isinstance(found, Diagnostic):
                return found
            staged.append(found)
        for each in staged:
            file = each.file
            _stage(each, effects)
            give_up_if_asked()
        for each in staged:
            file = each.file
            _swap(each, staged, effects)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in a circle, before Python 3.13
        raise OutsideFailure(_cannot_write(file, error)) from error
    finally:
        _clear(staged)
    return staged


def _looked_at(file: GeneratedFile) -> _Staged | Diagnostic:
    target = file.path.resolve()
    old = _existing(target, file)
    if isinstance(old, Diagnostic):
        return old
    return _Staged(file=file, target=target, content=file.text.encode(), old=old)


def _existing(target: Path, file: GeneratedFile) -> bytes | Diagnostic | None:
    try:
        mode = file.path.stat().st_mode  # not the target's: what `/dev/stdout` leads to has no name of its own
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        return not_a_file(file.path, what, file.elsewhere)
    content = target.read_bytes()
    if content and not content.startswith(file.mark.encode()):
        return _somebody_elses(file)
    return content


def _stage(each: _Staged, effects: FileEffects) -> None:
    if each.outcome is not Outcome.UNCHANGED:
        effects.make_directory(each.target.parent)
        each.temporary = stage(each.target, each.content, effects)


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


def _swap(each: _Staged, staged: Sequence[_Staged], effects: FileEffects) -> None:
    """The new content takes its name; where that fails, those before it give theirs back."""
    if each.temporary is None:
        return
    try:
        effects.rename(each.temporary, each.target)
        each.temporary = None
    except BaseException:
        for done in staged[: staged.index(each)]:
            _put_back(done)
        raise


def _put_back(done: _Staged) -> None:
    """The old text again, with whatever still works: the writing failed already."""
    with suppress(OSError):
        if done.old is None:
            done.target.unlink()
        elif done.outcome is Outcome.REPLACED:
            stage(done.target, done.old, REAL_EFFECTS).replace(done.target)


def _clear(staged: Sequence[_Staged]) -> None:
    for each in staged:
        if each.temporary is not None:
            discard(each.temporary)


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


def not_a_file(path: Path | str, what: str, option: str = "--output") -> Diagnostic:
    """The finding about a name that is that of something else; nothing is written."""
    example = (
        "`--output compose.yaml`, or `--stdout` for the standard output"
        if option == "--output"
        else f"`{option} plan.json`"
    )
    return Diagnostic(
        code="E612",
        message=f"`{path}` is {what}, not a file to write to",
        help=(f"name a file, such as {example}",),
    )


def _somebody_elses(file: GeneratedFile) -> Diagnostic:
    return Diagnostic(
        code="E613",
        message=f"`{file.path}` was not written by `{file.maker}`, and is left as it is",
        notes=("a file that it wrote begins with a line that says so",),
        help=(f"move it away, or name another file with `{file.elsewhere}`",),
    )


def _cannot_write(file: GeneratedFile, error: Exception) -> Diagnostic:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    printing = ", or print with `--stdout`" if file.elsewhere == "--output" else ""
    return Diagnostic(
        code="E611",
        message=f"cannot write `{file.path}`: {reason}",
        notes=("no file was changed",),
        help=(f"mend that, or write elsewhere with `{file.elsewhere} FILE`{printing}",),
    )
