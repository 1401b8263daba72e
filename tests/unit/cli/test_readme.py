"""The README is true: its commands run, its outputs are what they print, its profiles are valid."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, text in BLOCKS if language == "console" for line in text.splitlines()]
OUTPUTS = [text for language, text in BLOCKS if language == "text"]
PROFILES = [text for language, text in BLOCKS if language == "yaml" and text.startswith("# configs/")]


def _orchestrate(command: str) -> list[str]:
    """The arguments of the `orchestrate` at the end of a command line."""
    return shlex.split(command.split(".venv/bin/orchestrate ", 1)[1])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what ships, to run in."""
    for part in ("configs", "tests/data"):
        shutil.copytree(ROOT / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def _run(arguments: list[str]) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_two_commands_set_everything_up() -> None:
    assert COMMANDS[0].startswith("python3 -m venv .venv && ")
    assert COMMANDS[0].endswith(" plan configs --inventory configs/inventories/3xrtx4090.json")
    assert COMMANDS[1].endswith("'.[test]' && .venv/bin/pytest")


@pytest.mark.parametrize("command", [command for command in COMMANDS if "/orchestrate " in command])
def test_every_command_of_the_readme_works(command: str, project: Path) -> None:
    exit_code, _, errors = _run(_orchestrate(command))
    assert exit_code == 0, errors


def test_the_plan_in_the_readme_is_the_plan_that_is_printed(project: Path) -> None:
    assert _run(_orchestrate(COMMANDS[0]))[1] == OUTPUTS[0]


def test_the_finding_in_the_readme_is_the_finding_that_is_printed(project: Path) -> None:
    deployment = project / "configs" / "deployment.yaml"
    deployment.write_text(
        deployment.read_text().replace("gpu-memory-utilization: 0.99", "gpu-memory-utilisation: 0.99")
    )
    exit_code, output, _ = _run(["validate", "configs"])
    assert (exit_code, output) == (1, OUTPUTS[1])


def test_the_changes_in_the_readme_are_those_that_are_printed(project: Path) -> None:
    gpus = ["configs", "--inventory", "configs/inventories/3xrtx4090.json"]
    assert _run(["render", *gpus])[0] == 0
    mini = project / "configs" / "mini.yaml"
    mini.write_text(mini.read_text().replace("max-model-len: 65536", "max-model-len: 40960"))
    output = _run(["plan", *gpus])[1]
    assert output[output.index("what would change") :] == OUTPUTS[2]


def test_the_profiles_in_the_readme_are_valid(project: Path) -> None:
    for text in PROFILES:
        (project / text.split("\n", 1)[0].removeprefix("# ")).write_text(text)
    assert _run(["validate", "configs"])[0] == 0
    assert len(PROFILES) == 2


def test_every_page_that_the_readme_links_to_exists() -> None:
    pages = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert pages
    assert [page for page in pages if not (ROOT / page).exists()] == []


def test_the_workflow_and_the_hook_in_the_readme_are_yaml() -> None:
    examples = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml" and text not in PROFILES]
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    steps = examples[0]["jobs"]["validate"]["steps"]
    runs = [step["run"] for step in steps if step.get("run", "").startswith("orchestrate")]
    assert runs == [
        "orchestrate validate configs --format github",
        "orchestrate plan configs --inventory configs/inventories/3xrtx4090.json --offline --format github",
    ]
    assert examples[1]["repos"][0]["hooks"][0]["id"] in {hook["id"] for hook in hooks}
