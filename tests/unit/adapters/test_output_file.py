"""A generated file is written whole or not at all, whichever step fails."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Never

import pytest

from orchestrator.adapters.output_file import (
    FileEffects,
    GeneratedFile,
    Outcome,
    write_generated_file,
    write_generated_files,
)
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure

MARK = "# Generated"
OLD, NEW = f"{MARK}\nold\n", f"{MARK}\nnew: é\n"


def write(path: Path, text: str = NEW, effects: FileEffects | None = None) -> Outcome | Diagnostic:
    return write_generated_file(GeneratedFile(path=path, text=text, mark=MARK), effects or FileEffects())


def failing(number: int) -> Callable[..., Never]:
    def fail(*_: object) -> Never:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_new_file_is_created_with_its_directories(tmp_path: Path) -> None:
    path = tmp_path / "compose" / "tiers" / "compose.yaml"
    assert write(path) is Outcome.CREATED
    assert path.read_bytes() == NEW.encode()
    assert [each.name for each in path.parent.iterdir()] == ["compose.yaml"]


def test_a_new_file_gets_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_an_old_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(OLD)
    path.chmod(0o604)
    assert write(path) is Outcome.REPLACED
    assert path.read_text() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_an_empty_file_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert write(tmp_path / "file") is Outcome.REPLACED


def test_unchanged_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    before = path.stat()
    assert write(path) is Outcome.UNCHANGED
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_somebody_else_wrote_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff services: {}")
    finding = write(path)
    assert isinstance(finding, Diagnostic)
    assert finding.code == "E613"
    assert path.read_bytes() == b"\xff services: {}"


def test_a_directory_and_a_device_are_not_written_to(tmp_path: Path) -> None:
    findings = [write(tmp_path), write(Path(os.devnull))]
    assert [each.code for each in findings if isinstance(each, Diagnostic)] == ["E612", "E612"]
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_symbolic_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "file"
    target.write_text(OLD)
    link = tmp_path / "link"
    link.symlink_to(target)
    assert write(link) is Outcome.REPLACED
    assert link.is_symlink()
    assert target.read_text() == NEW


def test_a_link_to_nothing_is_given_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "not-yet" / "file")
    assert write(link) is Outcome.CREATED
    assert (tmp_path / "not-yet" / "file").read_text() == NEW


def test_links_in_a_circle_are_an_outside_failure(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OutsideFailure) as raised:
        write(tmp_path / "a")
    assert raised.value.finding.code == "E611"
    assert (tmp_path / "a").is_symlink()


def test_a_path_through_a_file_is_an_outside_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutsideFailure) as raised:
        write(tmp_path / "file" / "compose.yaml")
    assert raised.value.finding.message == f"cannot write `{tmp_path}/file/compose.yaml`: Not a directory"


@pytest.mark.parametrize(
    ("effects", "reason"),
    [
        (replace(FileEffects(), create=failing(errno.EACCES)), "Permission denied"),
        (replace(FileEffects(), write=failing(errno.ENOSPC)), "No space left on device"),
        (replace(FileEffects(), set_mode=failing(errno.EPERM)), "Operation not permitted"),
        (replace(FileEffects(), flush=failing(errno.EIO)), "Input/output error"),
        (replace(FileEffects(), rename=failing(errno.EROFS)), "Read-only file system"),
        (replace(FileEffects(), make_directory=failing(errno.EDQUOT)), "Disk quota exceeded"),
    ],
    ids=["create", "write", "set_mode", "flush", "rename", "make_directory"],
)
def test_whichever_step_fails_the_old_file_stands_and_nothing_is_left_behind(
    effects: FileEffects, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text(OLD)
    with pytest.raises(OutsideFailure) as raised:
        write(path, effects=effects)
    finding = raised.value.finding
    assert (finding.code, finding.message) == ("E611", f"cannot write `{path}`: {reason}")
    assert finding.notes == ("no file was changed",)
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_text(OLD)
    with pytest.raises(KeyboardInterrupt):
        write(path, effects=replace(FileEffects(), rename=interrupted))
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_takes_a_byte_at_a_time_gets_the_whole_file(tmp_path: Path) -> None:
    slow = replace(FileEffects(), write=lambda descriptor, content: os.write(descriptor, content[:1]))
    assert write(tmp_path / "file", effects=slow) is Outcome.CREATED
    assert (tmp_path / "file").read_text() == NEW


def test_a_directory_that_cannot_be_flushed_does_not_undo_a_finished_rename(tmp_path: Path) -> None:
    def flush(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        os.fsync(descriptor)

    assert write(tmp_path / "file", effects=replace(FileEffects(), flush=flush)) is Outcome.CREATED


def test_a_real_limit_on_file_size_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(OLD)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    script = (
        "import sys; from pathlib import Path\n"
        "from orchestrator.adapters.output_file import GeneratedFile, write_generated_file\n"
        "from orchestrator.domain.failures import OutsideFailure\n"
        "file = GeneratedFile(path=Path(sys.argv[1]), text='# Generated' + 'x' * 9000, mark='# Generated')\n"
        "try: write_generated_file(file)\n"
        "except OutsideFailure as failure: print(failure.finding.message)\n"
    )
    run = subprocess.run(
        [sys.executable, "-B", "-c", script, path], preexec_fn=limit, capture_output=True, text=True, check=True
    )
    assert run.stdout == f"cannot write `{path}`: File too large\n"
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_that_only_a_descriptor_names_is_not_written_to() -> None:
    reading, writing = os.pipe()
    try:
        finding = write_generated_file(GeneratedFile(path=Path(f"/dev/fd/{writing}"), text="text", mark="#"))
    finally:
        os.close(reading)
        os.close(writing)
    assert isinstance(finding, Diagnostic)
    assert (finding.code, "`--stdout`" in finding.help[0]) == ("E612", True)


def _pair(directory: Path, text: str = NEW) -> tuple[GeneratedFile, GeneratedFile]:
    one, other = (GeneratedFile(path=directory / name, text=text, mark=MARK) for name in ("one", "other"))
    return one, other


def test_two_files_are_written_together_and_the_unchanged_one_is_left_alone(tmp_path: Path) -> None:
    assert write_generated_files(_pair(tmp_path)) == (Outcome.CREATED, Outcome.CREATED)
    one, other = _pair(tmp_path)
    before = one.path.stat().st_mtime_ns
    assert write_generated_files((one, replace(other, text=OLD))) == (Outcome.UNCHANGED, Outcome.REPLACED)
    assert (one.path.stat().st_mtime_ns, other.path.read_text()) == (before, OLD)
    assert sorted(tmp_path.iterdir()) == [one.path, other.path]


@pytest.mark.parametrize("step", ["create", "write", "set_mode", "flush"])
def test_a_step_that_fails_at_the_second_file_changes_neither(step: str, tmp_path: Path) -> None:
    write_generated_files(_pair(tmp_path, OLD))
    steps = iter((False, True))
    real = getattr(FileEffects(), step)

    def fails_the_second_time(*arguments: object) -> object:
        if next(steps):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    one, other = _pair(tmp_path)
    broken: dict[str, Any] = {step: fails_the_second_time}
    with pytest.raises(OutsideFailure) as raised:
        write_generated_files((one, other), replace(FileEffects(), **broken))
    assert raised.value.finding.message == f"cannot write `{other.path}`: No space left on device"
    assert raised.value.finding.notes == ("no file was changed",)
    assert [each.read_text() for each in sorted(tmp_path.iterdir())] == [OLD, OLD]


@pytest.mark.parametrize("old", [OLD, None])
@pytest.mark.parametrize("error", [OSError(errno.EROFS, os.strerror(errno.EROFS)), KeyboardInterrupt()])
def test_where_the_second_rename_fails_the_first_is_taken_back(
    old: str | None, error: BaseException, tmp_path: Path
) -> None:
    if old is not None:
        write_generated_files(_pair(tmp_path, old))
    one, other = _pair(tmp_path)

    def rename(source: Path, target: Path) -> None:
        if target == other.path:
            raise error
        source.replace(target)

    with pytest.raises((OutsideFailure, KeyboardInterrupt)):
        write_generated_files((one, other), replace(FileEffects(), rename=rename))
    assert [each.read_text() for each in sorted(tmp_path.iterdir())] == ([] if old is None else [old, old])


def test_of_two_files_neither_is_written_where_one_is_somebody_elses(tmp_path: Path) -> None:
    one, other = _pair(tmp_path)
    other.path.write_text("mine")
    finding = write_generated_files((one, other))
    assert isinstance(finding, Diagnostic)
    assert (finding.code, one.path.exists(), other.path.read_text()) == ("E613", False, "mine")
