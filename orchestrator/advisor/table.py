"""The table: every form of a model against every card, each with the fewest cards that take it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from orchestrator.advisor.cards import GROUP_SIZES, CardGroup, all_cards
from orchestrator.advisor.fitting import Fit, Form, Question, form_of, judge
from orchestrator.catalog.cards import KnownGpu
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Verdict


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One form and one kind of card: the groups that were tried, the smallest first, up to the first that takes it."""

    form: Form
    card: KnownGpu
    tried: tuple[Fit, ...]

    @cached_property
    def fit(self) -> Fit | None:
        """The smallest group that takes it; None when none does."""
        return next((each for each in self.tried if each.starts), None)

    @property
    def shown(self) -> Fit:
        """What to tell: the group that takes it, else the one that comes nearest."""
        return self.fit or next((each for each in self.tried if each.verdict is Verdict.TOO_CLOSE), self.tried[0])


@dataclass(frozen=True, kw_only=True)
class FitTable:
    """The whole answer. `asked` is the form that was named; `forms` are sorted by precision, finest first; `answers`
    by card, then by form."""

    question: Question
    asked: Form
    forms: tuple[Form, ...]
    answers: tuple[Answer, ...]

    def fits(self) -> Iterator[Fit]:
        """Every group that takes a form."""
        yield from (answer.fit for answer in self.answers if answer.fit is not None)

    def of_form(self, form: Form) -> Iterator[Answer]:
        yield from (answer for answer in self.answers if answer.form is form)


def fit_table(
    forms_of_model: Iterable[ModelFacts], question: Question, groups: tuple[CardGroup, ...] | None = None
) -> FitTable:
    """Judge every form on the given groups; without any, on every card of the catalogue with the fewest that do.

    The first of the forms is the one that was named.
    """
    found_forms = [form_of(facts, question) for facts in forms_of_model]
    forms = tuple(sorted(found_forms, key=_fineness))
    if groups is None:
        found = (_fewest(form, card, question) for card in all_cards() for form in forms)
    else:
        found = (
            Answer(form=form, card=group.card, tried=(judge(form, group, question),))
            for group in groups
            for form in forms
        )
    return FitTable(question=question, asked=found_forms[0], forms=forms, answers=tuple(found))


def _fineness(form: Form) -> int:
    return -form.precision.bits


def _fewest(form: Form, card: KnownGpu, question: Question) -> Answer:
    """Groups that are too small for the layers alone are passed over, but the single card always has its reason."""
    tried: list[Fit] = []
    for count in GROUP_SIZES:
        if tried and form.layer_bytes > count * card.total_bytes:
            continue
        tried.append(judge(form, CardGroup(card=card, count=count), question))
        if tried[-1].starts or tried[-1].is_about_the_card:
            break
    return Answer(form=form, card=card, tried=tuple(tried))
