"""`orchestrate explain`: whole outputs, one code, several, all, wrong ones, and JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.cli.views.explain import codes_text, explanations_text
from orchestrator.manual.codes import explanations, hundreds


def _run(*arguments: str, columns: str = "80") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["explain", *arguments], env={"COLUMNS": columns})
    return result.exit_code, result.stdout, result.stderr


def test_a_code_is_explained_with_an_example_on_both_sides() -> None:
    assert _run("e203") == (
        0,
        """\
error[E203]: the pinned release does not have this flag yet
  why   a release refuses flags of a later one: the container would end at once
  do    pin the release that is named, or delete the line

  bad   in a service file, vLLM 0.8.5
        vllm:
          kv-cache-memory-bytes: 8589934592

  good
        vllm:
          gpu-memory-utilization: 0.5
""",
        "",
    )


def test_what_comes_from_outside_has_no_example_and_says_so() -> None:
    assert (
        _run("W405", "w405", "E401", columns="70")[1]
        == """\
warning[W405]: one GPU is lost or must be reset: it is left out
  why   a GPU in this state starts nothing
  do    `sudo dmesg | grep -i xid`; reset or reboot
        No example: it comes from the driver.

error[E401]: no NVIDIA driver: `libnvidia-ml.so.1` cannot be loaded
  why   GPUs are read through NVIDIA's own library, which comes with
        the driver
  do    in a container `--gpus all`; on the host install the driver;
        or plan with `--inventory`
        No example: it comes from the driver.
"""
    )


def test_what_nobody_can_see_is_shown_as_an_escape() -> None:
    assert "        \\x09max-model-len: 4096\n" in _run("E117")[1]
    assert "        \\ufeffservice: mini\n" in _run("W101")[1]


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (["X201"], "no finding has the code 'X201'; did you mean E201?"),
        (["E201", "hello"], "no finding has the code 'HELLO'; `orchestrate explain` lists all codes"),
        (["\x1b[31m"], "no finding has the code '\\x1b[31M'; `orchestrate explain` lists all codes"),
    ],
)
def test_a_wrong_code_is_an_error_of_usage(codes: list[str], words: str) -> None:
    exit_code, output, errors = _run(*codes)
    assert (exit_code, output) == (2, "")
    assert errors.endswith(f"Error: Invalid value for 'CODE': {words}\n")


def test_without_a_code_all_are_listed_by_hundred() -> None:
    exit_code, output, _ = _run(columns="120")
    lines = output.splitlines()
    assert exit_code == 0
    assert [line for line in lines if not line.startswith(" ") and line] == [
        "1xx: files, YAML and structure",
        "2xx: vLLM flags, values, compatibility",
        "3xx: model facts",
        "4xx: GPUs and inventories",
        "5xx: planning",
        "6xx: rendering and outside tools",
        "Next: `orchestrate explain E201` explains one of them, with examples.",
    ]
    assert [line[2:6] for line in lines if line.startswith("  ") and line[2] != " "] == list(explanations())


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_of_prose_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, codes_text(hundreds(), width=width).splitlines())) <= width
    unshown = [each for each in explanations().values() if each.unshown]
    assert max(map(len, explanations_text(unshown, width=width).splitlines())) <= width


def test_json_has_every_field_of_what_was_asked_and_of_all() -> None:
    (one,) = json.loads(_run("e211", "--json")[1])["codes"]
    assert one == {
        "code": "E211",
        "severity": "error",
        "means": "a switch that the pinned release cannot turn off",
        "why": "a flag that is only ever given or not given, and is on by default, has no spelling for false",
        "do": "delete the line",
        "of": "service",
        "file": "mini.yaml",
        "release": "0.7.3",
        "gpus": "",
        "command": "",
        "whole": False,
        "bad": "vllm:\n  use-v2-block-manager: false\n",
        "good": "vllm:\n  max-num-seqs: 64\n",
        "unshown": "",
    }
    everything = json.loads(_run("--json")[1])
    assert (everything["version"], [each["code"] for each in everything["codes"]]) == (1, list(explanations()))
