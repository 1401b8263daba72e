"""The door to text files: what cannot be read becomes a finding, and nothing here ever hangs."""

from __future__ import annotations

import difflib
import errno
import os
import shlex
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.diagnostics import Diagnostic, Span, repeated

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Why a file was not read: `why` continues its name (`is a named pipe`), `code` is that of a profile's finding."""

    code: str
    why: str
    help: str
    note: str = ""


def read_text(
    path: Path | str, shown: str | None = None, *, max_bytes: int = MAX_BYTES, wanted: str = "a profile"
) -> str | Diagnostic:
    """The text of a regular UTF-8 file of at most `max_bytes`, or the finding that says why there is none.

    `shown` is the name for findings (as the user gave it), `wanted` the kind of file that is looked for.
    """
    name = shown if shown is not None else str(path)
    content = read_bytes(path, max_bytes=max_bytes, wanted=wanted)
    return finding_of(content, name) if isinstance(content, Unread) else _decoded(content, name)


def read_bytes(path: Path | str, *, max_bytes: int, wanted: str) -> bytes | Unread:
    """The content of a regular file of at most `max_bytes`; `wanted` is the kind of file that is looked for.

    The size is looked at before anything is read, and only regular files are read: a FIFO or a device cannot block.
    """
    path = Path(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return why_not(path, error)
    try:
        return _read_open(handle, max_bytes, wanted)
    except OSError as error:
        return Unread(code="E127", why="cannot be read", help="check the disk", note=_said(error))
    finally:
        os.close(handle)


def finding_of(unread: Unread, name: str) -> Diagnostic:
    """The finding about a profile, or another file that the user named, that was not read."""
    return Diagnostic(
        code=unread.code,
        message=f"`{repeated(name)}` {unread.why}",
        span=Span(file=repeated(name)),
        notes=(unread.note,) if unread.note else (),
        help=(unread.help,),
    )


def _read_open(handle: int, max_bytes: int, wanted: str) -> bytes | Unread:
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode):
        return Unread(code="E121", why="is a directory", help="name a file in it")
    if not stat.S_ISREG(status.st_mode):
        return Unread(code="E125", why=f"is {_kind(status.st_mode)}", help="name a regular file")
    if status.st_size > max_bytes:
        return _too_large(status.st_size, max_bytes, wanted)
    content = bytearray()
    while len(content) <= max_bytes:
        chunk = os.read(handle, max_bytes + 1 - len(content))
        if not chunk:
            return bytes(content)
        content += chunk
    return _too_large(len(content), max_bytes, wanted)


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"


def _too_large(size: int, max_bytes: int, wanted: str) -> Unread:
    return Unread(
        code="E124",
        why=f"is too large for {wanted}",
        help=f"name {wanted}: a text file of some lines",
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


def why_not(path: Path, error: OSError | ValueError) -> Unread:
    """What an error of opening or listing `path` means."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return _missing(path)
        case PermissionError():
            return Unread(code="E122", why="may not be read", help=how_to_get_the_right(path), note=_barred_by(path))
        case OSError(errno=errno.ELOOP):
            return Unread(code="E127", why="is a link that leads round in a circle", help="point the link at a file")
        case OSError() if error.errno in _NOT_REGULAR:
            return Unread(code="E125", why="is not a regular file", help="name a regular file")
        case _:
            return Unread(code="E127", why="cannot be opened", help="check the name", note=_said(error))


_NOT_REGULAR = frozenset({errno.ENXIO, errno.ENODEV})
"""Sockets, and devices without hardware."""


def _said(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)


def how_to_get_the_right(path: Path) -> str:
    """The command that lets this user read `path`: on it, or on the directory above it that bars the way."""
    barred = _barring(path)
    at = barred or path
    letters = "x" if barred else "rx" if os.path.isdir(path) else "r"
    quoted = shlex.quote(str(at))
    if _is_ours(at):
        return f"give yourself the right: `chmod u+{letters} {quoted}`"
    return f"`{at}` is another user's: run as that user, or have them `chmod o+{letters} {quoted}`"


def _barred_by(path: Path) -> str:
    barred = _barring(path)
    return f"the directory `{barred}` may not be entered" if barred else ""


def _barring(path: Path) -> Path | None:
    """The uppermost directory on the way to `path` that this user may not enter."""
    above = (each for each in reversed(path.parents) if os.path.isdir(each))
    return next((each for each in above if not os.access(each, os.X_OK, effective_ids=True)), None)


def _is_ours(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _missing(path: Path) -> Unread:
    if path.is_symlink():
        note = f"it points at `{path.readlink()}`"
        return Unread(
            code="E126", why="is a link to a file that does not exist", help="point the link at a file", note=note
        )
    near = nearest_file_name(path)
    help_ = f"did you mean `{near}`?" if near else "check the name, and the directory that you are in"
    return Unread(code="E120", why="does not exist", help=help_)


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
