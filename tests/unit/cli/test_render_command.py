"""`orchestrate render` from the outside: what it writes, prints and answers, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from orchestrator.cli.host_paths import with_paths_seen_from
from orchestrator.cli.main import app
from orchestrator.domain.profile import Caches, Deployment, Places, Secrets, ServiceProfile
from orchestrator.domain.release import Release

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path("compose") / "qwen3-tiers" / "compose.yaml"
ON_THREE_CARDS = ("--inventory", "box.json", "--offline")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the shipped profiles under `configs`, and the working directory."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    recorded = (tmp_path / "configs" / "inventories" / "3xrtx4090.json").read_text()
    (tmp_path / "box.json").write_text(recorded.replace('"is_example": true', '"is_example": false'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["render", *arguments, *ON_THREE_CARDS], catch_exceptions=False)


def change_deployment(**changes: object) -> None:
    path = Path("configs") / "deployment.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def test_the_file_is_written_and_the_next_step_named() -> None:
    result = render()
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "wrote compose/qwen3-tiers/compose.yaml (3 services)\n"
        "Next: in the environment, or in compose/qwen3-tiers/.env, set\n"
        "  `VLLM_API_KEY` to the key that clients must send\n"
        "  `HF_TOKEN` to a Hugging Face token (empty will do for public models)\n"
        "and then\n"
        "  docker compose -f compose/qwen3-tiers/compose.yaml up --detach --wait\n"
    )
    assert list(yaml.safe_load(TARGET.read_text())["services"]) == ["medium", "mini", "micro"]


def test_the_same_again_is_not_written_and_says_so() -> None:
    render()
    before = TARGET.stat().st_mtime_ns
    assert render().stdout.startswith("unchanged compose/qwen3-tiers/compose.yaml (3 services)\n")
    assert TARGET.stat().st_mtime_ns == before


def test_a_changed_profile_replaces_the_file() -> None:
    render()
    change_deployment(ports={"address": "127.0.0.1", "first": 9001})
    assert render().stdout.startswith("replaced compose/qwen3-tiers/compose.yaml (3 services)\n")
    assert "127.0.0.1:9001:8000" in TARGET.read_text()


@pytest.mark.parametrize("asked", [("--stdout",), ("--output", "-"), ("-o", "-", "--stdout")])
def test_printing_prints_the_file_and_nothing_else(asked: tuple[str, ...]) -> None:
    render("configs")
    printed = render("configs", *asked)
    assert printed.exit_code == 0
    assert printed.stdout == TARGET.read_text()
    assert printed.stderr == ""


def test_printing_and_writing_at_once_is_a_mistake() -> None:
    result = render("--stdout", "--output", "file.yaml")
    assert result.exit_code == 2
    assert "give one of the two" in result.stderr
    assert not Path("file.yaml").exists()


def test_the_head_says_how_to_make_the_file_anew() -> None:
    assert render("configs", "--stdout").stdout.splitlines()[1] == "#   orchestrate render configs --inventory box.json"
    shutil.move("configs", "my profiles")
    assert (
        render("my profiles", "--stdout").stdout.splitlines()[1]
        == "#   orchestrate render 'my profiles' --inventory box.json"
    )
    shutil.move("my profiles", "line\nbreak")
    assert render("line\nbreak", "--stdout").stdout.splitlines()[1] == "#   orchestrate render"


def test_a_plan_that_does_not_hold_writes_nothing() -> None:
    result = render(str(ROOT / "tests" / "cases" / "naive" / "configs"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error[E5" in result.stderr
    assert not Path("compose").exists()


def test_a_profile_that_does_not_load_writes_nothing() -> None:
    (Path("configs") / "mini.yaml").write_text("service: mini\nmodle: x\n")
    result = render()
    assert result.exit_code == 1
    assert "`modle`" in result.stderr
    assert not Path("compose").exists()


def test_strangers_are_not_let_in_without_a_key() -> None:
    change_deployment(ports={"address": "0.0.0.0", "first": 9001}, secrets={"api-key": None, "hf-token": None})
    result = render()
    assert result.exit_code == 1
    assert "error[E601]" in result.stderr
    assert not Path("compose").exists()


def test_strangers_with_a_key_are_pointed_out() -> None:
    change_deployment(ports={"address": "0.0.0.0", "first": 9001})
    result = render()
    assert result.exit_code == 0
    assert "warning[W601]" in result.stderr
    assert TARGET.exists()


def test_without_secrets_the_next_step_is_to_start() -> None:
    change_deployment(secrets={"api-key": None, "hf-token": None})
    assert render().stdout.splitlines()[1:] == [
        "Next:",
        "  docker compose -f compose/qwen3-tiers/compose.yaml up --detach --wait",
    ]


def test_example_gpus_are_said_to_be_examples_on_the_terminal_and_in_the_file() -> None:
    result = CliRunner().invoke(app, ["render", "--inventory", "3xRTX4090", "--offline"])
    assert (result.exit_code, "warning[W602]" in result.stderr) == (0, True)
    assert TARGET.read_text().splitlines()[1:3] == [
        "#   orchestrate render --inventory 3xRTX4090",
        "# An example: its GPU UUIDs are made up and name no card.",
    ]


def test_a_file_that_a_failed_plan_leaves_behind_is_mentioned() -> None:
    render()
    result = CliRunner().invoke(app, ["render", "--inventory", "1xL4", "--offline"])
    assert result.exit_code == 1
    assert result.stderr.endswith("compose/qwen3-tiers/compose.yaml is left as an earlier run wrote it\n")


def test_a_directory_and_a_file_of_somebody_else_are_left_alone() -> None:
    Path("theirs.yaml").write_text("services: {}\n")
    for output, code in (("configs", "E612"), ("theirs.yaml", "E613")):
        result = render("--output", output)
        assert result.exit_code == 1
        assert f"error[{code}]" in result.stderr
    assert Path("theirs.yaml").read_text() == "services: {}\n"


def test_a_place_that_cannot_be_written_is_an_outside_failure(project: Path) -> None:
    Path("compose").write_text("in the way")
    command = [sys.executable, "-m", "orchestrator.cli.entry", "render", *ON_THREE_CARDS]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == (
        "error[E611]: cannot write `compose/qwen3-tiers/compose.yaml`: Not a directory\n"
        "  = note: no file was changed\n"
        "  = help: mend that, or write elsewhere with `--output FILE`, or print with `--stdout`\n\n"
        "Learn more: `orchestrate explain E611`\n"
    )


def _deployment(model: str, caches: Caches) -> Deployment:
    service = ServiceProfile(name="one", model=model, places=Places("profiles/one.yaml"))
    return Deployment(
        project="p",
        release=Release.of("0.32.0"),
        image="i:1",
        services=(service,),
        caches=caches,
        secrets=Secrets(),
        places=Places("profiles/deployment.yaml"),
    )


@pytest.mark.parametrize(
    ("written", "rendered"),
    [
        ("./weights", "../../profiles/weights"),
        ("../weights", "../../weights"),
        ("../compose/p/weights", "./weights"),
        ("/weights", "/weights"),
        ("~/weights", "~/weights"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("beside/the-profile", "../../profiles/beside/the-profile"),
    ],
)
def test_a_path_means_the_same_from_the_compose_file_as_from_the_profile(written: str, rendered: str) -> None:
    (Path("profiles") / "beside" / "the-profile").mkdir(parents=True)
    seen = with_paths_seen_from(_deployment(written, Caches()), Path("compose/p"))
    assert seen.services[0].model == rendered


def test_caches_on_the_host_are_seen_from_the_compose_file_and_volumes_keep_their_names() -> None:
    seen = with_paths_seen_from(_deployment("m", Caches(huggingface="./cache", vllm="volume")), Path("compose/p"))
    assert seen.caches == Caches(huggingface="../../profiles/cache", vllm="volume")


@pytest.mark.parametrize("output", ["x/", "x/.", "x/..", ""])
def test_a_name_that_only_a_directory_has_is_no_file(output: str) -> None:
    result = render("--output", output)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"error[E612]: `{output or '.'}` is a directory, not a file to write to" in result.stderr
    assert not Path("x").exists()


def test_a_path_cannot_steer_the_terminal_and_is_spelt_for_the_shell() -> None:
    odd = "\x1b[31mit's \\ red\u202e.yaml"
    result = render("--output", odd)
    assert result.exit_code == 0, result.output
    assert Path(odd).is_file()
    assert result.stdout.replace("\n", "").isprintable()
    assert result.stdout.startswith("wrote \\x1b[31mit's \\ red\\u202e.yaml (3 services)\n")
    command = result.stdout.splitlines()[-1].replace("docker compose -f", "ls").partition(" up ")[0]
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
    shell = subprocess.run(["bash", "-c", command], capture_output=True, check=False, env=environment)
    assert shell.returncode == 0, shell.stderr
