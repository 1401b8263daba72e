"""Paths of the host as Compose reads them: from the compose file's directory, wherever they were written."""

from __future__ import annotations

from dataclasses import replace
from os.path import relpath
from pathlib import Path

from orchestrator.domain.profile import Deployment, ServiceProfile


def with_paths_seen_from(deployment: Deployment, directory: Path) -> Deployment:
    """The deployment with its relative host paths as Compose reads them: from the compose file's directory.

    Whoever writes a path means it from the file in which it stands.
    """
    written_in = Path(deployment.places.file).parent
    caches = replace(
        deployment.caches,
        huggingface=_seen_from(deployment.caches.huggingface, written_in, directory),
        vllm=_seen_from(deployment.caches.vllm, written_in, directory),
    )
    services = tuple(_service_seen_from(service, directory) for service in deployment.services)
    return replace(deployment, caches=caches, services=services)


def _service_seen_from(service: ServiceProfile, directory: Path) -> ServiceProfile:
    """A model that names a directory beside the profile is that directory, as it was for whoever read its facts."""
    from orchestrator.render.compose_service import is_host_path

    written_in, model = Path(service.places.file).parent, service.model
    if not is_host_path(model) and (written_in / model).is_dir():
        model = f"./{model}"
    return replace(service, model=_seen_from(model, written_in, directory))


def _seen_from(written: str, written_in: Path, directory: Path) -> str:
    if not written.startswith("."):
        return written
    path = relpath(written_in / written, directory)
    return path if path.startswith(".") else f"./{path}"
