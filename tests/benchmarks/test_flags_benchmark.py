"""How long flags take: loading their data, and checking one profile once it is loaded; measured, never asserted.

Beside them, reading the same bytes as JSON, so that figures of different machines can be compared as ratios.
"""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from orchestrator.config.load import Outline, load_service
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine import flags as flags_module
from orchestrator.engine.checks import check_flags
from orchestrator.engine.flags import flags
from orchestrator.manual.codes import explanations, hundreds

RELEASE = Release.of("0.32.0")
SERVICE = """\
service: medium
model: Qwen/Qwen3-32B-AWQ
gpus: [0, 1]
vllm:
  tensor-parallel-size: 2
  max-model-len: 131072
  gpu-memory-utilization: 0.99
  kv-cache-dtype: fp8
  max-num-seqs: 64
  enable-prefix-caching: true
  tool-call-parser: hermes
  enable-auto-tool-choice: true
  rope-scaling: { rope_type: yarn, factor: 4.0, original_max_position_embeddings: 32768 }
"""
FLAGS: dict[str, FlagValue] = {
    "tensor-parallel-size": 2,
    "max-model-len": 131072,
    "gpu-memory-utilization": 0.99,
    "kv-cache-dtype": "fp8",
    "max-num-seqs": 64,
    "enable-prefix-caching": True,
    "tool-call-parser": "hermes",
    "enable-auto-tool-choice": True,
    "rope-scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
}


def _forget() -> None:
    """As in a new process: everything that was read of the flags is read again."""
    for cached in (flags_module._document, flags_module._release_indices, flags_module._flags_of_known):
        cached.cache_clear()


def test_the_same_bytes_as_json(benchmark: BenchmarkFixture) -> None:
    text = files("orchestrator.engine").joinpath("flags.json").read_text(encoding="utf-8")
    assert benchmark(json.loads, text)


def test_loading_the_flags_of_a_release(benchmark: BenchmarkFixture) -> None:
    known = benchmark.pedantic(flags, (RELEASE,), setup=_forget, rounds=50)  # type: ignore[no-untyped-call]
    assert len(known) > 300


def test_checking_the_flags_of_one_profile(benchmark: BenchmarkFixture) -> None:
    assert benchmark(check_flags, FLAGS, RELEASE) == ()


@pytest.mark.parametrize("part", ["parsed", "from text"])
def test_checking_one_profile(benchmark: BenchmarkFixture, part: str) -> None:
    """All that `validate` asks of a service file, after and with reading its YAML."""
    document = parse(SERVICE, "medium.yaml")

    def check() -> Report:
        report = Report()
        load_service(document if part == "parsed" else parse(SERVICE, "medium.yaml"), report, Outline(release=RELEASE))
        return report

    assert not benchmark(check).has_errors


def test_loading_the_table_of_codes(benchmark: BenchmarkFixture) -> None:
    def forget() -> None:
        hundreds.cache_clear()
        explanations.cache_clear()

    codes = benchmark.pedantic(explanations, setup=forget, rounds=20)  # type: ignore[no-untyped-call]
    assert "E201" in codes
