"""What happens when co-tenants of a GPU start at the same time: each takes its neighbours' loading for its own.

From 0.6.5 to 0.7.3 and from 0.9.1 on vLLM books whatever leaves the device's free memory between its first look and the
end of its profile run; in between (0.8.0 to 0.9.0.1) it books neighbours at any time. Issue 55827 of vLLM has the
figures of two models on an RTX 5090: 4.72 and 2.82 GiB of KV cache one after the other, 1.84 and -3.21 GiB together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.plan import Footprint, Verdict
from orchestrator.domain.units import ByteRange
from orchestrator.memory.prediction import budget_bytes, claim_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TogetherStart:
    """KV cache in bytes of one worker when it starts alone and when its neighbours start at the same time, and what
    vLLM does then. `together.high` is that of starts that happen not to overlap.
    """

    alone: ByteRange
    together: ByteRange
    verdict: Verdict


def start_together(fp: Footprint, utilization: float, neighbours: Sequence[tuple[Footprint, float]]) -> TogetherStart:
    """A worker that is profiled while `neighbours`, each with its utilization, start on the same GPU.

    Most likely all that they take before their KV cache appears within its window; at worst they are done by then, and
    all that they ever take does. A fixed KV cache (`kv-cache-memory-bytes`) is out of reach of that.
    """
    if fp.fixed_kv_bytes is not None:
        fixed = ByteRange.exactly(fp.fixed_kv_bytes)
        return TogetherStart(alone=fixed, together=fixed, verdict=_verdict(fixed, fp.kv_required_bytes))
    budget, inside = budget_bytes(fp, utilization), fp.inside
    alone = ByteRange(budget.low - inside.high, budget.expected - inside.expected, budget.high - inside.low)
    booked = sum(neighbour.inside.expected for neighbour, _ in neighbours)
    most = sum(max(claim_bytes(neighbour, share), neighbour.inside.high) for neighbour, share in neighbours)
    together = ByteRange(alone.low - max(most, booked), alone.expected - booked, alone.high)
    return TogetherStart(alone=alone, together=together, verdict=_verdict(together, fp.kv_required_bytes))


def _verdict(kv_cache: ByteRange, required_bytes: int) -> Verdict:
    if kv_cache.low >= max(1, required_bytes):
        return Verdict.STARTS
    return Verdict.REFUSES if kv_cache.high < max(1, required_bytes) else Verdict.TOO_CLOSE
