"""The plans of a project before and after a migration, on the same GPUs with the same model facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cli.planning import facts_of_services
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.failures import OutsideFailure
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.profile import Deployment
from orchestrator.domain.release import Release

if TYPE_CHECKING:
    from orchestrator.cli.migrating import Migration
    from orchestrator.planner.comparison import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One deployment under two releases on some GPUs."""

    project: str
    gpus: str
    source: Release
    target: Release
    differences: tuple[Difference, ...]


def compare_deployments(
    migration: Migration, inventory_option: str | None, report: Report, sources: dict[str, str], *, offline: bool
) -> Iterator[Compared]:
    """Every deployment that changes its release. Without an inventory option this machine's GPUs are asked, and where
    there are none nothing is compared; nor is a hub asked then."""
    pairs = list(_pairs(migration))
    inventory = _inventory(inventory_option, report, sources) if pairs else None
    if inventory is None:
        return
    is_asked = inventory_option is not None
    for before, after in pairs:
        compared = _compared(before, after, inventory, report if is_asked else Report(), offline or not is_asked)
        if compared is not None:
            yield compared


def _pairs(migration: Migration) -> Iterator[tuple[Deployment, Deployment]]:
    after = {each.places.file: each for each in migration.after.deployments}
    for each in migration.before.deployments:
        other = after.get(each.places.file)
        if other is not None and other.release != each.release:
            yield each, other


def _inventory(option: str | None, report: Report, sources: dict[str, str]) -> Inventory | None:
    from orchestrator.cli.inventory import read_inventory_option

    try:
        answer = read_inventory_option(option, report=Report(), sources=sources)
    except OutsideFailure:
        return None
    if isinstance(answer, Inventory):
        return answer
    report.extend(answer)
    return None


def _compared(
    before: Deployment, after: Deployment, inventory: Inventory, report: Report, offline: bool
) -> Compared | None:
    from orchestrator.planner import plan
    from orchestrator.planner.comparison import compare

    facts, _ = facts_of_services(report, before, offline=offline)
    if len(facts) < len(before.services):
        return None
    plans = [plan(deployment=each, facts=facts, inventory=inventory) for each in (before, after)]
    return Compared(
        project=before.project,
        gpus=inventory.source,
        source=before.release,
        target=after.release,
        differences=compare(*plans),
    )
