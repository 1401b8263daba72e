"""What an engine will run with: the user's flags, and vLLM's defaults of that release where they are silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import LayerKind, ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB
from orchestrator.engine.block_sizes import default_block_size
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.environment import NO_VARIABLES
from orchestrator.engine.environment_rules import rules_under
from orchestrator.engine.flag_values import Flags, fraction, integer, mapping, number, positive_integer, switch, text
from orchestrator.engine.graph_sizes import CudaGraphs, cuda_graphs
from orchestrator.engine.memory_rules import LAST_V0, MemoryRules, Sampler, memory_rules
from orchestrator.engine.parallelism import batches_in_flight, own_draft_method, speculative_tokens
from orchestrator.engine.rope import longest_length

_V0_LONGEST_WITHOUT_CHUNKS = 32768
_DTYPES = {"half": "float16", "float16": "float16", "bfloat16": "bfloat16", "float": "float32", "float32": "float32"}
_BF16_SINCE = (8, 0)
_SIGHTS = ("image", "video")
_ENGINE_VARIABLE = "VLLM_USE_V1"
_V1_SINCE = (8, 0)
_FP8_KV_ON_V1 = (9, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The settings that decide about memory, all resolved.

    `release` is the one whose memory rules count: that of the last V0 engine where the asked one falls back to it.
    `gpu_memory_utilization` is what was asked for (or the release's default). `max_model_len` is the user's or the
    derived one in tokens; `auto_max_model_len` says that vLLM may shorten it. `kv_cache_dtype` is never `auto`.
    `kv_cache_memory_bytes` is None where the release does not know it. `tokens_follow_length`: the batch of the
    profile run grows with max-model-len. `sampler_in_profile`: the profile run samples for all requests at once.
    `batches_in_flight`: batches that are scheduled and not yet settled, for which windows stay open. `state_dtype` and
    `convolution_dtype` are those of recurrent layers where the user chose them. `lora_slots` is 0 without LoRA.
    `rope_positions`: how many positions the tables of sines and cosines cover. `rules` are those of the release, as the
    service's environment variables change them.
    """

    release: Release
    rules: MemoryRules
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
    sampler: Sampler
    enforce_eager: bool
    graphs: CudaGraphs
    kv_cache_memory_bytes: int | None
    hybrid_kv_cache: bool
    online_quantization: str | None
    loads_vision: bool
    profiles_vision: bool
    loads_draft_layers: bool
    uses_v2_runner: bool
    batches_in_flight: int = 1
    num_gpu_blocks_override: int | None = None
    speculative_tokens: int = 0
    state_dtype: str | None = None
    convolution_dtype: str | None = None
    decode_context_parallel_size: int = 1
    data_parallel_size: int = 1
    expert_parallel: bool = False
    lora_slots: int = 0
    max_lora_rank: int = 16
    fully_sharded_loras: bool = False
    cpu_offload_bytes: int = 0
    vision_on_every_rank: bool = False
    rope_positions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    tokens: int
    requests: int
    chunked: bool
    follows_length: bool


def resolve_settings(
    *,
    vllm: Mapping[str, FlagValue],
    release: Release,
    facts: ModelFacts,
    gpu: Gpu,
    environment: Mapping[str, str] = NO_VARIABLES,
    has_flashinfer: bool = True,
) -> EngineSettings:
    """Resolve flags and defaults for one service on one kind of GPU; values that make no sense count as not given.

    `environment` holds the variables of the container. `has_flashinfer`: FlashInfer is installed beside vLLM,
    as in the official image.
    """
    flags = canonical_flags(vllm, release)
    whose = _whose_rules(flags, release, gpu, environment)
    rules = rules_under(memory_rules(whose), release, environment)
    sampler = _sampler(rules, has_flashinfer=has_flashinfer)
    return _resolved(flags, whose, replace(rules, sampler=sampler), facts, gpu)


def _resolved(vllm: Flags, release: Release, rules: MemoryRules, facts: ModelFacts, gpu: Gpu) -> EngineSettings:
    longest = max(1, longest_length(facts.config, vllm, release))
    max_model_len, auto = _max_model_len(vllm, rules, longest)
    stages = positive_integer(vllm, "pipeline-parallel-size") or 1
    v2_runner = rules.uses_v2_runner(facts.config)
    batch = _batch(vllm, rules, gpu, max_model_len)
    dtype = _dtype(vllm, facts, gpu)
    kv_cache_dtype = _kv_cache_dtype(vllm, dtype)
    return EngineSettings(
        release=release,
        rules=rules,
        tensor_parallel_size=positive_integer(vllm, "tensor-parallel-size") or 1,
        pipeline_parallel_size=stages,
        gpu_memory_utilization=fraction(vllm, "gpu-memory-utilization") or rules.default_utilization,
        max_model_len=max_model_len,
        auto_max_model_len=auto,
        dtype=dtype,
        kv_cache_dtype=kv_cache_dtype,
        block_size=positive_integer(vllm, "block-size")
        or default_block_size(facts.config, gpu, release, kv_cache_dtype),
        max_num_batched_tokens=batch.tokens,
        max_num_seqs=batch.requests,
        enable_chunked_prefill=batch.chunked,
        enable_prefix_caching=_prefix_caching(vllm, facts, rules),
        tokens_follow_length=batch.follows_length,
        sampler_in_profile=rules.v1_engine or not batch.chunked,
        sampler=rules.sampler,
        enforce_eager=switch(vllm, "enforce-eager") is True,
        graphs=_graphs(vllm, rules, facts, gpu, batch),
        kv_cache_memory_bytes=_fixed_kv_bytes(vllm, rules),
        hybrid_kv_cache=_hybrid_kv_cache(vllm, facts, rules),
        online_quantization=_online_quantization(vllm, facts),
        loads_vision=switch(vllm, "language-model-only") is not True,
        profiles_vision=_profiles_vision(vllm),
        loads_draft_layers=own_draft_method(vllm),
        uses_v2_runner=v2_runner,
        batches_in_flight=batches_in_flight(vllm, rules, stages, uses_v2_runner=v2_runner),
        num_gpu_blocks_override=positive_integer(vllm, "num-gpu-blocks-override"),
        speculative_tokens=speculative_tokens(vllm),
        state_dtype=_DTYPES.get(text(vllm, "mamba-ssm-cache-dtype") or text(vllm, "mamba-cache-dtype") or ""),
        convolution_dtype=_DTYPES.get(text(vllm, "mamba-cache-dtype") or ""),
        decode_context_parallel_size=positive_integer(vllm, "decode-context-parallel-size") or 1,
        data_parallel_size=positive_integer(vllm, "data-parallel-size") or 1,
        expert_parallel=switch(vllm, "enable-expert-parallel") is True,
        lora_slots=(positive_integer(vllm, "max-loras") or 1) if switch(vllm, "enable-lora") is True else 0,
        max_lora_rank=positive_integer(vllm, "max-lora-rank") or 16,
        fully_sharded_loras=switch(vllm, "fully-sharded-loras") is True,
        vision_on_every_rank=text(vllm, "mm-encoder-tp-mode") == "data",
        rope_positions=longest,
        cpu_offload_bytes=int((number(vllm, "cpu-offload-gb") or 0) * GIB),
    )


def _whose_rules(vllm: Flags, release: Release, gpu: Gpu, environment: Mapping[str, str]) -> Release:
    """The last V0 release where this one runs its V0 engine: when told to, before Ampere, and for fp8 KV off Hopper."""
    if not memory_rules(release).falls_back_to_v0:
        return release
    if environment.get(_ENGINE_VARIABLE) is not None:
        return LAST_V0 if environment[_ENGINE_VARIABLE] == "0" else release
    capability = gpu.compute_capability
    if capability is None:
        return release
    fp8 = (text(vllm, "kv-cache-dtype") or "").startswith("fp8")
    return LAST_V0 if capability < _V1_SINCE or (fp8 and capability[0] not in _FP8_KV_ON_V1) else release


def _sampler(rules: MemoryRules, *, has_flashinfer: bool) -> Sampler:
    lacks = rules.sampler is Sampler.FLASHINFER_IF_INSTALLED and not has_flashinfer
    return Sampler.SORT if lacks else rules.sampler


def _max_model_len(vllm: Flags, rules: MemoryRules, longest: int) -> tuple[int, bool]:
    asked = integer(vllm, "max-model-len")
    if asked is not None and asked > 0:
        return asked, False
    auto = rules.auto_max_model_len and (asked == -1 or text(vllm, "max-model-len") == "auto")
    return longest, auto


def _batch(vllm: Flags, rules: MemoryRules, gpu: Gpu, max_model_len: int) -> _Batch:
    tier = rules.batch_tier(gpu)
    doubled = 2 if rules.performance_mode and text(vllm, "performance-mode") == "throughput" else 1
    requests = positive_integer(vllm, "max-num-seqs") or tier.max_num_seqs * doubled
    written = positive_integer(vllm, "max-num-batched-tokens")
    said = switch(vllm, "enable-chunked-prefill")
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


def _graphs(vllm: Flags, rules: MemoryRules, facts: ModelFacts, gpu: Gpu, batch: _Batch) -> CudaGraphs:
    architecture = facts.config.architecture
    return cuda_graphs(
        vllm=vllm, rules=rules, gpu=gpu, requests=batch.requests, tokens=batch.tokens, architecture=architecture
    )


def _dtype(vllm: Flags, facts: ModelFacts, gpu: Gpu) -> str:
    named = _DTYPES.get(text(vllm, "dtype") or "")
    if named is not None:
        return named
    no_bf16 = gpu.compute_capability is not None and gpu.compute_capability < _BF16_SINCE
    own = facts.config.dtype
    return "float16" if own == "float32" or (own == "bfloat16" and no_bf16) else own


def _kv_cache_dtype(vllm: Flags, dtype: str) -> str:
    written = text(vllm, "kv-cache-dtype")
    return written if written not in (None, "auto") else dtype


def _prefix_caching(vllm: Flags, facts: ModelFacts, rules: MemoryRules) -> bool:
    """What was said, else on; but where layers are recurrent: on in newer releases and beside attention only."""
    said = switch(vllm, "enable-prefix-caching")
    if said is not None:
        return said
    kinds = {group.kind for group in facts.config.layers}
    return LayerKind.LINEAR_ATTENTION not in kinds or (rules.caches_recurrent_prefixes and len(kinds) > 1)


def _hybrid_kv_cache(vllm: Flags, facts: ModelFacts, rules: MemoryRules) -> bool:
    """Whether layers that forget give their blocks back; releases differ about chunked attention."""
    has_chunks = any(group.kind is LayerKind.CHUNKED_ATTENTION for group in facts.config.layers)
    can = rules.hybrid_allocator and (rules.frees_old_chunks or not has_chunks)
    return can and switch(vllm, "disable-hybrid-kv-cache-manager") is not True


def _fixed_kv_bytes(vllm: Flags, rules: MemoryRules) -> int | None:
    return positive_integer(vllm, "kv-cache-memory-bytes") if rules.fixed_kv_bytes else None


def _profiles_vision(vllm: Flags) -> bool:
    """Whether the profile run has the vision encoder look at its largest input."""
    limits = mapping(vllm, "limit-mm-per-prompt")
    nothing_to_see = bool(limits) and all(limits.get(sense) == 0 for sense in _SIGHTS)
    skipped = switch(vllm, "language-model-only") is True or switch(vllm, "skip-mm-profiling") is True
    return not (skipped or nothing_to_see)


def _online_quantization(vllm: Flags, facts: ModelFacts) -> str | None:
    """The method that quantises an unquantised checkpoint while it loads."""
    return text(vllm, "quantization") if facts.config.quantization is None else None
