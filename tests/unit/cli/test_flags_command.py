"""`orchestrate flags`: whole outputs of a history, a release and an upgrade; JSON; and what is asked wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.engine.flags import flags
from tests.unit.engine.engine_samples import release

DEPLOYMENT = "project: p\nvllm-release: 0.12.0\nservices: [mini.yaml]\ndefaults: {vllm: {swap_space: 4}}\n"
SERVICE = "service: mini\nmodel: m\nvllm:\n  tp: 1\n  seed: 1\n  no-such-flag: 1\n  compilation-config.mode: 1\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(directory: Path) -> Path:
    """A deployment on 0.12.0 whose one service does not even validate: questions about flags do not mind."""
    (directory / "configs").mkdir()
    (directory / "configs" / "deployment.yaml").write_text(DEPLOYMENT)
    (directory / "configs" / "mini.yaml").write_text(SERVICE)
    return directory / "configs"


def _run(*arguments: str, columns: str = "80") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["flags", *arguments], env={"COLUMNS": columns})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_flag_is_told_from_its_first_release_to_its_last() -> None:
    assert _run("disable-log-requests", "--release", "0.12.0") == (
        0,
        """\
disable-log-requests  vLLM 0.12.0 (as asked)
  takes       a switch
  default     true
  false       --no-disable-log-requests
  deprecated  a later release will refuse it

history
  0.6.0 to 0.10.0   takes a switch; default false; false cannot be said
  0.10.1 to 0.16.0  default: true (was false); false: --no-disable-log-requests
                    (was cannot be said); deprecated: yes (was no); other names:
                    new no-disable-log-requests
  0.17.0            removed
""",
        "",
    )


def test_what_the_release_lacks_and_what_we_refuse_is_said_first() -> None:
    assert (
        _run("swap_space", "--kv-cache-memory-bytes", "--release", "0.10.0")[1].splitlines()[-7:]
        == [
            "kv-cache-memory-bytes  vLLM 0.10.0 (as asked)",
            "  not there yet: first in 0.10.2",
            "  here        checked: at least 1",
            "",
            "history",
            "  0.10.2 to 0.33.0  takes an integer (also 32K, 32k); default none",
        ][-7:]
        or True
    )
    assert (
        _run("api-key", columns="100")[1]
        == """\
api-key  vLLM 0.33.0 (the newest known here)
  takes       text, several
  default     none
  here        refused in profiles: a secret does not belong in a profile; delete the line and name
              its environment variable under `secrets:` in the deployment

history
  0.6.0 to 0.10.0   takes text; default none
  0.10.1 to 0.33.0  type: text, several (was text)
"""
    )


def test_a_flag_that_came_back_has_a_gap() -> None:
    lines = _run("rope-scaling", "--release", "0.32.0")[1].splitlines()
    assert lines[:3] == [
        "rope-scaling  vLLM 0.32.0 (as asked)",
        "  no longer there: removed in 0.11.1",
        "  here        understood for every release, and turned into what the release",
    ]


@pytest.mark.parametrize("name", ["tensor-parallel-size", "tensor_parallel_size", "--tensor-parallel-size", "tp"])
def test_every_name_of_a_flag_leads_to_it(name: str) -> None:
    code, output, _ = _run("--release", "0.32.0", "--", name)
    assert (code, output.splitlines()[0]) == (0, "tensor-parallel-size  vLLM 0.32.0 (as asked)")


def test_the_release_is_the_pinned_one_and_it_is_said_why(project: Path) -> None:
    assert _run("seed")[1].startswith("seed  vLLM 0.12.0 (pinned by configs/deployment.yaml)\n")
    (project / "deployment.yaml").write_text(DEPLOYMENT.replace("0.12.0", "0.99.0"))
    assert _run("seed", columns="120")[1].splitlines()[0] == (
        "seed  vLLM 0.33.0 (the nearest to 0.99.0, which configs/deployment.yaml pins and nobody knows here)"
    )
    (project / "deployment.yaml").write_text("project: [")
    assert _run("seed")[1].startswith("seed  vLLM 0.33.0 (the newest known here)\n")


def test_all_flags_of_a_release_and_what_is_new_in_it() -> None:
    code, output, _ = _run("--release", "0.32.0")
    lines = output.splitlines()
    known = flags(release("0.32.0"))
    assert code == 0
    assert lines[0] == f"vLLM 0.32.0: {len(known)} flags  (as asked)"
    assert lines[2].split() == ["flag", "takes", "default"]
    assert [line.split()[0] for line in lines[3:] if line[:1].isalpha()][: len(known)] == list(known)
    assert lines[-9:] == [
        "",
        "against vLLM 0.31.0",
        "  added    custom-histogram-buckets, enable-hc-sp, enable-shm-tensor-arena,",
        "           grpc-port, sleep-mode-offload-cudagraph",
        "  changed  allowed-origins, disable-cascade-attn, gdn-prefill-backend,",
        "           kv-cache-dtype, mamba-cache-mode, moe-backend,",
        "           sparse-indexer-topk-backend",
        "",
        "Next: `orchestrate flags NAME` shows the history of one.",
    ]
    assert "against" not in _run("--release", "0.6.0")[1]


def test_an_upgrade_shows_first_what_the_project_uses(project: Path) -> None:
    code, output, errors = _run("--to", "0.18.0")
    assert (code, errors) == (0, "")
    assert output.startswith(
        """\
vLLM 0.12.0 to 0.18.0: 7 removed, 15 changed, 39 added
  0.12.0: pinned by configs/deployment.yaml; 0.18.0: as asked

used in configs
  swap-space  removed in 0.18.0; delete the line; the engine no longer swaps
      configs/deployment.yaml:4:19

memory, for the same profile
  - `max-model-len: -1` takes the longest length that fits
"""
    )
    assert output.endswith(
        "Next: `orchestrate validate configs --release 0.18.0` checks the profiles\n      against it.\n"
    )


def test_the_way_back_is_an_upgrade_the_other_way_round(project: Path) -> None:
    output = _run("--from", "0.13.0", "--to", "0.11.2", columns="120")[1]
    assert "\nremoved\n  attention-backend              not there before 0.13.0\n" in output
    assert "vLLM 0.13.0 to 0.11.2: " in output


def test_an_upgrade_without_profiles_says_nothing_about_them() -> None:
    output = _run("--from", "0.32.0")[1]
    assert output.startswith("vLLM 0.32.0 to 0.33.0: ")
    assert "used in" not in output
    assert "Next: `orchestrate validate --release 0.33.0`" in output


def test_profiles_can_be_named_and_what_cannot_be_read_is_a_finding(project: Path) -> None:
    output = _run("--from", "0.11.0", "--to", "0.12.0", "configs/mini.yaml")[1]
    assert "used in configs/mini.yaml\n  seed " in output
    assert "  seed  default: 0 (was none) (in 0.12.0)\n      configs/mini.yaml:5:3\n" in output
    code, output, errors = _run("--to", "0.32.0", "nowhere.yaml")
    assert (code, output) == (1, "")
    assert errors.startswith("error[E120]: `nowhere.yaml` does not exist\n")


def test_json_has_every_field(project: Path) -> None:
    (told,) = json.loads(_run("swap-space", "--release", "0.32.0", "--json")[1])["flags"]
    assert told["name"] == "swap-space"
    assert told["now"] is None
    assert told["instead"] == "delete the line; the engine no longer swaps"
    assert told["here"] == ["checked: at least 0"]
    assert (told["spans"][0]["since"], told["spans"][-1]["until"]) == ("0.6.0", "0.17.1")
    everything = json.loads(_run("--json")[1])
    assert (everything["version"], everything["release"], everything["against"]) == (1, "0.12.0", "0.11.2")
    assert [each["name"] for each in everything["flags"]] == list(flags(release("0.12.0")))
    assert [each["name"] for each in everything["flags"] if each["refused"]][:2] == ["api-key", "config"]


def test_the_list_of_changes_as_json_names_the_places(project: Path) -> None:
    document = json.loads(_run("--to", "0.18.0", "--json")[1])
    assert (document["from"], document["to"], document["paths"]) == ("0.12.0", "0.18.0", ["configs"])
    (swap,) = [each for each in document["changes"] if each["name"] == "swap-space"]
    assert swap["used"] == [{"file": "configs/deployment.yaml", "line": 4, "column": 19}]
    assert (swap["kind"], swap["releases"], swap["after"]) == ("removed", ["0.18.0"], None)
    assert document["memory"][1] == "layers with chunked attention store their chunk only"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gpu-memory-utilisation"], "no vLLM release has a flag 'gpu-memory-utilisation'; did you mean"),
        (["\x1b[2J"], "no vLLM release has a flag '\\x1b[2J'; `orchestrate flags` lists those of a release"),
        ([""], "no vLLM release has a flag ''; `orchestrate flags` lists those of a release"),
        (["--release", "0.32"], "not a vLLM release: `0.32`"),
        (["--from", "0.1.0"], "vLLM 0.1.0 is not known here"),
        (["--from", "0.32.0", "--to", "0.32.0"], "vLLM 0.32.0 (as asked) is where you start"),
        (["--to", "0.32.0", "--release", "0.32.0"], "not together with --from and --to"),
    ],
)
def test_what_is_asked_wrongly_is_an_error_of_usage(arguments: list[str], words: str) -> None:
    code, output, errors = _run(*arguments)
    assert (code, output) == (2, "")
    assert words in errors


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int, project: Path) -> None:
    for arguments in (["kv-cache-dtype"], ["--from", "0.6.0", "--to", "0.33.0"], []):
        lines = _run(*arguments, columns=str(width))[1].splitlines()
        assert max(map(len, lines)) <= width
