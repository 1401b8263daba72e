"""Records priced from their inputs alone, and compared with what was printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.plan import Term, Verdict
from orchestrator.domain.startup import Outcome, StartupRecord
from orchestrator.domain.units import GIB
from orchestrator.engine.memory_rules import Sampler
from orchestrator.memory.constants import CONSTANTS, MOE_WORKSPACE, PARAMETERS, Scale, sampler_parameter
from orchestrator.scoring.calibration import PRIORS, Sample, constants_without_each_source, fit, samples
from orchestrator.scoring.pricing import Price, price
from orchestrator.scoring.report import accuracy_report
from orchestrator.scoring.scores import Judgement, Quantity, Score, score
from orchestrator.scoring.summary import (
    GROUPINGS,
    Verdicts,
    figures,
    grouped,
    is_fully_stated,
    of_quantity,
    release_span,
    verdicts,
    worst_first,
)

from .scoring_samples import facts, inputs, known, record


def _priced(**more: object) -> Price:
    found = price(inputs(**more), facts(str(more.get("model", "Qwen/Qwen3-8B"))))
    assert not isinstance(found, str)
    return found


def _scored(one: StartupRecord) -> Score:
    found = price(one.inputs, facts(one.inputs.model or ""))
    assert not isinstance(found, str)
    return score(one, found)


def test_a_price_has_the_terms_as_printed_and_a_verdict() -> None:
    found = _priced()
    assert abs(found.terms[Term.WEIGHTS].expected / GIB - 15.27) < 0.1
    assert abs(found.kv_cache.expected / GIB - 57.5) < 0.5
    assert found.budget.expected == 80778134290
    assert (found.verdict, found.reason, found.notes) == (Verdict.STARTS, "", ())
    assert [str(release) for release in found.releases] == ["0.19.0"]
    assert not found.is_quantized


def test_without_a_release_the_interval_holds_that_of_every_release() -> None:
    everywhere = _priced(release=None)
    for release in ("0.9.2", "0.13.0", "0.19.1", "0.25.0", "0.33.0"):
        one = _priced(release=release)
        assert everywhere.kv_cache.low <= one.kv_cache.low
        assert one.kv_cache.high <= everywhere.kv_cache.high
    assert everywhere.notes == ("no release is given: priced for all from 0.8.5.post1 to 0.33.0",)


def test_notes_say_what_was_taken_for_granted() -> None:
    found = _priced(
        release="0.28.1rc1.dev5", gpu="24GB card", gpu_total_gib=None, gpu_memory_utilization=None, has_neighbours=True
    )
    assert found.notes == (
        "`0.28.1rc1.dev5` is like 0.28.0 or 0.29.0",
        "`24GB card` may be NVIDIA A10, NVIDIA A10G, NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 4090, NVIDIA L4",
        "no `gpu-memory-utilization` is given: the release's default",
        "other processes held memory of this GPU; how much is not recorded",
    )
    assert found.verdict is Verdict.REFUSES or found.kv_cache.high - found.kv_cache.low > GIB


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"release": "a fork"}, "vLLM `a fork` is a fork or patched: its rules are not known"),
        ({"gpu": None, "gpu_total_gib": None}, "no GPU is named and no total is given"),
    ],
)
def test_what_cannot_be_priced_says_why(more: dict[str, object], reason: str) -> None:
    assert price(inputs(**more), facts("Qwen/Qwen3-8B")) == reason


def test_what_was_free_decides_the_verdict() -> None:
    assert _priced(free_gib=40.0).verdict is Verdict.REFUSES


def test_kinds_of_models_have_words() -> None:
    words = {
        "Qwen/Qwen3-8B": "one kind of attention",
        "openai/gpt-oss-20b": "hybrid, experts",
        "deepseek-ai/DeepSeek-V2-Lite-Chat": "latent attention, experts",
    }
    assert {model: _priced(model=model).kind_of_model for model in words} == words
    assert _priced(model="openai/gpt-oss-20b").is_quantized
    assert _priced(quantization="fp8").is_quantized


def test_printed_figures_never_change_a_prediction() -> None:
    plain = record()
    telling = record(weights_gib=1.0, kv_cache_gib=2.0, activation_gib=3.0, non_torch_gib=4.0, kv_tokens=5)
    assert _scored(plain).price == _scored(telling).price


def test_every_printed_figure_is_compared() -> None:
    found = _scored(
        record(weights_gib=15.0, activation_gib=2.0, non_torch_gib=0.2, graphs_gib=0.5, kv_cache_gib=57.0, kv_tokens=1)
    )
    assert [each.quantity for each in found.comparisons] == list(Quantity)
    weights = found.comparison(Quantity.WEIGHTS)
    assert weights is not None
    assert (weights.error, weights.is_inside) == ((weights.expected - weights.truth) / weights.truth, False)
    memory = found.comparison(Quantity.KV_CACHE)
    assert memory is not None
    assert memory.of_budget is not None
    assert memory.of_budget > 0
    given = found.comparison(Quantity.TOKENS_GIVEN_MEMORY)
    assert given is not None
    assert given.expected == (57 * GIB - GIB // 200) // (36 * 8 * 128 * 2 * 2 * 16) * 16


def test_figures_that_others_may_have_changed_are_left_out() -> None:
    shared: dict[str, object] = {"has_neighbours": True}
    device_wide = _scored(record(asked={**shared, "release": "0.8.5"}, kv_cache_gib=57.0, kv_tokens=9))
    assert [each.quantity for each in device_wide.comparisons] == [Quantity.TOKENS_GIVEN_MEMORY]
    assert device_wide.judgement is None
    assert device_wide.not_judged == "other processes held memory of the GPU, and how much is not recorded"
    assert _scored(record(asked={**shared, "free_gib": 78.0})).judgement is Judgement.RIGHT


def test_a_record_that_contradicts_itself_is_not_held_against_the_model() -> None:
    left = 79.19 * 0.95 - 17.7
    sound, broken = (
        _scored(record(weights_gib=15.3, activation_gib=2.2, non_torch_gib=0.2, kv_cache_gib=cache))
        for cache in (left, left + 1.0)
    )
    assert sound.judgement is Judgement.RIGHT
    assert sound.comparison(Quantity.KV_CACHE) is not None
    assert broken.judgement is None
    assert broken.not_judged == "its figures add up to more than its utilization allows: one of them is wrong"
    assert broken.comparison(Quantity.KV_CACHE) is None
    assert broken.comparison(Quantity.WEIGHTS) is not None


def test_an_engine_that_a_record_names_is_the_one_that_is_priced() -> None:
    asked: dict[str, object] = {"release": "0.10.0", "gpu": "A100 80GB", "gpu_total_gib": 79.15, "max_model_len": 32768}
    old, new = (_scored(record(asked={**asked, "engine": engine})).price for engine in ("V0", "V1"))
    assert [each.variants[0].settings.release.text for each in (old, new)] == ["0.7.3", "0.10.0"]
    assert [each.variants[0].settings.max_num_batched_tokens for each in (old, new)] == [32768, 2048]


def test_where_nobody_says_whether_flashinfer_was_installed_both_are_priced() -> None:
    asked = {"release": "0.10.0", "gpu": "A100 80GB", "gpu_total_gib": 79.15}
    said: dict[str, object] = {**asked, "other_flags": "image vllm/vllm-openai:v0.10.0"}
    told, open_question = (_scored(record(asked=each)).price for each in (said, dict[str, object](asked)))
    assert [each.settings.sampler for each in told.variants] == [Sampler.FLASHINFER_IF_INSTALLED]
    assert {each.settings.sampler for each in open_question.variants} == {
        Sampler.FLASHINFER_IF_INSTALLED,
        Sampler.SORT,
    }
    assert open_question.kv_cache.low < told.kv_cache.low
    assert open_question.kv_cache.high == told.kv_cache.high


def test_blocks_stand_for_tokens_and_peaks_with_graphs_inside_are_passed_over() -> None:
    found = _scored(
        record(asked={"block_size": 16}, num_gpu_blocks=100, activation_gib=2.0, activation_includes_graphs=True)
    )
    assert [(each.quantity, each.truth) for each in found.comparisons] == [(Quantity.TOKENS, 1600)]


@pytest.mark.parametrize(
    ("outcome", "more", "judgement"),
    [
        (Outcome.STARTED, {}, Judgement.RIGHT),
        (Outcome.OOM, {}, Judgement.DANGEROUS),
        (Outcome.REFUSED, {"free_gib": 40.0}, Judgement.RIGHT),
        (Outcome.STARTED, {"free_gib": 40.0}, Judgement.WRONG),
        (Outcome.STARTED, {"free_gib": 76.8}, Judgement.UNDECIDED),
    ],
)
def test_a_verdict_is_judged_by_the_outcome(outcome: Outcome, more: dict[str, object], judgement: Judgement) -> None:
    assert _scored(record(outcome=outcome, asked=more)).judgement is judgement


def _several() -> tuple[Score, ...]:
    return tuple(
        _scored(each)
        for each in (
            record("near", weights_gib=15.27, kv_cache_gib=57.4),
            record("far", weights_gib=14.0, kv_cache_gib=20.0),
            record("negative", outcome=Outcome.REFUSED, kv_cache_gib=-1.0, asked={"gpu_memory_utilization": 0.2}),
            record("dangerous", outcome=Outcome.OOM),
            record("unclear", asked={"free_gib": 76.8, "release": None}),
            record("wrong", asked={"free_gib": 40.0}),
        )
    )


def test_a_summary_counts_errors_and_verdicts() -> None:
    scores = _several()
    memory = figures(of_quantity(scores, Quantity.KV_CACHE))
    assert memory is not None
    assert (memory.count, round(memory.inside, 3)) == (3, 0.333)
    assert memory.p90_error > 1 > memory.median_error - 1
    assert figures(()) is None
    assert verdicts(scores) == Verdicts(right=3, undecided=1, wrong=1, dangerous=1)
    assert verdicts(scores).share_right == 0.5
    assert verdicts(scores).share_right_of_decided == 0.6
    assert (Verdicts().share_right, Verdicts(undecided=1).share_right_of_decided) == (0.0, 0.0)


def test_fully_stated_records_leave_one_reading() -> None:
    stated, unsure = record(), replace(record(), confidence="low")
    shared_name = record(asked={"gpu_total_gib": None, "gpu": "80GB card"})
    silent = record(asked={"gpu_memory_utilization": None})
    found = [is_fully_stated(_scored(each)) for each in (stated, unsure, shared_name, silent)]
    assert found == [True, False, False, False]


def test_the_worst_comes_first() -> None:
    assert [each.record.id for each in worst_first(_several())][:4] == [
        "dangerous",
        "wrong",
        "far",
        "negative",
    ]


def test_scores_are_grouped_the_largest_group_first() -> None:
    assert [(name, len(members)) for name, members in grouped(_several(), release_span)] == [
        ("0.19", 5),
        ("not given", 1),
    ]
    assert [name for name, _ in GROUPINGS] == ["GPU", "release", "form of the weights", "architecture"]
    for _, key in GROUPINGS:
        assert sum(len(members) for _, members in grouped(_several(), key)) == 6


def test_a_report_has_every_record_priced_or_not() -> None:
    unnamed = record("unnamed", asked={"model": None})
    unknown = record("unknown", asked={"model": "nobody/nothing"})
    report = accuracy_report((record(), unnamed, unknown), known)
    assert [each.record.id for each in report.scores] == ["one"]
    assert [each.reason for each in report.unpriced] == [
        "no model is named",
        "model `nobody/nothing` is not known; give its directory",
    ]
    assert not report.cross_validated


# ---- calibration


def test_a_parameter_without_samples_keeps_its_prior() -> None:
    assert fit(()) == PRIORS


def test_samples_move_the_expectation_and_draw_the_interval_in_as_sources_agree() -> None:
    prior = PRIORS[MOE_WORKSPACE]
    one = fit([Sample(parameter=MOE_WORKSPACE, value=1.2, source_group="a")])[MOE_WORKSPACE]
    halfway = (prior.expected + 1.2) / 2
    assert one == Scale(low=1.2 + (prior.low - 1.2) / 2, expected=halfway, high=1.2 + (prior.high - 1.2) / 2)
    two = fit(Sample(parameter=MOE_WORKSPACE, value=1.2, source_group=group) for group in "ab")[MOE_WORKSPACE]
    assert one.low < two.low < two.expected == 1.2 < two.high < one.high
    beyond = fit([Sample(parameter=MOE_WORKSPACE, value=2.0, source_group="a")])[MOE_WORKSPACE]
    assert beyond.high == 2.0
    far = fit([Sample(parameter=MOE_WORKSPACE, value=9.0, source_group="a")])[MOE_WORKSPACE]
    assert far == prior


def test_where_one_of_two_kernels_runs_records_move_the_bounds_alone() -> None:
    name = sampler_parameter(Sampler.FLASHINFER)
    prior = PRIORS[name]
    fitted = fit([Sample(parameter=name, value=30.0, source_group="a")])[name]
    assert fitted == Scale(low=prior.low, expected=prior.expected, high=30.0)


def test_the_printed_peak_says_what_it_can_about_one_parameter() -> None:
    triton = sampler_parameter(Sampler.TRITON)
    told = samples(
        (
            record("sampler", activation_gib=2.21, non_torch_gib=0.25, graphs_gib=0.9),
            record("stage", activation_gib=0.96, asked={"pipeline_parallel_size": 3}),
            record("experts", activation_gib=2.68, asked={"model": "Qwen/Qwen3-30B-A3B"}),
            record("vision", activation_gib=5.0, asked={"model": "Qwen/Qwen3.5-9B"}),
            record("both", activation_gib=3.5, asked={"model": "Qwen/Qwen3.5-35B-A3B"}),
            record("rest", weights_gib=15.27, kv_cache_gib=57.5),
            record("forward", activation_gib=0.6, asked={"max_num_seqs": 1}),
            record("eager", graphs_gib=0.1, asked={"enforce_eager": True}),
            record("shared", activation_gib=2.0, asked={"has_neighbours": True}),
            record("open", activation_gib=2.0, asked={"release": None}),
            record("unknown", activation_gib=2.0, asked={"model": "nobody/nothing"}),
        ),
        known,
    )
    by_name: dict[str, list[float]] = {}
    for each in told:
        by_name.setdefault(each.parameter, []).append(round(each.value, 1))
    assert by_name[triton] == [14.8, 15.2]
    assert set(by_name) == {
        triton,
        "forward pass",
        "workspace of experts",
        "vision encoder from 0.12.0",
        "non-torch, one GPU from 0.18.0",
        "CUDA graphs, each as captured",
    }
    assert len(by_name["forward pass"]) == 2


def test_a_source_says_nothing_about_its_own_constants() -> None:
    told = (record("a", source="a", activation_gib=2.21), record("b", source="b", activation_gib=2.4))
    triton = sampler_parameter(Sampler.TRITON)
    without = constants_without_each_source(told, known)
    only_b = fit(samples(told[1:], known))
    assert without["a"][triton] == only_b[triton] != without["b"][triton]
    held_out = accuracy_report(told, known, without)
    assert held_out.cross_validated
    alone = replace(told[0], figures=replace(told[0].figures, activation_gib=9.9))
    again = accuracy_report((alone, told[1]), known, constants_without_each_source((alone, told[1]), known))
    assert held_out.scores[0].price == again.scores[0].price


def test_every_parameter_has_a_name_of_its_own_and_ordered_bounds_within_reach_of_its_prior() -> None:
    assert len(CONSTANTS) == len(PARAMETERS)
    for parameter in PARAMETERS:
        for scale in (parameter.prior, parameter.fitted):
            assert 0 <= scale.low <= scale.expected <= scale.high


def test_graphs_of_several_ranks_are_taken_for_larger_ones() -> None:
    told = samples(
        (
            record("one", graphs_gib=0.9, asked={"tensor_parallel_size": 1}),
            record("two", graphs_gib=0.9, asked={"tensor_parallel_size": 2}),
        ),
        known,
    )
    one, two = (each.value for each in told if each.parameter == "CUDA graphs, each as captured")
    assert one == 1.5 * two
