"""Inventories, services and deployments that the tests of the planner share."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

from orchestrator.catalog.models import find_model
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Plan
from orchestrator.domain.profile import Deployment, FlagValue, Ports, ServiceProfile, Sharing
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB
from orchestrator.planner import plan

SMALL, MIDDLE, LARGE = "Qwen/Qwen3-1.7B-FP8", "Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-32B-AWQ"
YARN: FlagValue = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def gpu(index: int, **changes: Any) -> Gpu:
    """An idle 24 GB Ada card."""
    card = Gpu(
        index=index,
        uuid=f"GPU-{index}",
        name="NVIDIA GeForce RTX 4090",
        total_bytes=24 * GIB,
        free_bytes=int(23.6 * GIB),
        cuda_total_bytes=int(23.6 * GIB),
        compute_capability=(8, 9),
        pcie_generation=4,
        pcie_width=16,
    )
    return replace(card, **changes)


def display(gib_used: float) -> dict[str, Any]:
    """A desktop on a card."""
    process = GpuProcess(pid=123, name="Xorg", used_bytes=int(gib_used * GIB))
    return {"free_bytes": int((23.6 - gib_used) * GIB), "processes": (process,)}


def rig(*gpus: Gpu, near: tuple[tuple[int, int], ...] = (), name: str = "alpha") -> Inventory:
    """One host; pairs in `near` have NVLink, all others go over the host bridge."""
    links = tuple(
        Link(
            first=min(one.uuid, other.uuid),
            second=max(one.uuid, other.uuid),
            kind=LinkKind.NVLINK if (one.index, other.index) in near else LinkKind.HOST_BRIDGE,
            nvlinks=4 if (one.index, other.index) in near else 0,
        )
        for one, other in combinations(gpus, 2)
    )
    return Inventory(hosts=(Host(name=name, gpus=gpus, links=links),), source="test")


def cards(count: int) -> Inventory:
    return rig(*(gpu(index) for index in range(count)))


def service(name: str, model: str = SMALL, **changes: Any) -> ServiceProfile:
    """A service; keywords with the name of a field set it, all others are flags."""
    fields = {key: value for key, value in changes.items() if key in ServiceProfile.__dataclass_fields__}
    flags = {key.replace("_", "-"): value for key, value in changes.items() if key not in fields}
    return ServiceProfile(name=name, model=model, **{"vllm": flags, **fields})


def deployment(*services: ServiceProfile, release: str = "0.32.0", first_port: int = 8001) -> Deployment:
    return Deployment(
        project="test",
        release=Release.of(release),
        image=f"vllm/vllm-openai:v{release}",
        services=services,
        ports=Ports(first=first_port),
    )


def facts_for(*services: ServiceProfile) -> dict[str, ModelFacts]:
    found = {each.name: find_model(each.model) for each in services}
    return {name: facts for name, facts in found.items() if facts is not None}


def planned(inventory: Inventory, *services: ServiceProfile, release: str = "0.32.0") -> Plan:
    return plan(deployment=deployment(*services, release=release), facts=facts_for(*services), inventory=inventory)


def shipped_services() -> tuple[ServiceProfile, ...]:
    shared: dict[str, FlagValue] = {
        "gpu-memory-utilization": 0.99,
        "rope-scaling": YARN,
        "kv-cache-dtype": "fp8",
    }
    return (
        service(
            "medium",
            LARGE,
            gpus=(0, 1),
            sharing=Sharing.EXCLUSIVE,
            priority=30,
            vllm={
                **shared,
                "tensor-parallel-size": 2,
                "max-model-len": 131072,
                "disable-custom-all-reduce": True,
            },
        ),
        service("mini", MIDDLE, gpus=(2,), priority=20, vllm={**shared, "max-model-len": 65536}),
        service("micro", SMALL, gpus=(2,), priority=10, vllm={**shared, "max-model-len": 65536}),
    )
