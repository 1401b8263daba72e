"""The one table of codes: complete, in order, and the page that is written from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.manual.codes import KINDS, Explanation, explanations, hundreds, nearest_code
from orchestrator.manual.reference import render_codes

PAGE = Path(__file__).resolve().parents[3] / "docs" / "codes.md"
ALL = tuple(each for hundred in hundreds() for each in hundred.explanations)


def test_the_page_of_codes_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_codes()


def test_every_code_stands_once_and_under_its_hundred() -> None:
    assert len(explanations()) == len(ALL)
    assert [hundred.digit for hundred in hundreds()] == list("123456")
    assert all(each.code[1] == hundred.digit for hundred in hundreds() for each in hundred.explanations)


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.code)
def test_a_code_has_both_examples_or_says_why_it_has_none(each: Explanation) -> None:
    assert each.means
    assert each.why
    assert each.do
    assert each.of in KINDS
    assert (each.bad != each.good) if not each.unshown else (each.bad, each.good) == ("", "")
    assert bool(each.bad and each.good) is not bool(each.unshown)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("X201", "E201"),
        ("212", "E212"),
        ("W212", "E212"),
        ("E236", "E235"),
        ("EE201", "E201"),
        ("hello", None),
    ],
)
def test_a_wrong_code_has_a_nearest_one_where_there_is_one(written: str, meant: str | None) -> None:
    assert nearest_code(written) == meant
