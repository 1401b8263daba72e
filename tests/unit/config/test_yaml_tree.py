"""YAML text to a tree: places, limits, and a finding for everything that a profile may not hold."""

# ruff: noqa: E501 (one case per line)

from __future__ import annotations

import pytest

from orchestrator.config.tree_values import as_value
from orchestrator.config.yaml_nodes import Document, MappingNode, Place, ScalarNode
from orchestrator.config.yaml_tree import fast_parser_is_present, parse
from orchestrator.domain.diagnostics import Severity


def said(document: Document) -> list[str]:
    """Every finding as `code line:column message`."""
    return [
        f"{finding.code} {finding.span.line}:{finding.span.column} {finding.message}"
        for finding in document.findings
        if finding.span is not None
    ]


def value(document: Document) -> object:
    assert document.root is not None
    return as_value(document.root)


def test_a_tree_knows_where_keys_and_values_stand() -> None:
    document = parse("service: mini\ngpus: [0, 1]\nvllm:\n  é: 'x'\n", "f")

    assert document.findings == ()
    assert isinstance(document.root, MappingNode)
    entries = document.root.entries
    assert entries["service"].key_place == Place(1, 1, 1, 8)
    assert entries["service"].node == ScalarNode("mini", "mini", True, Place(1, 10, 1, 14))
    assert entries["gpus"].node.place == Place(2, 7, 2, 13)
    assert entries["vllm"].node.place == Place(4, 3, 4, 9)
    assert value(document) == {"service": "mini", "gpus": [0, 1], "vllm": {"é": "x"}}


def test_block_scalars_and_folded_text_are_text() -> None:
    assert value(parse("a: |\n  010\n  yes\nb: >-\n  x\n  y\nc: two\n  lines\n", "f")) == {
        "a": "010\nyes\n",
        "b": "x y",
        "c": "two lines",
    }


def test_an_alias_stands_for_its_value_at_its_own_place() -> None:
    document = parse("a: &x {k: 1}\nb: *x\n*x : 2\nc: &name text\n*name : 3\n&key d: 4\n*key : 5\n", "f")

    assert said(document) == [
        "E110 3:1 a key that is a list or a mapping",
        "E103 7:1 `d` is written twice",
    ]
    assert value(document) == {"a": {"k": 1}, "b": {"k": 1}, "c": "text", "text": 3, "d": 4}
    assert document.root is not None
    assert document.root.entries["b"].node.place == Place(2, 4, 2, 6)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("", ["E114 1:1 the file is empty"]),
        ("  \n\n", ["E114 1:1 the file is empty"]),
        ("# nothing\n", ["E114 1:1 the file holds only comments"]),
        ("---\n", ["E114 1:1 the file holds only comments"]),
        ("- 1\n", ["E115 1:1 a profile is a mapping of keys to values"]),
        ("text\n", ["E115 1:1 a profile is a mapping of keys to values"]),
        ("*x\n", ["E111 1:1 `*x` stands for nothing", "E115 1:1 a profile is a mapping of keys to values"]),
        ("a: 'x\n", ["E101 1:4 this quote is never closed"]),
        ("a: [1, 2\nb: 1\n", ["E101 1:4 this is never closed: `,` or `]` is missing"]),
        ("a: b: c\n", ["E101 1:5 a `:` that cannot start a value here"]),
        ("a: @x\n", ["E101 1:4 no value can start with `@`"]),
        ("key\nb: 1\n", ["E101 2:2 a `:` that cannot start a value here"]),
        ("a: 1\nword\nb: 2\n", ["E101 2:1 this is neither a key nor a value: there is no `:` after it"]),
        ("a: 'x'y\n", ["E101 1:7 this does not fit what stands above it (found `a value`)"]),
        ('a: "\\q"\n', ["E101 1:6 `\\q` is no escape sequence"]),
        ('a: "\\UFFFFFFFF"\n', ["E101 1:7 this escape sequence names no character"]),
        ("a: - b\n", ["E101 1:4 a list entry cannot stand here"]),
        ("a:\n\tb: 1\n", ["E117 2:1 a tab where YAML wants spaces"]),
        ("...\n", ["E101 1:1 not valid YAML"]),
        ("a: 1\0\n", ["E116 1:5 a NUL byte (U+0000) in a text file"]),
        ("a: 1\rb: 2\n", ["E116 1:5 a carriage return without a line feed (U+000D) in a text file"]),
        ("a: \x1b[31m\n", ["E116 1:4 a control character (U+001B) in a text file"]),
        ("a: \ud800\n", ["E116 1:4 a control character (U+D800) in a text file"]),
        ("[" * 70, ["E112 1:65 nested more than 64 levels deep"]),
    ],
)
def test_a_text_without_a_root_has_the_reason_as_its_last_finding(text: str, findings: list[str]) -> None:
    document = parse(text, "f")

    assert said(document) == findings
    assert document.root is None
    assert document.keys == frozenset()
    assert all(finding.help for finding in document.findings)


@pytest.mark.parametrize(
    ("text", "findings", "rest"),
    [
        ("a: 1\na: yes\nb: 2\n", ["E107 2:4 `yes` is ambiguous", "E103 2:1 `a` is written twice"], {"a": 1, "b": 2}),
        ("a: &x [1, *x]\nb: 2\n", ["E111 1:11 `*x` stands inside the value it names"], {"b": 2}),
        ("a: *x\nb: 2\n", ["E111 1:4 `*x` stands for nothing"], {"b": 2}),
        ("*x : 1\nb: 2\n", ["E111 1:1 `*x` stands for nothing"], {"b": 2}),
        ("a: !!python/object:os.system x\nb: 2\n", ["E108 1:4 a tag (`!!python/object:os.system`) is not allowed"], {"b": 2}),
        ("a: !x [1]\nb: 2\n", ["E108 1:4 a tag (`!x`) is not allowed"], {"a": [1], "b": 2}),
        ("!x a: 1\nb: 2\n", ["E108 1:1 a tag (`!x`) is not allowed"], {"b": 2}),
        ("c: {<<: {a: 1}}\nb: 2\n", ["E109 1:5 `<<` merge keys are not part of YAML 1.2"], {"c": {}, "b": 2}),
        ("'<<': 1\n", [], {"<<": 1}),
        ("? [1]\n: 2\nb: 2\n", ["E110 1:3 a key that is a list or a mapping"], {"b": 2}),
        ("{a: 1}: 2\nb: 2\n", ["E110 1:1 a key that is a list or a mapping"], {"b": 2}),
        ("'': 1\nb: 2\n", ["E110 1:1 a key without a name"], {"b": 2}),
        ('"\\0": 1\nb: 2\n', ["E110 1:1 a key with a control character in it"], {"b": 2}),
        ('a: "\\e[31m"\nb: 2\n', ["E116 1:4 a text with a control character in it"], {"b": 2}),
        ('a: "\\ud800"\nb: 2\n', ["E116 1:4 a text with half of a character (`\\ud800`) in it"], {"b": 2}),
        ('"\\udf89\\ud83c": 1\nb: 2\n', ["E110 1:1 a key with half of a character (`\\udf89`) in it"], {"b": 2}),
        ('"\\ud83c\\udf89": "\\u00e9\\ud83c\\udf89"\n', [], {"\U0001f389": "\u00e9\U0001f389"}),
        ("%YAML 9.9\n---\nb: 2\n", ["E113 1:1 a `%` directive"], None),
        ("%YAML 1.1\n%YAML 1.1\n---\nb: 2\n", ["E113 2:1 a `%` directive"], None),
        ("b: 2\n---\nc: 1\n", ["E113 2:1 a second document starts here"], {"b": 2}),
        ("%YAML 1.2\n---\nb: 2\n", ["E113 1:1 a `%` directive"], {"b": 2}),
        ("\ufeffa: yes\nb: 2\n", ["W101 1:1 the file starts with a byte order mark", "E107 1:5 `yes` is ambiguous"], {"b": 2}),
        ("a: yes\r\nb: 2\r\n", ["W102 1:7 the file has Windows line ends", "E107 1:4 `yes` is ambiguous"], {"b": 2}),
        ("b: 2\na:\t1\n", ["E117 2:3 a tab where YAML wants spaces"], None),
        ('b: "tabs\tare text"\n', [], {"b": "tabs\tare text"}),
        ("b: 2 # a\ttab in a comment\n", [], {"b": 2}),
    ],
)  # fmt: skip
def test_reading_goes_on_after_a_finding(text: str, findings: list[str], rest: dict[str, object] | None) -> None:
    document = parse(text, "f")

    assert said(document) == findings
    if rest is not None:
        found = value(document)
        assert isinstance(found, dict)
        assert {key: item for key, item in found.items() if key in rest} == rest


def test_a_duplicate_key_points_at_both_places() -> None:
    (finding,) = parse("a: 1\n\na: 2\n", "f.yaml").findings

    assert finding.span is not None
    assert (finding.span.line, finding.span.column, finding.span.end_column) == (3, 1, 2)
    assert finding.label == "written again"
    assert finding.notes == ("it was written first at f.yaml:1:1",)


def test_an_ambiguous_value_names_its_two_meanings_and_how_to_write_each() -> None:
    (finding,) = parse("a: 1:30\n", "f").findings

    assert finding.code == "E107"
    assert finding.notes == ("it could mean the number 90 (base 60) or the text `1:30`",)
    assert finding.help == ('write `90` for the number, or `"1:30"` for the text',)


def test_exploding_aliases_are_refused_without_being_expanded() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]

    document = parse("\n".join(rows), "bomb")

    assert [finding.code for finding in document.findings] == ["E112"]
    assert document.findings[0].message == "too many values"
    assert document.root is None


def test_a_hundred_thousand_values_is_the_limit() -> None:
    inside = parse("a:\n" + "- 1\n" * 99_997, "f")
    outside = parse("a:\n" + "- 1\n" * 99_998, "f")

    assert inside.findings == ()
    assert [finding.code for finding in outside.findings] == ["E112"]


def test_the_count_of_control_characters_is_told_but_only_some_are_shown() -> None:
    document = parse("\0" * 1000, "f")

    assert len(document.findings) == 5
    assert document.findings[0].notes == ("1000 such characters in the file",)


def test_long_words_are_clipped_in_messages() -> None:
    (finding,) = parse(f"a: *{'x' * 5000}\n", "f").findings

    assert len(finding.message) < 120


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, {y: z}, 'q']\nc: |\n  t\n",
        "a:\nb: \n- c: >-\n",
        "? \n",
        "gpus: [0: ]\n",
        "'a': *x\n!t &a : {}\n",
        "a: {b: 1,}\n",
        ">#",
        "a: 'x",
        "a: [",
        "\ufeffa: 1\r\nb: &z [1]\r\nc: *z",
    ],
)
def test_the_c_parser_and_the_python_parser_give_the_same_document(text: str) -> None:
    assert parse(text, "f") == parse(text, "f", pure=True)


def test_the_fast_parser_is_used_where_pyyaml_has_it() -> None:
    import yaml

    assert fast_parser_is_present() is yaml.__with_libyaml__


def test_warnings_leave_the_document_readable() -> None:
    document = parse("\ufeffa: 1\r\n", "f")

    assert [finding.severity for finding in document.findings] == [Severity.WARNING, Severity.WARNING]
    assert value(document) == {"a": 1}


def test_depth_counts_what_aliases_stand_for() -> None:
    levels = [f"k{number}: &a{number} {'[' * 40}{f'*a{number - 1}' if number else 1}{']' * 40}" for number in range(60)]

    document = parse("\n".join(levels) + "\n", "f")

    assert said(document) == ["E112 2:49 nested more than 64 levels deep"]
    assert said(parse("a: &a [[1]]\nb: [*a]\n", "f")) == []
