"""Compiles the stand-in for the NVIDIA driver's library and describes machines to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("standin.c")
LIBRARY = "libnvidia-ml.so.1"
MIB = 1024**2

LOST, NO_PERMISSION, NOT_SUPPORTED, RESET_REQUIRED, UNKNOWN = 15, 4, 3, 16, 999


def compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def compiler_is_required() -> bool:
    """Without a compiler the tests skip on a bare laptop, and fail where the suite must be whole."""
    return os.environ.get("CI", "").lower() in {"1", "true"} or os.environ.get("ORCHESTRATE_REQUIRE_GCC") == "1"


def build(directory: Path, *, without: Iterable[str] = ()) -> Path:
    """The library in `directory`; functions in `without` are missing from it, as they are from an old driver."""
    directory.mkdir(parents=True, exist_ok=True)
    hidden = "".join(f"{function}; " for function in sorted(without))
    script = directory / "exports.map"
    script.write_text(f"{{ global: nvml*; local: {hidden}*; }};\n")
    library = directory / LIBRARY
    command = [compiler() or "cc", "-std=gnu11", "-Wall", "-Wextra", "-O1", "-shared", "-fPIC"]
    subprocess.run([*command, f"-Wl,--version-script={script}", "-o", library, SOURCE], check=True)
    return library


def card(index: int, **changes: str | None) -> dict[str, str]:
    """The lines of a GeForce RTX 4090 in an idle x16 slot; a change to None leaves the line out."""
    lines = {
        "uuid": f"GPU-00000000-0000-4000-8000-{index:012d}",
        "name": "NVIDIA GeForce RTX 4090",
        "memory": f"{24564 * MIB} {480 * MIB} {24082 * MIB}",
        "cc": "8 9",
        "pcie": "4 1 16 16",
        "bus": f"00000000:{index + 1:02X}:00.0",
        **changes,
    }
    return {f"gpu{index}.{key}": value for key, value in lines.items() if value is not None}


def machine(*cards: Mapping[str, str], **more: str) -> str:
    """The whole description; a `__` in a name of `more` stands for a dot."""
    lines = {"driver": "580.95.05", "cuda": "13000", "count": str(len(cards))}
    for each in cards:
        lines.update(each)
    lines.update({key.replace("__", "."): value for key, value in more.items()})
    return "".join(f"{key} {value}\n" for key, value in lines.items())
