"""Saved plans and lock files: what `plan --out` and `render` write, read back strictly and without loss."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.config.json_records import (
    COUNT,
    NAME,
    SIZE,
    UUID_TEXT,
    FileKind,
    Key,
    RecordCheck,
    is_boolean,
    is_count,
    is_filled_list,
    is_list,
    is_name,
    is_size,
    is_text,
    is_uuid,
    is_whole,
    parse_records,
)
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.plan import Reduction
from orchestrator.domain.profile import KeyPath
from orchestrator.domain.release import Release
from orchestrator.domain.saved_plan import (
    ComposeFile,
    SavedGpu,
    SavedHost,
    SavedPlan,
    SavedService,
    SavedWorker,
    config_hash,
)
from orchestrator.domain.units import ByteRange

PLAN_KEY, LOCK_KEY = "orchestrate-saved-plan", "orchestrate-lock"
FORMAT_VERSION = 1

_KIND = FileKind(
    name="a saved plan or a lock file",
    plural="saved plans",
    keys=(PLAN_KEY, LOCK_KEY),
    version=FORMAT_VERSION,
    writer="`orchestrate plan --out FILE` saves a plan; remove a lock file, and `orchestrate render` writes a new one",
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BOUNDS = ("low", "expected", "high")


def _is_release(value: object) -> bool:
    return isinstance(value, str) and Release.parse(value) is not None


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_file_name(value: object) -> bool:
    return is_text(value) and value not in {"", ".", ".."} and not set(str(value)) & set("/\\\0")


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict)


def _is_port(value: object) -> bool:
    return is_whole(value, 1, 65535)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_interval(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() != set(_BOUNDS) or not all(map(_is_number, value.values())):
        return False
    low, expected, high = (value[bound] for bound in _BOUNDS)
    return bool(low <= expected <= high)


def _is_whole_interval(value: object) -> bool:
    return _is_interval(value) and isinstance(value, dict) and all(isinstance(each, int) for each in value.values())


def _is_any(value: object) -> bool:
    return True


_SHA256_TEXT = "a SHA-256: 64 hexadecimal digits"
_INTERVAL = '`{"low": …, "expected": …, "high": …}`, in this order of size'
_FILE = {
    PLAN_KEY: Key(f"the number {FORMAT_VERSION}", _is_any),
    LOCK_KEY: Key(f"the number {FORMAT_VERSION}", _is_any),
    "project": Key(NAME, is_name, required=True),
    "vllm_release": Key("a release of vLLM, such as `0.32.0`", _is_release, required=True),
    "image": Key(NAME, is_name, required=True),
    "image_digest": Key(NAME, is_name),
    "compose": Key("an object with keys", _is_mapping),
    "inventory": Key("an object with keys", _is_mapping, required=True),
    "services": Key("a list of services", is_list, required=True),
}
_COMPOSE = {
    "file": Key("the name of a file beside this one", _is_file_name, required=True),
    "sha256": Key(_SHA256_TEXT, _is_sha256, required=True),
}
_INVENTORY = {
    "source": Key("a text", is_text, required=True),
    "is_example": Key("`true` or `false`", is_boolean, required=True),
    "hosts": Key("a list with at least one host", is_filled_list, required=True),
}
_HOST = {
    "name": Key(NAME, is_name, required=True),
    "driver_version": Key(NAME, is_name),
    "cuda_version": Key(NAME, is_name),
    "gpus": Key("a list of GPUs", is_list, required=True),
}
_GPU = {
    "index": Key(COUNT, is_count, required=True),
    "uuid": Key(UUID_TEXT, is_uuid, required=True),
    "name": Key(NAME, is_name, required=True),
    "total_bytes": Key(SIZE, is_size, required=True),
}
_SERVICE = {
    "service": Key(NAME, is_name, required=True),
    "model": Key("a text", is_text, required=True),
    "revision": Key("a text", is_text),
    "commit": Key("a text", is_text),
    "host": Key(NAME, is_name, required=True),
    "port": Key("a port from 1 to 65535", _is_port, required=True),
    "granted": Key("an object with flags", _is_mapping, required=True),
    "reductions": Key("a list of reductions", is_list, required=True),
    "workers": Key("a list with at least one worker", is_filled_list, required=True),
    "configuration": Key("an object: the service as Compose reads it", _is_mapping, required=True),
    "config_hash": Key(_SHA256_TEXT, _is_sha256, required=True),
}
_REDUCTION = {
    "flag": Key(NAME, is_name, required=True),
    "asked": Key("a value", _is_any),
    "granted": Key("a value", _is_any),
    "reason": Key("a text", is_text, required=True),
}
_WORKER = {
    "gpu_uuid": Key(UUID_TEXT, is_uuid, required=True),
    "budget_bytes": Key(SIZE, is_size, required=True),
    "claim_bytes": Key(SIZE, is_size, required=True),
    "kv_cache_bytes": Key(_INTERVAL, _is_whole_interval, required=True),
    "kv_tokens": Key(_INTERVAL, _is_whole_interval, required=True),
    "full_length_requests": Key(_INTERVAL, _is_interval, required=True),
}


def saved_plan_text(plan: SavedPlan) -> str:
    """The file: a lock file where the plan tells of a compose file. The same plan gives the same bytes, all ASCII."""
    return json.dumps(_as_dict(plan), indent=2) + "\n"


def file_mark(plan: SavedPlan) -> str:
    """How every file of this kind begins, whatever its format; one that begins otherwise is somebody else's."""
    return f'{{\n  "{_key(plan)}": '


def _key(plan: SavedPlan) -> str:
    return PLAN_KEY if plan.compose is None else LOCK_KEY


def _as_dict(plan: SavedPlan) -> dict[str, object]:
    compose = plan.compose
    return {
        _key(plan): FORMAT_VERSION,
        "project": plan.project,
        "vllm_release": str(plan.release),
        "image": plan.image,
        "image_digest": plan.image_digest,
        **({} if compose is None else {"compose": {"file": compose.name, "sha256": compose.sha256}}),
        "inventory": {
            "source": plan.source,
            "is_example": plan.is_example,
            "hosts": [_host_as_dict(host) for host in plan.hosts],
        },
        "services": [_service_as_dict(service) for service in plan.services],
    }


def _host_as_dict(host: SavedHost) -> dict[str, object]:
    return {
        "name": host.name,
        "driver_version": host.driver_version,
        "cuda_version": host.cuda_version,
        "gpus": [{name: getattr(gpu, name) for name in _GPU} for gpu in host.gpus],
    }


def _service_as_dict(service: SavedService) -> dict[str, object]:
    return {
        "service": service.name,
        "model": service.model,
        "revision": service.revision,
        "commit": service.commit,
        "host": service.host,
        "port": service.port,
        "granted": dict(service.granted),
        "reductions": [{name: getattr(each, name) for name in _REDUCTION} for each in service.reductions],
        "workers": [_worker_as_dict(worker) for worker in service.workers],
        "configuration": dict(service.configuration),
        "config_hash": service.config_hash,
    }


def _worker_as_dict(worker: SavedWorker) -> dict[str, object]:
    kv_cache = worker.kv_cache
    return {
        "gpu_uuid": worker.gpu_uuid,
        "budget_bytes": worker.budget_bytes,
        "claim_bytes": worker.claim_bytes,
        "kv_cache_bytes": _bounds((kv_cache.low, kv_cache.expected, kv_cache.high)),
        "kv_tokens": _bounds(worker.kv_tokens),
        "full_length_requests": _bounds(worker.concurrency),
    }


def _bounds(values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(_BOUNDS, values, strict=True))


def parse_saved_plan(text: str, file: str, *, project: str) -> SavedPlan | tuple[Diagnostic, ...]:
    """The plan, or all findings by place: E411 to E419, E621 where it is of another project than `project`, E622 where
    a configuration is not what its hash says.

    Strict: unknown and repeated keys, wrong types, services and GPUs given twice, GPUs that no host has are errors.
    """
    parsed = parse_records(text, file, _KIND)
    if not isinstance(parsed[-1], RecordCheck):
        return tuple(finding for finding in parsed if isinstance(finding, Diagnostic))
    root, check = parsed[0], parsed[-1]
    _check_file(check, root, project)
    if check.report.has_errors or not isinstance(root, dict):
        return check.report.in_order()
    return _plan(root)


def _check_file(check: RecordCheck, root: object, project: str) -> None:
    record = check.record(root, (), _FILE)
    if record.get("project") not in {None, project}:
        _refuse_project(check, record["project"], project)
    if LOCK_KEY in record or "compose" in record:
        check.record(record.get("compose"), ("compose",), _COMPOSE)
    gpus = _check_inventory(check, record)
    names: dict[object, KeyPath] = {}
    for value, path in check.items(record, "services", ()):
        service = check.record(value, path, _SERVICE)
        check.once(names, service.get("service"), (*path, "service"))
        _check_service(check, service, path, gpus)


def _refuse_project(check: RecordCheck, found: object, wanted: str) -> None:
    check.refuse(
        "E621",
        f"this is a plan of the project `{found}`, and `{wanted}` is planned",
        ("project",),
        f"name a file of `{wanted}`; was the project renamed, stop the old one and remove the file",
    )


def _check_inventory(check: RecordCheck, root: Mapping[str, object]) -> dict[object, dict[object, KeyPath]]:
    """The UUIDs of every host."""
    inventory = check.record(root.get("inventory", {}), ("inventory",), _INVENTORY) if "inventory" in root else {}
    hosts: dict[object, KeyPath] = {}
    seen: dict[object, KeyPath] = {}
    uuids: dict[object, dict[object, KeyPath]] = {}
    for value, path in check.items(inventory, "hosts", ("inventory",)):
        host = check.record(value, path, _HOST)
        check.once(hosts, host.get("name"), (*path, "name"))
        here = uuids.setdefault(host.get("name"), {})
        for each, gpu_path in check.items(host, "gpus", path):
            gpu = check.record(each, gpu_path, _GPU)
            check.once(seen, gpu.get("uuid"), (*gpu_path, "uuid"))
            here[gpu.get("uuid")] = gpu_path
    return uuids


def _check_service(
    check: RecordCheck,
    service: Mapping[str, object],
    path: KeyPath,
    gpus: Mapping[object, Mapping[object, KeyPath]],
) -> None:
    for value, reduction_path in check.items(service, "reductions", path):
        check.record(value, reduction_path, _REDUCTION)
    for value, worker_path in check.items(service, "workers", path):
        worker = check.record(value, worker_path, _WORKER)
        if "host" in service:
            check.names(gpus.get(service["host"], {}), worker.get("gpu_uuid"), (*worker_path, "gpu_uuid"))
    configuration = service.get("configuration")
    if isinstance(configuration, dict) and service.get("config_hash") not in {None, config_hash(configuration)}:
        check.refuse(
            "E622",
            f"the configuration of `{service.get('service')}` is not the one that its hash stands for",
            (*path, "config_hash"),
            "the file was edited or damaged: take it from where it was written, or remove it and `orchestrate render`",
        )


def _plan(root: Mapping[str, Any]) -> SavedPlan:
    inventory, compose = root["inventory"], root.get("compose")
    return SavedPlan(
        project=root["project"],
        release=Release.of(root["vllm_release"]),
        image=root["image"],
        image_digest=root.get("image_digest"),
        compose=None if compose is None else ComposeFile(name=compose["file"], sha256=compose["sha256"]),
        source=inventory["source"],
        is_example=inventory["is_example"],
        hosts=tuple(_host(host) for host in inventory["hosts"]),
        services=tuple(_service(service) for service in root["services"]),
    )


def _host(value: Mapping[str, Any]) -> SavedHost:
    return SavedHost(
        name=value["name"],
        gpus=tuple(SavedGpu(**gpu) for gpu in value["gpus"]),
        driver_version=value.get("driver_version"),
        cuda_version=value.get("cuda_version"),
    )


def _service(value: Mapping[str, Any]) -> SavedService:
    return SavedService(
        name=value["service"],
        model=value["model"],
        revision=value.get("revision"),
        commit=value.get("commit"),
        host=value["host"],
        port=value["port"],
        granted=value["granted"],
        reductions=tuple(_reduction(each) for each in value["reductions"]),
        workers=tuple(_worker(worker) for worker in value["workers"]),
        configuration=value["configuration"],
        config_hash=value["config_hash"],
    )


def _reduction(value: Mapping[str, Any]) -> Reduction:
    return Reduction(flag=value["flag"], asked=value.get("asked"), granted=value.get("granted"), reason=value["reason"])


def _worker(value: Mapping[str, Any]) -> SavedWorker:
    kv_cache, tokens, requests = (
        tuple(value[name][bound] for bound in _BOUNDS)
        for name in ("kv_cache_bytes", "kv_tokens", "full_length_requests")
    )
    return SavedWorker(
        gpu_uuid=value["gpu_uuid"],
        budget_bytes=value["budget_bytes"],
        claim_bytes=value["claim_bytes"],
        kv_cache=ByteRange(*kv_cache),
        kv_tokens=(tokens[0], tokens[1], tokens[2]),
        concurrency=(requests[0], requests[1], requests[2]),
    )
