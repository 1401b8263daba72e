"""`orchestrate gpus` as a process of its own, with the stand-in in the place of the driver's library."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config.inventory_file import parse_inventory
from orchestrator.domain.inventory import Inventory
from tests.nvml.nvml_standin import LIBRARY, LOST, card, machine

Library = Callable[..., Path]
MACHINE = machine(
    card(0, to1="30", to2="40", compute="4711:20000000000"),
    card(1, to2="40"),
    card(2, compute="815:-", graphics="12:5242880"),
    process__4711="/usr/bin/python3",
    process__815="VLLM::EngineCore",
)


def _orchestrate(directory: Path, description: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with `directory` as the first place where libraries are looked for."""
    described = directory / "machine.txt"
    described.write_text(description)
    environment = {
        **os.environ,
        "NVML_STANDIN": str(described),
        "LD_LIBRARY_PATH": str(directory),
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }
    command = [sys.executable, "-m", "orchestrator.cli.entry", "gpus", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


@pytest.fixture
def directory(library: Library, tmp_path: Path) -> Path:
    (tmp_path / LIBRARY).symlink_to(library())
    return tmp_path


def test_the_table_fits_80_columns_and_names_the_next_step(directory: Path) -> None:
    done = _orchestrate(directory, MACHINE)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    room = re.compile(r"^\d+\.\d GiB of RAM, \d+\.\d GiB free on the disk for models\n", re.MULTILINE)
    assert len(room.findall(done.stdout)) == 1
    assert room.sub("", done.stdout) == (
        f"{platform.node()}: driver 580.95.05, CUDA 13.0\n"
        """
  #  name                      total GiB  free GiB   cc    PCIe  MIG
  0  NVIDIA GeForce RTX 4090       23.99     23.52  8.9   4 x16    -
     GPU-00000000-0000-4000-8000-000000000000
     used by /usr/bin/python3 (pid 4711): 18.63 GiB
  1  NVIDIA GeForce RTX 4090       23.99     23.52  8.9   4 x16    -
     GPU-00000000-0000-4000-8000-000000000001
     used by no visible process; 0.47 GiB taken (0.47 by the driver)
  2  NVIDIA GeForce RTX 4090       23.99     23.52  8.9   4 x16    -
     GPU-00000000-0000-4000-8000-000000000002
     used by a process without a visible name (pid 12): 0.00 GiB
     used by VLLM::EngineCore (pid 815): size not told by the driver

link     0     1     2
   0     -   PHB  NODE
   1   PHB     -  NODE
   2  NODE  NODE     -
  PHB: the CPU's PCIe host bridge
  NODE: host bridges of one NUMA node

source: NVML
next:   `orchestrate gpus --json > inventory.json` records these GPUs
        `orchestrate plan --inventory inventory.json` plans on them anywhere
"""
    )


def test_json_is_an_inventory_file_that_shows_the_same_gpus_again(directory: Path, tmp_path: Path) -> None:
    printed = _orchestrate(directory, MACHINE, "--json")
    assert (printed.returncode, printed.stderr) == (0, "")
    inventory = parse_inventory(printed.stdout, "inventory.json")
    assert isinstance(inventory, Inventory)
    assert [gpu.index for gpu in inventory.gpus()] == [0, 1, 2]

    file = tmp_path / "inventory.json"
    file.write_text(printed.stdout)
    again = _orchestrate(directory, "", "--inventory", str(file), "--json")
    assert (again.returncode, again.stdout, again.stderr) == (0, printed.stdout, "")


def test_a_lost_gpu_is_told_on_stderr_and_the_others_are_printed(directory: Path) -> None:
    lost: dict[str, str | None] = {"error.nvmlDeviceGetHandleByIndex_v2": str(LOST)}
    done = _orchestrate(directory, machine(card(0), card(1, **lost)), "--json")
    assert done.returncode == 0
    inventory = parse_inventory(done.stdout, "inventory.json")
    assert isinstance(inventory, Inventory)
    assert [gpu.index for gpu in inventory.gpus()] == [0]
    assert "W405" in done.stderr
    assert "GPU 1 is lost" in done.stderr


def test_a_library_that_cannot_be_loaded_means_no_driver(tmp_path: Path) -> None:
    (tmp_path / LIBRARY).write_text("not a library\n")
    done = _orchestrate(tmp_path, "")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error[E401]: no NVIDIA driver was found on this machine")
    assert "--inventory 3xRTX4090" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("error", "code"), [("9", "E402"), ("18", "E403"), ("4", "E404"), ("999", "E407")])
def test_a_driver_that_fails_ends_with_exit_code_3_and_help(directory: Path, error: str, code: str) -> None:
    done = _orchestrate(directory, f"error.nvmlInitWithFlags {error}\n")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error[{code}]: ")
    assert "  = help: plan without asking a driver" in done.stderr


def test_the_short_form_needs_no_driver(tmp_path: Path) -> None:
    (tmp_path / LIBRARY).write_text("not a library\n")
    done = _orchestrate(tmp_path, "", "--inventory", "2xL4", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    inventory = parse_inventory(done.stdout, "inventory.json")
    assert isinstance(inventory, Inventory)
    assert inventory.source == "2xL4"
