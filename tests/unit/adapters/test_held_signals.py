"""A signal that arrives while files are written leaves all of them old or all of them new, and says which."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from orchestrator.adapters.edited_files import EditedFile, write_edited_files
from orchestrator.adapters.held_signals import ENDING, FILES_WRITTEN, signals_held
from orchestrator.adapters.output_file import FileEffects, GeneratedFile, write_generated_files
from orchestrator.cli import entry, main
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.domain.failures import OutsideFailure

NAMES = ("a", "b", "c")
OLD = {name: f"# old {name}" for name in NAMES}
NEW = {name: f"# new {name}" for name in NAMES}
NOTHING_CHANGED, ALL_WRITTEN = "interrupted; nothing was changed\n", "interrupted after all files were written\n"

Write = Callable[[Path, FileEffects], object]
LastWords = Callable[[Callable[[], object]], str]
SIGNALS = [(signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), (signal.SIGHUP,), ENDING]


def edit(directory: Path, effects: FileEffects) -> object:
    files = [EditedFile(file=str(directory / name), old=OLD[name], new=NEW[name]) for name in NAMES]
    return write_edited_files(files, effects=effects)


def generate(directory: Path, effects: FileEffects) -> object:
    return write_generated_files([GeneratedFile(path=directory / n, text=NEW[n], mark="#") for n in NAMES], effects)


WRITERS = pytest.mark.parametrize("write", [edit, generate])


@pytest.fixture(autouse=True)
def _default_signals() -> Iterator[None]:
    """What a command starts with, whatever the tests were started with; and nothing of ours may stay behind."""
    defaults = {number: signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL for number in ENDING}
    before = {number: signal.signal(number, default) for number, default in defaults.items()}
    yield
    after = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert after == defaults


def project(directory: Path) -> Path:
    for name, text in OLD.items():
        (directory / name).write_text(text)
    return directory


def contents(directory: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in sorted(directory.iterdir())}


def signalled(step: str, number: int, signals: tuple[signal.Signals, ...], effects: FileEffects) -> FileEffects:
    """The effects, of which one is hit by signals as soon as it is done for the nth time."""
    real: Callable[..., Any] = getattr(effects, step)
    calls = iter(range(1, 1000))

    def effect(*arguments: object) -> object:
        result = real(*arguments)
        if next(calls) == number:
            for each in signals:
                os.kill(os.getpid(), each)
        return result

    changed: dict[str, Any] = {step: effect}
    return replace(effects, **changed)


@pytest.fixture
def last_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> LastWords:
    """What an interrupted command says at the edge of the command line."""

    def run(command: Callable[[], object]) -> str:
        monkeypatch.setattr(main, "app", command)
        with pytest.raises(SystemExit) as ended:
            entry.run()
        assert ended.value.code == ExitCode.INTERRUPTED
        return capsys.readouterr().err

    return run


@WRITERS
@pytest.mark.parametrize("signals", SIGNALS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_signal_while_files_are_replaced_waits_until_all_are_new(
    number: int,
    signals: tuple[signal.Signals, ...],
    write: Write,
    tmp_path: Path,
    last_words: LastWords,
) -> None:
    effects = signalled("rename", number, signals, FileEffects())
    assert last_words(lambda: write(project(tmp_path), effects)) == ALL_WRITTEN
    assert contents(tmp_path) == NEW


@WRITERS
@pytest.mark.parametrize("signals", SIGNALS)
@pytest.mark.parametrize("at", list(product(["create", "write", "set_mode", "flush"], [1, 2, 3])))
def test_a_signal_while_files_are_prepared_leaves_all_old(
    at: tuple[str, int],
    signals: tuple[signal.Signals, ...],
    write: Write,
    tmp_path: Path,
    last_words: LastWords,
) -> None:
    effects = signalled(*at, signals, FileEffects())
    assert last_words(lambda: write(project(tmp_path), effects)) == NOTHING_CHANGED
    assert contents(tmp_path) == OLD


@WRITERS
@pytest.mark.parametrize("signals", SIGNALS)
def test_a_signal_before_an_error_leaves_all_old(
    signals: tuple[signal.Signals, ...],
    write: Write,
    tmp_path: Path,
    last_words: LastWords,
) -> None:
    def rename(source: Path, target: Path) -> None:
        if target.name == "c":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        source.replace(target)

    effects = signalled("rename", 2, signals, replace(FileEffects(), rename=rename))
    assert last_words(lambda: write(project(tmp_path), effects)) == NOTHING_CHANGED
    assert contents(tmp_path) == OLD


@WRITERS
def test_an_interrupt_after_the_writing_says_that_files_were_written(
    write: Write, tmp_path: Path, last_words: LastWords
) -> None:
    def command() -> None:
        write(project(tmp_path), FileEffects())
        os.kill(os.getpid(), signal.SIGINT)

    assert last_words(command) == ALL_WRITTEN
    assert contents(tmp_path) == NEW


def test_files_that_stayed_as_they_were_are_no_change(tmp_path: Path, last_words: LastWords) -> None:
    generate(tmp_path, FileEffects())

    def command() -> None:
        generate(tmp_path, FileEffects())
        os.kill(os.getpid(), signal.SIGINT)

    assert last_words(command) == NOTHING_CHANGED


def test_what_the_command_before_wrote_does_not_count(tmp_path: Path, last_words: LastWords) -> None:
    edit(project(tmp_path), FileEffects())
    assert FILES_WRITTEN.is_set()
    assert last_words(lambda: os.kill(os.getpid(), signal.SIGINT)) == NOTHING_CHANGED


@WRITERS
def test_a_signal_that_is_ignored_stays_ignored(write: Write, tmp_path: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        write(project(tmp_path), signalled("create", 1, (signal.SIGHUP,), FileEffects()))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert contents(tmp_path) == NEW


@WRITERS
def test_a_failure_without_a_signal_is_still_a_failure(write: Write, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutsideFailure):
        write(project(tmp_path), replace(FileEffects(), rename=full))
    assert contents(tmp_path) == OLD


def test_another_thread_writes_without_holding_anything(tmp_path: Path) -> None:
    seen: list[object] = []

    def work() -> None:
        with signals_held():
            seen.append(signal.getsignal(signal.SIGTERM))
        edit(project(tmp_path), FileEffects())

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert (seen, contents(tmp_path)) == ([signal.SIG_DFL], NEW)
