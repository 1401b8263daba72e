"""How long `orchestrate validate` takes as a whole process: measured, never asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

SERVICE = "service: s{0:04}\nmodel: Qwen/Qwen3-8B-AWQ\ngpus: [0]\nvllm:\n  max-model-len: 32768\n"


@pytest.mark.parametrize("count", [3, 1000])
def test_validate_as_a_whole_process(benchmark: BenchmarkFixture, tmp_path: Path, count: int) -> None:
    names = [f"s{number:04}.yaml" for number in range(count)]
    for number, name in enumerate(names):
        (tmp_path / name).write_text(SERVICE.format(number), encoding="utf-8")
    listed = "".join(f"  - {name}\n" for name in names)
    text = f"project: many\nvllm-release: 0.32.0\nservices:\n{listed}defaults: {{vllm: {{kv-cache-dtype: fp8}}}}\n"
    (tmp_path / "deployment.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "orchestrator.cli.entry", "validate", str(tmp_path)]

    done = benchmark.pedantic(  # type: ignore[no-untyped-call]
        subprocess.run, (command,), {"capture_output": True, "check": True}, rounds=3
    )

    assert f"{count} services valid" in done.stdout.decode()
