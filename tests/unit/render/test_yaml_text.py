"""Strings survive YAML 1.1 and 1.2, and Compose's interpolation."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.render.yaml_text import Interpolation, dump_yaml, literal_for_compose

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(TEXTS, max_size=5))
def test_any_string_reads_back_as_it_was(texts: list[str]) -> None:
    assert yaml.safe_load(dump_yaml({"command": texts})) == {"command": texts}


@pytest.mark.parametrize(
    "text", ["1e3", "0o7", "y", "yes", "null", "~", "0.99", "010", "1:30", "=", "<<", "", " a", "a:", "--", "1:a"]
)
def test_what_some_reader_takes_for_something_else_is_quoted(text: str) -> None:
    assert dump_yaml({"key": text}) == f"key: '{text}'\n"


@pytest.mark.parametrize("text", ["vllm", "/models/small", "Qwen/Qwen3-8B-AWQ", "--port", "vllm/vllm-openai:v0.32.0"])
def test_plain_words_stay_plain(text: str) -> None:
    assert dump_yaml({"key": text}) == f"key: {text}\n"


def test_json_keeps_its_quotes_readable_and_line_breaks_are_escaped() -> None:
    assert dump_yaml({"json": '{"rope_type": "yarn"}', "lines": "a\nb\u2028", "speech": "你好 é 🙂"}) == (
        'json: \'{"rope_type": "yarn"}\'\nlines: "a\\nb\\L"\nspeech: \'你好 é 🙂\'\n'
    )


def test_a_value_that_occurs_twice_gets_no_alias_and_a_long_one_no_fold() -> None:
    shared = ["word " * 60]
    assert dump_yaml({"one": shared, "two": shared}) == f"one:\n- '{shared[0]}'\ntwo:\n- '{shared[0]}'\n"


def test_dollars_are_doubled_everywhere_but_where_compose_is_meant() -> None:
    tree = {"a": ["$HOME", ("${X}", 3, True, None)], "b": Interpolation("${KEY:?set it}"), "c": {"d": "$$"}}
    assert literal_for_compose(tree) == {
        "a": ["$$HOME", ["$${X}", 3, True, None]],
        "b": "${KEY:?set it}",
        "c": {"d": "$$$$"},
    }
    assert type(literal_for_compose(Interpolation("x"))) is str
