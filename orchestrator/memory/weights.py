"""Bytes of weights that one worker loads: what is sharded, replicated, padded, converted and left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.model_config import ModelConfig, ModelFacts, WeightPart
from orchestrator.domain.plan import MemoryTerm, Term
from orchestrator.domain.units import ByteRange, as_gib
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.constants import LOADED_OVER_STORED, LOADED_OVER_STORED_BY_METHOD, Scale

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    sharded: float
    replicated: float
    notes: tuple[str, ...]


def weights_term(settings: EngineSettings, facts: ModelFacts) -> MemoryTerm:
    """The weights of the worker with the largest share (with pipeline stages: the first or the last)."""
    loaded = _loaded(settings, facts)
    tensor_parallel_size = settings.tensor_parallel_size
    per_rank = loaded.sharded / tensor_parallel_size + loaded.replicated
    return MemoryTerm(
        term=Term.WEIGHTS, size=_spread(facts, per_rank), in_budget=True, source=_source(settings, facts, loaded)
    )


def _loaded(settings: EngineSettings, facts: ModelFacts) -> _Loaded:
    config = facts.config
    parts = {part: float(size) for part, size in facts.weights.items()}
    notes: list[str] = []
    _convert(parts, settings, config, notes)
    layers = sum(parts.get(part, 0.0) for part in _LAYER_PARTS)
    stage_layers = layers * _stage_share(settings, config)
    duplicated = _replicated_kv_projections(settings, config, parts.get(WeightPart.LINEAR, 0.0), notes)
    replicated = parts.get(WeightPart.REPLICATED, 0.0) + duplicated * _stage_share(settings, config)
    vision = parts.get(WeightPart.VISION, 0.0)
    if vision and not settings.loads_vision:
        notes.append("vision tower not loaded")
        vision = 0.0
    draft = parts.get(WeightPart.MTP, 0.0)
    if draft and not settings.loads_draft_layers:
        notes.append("multi-token prediction layers not loaded")
        draft = 0.0
    vocabulary = _vocabulary(settings, config, parts, notes)
    return _Loaded(sharded=stage_layers + vocabulary + vision + draft, replicated=replicated, notes=tuple(notes))


def _convert(parts: dict[WeightPart, float], settings: EngineSettings, config: ModelConfig, notes: list[str]) -> None:
    """Scale the parts to the element size that they are loaded in."""
    if config.quantization is not None:
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


def _stage_share(settings: EngineSettings, config: ModelConfig) -> float:
    """The part of the layers that the largest pipeline stage has."""
    stages = settings.pipeline_parallel_size
    return -(-config.num_layers // stages) / config.num_layers if stages > 1 else 1.0


def _vocabulary(
    settings: EngineSettings, config: ModelConfig, parts: Mapping[WeightPart, float], notes: list[str]
) -> float:
    """Embedding and output head, padded to a multiple of 64 rows; with pipeline stages the larger of the two."""
    padded = -(-config.vocab_size // _VOCABULARY_PADDING) * _VOCABULARY_PADDING / config.vocab_size
    embedding = parts.get(WeightPart.EMBEDDING, 0.0) * padded
    head = parts.get(WeightPart.LM_HEAD, 0.0) * padded
    if config.tie_word_embeddings:
        if head:
            notes.append(f"tied lm_head of {as_gib(head):.2f} GiB not loaded")
        return embedding
    return max(embedding, head) if settings.pipeline_parallel_size > 1 else embedding + head


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
    if settings.tensor_parallel_size > 1:
        words.append(f"{as_gib(loaded.sharded):.2f} GiB / {settings.tensor_parallel_size} ranks")
        words.append(f"{as_gib(loaded.replicated):.3f} GiB on every rank")
    if not facts.exact:
        words.append("bytes derived from the config (±2 %)")
    return ", ".join(words)
