"""Why co-tenants wait for each other, in numbers."""

from __future__ import annotations

from orchestrator.cli.views.start_order import in_starting_order, when, why_it_waits
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import (
    Footprint,
    KvCacheLayout,
    KvGroup,
    MemoryTerm,
    Placement,
    Plan,
    Prediction,
    Term,
    Verdict,
    WorkerPlan,
)
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, ByteRange

RELEASE = Release.of("0.32.0")


def placed(
    service: str, gpu: str, inside_gib: float, *, utilization: float = 0.4, after: tuple[str, ...] = ()
) -> Placement:
    """One worker on a card of 24 GiB that needs 2 GiB of KV cache."""
    inside = MemoryTerm(term=Term.WEIGHTS, size=ByteRange.exactly(int(inside_gib * GIB)), in_budget=True, source="")
    footprint = Footprint(
        cuda_total=ByteRange.exactly(24 * GIB),
        terms=(inside,),
        kv=KvCacheLayout(block_bytes=1 << 20, groups=(KvGroup(block_tokens=16),)),
        max_model_len=4096,
        kv_required_bytes=2 * GIB,
        release=RELEASE,
    )
    prediction = Prediction(
        kv_cache=ByteRange.exactly(0), kv_tokens=(0, 0, 0), concurrency=(0.0, 0.0, 0.0), verdict=Verdict.STARTS
    )
    worker = WorkerPlan(gpu_uuid=gpu, budget_bytes=0, footprint=footprint, prediction=prediction)
    return Placement(
        service=service,
        gpu_uuids=(gpu,),
        gpu_indices=(0,),
        host="h",
        port=8000,
        utilization=utilization,
        granted={},
        reductions=(),
        workers=(worker,),
        start_after=after,
    )


def plan_of(*placements: Placement) -> Plan:
    return Plan(project="p", release=RELEASE, inventory=Inventory(hosts=(), source="test"), placements=placements)


def test_a_service_that_waits_says_what_it_would_lose() -> None:
    first, second = placed("big", "GPU-0", 6.0), placed("small", "GPU-0", 3.0, after=("big",))
    plan = plan_of(second, first)
    assert [(each.service, when(each)) for each in in_starting_order(plan)] == [
        ("big", "at once"),
        ("small", "after big is healthy"),
    ]
    assert why_it_waits(plan, first) == ""
    assert why_it_waits(plan, second) == (
        "started together, it would book the loading of big as its own: about 0.60 GiB for its KV cache instead of"
        " 6.60, and one request needs 2.00"
    )


def test_nothing_is_said_where_nothing_would_be_lost() -> None:
    elsewhere, waiting = placed("big", "GPU-1", 6.0), placed("small", "GPU-0", 3.0, after=("big",))
    assert why_it_waits(plan_of(elsewhere, waiting), waiting) == ""
    tiny, large = placed("tiny", "GPU-0", 0.2, utilization=0.1), placed("large", "GPU-0", 2.0, after=("tiny",))
    assert why_it_waits(plan_of(tiny, large), large) == ""
