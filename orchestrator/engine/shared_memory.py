"""Shared memory (/dev/shm) that the processes of a service need, where Docker gives 64 MiB."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, MIB
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.environment import NO_VARIABLES, setting, whole
from orchestrator.engine.flag_values import number, text

_CHUNKS = 10
_USUAL_CHUNK_MIB = 16


def shared_memory_bytes(
    workers: int,
    *,
    vllm: Mapping[str, FlagValue],
    release: Release,
    environment: Mapping[str, str] = NO_VARIABLES,
) -> int:
    """What the workers of a service need; 0 where Docker's own is enough.

    Workers talk through a 160 MiB ring of ten chunks, answer through 240 MiB each, and NCCL has its own transport:
    1 GiB and 0.25 GiB for each cover that, and 0.27.0 and later refuse to start without. Chunks that a variable makes
    larger come on top. So does the KV cache that is kept in RAM: it is a file in /dev/shm (read in 0.32.0), which takes
    its full size at the start.
    """
    offloaded = _offloaded_bytes(vllm, release)
    if workers < 2:
        return offloaded + GIB if offloaded else 0
    return GIB + workers * GIB // 4 + _larger_chunks_bytes(environment, release) + offloaded


def _larger_chunks_bytes(environment: Mapping[str, str], release: Release) -> int:
    said = whole(setting(environment, "VLLM_MQ_MAX_CHUNK_BYTES_MB", release) or "") or 0
    return max(0, said - _USUAL_CHUNK_MIB) * _CHUNKS * MIB


def _offloaded_bytes(vllm: Mapping[str, FlagValue], release: Release) -> int:
    """The flag names GiB for all ranks together; LMCache keeps them in a process of its own."""
    flags = canonical_flags(vllm, release)
    is_own = text(flags, "kv-offloading-backend") in (None, "native")
    return int((number(flags, "kv-offloading-size") or 0) * GIB) if is_own else 0
