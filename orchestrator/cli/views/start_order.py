"""Who starts when, and why co-tenants of a GPU do not start together."""

from __future__ import annotations

from orchestrator.domain.plan import Placement, Plan, Verdict
from orchestrator.domain.units import as_gib
from orchestrator.memory.co_tenants import start_together


def in_starting_order(plan: Plan) -> list[Placement]:
    """Those that wait for nobody first, then by name."""
    return sorted(plan.placements, key=lambda each: (len(each.start_after), each.service))


def when(placement: Placement) -> str:
    """`at once`, or after whom."""
    return f"after {', '.join(placement.start_after)} is healthy" if placement.start_after else "at once"


def why_it_waits(plan: Plan, placement: Placement) -> str:
    """What a service would find for its KV cache if it started together with those that it waits for; "" when it
    waits for nobody, or when there is nothing to say about that.
    """
    before = [plan.placement(name) for name in placement.start_after]
    for worker in placement.workers:
        beside = [
            (other.footprint, each.utilization)
            for each in before
            for other in each.workers
            if other.gpu_uuid == worker.gpu_uuid
        ]
        found = start_together(worker.footprint, placement.utilization, beside)
        if beside and worker.footprint.fixed_kv_bytes is not None:
            size = as_gib(found.together.expected)
            return (
                f"started together, after a crash say, it would have the same {size:.2f} GiB of KV cache, which is"
                " fixed; one after the other keeps the peaks of loading apart"
            )
        if beside and found.verdict is not Verdict.STARTS:
            needed = as_gib(worker.footprint.kv_required_bytes)
            return (
                f"started together, it would book the loading of {', '.join(placement.start_after)} as its own: about"
                f" {max(0.0, as_gib(found.together.expected)):.2f} GiB for its KV cache instead of"
                f" {as_gib(found.alone.expected):.2f}, and one request needs {needed:.2f}"
            )
    return ""
