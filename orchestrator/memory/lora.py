"""Memory of LoRA slots: two thin matrices per slot for every matrix of the model, allocated at start-up."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.plan import MemoryTerm, Term
from orchestrator.domain.release import Release
from orchestrator.domain.units import MIB, ZERO_BYTES, ByteRange
from orchestrator.engine.settings import EngineSettings

_EXPERTS_SINCE = Release.of("0.11.2")
_ELEMENT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_LOW, _HIGH = 0.85, 1.12
"""Qwen3-4B takes 79 MiB per slot of rank 16 in vLLM 0.27.1; the sum over its matrices is 72, without vocabulary 63."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrix:
    """`splits_inputs`: ranks have a part of the inputs (row parallel), else of the outputs."""

    inputs: int
    outputs: int
    splits_inputs: bool = False
    copies: int = 1

    def elements_per_rank(self, ranks: int, *, fully_sharded: bool) -> float:
        """Elements of both thin matrices per unit of LoRA rank on one GPU. The side that the ranks do not split is on
        every one of them, unless `--fully-sharded-loras` splits its other dimension.
        """
        split, whole = (self.inputs, self.outputs) if self.splits_inputs else (self.outputs, self.inputs)
        return self.copies * (split / ranks + (whole / ranks if fully_sharded else whole))


def lora_term(settings: EngineSettings, config: ModelConfig) -> MemoryTerm:
    """What `--max-loras` slots of `--max-lora-rank` take on one rank; nothing without `--enable-lora`."""
    if not settings.lora_slots:
        return MemoryTerm(term=Term.WEIGHTS, size=ZERO_BYTES, in_budget=True, source="no LoRA")
    layer = sum(_per_rank(matrix, settings) for matrix in _layer(config, settings.release))
    layers = layer * config.num_layers / settings.pipeline_parallel_size
    vocabulary = 2 * (config.vocab_size / settings.tensor_parallel_size + config.hidden_size)
    element = _ELEMENT_BYTES.get(settings.dtype, 2)
    slot = (layers + vocabulary) * settings.max_lora_rank * element
    size = slot * settings.lora_slots
    return MemoryTerm(
        term=Term.WEIGHTS,
        size=ByteRange(int(size * _LOW), int(size), int(size * _HIGH)),
        in_budget=True,
        source=f"{settings.lora_slots} LoRA slots of rank {settings.max_lora_rank}, about {slot / MIB:,.0f} MiB each",
    )


def _per_rank(matrix: _Matrix, settings: EngineSettings) -> float:
    return matrix.elements_per_rank(settings.tensor_parallel_size, fully_sharded=settings.fully_sharded_loras)


def _layer(config: ModelConfig, release: Release) -> tuple[_Matrix, ...]:
    hidden, heads = config.hidden_size, config.num_attention_heads * config.head_dim
    keys = config.num_kv_heads * config.head_dim
    attention = (
        _Matrix(inputs=hidden, outputs=heads),
        _Matrix(inputs=hidden, outputs=keys, copies=2),
        _Matrix(inputs=heads, outputs=hidden, splits_inputs=True),
    )
    if config.moe is None:
        return (*attention, *_mlp(hidden, config.intermediate_size, 1))
    shared = _mlp(hidden, config.moe.shared_intermediate_size, 1) if config.moe.shared_intermediate_size else ()
    experts = _mlp(hidden, config.moe.intermediate_size, config.moe.num_experts)
    return (*attention, *shared, *(experts if release >= _EXPERTS_SINCE else ()))


def _mlp(hidden: int, width: int, copies: int) -> tuple[_Matrix, ...]:
    return (
        _Matrix(inputs=hidden, outputs=width, copies=2 * copies),
        _Matrix(inputs=width, outputs=hidden, splits_inputs=True, copies=copies),
    )
