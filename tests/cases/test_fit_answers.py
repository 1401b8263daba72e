"""Whole answers of `orchestrate fit`, in `fit-NAME.txt` beside this file.

`ORCHESTRATE_UPDATE_CASES=1 pytest tests/cases` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from tests.unit.adapters.checkpoint_samples import write_tiny_model

ANSWERS = Path(__file__).parent
UPDATE = bool(os.environ.get("ORCHESTRATE_UPDATE_CASES"))
QWEN = "Qwen/Qwen2.5-14B-Instruct"
YARN = "rope-scaling={rope_type: yarn, factor: 4.0, original_max_position_embeddings: 32768}"

CASES: dict[str, list[str]] = {
    "qwen-14b": [QWEN],
    "qwen-14b-on-t4-and-a10g": [QWEN, "--gpu", "T4", "--gpu", "A10G"],
    "qwen-14b-nowhere": [QWEN, "--gpu", "RTX 3060", "--gpu", "V100-SXM2-16GB"],
    "qwen-14b-too-long": [f"{QWEN}-GPTQ-Int8", "--gpu", "A10G", "--max-model-len", "32768"],
    "qwen3-32b-131072": [
        *("Qwen/Qwen3-32B", "--max-model-len", "131072", "--set", YARN, "--set", "kv-cache-dtype=fp8"),
        *("--gpu", "2xRTX4090", "--gpu", "H100"),
    ],
    "qwen3-30b-a3b": ["Qwen/Qwen3-30B-A3B", "--requests", "4"],
    "gpt-oss-20b": ["openai/gpt-oss-20b", "--release", "0.10.2"],
    "qwen-0.5b-cpu": ["Qwen/Qwen2.5-0.5B-Instruct", "--gpu", "cpu", "--host-ram", "4"],
    "qwen3-8b-cpu-and-t4": ["Qwen/Qwen3-8B", "--gpu", "cpu", "--gpu", "T4", "--host-bandwidth", "51.2"],
    "qwen3-next-all": ["Qwen/Qwen3-Next-80B-A3B-Instruct", "--all"],
    "deepseek-v2-lite-cpu": ["deepseek-ai/DeepSeek-V2-Lite", "--gpu", "cpu", "--release", "0.30.0"],
    "a-split-that-does-not-divide": ["Qwen/Qwen3-30B-A3B", "--gpu", "8xRTX4090", "--gpu", "3xL4"],
    "bf16-on-turing-long-ago": ["Qwen/Qwen3-4B", "--gpu", "T4", "--release", "0.8.5"],
    "a-directory": ["./tiny", "--gpu", "L4", "--gpu", "cpu"],
}


@pytest.fixture(autouse=True)
def _away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's cache, terminal or network."""
    write_tiny_model(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("name", CASES)
def test_the_whole_answer(name: str) -> None:
    result = CliRunner().invoke(app, ["fit", *CASES[name]])

    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    path = ANSWERS / f"fit-{name}.txt"
    if UPDATE:
        path.write_text(result.stdout)
    assert result.stdout == path.read_text()
    assert max(len(line) for line in result.stdout.splitlines()) <= 100


def test_no_answer_is_left_without_its_question() -> None:
    assert {path.stem.removeprefix("fit-") for path in ANSWERS.glob("fit-*.txt")} == set(CASES)
