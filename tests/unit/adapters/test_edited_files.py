"""Files that people wrote are changed all together or not at all, whichever step fails."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.edited_files import EditedFile, write_edited_files
from orchestrator.adapters.output_file import FileEffects
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure

NAMES = ("a.yaml", "b.yaml", "c.yaml")
STEPS = ("create", "write", "set_mode", "flush", "rename")


def project(directory: Path) -> list[EditedFile]:
    for name in NAMES:
        (directory / name).write_bytes(f"old {name}\r\n".encode())
    return [EditedFile(file=str(directory / n), old=f"old {n}\r\n", new=f"new {n} é") for n in NAMES]


def contents(directory: Path) -> dict[str, str]:
    return {each.name: each.read_bytes().decode() for each in sorted(directory.iterdir())}


def failing_at(step: str, number: int, error: BaseException) -> FileEffects:
    """The real effects, of which one fails when it is asked for the nth time."""
    effects = FileEffects()
    real: Callable[..., Any] = getattr(effects, step)
    calls = iter(range(1, 1000))

    def effect(*arguments: object) -> object:
        if next(calls) == number:
            raise error
        return real(*arguments)

    changed: dict[str, Any] = {step: effect}
    return replace(effects, **changed)


def test_all_files_hold_their_new_texts_and_keep_their_modes(tmp_path: Path) -> None:
    files = project(tmp_path)
    (tmp_path / "b.yaml").chmod(0o604)
    assert write_edited_files(files) is None
    assert contents(tmp_path) == {name: f"new {name} é" for name in NAMES}
    assert stat.S_IMODE((tmp_path / "b.yaml").stat().st_mode) == 0o604


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_every_file_as_it_was(step: str, number: int, tmp_path: Path) -> None:
    files = project(tmp_path)
    before = contents(tmp_path)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutsideFailure) as caught:
        write_edited_files(files, effects=failing_at(step, number, full))
    assert contents(tmp_path) == before
    assert caught.value.finding == Diagnostic(
        code="E616",
        message="cannot write 3 files: No space left on device",
        notes=("every file holds what it held before",),
        help=("mend that and run the command again; `--diff` shows the changes without writing",),
    )


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_leaves_every_file_as_it_was(step: str, number: int, tmp_path: Path) -> None:
    files = project(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        write_edited_files(files, effects=failing_at(step, number, KeyboardInterrupt()))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_over_a_file_that_changed_meanwhile(name: str, tmp_path: Path) -> None:
    files = project(tmp_path)
    (tmp_path / name).write_text("somebody else's\n")
    before = contents(tmp_path)
    refused = write_edited_files(files)
    assert refused is not None
    assert (refused.code, refused.notes) == ("E615", ("no file was changed",))
    assert contents(tmp_path) == before


def test_a_change_between_the_preparations_and_the_last_step_is_seen(tmp_path: Path) -> None:
    files = project(tmp_path)
    effects = FileEffects()

    def rename(temporary: Path, target: Path) -> None:
        if target.name == "a.yaml":
            (tmp_path / "b.yaml").write_text("somebody else's\n")
        effects.rename(temporary, target)

    refused = write_edited_files(files, effects=replace(effects, rename=rename))
    assert refused is not None
    assert refused.code == "E615"
    expected = {name: f"old {name}\r\n" for name in NAMES} | {"b.yaml": "somebody else's\n"}
    assert contents(tmp_path) == expected


def test_a_link_stays_a_link_and_what_it_leads_to_changes(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.yaml").write_text("old")
    link = tmp_path / "a.yaml"
    link.symlink_to("shared/a.yaml")
    assert write_edited_files([EditedFile(file=str(link), old="old", new="new")]) is None
    assert link.is_symlink()
    assert (tmp_path / "shared" / "a.yaml").read_text() == "new"


@pytest.mark.parametrize("kind", ["gone", "a directory"])
def test_a_file_that_is_none_any_more_is_no_crash(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    if kind == "a directory":
        path.mkdir()
        refused = write_edited_files([EditedFile(file=str(path), old="old", new="new")])
        assert refused is not None
        assert refused.code == "E615"
        return
    with pytest.raises(OutsideFailure) as caught:
        write_edited_files([EditedFile(file=str(path), old="old", new="new")])
    assert caught.value.finding.message == f"cannot write `{path}`: No such file or directory"
