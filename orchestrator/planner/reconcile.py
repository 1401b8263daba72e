"""An old state and a new plan -> what would change: operations with their causes, in which order, and what drifted."""

from __future__ import annotations

from orchestrator.domain.operations import Changes, Operation, OperationKind
from orchestrator.domain.saved_plan import SavedPlan, SavedService
from orchestrator.planner.causes import Side, causes_of, start_order_cause
from orchestrator.planner.changeover import changeover
from orchestrator.planner.drift import drift_of


def reconcile(old: SavedPlan | None, new: SavedPlan, *, compose_sha256: str | None = None) -> Changes:
    """One operation for each service of either, in the order of the plan; those that go come last.

    Against itself a plan only keeps. `compose_sha256`: of the compose file beside a lock file, as it is now.
    """
    planned = tuple(_planned(old, new, service) for service in new.services)
    gone = tuple(_removed(service) for service in old.services if new.service(service.name) is None) if old else ()
    operations = (*planned, *gone)
    drift = () if old is None else drift_of(old, new, compose_sha256)
    return Changes(operations=operations, steps=changeover(operations), drift=drift)


def _planned(old: SavedPlan | None, new: SavedPlan, after: SavedService) -> Operation:
    before = None if old is None else old.service(after.name)
    if old is None or before is None:
        return Operation(kind=OperationKind.CREATE, service=after.name, before=None, after=after)
    if before.config_hash != after.config_hash:
        causes = causes_of(Side(plan=old, service=before), Side(plan=new, service=after))
        kind = OperationKind.RECREATE
    elif before.start_after != after.start_after:
        causes, kind = (start_order_cause(before, after),), OperationKind.UPDATE
    else:
        causes, kind = (), OperationKind.KEEP
    return Operation(kind=kind, service=after.name, before=before, after=after, causes=causes)


def _removed(before: SavedService) -> Operation:
    return Operation(kind=OperationKind.REMOVE, service=before.name, before=before, after=None)
