"""Bytes of weights that one worker loads: what is sharded, replicated, padded, converted and left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import ModelConfig, ModelFacts, WeightPart
from orchestrator.domain.plan import MemoryTerm, Term
from orchestrator.domain.units import ByteRange, as_gib
from orchestrator.engine.parallelism import pipeline_stages
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.constants import LOADED_OVER_STORED, LOADED_OVER_STORED_BY_METHOD, Scale
from orchestrator.memory.loaded_beside import experts_padding

_VOCABULARY_PADDING = 64
_ELEMENT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_LAYER_PARTS = (WeightPart.LINEAR, WeightPart.EXPERTS)
_DERIVED_ERROR = Scale(low=0.98, expected=1.0, high=1.02)

ONLINE_QUANTIZATION: Mapping[str, float] = {
    "fp8": 0.5,
    "fp8_per_tensor": 0.5,
    "fp8_per_block": 0.502,
    "fp8_per_channel": 0.501,
    "int8_per_channel_weight_only": 0.501,
    "experts_int8": 0.501,
    "mxfp8": 0.516,
    "bitsandbytes": 0.281,
    "nvfp4_per_token": 0.281,
}
"""What is left of 16-bit linear weights when they are quantised while loading: element and scales, in parts of 16 bit.
Llama-3.1-8B with `--quantization fp8` loads 8.49 GiB (llm-d-planner 205)."""


REWRITTEN: Mapping[tuple[str, int | None], float] = {("bitsandbytes", 4): 1.09}
"""Loaded over stored by method and bits where scales are unpacked while loading: 8 bits become float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """Bytes of the heaviest pipeline stage, before they are divided among its ranks; `sharded` includes `experts`."""

    sharded: float
    replicated: float
    experts: float
    notes: tuple[str, ...]

    def per_rank(self, settings: EngineSettings) -> float:
        """What is on one GPU, less what stays in the host's memory."""
        whole = self.sharded / settings.tensor_parallel_size + self.replicated
        return max(0.0, whole - settings.cpu_offload_bytes)


def weights_term(settings: EngineSettings, facts: ModelFacts, gpu: Gpu | None = None) -> MemoryTerm:
    """The weights of the worker with the largest share; kernels of the card decide how packed experts are padded."""
    loaded = _loaded(settings, facts)
    experts = loaded.experts / settings.tensor_parallel_size
    padding = experts_padding(settings, facts.config, gpu)
    extra = ByteRange(*(int(experts * (scale - 1)) for scale in (padding.low, padding.expected, padding.high)))
    size = _spread(facts, loaded.per_rank(settings)) + extra
    return MemoryTerm(term=Term.WEIGHTS, size=size, in_budget=True, source=_source(settings, facts, loaded))


def _loaded(settings: EngineSettings, facts: ModelFacts) -> _Loaded:
    config = facts.config
    parts = {part: float(size) for part, size in facts.weights.items()}
    notes: list[str] = []
    _convert(parts, settings, config, notes)
    _leave_out(parts, settings, notes)
    experts = parts.get(WeightPart.EXPERTS, 0.0) * _expert_share(settings, config, notes)
    linear = parts.get(WeightPart.LINEAR, 0.0)
    duplicated = _replicated_kv_projections(settings, config, linear, notes)
    vision = parts.get(WeightPart.VISION, 0.0)
    on_every_rank = vision if settings.vision_on_every_rank else 0.0
    embedding, head = _vocabulary(settings, config, parts, notes)
    ends = (embedding + vision - on_every_rank, head + parts.get(WeightPart.MTP, 0.0))
    sharded, share = _heaviest_stage(settings, config, linear + experts, ends)
    replicated = (parts.get(WeightPart.REPLICATED, 0.0) + duplicated) * share
    return _Loaded(
        sharded=sharded,
        replicated=replicated + on_every_rank + _rope_tables(settings, config),
        experts=experts * share,
        notes=tuple(notes),
    )


def _leave_out(parts: dict[WeightPart, float], settings: EngineSettings, notes: list[str]) -> None:
    """Drop what vLLM does not load."""
    if not settings.loads_vision and parts.pop(WeightPart.VISION, 0.0):
        notes.append("vision tower not loaded")
    if not settings.loads_draft_layers and parts.pop(WeightPart.MTP, 0.0):
        notes.append("multi-token prediction layers not loaded")
    parts.pop(WeightPart.UNLOADED, None)


def _heaviest_stage(
    settings: EngineSettings, config: ModelConfig, layers: float, ends: tuple[float, float]
) -> tuple[float, float]:
    """Bytes of the pipeline stage that has most, and its part of the layers; `ends` go to the first and the last."""
    if settings.pipeline_parallel_size == 1:
        return layers + sum(ends), 1.0
    sizes = pipeline_stages(config.num_layers, settings.pipeline_parallel_size)
    shares = [size / config.num_layers for size in sizes]
    stages = [layers * share for share in shares]
    stages[0] += ends[0]
    stages[-1] += ends[1]
    return max(zip(stages, shares, strict=True))


def _expert_share(settings: EngineSettings, config: ModelConfig, notes: list[str]) -> float:
    """The experts of all tensor-parallel ranks of one replica: replicas share them, and with expert parallelism a
    rank has whole ones.
    """
    replicas, ranks = settings.data_parallel_size, settings.tensor_parallel_size
    if config.moe is None or (replicas == 1 and not settings.expert_parallel):
        return 1.0
    holders = replicas * ranks
    notes.append(f"{config.moe.num_experts} experts over {holders} ranks")
    if not settings.expert_parallel:
        return 1 / replicas
    return -(-config.moe.num_experts // holders) * ranks / config.moe.num_experts


def _rope_tables(settings: EngineSettings, config: ModelConfig) -> int:
    """The sines and cosines of every position that the model may have, in the model's dtype, on every rank."""
    return settings.rope_positions * config.rotary_elements * _ELEMENT_BYTES.get(settings.dtype, 2)


def _convert(parts: dict[WeightPart, float], settings: EngineSettings, config: ModelConfig, notes: list[str]) -> None:
    """Scale the parts to the element size that they are loaded in."""
    if config.quantization is not None:
        rewritten = REWRITTEN.get((config.quantization.method, config.quantization.bits), 1.0)
        parts.update({part: parts[part] * rewritten for part in _LAYER_PARTS if part in parts})
        return
    stored, wanted = _ELEMENT_BYTES.get(config.dtype, 2), _ELEMENT_BYTES.get(settings.dtype, 2)
    if stored != wanted:
        notes.append(f"stored as {config.dtype}, loaded as {settings.dtype}")
        for part in parts:
            parts[part] *= wanted / stored
    factor = ONLINE_QUANTIZATION.get(settings.online_quantization or "")
    if factor is not None:
        notes.append(f"linear weights quantised to {settings.online_quantization} while loading")
        for part in _LAYER_PARTS:
            parts[part] = parts.get(part, 0.0) * factor


def _vocabulary(
    settings: EngineSettings, config: ModelConfig, parts: Mapping[WeightPart, float], notes: list[str]
) -> tuple[float, float]:
    """Embedding and output head with their rows padded, so that every rank has as many. A tied head is not loaded,
    but the last of several pipeline stages needs the embedding, too.
    """
    rows = math.lcm(_VOCABULARY_PADDING, settings.tensor_parallel_size)
    padded = -(-config.vocab_size // rows) * rows / config.vocab_size
    embedding = parts.get(WeightPart.EMBEDDING, 0.0) * padded
    head = parts.get(WeightPart.LM_HEAD, 0.0) * padded
    if not config.tie_word_embeddings:
        return embedding, head
    if head:
        notes.append(f"tied lm_head of {as_gib(head):.2f} GiB not loaded")
    return embedding, embedding if settings.pipeline_parallel_size > 1 else 0.0


def _replicated_kv_projections(settings: EngineSettings, config: ModelConfig, linear: float, notes: list[str]) -> float:
    """Bytes that each rank holds more because KV heads are repeated when there are more ranks than heads."""
    ranks, heads = settings.tensor_parallel_size, config.num_kv_heads
    if ranks <= heads or heads <= 0 or any(group.latent_size for group in config.layers):
        return 0.0
    attention = config.hidden_size * config.head_dim * 2 * (config.num_attention_heads + heads)
    width = config.intermediate_size if config.moe is None else config.moe.shared_intermediate_size
    projections = config.hidden_size * config.head_dim * 2 * heads
    bytes_of_projections = linear * projections / (attention + 3 * config.hidden_size * width)
    notes.append(f"{heads} KV heads repeated on {ranks} ranks")
    return bytes_of_projections * (1 / heads - 1 / ranks)


def _spread(facts: ModelFacts, per_rank: float) -> ByteRange:
    quantization = facts.config.quantization
    method = quantization.method if quantization is not None else ""
    scale = LOADED_OVER_STORED_BY_METHOD.get(method.split("_")[0], LOADED_OVER_STORED)
    if facts.exact:
        return scale.of(per_rank)
    return Scale(
        low=scale.low * _DERIVED_ERROR.low,
        expected=scale.expected,
        high=scale.high * _DERIVED_ERROR.high,
    ).of(per_rank)


def _source(settings: EngineSettings, facts: ModelFacts, loaded: _Loaded) -> str:
    words = [f"checkpoint {as_gib(facts.checkpoint_bytes):.2f} GiB", *loaded.notes]
    if settings.pipeline_parallel_size > 1:
        words.append(f"the largest of {settings.pipeline_parallel_size} stages")
    if settings.cpu_offload_bytes:
        words.append(f"{as_gib(settings.cpu_offload_bytes):.2f} GiB kept in the host's memory")
    if settings.tensor_parallel_size > 1:
        words.append(f"{as_gib(loaded.sharded):.2f} GiB / {settings.tensor_parallel_size} ranks")
        words.append(f"{as_gib(loaded.replicated):.3f} GiB on every rank")
    if not facts.exact:
        words.append(f"bytes computed, ±2 % ({facts.provenance})")
    return ", ".join(words)
