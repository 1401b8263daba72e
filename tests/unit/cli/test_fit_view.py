"""Parts of the view of `fit` that no model of the catalogue shows by itself."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.advisor.fitting import Question
from orchestrator.advisor.table import fit_table
from orchestrator.cli.views.fit import Page, render_fit
from orchestrator.cli.views.fit_host import short_count
from orchestrator.cli.views.fit_json import render_fit_json
from orchestrator.domain.model_config import ModelFacts, WeightPart
from orchestrator.domain.release import Release
from tests.unit.advisor.advisor_samples import QWEN, facts_of, group

QUESTION = Question(release=Release.of("0.33.0"))
PAGE = Page(width=100)


def giant() -> ModelFacts:
    facts = facts_of(QWEN)
    return replace(facts, model="some/Giant", weights={**facts.weights, WeightPart.LINEAR: 10**14})


def test_a_model_that_no_card_takes_is_said_to_need_more_than_is_asked_about() -> None:
    text = render_fit(fit_table([giant()], QUESTION), None, PAGE, chosen_cards=False)
    assert "  none takes it  -\n" in text
    assert text.endswith(
        "nothing that was asked about surely fits\n"
        "  pipeline parallelism over more than 8 cards may do; it is not asked about here\n"
    )


def test_cards_that_take_nothing_are_no_reason_to_look_at_the_same_cards_again() -> None:
    text = render_fit(fit_table([giant()], QUESTION, (group("H200"),)), None, PAGE, chosen_cards=True)
    assert text.endswith("  other, larger or more cards are needed: run without `--gpu` to see which\n")


def test_a_form_that_only_cards_without_a_price_take_has_no_cheapest() -> None:
    table = fit_table([facts_of(QWEN)], QUESTION, (group("A40"),))
    text = render_fit(table, None, PAGE, chosen_cards=False)
    assert "A40       -\n" in text


def test_a_narrow_page_leaves_out_the_smallest_card() -> None:
    table = fit_table([facts_of(QWEN)], QUESTION)
    wide, narrow = (
        render_fit(table, None, Page(width=width), chosen_cards=False).splitlines()[3] for width in (120, 70)
    )
    assert "smallest" in wide
    assert "smallest" not in narrow


def test_json_of_nothing_is_still_a_document() -> None:
    assert '"model": null' in render_fit_json(None, None)


def test_counts_are_short() -> None:
    assert [short_count(number) for number in (9744, 16_528, 1_369_109, 1_369_109_024)] == [
        "9,744",
        "17k",
        "1.4M",
        "1.4G",
    ]
