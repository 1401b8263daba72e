"""From paths to a plan: the one road that `plan` and `render` (and later `up`) take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.domain.diagnostics import Diagnostic, Report, Severity, Span
from orchestrator.domain.failures import OutsideFailure
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Plan, Rejection
from orchestrator.domain.profile import Deployment, ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.domain.saved_plan import SavedPlan
from orchestrator.domain.units import as_gib


@dataclass(slots=True)
class PlannedProject:
    """What the road led to: as far as it was passable. `plan` is None when findings stood in the way.

    `before` is what an earlier plan left, read from `against`; None where nothing was left or asked for.
    """

    report: Report = field(default_factory=Report)
    sources: dict[str, str] = field(default_factory=dict)
    deployment: Deployment | None = None
    facts: Mapping[str, ModelFacts] = field(default_factory=dict)
    plan: Plan | None = None
    against: Path | None = None
    before: SavedPlan | None = None
    outside_failed: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """An outside tool that failed outweighs findings: without it nobody knows whether they are right."""
        if self.outside_failed:
            return ExitCode.OUTSIDE
        return ExitCode.FINE if self.holds else ExitCode.FINDINGS

    @property
    def holds(self) -> bool:
        """Every service has its place, and nothing else is wrong."""
        return self.plan is not None and self.plan.is_feasible and not self.report.has_errors


def make_plan(
    paths: Sequence[str],
    *,
    inventory_option: str | None,
    offline: bool,
    against: Callable[[Deployment], Path | None] = lambda deployment: None,
) -> PlannedProject:
    """Read the profiles, learn about models and GPUs, and plan. Findings are collected in `report`.

    `against` says which saved plan the deployment is held against. Raises OutsideFailure where the driver fails; a hub
    that fails is a finding and `outside_failed`.
    """
    from orchestrator.cli.project import read_project
    from orchestrator.cli.saved_plans import read_saved_plan

    project = read_project(paths)
    planned = PlannedProject(report=project.report, sources=project.sources, deployment=project.deployment)
    if project.deployment is None or project.report.has_errors:
        return planned
    planned.against = against(project.deployment)
    if planned.against is not None:
        planned.before = read_saved_plan(planned.against, project.deployment, planned.report, planned.sources)
    _plan_deployment(planned, project.deployment, inventory_option=inventory_option, offline=offline)
    return planned


def _plan_deployment(
    planned: PlannedProject, deployment: Deployment, *, inventory_option: str | None, offline: bool
) -> None:
    from orchestrator.cli.inventory import read_inventory_option
    from orchestrator.planner import plan
    from orchestrator.planner.saving import current_gpus

    planned.facts, planned.outside_failed = facts_of_services(planned.report, deployment, offline=offline)
    inventory = read_inventory_option(inventory_option, report=planned.report, sources=planned.sources)
    if isinstance(inventory, tuple):
        planned.report.extend(inventory)
        return
    if len(planned.facts) < len(deployment.services):
        return
    current = current_gpus(planned.before)
    planned.plan = plan(deployment=deployment, facts=planned.facts, inventory=inventory, current=current)
    planned.report.extend(finding_of(each, deployment, Severity.ERROR) for each in planned.plan.rejections)
    planned.report.extend(finding_of(each, deployment, Severity.WARNING) for each in planned.plan.warnings)


def facts_of_services(report: Report, deployment: Deployment, *, offline: bool) -> tuple[dict[str, ModelFacts], bool]:
    """Facts by service, and whether an outside tool failed; what is not to be had is a finding at the line that names
    the model."""
    from orchestrator.adapters.model_source import find_model_facts

    found: dict[str, ModelFacts] = {}
    outside_failed = False
    for service in deployment.services:
        directory = Path(service.places.file).parent
        try:
            answer = find_model_facts(service.model, service.revision, offline=offline, base_directory=directory)
        except OutsideFailure as failure:
            outside_failed = True
            answer = failure.finding
        if isinstance(answer, Diagnostic):
            report.add(replace(answer, span=answer.span or service.places.value(("model",))))
        else:
            found[service.name] = answer
    return found, outside_failed


def finding_of(rejection: Rejection, deployment: Deployment, severity: Severity) -> Diagnostic:
    """A rejection of the planner, joined to the line that the user wrote."""
    service = deployment.service(rejection.service)
    numbers = _numbers(rejection)
    return Diagnostic(
        code=rejection.code,
        message=rejection.message,
        severity=severity,
        span=_blamed(service, rejection, deployment.release),
        label=_label(service, rejection, deployment.release),
        notes=(*numbers, *rejection.notes),
        help=rejection.help,
    )


def _blamed(service: ServiceProfile, rejection: Rejection, release: Release) -> Span:
    """Where the blame stands; for what nobody wrote the `vllm:` key or, without one, the model."""
    match rejection.blame:
        case ("vllm", str(flag)) if (key := _written_key(service, flag, release)) is not None:
            return service.flag_value(key)
        case path if any(path[:length] in service.places.keys for length in range(1, len(path) + 1)):
            return service.places.value(path)
        case _:
            return service.places.value(("model",))


def _label(service: ServiceProfile, rejection: Rejection, release: Release) -> str:
    """Says so where the blame is on a value that was never written."""
    match rejection.blame:
        case ("vllm", str(flag)) if _written_key(service, flag, release) is None:
            return f"`{flag}` is not set here: the default counts"
        case _:
            return ""


def _written_key(service: ServiceProfile, flag: str, release: Release) -> str | None:
    """The key under which the user wrote a flag, in whatever spelling."""
    from orchestrator.planner.flag_keys import written_key

    return flag if flag in service.vllm else written_key(service.vllm, flag, release)


def _numbers(rejection: Rejection) -> tuple[str, ...]:
    if rejection.asked_bytes is None or rejection.available_bytes is None:
        return ()
    asked, available = as_gib(rejection.asked_bytes), as_gib(rejection.available_bytes)
    return (f"asked: {asked:.2f} GiB, available: {available:.2f} GiB",)
