"""Replicas, `apart-from` and `together-with` as the loader reads them: every finding whole, at its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app

_DEPLOYMENT = "project: demo\nvllm-release: 0.32.0\nservices: [a.yaml, b.yaml]\n"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deployment.yaml").write_text(_DEPLOYMENT)
    return tmp_path


def findings(directory: Path, a: str, b: str = "") -> list[tuple[str, str, str, tuple[str, ...], tuple[str, ...]]]:
    """Code, place, message, notes and help of what `validate` says about two services with these lines."""
    for name, lines in (("a", a), ("b", b)):
        text = lines if lines.startswith("service:") else f"service: {name}\nmodel: Qwen/Qwen3-1.7B-FP8\n{lines}"
        (directory / f"{name}.yaml").write_text(text)
    result = CliRunner().invoke(app, ["validate", ".", "--format", "json"])
    return [
        (
            each["code"],
            f"{each['file']}:{each['line']}:{each['column']}",
            each["message"],
            tuple(each["notes"]),
            tuple(each["help"]),
        )
        for each in json.loads(result.stdout)["findings"]
    ]


def test_replicas_and_neighbours_of_a_sound_deployment_are_fine(directory: Path) -> None:
    assert findings(directory, "replicas: 2\nspread: host\ngpus: [0]\n", "apart-from:\n  gpu: [a]\n  host: []\n") == []
    result = CliRunner().invoke(app, ["validate", "."])
    assert result.stdout.splitlines()[0] == "demo: 2 services (3 containers) valid for vLLM 0.32.0."


def test_a_neighbour_that_does_not_exist_is_e141(directory: Path) -> None:
    found = findings(directory, "apart-from:\n  gpu: [bb]\n", "together-with:\n  host: [b]\n")
    assert found == [
        (
            "E141",
            "a.yaml:4:9",
            "`apart-from` of `a` names `bb`, and no service is called so",
            (),
            ("did you mean `b`?",),
        ),
        ("E141", "b.yaml:4:10", "`together-with` of `b` names `b` itself", (), ("leave it out",)),
    ]


def test_a_service_file_alone_may_name_what_is_not_there(directory: Path) -> None:
    findings(directory, "apart-from:\n  gpu: [b]\n")
    assert CliRunner().invoke(app, ["validate", "a.yaml"]).exit_code == 0


@pytest.mark.parametrize(
    ("a", "b", "note", "repair"),
    [
        (
            "together-with:\n  gpu: [b]\n",
            "sharing: exclusive\n",
            "`b` shares its GPUs with nobody: see b.yaml:3:10",
            "write `sharing: shared` there, or take `b` out here",
        ),
        (
            "together-with:\n  gpu: [b]\n",
            "apart-from:\n  gpu: [a]\n",
            "`b` keeps away from `a`: see b.yaml:4:9",
            "take the name out there, or take `b` out here",
        ),
        (
            "together-with:\n  gpu: [b]\napart-from:\n  host: [b]\n",
            "",
            "`a` keeps away from `b`: see a.yaml:6:10",
            "take the name out there, or take `b` out here",
        ),
    ],
)
def test_wishes_that_contradict_each_other_are_e142(directory: Path, a: str, b: str, note: str, repair: str) -> None:
    assert findings(directory, a, b) == [
        ("E142", "a.yaml:4:9", "`a` and `b` cannot be together on a GPU", (note,), (repair,))
    ]


def test_apart_on_a_gpu_and_together_on_a_host_is_no_contradiction(directory: Path) -> None:
    assert findings(directory, "together-with:\n  host: [b]\napart-from:\n  gpu: [b]\n") == []


@pytest.mark.parametrize(
    ("b", "note"),
    [
        ("vllm: {tensor-parallel-size: 2}\n", "`b` takes 2 GPUs"),
        (
            "replicas: 2\n",
            "`a` has `replicas: 1` and `b` has `replicas: 2`; replicas go in pairs, one of each to a GPU",
        ),
    ],
)
def test_services_that_cannot_be_on_one_gpu_are_e143(directory: Path, b: str, note: str) -> None:
    assert findings(directory, "together-with:\n  gpu: [b]\n", b) == [
        (
            "E143",
            "a.yaml:4:9",
            "`a` and `b` cannot be on one GPU",
            (note,),
            ("write the name under `host:` instead of `gpu:`",),
        )
    ]


def test_pins_are_counted_for_all_replicas(directory: Path) -> None:
    assert findings(directory, "replicas: 2\ngpus: [0, 1, 2]\n") == [
        (
            "E133",
            "a.yaml:4:7",
            "3 GPUs are listed, but 2 replicas use 2",
            ("`tensor-parallel-size` 1 x `replicas` 2 is 2",),
            ("list 2 GPUs, or write `replicas: 3`",),
        )
    ]
    assert findings(directory, "replicas: 2\ngpus: [0, 1, 2, 3]\nvllm: {tensor-parallel-size: auto}\n") == []


def test_a_service_that_is_called_like_a_replica_is_e130(directory: Path) -> None:
    (found,) = findings(directory, "replicas: 2\n", "service: a-2\nmodel: Qwen/Qwen3-1.7B-FP8\n")
    assert found[:3] == ("E130", "b.yaml:1:10", "two services are called `a-2` (it is a replica of `a`)")


def test_ports_of_replicas_are_a_row(directory: Path) -> None:
    (found,) = findings(directory, "replicas: 3\nport: 9000\n", "port: 9002\n")
    assert found[:3] == ("E131", "b.yaml:3:7", "port 9002 is taken by `a`")
    (found,) = findings(directory, "replicas: 3\nport: 65534\n")
    assert found == (
        "E131",
        "a.yaml:4:7",
        "there are not enough ports from 65534 on for 3 replicas",
        ("asked: 3 ports, available: 2",),
        ("write `port: 65533` or less, or remove the key",),
    )
