"""How long whole processes take, each beside the bare interpreter of the same run: measured, never asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ROOT = Path(__file__).resolve().parents[2]
ORCHESTRATE = str(Path(sys.executable).with_name("orchestrate"))
COMMANDS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "orchestrate --version": [ORCHESTRATE, "--version"],
    "orchestrate validate": [ORCHESTRATE, "validate", "configs"],
    "orchestrate plan": [ORCHESTRATE, "plan", "configs", "--inventory", "configs/inventories/3xrtx4090.json"],
    "orchestrate render": [ORCHESTRATE, "render", "configs", "--inventory", "3xRTX4090", "--stdout"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_whole_process(benchmark: BenchmarkFixture, name: str) -> None:
    run = {"cwd": ROOT, "capture_output": True, "check": True}
    done = benchmark.pedantic(  # type: ignore[no-untyped-call]
        subprocess.run, (COMMANDS[name],), run, rounds=5, warmup_rounds=1
    )
    assert done.returncode == 0
