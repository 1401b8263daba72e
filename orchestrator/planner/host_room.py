"""What services surely take of their hosts beside the GPUs: RAM for what is kept there, and disk for weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from orchestrator.domain.inventory import Host
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flag_values import number
from orchestrator.engine.shared_memory import shared_memory_bytes
from orchestrator.planner.flag_keys import shown_key
from orchestrator.planner.seats import gib_text, listed

_WEIGHTS_IN_RAM, _CACHE_IN_RAM = "cpu-offload-gb", "kv-offloading-size"


def ram_bytes(profile: ServiceProfile, workers: int, release: Release) -> int:
    """The least RAM that the container of a service takes: weights that every worker keeps there, and shared memory,
    which is RAM and holds the KV cache that is kept there. What processes and files take comes on top.
    """
    flags = canonical_flags(profile.vllm, release)
    weights = int((number(flags, _WEIGHTS_IN_RAM) or 0) * GIB) * workers
    return weights + shared_memory_bytes(workers, vllm=profile.vllm, release=release, environment=profile.environment)


def ram_flag(profile: ServiceProfile, release: Release) -> str:
    """The flag that puts the most into RAM."""
    flags = canonical_flags(profile.vllm, release)
    return max((_WEIGHTS_IN_RAM, _CACHE_IN_RAM), key=lambda name: number(flags, name) or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lodger:
    """A service on its host."""

    host: str
    profile: ServiceProfile
    facts: ModelFacts
    workers: int


def short_of_room(hosts: Sequence[Host], lodgers: Sequence[Lodger], release: Release) -> Iterator[Rejection]:
    """E514 and W507, host by host; what is not known of a host is not judged."""
    for host in hosts:
        there = [each for each in lodgers if each.host == host.name]
        if there:
            yield from _short_of_ram(host, there, release)
            yield from _short_of_disk(host, there)


def _short_of_ram(host: Host, lodgers: Sequence[Lodger], release: Release) -> Iterator[Rejection]:
    """Services that are placed together and keep more in RAM than there is."""
    needs = {each.profile.name: ram_bytes(each.profile, each.workers, release) for each in lodgers}
    needed = sum(needs.values())
    if host.ram_bytes is None or needed <= host.ram_bytes:
        return
    most = max(lodgers, key=lambda each: (needs[each.profile.name], each.profile.name))
    yield Rejection(
        code="E514",
        service=most.profile.name,
        message=f"the services on `{host.name}` keep {gib_text(needed)} in RAM, and it has {gib_text(host.ram_bytes)}",
        blame=("vllm", ram_flag(most.profile, release)),
        others=tuple(name for name in needs if name != most.profile.name),
        asked_bytes=needed,
        available_bytes=host.ram_bytes,
        notes=(f"at least: {listed(f'`{name}` {gib_text(size)}' for name, size in needs.items() if size)}",),
        help=tuple(ram_repairs(most.profile, most.workers, needed - host.ram_bytes, needed, release=release)),
    )


def ram_repairs(profile: ServiceProfile, workers: int, missing: int, needed: int, *, release: Release) -> Iterator[str]:
    """The flag lowered by what is missing, where that is enough (all replicas have the same flag); a larger host."""
    flag = ram_flag(profile, release)
    copies = workers if flag == _WEIGHTS_IN_RAM else 1
    written = number(canonical_flags(profile.vllm, release), flag) or 0
    left = written - ceil(missing / copies / GIB)
    if left > 0:
        yield f"lower `{shown_key(profile.vllm, flag, release)}` of `{profile.service}` to {left:g} or less"
    yield f"plan on a host with {ceil(needed / GIB)} GiB of RAM or more"


def _short_of_disk(host: Host, lodgers: Sequence[Lodger]) -> Iterator[Rejection]:
    """Weights that may be more than there is room for: nobody knows which of them are there already."""
    remote = {(each.profile.model, each.profile.revision): each for each in lodgers if not _is_path(each.profile.model)}
    sizes = {model: each.facts.checkpoint_bytes for (model, _), each in remote.items()}
    needed = sum(sizes.values())
    if host.disk_free_bytes is None or needed <= host.disk_free_bytes:
        return
    most = max(remote.values(), key=lambda each: (each.facts.checkpoint_bytes, each.profile.name))
    yield Rejection(
        code="W507",
        service=most.profile.name,
        message=f"the models on `{host.name}` are {gib_text(needed)} to download, and {gib_text(host.disk_free_bytes)}"
        " of its disk are free",
        blame=("model",),
        notes=(listed(f"`{model}` {gib_text(size)}" for model, size in sizes.items()),),
        help=("make room before the first start, unless they are on the disk already",),
    )


def _is_path(model: str) -> bool:
    return model.startswith(("/", ".", "~"))
