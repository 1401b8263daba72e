"""The door to text files: what cannot be read becomes a finding, and nothing here ever hangs."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from orchestrator.domain.diagnostics import Diagnostic, Span, repeated

MAX_BYTES = 1024 * 1024


def read_text(
    path: Path | str, shown: str | None = None, *, max_bytes: int = MAX_BYTES, wanted: str = "a profile"
) -> str | Diagnostic:
    """The text of a regular UTF-8 file of at most `max_bytes`, or the finding that says why there is none.

    `shown` is the name for findings (as the user gave it), `wanted` the kind of file that is looked for. The
    size is looked at before anything is read, and only regular files are opened: a FIFO or a device cannot block.
    """
    path = Path(path)
    name = shown if shown is not None else str(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return _why_not_opened(path, repeated(name), error)
    try:
        return _read_open(handle, name, max_bytes, wanted)
    except OSError as error:
        return _finding("E127", f"`{name}` cannot be read", name, help_="check the disk", note=_said(error))
    finally:
        os.close(handle)


def _read_open(handle: int, name: str, max_bytes: int, wanted: str) -> str | Diagnostic:
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode):
        return _finding("E121", f"`{name}` is a directory", name, help_="name a file in it")
    if not stat.S_ISREG(status.st_mode):
        return _finding("E125", f"`{name}` is {_kind(status.st_mode)}", name, help_="name a regular file")
    if status.st_size > max_bytes:
        return _too_large(name, status.st_size, max_bytes, wanted)
    content = bytearray()
    while len(content) <= max_bytes:
        chunk = os.read(handle, max_bytes + 1 - len(content))
        if not chunk:
            return _decoded(bytes(content), name)
        content += chunk
    return _too_large(name, len(content), max_bytes, wanted)


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"


def _too_large(name: str, size: int, max_bytes: int, wanted: str) -> Diagnostic:
    return _finding(
        "E124",
        f"`{name}` is too large for {wanted}",
        name,
        help_=f"name {wanted}: a text file of some lines",
        note=f"it has {size:,} bytes or more, at most {max_bytes:,} are read",
    )


_OTHER_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
"""Byte order marks, the longer ones first."""


def _decoded(content: bytes, name: str) -> str | Diagnostic:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        encoding = next((name for mark, name in _OTHER_ENCODINGS if content.startswith(mark)), None)
        return Diagnostic(
            code="E123",
            message=f"`{name}` is not UTF-8 text" + (f" (it looks like {encoding})" if encoding else ""),
            span=Span(file=name, line=line, column=column, end_line=line, end_column=column),
            notes=(f"byte 0x{content[error.start]:02x} at offset {error.start:,}, line {line}: {error.reason}",),
            help=("save the file as UTF-8",),
        )


def _why_not_opened(path: Path, name: str, error: OSError | ValueError) -> Diagnostic:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return _missing(path, name)
        case PermissionError():
            return _finding(
                "E122", f"`{name}` may not be read", name, help_=f"give yourself the right: `chmod u+r {name}`"
            )
        case OSError() if error.errno in _NOT_REGULAR:
            return _finding("E125", f"`{name}` is not a regular file", name, help_="name a regular file")
        case _:
            return _finding("E127", f"`{name}` cannot be opened", name, help_="check the name", note=_said(error))


_NOT_REGULAR = frozenset({6, 19})
"""ENXIO and ENODEV: sockets, and devices without hardware."""


def _said(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)


def _missing(path: Path, name: str) -> Diagnostic:
    if path.is_symlink():
        target = path.readlink()
        message = f"`{name}` is a link to a file that does not exist"
        return _finding("E126", message, name, help_="point the link at a file", note=f"it points at `{target}`")
    near = nearest_file_name(path)
    help_ = f"did you mean `{near}`?" if near else "check the name, and the directory that you are in"
    return _finding("E120", f"`{name}` does not exist", name, help_=help_)


def nearest_file_name(path: Path, *, but: Collection[str] = ()) -> str | None:
    """The file beside a missing one whose name is most like it, as a path like the missing one. Names are compared
    without what they end in, which would make any two `.yaml` files alike. Paths in `but` are left out."""
    try:
        beside = sorted((Path(entry.name) for entry in os.scandir(path.parent)), key=_by_ending(path.suffix))
    except (OSError, ValueError):
        return None
    names: dict[str, str] = {}
    for each in beside:
        if str(path.parent / each) not in but:
            names.setdefault(each.stem, each.name)
    near = difflib.get_close_matches(path.stem, names, n=1, cutoff=0.6)
    return str(path.parent / names[near[0]]) if near else None


def _by_ending(suffix: str) -> Callable[[Path], tuple[bool, str]]:
    """Sorts files that end alike to the front."""
    return lambda path: (path.suffix != suffix, path.name)


def _finding(code: str, message: str, name: str, *, help_: str, note: str = "") -> Diagnostic:
    return Diagnostic(code=code, message=message, span=Span(file=name), notes=(note,) if note else (), help=(help_,))
