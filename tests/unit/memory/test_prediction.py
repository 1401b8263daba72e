from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.plan import Footprint, KvCacheLayout, KvGroup, MemoryTerm, Term, Verdict
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, MIB, ByteRange
from orchestrator.memory.prediction import (
    budget_bytes,
    claim_bytes,
    kv_headroom,
    largest_utilization,
    logged_tokens,
    longest_model_len,
    predict,
    smallest_utilization,
)
from tests.unit.memory.memory_samples import ADA_24, config_of, facts_of, facts_with, footprint_of, full, sliding

BLOCK = 16 * MIB
"""A block of 16 tokens, so that a token is 1 MiB."""


def made_up(**changes: object) -> Footprint:
    """10 GiB of CUDA total, 2 to 3 GiB inside the budget, 1 GiB outside, 1 MiB of KV a token, 1,600 tokens wanted."""
    layout = KvCacheLayout(block_bytes=BLOCK, groups=(KvGroup(block_tokens=16),), reserved_blocks=1)
    fields: dict[str, object] = {
        "cuda_total": ByteRange.exactly(10 * GIB),
        "terms": (
            MemoryTerm(term=Term.WEIGHTS, size=ByteRange(2 * GIB, 2 * GIB, 3 * GIB), in_budget=True, source=""),
            MemoryTerm(term=Term.CONTEXT, size=ByteRange(GIB // 2, GIB // 2, GIB), in_budget=False, source=""),
        ),
        "kv": layout,
        "max_model_len": 1600,
        "kv_required_bytes": layout.bytes_for(1600),
        "release": Release.of("0.32.0"),
    }
    return Footprint(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_budget_is_rounded_up_from_0_14_0_and_cut_before() -> None:
    total = ByteRange.exactly(1001)
    assert budget_bytes(made_up(cuda_total=total), 0.9) == ByteRange.exactly(901)
    assert budget_bytes(made_up(cuda_total=total, release=Release.of("0.13.0")), 0.9) == ByteRange.exactly(900)


def test_a_claim_is_the_budget_and_what_comes_on_top() -> None:
    assert claim_bytes(made_up(), 0.5) == 6 * GIB


def test_the_largest_utilization_leaves_room_for_what_comes_on_top() -> None:
    assert largest_utilization(made_up(), 10 * GIB) == 0.9
    assert largest_utilization(made_up(), 6 * GIB) == 0.5
    assert largest_utilization(made_up(), GIB // 2) == 0.0


def test_free_memory_beyond_the_total_of_cuda_does_not_help() -> None:
    assert largest_utilization(made_up(), 12 * GIB) == 0.9


def test_the_smallest_utilization_covers_the_pessimistic_terms() -> None:
    least = smallest_utilization(made_up())
    assert least == 0.458  # 3 GiB and 101 blocks of 16 MiB
    assert kv_headroom(made_up(), 0.458) >= 1 > kv_headroom(made_up(), 0.457)


def test_there_is_no_smallest_utilization_where_even_1_is_too_little() -> None:
    assert smallest_utilization(made_up(kv_required_bytes=8 * GIB)) is None
    assert smallest_utilization(made_up(kv_required_bytes=7 * GIB)) == 1.0


def test_a_start_reports_memory_tokens_and_requests() -> None:
    prediction = predict(made_up(), 0.6, 10 * GIB)
    assert prediction.verdict is Verdict.STARTS
    assert prediction.reason == ""
    assert prediction.kv_cache == ByteRange(3 * GIB, 4 * GIB, 4 * GIB)
    assert prediction.kv_tokens == (3072, 4096, 4096)
    assert prediction.concurrency == (1.92, 2.56, 2.56)
    assert prediction.longest_model_len == 3056


@pytest.mark.parametrize(
    ("free_gib", "verdict", "reason"),
    [
        (7.0, Verdict.STARTS, ""),
        (
            6.7,
            Verdict.TOO_CLOSE,
            "vLLM finds 5.70 to 6.20 GiB free at start-up and wants 6.00 GiB (0.6 of 10.00 GiB)",
        ),
        (6.0, Verdict.REFUSES, "vLLM finds 5.00 to 5.50 GiB free at start-up and wants 6.00 GiB (0.6 of 10.00 GiB)"),
    ],
)
def test_the_start_up_check_compares_free_memory_with_the_budget(
    free_gib: float, verdict: Verdict, reason: str
) -> None:
    prediction = predict(made_up(), 0.6, int(free_gib * GIB))
    assert (prediction.verdict, prediction.reason) == (verdict, reason)


def test_there_was_no_start_up_check_before_0_9_1() -> None:
    early, late = (made_up(release=Release.of(release)) for release in ("0.7.3", "0.9.1"))
    assert predict(early, 0.6, int(6.7 * GIB)).reason.startswith("out of memory after the profile run")
    assert predict(late, 0.6, int(6.7 * GIB)).reason.startswith("vLLM finds")


def test_what_comes_after_the_profile_run_must_fit_on_top_of_the_budget() -> None:
    early = made_up(release=Release.of("0.7.3"))
    assert predict(early, 0.6, 7 * GIB).verdict is Verdict.STARTS
    close = predict(early, 0.6, int(6.7 * GIB))
    assert (close.verdict, close.reason) == (
        Verdict.TOO_CLOSE,
        "out of memory after the profile run: 0.50 to 1.00 GiB for CUDA context, graphs and late workspaces come on"
        " top of the budget, which leaves 0.70 GiB",
    )
    assert predict(early, 0.6, 6 * GIB).verdict is Verdict.REFUSES


def test_terms_that_err_independently_seldom_err_together() -> None:
    terms = tuple(
        MemoryTerm(term=Term.CUDA_GRAPHS, size=ByteRange(0, GIB // 4, GIB // 2), in_budget=False, source="")
        for _ in range(4)
    )
    shared = made_up(terms=terms)
    assert predict(shared, 0.4, int(5.51 * GIB)).verdict is Verdict.STARTS
    assert predict(shared, 0.4, int(5.49 * GIB)).verdict is Verdict.TOO_CLOSE


def test_no_room_for_the_kv_cache_is_a_refusal() -> None:
    prediction = predict(made_up(), 0.2, 10 * GIB)
    assert prediction.verdict is Verdict.REFUSES
    assert prediction.reason == (
        "no memory is left for the KV cache: the budget is 2.00 GiB, and 2.00 to 3.00 GiB are taken before it"
    )
    assert prediction.kv_tokens == (0, 0, 0)


def test_a_length_that_does_not_fit_is_a_refusal_and_one_that_may_is_too_close() -> None:
    assert predict(made_up(), 0.35, 10 * GIB).verdict is Verdict.REFUSES
    assert predict(made_up(), 0.45, 10 * GIB).verdict is Verdict.TOO_CLOSE


def test_the_device_wide_releases_charge_the_memory_of_others() -> None:
    fp = made_up(release=Release.of("0.8.5"))
    assert predict(fp, 0.6, 10 * GIB).kv_cache.low == 3 * GIB
    assert predict(fp, 0.6, 8 * GIB).kv_cache.low == GIB


def test_fixed_kv_bytes_take_the_place_of_the_budget() -> None:
    fixed = made_up(fixed_kv_bytes=4 * GIB)
    assert claim_bytes(fixed, 0.1) == 8 * GIB
    assert claim_bytes(fixed, 0.9) == 10 * GIB
    assert predict(fixed, 0.1, 10 * GIB).kv_cache == ByteRange.exactly(4 * GIB)
    assert smallest_utilization(fixed) == 0.001
    assert smallest_utilization(made_up(fixed_kv_bytes=GIB)) is None
    assert largest_utilization(fixed, 10 * GIB) == 0.9
    assert largest_utilization(fixed, 7 * GIB) == 0.0


@pytest.mark.parametrize(
    ("free_gib", "verdict"), [(8.0, Verdict.STARTS), (7.0, Verdict.TOO_CLOSE), (6.0, Verdict.REFUSES)]
)
def test_fixed_kv_bytes_must_fit_beside_everything_else(free_gib: float, verdict: Verdict) -> None:
    prediction = predict(made_up(fixed_kv_bytes=4 * GIB), 0.1, int(free_gib * GIB))
    assert prediction.verdict is verdict
    if verdict is Verdict.REFUSES:
        assert prediction.reason == (
            "`kv-cache-memory-bytes` of 4.00 GiB and 2.50 to 4.00 GiB beside it do not fit in 6.00 GiB"
        )


def test_an_automatic_length_is_shortened_to_what_fits() -> None:
    fp = made_up(fits_any_length=True, max_model_len=100_000, kv_required_bytes=2 * BLOCK)
    prediction = predict(fp, 0.6, 10 * GIB)
    assert prediction.verdict is Verdict.STARTS
    assert prediction.longest_model_len == 3056
    assert prediction.concurrency == (256 / 255, 256 / 255, 192 / 191)
    assert predict(fp, 0.2, 10 * GIB).verdict is Verdict.REFUSES


def test_without_a_release_the_newest_rules_hold() -> None:
    assert predict(made_up(release=None), 0.6, 10 * GIB) == predict(made_up(), 0.6, 10 * GIB)


def test_tokens_are_logged_by_blocks_up_to_0_20_0_and_by_requests_after() -> None:
    facts = facts_with(config_of(full(4), sliding(4)))
    fps = [footprint_of(facts, release=release, max_model_len=1000) for release in ("0.20.0", "0.20.1")]
    by_blocks, by_requests = (predict(fp, 0.5, ADA_24.free_bytes).kv_tokens[1] for fp in fps)
    blocks = fps[0].kv.blocks_in(predict(fps[0], 0.5, ADA_24.free_bytes).kv_cache.expected)
    assert by_blocks == blocks // 2 * 16
    assert by_requests == int(blocks / fps[1].kv.blocks_for(1000) * 1000)


def test_the_longest_length_stops_where_the_terms_were_priced() -> None:
    fp = made_up(longest_priced_len=1600)
    assert longest_model_len(fp, 4 * GIB) == 1600
    assert longest_model_len(fp, GIB) == 1008
    assert longest_model_len(fp, BLOCK) == 0


def test_the_longest_length_of_a_model_that_keeps_a_window_is_the_one_asked_for() -> None:
    windowed = KvCacheLayout(block_bytes=BLOCK, groups=(KvGroup(block_tokens=16, token_cap=160, extra_blocks=1),))
    fp = replace(made_up(), kv=windowed)
    assert longest_model_len(fp, GIB) == 1600
    assert longest_model_len(fp, 5 * BLOCK) == 64


def test_a_v0_length_is_priced_for_itself_only() -> None:
    facts = facts_of("Qwen/Qwen3-8B")
    assert footprint_of(facts, release="0.7.3", max_model_len=8192).longest_priced_len == 8192
    assert footprint_of(facts, release="0.32.0", max_model_len=8192).longest_priced_len is None


def test_old_logs_count_in_the_smallest_block_of_any_attention() -> None:
    groups = (
        KvGroup(block_tokens=32, count=2),
        KvGroup(block_tokens=16, token_cap=1024, extra_blocks=1),
        KvGroup(block_tokens=8, token_cap=0, extra_blocks=1),
    )
    fp = made_up(kv=KvCacheLayout(block_bytes=BLOCK, groups=groups), release=Release.of("0.20.0"))
    assert logged_tokens(fp, 400 * BLOCK) == 400 // 4 * 16
