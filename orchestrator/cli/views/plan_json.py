"""The plan as programs read it: complete, stable, whole bytes; `orchestrate-plan` is the version of the format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.plan import MemoryTerm, Placement, Plan, Prediction, Reduction, WorkerPlan
from orchestrator.domain.units import ByteRange

FORMAT_VERSION = 1


def render_plan_json(
    plan: Plan | None, findings: Iterable[Diagnostic], changes: Mapping[str, object] | None = None
) -> str:
    """One JSON document; `plan` is null when findings stood in the way of planning, `changes` when no plan holds."""
    from orchestrator.cli.views.diagnostics import finding_as_dict

    document = {
        "orchestrate-plan": FORMAT_VERSION,
        "feasible": plan is not None and plan.is_feasible,
        "plan": None if plan is None else plan_as_dict(plan),
        "changes": changes,
        "findings": [finding_as_dict(finding) for finding in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def plan_as_dict(plan: Plan) -> dict[str, object]:
    return {
        "project": plan.project,
        "vllm_release": str(plan.release),
        "inventory": plan.inventory.source,
        "gpus": [
            {
                "host": host.name,
                "index": gpu.index,
                "uuid": gpu.uuid,
                "name": gpu.name,
                "total_bytes": gpu.total_bytes,
                "free_bytes": gpu.free_bytes,
            }
            for host in plan.inventory.hosts
            for gpu in host.gpus
        ],
        "placements": [_placement(placement) for placement in plan.placements],
        "search": list(plan.search_notes),
    }


def _placement(placement: Placement) -> dict[str, object]:
    return {
        "service": placement.service,
        "host": placement.host,
        "gpu_indices": list(placement.gpu_indices),
        "gpu_uuids": list(placement.gpu_uuids),
        "port": placement.port,
        "gpu_memory_utilization": placement.utilization,
        "granted": dict(placement.granted),
        "reductions": [_reduction(each) for each in placement.reductions],
        "start_after": list(placement.start_after),
        "workers": [_worker(worker) for worker in placement.workers],
    }


def _reduction(reduction: Reduction) -> dict[str, object]:
    return {
        "flag": reduction.flag,
        "asked": reduction.asked,
        "granted": reduction.granted,
        "reason": reduction.reason,
    }


def _worker(worker: WorkerPlan) -> dict[str, object]:
    footprint = worker.footprint
    return {
        "gpu_uuid": worker.gpu_uuid,
        "cuda_total_bytes": _range(footprint.cuda_total),
        "budget_bytes": worker.budget_bytes,
        "terms": [_term(term) for term in footprint.terms],
        "kv_cache_required_bytes": footprint.kv_required_bytes,
        "kv_cache_block_bytes": footprint.kv.block_bytes,
        "max_model_len": footprint.max_model_len,
        "prediction": _prediction(worker.prediction),
    }


def _term(term: MemoryTerm) -> dict[str, object]:
    return {
        "term": term.term.value,
        "in_budget": term.in_budget,
        "bytes": _range(term.size),
        "source": term.source,
    }


def _prediction(prediction: Prediction) -> dict[str, object]:
    return {
        "verdict": prediction.verdict.value,
        "reason": prediction.reason,
        "kv_cache_bytes": _range(prediction.kv_cache),
        "kv_tokens": _interval(prediction.kv_tokens),
        "full_length_requests": _interval(prediction.concurrency),
        "longest_max_model_len": prediction.longest_model_len,
    }


def _range(size: ByteRange) -> dict[str, int]:
    return {"low": size.low, "expected": size.expected, "high": size.high}


def _interval(values: tuple[float, float, float]) -> dict[str, float]:
    low, expected, high = values
    return {"low": low, "expected": expected, "high": high}
