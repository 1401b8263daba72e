"""The door to text files: everything that cannot be read is a finding, and nothing hangs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from orchestrator.adapters.files import MAX_BYTES, read_text
from orchestrator.domain.diagnostics import Diagnostic, Span
from tests.unit.adapters.other_user import as_nobody, open_directory


def refused(path: Path) -> Diagnostic:
    finding = read_text(path, "shown.yaml")
    assert isinstance(finding, Diagnostic)
    assert finding.span is not None
    assert finding.span.file == "shown.yaml"
    assert finding.help
    return finding


def test_a_text_file_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("é: 1\r\n".encode())

    assert read_text(file) == "é: 1\r\n"
    assert read_text(str(file)) == "é: 1\r\n"


def test_a_missing_file_offers_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "medium.yaml").touch()

    assert read_text(tmp_path / "meduim.yaml", "configs/meduim.yaml") == Diagnostic(
        code="E120",
        message="`configs/meduim.yaml` does not exist",
        span=Span(file="configs/meduim.yaml"),
        help=(f"did you mean `{tmp_path}/medium.yaml`?",),
    )


@pytest.mark.parametrize("name", ["nothing/like/it.yaml", "a.yaml/b.yaml"])
def test_a_missing_file_without_neighbours_still_has_a_next_step(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").touch()

    finding = refused(tmp_path / name)

    assert (finding.code, finding.help) == ("E120", ("check the name, and the directory that you are in",))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert (refused(tmp_path).code, refused(tmp_path).message) == ("E121", "`shown.yaml` is a directory")


def test_a_broken_link_says_where_it_points(tmp_path: Path) -> None:
    link = tmp_path / "a.yaml"
    link.symlink_to("gone.yaml")

    finding = refused(link)

    assert (finding.code, finding.notes) == ("E126", ("it points at `gone.yaml`",))


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "a.yaml"
    link.symlink_to(link)

    assert (refused(link).code, refused(link).message) == (
        "E127",
        "`shown.yaml` is a link that leads round in a circle",
    )


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "a.yaml"
    os.mkfifo(pipe)

    assert (refused(pipe).code, refused(pipe).message) == ("E125", "`shown.yaml` is a named pipe")


def test_a_device_is_not_read() -> None:
    assert (refused(Path("/dev/zero")).code, refused(Path("/dev/zero")).message) == ("E125", "`shown.yaml` is a device")


def test_a_socket_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")

        assert refused(Path("s")).code == "E125"


def test_a_file_of_a_hundred_megabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    with file.open("wb") as handle:
        handle.truncate(100 * 1024 * 1024)

    finding = refused(file)

    assert finding.code == "E124"
    assert finding.notes == ("it has 104,857,600 bytes or more, at most 1,048,576 are read",)


def test_a_mebibyte_is_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a" * MAX_BYTES)
    assert isinstance(read_text(file), str)

    file.write_bytes(b"a" * (MAX_BYTES + 1))
    assert refused(file).code == "E124"


def test_a_file_that_claims_to_be_empty_is_read_no_further_than_the_limit() -> None:
    text = read_text(Path("/proc/self/status"))
    finding = read_text(Path("/proc/self/status"), max_bytes=10)

    assert isinstance(text, str)
    assert isinstance(finding, Diagnostic)
    assert finding.code == "E124"


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        (b"a: 1\nb: \xc3\xa9 \xff\n", 2, 6, "`shown.yaml` is not UTF-8 text"),
        ("a: 1\n".encode("utf-16"), 1, 1, "`shown.yaml` is not UTF-8 text (it looks like UTF-16)"),
        ("a: 1\n".encode("utf-32"), 1, 1, "`shown.yaml` is not UTF-8 text (it looks like UTF-32)"),
        (
            b"\x00\x00\xfe\xff" + "a: 1\n".encode("utf-32-be"),
            1,
            3,
            "`shown.yaml` is not UTF-8 text (it looks like UTF-32)",
        ),
        (b"a: \xe9\n", 1, 4, "`shown.yaml` is not UTF-8 text"),
    ],
)
def test_bytes_that_are_not_utf8_are_pointed_at(
    tmp_path: Path, content: bytes, line: int, column: int, message: str
) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)

    finding = refused(file)

    assert (finding.code, finding.message) == ("E123", message)
    assert finding.span == Span(file="shown.yaml", line=line, column=column, end_line=line, end_column=column)
    assert "offset" in finding.notes[0]


def test_a_name_that_no_system_takes_is_refused() -> None:
    assert refused(Path("a\0b")).code == "E127"
    assert refused(Path("x" * 5000)).code == "E127"


def test_a_file_without_the_right_to_read_says_whose_it_is() -> None:
    with open_directory() as directory:
        file = directory / "a.yaml"
        file.write_text("a: 1")
        file.chmod(0)
        with as_nobody():
            finding = refused(file)
            is_ours = os.geteuid() == file.stat().st_uid
    said = "give yourself the right: `chmod u+r {0}`" if is_ours else _ANOTHERS
    assert (finding.code, finding.help) == ("E122", (said.format(file),))


_ANOTHERS = "`{0}` is another user's: run as that user, or have them `chmod o+r {0}`"


def test_a_file_of_ones_own_without_the_right_to_read_says_how_to_get_it() -> None:
    with open_directory() as directory:
        directory.chmod(0o777)
        file = directory / "a file.yaml"
        with as_nobody():
            file.write_text("a: 1")
            file.chmod(0)
            finding = refused(file)
    assert (finding.code, finding.help) == ("E122", (f"give yourself the right: `chmod u+r '{file}'`",))


def test_a_directory_that_bars_the_way_is_named() -> None:
    with open_directory() as directory:
        (directory / "closed" / "deep").mkdir(parents=True)
        (directory / "closed").chmod(0)
        with as_nobody():
            finding = refused(directory / "closed" / "deep" / "a.yaml")
    assert (finding.code, finding.message) == ("E122", "`shown.yaml` may not be read")
    assert finding.notes == (f"the directory `{directory / 'closed'}` may not be entered",)
    assert "+x " in finding.help[0]


def test_a_disk_that_fails_while_reading_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\n")

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fail)

    finding = refused(file)

    assert (finding.code, finding.notes) == ("E127", ("Input/output error",))
