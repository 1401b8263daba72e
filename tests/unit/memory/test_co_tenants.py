"""Two engines that start at the same time on one GPU, against the figures of vLLM's issue 55827."""

from __future__ import annotations

import pytest

from orchestrator.domain.plan import Footprint, KvCacheLayout, KvGroup, MemoryTerm, Term, Verdict
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, ByteRange
from orchestrator.memory.co_tenants import start_together

RTX_5090, RTX_6000_ADA = 31.37, 47.4


def engine(
    total_gib: float, inside_gib: float, release: str = "0.28.0", required: int = 1, fixed: int | None = None
) -> Footprint:
    """An engine that takes so much before its KV cache, and half a GiB of context."""
    terms = (
        MemoryTerm(term=Term.WEIGHTS, size=ByteRange.exactly(round(inside_gib * GIB)), in_budget=True, source=""),
        MemoryTerm(term=Term.CONTEXT, size=ByteRange.exactly(GIB // 2), in_budget=False, source=""),
    )
    return Footprint(
        cuda_total=ByteRange.exactly(round(total_gib * GIB)),
        terms=terms,
        kv=KvCacheLayout(block_bytes=1 << 20, groups=(KvGroup(block_tokens=16),)),
        max_model_len=4096,
        kv_required_bytes=required,
        fixed_kv_bytes=fixed,
        release=Release.of(release),
    )


ASR, ALIGNER = 0.35, 0.20
"""What the two of issue 55827 asked for."""


@pytest.mark.parametrize(
    ("total_gib", "alone", "together"),
    [(RTX_5090, (4.72, 2.82), (1.84, -3.21)), (RTX_6000_ADA, (10.82, 6.50), (9.01, -0.01))],
)
def test_what_was_printed_lies_within_what_is_said(
    total_gib: float, alone: tuple[float, float], together: tuple[float, float]
) -> None:
    asr = engine(total_gib, ASR * total_gib - alone[0])
    aligner = engine(total_gib, ALIGNER * total_gib - alone[1])
    found = start_together(asr, ASR, [(aligner, ALIGNER)]), start_together(aligner, ALIGNER, [(asr, ASR)])
    assert [each.alone.expected / GIB for each in found] == pytest.approx(alone, abs=0.01)
    for each, printed in zip(found, together, strict=True):
        assert each.together.low <= printed * GIB <= each.together.high
        assert each.together.expected <= each.alone.expected


def test_a_smaller_neighbour_takes_more_from_the_one_with_less() -> None:
    large, small = engine(RTX_5090, 6.26), engine(RTX_5090, 3.45)
    with_small = start_together(large, ASR, [(small, ALIGNER)]).together
    with_large = start_together(small, ALIGNER, [(large, ASR)]).together
    assert with_small.expected / GIB == pytest.approx(1.27, abs=0.01)
    assert with_large.expected / GIB == pytest.approx(-3.44, abs=0.01)


@pytest.mark.parametrize(
    ("required_gib", "verdict"), [(2.0, Verdict.STARTS), (3.0, Verdict.TOO_CLOSE), (6.0, Verdict.REFUSES)]
)
def test_the_verdict_holds_over_all_ways_in_which_starts_can_overlap(required_gib: float, verdict: Verdict) -> None:
    this = engine(20.0, 5.0, required=int(required_gib * GIB))
    assert start_together(this, 0.5, [(engine(20.0, 1.0), 0.1)]).verdict is verdict


def test_a_fixed_cache_does_not_mind_neighbours() -> None:
    this = engine(20.0, 5.0, required=GIB, fixed=2 * GIB)
    found = start_together(this, 0.5, [(engine(20.0, 9.0), 0.45)])
    assert found.together == found.alone == ByteRange.exactly(2 * GIB)
    assert found.verdict is Verdict.STARTS


def test_alone_nothing_is_lost() -> None:
    found = start_together(engine(20.0, 5.0), 0.5, [])
    assert found.together == found.alone
