"""What the user wrote: one profile per model service and one for the deployment, each value remembering its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.domain.diagnostics import Span
from orchestrator.domain.release import Release

FlagValue = bool | int | float | str | list["FlagValue"] | dict[str, "FlagValue"] | None
"""A value under `vllm:`, as YAML gave it."""

KeyPath = tuple[str | int, ...]
"""Keys from the root of a file, such as `("vllm", "max-model-len")` or `("gpus", 0)`."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the keys and values of one file stand."""

    file: str
    keys: Mapping[KeyPath, Span] = field(default_factory=dict)
    values: Mapping[KeyPath, Span] = field(default_factory=dict)

    def key(self, path: KeyPath) -> Span:
        """The span of a key, or of the nearest parent that was written, or of the file's first line."""
        return self._nearest(self.keys, path)

    def value(self, path: KeyPath) -> Span:
        """The span of a value, or of the nearest parent that was written, or of the file's first line."""
        if path in self.values:
            return self.values[path]
        return self._nearest(self.keys, path)

    def _nearest(self, spans: Mapping[KeyPath, Span], path: KeyPath) -> Span:
        for length in range(len(path), 0, -1):
            if path[:length] in spans:
                return spans[path[:length]]
        return Span(file=self.file)


class Sharing(StrEnum):
    """Whether a service lets others onto its GPUs."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What must hold for a placement to count: that many requests of full length in the KV cache at once."""

    full_length_requests: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProfile:
    """One model service. `gpus` holds indices and UUIDs as written, or is None when the planner may choose.

    `vllm` holds the effective flags in the user's words (the deployment's defaults under the service's own), and
    `origins` says for every one of them in which file and under which key it was written.
    `model` is a hub id or a local path as written. `port` None means: given out by the planner in file order.
    """

    name: str
    model: str
    revision: str | None = None
    gpus: tuple[int | str, ...] | None = None
    sharing: Sharing = Sharing.SHARED
    priority: int = 0
    port: int | None = None
    requirements: Requirements = Requirements()
    vllm: Mapping[str, FlagValue] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    places: Places = field(default_factory=lambda: Places(""), compare=False)
    origins: Mapping[str, Places] = field(default_factory=dict, compare=False)

    def flag_value(self, flag: str) -> Span:
        """Where the value of a flag under `vllm:` was written (the service's file, or the deployment's defaults)."""
        origin = self.origins.get(flag, self.places)
        defaults: KeyPath = ("defaults", "vllm", flag)
        return origin.value(defaults if defaults in origin.keys else ("vllm", flag))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the services listen on the host: `address` and the first of a row of ports."""

    address: str = "127.0.0.1"
    first: int = 8001


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """What is mounted as caches: a named volume, or a host path (starts with `/`, `.` or `~`)."""

    huggingface: str = "huggingface-cache"
    vllm: str = "vllm-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Names of the environment variables that hold secrets; never their values. None: the service runs without."""

    api_key: str | None = "VLLM_API_KEY"
    hf_token: str | None = "HF_TOKEN"  # noqa: S105 (a name, not a value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The project: the pinned vLLM release and image, and all its services in the order they were listed."""

    project: str
    release: Release
    image: str
    services: tuple[ServiceProfile, ...]
    ports: Ports = Ports()
    caches: Caches = Caches()
    secrets: Secrets = Secrets()
    places: Places = field(default_factory=lambda: Places(""), compare=False)

    def service(self, name: str) -> ServiceProfile:
        return next(service for service in self.services if service.name == name)
