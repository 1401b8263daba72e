"""Where saved plans and lock files lie, how they are read, and what would change against one."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.domain.diagnostics import Diagnostic, Report
from orchestrator.domain.operations import Changes
from orchestrator.domain.profile import Deployment
from orchestrator.domain.saved_plan import SavedPlan

if TYPE_CHECKING:
    from orchestrator.adapters.output_file import GeneratedFile
    from orchestrator.cli.planning import PlannedProject

_COMPOSE_NAME, _LOCK_NAME = "compose.yaml", "orchestrate.lock.json"
_MAX_BYTES = 16 * 1024 * 1024
"""A service takes some 5 kB."""


def compose_target(deployment: Deployment) -> Path:
    """Where the compose file of a project goes unless the user says otherwise."""
    return Path("compose") / deployment.project / _COMPOSE_NAME


def lock_beside(target: Path) -> Path:
    """The lock file of a compose file; one with a name of its own has a lock file of its own."""
    return target.with_name(_LOCK_NAME if target.name == _COMPOSE_NAME else f"{target.name}.lock.json")


def lock_if_there(target: Path) -> Path | None:
    """The lock file of a compose file where there is one, be it a link to nothing."""
    lock = lock_beside(target)
    return lock if os.path.lexists(lock) else None


def read_saved_plan(path: Path, deployment: Deployment, report: Report, sources: dict[str, str]) -> SavedPlan | None:
    """The saved plan; None, and the findings in the report, where it cannot be read or is of another project."""
    from orchestrator.adapters.files import read_text
    from orchestrator.config.saved_plan_file import parse_saved_plan

    shown = str(path)
    text = read_text(path, max_bytes=_MAX_BYTES, wanted="a saved plan or a lock file")
    if isinstance(text, Diagnostic):
        report.add(text)
        return None
    sources[shown] = text
    parsed = parse_saved_plan(text, shown, project=deployment.project)
    if isinstance(parsed, SavedPlan):
        return parsed
    report.extend(parsed)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A plan to keep, and what it changes of the one before."""

    new: SavedPlan
    changes: Changes


def compare(planned: PlannedProject, target: Path | None = None) -> Comparison | None:
    """What would change; None where there is no plan that holds.

    Host paths are seen from `target`, else from the compose file beside the lock file, else from its usual place.
    """
    from orchestrator.cli.host_paths import with_paths_seen_from
    from orchestrator.planner.reconcile import reconcile
    from orchestrator.planner.saving import saved_plan, with_what_was_known

    if planned.plan is None or planned.deployment is None or not planned.holds:
        return None
    before, lock = planned.before, planned.against
    found = None
    if before is not None and before.compose is not None and lock is not None:
        target = target or lock.with_name(before.compose.name)
        found = _hash_of(lock.with_name(before.compose.name), planned.report)
    directory = (target or compose_target(planned.deployment)).parent
    deployment = with_paths_seen_from(planned.deployment, directory)
    new = with_what_was_known(saved_plan(planned.plan, deployment=deployment, facts=planned.facts), before)
    return Comparison(new=new, changes=reconcile(before, new, compose_sha256=found))


def _hash_of(compose: Path, report: Report) -> str | None:
    """The SHA-256 of a compose file; None where there is none. One that cannot be read is an error."""
    import hashlib

    from orchestrator.adapters.files import finding_of, read_bytes

    content = read_bytes(compose, max_bytes=_MAX_BYTES, wanted="a compose file")
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    if not os.path.lexists(compose):
        return None
    report.add(finding_of(content, str(compose)))
    return ""


def lock_file(new: SavedPlan, target: Path, text: str) -> GeneratedFile:
    """The lock file to write beside a compose file with that text."""
    from orchestrator.domain.saved_plan import ComposeFile

    locked = replace(new, compose=ComposeFile.of(target.name, text))
    return _generated(lock_beside(target), locked, maker="orchestrate render", elsewhere="--output")


def saved_file(new: SavedPlan, path: Path) -> GeneratedFile:
    """The saved plan to write where `plan --out` says."""
    return _generated(path, new, maker="orchestrate plan --out", elsewhere="--out")


def _generated(path: Path, plan: SavedPlan, *, maker: str, elsewhere: str) -> GeneratedFile:
    from orchestrator.adapters.output_file import GeneratedFile
    from orchestrator.config.saved_plan_file import file_mark, saved_plan_text

    return GeneratedFile(path=path, text=saved_plan_text(plan), mark=file_mark(plan), maker=maker, elsewhere=elsewhere)
