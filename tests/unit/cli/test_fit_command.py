"""`orchestrate fit` as a command: JSON, findings, exit codes. Whole answers are in `tests/cases`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli.main import app
from tests.unit.adapters.checkpoint_samples import write_tiny_model

QWEN = "Qwen/Qwen2.5-14B-Instruct"
YARN = "rope-scaling={rope_type: yarn, factor: 4.0, original_max_position_embeddings: 32768}"


@pytest.fixture(autouse=True)
def _away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's cache, terminal or network."""
    write_tiny_model(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fit", *arguments])


def test_the_default_view_is_a_screenful() -> None:
    for model in (QWEN, "Qwen/Qwen3-8B", "meta-llama/Llama-3.1-8B-Instruct", "deepseek-ai/DeepSeek-R1"):
        assert len(run(model).stdout.splitlines()) <= 60, model


def test_json_holds_every_form_on_every_card_and_is_the_same_twice() -> None:
    first, second = run(QWEN, "--json"), run(QWEN, "--json")
    assert first.stdout == second.stdout
    document = json.loads(first.stdout)
    assert (document["orchestrate-fit"], document["model"]) == (1, QWEN)
    assert document["question"] == {
        "vllm_release": "0.33.0",
        "max_model_len": None,
        "full_length_requests": 1.0,
        "flags": {},
    }
    assert [form["precision"] for form in document["forms"]] == ["bf16", "8 bit GPTQ", "4 bit AWQ", "4 bit GPTQ"]
    assert {len(document["cards"]), 4 * len({each["card"] for each in document["cards"]})} == {len(document["cards"])}
    verdicts = {
        (each["model"].removeprefix(QWEN), each["card"]): each["tried"][0]["verdict"] for each in document["cards"]
    }
    assert verdicts["-GPTQ-Int8", "Tesla T4"] == "refuses"
    assert verdicts["-GPTQ-Int8", "NVIDIA A10G"] == "starts"
    assert verdicts["-AWQ", "Tesla T4"] == "starts"
    assert [each["purpose"] for each in document["recommendations"]] == ["cheapest", "best quality", "longest context"]
    assert document["change_to_4_bit"] == {"before": f"model: {QWEN}-GPTQ-Int8", "after": f"model: {QWEN}-AWQ"}
    assert [each["runs"] for each in document["without_gpu"]["forms"]] == [True, False, True, True]


@pytest.mark.parametrize("options", [[], ["--requests", "3"], ["--set", YARN, "--max-model-len", "65536"]])
def test_the_offered_profiles_are_valid_planned_and_moved_to_4_bit_by_one_line(
    options: list[str], tmp_path: Path
) -> None:
    document = json.loads(run(QWEN, "--gpu", "A10G", "--gpu", "T4", "--gpu", "2xL4", "--json", *options).stdout)
    change = document["change_to_4_bit"]
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "deployment.yaml").write_text("project: fit\nvllm-release: 0.33.0\nservices: [fit.yaml]\n")
    for offer in document["recommendations"]:
        moved = offer["profile"].replace(change["before"] + "\n", change["after"] + "\n")
        for profile in (offer["profile"], moved):
            (configs / "fit.yaml").write_text(profile)
            inventory = f"{offer['cards']}x{offer['card'].removeprefix('NVIDIA ')}"
            assert CliRunner().invoke(app, ["validate", "configs"]).exit_code == 0
            planned = CliRunner().invoke(app, ["plan", "configs", "--inventory", inventory, "--offline"])
            assert planned.exit_code == 0, planned.output


def test_json_of_a_host_without_a_gpu_alone_has_no_cards() -> None:
    document = json.loads(run("Qwen/Qwen3-8B", "--gpu", "CPU", "--json").stdout)
    assert (document["cards"], document["recommendations"], document["change_to_4_bit"]) == ([], [], None)
    fp8 = document["without_gpu"]["forms"][1]
    assert (fp8["model"], fp8["runs"], fp8["ram_bytes"], fp8["command"]) == ("Qwen/Qwen3-8B-FP8", False, None, "")
    assert document["question"]["vllm_release"] == "0.33.0"


def test_json_of_cards_alone_has_no_host() -> None:
    document = json.loads(run("Qwen/Qwen3-8B", "--gpu", "V100-SXM2-16GB", "--json").stdout)
    assert document["without_gpu"] is None
    tried = document["cards"][1]["tried"][0]
    assert (tried["margin_bytes"], tried["terms"], tried["prediction"]) == (None, [], None)
    assert tried["findings"][0]["code"] == "E221"


def test_a_model_that_nobody_knows_is_a_finding() -> None:
    result = run("Qwen/Qwen3-8C", "--offline")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error[E306]: nothing is known about the model `Qwen/Qwen3-8C`\n")
    assert "did you mean `Qwen/Qwen3-8B`" in result.stderr


def test_findings_about_the_question_come_all_at_once() -> None:
    result = run("Qwen/Qwen3-8B", "--max-model-len", "131072", "--gpu", "T5", "--gpu", "T4+L4")

    assert result.exit_code == 1
    assert [line for line in result.stderr.splitlines() if line.startswith("error")] == [
        "error[E212]: `max-model-len` 131072 is more than this model's 40960 tokens",
        "error[E451]: no card named `T5` in the catalogue",
        "error[E455]: `--gpu T4+L4` names several kinds of cards, and a model is split over equal ones only",
    ]
    assert f"help: add `--set '{YARN}'`" in result.stderr
    assert "help: or set `--max-model-len 40960`" in result.stderr


def test_a_flag_that_does_not_exist_is_shown_as_in_a_profile() -> None:
    result = run("Qwen/Qwen3-8B", "--set", "kv-cache-dtyp=fp8")

    assert result.exit_code == 1
    assert result.stderr.startswith(
        """\
error[E201]: unknown vLLM flag `kv-cache-dtyp`
 --> --set:4:3
  |
4 |   kv-cache-dtyp: fp8
  |   ^^^^^^^^^^^^^ no such flag in vLLM 0.33.0
  = help: did you mean `kv-cache-dtype`?
"""
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "kv-cache-dtype"], "not FLAG=VALUE"),
        (["--set", "=fp8"], "not FLAG=VALUE"),
        (["--set", "a=b\nc: d"], "not FLAG=VALUE"),
        (["--set", "--tensor-parallel-size=2"], "`tensor-parallel-size` cannot be set"),
        (["--set", "max_model_len=2"], "`max-model-len` cannot be set"),
        (["--release", "9.9"], "not a vLLM release"),
        (["--max-model-len", "0"], "--max-model-len"),
        (["--requests", "0.5"], "--requests"),
        (["--requests", "inf"], "--requests"),
        (["--host-ram", "nan"], "--host-ram"),
        (["--host-bandwidth", "inf"], "--host-bandwidth"),
    ],
)
def test_what_cannot_be_meant_is_an_error_of_usage(arguments: list[str], words: str) -> None:
    result = run("Qwen/Qwen3-8B", *arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_a_form_that_does_not_run_without_a_gpu_says_why_and_what_does() -> None:
    output = " ".join(run("openai/gpt-oss-20b", "--gpu", "cpu").stdout.split())
    assert "cannot run MXFP4 weights need a GPU" in output
    assert "= help: take the unquantised model in bfloat16" in output


def test_plain_ascii_where_the_terminal_knows_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.terminal.unicode_wanted", lambda: False)
    monkeypatch.setattr("orchestrator.cli.fit.unicode_wanted", lambda: False)
    assert run(QWEN).stdout.isascii()


def test_bold_headings_where_colour_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.fit.colour_wanted", lambda: True)
    result = CliRunner().invoke(app, ["fit", QWEN], color=True)
    assert result.stdout.startswith(f"\x1b[1m{QWEN}\x1b[0m  on vLLM 0.33.0\n")


def test_a_long_path_is_shown_by_its_end(tmp_path: Path) -> None:
    directory = tmp_path / ("long-" * 12) / "model"
    write_tiny_model(directory)
    output = run(str(directory), "--gpu", "L4").stdout
    assert "A  ..." in output
    assert "-long-/model  bf16" in output
