"""The door to files that people wrote and we change: all of them or none, and never over what changed meanwhile."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.adapters.held_signals import FILES_WRITTEN, signals_held
from orchestrator.adapters.output_file import REAL_EFFECTS, FileEffects, discard, flush_directory, stage
from orchestrator.domain.diagnostics import Diagnostic, Span
from orchestrator.domain.failures import OutsideFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedFile:
    """A file by its name, the text that it held when it was read, and the text that it shall hold."""

    file: str
    old: str
    new: str


@dataclass(slots=True)
class _Staged:
    """A file whose new content waits beside it."""

    edited: EditedFile
    target: Path
    temporary: Path


def write_edited_files(files: Sequence[EditedFile], *, effects: FileEffects = REAL_EFFECTS) -> Diagnostic | None:
    """Make every file hold its new text; a finding, and nothing written, if one of them changed since it was read.

    All new contents are on the disk before the first file is replaced, so that a full disk costs nothing. Links are
    followed and stay links, modes are kept. Raises OutsideFailure when the writing fails; then, as after an interrupt
    before the first file is replaced, every file holds what it held before. A later interrupt waits for the last file.
    """
    with signals_held() as give_up_if_asked:
        return _write(files, effects, give_up_if_asked)


def _write(
    files: Sequence[EditedFile], effects: FileEffects, give_up_if_asked: Callable[[], None]
) -> Diagnostic | None:
    staged: list[_Staged] = []
    try:
        for each in files:
            changed = _changed_meanwhile(each)
            if changed is not None:
                return changed
            target = Path(each.file).resolve()
            staged.append(_Staged(each, target, stage(target, each.new.encode(), effects)))
            give_up_if_asked()
        return _replace_all(staged, effects)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in a circle, before Python 3.13
        raise OutsideFailure(_cannot_write(files, error)) from error
    finally:
        for waiting in staged:
            discard(waiting.temporary)


def _replace_all(staged: Sequence[_Staged], effects: FileEffects) -> Diagnostic | None:
    done: list[_Staged] = []
    changed: Diagnostic | None = None
    try:
        for each in staged:
            changed = _changed_meanwhile(each.edited)
            if changed is not None:
                _put_back(done)
                return changed
            done.append(each)
            effects.rename(each.temporary, each.target)
    except BaseException:
        _put_back(done)
        raise
    if done:
        FILES_WRITTEN.set()
    for directory in sorted({each.target.parent for each in staged}):
        flush_directory(directory, effects)
    return None


def _put_back(done: Sequence[_Staged]) -> None:
    """The old texts again, with whatever still works: the writing failed already."""
    for each in done:
        with suppress(OSError):
            if each.target.read_bytes() == each.edited.new.encode():
                stage(each.target, each.edited.old.encode(), REAL_EFFECTS).replace(each.target)


def _changed_meanwhile(edited: EditedFile) -> Diagnostic | None:
    path = Path(edited.file)
    is_regular = stat.S_ISREG(path.stat().st_mode)
    if is_regular and path.read_bytes() == edited.old.encode():
        return None
    return Diagnostic(
        code="E615",
        message=f"`{edited.file}` changed while it was being read",
        span=Span(file=edited.file),
        notes=("no file was changed",),
        help=("save what you are editing, and run the command again",),
    )


def _cannot_write(files: Sequence[EditedFile], error: Exception) -> Diagnostic:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    name = error.filename if isinstance(error, OSError) and error.filename else None
    named = f"`{files[0].file}`" if len(files) == 1 else f"{len(files)} files" + (f" (at `{name}`)" if name else "")
    return Diagnostic(
        code="E616",
        message=f"cannot write {named}: {reason}",
        notes=("every file holds what it held before",),
        help=("mend that and run the command again; `--diff` shows the changes without writing",),
    )
