"""One form on one group of cards: the verdicts that must come out, and every way to be refused."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.advisor.fitting import check_question, form_of, way_beyond
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Verdict
from tests.unit.advisor.advisor_samples import QWEN, facts_of, judged, question

YARN = {"rope-scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}


@pytest.mark.parametrize(
    ("form", "card", "verdict"),
    [
        ("", "T4", Verdict.REFUSES),
        ("", "A10G", Verdict.REFUSES),
        ("", "A100-40GB", Verdict.STARTS),
        ("-GPTQ-Int8", "T4", Verdict.REFUSES),
        ("-GPTQ-Int8", "A10G", Verdict.STARTS),
        ("-AWQ", "T4", Verdict.STARTS),
        ("-GPTQ-Int4", "T4", Verdict.STARTS),
    ],
)
@pytest.mark.parametrize("release", ["0.32.0", "0.33.0"])
def test_a_14b_model_fits_where_experience_says_it_does(form: str, card: str, verdict: Verdict, release: str) -> None:
    assert judged(QWEN + form, card, release).verdict is verdict


def test_a_fit_has_room_to_spare_and_reaches_at_least_the_length_asked_about() -> None:
    fit = judged(f"{QWEN}-AWQ", "T4")
    assert fit.starts
    assert fit.margin_bytes is not None
    assert fit.margin_bytes >= 0
    assert fit.form.length == 8192 <= fit.longest_model_len
    assert 0 < fit.utilization < 1
    assert (fit.reason, fit.help) == ("", ())
    assert fit.needed_bytes < fit.group.total_bytes


def test_the_context_ends_at_the_models_own_length_however_much_memory_is_left() -> None:
    fit = judged(f"{QWEN}-AWQ", "H200")
    assert fit.longest_model_len == 32768 < fit.memory_len


def test_a_refusal_says_what_is_missing_and_the_length_that_starts() -> None:
    fit = judged(f"{QWEN}-GPTQ-Int8", "A10G", max_model_len=32768)
    assert fit.verdict is Verdict.REFUSES
    assert fit.margin_bytes is not None
    assert fit.margin_bytes < 0
    assert fit.reason.startswith("one request of 32,768 tokens needs ")
    assert fit.help == (f"`max-model-len: {fit.longest_model_len}` surely starts",)
    assert judged(f"{QWEN}-GPTQ-Int8", "A10G", max_model_len=fit.longest_model_len).starts


def test_between_a_fit_and_a_refusal_it_is_too_close_to_call() -> None:
    lengths = range(8192, 32769, 512)
    verdicts = [judged(f"{QWEN}-GPTQ-Int8", "A10G", max_model_len=length).verdict for length in lengths]
    order = [Verdict.STARTS, Verdict.TOO_CLOSE, Verdict.REFUSES]
    assert verdicts == sorted(verdicts, key=order.index)
    assert set(verdicts) == set(order)


def test_more_requests_than_fit_are_refused_with_their_number() -> None:
    fit = judged(f"{QWEN}-AWQ", "T4", full_length_requests=40)
    assert fit.verdict is Verdict.REFUSES
    assert fit.reason.startswith("40 requests of 8,192 tokens need 60.")
    assert fit.help == ()


def test_an_old_card_is_refused_for_what_it_cannot_do_and_more_of_it_would_not_help() -> None:
    fit = judged("Qwen/Qwen3-8B-FP8", "V100-SXM2-16GB")
    assert fit.verdict is Verdict.REFUSES
    assert fit.is_about_the_card
    assert fit.reason == "`fp8` quantisation does not run on Tesla V100-SXM2-16GB (needs compute capability 7.5)"
    assert fit.margin_bytes is None
    assert fit.longest_model_len == 0


def test_a_group_that_does_not_divide_the_model_is_refused_but_another_may_do() -> None:
    fit = judged("Qwen/Qwen2.5-0.5B-Instruct", "4xT4")
    assert fit.verdict is Verdict.REFUSES
    assert not fit.is_about_the_card
    assert "14 attention heads" in fit.reason


def test_bf16_on_turing_is_noted_not_refused() -> None:
    fit = judged("Qwen/Qwen2.5-0.5B-Instruct", "T4")
    assert fit.starts
    assert [problem.code for problem in fit.problems] == ["W223"]


def test_the_length_asked_about_is_the_models_own_where_that_is_shorter_than_the_default() -> None:
    assert form_of(facts_of("openai-community/gpt2"), question()).length == 1024
    assert form_of(facts_of("Qwen/Qwen3-8B"), question()).length == 8192
    assert form_of(facts_of("Qwen/Qwen3-8B"), question(max_model_len=100)).length == 100


def test_a_length_beyond_the_model_is_a_finding_until_the_context_is_stretched() -> None:
    facts = facts_of("Qwen/Qwen3-8B")
    assert [each.code for each in check_question(facts, question(max_model_len=131072))] == ["E212"]
    assert check_question(facts, question(max_model_len=131072, flags=YARN)) == ()
    assert form_of(facts, question(flags=YARN)).own_length == 131072


def test_the_way_beyond_is_the_makers_factor_on_the_trained_length() -> None:
    words = "{rope_type: yarn, factor: 4.0, original_max_position_embeddings: 32768}"

    def way(facts: ModelFacts, **changes: Any) -> str:
        asked = question(**changes)
        return way_beyond(form_of(facts, asked), asked)

    assert way(facts_of("Qwen/Qwen3-8B")) == f"add `rope-scaling: {words}`, if the model was made for it (model card)"
    assert way(facts_of("Qwen/Qwen3-8B"), flags=YARN) == ""
    assert way(facts_of("openai/gpt-oss-20b")) == ""
    assert way(facts_of("meta-llama/Llama-3.1-8B-Instruct")) == ""
    assert way(facts_of("openai-community/gpt2")) == ""


def test_other_flags_count() -> None:
    plain, small = judged(QWEN + "-AWQ", "L4"), judged(QWEN + "-AWQ", "L4", flags={"kv-cache-dtype": "fp8"})
    assert small.memory_len > 1.8 * plain.memory_len
    assert judged(QWEN + "-AWQ", "T4", flags={"kv-cache-dtype": "fp8"}).reason.startswith("`fp8` KV cache does not run")
