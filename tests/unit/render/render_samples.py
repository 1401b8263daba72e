"""A small planned deployment, made by hand: `heavy` on two GPUs, `small` and `smaller` together on a third."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.inventory import Gpu, Host, Inventory
from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, ModelFacts, WeightPart
from orchestrator.domain.plan import Footprint, KvCacheLayout, KvGroup, Placement, Plan, Prediction, Verdict, WorkerPlan
from orchestrator.domain.profile import Deployment, FlagValue, ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, ByteRange

RELEASE = Release.of("0.32.0")
UUIDS = ("GPU-aaaa", "GPU-bbbb", "GPU-cccc")
_ON = {"heavy": (0, 1), "small": (2,), "smaller": (2,)}
_AFTER = {"small": ("smaller",)}
GRANTED: Mapping[str, FlagValue] = {"gpu-memory-utilization": 0.45, "max-model-len": 65536}


def facts(checkpoint_bytes: int = 15_000_000_000) -> ModelFacts:
    config = ModelConfig(
        architecture="Qwen3ForCausalLM",
        model_type="qwen3",
        dtype="bfloat16",
        hidden_size=1024,
        intermediate_size=3072,
        num_layers=28,
        num_attention_heads=16,
        num_kv_heads=8,
        head_dim=128,
        vocab_size=151936,
        max_position_embeddings=40960,
        tie_word_embeddings=True,
        layers=(LayerGroup(kind=LayerKind.FULL_ATTENTION, count=28, num_kv_heads=8, head_size=128),),
    )
    return ModelFacts(model="m", config=config, weights={WeightPart.LINEAR: checkpoint_bytes}, provenance="by hand")


FACTS = {name: facts() for name in _ON}


def _worker(uuid: str) -> WorkerPlan:
    footprint = Footprint(
        cuda_total=ByteRange.exactly(24 * GIB),
        terms=(),
        kv=KvCacheLayout(block_bytes=1, groups=(KvGroup(block_tokens=16),)),
        max_model_len=65536,
        kv_required_bytes=GIB,
    )
    prediction = Prediction(
        kv_cache=ByteRange(3 * GIB, 4 * GIB, 5 * GIB),
        kv_tokens=(90_000, 100_000, 110_000),
        concurrency=(1.4, 1.5, 1.6),
        verdict=Verdict.STARTS,
    )
    return WorkerPlan(gpu_uuid=uuid, budget_bytes=10 * GIB, footprint=footprint, prediction=prediction)


def service(name: str = "small", **changes: object) -> ServiceProfile:
    values: dict[str, object] = {"name": name, "model": f"Qwen/{name}", "vllm": GRANTED} | changes
    return ServiceProfile(**values)  # type: ignore[arg-type]


def deployment(*services: ServiceProfile, **changes: object) -> Deployment:
    values: dict[str, object] = {
        "project": "tiers",
        "release": RELEASE,
        "image": "vllm/vllm-openai:v0.32.0",
        "services": services or tuple(service(name) for name in _ON),
    } | changes
    return Deployment(**values)  # type: ignore[arg-type]


def placement(profile: ServiceProfile, port: int, host: str = "box") -> Placement:
    indices = _ON[profile.name]
    uuids = tuple(UUIDS[index] for index in indices)
    return Placement(
        service=profile.name,
        gpu_uuids=uuids,
        gpu_indices=indices,
        host=host,
        port=port,
        utilization=0.45,
        granted=profile.vllm,
        reductions=(),
        workers=tuple(_worker(uuid) for uuid in uuids),
        start_after=_AFTER.get(profile.name, ()),
    )


def plan(of: Deployment, hosts: Mapping[str, str] | None = None) -> Plan:
    gpus = tuple(
        Gpu(index=index, uuid=uuid, name="card", total_bytes=24 * GIB, free_bytes=24 * GIB)
        for index, uuid in enumerate(UUIDS)
    )
    placements = tuple(
        placement(each, port, host=(hosts or {}).get(each.name, "box"))
        for port, each in enumerate(of.services, start=of.ports.first)
    )
    inventory = Inventory(hosts=(Host(name="box", gpus=gpus),), source="by hand")
    return Plan(project=of.project, release=of.release, inventory=inventory, placements=placements)
