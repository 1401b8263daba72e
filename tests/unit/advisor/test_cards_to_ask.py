"""Cards and groups as they are written after `--gpu`."""

from __future__ import annotations

import pytest

from orchestrator.advisor.cards import CardGroup, all_cards, card_group
from orchestrator.catalog.gpus import inventory_from_short_form, known_gpus
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Inventory
from tests.unit.advisor.advisor_samples import group


@pytest.mark.parametrize(
    ("text", "name", "count", "label"),
    [
        ("T4", "Tesla T4", 1, "T4"),
        ("1xT4", "Tesla T4", 1, "T4"),
        ("2xRTX4090", "NVIDIA GeForce RTX 4090", 2, "2x RTX 4090"),
        ("8 x H100", "NVIDIA H100 80GB HBM3", 8, "8x H100 80GB HBM3"),
    ],
)
def test_a_card_or_a_group_of_equal_ones_is_understood(text: str, name: str, count: int, label: str) -> None:
    found = group(text)
    assert (found.card.name, found.count, found.label) == (name, count, label)
    assert len(found.host.gpus) == count


@pytest.mark.parametrize(
    ("text", "code"),
    [("T4+L4", "E455"), ("2xT4+1xL4", "E455"), ("FOO9000", "E451"), ("A100", "E452"), ("0xT4", "E453"), ("", "E450")],
)
def test_what_is_no_card_gets_a_finding(text: str, code: str) -> None:
    found = card_group(text)
    assert isinstance(found, Diagnostic)
    assert found.code == code
    assert found.help


def test_price_and_memory_of_a_group_are_those_of_its_cards() -> None:
    one, four, unknown = group("T4"), group("4xT4"), group("2xA30")
    assert one.usd_per_hour is not None
    assert four.usd_per_hour == 4 * one.usd_per_hour
    assert four.total_bytes == 4 * one.total_bytes
    assert unknown.usd_per_hour is None


def test_every_card_can_be_asked_about_the_smallest_first() -> None:
    cards = all_cards()
    assert sorted(card.name for card in cards) == sorted(card.name for card in known_gpus())
    assert [card.total_bytes for card in cards] == sorted(card.total_bytes for card in cards)


def test_the_short_form_of_every_group_is_one_that_plan_takes_also_without_blanks() -> None:
    for card in all_cards():
        asked = CardGroup(card=card, count=2)
        inventory = inventory_from_short_form(asked.short_form.replace(" ", "-"))
        assert isinstance(inventory, Inventory), asked.short_form
        assert {gpu.name for gpu in inventory.gpus()} == {card.name}
