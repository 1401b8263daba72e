"""`orchestrate plan` against what was saved or rendered: the section, the JSON, the exit codes, the files."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
LOCK = Path("compose") / "qwen3-tiers" / "orchestrate.lock.json"
GPUS = ("--inventory", "box.json", "--offline")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the shipped profiles, services where the planner likes, and a box that is no example."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    recorded = (tmp_path / "configs" / "inventories" / "3xrtx4090.json").read_text()
    (tmp_path / "box.json").write_text(recorded.replace('"is_example": true', '"is_example": false'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def run(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [command, *arguments, *GPUS], catch_exceptions=False)


def edit(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def section(*arguments: str) -> str:
    output = run("plan", *arguments).stdout
    return output[output.index("what would change") :]


def test_without_a_lock_file_nothing_is_said_of_changes() -> None:
    result = run("plan")
    assert "what would change" not in result.stdout
    assert result.stdout.endswith("writes the compose file.\n")


def test_asked_for_the_exit_code_everything_is_new() -> None:
    result = run("plan", "--detailed-exitcode")
    assert result.exit_code == 2
    assert "what would change: nothing is there yet\n" in result.stdout
    assert "3 to create, 0 to recreate, 0 to keep, 0 to remove\n" in result.stdout


def test_after_rendering_there_is_nothing_to_do() -> None:
    run("render")
    assert section() == (
        "what would change, against compose/qwen3-tiers/orchestrate.lock.json\n"
        "      medium  keep on GPU 0, GPU 1\n"
        "      mini    keep on GPU 2\n"
        "      micro   keep on GPU 2\n"
        "\n"
        "Every service starts.\n"
        "0 to create, 0 to recreate, 3 to keep, 0 to remove\n"
        "Nothing to do: the compose file says so already.\n"
    )
    assert run("plan", "--detailed-exitcode").exit_code == 0


def test_changes_are_shown_with_causes_order_and_sums() -> None:
    run("render")
    edit("configs/medium.yaml", "max-model-len: 131072", "max-model-len: 65536")
    edit("configs/micro.yaml", "service: micro", "service: nano")
    assert section() == (
        "what would change, against compose/qwen3-tiers/orchestrate.lock.json\n"
        "  -/+ medium  recreate on GPU 0, GPU 1: down until it has loaded again\n"
        "        max-model-len  131072 → 65536\n"
        "      mini    keep on GPU 2\n"
        "  +   nano    create on GPU 2\n"
        "        KV cache  77,936 tokens\n"
        "  -   micro   remove from GPU 2\n"
        "\n"
        "in this order\n"
        "  1. remove micro\n"
        "  2. recreate medium\n"
        "  3. start nano\n"
        "\n"
        "Every service starts.\n"
        "1 to create, 1 to recreate, 1 to keep, 1 to remove\n"
        "Next: `orchestrate render --inventory box.json` writes the compose file.\n"
    )
    assert run("plan", "--detailed-exitcode").exit_code == 2
    assert run("plan", "--detailed-exitcode", "--format", "concise").stdout == ""


def test_another_card_another_driver_and_an_edited_file_are_named() -> None:
    run("render")
    edit("box.json", "GPU-00004090-0000-4000-8000-000000000002", "GPU-new")
    edit("box.json", '"580.95.05"', '"590.1"')
    (LOCK.parent / "compose.yaml").open("a").write("# mine\n")
    shown = section()
    assert shown[shown.index("not as it was saved") : shown.index("in this order")] == (
        "not as it was saved\n"
        "  compose.yaml is not what was written: it was edited by hand, or its writing was interrupted;\n"
        "    `orchestrate render` makes it anew\n"
        "  driver of 3xrtx4090: 580.95.05 → 590.1\n"
        "  GPU 2 is another card: NVIDIA GeForce RTX 4090 (GPU-00004090-0000-4000-8000-000000000002) → NVIDIA\n"
        "    GeForce RTX 4090 (GPU-new) (used by mini, micro)\n"
        "\n"
    )
    assert "        gpus  [GPU-00004090-0000-4000-8000-000000000002] → [GPU-new]\n" in shown


def test_what_a_file_says_cannot_steer_the_terminal() -> None:
    run("plan", "--out", "p.json")
    edit("p.json", '"name": "NVIDIA GeForce RTX 4090"', '"name": "NVIDIA G\\u001b[31m"')
    result = run("plan", "--against", "p.json")
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout + result.stderr


def test_an_edit_of_the_compose_file_is_a_change_and_rendering_warns_of_it() -> None:
    run("render")
    compose = LOCK.parent / "compose.yaml"
    written = compose.read_text()
    compose.write_text(f"{written}# mine\n")
    assert run("plan", "--detailed-exitcode").exit_code == 2
    result = run("render")
    assert "warning[W603]: `compose/qwen3-tiers/compose.yaml` was edited after it was rendered" in result.stderr
    assert compose.read_text() == written
    assert run("plan", "--detailed-exitcode").exit_code == 0
    compose.unlink()
    assert "  compose.yaml is gone; `orchestrate render` writes it anew\n" in section()


def test_rendering_again_touches_neither_file() -> None:
    run("render")
    before = [each.stat().st_mtime_ns for each in sorted(LOCK.parent.iterdir())]
    output = run("render").stdout
    assert output.startswith(
        "unchanged compose/qwen3-tiers/compose.yaml (3 services)\n"
        "unchanged compose/qwen3-tiers/orchestrate.lock.json\n"
        "against the lock file as it was: 0 to create, 0 to recreate, 3 to keep, 0 to remove\n"
    )
    assert [each.stat().st_mtime_ns for each in sorted(LOCK.parent.iterdir())] == before


def test_a_compose_file_of_another_name_has_a_lock_file_of_its_own() -> None:
    run("render", "--output", "own.yaml")
    assert Path("own.yaml.lock.json").is_file()
    assert run("plan", "--against", "own.yaml.lock.json", "--detailed-exitcode").exit_code == 0


def test_printing_writes_no_lock_file() -> None:
    run("render", "--stdout")
    assert not Path("compose").exists()


def test_what_runs_stays_where_it_was_rendered() -> None:
    """Two cards are alike; without the lock file the planner would always take the first."""
    for name in ("medium", "mini", "micro"):
        edit(f"configs/{name}.yaml", "gpus: [", "# gpus: [")
    run("render")
    fresh = json.loads(LOCK.read_text())
    for name in ("medium", "mini"):
        edit("configs/deployment.yaml", f"  - {name}.yaml\n", "")
    moved = json.loads(run("plan", "--json").stdout)
    (operation,) = [each for each in moved["changes"]["operations"] if each["service"] == "micro"]
    (micro,) = [each for each in fresh["services"] if each["service"] == "micro"]
    assert operation["after"]["gpu_uuids"] == [worker["gpu_uuid"] for worker in micro["workers"]]
    LOCK.unlink()
    alone = json.loads(run("plan", "--json").stdout)
    assert alone["plan"]["placements"][0]["gpu_uuids"] != operation["after"]["gpu_uuids"]


def test_a_saved_plan_says_how_to_compare_and_only_keeps_against_itself() -> None:
    result = run("plan", "--out", "p.json")
    assert "Saved as p.json; `orchestrate plan --against p.json` compares.\n" in result.stdout
    assert run("plan", "--against", "p.json", "--detailed-exitcode").exit_code == 0
    before = Path("p.json").stat().st_mtime_ns
    run("plan", "--out", "p.json")
    assert Path("p.json").stat().st_mtime_ns == before


def test_json_tells_programs_what_would_change() -> None:
    assert json.loads(run("plan", "--json").stdout)["changes"]["against"] is None
    run("plan", "--out", "p.json")
    edit("configs/deployment.yaml", "first: 8001", "first: 8101")
    changes = json.loads(run("plan", "--json", "--against", "p.json").stdout)["changes"]
    assert changes["against"] == "p.json"
    assert changes["summary"] == {"create": 0, "recreate": 3, "update": 0, "keep": 0, "remove": 0}
    first = changes["operations"][0]
    assert (first["kind"], first["service"], first["downtime"]) == ("recreate", "medium", True)
    assert first["causes"] == [{"key": "port", "before": 8001, "after": 8101, "asked": None}]
    assert changes["steps"][0] == {"action": "replace", "service": "medium"}


def test_no_plan_no_changes() -> None:
    result = CliRunner().invoke(app, ["plan", "--json", "--inventory", "1xT4", "--offline", "--detailed-exitcode"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["changes"] is None


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ('"project": "qwen3-tiers"', '"project": "other"', "E621"),
        ('"orchestrate-lock": 1', '"orchestrate-lock": 2', "E413"),
        ('"image_digest"', '"digest"', "E414"),
        ('"services"', '"serv', "E411"),
        ('"stop_grace_period": "30s"', '"stop_grace_period": "3s"', "E622"),
    ],
)
def test_a_lock_file_that_cannot_be_trusted_stops_planning_and_rendering(old: str, new: str, finding: str) -> None:
    run("render")
    compose = (LOCK.parent / "compose.yaml").read_text()
    edit(str(LOCK), old, new)
    broken = LOCK.read_text()
    for command in ("plan", "render"):
        result = run(command)
        assert result.exit_code == 1
        assert f"error[{finding}]" in result.stderr
        assert f"--> {LOCK}:" in result.stderr
    assert (LOCK.read_text(), (LOCK.parent / "compose.yaml").read_text()) == (broken, compose)


@pytest.mark.parametrize(
    ("make", "finding"), [("missing", "E120"), ("fifo", "E125"), ("huge", "E124"), ("dir", "E121")]
)
def test_what_cannot_be_read_is_a_finding(make: str, finding: str) -> None:
    if make == "fifo":
        os.mkfifo("there")
    if make == "dir":
        Path("there").mkdir()
    if make == "huge":
        with open("there", "wb") as file:
            file.truncate(17 * 1024 * 1024)
    result = run("plan", "--against", "there", "--format", "concise")
    assert result.exit_code == 1
    assert f"there:1:1: error[{finding}]" in result.stdout


def test_a_lock_file_that_is_a_link_to_nothing_is_not_taken_for_none() -> None:
    LOCK.parent.mkdir(parents=True)
    LOCK.symlink_to("nowhere")
    assert "error[E126]" in run("plan").stderr


def test_a_saved_plan_overwrites_nothing_but_saved_plans() -> None:
    run("render")
    before = {path: path.read_text() for path in (LOCK, Path("configs/mini.yaml"))}
    for path in before:
        result = run("plan", "--out", str(path))
        assert result.exit_code == 1
        assert f"error[E613]: `{path}` was not written by `orchestrate plan --out`" in result.stderr
    assert {path: path.read_text() for path in before} == before
    assert "error[E612]" in run("plan", "--out", "configs").stderr


def test_a_full_disk_leaves_both_files_as_they_were(project: Path) -> None:
    run("render")
    before = {path.name: path.read_text() for path in LOCK.parent.iterdir()}
    edit("configs/medium.yaml", "max-model-len: 131072", "max-model-len: 65536")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    command = [sys.executable, "-B", "-m", "orchestrator.cli.entry", "render", *GPUS]
    result = subprocess.run(command, cwd=project, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert result.returncode == 3
    assert f"error[E611]: cannot write `{LOCK}`: File too large\n  = note: no file was changed" in result.stderr
    assert {path.name: path.read_text() for path in LOCK.parent.iterdir()} == before


def test_wrong_usage_prints_nothing_that_could_be_taken_for_changes() -> None:
    result = run("plan", "--detailed-exitcode", "--nonsense")
    assert (result.exit_code, result.stdout) == (2, "")
