# ruff: noqa: E501 (findings as they are printed)
"""`orchestrate migrate` as a command: what it writes, what it refuses, what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli.main import app

DEPLOYMENT = """\
# The deployment
project: old
vllm-release: 0.8.5 # pinned
image: vllm/vllm-openai:v0.8.5
services: [chat.yaml, embed.yaml]
defaults:
  vllm:
    gpu-memory-utilization: 0.9
    # Nothing is swapped out.
    swap-space: 4

    guided-decoding-backend: xgrammar # JSON
    disable-log-requests: true
"""
CHAT = """\
service: chat
model: Qwen/Qwen3-8B-AWQ
gpus: [0]
environment:
  VLLM_USE_V1: "1"
  VLLM_ATTENTION_BACKEND: FLASHINFER # fast
  OTHER: x
vllm:
  enable-reasoning: true
  reasoning-parser: deepseek_r1
  max_model_len: 16k
  limit-mm-per-prompt: image=1,video=0
  num-scheduler-steps: 8
"""
EMBED = 'service: embed\nmodel: "Qwen/Qwen3-1.7B"\ngpus: [1]\nvllm: {task: embed, max-model-len: 8192, device: cuda}'

NEW_DEPLOYMENT = """\
# The deployment
project: old
vllm-release: 0.32.0 # pinned
image: vllm/vllm-openai:v0.32.0
services: [chat.yaml, embed.yaml]
defaults:
  vllm:
    gpu-memory-utilization: 0.9

    structured-outputs-config: {backend: xgrammar} # JSON
"""
NEW_CHAT = """\
service: chat
model: Qwen/Qwen3-8B-AWQ
gpus: [0]
environment:
  OTHER: x
vllm:
  reasoning-parser: deepseek_r1
  max_model_len: 16k
  limit-mm-per-prompt: {image: 1, video: 0}
  attention-backend: FLASHINFER
"""
NEW_EMBED = (
    'service: embed\nmodel: "Qwen/Qwen3-1.7B"\ngpus: [1]\nvllm: {runner: pooling, convert: embed, max-model-len: 8192}'
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    configs = tmp_path / "configs"
    configs.mkdir()
    write(configs, DEPLOYMENT, CHAT, EMBED)
    monkeypatch.chdir(tmp_path)
    return configs


def write(configs: Path, deployment: str, chat: str, embed: str) -> None:
    texts = {"deployment.yaml": deployment, "chat.yaml": chat, "embed.yaml": embed}
    for name, text in texts.items():
        (configs / name).write_bytes(text.encode())


def texts(configs: Path) -> tuple[str, str, str]:
    names = ("deployment.yaml", "chat.yaml", "embed.yaml")
    return tuple((configs / name).read_bytes().decode() for name in names)  # type: ignore[return-value]


def test_a_profile_in_the_old_spelling_is_written_for_the_new_release(project: Path) -> None:
    result = run("migrate", "--to", "0.32.0")

    assert result.exit_code == 0, result.output
    assert texts(project) == (NEW_DEPLOYMENT, NEW_CHAT, NEW_EMBED)
    assert (
        result.stdout
        == """\
configs/chat.yaml
      5:3  environment: VLLM_USE_V1 → deleted
           vLLM 0.32.0 does not read it
      6:3  environment: VLLM_ATTENTION_BACKEND → attention-backend: FLASHINFER
           vLLM 0.32.0 does not read it
      9:3  enable-reasoning: true → deleted
           `reasoning-parser` alone turns it on
     12:3  limit-mm-per-prompt: "image=1,video=0" → limit-mm-per-prompt: {image: 1, video: 0}
     13:3  num-scheduler-steps: 8 → deleted
           it tuned the scheduler of the V0 engine

configs/deployment.yaml
      3:1  vllm-release: 0.8.5 → vllm-release: 0.32.0
      4:1  image: vllm/vllm-openai:v0.8.5 → image: vllm/vllm-openai:v0.32.0
     10:5  swap-space: 4 → deleted
           the engine no longer swaps
     12:5  guided-decoding-backend: xgrammar → structured-outputs-config: {backend: xgrammar}
           the same setting is a key of `structured-outputs-config`
     13:5  disable-log-requests: true → deleted
           the default turned round

configs/embed.yaml
      4:8  task: embed → runner: pooling, convert: embed
           a task became a runner and a conversion
     4:42  device: cuda → deleted
           the image decides

3 files written for vLLM 0.32.0.
Next: `orchestrate plan` shows where they run.
"""
    )


def test_what_was_migrated_validates_and_plans_and_is_left_alone_by_a_second_run(project: Path) -> None:
    assert run("migrate", "--to", "0.32.0").exit_code == 0
    assert run("validate").exit_code == 0
    assert run("plan", "-i", "2xRTX4090", "--offline").exit_code == 0
    again = run("migrate", "--to", "0.32.0")
    assert again.exit_code == 0
    assert again.stdout == "Nothing to change: everything is written for vLLM 0.32.0 already.\n"
    assert texts(project) == (NEW_DEPLOYMENT, NEW_CHAT, NEW_EMBED)


def test_there_is_a_way_back_for_what_has_one(project: Path) -> None:
    assert run("migrate", "--to", "0.32.0").exit_code == 0
    assert run("migrate", "--to", "0.8.5").exit_code == 0
    deployment, chat, embed = texts(project)
    assert "vllm-release: 0.8.5 # pinned\nimage: vllm/vllm-openai:v0.8.5\n" in deployment
    assert "    guided-decoding-backend: xgrammar # JSON\n" in deployment
    assert "environment:\n  OTHER: x\n  VLLM_ATTENTION_BACKEND: FLASHINFER\n" in chat
    assert embed.endswith("vllm: {task: embed, max-model-len: 8192}")
    assert run("validate").exit_code == 0


def test_the_changes_are_shown_and_nothing_is_written(project: Path) -> None:
    result = run("migrate", "--to", "0.32.0", "--diff", "configs/embed.yaml")

    assert result.exit_code == 0
    assert texts(project) == (DEPLOYMENT, CHAT, EMBED)
    assert "--- a/configs/embed.yaml\n+++ b/configs/embed.yaml\n@@ -1,4 +1,4 @@\n service: embed\n" in result.stdout
    assert f"-{EMBED.splitlines()[-1]}\n\\ No newline at end of file\n" in result.stdout
    assert "+    structured-outputs-config: {backend: xgrammar} # JSON\n" in result.stdout
    assert result.stdout.endswith(
        "3 files would change for vLLM 0.32.0; nothing was written.\n"
        "Next: `orchestrate migrate configs/embed.yaml --to 0.32.0`\n"
    )


def test_a_check_fails_while_something_would_change(project: Path) -> None:
    assert run("migrate", "--to", "0.32.0", "--check").exit_code == 1
    assert texts(project) == (DEPLOYMENT, CHAT, EMBED)
    write(project, NEW_DEPLOYMENT, NEW_CHAT, NEW_EMBED)
    assert run("migrate", "--to", "0.32.0", "--check").exit_code == 0


def test_a_project_that_cannot_be_migrated_whole_stays_as_it_is_and_every_place_is_named(project: Path) -> None:
    chat = CHAT.replace("num-scheduler-steps: 8", "task: score\n  quantization: aqlm")
    write(project, DEPLOYMENT.replace("image: vllm/vllm-openai:v0.8.5", "image: mine/vllm:prod"), chat, EMBED)
    before = texts(project)

    result = run("migrate", "--to", "0.32.0")

    assert result.exit_code == 1
    assert texts(project) == before
    assert result.stdout == ""
    assert (
        result.stderr
        == """\
error[E260]: `task` has no certain equivalent in vLLM 0.32.0
  --> configs/chat.yaml:13:3
   |
13 |   task: score
   |   ^^^^ a person must decide
   = note: `task` was removed in 0.13.0
   = note: a task became a runner and a conversion: is this model a cross-encoder or an embedding model?
   = help: write `runner` (`generate` or `pooling`) and, for embeddings, `convert: embed`

error[E220]: vLLM 0.32.0 no longer knows `aqlm` quantisation
  --> configs/chat.yaml:14:17
   |
14 |   quantization: aqlm
   |                 ^^^^ not a method of vLLM 0.32.0
   = help: pin vLLM 0.10.0

note[N260]: in vLLM 0.32.0 the next batch is scheduled while one runs, where that is possible; in 0.8.5 batches are scheduled one after the other
 --> configs/deployment.yaml:3:1
  |
3 | vllm-release: 0.8.5 # pinned
  | ^^^^^^^^^^^^ changed in 0.14.0
  = note: not written, so it changes for: chat, embed
  = help: write `async-scheduling: false` to keep it as it was

error[E261]: nothing says which image is vLLM 0.32.0
 --> configs/deployment.yaml:4:1
  |
4 | image: mine/vllm:prod
  | ^^^^^ a person must decide
  = note: this one does not say that it is vLLM 0.8.5
  = help: say which one to write: `--image vllm/vllm-openai:v0.32.0`

Learn more: `orchestrate explain E260 E220 E261`
nothing was changed: 3 places are left for a person to decide before vLLM 0.32.0
"""
    )


def test_the_image_can_be_said(project: Path) -> None:
    write(project, DEPLOYMENT.replace("image: vllm/vllm-openai:v0.8.5", "image: mine/vllm:prod"), CHAT, EMBED)
    result = run("migrate", "--to", "0.32.0", "--image", "mine/vllm:v0.32.0")
    assert result.exit_code == 0, result.output
    assert "\nimage: mine/vllm:v0.32.0\n" in texts(project)[0]


def test_parts_of_one_mapping_in_two_files_are_left_to_a_person(project: Path) -> None:
    deployment = DEPLOYMENT.replace("0.8.5", "0.8.1").replace("    swap-space: 4", "    speculative-model: some/draft")
    chat = CHAT.replace("  num-scheduler-steps: 8", "  num-speculative-tokens: 5")
    write(project, deployment, chat.replace("16k", "16000"), EMBED)
    before = texts(project)

    result = run("migrate", "--to", "0.32.0")

    assert result.exit_code == 1
    assert texts(project) == before
    assert "error[E262]: `speculative-config` would not mean the same" in result.stderr


def test_a_flag_that_is_written_already_with_another_value_is_left_to_a_person(project: Path) -> None:
    chat = CHAT.replace("  num-scheduler-steps: 8", "  guided-decoding-backend: outlines\n"
                        "  structured-outputs-config: {backend: xgrammar}")  # fmt: skip
    write(project, DEPLOYMENT.replace("0.8.5", "0.11.0"), chat, EMBED)
    result = run("migrate", "--to", "0.32.0")
    assert result.exit_code == 1
    assert "error[E263]: `guided-decoding-backend` cannot be rewritten in place" in result.stderr
    assert "in the way: it is written there already, with another value" in result.stderr


def test_null_removes_a_default_under_its_new_name(project: Path) -> None:
    deployment = DEPLOYMENT.replace("    swap-space: 4", "    task: embed\n    swap-space: 4")
    chat = CHAT.replace("  num-scheduler-steps: 8", "  task: null\n  swap-space:")
    write(project, deployment, chat, EMBED)
    assert run("migrate", "--to", "0.32.0").exit_code == 0
    assert texts(project)[1].endswith("  runner: null\n  convert: null\n  attention-backend: FLASHINFER\n")


def test_rope_keys_that_the_release_would_ignore_become_the_words_for_every_release(project: Path) -> None:
    scaling = "{rope_type: yarn, factor: 4.0, original_max_position_embeddings: 32768}"
    chat = CHAT.replace(
        "max_model_len: 16k", f"max-model-len: 65536\n  hf-overrides: {{rope_scaling: {scaling}, a: 1}}"
    )
    write(project, DEPLOYMENT, chat, EMBED)
    assert run("migrate", "--to", "0.32.0").exit_code == 0
    assert f"  rope-scaling: {scaling}\n  hf-overrides: {{a: 1}}\n" in texts(project)[1]


def test_what_the_services_gain_and_lose_is_told_for_the_gpus_at_hand(project: Path) -> None:
    result = run("migrate", "--to", "0.32.0", "--check", "--inventory", "2xRTX4090", "--offline")
    table = result.stdout[result.stdout.index("old: KV cache") : result.stdout.index("3 files would")]
    head, gpus, columns, first, *reasons = table.splitlines()
    assert head == "old: KV cache in tokens, vLLM 0.8.5 → 0.32.0"
    assert gpus == "GPUs: 2xRTX4090"
    assert columns.split() == ["service", "before", "after", "change", "start", "before", "start", "after"]
    assert first.split()[0] == "chat"
    assert "    CUDA graphs" in "\n".join(reasons)
    assert "    the start is refused unless the whole budget is free" in reasons


def test_a_default_that_nobody_wrote_is_told_and_not_written(project: Path) -> None:
    write(project, DEPLOYMENT.replace("    gpu-memory-utilization: 0.9\n", ""), CHAT, EMBED)
    result = run("migrate", "--to", "0.32.0")
    assert "utilization" not in texts(project)[0]
    assert (
        "note[N260]: in vLLM 0.32.0 `gpu-memory-utilization` is 0.92; in 0.8.5 `gpu-memory-utilization` is 0.90\n"
        in result.stderr
    )
    assert "= help: write `gpu-memory-utilization: 0.9` to keep it as it was\n" in result.stderr


@pytest.mark.parametrize(("arguments", "said"), [((), "say which release"), (("--to", "0.99.0"), "is not known here")])
def test_a_release_is_needed_that_is_known(arguments: tuple[str, ...], said: str, project: Path) -> None:
    result = run("migrate", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert texts(project) == (DEPLOYMENT, CHAT, EMBED)


def test_a_project_with_other_errors_is_not_touched(project: Path) -> None:
    write(project, DEPLOYMENT, CHAT + "  max-num-seq: 5\n", EMBED)
    result = run("migrate", "--to", "0.32.0")
    assert result.exit_code == 1
    assert "error[E201]: unknown vLLM flag `max-num-seq`\n  --> configs/chat.yaml:14:3\n" in result.stderr
    assert "`orchestrate validate --fix` can do some of that first\n" in result.stderr
    assert texts(project)[0] == DEPLOYMENT
