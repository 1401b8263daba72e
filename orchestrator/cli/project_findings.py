"""What is wrong with a set of paths, in the words of findings: files that are missing, foreign, unlisted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.adapters.files import nearest_file_name
from orchestrator.domain.diagnostics import Diagnostic, Severity, Span, repeated
from orchestrator.domain.profile import Deployment
from orchestrator.domain.release import Release

if TYPE_CHECKING:
    from orchestrator.config.yaml_nodes import Document


def several(deployments: Sequence[Deployment]) -> Diagnostic:
    files = [each.places.file for each in deployments]
    return Diagnostic(
        code="E136",
        message=f"{len(files)} deployments, and one can be planned at a time",
        notes=tuple(f"`{file}` is one" for file in files),
        help=(f"name the one you mean, such as `{files[0]}`",),
    )


def nothing_there(paths: Sequence[str]) -> Diagnostic:
    shown = ", ".join(f"`{repeated(path)}`" for path in paths)
    return Diagnostic(
        code="E128",
        message=f"no profiles in {shown}",
        span=Span(file=paths[0]) if paths else None,
        help=("name a directory with a deployment file and service files, or the files themselves",),
    )


def empty_path() -> Diagnostic:
    help_ = "name a directory of profiles or a file; `.` is the directory that you are in"
    return Diagnostic(code="E120", message="an empty text names no file and no directory", help=(help_,))


def at_the_list(finding: Diagnostic, path: str, listed_at: Span | None, listed: frozenset[str]) -> Diagnostic:
    """A file that cannot be read is the fault of the line that names it; one with bad bytes is its own. A file that is
    listed already is not offered for one that is missing."""
    if listed_at is None or finding.code == "E123":
        return finding
    finding = replace(finding, span=listed_at, label="listed here")
    if finding.code != "E120" or nearest_file_name(Path(path)) is None:
        return finding
    near = nearest_file_name(Path(path), but=listed)
    return replace(finding, help=(f"did you mean `{near}`?" if near else "write that file, or remove it here",))


def no_profile(file: str) -> Diagnostic:
    return Diagnostic(
        code="W131",
        message=f"`{file}` is no profile and was left out",
        severity=Severity.WARNING,
        span=Span(file=file),
        help=("move it to another directory, or write a service (`service:`, `model:`) in it",),
    )


def not_listed(document: Document, deployment_file: str) -> Diagnostic:
    name = os.path.relpath(document.file, os.path.dirname(deployment_file) or ".")
    return Diagnostic(
        code="W130",
        message=f"no deployment lists `{document.file}`",
        severity=Severity.WARNING,
        span=Span(file=document.file),
        help=(f"add `{name}` to `services` in {deployment_file}, or remove the file",),
    )


def not_a_service(path: str, listed_at: Span, *, is_itself: bool) -> Diagnostic:
    return Diagnostic(
        code="E138",
        message=f"`{path}` lists itself" if is_itself else f"`{path}` is a deployment file",
        span=listed_at,
        label="wants a service file",
        help=("list service files only",),
    )


def without_deployment(services: Sequence[Document], release: Release, *, is_chosen: bool) -> Diagnostic:
    files = ", ".join(f"`{document.file}`" for document in services[:3]) + (" and others" if len(services) > 3 else "")
    why = "as asked" if is_chosen else "the newest known release"
    return Diagnostic(
        code="N101",
        message=f"checked against vLLM {release}, {why}",
        severity=Severity.NOTE,
        span=Span(file=services[0].file),
        notes=(f"no deployment file beside {files} lists {'it' if len(services) == 1 else 'them'}",),
        help=("pin a release with `vllm-release` in a deployment file, or with `--release`",),
    )
