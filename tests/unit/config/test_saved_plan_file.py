"""Saved plans as files: whole findings with their places."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.config.saved_plan_file import file_mark, parse_saved_plan, saved_plan_text
from orchestrator.domain.diagnostics import Diagnostic
from tests.unit.planner.planner_samples import cards, service
from tests.unit.planner.saved_samples import saved

PLAN = saved(cards(1), service("mini", max_model_len=8192))
TEXT = saved_plan_text(PLAN)
Change = Callable[[dict[str, Any]], object]


def _findings(text: str, project: str = "test") -> list[tuple[str, str, int]]:
    answer = parse_saved_plan(text, "p.json", project=project)
    assert isinstance(answer, tuple)
    return [(each.code, each.message, each.span.line if each.span else 0) for each in answer]


def _line(part: str, text: str = TEXT) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


def test_a_file_begins_with_what_it_is_and_its_format() -> None:
    assert TEXT.startswith(file_mark(PLAN) + "1,\n")
    assert parse_saved_plan(TEXT, "p.json", project="test") == PLAN


def test_a_plan_of_another_project_is_refused_where_it_says_so() -> None:
    assert _findings(TEXT, "mine") == [("E621", "this is a plan of the project `test`, and `mine` is planned", 3)]


def test_a_file_that_ends_too_early_is_refused_where_it_ends() -> None:
    half = TEXT[: TEXT.index('"services"')]
    assert _findings(half) == [("E411", "the file ends in the middle of its JSON", half.count("\n") + 1)]


@pytest.mark.parametrize(
    ("version", "help_"),
    [
        (2, "a newer orchestrate wrote it: update this one"),
        (
            0,
            "`orchestrate plan --out FILE` saves a plan; remove a lock file, and `orchestrate render` writes a new one",
        ),
    ],
)
def test_another_format_is_refused_and_says_what_to_do(version: int, help_: str) -> None:
    answer = parse_saved_plan(TEXT.replace('plan": 1', f'plan": {version}', 1), "p.json", project="test")
    assert isinstance(answer, tuple)
    (finding,) = answer
    assert (finding.code, finding.message) == ("E413", f"saved plans of format {version} cannot be read")
    assert finding.help[0] == help_


def test_what_is_neither_says_how_such_a_file_starts() -> None:
    (finding,) = parse_saved_plan('{"orchestrate-plan": 1}', "p.json", project="test")  # type: ignore[misc]
    assert isinstance(finding, Diagnostic)
    assert finding.message == "this is not a saved plan or a lock file"
    assert finding.help == (
        'a saved plan or a lock file starts with `"orchestrate-saved-plan": 1` or `"orchestrate-lock": 1`',
        "`orchestrate plan --out FILE` saves a plan; remove a lock file, and `orchestrate render` writes a new one",
    )


def _service(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["services"][0]
    return found


WRONG: dict[str, tuple[Change, list[tuple[str, str]]]] = {
    "unknown key": (
        lambda document: document.update(image_dijest=None),
        [("E414", "unknown key `image_dijest`")],
    ),
    "missing": (lambda document: document.pop("image"), [("E415", "`image` is missing")]),
    "release": (lambda document: document.update(vllm_release="new"), [("E416", '`vllm_release` cannot be `"new"`')]),
    "interval": (
        lambda document: _service(document)["workers"][0]["kv_tokens"].update(low=10**9),
        [("E416", "`kv_tokens` cannot be an object")],
    ),
    "twice": (
        lambda document: document["services"].append(_service(document)),
        [("E418", '`service` "mini" is given twice')],
    ),
    "no such GPU": (
        lambda document: _service(document)["workers"][0].update(gpu_uuid="GPU-7"),
        [("E419", "no GPU of this host has the UUID `GPU-7`")],
    ),
    "edited": (
        lambda document: _service(document)["configuration"].update(image="other"),
        [("E622", "the configuration of `mini` is not the one that its hash stands for")],
    ),
    "a lock file of nothing": (
        lambda document: document.update({"orchestrate-lock": document.pop("orchestrate-saved-plan")}),
        [("E416", "`compose` cannot be `null`")],
    ),
    "a path for a name": (
        lambda document: document.update(compose={"file": "../x", "sha256": "0" * 64}),
        [("E416", '`file` cannot be `"../x"`')],
    ),
    "both kinds": (
        lambda document: document.update({"orchestrate-lock": 1}),
        [("E413", "this is not a saved plan or a lock file")],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_whatever_is_wrong_is_named(case: str) -> None:
    change, findings = WRONG[case]
    document = json.loads(TEXT)
    change(document)
    assert [(code, message) for code, message, _ in _findings(json.dumps(document, indent=2))] == findings


def test_a_wrong_value_is_pointed_at() -> None:
    text = TEXT.replace('"port": 8001', '"port": 80001')
    assert _findings(text) == [("E416", "`port` cannot be `80001`", _line('"port"'))]


def test_the_file_holds_no_secret_and_names_the_variables() -> None:
    assert "${VLLM_API_KEY:?" in TEXT
    assert "/run/secrets/hf_token" in TEXT
