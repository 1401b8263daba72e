"""Shared memory that the processes of a service need."""

from __future__ import annotations

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.units import GIB, MIB
from orchestrator.engine.shared_memory import shared_memory_bytes
from tests.unit.engine.engine_samples import release


def needed(workers: int, vllm: dict[str, FlagValue] | None = None, pinned: str = "0.32.0", **variables: str) -> int:
    return shared_memory_bytes(workers, vllm=vllm or {}, release=release(pinned), environment=variables)


def test_groups_need_some_for_each_worker_and_one_worker_none() -> None:
    assert [needed(size) for size in (1, 2, 8)] == [0, GIB + GIB // 2, 3 * GIB]


@pytest.mark.parametrize(
    ("vllm", "workers", "gib"),
    [
        ({"kv-offloading-size": 20}, 1, 21),
        ({"kv-offloading-size": 20}, 2, 21.5),
        ({"kv_offloading_size": 0.5}, 1, 1.5),
        ({"kv-offloading-size": 20, "kv-offloading-backend": "native"}, 1, 21),
        ({"kv-offloading-size": 20, "kv-offloading-backend": "lmcache"}, 1, 0),
        ({"kv-offloading-size": 0}, 1, 0),
    ],
)
def test_kv_cache_that_is_kept_in_ram_lies_in_shared_memory(
    vllm: dict[str, FlagValue], workers: int, gib: float
) -> None:
    assert needed(workers, vllm) == gib * GIB


def test_larger_chunks_come_on_top_where_the_release_reads_them() -> None:
    more = needed(2, VLLM_MQ_MAX_CHUNK_BYTES_MB="64") - needed(2)
    assert more == 10 * 48 * MIB
    assert needed(2, pinned="0.9.0", VLLM_MQ_MAX_CHUNK_BYTES_MB="64") == needed(2)
    assert needed(2, VLLM_MQ_MAX_CHUNK_BYTES_MB="4") == needed(2)
    assert needed(1, VLLM_MQ_MAX_CHUNK_BYTES_MB="64") == 0
