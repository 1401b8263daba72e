"""Compose itself reads our YAML: hostile strings come out as they went in."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.render.yaml_text import dump_yaml, literal_mapping

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("compose")]

HOSTILE = [
    "",
    "$",
    "$$",
    "${HOME}",
    "${NOT_SET:?no}",
    "$HOME/x",
    'it\'s "quoted"',
    "a\nb\n\n c\n",
    "\n",
    "  spaces  ",
    "tab\there",
    "back\\slash",
    "你好 é 🙂 \u2028 \x85 \u00a0 \ufeff",
    "0.99",
    "1e3",
    "0o7",
    "010",
    "1:30",
    "yes",
    "y",
    "null",
    "~",
    "=",
    "<<",
    "*alias",
    "&anchor",
    "!tag",
    "- item",
    "key: value",
    "# comment",
    '{"rope_type": "yarn", "factor": 4.0}',
    "--flag=$(id)`id`",
    "x" * 5000,
]


def _read_by_compose(service: dict[str, object]) -> dict[str, object]:
    document = {"name": "hostile", "services": {"one": literal_mapping({"image": "none", **service})}}
    command = ["docker", "compose", "-f", "-", "config", "--format", "json"]
    run = subprocess.run(command, input=dump_yaml(document).encode(), capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    found: dict[str, object] = json.loads(run.stdout)["services"]["one"]
    return found


def _undoubled(value: object) -> object:
    """`config` doubles every `$` again, so that its output is a compose file."""
    match value:
        case str():
            return value.replace("$$", "$")
        case list():
            return [_undoubled(each) for each in value]
        case dict():
            return {key: _undoubled(each) for key, each in value.items()}
        case _:
            return value


def test_hostile_values_arrive_in_argv_environment_and_labels() -> None:
    named = {f"V{number}": text for number, text in enumerate(HOSTILE)}
    service: dict[str, object] = {"command": HOSTILE, "environment": named, "labels": named}
    read = _undoubled(_read_by_compose(service))
    assert isinstance(read, dict)
    assert {key: read[key] for key in service} == service


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
        | st.text("$'\"\n\\{}:# -0eox1.", max_size=12),
        min_size=1,
        max_size=40,
    )
)
def test_any_argv_arrives_as_it_was(argv: list[str]) -> None:
    read = _undoubled(_read_by_compose({"command": argv}))
    assert isinstance(read, dict)
    assert read["command"] == argv
