"""What `fit` says and what the planner does with the profile that it offers are the same, on every card and release."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.advisor.cards import CardGroup, all_cards
from orchestrator.advisor.fitting import Fit, Question, check_question, form_of, judge
from orchestrator.advisor.profile_text import profile_text
from orchestrator.catalog.gpus import KnownGpu, inventory_from_short_form
from orchestrator.catalog.models import find_model, known_models
from orchestrator.config.load import Outline, load_service
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Plan
from orchestrator.domain.profile import Deployment
from orchestrator.engine.images import default_image
from orchestrator.engine.releases import KNOWN_RELEASES, NEWEST
from orchestrator.planner import plan

groups = st.builds(CardGroup, card=st.sampled_from(all_cards()), count=st.sampled_from([1, 1, 1, 2, 4, 8]))
questions = st.builds(
    Question,
    release=st.sampled_from([*KNOWN_RELEASES, *[NEWEST] * len(KNOWN_RELEASES)]),
    max_model_len=st.sampled_from([None, None, 512, 4096, 16384]),
    full_length_requests=st.sampled_from([1.0, 1.0, 2.0, 7.5]),
)


def known(model: str) -> ModelFacts:
    facts = find_model(model)
    assert facts is not None
    return facts


def planned(fit: Fit, question: Question) -> Plan:
    """The plan for a deployment of nothing but the offered profile, on the cards that it is offered for."""
    report = Report()
    service = load_service(parse(profile_text(fit, question), "fit.yaml"), report, Outline(release=question.release))
    assert service is not None, list(report)
    assert list(report) == []
    inventory = inventory_from_short_form(fit.group.short_form)
    assert isinstance(inventory, Inventory)
    deployment = Deployment(
        project="fit", release=question.release, image=default_image(question.release), services=(service,)
    )
    return plan(deployment=deployment, facts={service.name: fit.form.facts}, inventory=inventory)


@given(model=st.sampled_from(known_models()), group=groups, question=questions)
@settings(max_examples=300, deadline=None)
def test_the_planner_accepts_what_fits_and_only_that(model: str, group: CardGroup, question: Question) -> None:
    facts = known(model)
    fit = judge(form_of(facts, question), group, question)
    if check_question(facts, question):
        assert not fit.starts
    elif fit.starts:
        found = planned(fit, question)
        assert found.is_feasible, found.rejections
        assert found.placements[0].utilization == fit.utilization
    else:
        assert not planned(replace(fit, utilization=1.0), question).is_feasible


@given(model=st.sampled_from(known_models()), card=st.sampled_from(all_cards()))
@settings(max_examples=50, deadline=None)
def test_the_longest_context_that_is_told_starts(model: str, card: KnownGpu) -> None:
    facts = known(model)
    question = Question(release=NEWEST)
    group = CardGroup(card=card, count=1)
    longest = judge(form_of(facts, question), group, question).longest_model_len
    if longest:
        at_longest = replace(question, max_model_len=longest)
        assert judge(form_of(facts, at_longest), group, at_longest).starts
