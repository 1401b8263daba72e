"""Unquoted scalars: the YAML 1.2 core rules, and a refusal with both meanings where readers disagree."""

# ruff: noqa: E501 (one case per line)

from __future__ import annotations

import pytest

from orchestrator.config.scalars import Ambiguity, Scalar, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("0", 0),
        ("-0", 0),
        ("+12", 12),
        ("-7", -7),
        ("0.99", 0.99),
        ("9e-1", 0.9),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0.50", 0.5),
        ("tRue", "tRue"),
        ("yess", "yess"),
        ("0.32.0", "0.32.0"),
        ("127.0.0.1", "127.0.0.1"),
        ("32k", "32k"),
        ("-", "-"),
        (".", "."),
        ("-lora", "-lora"),
        ("1_000a", "1_000a"),
        ("8001:8001", "8001:8001"),
        ("0x", "0x"),
        ("GPU-0a", "GPU-0a"),
        ("2024-01-01-build", "2024-01-01-build"),
        ("7B", "7B"),
    ],
)
def test_a_plain_scalar_has_the_meaning_of_the_core_schema(text: str, value: Scalar) -> None:
    resolved = resolve(text)

    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize(
    ("text", "meanings", "help_"),
    [
        ("010", "the octal number 8 or the decimal number 10", 'write `8` or `10` for the number, or `"010"` for the text'),
        ("-010", "the octal number -8 or the decimal number -10", 'write `-8` or `-10` for the number, or `"-010"` for the text'),
        ("089", "the number 89 or the text `089`", 'write `89` for the number, or `"089"` for the text'),
        ("0o17", "the number 15 or the text `0o17`", 'write `15` for the number, or `"0o17"` for the text'),
        ("0x1F", "the number 31 or the text `0x1F`", 'write `31` for the number, or `"0x1F"` for the text'),
        ("0b101", "the number 5 or the text `0b101`", 'write `5` for the number, or `"0b101"` for the text'),
        ("1:30", "the number 90 (base 60) or the text `1:30`", 'write `90` for the number, or `"1:30"` for the text'),
        ("-1:30.5", "the number -90.5 (base 60) or the text `-1:30.5`", 'write `-90.5` for the number, or `"-1:30.5"` for the text'),
        ("1_000", "the number 1000 or the text `1_000`", 'write `1000` for the number, or `"1_000"` for the text'),
        ("0_17", "the number 17 or the text `0_17`", 'write `17` for the number, or `"0_17"` for the text'),
        ("1_0.5", "the number 10.5 or the text `1_0.5`", 'write `10.5` for the number, or `"1_0.5"` for the text'),
        ("yes", "true or the text `yes`", 'write `true`, or `"yes"` for the text'),
        ("No", "false or the text `No`", 'write `false`, or `"No"` for the text'),
        ("ON", "true or the text `ON`", 'write `true`, or `"ON"` for the text'),
        ("off", "false or the text `off`", 'write `false`, or `"off"` for the text'),
        ("y", "true or the text `y`", 'write `true`, or `"y"` for the text'),
        ("N", "false or the text `N`", 'write `false`, or `"N"` for the text'),
        (".inf", "infinity or the text `.inf`", 'write a finite number, or `".inf"` for the text'),
        ("-.INF", "infinity or the text `-.INF`", 'write a finite number, or `"-.INF"` for the text'),
        (".nan", "not-a-number or the text `.nan`", 'write a finite number, or `".nan"` for the text'),
        ("2024-01-01", "a date or the text `2024-01-01`", 'no key takes a date: write `"2024-01-01"` for the text'),
        ("2024-1-1 10:00:00", "a date or the text `2024-1-1 10:00:00`", 'no key takes a date: write `"2024-1-1 10:00:00"` for the text'),
        ("~", "no value or the text `~`", 'write `null` for no value, or `"~"` for the text'),
        ("1e400", "a number too large to hold, or text", "write a smaller number, or put the text in quotes"),
        ("9" * 5000, "a number too large to hold, or text", "write a smaller number, or put the text in quotes"),
    ],
)  # fmt: skip
def test_what_readers_of_yaml_take_for_two_things_is_refused_with_both(text: str, meanings: str, help_: str) -> None:
    found = resolve(text)
    assert isinstance(found, Ambiguity)
    assert (found.meanings, found.help) == (meanings, help_)


@pytest.mark.parametrize(
    ("text", "word"),
    [("yes", "true"), ("OFF", "false"), ("0x1F", "31"), ("1_000", "1000"), ("089", "89"), ("010", ""), ("1:30", "")],
)
def test_the_only_number_or_truth_value_that_is_possible_is_known(text: str, word: str) -> None:
    found = resolve(text)
    assert isinstance(found, Ambiguity)
    assert found.word == word
