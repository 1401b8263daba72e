"""What is otherwise than a saved plan has it although no profile changed: cards, drivers, files, published models."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.operations import Drift, DriftKind
from orchestrator.domain.saved_plan import SavedGpu, SavedHost, SavedPlan
from orchestrator.domain.units import as_gib


def drift_of(old: SavedPlan, new: SavedPlan, compose_sha256: str | None) -> tuple[Drift, ...]:
    """`compose_sha256` is that of the compose file as it is now; None where it is gone. Only lock files know of one."""
    return (*_compose(old, compose_sha256), *_inventory(old, new), *_models(old, new))


def _compose(old: SavedPlan, found: str | None) -> Iterator[Drift]:
    if old.compose is None or old.compose.sha256 == found:
        return
    kind = DriftKind.COMPOSE_GONE if found is None else DriftKind.COMPOSE_EDITED
    yield Drift(kind=kind, subject=old.compose.name, before=old.compose.sha256, after=found or "")


def _inventory(old: SavedPlan, new: SavedPlan) -> Iterator[Drift]:
    if old.is_example != new.is_example:
        yield Drift(kind=DriftKind.EXAMPLE, subject="GPUs", before=old.source, after=new.source)
        return
    hosts = {host.name: host for host in new.hosts}
    for host in old.hosts:
        now = hosts.get(host.name)
        if now is None:
            yield Drift(
                kind=DriftKind.HOST_GONE, subject=host.name, before=host.name, after="", services=_on(old, host)
            )
        else:
            yield from _host(old, host, now)
    known = {host.name for host in old.hosts}
    for host in new.hosts:
        if host.name not in known:
            yield Drift(kind=DriftKind.HOST_NEW, subject=host.name, before="", after=host.name)


def _host(old: SavedPlan, before: SavedHost, after: SavedHost) -> Iterator[Drift]:
    versions = (
        (DriftKind.DRIVER, before.driver_version, after.driver_version),
        (DriftKind.CUDA, before.cuda_version, after.cuda_version),
    )
    for kind, was, now in versions:
        if was is not None and now is not None and was != now:
            yield Drift(kind=kind, subject=before.name, before=was, after=now)
    cards = {gpu.uuid: gpu for gpu in after.gpus}
    known = {gpu.uuid for gpu in before.gpus}
    arrived = {gpu.index: gpu for gpu in after.gpus if gpu.uuid not in known}
    for gpu in before.gpus:
        card = cards.get(gpu.uuid)
        if card is None:
            yield _gone(old, gpu, arrived.pop(gpu.index, None))
        else:
            yield from _same_card(old, gpu, card)
    for gpu in arrived.values():
        yield Drift(kind=DriftKind.GPU_NEW, subject=_label(gpu), before="", after=_card(gpu))


def _gone(old: SavedPlan, gpu: SavedGpu, instead: SavedGpu | None) -> Drift:
    kind = DriftKind.GPU_GONE if instead is None else DriftKind.GPU_REPLACED
    after = "" if instead is None else _card(instead)
    return Drift(kind=kind, subject=_label(gpu), before=_card(gpu), after=after, services=_using(old, gpu))


def _same_card(old: SavedPlan, before: SavedGpu, after: SavedGpu) -> Iterator[Drift]:
    if before.index != after.index:
        was, now, users = _label(before), _label(after), _using(old, before)
        yield Drift(kind=DriftKind.GPU_RENUMBERED, subject=before.uuid, before=was, after=now, services=users)
    if before.total_bytes != after.total_bytes:
        was, now = (f"{as_gib(gpu.total_bytes):.2f} GiB" for gpu in (before, after))
        if was == now:
            was, now = (f"{gpu.total_bytes:,} bytes" for gpu in (before, after))
        users = _using(old, before)
        yield Drift(kind=DriftKind.GPU_MEMORY, subject=_label(after), before=was, after=now, services=users)


def _models(old: SavedPlan, new: SavedPlan) -> Iterator[Drift]:
    """A model that is not pinned to a revision and was published anew: whoever starts it now loads something else."""
    for service in new.services:
        before = old.service(service.name)
        if before is None or (before.model, before.revision) != (service.model, service.revision):
            continue
        if before.commit is not None and service.commit is not None and before.commit != service.commit:
            yield Drift(
                kind=DriftKind.MODEL_MOVED,
                subject=service.model,
                before=before.commit,
                after=service.commit,
                services=(service.name,),
            )


def _label(gpu: SavedGpu) -> str:
    return f"GPU {gpu.index}"


def _card(gpu: SavedGpu) -> str:
    return f"{gpu.name} ({gpu.uuid})"


def _using(plan: SavedPlan, gpu: SavedGpu) -> tuple[str, ...]:
    return tuple(service.name for service in plan.services if gpu.uuid in service.gpu_uuids)


def _on(plan: SavedPlan, host: SavedHost) -> tuple[str, ...]:
    return tuple(service.name for service in plan.services if service.host == host.name)
