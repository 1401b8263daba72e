"""`orchestrate plan`: the picture for people, the document for programs, findings at the line to change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.cli.main import app
from orchestrator.cli.planning import PlannedProject, make_plan
from orchestrator.cli.terminal import colour_wanted, unicode_wanted
from orchestrator.cli.views.plan import render_plan
from orchestrator.domain.inventory import Inventory

ROOT = Path(__file__).resolve().parents[3]
INVENTORY = "configs/inventories/3xrtx4090.json"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _planned() -> PlannedProject:
    planned = make_plan(["configs"], inventory_option=INVENTORY, offline=True)
    assert planned.plan is not None
    assert planned.deployment is not None
    return planned


def _view(*, color: bool = False, unicode: bool = True, width: int = 100, terms: bool = False) -> str:
    planned = _planned()
    assert planned.plan is not None
    assert planned.deployment is not None
    return render_plan(planned.plan, planned.deployment, color=color, unicode=unicode, width=width, terms=terms)


def test_json_is_complete_and_the_same_every_time() -> None:
    first, second = (
        CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY, "--json", "--offline"]).stdout for _ in range(2)
    )
    assert first == second
    document = json.loads(first)
    assert (document["orchestrate-plan"], document["feasible"], document["findings"]) == (1, True, [])
    placements = {each["service"]: each for each in document["plan"]["placements"]}
    assert {name: each["gpu_indices"] for name, each in placements.items()} == {
        "medium": [0, 1],
        "mini": [2],
        "micro": [2],
    }
    assert len(placements["medium"]["workers"]) == 2
    worker = placements["medium"]["workers"][0]
    assert {term["term"] for term in worker["terms"]} >= {"weights", "activation peak", "CUDA graphs", "context"}
    for term in worker["terms"]:
        assert term["bytes"]["low"] <= term["bytes"]["expected"] <= term["bytes"]["high"]
        assert term["source"]
    assert worker["prediction"]["verdict"] == "starts"
    assert worker["prediction"]["kv_tokens"]["low"] >= 131072
    assert placements["micro"]["start_after"] == ["mini"]


def test_every_reduction_keeps_what_was_asked_what_was_granted_and_why() -> None:
    document = json.loads(CliRunner().invoke(app, ["plan", "-i", INVENTORY, "--json", "--offline"]).stdout)
    for placement in document["plan"]["placements"]:
        reduction, *cache = placement["reductions"]
        assert (reduction["flag"], reduction["asked"]) == ("gpu-memory-utilization", 0.99)
        assert reduction["granted"] == placement["gpu_memory_utilization"] == placement["granted"][reduction["flag"]]
        assert "GiB" in reduction["reason"]
        for fixed in cache:
            assert (fixed["flag"], fixed["asked"]) == ("kv-cache-memory-bytes", None)
            assert fixed["granted"] == placement["granted"][fixed["flag"]]


def test_an_infeasible_plan_is_null_in_json_with_its_findings_and_exit_code_one(project: Path) -> None:
    _edit(project / "configs" / "medium.yaml", "gpus: [0, 1]", "gpus: [0, 7]")
    result = CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY, "--json", "--offline"])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["feasible"]) == (1, False)
    (finding,) = document["findings"]
    assert (finding["code"], finding["line"], finding["column"]) == ("E501", 5, 11)


def test_findings_of_profiles_stop_the_plan_before_a_driver_is_asked(project: Path) -> None:
    _edit(project / "configs" / "medium.yaml", "sharing: exclusive", "sharing: alone")
    result = CliRunner().invoke(app, ["plan", "configs", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["plan"]) == (1, None)


def test_a_model_that_nobody_knows_is_a_finding_at_its_line(project: Path) -> None:
    _edit(project / "configs" / "mini.yaml", "Qwen/Qwen3-8B-AWQ", "nobody/unknown-model")
    result = CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY, "--offline"])
    assert result.exit_code == 1
    assert "configs/mini.yaml:4:8" in result.stderr
    assert "nobody/unknown-model" in result.stderr
    assert "= help: " in result.stderr


def test_an_inventory_that_is_none_is_a_finding() -> None:
    result = CliRunner().invoke(app, ["plan", "configs", "-i", "3xNOTHING", "--offline"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error[E451]: no card named `NOTHING` in the catalogue")


def test_the_blame_for_a_default_says_that_it_is_one(project: Path) -> None:
    _edit(project / "configs" / "mini.yaml", "  max-model-len: 65536\n", "  seed: 1\n")
    _edit(project / "configs" / "mini.yaml", "Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-32B-AWQ")
    result = CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY, "--offline"])
    assert result.exit_code == 1
    assert "is not set here: the default counts" in result.stderr


def test_the_picture_reads_without_colour_and_without_unicode() -> None:
    plain = _view(unicode=False)
    assert plain.isascii()
    assert "  W weights  K KV cache" in plain
    assert "0.99 -> " in plain
    assert "\x1b[" not in _view()


def test_colour_changes_nothing_but_colour() -> None:
    import re

    coloured = _view(color=True)
    assert "\x1b[" in coloured
    assert [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines()] == _view().splitlines()


def test_eighty_columns_are_enough() -> None:
    assert max(map(len, _view(width=80, terms=True).splitlines())) <= 80


def test_terms_show_interval_and_source_of_every_term() -> None:
    shown = _view(terms=True)
    assert "medium, per GPU" in shown
    for word in ("weights", "activation peak", "CUDA graphs", "non-torch", "context", "KV cache"):
        assert f"\n{word}" in shown
    assert "per GPU" not in _view()


def test_bars_of_a_gpu_never_pass_its_end() -> None:
    inventory = inventory_from_short_form("3xRTX4090")
    assert isinstance(inventory, Inventory)
    for line in _view().splitlines():
        bar = "".join(glyph for glyph in line if glyph in "█▓▒░")
        assert len(bar) <= 48 + 7  # the legend has one of each


class _Stream:
    def __init__(self, *, terminal: bool, encoding: str) -> None:
        self._terminal = terminal
        self.encoding = encoding

    def isatty(self) -> bool:
        return self._terminal


def test_colour_needs_a_terminal_and_nobody_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Stream(terminal=True, encoding="utf-8")
    assert not colour_wanted(terminal)  # type: ignore[arg-type]
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    assert colour_wanted(terminal)  # type: ignore[arg-type]
    assert not colour_wanted(_Stream(terminal=False, encoding="utf-8"))  # type: ignore[arg-type]
    monkeypatch.setenv("TERM", "dumb")
    assert not colour_wanted(terminal)  # type: ignore[arg-type]


@pytest.mark.parametrize(("encoding", "wanted"), [("utf-8", True), ("ascii", False), ("latin-1", False), ("no", False)])
def test_block_glyphs_need_an_encoding_that_has_them(encoding: str, wanted: bool) -> None:
    assert unicode_wanted(_Stream(terminal=True, encoding=encoding)) is wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output_format", "start"),
    [
        ("concise", "configs/medium.yaml:5:11: error[E501] "),
        ("github", "::error file=configs/medium.yaml,line=5,col=11,"),
    ],
)
def test_editors_and_ci_get_findings_of_the_plan_in_their_own_form(
    project: Path, output_format: str, start: str
) -> None:
    _edit(project / "configs" / "medium.yaml", "gpus: [0, 1]", "gpus: [0, 7]")
    result = CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY, "--offline", "--format", output_format])
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith(start)


def test_the_next_step_plans_on_the_same_gpus() -> None:
    result = CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY, "--offline"])
    assert result.stdout.endswith(
        f"Next: `orchestrate render configs --inventory {INVENTORY}` writes the compose file.\n"
    )


def test_the_last_word_carries_the_doubts_of_the_warnings(project: Path) -> None:
    _edit(project / "configs" / "deployment.yaml", "address: 127.0.0.1", "address: 0.0.0.0")
    _edit(project / "configs" / "deployment.yaml", "api-key: VLLM_API_KEY", "api-key: null")
    result = CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY, "--offline"])
    assert result.exit_code == 0
    assert "\nEvery service starts, as far as the plan can see: mind the warning above.\n" in result.stdout


def test_a_hub_that_fails_is_a_finding_at_the_model_and_exit_code_three(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    _edit(project / "configs" / "mini.yaml", "Qwen/Qwen3-8B-AWQ", "nobody/unknown-model")
    result = CliRunner().invoke(app, ["plan", "configs", "-i", INVENTORY])
    assert result.exit_code == 3
    assert result.stderr.startswith("error[E311]: ")
    assert "configs/mini.yaml:4:8" in result.stderr
