"""The table over the whole catalogue, and what is recommended from it."""

from __future__ import annotations

from orchestrator.advisor.recommendation import (
    Change,
    Purpose,
    change_to_four_bit,
    cheapest_of,
    recommend,
    smallest_of,
)
from orchestrator.advisor.table import FitTable
from orchestrator.catalog.gpus import known_gpus
from orchestrator.domain.plan import Verdict
from tests.unit.advisor.advisor_samples import QWEN, table


def _said(found: FitTable) -> dict[Purpose, tuple[str, str]]:
    return {each.purpose: (each.fit.form.precision.label, each.fit.group.label) for each in recommend(found)}


def test_every_form_is_judged_on_every_card_finest_first() -> None:
    found = table(QWEN)
    assert [form.precision.label for form in found.forms] == ["bf16", "8 bit GPTQ", "4 bit AWQ", "4 bit GPTQ"]
    assert len(found.answers) == 4 * len(known_gpus())


def test_the_fewest_cards_that_take_a_form_are_found() -> None:
    counts = {
        (answer.form.precision.label, answer.card.name): answer.fit.group.count
        for answer in table(QWEN).answers
        if answer.fit is not None
    }
    assert counts["4 bit AWQ", "Tesla T4"] == 1
    assert counts["8 bit GPTQ", "Tesla T4"] == 2
    assert counts["bf16", "NVIDIA A10G"] == 2


def test_what_is_shown_of_a_card_that_takes_nothing_is_its_single_card_or_the_closest_group() -> None:
    found = table("Qwen/Qwen3-235B-A22B")
    for answer in found.answers:
        tried = [fit.verdict for fit in answer.tried]
        assert answer.tried[0].group.count == 1
        assert Verdict.STARTS not in tried[:-1]
        if answer.fit is None:
            assert answer.shown.verdict is (Verdict.TOO_CLOSE if Verdict.TOO_CLOSE in tried else Verdict.REFUSES)


def test_a_tight_budget_gets_4_bit_on_a_t4_and_quality_8_bit_on_an_a10g() -> None:
    assert _said(table(QWEN, "T4", "A10G")) == {
        Purpose.CHEAPEST: ("4 bit AWQ", "T4"),
        Purpose.BEST_QUALITY: ("8 bit GPTQ", "A10G"),
        Purpose.LONGEST_CONTEXT: ("4 bit AWQ", "A10G"),
    }


def test_at_one_price_the_finer_precision_is_the_cheapest() -> None:
    assert _said(table(QWEN, "A10G"))[Purpose.CHEAPEST] == ("8 bit GPTQ", "A10G")


def test_cards_without_a_price_come_last_the_smallest_first() -> None:
    assert _said(table(QWEN, "A30", "RTX A4000"))[Purpose.CHEAPEST] == ("4 bit AWQ", "RTX A4000")
    assert _said(table(QWEN, "A30", "H100"))[Purpose.CHEAPEST] == ("bf16", "H100 80GB HBM3")


def test_where_nothing_fits_nothing_is_recommended() -> None:
    found = table(QWEN, "RTX 3060")
    assert recommend(found) == ()
    assert cheapest_of(found.fits()) is None
    assert smallest_of(found.fits()) is None


def test_the_smallest_is_the_least_memory() -> None:
    smallest = smallest_of(table(QWEN, "A10G", "T4", "H100").fits())
    assert smallest is not None
    assert smallest.group.label == "T4"


def test_one_line_moves_from_8_bit_to_4_bit() -> None:
    expected = Change(before=f"model: {QWEN}-GPTQ-Int8", after=f"model: {QWEN}-AWQ")
    assert change_to_four_bit(table(QWEN)) == expected
    assert change_to_four_bit(table("Qwen/Qwen3-0.6B")) is None
    assert change_to_four_bit(table("openai/gpt-oss-20b", "H100")) is None
