"""A plan, and how it is rendered -> the plan to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.domain.inventory import Host
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Placement, Plan, WorkerPlan
from orchestrator.domain.profile import Deployment
from orchestrator.domain.saved_plan import SavedGpu, SavedHost, SavedPlan, SavedService, SavedWorker
from orchestrator.memory.prediction import claim_bytes
from orchestrator.render.compose_service import is_host_path, service_configuration


def saved_plan(plan: Plan, *, deployment: Deployment, facts: Mapping[str, ModelFacts]) -> SavedPlan:
    """What is kept of a plan that holds. `deployment` has its host paths as they are rendered; `facts` by service."""
    return SavedPlan(
        project=plan.project,
        release=plan.release,
        image=deployment.image,
        services=tuple(
            _service(placement, plan=plan, deployment=deployment, facts=facts[placement.service])
            for placement in plan.placements
        ),
        hosts=tuple(_host(host) for host in plan.inventory.hosts),
        source=plan.inventory.source,
        is_example=plan.inventory.is_example,
    )


def with_what_was_known(new: SavedPlan, old: SavedPlan | None) -> SavedPlan:
    """What the old plan knew of the same image and the same models, and the new one does not: digest and commits."""
    if old is None:
        return new
    digest = old.image_digest if old.image == new.image else None
    services = tuple(_with_commit(service, old.service(service.name)) for service in new.services)
    return replace(new, image_digest=new.image_digest or digest, services=services)


def current_gpus(old: SavedPlan | None) -> dict[str, tuple[str, ...]]:
    """Where every service is now, by GPU UUID: what the planner is told so that it stays there if it can."""
    return {} if old is None else {service.name: service.gpu_uuids for service in old.services}


def _with_commit(new: SavedService, old: SavedService | None) -> SavedService:
    is_same_model = old is not None and (old.model, old.revision) == (new.model, new.revision)
    return replace(new, commit=old.commit) if old is not None and is_same_model and new.commit is None else new


def _service(placement: Placement, *, plan: Plan, deployment: Deployment, facts: ModelFacts) -> SavedService:
    profile = deployment.service(placement.service)
    configuration, digest = service_configuration(placement, deployment=deployment, facts=facts, plan=plan)
    return SavedService(
        name=placement.service,
        model=profile.model,
        revision=profile.revision,
        commit=None if is_host_path(profile.model) else facts.revision,
        host=placement.host,
        port=placement.port,
        granted=placement.granted,
        reductions=placement.reductions,
        workers=tuple(_worker(worker, placement.utilization) for worker in placement.workers),
        configuration=configuration,
        config_hash=digest,
    )


def _worker(worker: WorkerPlan, utilization: float) -> SavedWorker:
    return SavedWorker(
        gpu_uuid=worker.gpu_uuid,
        budget_bytes=worker.budget_bytes,
        claim_bytes=claim_bytes(worker.footprint, utilization),
        kv_cache=worker.prediction.kv_cache,
        kv_tokens=worker.prediction.kv_tokens,
        concurrency=worker.prediction.concurrency,
    )


def _host(host: Host) -> SavedHost:
    gpus = sorted(host.gpus, key=lambda gpu: gpu.index)
    return SavedHost(
        name=host.name,
        gpus=tuple(
            SavedGpu(index=gpu.index, uuid=gpu.uuid, name=gpu.name, total_bytes=gpu.total_bytes) for gpu in gpus
        ),
        driver_version=host.driver_version,
        cuda_version=host.cuda_version,
    )
