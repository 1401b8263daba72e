"""What would change, as programs read it."""

from __future__ import annotations

from dataclasses import asdict

from orchestrator.domain.operations import Changes, Operation, OperationKind
from orchestrator.domain.saved_plan import SavedService


def changes_as_dict(changes: Changes, against: str | None) -> dict[str, object]:
    """`against` is the file that was compared with; null: with nothing, so that everything is new."""
    return {
        "against": against,
        "would_change": not changes.is_empty,
        "summary": {kind.value: changes.count(kind) for kind in OperationKind},
        "operations": [_operation(each) for each in changes.operations],
        "steps": [{"action": step.action.value, "service": step.service} for step in changes.steps],
        "drift": [{**asdict(each), "kind": each.kind.value, "services": list(each.services)} for each in changes.drift],
    }


def _operation(operation: Operation) -> dict[str, object]:
    return {
        "kind": operation.kind.value,
        "service": operation.service,
        "downtime": operation.kind in {OperationKind.RECREATE, OperationKind.REMOVE},
        "causes": [asdict(cause) for cause in operation.causes],
        "before": _side(operation.before),
        "after": _side(operation.after),
    }


def _side(service: SavedService | None) -> dict[str, object] | None:
    if service is None:
        return None
    return {
        "host": service.host,
        "gpu_uuids": list(service.gpu_uuids),
        "kv_tokens": service.weakest.kv_tokens[1],
        "config_hash": service.config_hash,
    }
