"""No command and no format prints what a profile hides: whole outputs, searched for every secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app

DEPLOYMENT = "project: p\nvllm-release: 0.32.0\nservices: [mini.yaml]\n"
SERVICE = "service: mini\nmodel: Qwen/Qwen3-8B\n"
FIXABLE = "vllm:\n  gpu-memory-utilisation: 0.9\n"
COMMANDS = [
    *(["validate", "configs", "--format", each] for each in ("full", "concise", "json", "github")),
    ["validate", "configs", "--fix", "--diff"],
    ["plan", "configs"],
    ["render", "configs"],
    ["migrate", "configs", "--to", "0.24.0"],
    ["migrate", "configs", "--to", "0.24.0", "--diff"],
]


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "configs"
    directory.mkdir()
    monkeypatch.chdir(tmp_path)
    return directory


def outputs(configs: Path, service: str, deployment: str = DEPLOYMENT) -> str:
    (configs / "deployment.yaml").write_text(deployment)
    (configs / "mini.yaml").write_text(service)
    return "\n".join(CliRunner().invoke(app, command).output for command in COMMANDS)


@pytest.mark.parametrize(
    "written",
    [
        "environment:\n  DB_PASSWORD: s3cr3t-one\n  DB_PASSWORD: s3cr3t-two\n",
        "environment: {A: 1, PASSWORD: s3cr3t-one, PASSWORD: s3cr3t-two}\n",
        "environment: {A: x}\nenvironment: {PASSWORD: s3cr3t-two}\n",
        "environment: {<<: {DB_PASSWORD: s3cr3t}}\n",
        "environment: {!!str DB_PASSWORD: s3cr3t}\n",
        "environment:\n- DB_PASSWORD=s3cr3t\n",
        "environment: [DB_PASSWORD=s3cr3t]\n",
        "environment:\n  DB_PASS: s3cr3t\n  MYPWD: s3cr3t\n  X: Bearer s3cr3tabcdefghijklmnop\n",
        "environment: {A: 1, FOO_TOKEN: &t s3cr3t-value-123, API-TOKEN: s3cr3t}\n",
        "environment:\n  ? F_PASSWORD\n  : s3cr3t5\n",
        "environment:\n  F_PASSWORD: |\n    s3cr3t5\n    s3cr3t6\n",
        "environment: {PASSWORD: s3cr3t-one}\n",
    ],
)
def test_a_value_that_is_a_secret_is_in_no_output(configs: Path, written: str) -> None:
    text = outputs(configs, SERVICE + written + FIXABLE)

    assert "E137" in text
    assert "+  gpu-memory-utilization: 0.9" in text
    assert "s3cr3t" not in text


def test_a_changed_line_shows_its_change_and_not_its_secret(configs: Path) -> None:
    text = outputs(
        configs,
        SERVICE.replace("service: mini", "{service: mini").replace("\n", ", ")
        + "environment: {PASSWORD: s3cr3t-one}, vllm: {gpu-memory-utilisation: 0.9}}\n",
    )

    assert "environment: {PASSWORD: **********}, vllm: {gpu-memory-utilization: 0.9}}" in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize("value", ["0123", "1_000_111", "0x77777"])
def test_an_ambiguous_value_of_a_secret_is_not_quoted(configs: Path, value: str) -> None:
    text = outputs(configs, SERVICE + f"environment: {{DB_PASSWORD: {value}}}\n" + FIXABLE)

    assert "E137" in text
    assert value not in text


def test_the_second_value_under_secrets_is_hidden_like_the_first(configs: Path) -> None:
    text = outputs(configs, SERVICE + FIXABLE, DEPLOYMENT + "secrets: {api-key: s3cr3t-one, api-key: s3cr3t-two}\n")

    assert "E103" in text
    assert "s3cr3t" not in text


def test_an_image_with_a_password_and_no_scheme_is_hidden(configs: Path) -> None:
    text = outputs(configs, SERVICE + FIXABLE, DEPLOYMENT + "image: user:s3cr3tpw@reg.io/x:1\n")

    assert "E137" in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize(
    ("name", "key"),
    [("VLLM_API_KEY", "api-key"), ("HF_TOKEN", "hf-token"), ("HUGGING_FACE_HUB_TOKEN", "hf-token")],
)
def test_the_secrets_of_vllm_have_a_place_of_their_own(configs: Path, name: str, key: str) -> None:
    assert f"`secrets: {{{key}: {name}}}`" in outputs(configs, SERVICE + f"environment: {{{name}: s3cr3t}}\n")


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "OPENAI_API_KEY", "VLLM_DB_PASSWORD"])
def test_other_secrets_come_from_a_file_of_your_own(configs: Path, name: str) -> None:
    text = outputs(configs, SERVICE + f"environment: {{{name}: s3cr3t}}\n")

    assert "`docker compose -f compose.yaml -f own.yaml up`" in text
    assert "secrets: {" not in text
