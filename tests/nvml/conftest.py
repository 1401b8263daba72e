"""The real binding, joined to the compiled stand-in of the driver."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterable
from pathlib import Path

import pynvml
import pytest

from tests.nvml import nvml_standin

Join = Callable[..., Path]
Library = Callable[..., Path]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Compiles the stand-in, once for every set of missing functions."""
    if platform.system() != "Linux":
        pytest.skip("the stand-in takes the place of a Linux library")
    if nvml_standin.compiler() is None:
        reason = "no C compiler (gcc or cc) to build the stand-in for libnvidia-ml.so.1"
        if nvml_standin.compiler_is_required():
            pytest.fail(reason)
        pytest.skip(reason)
    built: dict[frozenset[str], Path] = {}

    def compiled(without: Iterable[str] = ()) -> Path:
        missing = frozenset(without)
        if missing not in built:
            built[missing] = nvml_standin.build(tmp_path_factory.mktemp("nvml"), without=missing)
        return built[missing]

    return compiled


@pytest.fixture
def join(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Join:
    """Describes a machine and lets the binding of this process talk to it; gives the journal of shutdowns."""

    def joined(description: str, *, without: Iterable[str] = ()) -> Path:
        machine, journal = tmp_path / "machine.txt", tmp_path / "journal.txt"
        machine.write_bytes(description.encode("utf-8", "surrogateescape"))
        journal.write_text("")
        monkeypatch.setenv("NVML_STANDIN", str(machine))
        monkeypatch.setenv("NVML_STANDIN_JOURNAL", str(journal))
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(library(without))))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return journal

    return joined
