"""How the variables of a release are read from its source."""

from __future__ import annotations

import json

import pytest

from orchestrator.engine.environment import Takes, Variable, spec_of_variable, variable_of
from orchestrator.engine.environment_recording import merge_variables, recorded_variables, variables_text
from tests.unit.engine.engine_samples import release

SOURCE = """
import os

def ready() -> bool:
    return os.environ.get("VLLM_READY", "0") == "1"

environment_variables = {
    "MAX_JOBS": lambda: os.getenv("MAX_JOBS", None),
    "VLLM_TEXT": lambda: os.getenv("VLLM_TEXT", "cuda").lower(),
    "VLLM_PATH": lambda: os.path.expanduser(os.getenv("VLLM_PATH", os.path.join("a", "b"))),
    "VLLM_COUNT": lambda: int(os.environ.get("VLLM_COUNT", "60")),
    "VLLM_COUNT_IF_SET": lambda: int(os.environ["VLLM_COUNT_IF_SET"]) if "VLLM_COUNT_IF_SET" in os.environ else None,
    "VLLM_SHARE": lambda: val if (val := float(os.getenv("VLLM_SHARE", "10."))) > 0 else 10.0,
    "VLLM_SWITCH": lambda: bool(int(os.getenv("VLLM_SWITCH", "0"))),
    "VLLM_MAYBE": lambda: maybe_convert_bool(os.getenv("VLLM_MAYBE", None)),
    "VLLM_ONE": lambda: os.getenv("VLLM_ONE", "1") == "1",
    "VLLM_WORD": lambda: (os.getenv("VLLM_WORD", "False").strip().lower() in ("true", "1")),
    "VLLM_NOT_ZERO": lambda: os.getenv("VLLM_NOT_ZERO", "1") != "0",
    "VLLM_READY": ready,
    "VLLM_ELSEWHERE_DEFINED": somewhere_else,
    "VLLM_CHOICE": env_with_choices("VLLM_CHOICE", "fork", ["spawn", "fork"]),
    "VLLM_LOOSE": env_list_with_choices("VLLM_LOOSE", [], ["A", "b"], case_sensitive=False),
    "VLLM_COMPUTED": env_with_choices("VLLM_COMPUTED", None, lambda: ["a"]),
}
"""


def test_every_getter_is_followed_to_what_it_takes() -> None:
    others = ['if os.environ.get("VLLM_OTHER"): ...', "os.getenv('VLLM_SWITCH')", "os.environ[name]"]
    assert recorded_variables(SOURCE, others) == (
        Variable(name="VLLM_CHOICE", takes=Takes.CHOICE, words=("spawn", "fork"), default="fork"),
        Variable(name="VLLM_COMPUTED", takes=Takes.TEXT),
        Variable(name="VLLM_COUNT", takes=Takes.INTEGER, default="60"),
        Variable(name="VLLM_COUNT_IF_SET", takes=Takes.INTEGER),
        Variable(name="VLLM_ELSEWHERE_DEFINED", takes=Takes.TEXT),
        Variable(name="VLLM_LOOSE", takes=Takes.CHOICES, words=("a", "b"), loose=True),
        Variable(name="VLLM_MAYBE", takes=Takes.SWITCH),
        Variable(name="VLLM_NOT_ZERO", takes=Takes.TEXT, default="1"),
        Variable(name="VLLM_ONE", takes=Takes.WORDS, words=("1",), default="1"),
        Variable(name="VLLM_OTHER", takes=Takes.TEXT),
        Variable(name="VLLM_PATH", takes=Takes.TEXT),
        Variable(name="VLLM_READY", takes=Takes.WORDS, words=("1",), default="0"),
        Variable(name="VLLM_SHARE", takes=Takes.NUMBER, default="10."),
        Variable(name="VLLM_SWITCH", takes=Takes.SWITCH, default="0"),
        Variable(name="VLLM_TEXT", takes=Takes.TEXT, default="cuda"),
        Variable(name="VLLM_WORD", takes=Takes.WORDS, words=("true", "1"), loose=True, default="False"),
    )


def test_a_typed_dictionary_is_found_too_and_a_source_without_one_has_none() -> None:
    typed = 'environment_variables: dict[str, object] = {"VLLM_A": lambda: int(os.environ["VLLM_A"])}'
    assert recorded_variables(typed) == (Variable(name="VLLM_A", takes=Takes.INTEGER),)
    assert recorded_variables("other = {}") == ()


def test_what_is_written_is_read_back() -> None:
    for each in recorded_variables(SOURCE):
        assert variable_of(each.name, json.loads(json.dumps(spec_of_variable(each)))) == each


def test_releases_are_merged_into_rows_that_grow_while_nothing_changes() -> None:
    old = Variable(name="VLLM_A", takes=Takes.SWITCH, default="0")
    new = Variable(name="VLLM_A", takes=Takes.SWITCH, default="1")
    document = merge_variables({"what": "w"}, release("0.1.0"), [old])
    document = merge_variables(document, release("0.2.0"), [old])
    document = merge_variables(document, release("0.3.0"), [new])
    text = (
        '{\n"what": "w",\n"releases": ["0.1.0","0.2.0","0.3.0"],\n"variables": {\n'
        '"VLLM_A": [["0.1.0","0.2.0",{"d":"0","k":"switch"}],["0.3.0","0.3.0",{"d":"1","k":"switch"}]]\n}\n}\n'
    )
    assert variables_text(document) == text
    with pytest.raises(ValueError, match=r"0\.3\.0 is not newer than 0\.3\.0"):
        merge_variables(document, release("0.3.0"), [old])
