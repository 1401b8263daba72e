"""Why a container must be recreated: every difference, under the key with which the user would change it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.operations import Cause
from orchestrator.domain.plan import Reduction
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.saved_plan import SavedPlan, SavedService
from orchestrator.engine.canonical import canonical_flags
from orchestrator.planner.flag_keys import shown_key

START_ORDER = "start order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A service within its plan: the old one or the new one."""

    plan: SavedPlan
    service: SavedService


def causes_of(old: Side, new: Side) -> tuple[Cause, ...]:
    """At least one where the configurations differ; what follows from other causes is not named beside them."""
    found = (*_named(old, new), *_flags(old, new), *_rendered(old.service, new.service))
    return found or tuple(_consequences(old.service, new.service))


def start_order_cause(old: SavedService, new: SavedService) -> Cause:
    return Cause(key=START_ORDER, before=_waiting(old), after=_waiting(new))


def _waiting(service: SavedService) -> str:
    return f"after {', '.join(service.start_after)}" if service.start_after else "at once"


_NAMED: Mapping[str, Callable[[Side], FlagValue]] = {
    "vllm-release": lambda side: str(side.plan.release),
    "image": lambda side: side.plan.image,
    "model": lambda side: side.service.model,
    "revision": lambda side: side.service.revision,
    "host": lambda side: side.service.host,
    "port": lambda side: side.service.port,
    "ports.address": lambda side: _address(side.service.configuration),
    "caches.huggingface": lambda side: _mounted(side.service.configuration, "/root/.cache/huggingface"),
    "caches.vllm": lambda side: _mounted(side.service.configuration, "/root/.cache/vllm"),
    "secrets.api-key": lambda side: _variable(side.service.configuration),
}
"""What a profile says outside `vllm:`, and how it is read from what was kept."""


def _named(old: Side, new: Side) -> Iterator[Cause]:
    for key, read in _NAMED.items():
        before, after = read(old), read(new)
        if before != after:
            yield Cause(key=key, before=before, after=after)
    if old.service.gpu_uuids != new.service.gpu_uuids:
        before, after = _gpus(old), _gpus(new)
        if before == after or old.service.host != new.service.host:
            before, after = list(old.service.gpu_uuids), list(new.service.gpu_uuids)
        yield Cause(key="gpus", before=before, after=after)


def _gpus(side: Side) -> FlagValue:
    """Indices, as most people name GPUs; a UUID where the inventory does not have it."""
    indices = ((uuid, side.plan.gpu_index(uuid)) for uuid in side.service.gpu_uuids)
    return [uuid if index is None else index for uuid, index in indices]


def _address(configuration: Mapping[str, object]) -> FlagValue:
    ports = configuration.get("ports")
    first = ports[0] if isinstance(ports, list) and ports else None
    return first.rsplit(":", 2)[0] if isinstance(first, str) else None


def _mounted(configuration: Mapping[str, object], target: str) -> FlagValue:
    volumes = configuration.get("volumes")
    mounts = [each for each in volumes if isinstance(each, dict)] if isinstance(volumes, list) else []
    return next((each.get("source") for each in mounts if each.get("target") == target), None)


_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):\?")


def _variable(configuration: Mapping[str, object]) -> FlagValue:
    """The name of the variable that holds the API key; a value never stands there."""
    environment = configuration.get("environment")
    written = environment.get("VLLM_API_KEY") if isinstance(environment, dict) else None
    match = _REFERENCE.match(written) if isinstance(written, str) else None
    return match[1] if match else None


def _flags(old: Side, new: Side) -> Iterator[Cause]:
    before = canonical_flags(old.service.granted, old.plan.release)
    after = canonical_flags(new.service.granted, new.plan.release)
    reductions = {each.flag: each for each in new.service.reductions}
    for name in sorted({*before, *after}):
        key = shown_key(new.service.granted, name, new.plan.release)
        if name not in after:
            key = shown_key(old.service.granted, name, old.plan.release)
        yield from _differences(key, before.get(name), after.get(name), reductions.get(name))


def _differences(key: str, before: FlagValue, after: FlagValue, reduction: Reduction | None = None) -> Iterator[Cause]:
    """One cause, or one for each entry in which two mappings differ."""
    if before == after and type(before) is type(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for part in sorted({*before, *after}):
            yield from _differences(f"{key}.{part}", before.get(part), after.get(part))
        return
    yield Cause(key=key, before=before, after=after, asked=None if reduction is None else reduction.asked)


_READ_ABOVE = frozenset({"image", "ports", "volumes", "deploy", "depends_on", "command"})
_CONSEQUENCES = frozenset({"shm_size", "cap_add", "labels", "healthcheck", "command", "volumes", "deploy", "ports"})
"""Parts of a Compose service that follow from others; they are a cause only where nothing else is."""

_READINESS, _API_KEY = "VLLM_ENGINE_READY_TIMEOUT_S", "VLLM_API_KEY"


def _rendered(old: SavedService, new: SavedService) -> Iterator[Cause]:
    """What else Compose is told: the profile's variables under its own keys, the rest as it stands there."""
    skipped = _READ_ABOVE | _CONSEQUENCES
    for cause in _parts(old, new, lambda part: part not in skipped):
        if cause.key not in {f"environment.{_READINESS}", f"environment.{_API_KEY}"}:
            yield _in_users_words(cause)


def _in_users_words(cause: Cause) -> Cause:
    match cause.key:
        case "environment.HF_TOKEN_PATH" | "secrets":
            return Cause(key="secrets.hf-token", before=cause.before, after=cause.after)
        case key if key.startswith("environment."):
            return cause
        case key:
            return Cause(key=f"compose: {key}", before=cause.before, after=cause.after)


def _consequences(old: SavedService, new: SavedService) -> Iterator[Cause]:
    for cause in _parts(old, new, lambda part: part != "depends_on"):
        yield Cause(key=f"compose: {cause.key}", before=cause.before, after=cause.after)


def _parts(old: SavedService, new: SavedService, wanted: Callable[[str], bool]) -> Iterator[Cause]:
    before, after = old.configuration, new.configuration
    for part in sorted({*before, *after}):
        if wanted(part):
            yield from _differences(part, _plain(before.get(part)), _plain(after.get(part)))


def _plain(value: object) -> FlagValue:
    """A part of a Compose service: plain values, as it was built or read from JSON."""
    match value:
        case dict():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)
