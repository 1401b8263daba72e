"""A plan as it is kept: what runs where with which configuration, so that a later plan can be held against it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.plan import Reduction
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import ByteRange

_WITHOUT_EFFECT = ("depends_on",)
"""Parts of a service that Compose reads when it starts containers; one that runs is not touched by them."""


def config_hash(configuration: Mapping[str, object]) -> str:
    """The SHA-256 of a Compose service without its own hash: equal hashes, equal containers."""
    counted = {key: value for key, value in configuration.items() if key not in _WITHOUT_EFFECT}
    canonical = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedGpu:
    """Which card it was; what was free on it is a matter of the moment and not kept."""

    index: int
    uuid: str
    name: str
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedHost:
    name: str
    gpus: tuple[SavedGpu, ...]
    driver_version: str | None = None
    cuda_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWorker:
    """One rank with its predictions. `claim_bytes` is what it takes at most of what is free on its GPU."""

    gpu_uuid: str
    budget_bytes: int
    claim_bytes: int
    kv_cache: ByteRange
    kv_tokens: tuple[int, int, int]  # low, expected, high
    concurrency: tuple[float, float, float]  # low, expected, high


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedService:
    """One service as it was placed and rendered.

    `revision` is what the profile pins, `commit` the one its facts were read at, when known. `granted` and
    `reductions` are as in the plan. `configuration` is the whole Compose service, labels included, without the label
    that holds `config_hash`.
    """

    name: str
    model: str
    revision: str | None
    commit: str | None
    host: str
    port: int
    granted: Mapping[str, FlagValue]
    reductions: tuple[Reduction, ...]
    workers: tuple[SavedWorker, ...]
    configuration: Mapping[str, object]
    config_hash: str

    @property
    def gpu_uuids(self) -> tuple[str, ...]:
        return tuple(worker.gpu_uuid for worker in self.workers)

    @property
    def weakest(self) -> SavedWorker:
        """The worker with the least KV cache: it decides for the whole group."""
        return min(self.workers, key=lambda worker: worker.kv_cache.low)

    @property
    def start_after(self) -> tuple[str, ...]:
        """Whom it waits for when it starts."""
        waits = self.configuration.get("depends_on")
        return tuple(waits) if isinstance(waits, Mapping) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeFile:
    """The compose file that was written with a plan: its name, and the SHA-256 of its text."""

    name: str
    sha256: str

    @classmethod
    def of(cls, name: str, text: str) -> ComposeFile:
        return cls(name=name, sha256=hashlib.sha256(text.encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """A plan to keep. `compose` is set in a lock file, which lies beside the compose file that it tells of.

    `image_digest` is None until somebody who pulled the image knows it.
    """

    project: str
    release: Release
    image: str
    services: tuple[SavedService, ...]
    hosts: tuple[SavedHost, ...]
    source: str
    is_example: bool = False
    image_digest: str | None = None
    compose: ComposeFile | None = None

    def service(self, name: str) -> SavedService | None:
        return next((service for service in self.services if service.name == name), None)

    def gpus(self) -> Iterator[tuple[SavedHost, SavedGpu]]:
        for host in self.hosts:
            for gpu in host.gpus:
                yield host, gpu

    def gpu_index(self, uuid: str) -> int | None:
        return next((gpu.index for _, gpu in self.gpus() if gpu.uuid == uuid), None)
