"""What an engine will run with: the user's flags, and vLLM's defaults of that release where they are silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import LayerKind, ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flag_values import (
    as_fraction,
    as_integer,
    as_mapping,
    as_positive_integer,
    as_switch,
    flag_value,
)
from orchestrator.engine.graph_sizes import CudaGraphs, cuda_graphs
from orchestrator.engine.memory_rules import MemoryRules, memory_rules
from orchestrator.engine.rope import derived_max_model_len

_DEFAULT_BLOCK_SIZE = 16
_MLA_BLOCK_SIZE = 64
_V0_LONGEST_WITHOUT_CHUNKS = 32768
_DTYPES = {"half": "float16", "float16": "float16", "bfloat16": "bfloat16", "float": "float32", "float32": "float32"}
_BF16_SINCE = (8, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The settings that decide about memory, all resolved.

    `gpu_memory_utilization` is what was asked for (or the release's default). `max_model_len` is the user's or the
    derived one in tokens; `auto_max_model_len` says that vLLM may shorten it. `kv_cache_dtype` is never `auto`.
    `kv_cache_memory_bytes` is None where the release does not know it. `tokens_follow_length`: the batch of the
    profile run grows with max-model-len. `sampler_in_profile`: the profile run samples for all requests at once.
    """

    release: Release
    tensor_parallel_size: int
    pipeline_parallel_size: int
    gpu_memory_utilization: float
    max_model_len: int
    auto_max_model_len: bool
    dtype: str
    kv_cache_dtype: str
    block_size: int
    max_num_batched_tokens: int
    max_num_seqs: int
    enable_chunked_prefill: bool
    enable_prefix_caching: bool
    tokens_follow_length: bool
    sampler_in_profile: bool
    enforce_eager: bool
    graphs: CudaGraphs
    kv_cache_memory_bytes: int | None
    hybrid_kv_cache: bool
    online_quantization: str | None
    loads_vision: bool
    loads_draft_layers: bool
    uses_v2_runner: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    tokens: int
    requests: int
    chunked: bool
    follows_length: bool


def resolve_settings(*, vllm: Mapping[str, FlagValue], release: Release, facts: ModelFacts, gpu: Gpu) -> EngineSettings:
    """Resolve flags and defaults for one service on one kind of GPU; values that make no sense count as not given."""
    rules = memory_rules(release)
    vllm = canonical_flags(vllm, release)
    max_model_len, auto = _max_model_len(vllm, release, facts, rules)
    batch = _batch(vllm, rules, gpu, max_model_len)
    dtype = _dtype(vllm, facts, gpu)
    eager = as_switch(vllm, "enforce-eager") is True
    return EngineSettings(
        release=release,
        tensor_parallel_size=as_positive_integer(flag_value(vllm, "tensor-parallel-size")) or 1,
        pipeline_parallel_size=as_positive_integer(flag_value(vllm, "pipeline-parallel-size")) or 1,
        gpu_memory_utilization=as_fraction(flag_value(vllm, "gpu-memory-utilization")) or rules.default_utilization,
        max_model_len=max_model_len,
        auto_max_model_len=auto,
        dtype=dtype,
        kv_cache_dtype=_kv_cache_dtype(vllm, dtype),
        block_size=_block_size(vllm, facts),
        max_num_batched_tokens=batch.tokens,
        max_num_seqs=batch.requests,
        enable_chunked_prefill=batch.chunked,
        enable_prefix_caching=_prefix_caching(vllm, facts, rules),
        tokens_follow_length=batch.follows_length,
        sampler_in_profile=rules.v1_engine or not batch.chunked,
        enforce_eager=eager,
        graphs=cuda_graphs(vllm=vllm, rules=rules, gpu=gpu, requests=batch.requests, tokens=batch.tokens),
        kv_cache_memory_bytes=_fixed_kv_bytes(vllm, rules),
        hybrid_kv_cache=rules.hybrid_allocator and as_switch(vllm, "disable-hybrid-kv-cache-manager") is not True,
        online_quantization=_online_quantization(vllm, facts),
        loads_vision=as_switch(vllm, "language-model-only") is not True,
        loads_draft_layers=_loads_draft_layers(vllm),
        uses_v2_runner=rules.uses_v2_runner(facts.config),
    )


def _max_model_len(
    vllm: Mapping[str, FlagValue], release: Release, facts: ModelFacts, rules: MemoryRules
) -> tuple[int, bool]:
    written = flag_value(vllm, "max-model-len")
    asked = as_integer(written)
    if asked is not None and asked > 0:
        return asked, False
    auto = rules.auto_max_model_len and (asked == -1 or written == "auto")
    return max(1, derived_max_model_len(facts.config, vllm, release)), auto


def _batch(vllm: Mapping[str, FlagValue], rules: MemoryRules, gpu: Gpu, max_model_len: int) -> _Batch:
    tier = rules.batch_tier(gpu)
    doubled = 2 if rules.performance_mode and flag_value(vllm, "performance-mode") == "throughput" else 1
    requests = as_positive_integer(flag_value(vllm, "max-num-seqs")) or tier.max_num_seqs * doubled
    written = as_positive_integer(flag_value(vllm, "max-num-batched-tokens"))
    said = as_switch(vllm, "enable-chunked-prefill")
    chunked = said if said is not None else rules.v1_engine or max_model_len > _V0_LONGEST_WITHOUT_CHUNKS
    tokens = written or tier.max_num_batched_tokens * doubled
    follows_length = not chunked and (rules.v1_engine or written is None) and max_model_len > tokens
    if follows_length:
        tokens = max_model_len
    if rules.caps_tokens_by_requests:
        tokens = min(tokens, requests * max_model_len)
    return _Batch(
        tokens=tokens, requests=min(requests, tokens), chunked=chunked, follows_length=not chunked and written is None
    )


def _dtype(vllm: Mapping[str, FlagValue], facts: ModelFacts, gpu: Gpu) -> str:
    written = flag_value(vllm, "dtype")
    named = _DTYPES.get(written) if isinstance(written, str) else None
    if named is not None:
        return named
    no_bf16 = gpu.compute_capability is not None and gpu.compute_capability < _BF16_SINCE
    own = facts.config.dtype
    return "float16" if own == "float32" or (own == "bfloat16" and no_bf16) else own


def _kv_cache_dtype(vllm: Mapping[str, FlagValue], dtype: str) -> str:
    written = flag_value(vllm, "kv-cache-dtype")
    return written if isinstance(written, str) and written not in ("", "auto") else dtype


def _block_size(vllm: Mapping[str, FlagValue], facts: ModelFacts) -> int:
    latent = any(group.kind is LayerKind.LATENT_ATTENTION for group in facts.config.layers)
    default = _MLA_BLOCK_SIZE if latent else _DEFAULT_BLOCK_SIZE
    return as_positive_integer(flag_value(vllm, "block-size")) or default


def _prefix_caching(vllm: Mapping[str, FlagValue], facts: ModelFacts, rules: MemoryRules) -> bool:
    """What was said, else on; but where layers are recurrent: on in newer releases and beside attention only."""
    said = as_switch(vllm, "enable-prefix-caching")
    if said is not None:
        return said
    kinds = {group.kind for group in facts.config.layers}
    return LayerKind.LINEAR_ATTENTION not in kinds or (rules.caches_recurrent_prefixes and len(kinds) > 1)


def _fixed_kv_bytes(vllm: Mapping[str, FlagValue], rules: MemoryRules) -> int | None:
    written = flag_value(vllm, "kv-cache-memory-bytes")
    return as_positive_integer(written) if rules.fixed_kv_bytes else None


def _online_quantization(vllm: Mapping[str, FlagValue], facts: ModelFacts) -> str | None:
    """The method that quantises an unquantised checkpoint while it loads."""
    written = flag_value(vllm, "quantization")
    return written if isinstance(written, str) and facts.config.quantization is None else None


def _loads_draft_layers(vllm: Mapping[str, FlagValue]) -> bool:
    method = as_mapping(flag_value(vllm, "speculative-config")).get("method", flag_value(vllm, "spec-method"))
    return isinstance(method, str) and "mtp" in method
