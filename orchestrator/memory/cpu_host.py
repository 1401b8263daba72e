"""RAM that a model takes on a host without a GPU: weights, KV cache, and the processes around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import ModelConfig, ModelFacts, WeightPart
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, ByteRange, total
from orchestrator.engine.cpu_platform import CPU_DTYPE, cpu_block_size
from orchestrator.engine.settings import resolve_settings
from orchestrator.memory.constants import Scale, gib_range
from orchestrator.memory.kv_cache import kv_layout
from orchestrator.memory.weights import weights_term

LOADED = Scale(low=1.0, expected=1.05, high=1.25)
"""Resident weights over stored ones: kernels repack matrices, one layer at a time. Qwen2.5-0.5B and 1.5B in bfloat16 on
vLLM 0.32 (x86, AVX512-BF16): 1.53 of 0.92 GiB and 3.98 of 2.88 GiB, with the copy of the tied head and `WORKING`."""
WORKING = gib_range(0.1, 0.4, 0.9)
"""Activations, buffers, and what the allocator keeps; from the same two."""
PROCESSES = gib_range(1.6, 1.8, 2.6)
"""Three processes that have imported PyTorch and vLLM (server, engine, worker): 0.56 GiB each, measured without a
tokenizer; a server with one, its parsers and connections takes more."""

HEADROOM = 0.92
"""The part of the RAM that may be taken; the rest is the system's, and page cache to read the checkpoint through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTerm:
    """One part of the RAM taken; `source` says where the figure is from."""

    name: str
    size: ByteRange
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFootprint:
    """What a model takes of a host's RAM. `read_per_token_bytes` is what one step of decoding reads.

    `kv_bytes_per_token` grows with the context that a step looks back on.
    """

    terms: tuple[HostTerm, ...]
    kv_cache_bytes: int
    read_per_token_bytes: int
    kv_bytes_per_token: int

    @property
    def taken(self) -> ByteRange:
        return total(term.size for term in self.terms)

    @property
    def ram(self) -> ByteRange:
        """RAM that the host must have: a part of it is left to the system."""
        low, expected, high = (int(size / HEADROOM) for size in (self.taken.low, self.taken.expected, self.taken.high))
        return ByteRange(low, expected, high)


def host_footprint(
    facts: ModelFacts,
    *,
    release: Release,
    max_model_len: int,
    full_length_requests: float = 1.0,
    flags: Mapping[str, FlagValue] | None = None,
) -> HostFootprint:
    """RAM for that many requests of `max_model_len` tokens at once, the KV cache told explicitly.

    `flags` are the user's (dtype, kv-cache-dtype, …); without a dtype it is bfloat16.
    """
    config = facts.config
    vllm: Mapping[str, FlagValue] = {
        "dtype": CPU_DTYPE,
        "block-size": cpu_block_size(config, release),
        **(flags or {}),
        "max-model-len": max_model_len,
        "enforce-eager": True,
    }
    settings = resolve_settings(vllm=vllm, release=release, facts=facts, gpu=_NO_CARD)
    layout = kv_layout(settings, config)
    kv_bytes = layout.bytes_for(max_model_len, max(1.0, full_length_requests))
    stored = weights_term(settings, facts)
    parts = _parts_as_computed(facts, settings.dtype)
    terms = (
        HostTerm(name="weights", size=_resident(stored.size, parts, config), source=stored.source),
        HostTerm(name="KV cache", size=ByteRange.exactly(kv_bytes), source=layout.source),
        HostTerm(name="working memory", size=WORKING, source="activations and buffers seen with vLLM 0.32"),
        HostTerm(name="processes", size=PROCESSES, source="server, engine and worker, each with PyTorch"),
    )
    span = max(1, max_model_len)
    return HostFootprint(
        terms=terms,
        kv_cache_bytes=kv_bytes,
        read_per_token_bytes=_read_per_token(parts, config),
        kv_bytes_per_token=layout.bytes_for(span) // span,
    )


_NO_CARD = Gpu(index=0, uuid="", name="CPU", total_bytes=0, free_bytes=0)


def _resident(stored: ByteRange, parts: Mapping[WeightPart, float], config: ModelConfig) -> ByteRange:
    """A tied head is packed into a copy of its own."""
    copy = int(parts.get(WeightPart.EMBEDDING, 0.0)) if config.tie_word_embeddings else 0
    scaled = ByteRange(
        int(stored.low * LOADED.low), int(stored.expected * LOADED.expected), int(stored.high * LOADED.high)
    )
    return scaled + ByteRange(0, copy, copy)


def _parts_as_computed(facts: ModelFacts, dtype: str) -> dict[WeightPart, float]:
    """Bytes per part in the type that they are computed with; quantised ones stay as they are."""
    stored, computed = (4 if each == "float32" else 2 for each in (facts.config.dtype, dtype))
    scale = 1.0 if facts.config.quantization is not None else computed / stored
    return {part: size * scale for part, size in facts.weights.items()}


def _read_per_token(parts: Mapping[WeightPart, float], config: ModelConfig) -> int:
    """Every weight once, except: one row of the embedding, and of the experts only those that are chosen."""
    head = parts.get(WeightPart.EMBEDDING if config.tie_word_embeddings else WeightPart.LM_HEAD, 0.0)
    chosen = min(1.0, config.moe.experts_per_token / config.moe.num_experts) if config.moe is not None else 1.0
    experts = parts.get(WeightPart.EXPERTS, 0.0) * chosen
    return int(head + experts + parts.get(WeightPart.LINEAR, 0.0) + parts.get(WeightPart.REPLICATED, 0.0))


def gib_of_cache_space(kv_cache_bytes: int) -> int:
    """The KV cache in whole GiB, rounded up, as `VLLM_CPU_KVCACHE_SPACE` takes it."""
    return -(-kv_cache_bytes // GIB)
