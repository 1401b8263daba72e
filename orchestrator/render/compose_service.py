"""One placement -> one compose service, with safe defaults.

Secrets. vLLM takes its API key from the environment or from argv only; argv is visible to every process of the host, so
the key goes through the environment, by reference (`${VLLM_API_KEY:?…}`), and Compose refuses to start without it. The
Hugging Face token can be a file: Compose copies it from the variable to `/run/secrets`, and `HF_TOKEN_PATH` points
there, so that it is neither in the container's environment nor in what `docker inspect` shows. Neither value is in the
rendered file or in a label.

Shared memory. Workers of one service talk through /dev/shm, and KV cache that is kept in RAM lies there; Docker gives
64 MiB. A private, larger /dev/shm is enough and keeps the host's IPC namespace closed, which `ipc: host` would open.
It is a ceiling, not a reservation.

Privileges. All capabilities are dropped and none can be gained. Without them even root obeys file modes, so a service
that mounts a directory of the host (which its user owns) gets back just what reading or writing it takes. The root
file system stays writable: vLLM, Triton and FlashInfer write beside the caches, and Compose cannot hand a secret to a
read-only container. No `ulimits`: one host without InfiniBand needs no locked memory beyond Docker's default.
"""

from __future__ import annotations

from typing import Any

from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Placement, Plan
from orchestrator.domain.profile import Caches, Deployment, ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.domain.saved_plan import config_hash
from orchestrator.domain.units import GIB
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.images import ENTRYPOINT
from orchestrator.engine.shared_memory import shared_memory_bytes
from orchestrator.render.health import healthcheck, start_period_seconds
from orchestrator.render.yaml_text import Interpolation, literal_mapping

CONTAINER_PORT = 8000
NETWORK = "models"
HF_TOKEN_SECRET = "hf_token"  # noqa: S105 (the name of a file, not a value)
LABEL_PREFIX = "orchestrate."
CONFIG_HASH_LABEL = LABEL_PREFIX + "config-hash"

_HF_TOKEN_FILE = f"/run/secrets/{HF_TOKEN_SECRET}"
_MODEL_DIRECTORY = "/models"
_HUGGINGFACE_CACHE = "/root/.cache/huggingface"
_VLLM_CACHE = "/root/.cache/vllm"
_COMMON_SHM_GIB = 8
_FIRST_WITH_READY_TIMEOUT = Release.of("0.14.0")


def is_host_path(written: str) -> bool:
    """Whether a cache or a model is a path on the host (starts with `/`, `.` or `~`), not a volume or a hub id."""
    return written.startswith(("/", ".", "~"))


def service_document(
    placement: Placement, *, deployment: Deployment, facts: ModelFacts, plan: Plan
) -> dict[str, object]:
    """The service of one placement, ready for YAML: plain values, `$` doubled, the configuration hash in its labels."""
    configuration, digest = service_configuration(placement, deployment=deployment, facts=facts, plan=plan)
    labels = {**configuration.pop("labels"), CONFIG_HASH_LABEL: digest}
    return {**configuration, "labels": labels}


def service_configuration(
    placement: Placement, *, deployment: Deployment, facts: ModelFacts, plan: Plan
) -> tuple[dict[str, Any], str]:
    """The service without the one label that is the hash of all of it, and that hash."""
    profile = deployment.service(placement.service)
    raw: dict[str, object] = {
        "image": deployment.image,
        "entrypoint": list(ENTRYPOINT),
        "command": list(_arguments(placement, profile, facts, plan.release)),
        "deploy": {"resources": {"reservations": {"devices": [_gpus(placement)]}}},
        **_shared_memory(placement, profile, plan.release),
        "environment": _environment(profile, deployment, facts, plan.release),
        **_secrets(deployment),
        "volumes": _volumes(profile, deployment.caches),
        "ports": [f"{_host_part(deployment.ports.address)}:{placement.port}:{CONTAINER_PORT}"],
        "networks": [NETWORK],
        **_start_order(placement),
        "healthcheck": healthcheck(
            port=CONTAINER_PORT,
            encrypted="ssl-certfile" in canonical_flags(placement.granted, plan.release),
            checkpoint_bytes=facts.checkpoint_bytes,
        ),
        "restart": "on-failure:3",
        "init": True,
        "stop_grace_period": "30s",
        "cap_drop": ["ALL"],
        **_returned_capabilities(profile, deployment.caches),
        "security_opt": ["no-new-privileges:true"],
        "logging": {"driver": "json-file", "options": {"max-size": "50m", "max-file": "3"}},
    }
    configuration = literal_mapping({**raw, "labels": _labels(placement, profile, plan)})
    return configuration, config_hash(configuration)


def _arguments(placement: Placement, profile: ServiceProfile, facts: ModelFacts, release: Release) -> tuple[str, ...]:
    local = is_host_path(profile.model)
    return serve_arguments(
        model=_mounted_model(profile) if local else profile.model,
        revision=None if local else profile.revision,
        served_name=profile.service,
        vllm=placement.granted,
        release=release,
        facts=facts,
        port=CONTAINER_PORT,
    )


def _mounted_model(profile: ServiceProfile) -> str:
    return f"{_MODEL_DIRECTORY}/{profile.service}"


def _gpus(placement: Placement) -> dict[str, object]:
    return {"driver": "nvidia", "device_ids": list(placement.gpu_uuids), "capabilities": ["gpu"]}


def _shared_memory(placement: Placement, profile: ServiceProfile, release: Release) -> dict[str, object]:
    """The customary 8 GiB, or what the service needs where that is more."""
    needed = shared_memory_bytes(
        len(placement.workers), vllm=placement.granted, release=release, environment=profile.environment
    )
    return {"shm_size": f"{max(_COMMON_SHM_GIB, -(-needed // GIB))}gb"} if needed else {}


def _environment(
    profile: ServiceProfile, deployment: Deployment, facts: ModelFacts, release: Release
) -> dict[str, object]:
    """Ours and the user's variables, by name; where both set one that is no secret, the user's word wins."""
    environment: dict[str, object] = {}
    if release >= _FIRST_WITH_READY_TIMEOUT:  # else vLLM gives up before the health check does
        environment["VLLM_ENGINE_READY_TIMEOUT_S"] = str(start_period_seconds(facts.checkpoint_bytes))
    environment |= profile.environment
    key = deployment.secrets.api_key
    if key is not None:
        environment["VLLM_API_KEY"] = Interpolation(f"${{{key}:?set {key} to the key that clients must send}}")
    if deployment.secrets.hf_token is not None:
        environment["HF_TOKEN_PATH"] = _HF_TOKEN_FILE
    return dict(sorted(environment.items()))


def _secrets(deployment: Deployment) -> dict[str, object]:
    return {} if deployment.secrets.hf_token is None else {"secrets": [HF_TOKEN_SECRET]}


def _volumes(profile: ServiceProfile, caches: Caches) -> list[object]:
    mounts = [_cache_mount(caches.huggingface, _HUGGINGFACE_CACHE), _cache_mount(caches.vllm, _VLLM_CACHE)]
    if is_host_path(profile.model):
        mounts.append(
            {
                "type": "bind",
                "source": profile.model,
                "target": _mounted_model(profile),
                "read_only": True,
                "bind": {"create_host_path": False},
            }
        )
    return list(mounts)


def _cache_mount(source: str, target: str) -> dict[str, object]:
    if is_host_path(source):
        return {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": True}}
    return {"type": "volume", "source": source, "target": target}


def _returned_capabilities(profile: ServiceProfile, caches: Caches) -> dict[str, object]:
    if is_host_path(caches.huggingface) or is_host_path(caches.vllm):
        return {"cap_add": ["DAC_OVERRIDE"]}
    return {"cap_add": ["DAC_READ_SEARCH"]} if is_host_path(profile.model) else {}


def _host_part(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _start_order(placement: Placement) -> dict[str, object]:
    if not placement.start_after:
        return {}
    return {"depends_on": {other: {"condition": "service_healthy"} for other in placement.start_after}}


def _labels(placement: Placement, profile: ServiceProfile, plan: Plan) -> dict[str, object]:
    """Labels count as configuration: a prediction is none, or its improvement would recreate what runs well."""
    values = {
        "project": plan.project,
        "service": profile.service,
        "replica": str(profile.replica or 1),
        "vllm-release": str(plan.release),
        "gpu-uuids": ",".join(placement.gpu_uuids),
        "gpu-memory-utilization": str(placement.utilization),
    }
    return {LABEL_PREFIX + name: value for name, value in values.items()}
