"""`orchestrate validate` and `orchestrate schema` as commands: output, streams, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli.main import app

REPOSITORY = Path(__file__).parents[3]


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env=env)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "deployment.yaml").write_text("project: tiers\nvllm-release: 0.32.0\nservices: [mini.yaml]\n")
    (configs / "mini.yaml").write_text("service: mini\nmodel: Qwen/Qwen3-8B\n")
    monkeypatch.chdir(tmp_path)
    return configs


def test_valid_profiles_are_counted_and_the_next_step_is_named(project: Path) -> None:
    result = run("validate")

    assert result.exit_code == 0
    assert result.stdout == (
        "tiers: 1 service valid for vLLM 0.32.0.\n"
        "Next: `orchestrate plan` shows where they run and whether they start.\n"
    )
    assert result.stderr == "no findings in 2 files\n"


def test_the_next_step_repeats_the_paths_that_were_given(project: Path) -> None:
    (project.parent / "my configs").symlink_to(project)

    assert "`orchestrate plan 'my configs'`" in run("validate", "my configs").stdout


def test_findings_are_shown_with_their_lines_and_counted(project: Path) -> None:
    (project / "mini.yaml").write_text("service: mini\nmodel: m\nprioritty: 1\n")

    result = run("validate")

    assert result.exit_code == 1
    assert (
        result.stdout
        == """\
error[E102]: unknown key `prioritty`
 --> configs/mini.yaml:3:1
  |
3 | prioritty: 1
  | ^^^^^^^^^ no such key here
  = help: did you mean `priority`?

Learn more: `orchestrate explain E102`
"""
    )
    assert result.stderr == (
        "1 error in 2 files\n1 finding can be fixed: `orchestrate validate --fix` (`--diff` shows how)\n"
    )


def test_warnings_alone_are_fine(project: Path) -> None:
    (project / "micro.yaml").write_text("service: micro\nmodel: m\n")

    result = run("validate", "--format", "concise")

    assert result.exit_code == 0
    assert result.stdout == "configs/micro.yaml:1:1: warning[W130] no deployment lists `configs/micro.yaml`\n"
    assert result.stderr == "1 warning in 3 files\n"


def test_json_and_github_carry_nothing_but_findings(project: Path) -> None:
    fine = run("validate", "--format", "json")
    (project / "mini.yaml").write_text("- 1\n")
    broken = run("validate", "--format", "json")
    github = run("validate", "--format", "github")

    assert json.loads(fine.stdout) == {
        "version": 1,
        "summary": {"errors": 0, "warnings": 0, "notes": 0, "files": 2},
        "findings": [],
    }
    assert (fine.exit_code, broken.exit_code, github.exit_code) == (0, 1, 1)
    assert [finding["code"] for finding in json.loads(broken.stdout)["findings"]] == ["E115"]
    assert github.stdout.startswith(
        "::error file=configs/mini.yaml,line=1,col=1,endLine=1,endColumn=4,title=E115::a profile"
    )


def test_another_release_can_be_asked_for(project: Path) -> None:
    (project / "mini.yaml").write_text("service: mini\nmodel: m\nvllm: {swap-space: 4}\n")

    assert "valid for vLLM 0.9.2." in run("validate", "--release", "0.9.2").stdout
    assert "error[E202]" in run("validate", "--release", "0.32.0").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "--release", "newest"),
        ("validate", "--release", "99.0.0"),
        ("validate", "--format", "html"),
        ("validate", "--nope"),
        ("schema", "model"),
        ("schema", "--release", "1"),
    ],
)
def test_wrong_usage_has_its_own_exit_code(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_missing_path_is_a_finding(project: Path) -> None:
    result = run("validate", "configz")

    assert result.exit_code == 1
    assert result.stdout == (
        "error[E120]: `configz` does not exist\n --> configz\n  = help: did you mean `configs`?\n\n"
        "Learn more: `orchestrate explain E120`\n"
    )
    assert result.stderr == "1 error; no file was read\n"


def test_no_color_and_pipes_are_respected(project: Path) -> None:
    (project / "mini.yaml").write_text("- 1\n")

    assert "\x1b" not in run("validate", env={"NO_COLOR": "1"}).stdout
    assert "\x1b" not in run("validate").stdout


def test_a_secret_is_never_echoed(project: Path) -> None:
    with (project / "deployment.yaml").open("a") as file:
        file.write("secrets: {api-key: swordfish, hf-token: hf_abcdefghijklmnop}\n")
    with (project / "mini.yaml").open("a") as file:
        file.write("environment: {MY_PASSWORD: opensesame}\nvllm: {api-key: letmein}\n")

    for view in ("full", "concise", "json", "github"):
        result = run("validate", "--format", view)
        assert result.exit_code == 1
        for secret in ("swordfish", "hf_abcdefghijklmnop", "opensesame", "letmein"):
            assert secret not in result.output


def test_the_schema_is_printed_for_a_release() -> None:
    service = run("schema")
    deployment = run("schema", "deployment", "--release", "0.32.0")

    assert json.loads(service.stdout)["required"] == ["service", "model"]
    shipped = REPOSITORY / "configs" / "schema" / "deployment.schema.json"
    assert deployment.stdout == shipped.read_text(encoding="utf-8")


def test_the_shipped_profiles_are_valid() -> None:
    result = run("validate", str(REPOSITORY / "configs"))

    assert (result.exit_code, result.stderr) == (0, "no findings in 4 files\n")


def test_commands_load_nothing_heavy_until_they_run() -> None:
    code = (
        "import sys, orchestrator.cli.main\n"
        "print(sorted(name for name in ('pydantic', 'yaml', 'rich', 'pynvml', 'jsonschema') if name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_release_that_is_not_known_is_not_promised_anything(project: Path) -> None:
    (project / "deployment.yaml").write_text("project: tiers\nvllm-release: 1.0.0\nservices: [mini.yaml]\n")

    assert run("validate").stdout.splitlines()[-2] == (
        "tiers: 1 service valid by the rules of vLLM 0.33.0 (vLLM 1.0.0 is not known here)."
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "sarif"), "'--format': `sarif` is no format; choose from full, concise, json, github"),
        (("--release", "x"), "'--release': not a vLLM release: `x`; write one in full, such as 0.33.0"),
        (("--release", "0.99.0"), "'--release': vLLM 0.99.0 is not known here"),
    ],
)
def test_errors_of_usage_are_plain_sentences(project: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run("validate", *arguments)

    assert result.exit_code == 2
    assert f"Error: Invalid value for {words}" in result.stderr


def test_a_directory_without_profiles_counts_no_files(tmp_path: Path) -> None:
    result = run("validate", str(tmp_path))

    assert result.exit_code == 1
    assert result.stderr == "1 error; no file was read\n"


def test_validate_says_what_the_catalogue_says_about_the_model(project: Path) -> None:
    (project / "mini.yaml").write_text("service: mini\nmodel: Qwen/Qwen3-8B\nvllm: {max-model-len: 50000}\n")

    result = run("validate", "--format", "concise")

    assert result.exit_code == 1
    assert "E212" in result.stdout
    assert result.stderr == "1 error in 2 files\n"
