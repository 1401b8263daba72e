"""The same profile under two releases: what changes is said with the rule that is to blame."""

from __future__ import annotations

from orchestrator.domain.profile import FlagValue
from orchestrator.planner.comparison import Difference, compare
from tests.unit.planner.planner_samples import LARGE, MIDDLE, cards, planned, service


def difference(before: str, after: str, **flags: FlagValue) -> Difference:
    profile = service("a", MIDDLE, **{"max_model_len": 16384, **flags})
    (found,) = compare(*(planned(cards(1), profile, release=each) for each in (before, after)))
    return found


def starts(reason: str, found: Difference) -> bool:
    return any(each.startswith(reason) for each in found.reasons)


def test_releases_with_the_same_rules_have_no_difference() -> None:
    found = difference("0.14.0", "0.14.1")
    assert found.reasons == ()
    assert found.before is not None
    assert found.after is not None
    assert found.before.prediction == found.after.prediction


def test_another_default_utilization_is_named_where_nobody_wrote_one() -> None:
    found = difference("0.19.1", "0.20.0")
    assert "(0.9 -> 0.92 of the card: another default)" in found.reasons[0]
    assert starts("budget ", found)
    assert not starts("budget ", difference("0.19.1", "0.20.0", gpu_memory_utilization=0.9))


def test_graphs_that_are_counted_from_now_on_are_named() -> None:
    assert starts("CUDA graphs: inside the budget now, ", difference("0.19.1", "0.20.0"))
    assert any("inside the budget now" in each for each in difference("0.19.1", "0.20.0").reasons)
    assert any("outside the budget now" in each for each in difference("0.20.0", "0.19.1").reasons)


def test_another_sampler_explains_a_smaller_activation_peak() -> None:
    found = difference("0.16.0", "0.21.0", gpu_memory_utilization=0.9)
    (reason,) = (each for each in found.reasons if each.startswith("activation peak in the budget"))
    assert "sampler PyTorch sort -> FlashInfer" in reason


def test_rules_that_decide_without_a_term_are_named_in_both_directions() -> None:
    up, down = difference("0.9.0", "0.9.1"), difference("0.9.1", "0.9.0")
    assert "the start is refused unless the whole budget is free" in up.reasons
    assert "memory of other processes is no longer charged to this service" in up.reasons
    assert "the start is no longer refused when less than the budget is free" in down.reasons
    assert "memory of other processes is charged to this service" in down.reasons


def test_a_service_without_a_place_in_one_of_them_says_why() -> None:
    fits, does_not = (planned(cards(1), service("a", MIDDLE, max_model_len=length)) for length in (16384, 40_960_000))
    (lost,), (won,) = compare(fits, does_not), compare(does_not, fits)
    assert (lost.before is not None, lost.after) == (True, None)
    assert (won.before, won.after is not None) == (None, True)
    assert lost.reasons == won.reasons == tuple(each.message for each in does_not.rejections)
    assert lost.reasons


def test_what_has_no_place_in_either_release_is_listed_with_its_reason_once() -> None:
    too_long = service("one", LARGE, max_model_len=131072)
    (found,) = compare(*(planned(cards(1), too_long, release=each) for each in ("0.31.0", "0.32.0")))
    assert (found.service, found.before, found.after) == ("one", None, None)
    assert found.reasons == ("`max-model-len` 131072 is more than this model's 40960 tokens",)
