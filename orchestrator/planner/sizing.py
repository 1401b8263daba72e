"""What one worker of a service needs on one kind of GPU, on the grid that the search works on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Footprint
from orchestrator.domain.profile import ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.engine.settings import EngineSettings, resolve_settings
from orchestrator.memory.footprint import footprint
from orchestrator.memory.leaning import optimistic
from orchestrator.memory.prediction import claim_bytes, kv_headroom, largest_utilization, smallest_utilization
from orchestrator.planner.problem import LEVELS, Share
from orchestrator.planner.seats import Seat


class Leaning(Enum):
    """Which end of the intervals counts. Plans are made on the pessimistic end only."""

    PESSIMISTIC = "pessimistic"
    OPTIMISTIC = "optimistic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One worker on one kind of GPU. `least` is the smallest level with enough KV cache, or None; `asked` the ceiling.

    With a fixed KV cache the level only has to pass the start-up check, so it is settled: `settled` is the largest
    level that claims nothing beyond what runs anyway.
    """

    settings: EngineSettings
    footprint: Footprint
    share: Share
    least: int | None
    asked: int
    settled: int | None = None

    def largest(self, available_bytes: int) -> int:
        """The greatest level whose claim fits into that many bytes; 0 when none does."""
        return round(largest_utilization(self.footprint, available_bytes) * LEVELS)

    @property
    def needed_bytes(self) -> int:
        """Free bytes that a GPU must have for this worker to start for sure with what is required."""
        if self.least is not None:
            return self.share.claim(self.least)
        kv_bytes = self.footprint.fixed_kv_bytes or self.footprint.kv_required_bytes
        return self.footprint.inside.high + kv_bytes + self.footprint.outside.high

    @property
    def fixed_by(self) -> str:
        """The flag that fixes the KV cache, where one does."""
        return "kv-cache-memory-bytes" if self.settings.num_gpu_blocks_override is None else "num-gpu-blocks-override"

    @property
    def fixed_unit(self) -> int:
        """Bytes of KV cache in 1 of the flag that fixes it."""
        return 1 if self.settings.num_gpu_blocks_override is None else self.footprint.kv.block_bytes

    @property
    def fixed_is_short(self) -> bool:
        """The KV cache is fixed at less than what is required."""
        fixed = self.footprint.fixed_kv_bytes
        return fixed is not None and fixed < self.footprint.kv_required_bytes


def size_on(
    seat: Seat, profile: ServiceProfile, facts: ModelFacts, release: Release, leaning: Leaning = Leaning.PESSIMISTIC
) -> Size:
    """Price a worker of the service on a GPU of this kind."""
    settings = resolve_settings(
        vllm=profile.vllm, release=release, facts=facts, gpu=seat.kind, environment=profile.environment
    )
    priced = footprint(settings=settings, facts=facts, gpu=seat.kind, requirements=profile.requirements)
    if leaning is Leaning.OPTIMISTIC:
        priced = optimistic(priced)
    share = _share(priced, profile)
    least = smallest_utilization(priced)
    return Size(
        settings=settings,
        footprint=priced,
        share=share,
        least=None if least is None else round(least * LEVELS),
        asked=int(settings.gpu_memory_utilization * LEVELS + 1e-6),
        settled=_settled(share) if priced.fixed_kv_bytes is not None else None,
    )


def _share(priced: Footprint, profile: ServiceProfile) -> Share:
    """Headroom is KV cache over what is required, or, where vLLM may shorten max-model-len, over what would hold it."""
    scale = 1.0
    if priced.fits_any_length:
        requests = max(1.0, profile.requirements.full_length_requests)
        scale = priced.kv_required_bytes / priced.kv.bytes_for(priced.max_model_len, requests)
    return Share(
        claim=cache(lambda level: claim_bytes(priced, level / LEVELS)),
        headroom=cache(lambda level: kv_headroom(priced, level / LEVELS) * scale),
    )


def _settled(share: Share) -> int:
    low, high = 1, LEVELS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if share.claim(middle) <= share.claim(1) else (low, middle - 1)
    return low
