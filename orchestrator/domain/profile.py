"""What the user wrote: one profile per model service and one for the deployment, each value remembering its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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


class Level(StrEnum):
    """Where two services meet, or do not."""

    GPU = "gpu"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Names of services, by what is shared with them or not."""

    gpu: tuple[str, ...] = ()
    host: tuple[str, ...] = ()

    def at(self, level: Level) -> tuple[str, ...]:
        return self.gpu if level is Level.GPU else self.host

    def without(self, level: Level, name: str) -> Neighbours:
        """Without one name on one level."""
        left = tuple(each for each in self.at(level) if each != name)
        return replace(self, gpu=left) if level is Level.GPU else replace(self, host=left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What must hold for a placement to count: that many requests of full length in the KV cache at once."""

    full_length_requests: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProfile:
    """One container that serves a model: a service, or one of its replicas.

    `name` is unique; that of a replica is the service's with `-1`, `-2`, … . `replica` is its number, or None where
    `replicas` is 1. `gpus` holds indices and UUIDs as written, or is None when the planner may choose; replicas have
    theirs out of the same list. `spread` says what no two replicas share.

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
    replicas: int = 1
    replica: int | None = None
    spread: Level = Level.GPU
    apart_from: Neighbours = Neighbours()
    together_with: Neighbours = Neighbours()
    port: int | None = None
    requirements: Requirements = Requirements()
    vllm: Mapping[str, FlagValue] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    places: Places = field(default_factory=lambda: Places(""), compare=False)
    origins: Mapping[str, Places] = field(default_factory=dict, compare=False)

    @property
    def service(self) -> str:
        """The service's name as it was written: what clients ask for, whichever replica answers."""
        return self.name if self.replica is None else self.name.removesuffix(f"-{self.replica}")

    @property
    def instances(self) -> tuple[str, ...]:
        """The names of all replicas of the service, this one among them."""
        return instance_names(self.service, self.replicas)

    def as_replicas(self) -> tuple[ServiceProfile, ...]:
        """Every replica of a service as it was written, with a name and a port of its own."""
        if self.replicas == 1:
            return (self,)
        return tuple(
            replace(self, name=name, replica=number + 1, port=None if self.port is None else self.port + number)
            for number, name in enumerate(self.instances)
        )

    def as_written(self) -> ServiceProfile:
        """The whole service that a replica is one of."""
        if self.replica is None:
            return self
        port = None if self.port is None else self.port - self.replica + 1
        return replace(self, name=self.service, replica=None, port=port)

    def flag_value(self, flag: str) -> Span:
        """Where the value of a flag under `vllm:` was written (the service's file, or the deployment's defaults)."""
        origin = self.origins.get(flag, self.places)
        defaults: KeyPath = ("defaults", "vllm", flag)
        return origin.value(defaults if defaults in origin.keys else ("vllm", flag))


def instance_names(service: str, replicas: int) -> tuple[str, ...]:
    """The names of the containers of a service; a single one is called like it."""
    return (service,) if replicas == 1 else tuple(f"{service}-{number}" for number in range(1, replicas + 1))


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
    """The project: the pinned vLLM release and image, and all its services in the order they were listed.

    A service with replicas stands there once for each of them.
    """

    project: str
    release: Release
    image: str
    services: tuple[ServiceProfile, ...]
    ports: Ports = Ports()
    caches: Caches = Caches()
    secrets: Secrets = Secrets()
    places: Places = field(default_factory=lambda: Places(""), compare=False)

    def service(self, name: str) -> ServiceProfile:
        """The service or replica of that name; for the name of a service with replicas the first of them."""
        return next(each for each in self.services if name in (each.name, each.service))
