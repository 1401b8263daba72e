"""The header of a safetensors file: which tensors it holds and how many bytes each takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NoReturn

PREFIX_BYTES = 8
"""A file starts with the length of its header: 8 bytes, least significant first."""

LONGEST_HEADER = 100_000_000
"""Bytes; the safetensors library refuses longer headers."""

_MOST_DIMENSIONS = 64

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """One tensor of a checkpoint. `is_loaded` is False where vLLM never reads the file that it lies in."""

    name: str
    size_bytes: int
    is_loaded: bool = True


class _Broken(ValueError):  # noqa: N818 (it stays in this module)
    """What is wrong with a header; `read_header` gives it back as a text."""


def header_length(prefix: bytes, file_bytes: int) -> int | str:
    """The length of the header in bytes, or what is wrong. `file_bytes` is the length of the whole file."""
    if len(prefix) < PREFIX_BYTES:
        return f"it is {file_bytes} bytes long, too short to be a safetensors file"
    length = int.from_bytes(prefix[:PREFIX_BYTES], "little")
    if length > LONGEST_HEADER:
        return f"its header claims to be {length} bytes long; no header is longer than {LONGEST_HEADER}"
    if PREFIX_BYTES + length > file_bytes:
        return f"its header claims to be {length} bytes long, and the file ends after {file_bytes}"
    return length


def read_header(header: bytes, data_bytes: int | None) -> tuple[StoredTensor, ...] | str:
    """The tensors a header names, in order of place, or what is wrong with it. Never raises.

    `data_bytes` is the length of what follows the header, None when that is not known.
    """
    try:
        document = json.loads(header.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_name_twice)
    except _Broken as broken:
        return str(broken)
    except (ValueError, RecursionError):
        return "its header is not JSON"
    if not isinstance(document, Mapping):
        return "its header is not a JSON object"
    try:
        placed = sorted(_place(name, entry) for name, entry in document.items() if name != "__metadata__")
        _check_places(placed, data_bytes)
    except _Broken as broken:
        return str(broken)
    return tuple(StoredTensor(name=name, size_bytes=end - begin) for begin, end, name in placed)


def _no_constant(word: str) -> NoReturn:
    raise _Broken(f"its header holds `{word}`, which is not JSON")


def _no_name_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Broken("its header names something twice")
    return members


def _place(name: str, entry: object) -> tuple[int, int, str]:
    if not isinstance(entry, Mapping):
        raise _Broken(f"tensor `{name[:80]}` is not described by an object")
    begin, end = _whole_numbers(name, entry, "data_offsets", 2)
    shape = _whole_numbers(name, entry, "shape", None)
    dtype = entry.get("dtype")
    if not isinstance(dtype, str) or not dtype.isidentifier():
        raise _Broken(f"tensor `{name[:80]}` has no right `dtype`")
    bits = _BITS.get(dtype)
    if end < begin:
        raise _Broken(f"tensor `{name[:80]}` ends before it begins")
    if bits is not None and -(-prod(shape) * bits // 8) != end - begin:
        raise _Broken(f"tensor `{name[:80]}` has {end - begin} bytes, not what its shape and dtype need")
    return begin, end, name


def _whole_numbers(name: str, entry: Mapping[str, object], key: str, count: int | None) -> list[int]:
    values = entry.get(key)
    is_list = isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)
    if isinstance(values, list) and is_list and count in {None, len(values)} and len(values) <= _MOST_DIMENSIONS:
        return values
    raise _Broken(f"tensor `{name[:80]}` has no right `{key}`")


def _check_places(placed: list[tuple[int, int, str]], data_bytes: int | None) -> None:
    """The tensors must fill the data part from its start, without holes and without sharing a byte."""
    if placed and placed[0][0] != 0:
        raise _Broken(f"no tensor lies before `{placed[0][2][:80]}`, which does not begin at 0")
    for (_, end, _), (begin, _, name) in pairwise(placed):
        if begin != end:
            raise _Broken(f"tensor `{name[:80]}` does not begin where the one before it ends")
    needed = placed[-1][1] if placed else 0
    if data_bytes is not None and needed > data_bytes:
        raise _Broken(f"its tensors need {needed} bytes, and it holds {data_bytes}: it was cut off")
