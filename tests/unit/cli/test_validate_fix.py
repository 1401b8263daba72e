"""`orchestrate validate --fix`: what is certain is mended, the rest is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli.fixing import is_better
from orchestrator.cli.main import app
from orchestrator.domain.diagnostics import Diagnostic

DEPLOYMENT = "project: tiers\nvllm-release: {}\nservices: [mini.yaml]\n"
SERVICE = "service: mini\nmodel: Qwen/Qwen3-8B\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "configs"
    directory.mkdir()
    (directory / "deployment.yaml").write_text(DEPLOYMENT.format("0.32.0"))
    monkeypatch.chdir(tmp_path)
    return directory


def fixed(configs: Path, text: str, release: str = "0.32.0") -> str:
    """The service file after `validate --fix`."""
    (configs / "deployment.yaml").write_text(DEPLOYMENT.format(release))
    (configs / "mini.yaml").write_bytes(text.encode())
    run("validate", "--fix")
    return (configs / "mini.yaml").read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("gpu-memory-utilisation: 0.9", "gpu-memory-utilization: 0.9"),
        ("tp: 2 # both", "tensor-parallel-size: 2 # both"),
        ("swap-space: 4\n  seed: 1", "seed: 1"),
        ("guided-decoding-backend: xgrammar", "structured-outputs-config: {backend: xgrammar}"),
        ("task: embed", "runner: pooling\n  convert: embed"),
        ('max-model-len: "4096"', "max-model-len: 4096"),
        ("max-num-seqs: 8.0", "max-num-seqs: 8"),
        ("served-model-name: 7", 'served-model-name: "7"'),
        ('enable-lora: "True"', "enable-lora: true"),
        ("kv-cache-dtype: FP8", "kv-cache-dtype: fp8"),
        ("limit-mm-per-prompt: image=1", "limit-mm-per-prompt: {image: 1}"),
        ("enable-lora: yes", "enable-lora: true"),
        ("served-model-name: no", 'served-model-name: "no"'),
        ("max-num-seqs: 1_000", "max-num-seqs: 1000"),
        ("max-num-seqs: 0x10", "max-num-seqs: 16"),
        ("served-model-name: 2024-01-01", 'served-model-name: "2024-01-01"'),
        ("seed: 1\n  seed: 1", "seed: 1\n  seed: 1"),
        ("max-model-len: 4096\n  max_model_len: 4096", "max-model-len: 4096"),
    ],
)
def test_what_is_certain_under_vllm_is_mended(before: str, after: str, configs: Path) -> None:
    assert (
        fixed(configs, f"{SERVICE}vllm:\n  {before}\n  dtype: auto\n") == f"{SERVICE}vllm:\n  {after}\n  dtype: auto\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("prioritty: 1", "priority: 1"),
        ("sharing: Exclusive", "sharing: exclusive"),
        ('priority: "5"', "priority: 5"),
        ("revision: 12", 'revision: "12"'),
        ("environment: {A: 1, B: yes}", 'environment: {A: "1", B: "yes"}'),
        ("priority: 0x5", "priority: 5"),
    ],
)
def test_what_is_certain_in_a_service_is_mended(before: str, after: str, configs: Path) -> None:
    assert fixed(configs, f"{SERVICE}{before} # so\n") == f"{SERVICE}{after} # so\n"


@pytest.mark.parametrize(
    "text",
    [
        "vllm:\n  zzzz: 1\n",
        "vllm:\n  max-num-seqs: 010\n",
        "vllm:\n  max-num-seqs: 1:30\n",
        "vllm:\n  max-num-seqs: 8.5\n",
        "vllm:\n  dtype: flaot\n",
        "vllm:\n  task: score\n",
        "vllm:\n  device: cpu\n",
        "vllm:\n  seed: 1\n  no-such: 2\n",
        "vllm:\n  api-key: EXAMPLE\n",
        "vllm:\n  max-model-len: 4096\n  max_model_len: 8192\n",
        "vllm:\n  hf-overrides: {rope_scaling: 1}\n",
        "gpus: 0,1\n",
        "port: 80\n",
        "gpu: [0]\n",
        "max-model-len: 4096\n",
    ],
)
def test_what_could_be_meant_otherwise_is_left_alone(text: str, configs: Path) -> None:
    assert fixed(configs, SERVICE + text) == SERVICE + text


def test_a_deprecated_flag_gives_way_to_its_successor(configs: Path) -> None:
    text = f"{SERVICE}vllm:\n  cuda-graph-sizes: [1, 2] # few\n"
    assert fixed(configs, text, "0.12.0") == f"{SERVICE}vllm:\n  cudagraph-capture-sizes: [1, 2] # few\n"


def test_marks_and_line_ends_of_other_systems_go(configs: Path) -> None:
    text = f"\ufeff{SERVICE}vllm:\n  swap-space: 4\n  seed: 1".replace("\n", "\r\n")
    assert fixed(configs, text) == f"{SERVICE}vllm:\n  seed: 1"


def test_a_name_and_its_value_are_mended_together(configs: Path) -> None:
    assert fixed(configs, f'{SERVICE}vllm:\n  max-num-seq: "8"\n') == f"{SERVICE}vllm:\n  max-num-seqs: 8\n"


def test_a_fix_that_would_bring_a_new_finding_is_not_applied_and_the_others_are(configs: Path) -> None:
    flags = "vllm:\n  max-num-batched-token: 8\n  max-num-seqs: 16\n"
    assert fixed(configs, f"{SERVICE}{flags}  swap-space: 4\n") == SERVICE + flags
    assert run("validate").stderr == "1 error in 2 files\n"  # nothing is promised that would not be done


def test_the_end_of_validate_says_how_many_findings_can_be_fixed(configs: Path) -> None:
    (configs / "mini.yaml").write_text(f"{SERVICE}vllm:\n  swap-space: 4\n  zzzz: 1\n")
    assert run("validate", "configs").stderr == (
        "2 errors in 2 files\n1 finding can be fixed: `orchestrate validate --fix` (`--diff` shows how)\n"
    )
    result = run("validate", "--fix")
    assert result.exit_code == 1
    assert result.stderr == "fixed 1 finding in 1 file\n1 error in 2 files\n"
    assert "E201" in result.stdout
    assert "E202" not in result.stdout
    assert run("validate", "--fix").stderr == "nothing that is certain to fix\n1 error in 2 files\n"


def test_the_fixes_are_shown_and_not_written(configs: Path) -> None:
    text = f"{SERVICE}vllm:\n  swap-space: 4\n  seed: 1\n"
    (configs / "mini.yaml").write_text(text)
    result = run("validate", "--fix", "--diff")
    assert result.exit_code == 1
    assert result.stdout == (
        "--- a/configs/mini.yaml\n+++ b/configs/mini.yaml\n@@ -1,5 +1,4 @@\n"
        " service: mini\n model: Qwen/Qwen3-8B\n vllm:\n-  swap-space: 4\n   seed: 1\n"
    )
    assert result.stderr == "1 finding would be fixed in 1 file; no findings in 2 files would be left\n"
    assert (configs / "mini.yaml").read_text() == text
    assert run("validate", "--diff").exit_code == 2


def test_programs_are_told_of_the_fix_with_its_edits(configs: Path) -> None:
    (configs / "mini.yaml").write_text(f"{SERVICE}vllm:\n  gpu-memory-utilisation: 0.9\n  zzzz: 1\n")
    findings = json.loads(run("validate", "--format", "json").stdout)["findings"]
    assert [finding["fix"] for finding in findings] == [
        {
            "title": "did you mean `gpu-memory-utilization`?",
            "edits": [
                {
                    "file": "configs/mini.yaml",
                    "line": 4,
                    "column": 3,
                    "end_line": 4,
                    "end_column": 25,
                    "text": "gpu-memory-utilization",
                }
            ],
        },
        None,
    ]


def test_better_means_fewer_findings_and_no_new_one() -> None:
    one, two, three = (Diagnostic(code=code, message="m") for code in ("E1", "E2", "E3"))
    assert is_better([one, two], [one])
    assert not is_better([one], [one])
    assert not is_better([one, two], [three])
    assert is_better([one], [])
