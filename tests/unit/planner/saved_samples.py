"""Saved plans that the tests of changes share."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.operations import Changes
from orchestrator.domain.profile import Deployment, ServiceProfile
from orchestrator.domain.saved_plan import SavedPlan
from orchestrator.planner import plan
from orchestrator.planner.saving import saved_plan
from tests.unit.planner.planner_samples import deployment, facts_for


def saved(
    inventory: Inventory,
    *services: ServiceProfile,
    of: Deployment | None = None,
    facts: Mapping[str, ModelFacts] | None = None,
) -> SavedPlan:
    """The plan of some services on some GPUs, which must be feasible, as it is kept."""
    project = of or deployment(*services)
    known = facts or facts_for(*project.services)
    planned = plan(deployment=project, facts=known, inventory=inventory)
    assert planned.is_feasible, planned.rejections
    return saved_plan(planned, deployment=project, facts=known)


def told(changes: Changes) -> list[str]:
    """Every operation in a line: `recreate mini: max-model-len 8192 -> 32768`."""
    lines = []
    for each in changes.operations:
        causes = ", ".join(f"{cause.key} {cause.before} -> {cause.after}" for cause in each.causes)
        lines.append(f"{each.kind.value} {each.service}" + (f": {causes}" if causes else ""))
    return lines


def steps(changes: Changes) -> list[str]:
    return [f"{step.action.value} {step.service}" for step in changes.steps]
