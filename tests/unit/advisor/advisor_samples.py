"""Questions and forms that the tests of the advisor share."""

from __future__ import annotations

from typing import Any

from orchestrator.advisor.cards import CardGroup, card_group
from orchestrator.advisor.fitting import Fit, Question, form_of, judge
from orchestrator.advisor.table import FitTable, fit_table
from orchestrator.catalog.models import find_model, forms_of
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.release import Release

QWEN = "Qwen/Qwen2.5-14B-Instruct"


def facts_of(model: str) -> ModelFacts:
    facts = find_model(model)
    assert facts is not None
    return facts


def forms(model: str) -> tuple[ModelFacts, ...]:
    facts = facts_of(model)
    return (facts, *forms_of(facts))


def group(text: str) -> CardGroup:
    found = card_group(text)
    assert isinstance(found, CardGroup)
    return found


def question(release: str = "0.33.0", **changes: Any) -> Question:
    return Question(release=Release.of(release), **changes)


def judged(model: str, card: str, release: str = "0.33.0", **changes: Any) -> Fit:
    asked = question(release, **changes)
    return judge(form_of(facts_of(model), asked), group(card), asked)


def table(model: str, *cards: str, **changes: Any) -> FitTable:
    return fit_table(forms(model), question(**changes), tuple(group(card) for card in cards) if cards else None)
