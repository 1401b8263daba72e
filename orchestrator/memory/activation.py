"""The activation peak of the profile run: the forward pass at its largest batch, then sampling for all requests."""

from __future__ import annotations

from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.plan import MemoryTerm, Term
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, MIB, ByteRange
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.constants import (
    CONSTANTS,
    EARLY_VISION_PEAK,
    FORWARD,
    MOE_WORKSPACE,
    PACKED_WORKSPACE,
    VISION_PEAK,
    Constants,
    sampler_parameter,
)

_ELEMENT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_COUNT_BYTES = 4
_SMALLER_VISION_SINCE = Release.of("0.12.0")
_MASK_SHARE = 1 / 32


def activation_term(settings: EngineSettings, config: ModelConfig, constants: Constants = CONSTANTS) -> MemoryTerm:
    """The peak on the worst rank: max(forward, hidden states + sampler) + experts' workspace (+ vision encoder).

    The logits are gathered, so the sampler's share does not shrink with tensor parallelism.
    """
    hidden = hidden_bytes(settings, config)
    forward = constants[FORWARD].of(forward_bytes(settings, config))
    sampler = _sampler_range(settings, config, constants)
    stages = 2 * hidden if settings.pipeline_parallel_size > 1 else 0
    peak = ByteRange(
        max(forward.low, 0 if stages else hidden + sampler.low),
        max(forward.expected, hidden + sampler.expected) + stages,
        max(forward.high, hidden + sampler.high) + stages,
    )
    peak = peak + constants[experts_parameter(config)].of(experts_bytes(settings, config))
    if config.is_multimodal and settings.loads_vision:
        peak = peak + constants[vision_parameter(settings)].of(GIB)
    return MemoryTerm(
        term=Term.ACTIVATION, size=peak, in_budget=True, source=_source(settings, config, forward, sampler)
    )


def sampling_buffers_term(settings: EngineSettings, config: ModelConfig) -> MemoryTerm:
    """Counts and masks per request and vocabulary entry that the V2 runner keeps; counted from 0.27.0."""
    logits = settings.max_num_seqs * config.vocab_size
    size = int(logits * _COUNT_BYTES * (1 + _MASK_SHARE)) if settings.uses_v2_runner else 0
    return MemoryTerm(
        term=Term.NON_TORCH,
        size=ByteRange.exactly(size),
        in_budget=memory_rules(settings.release).measures_free_memory_drop,
        source=f"sampling buffers of the V2 runner: {settings.max_num_seqs:,} x {config.vocab_size:,} x 4 bytes",
    )


def hidden_bytes(settings: EngineSettings, config: ModelConfig) -> int:
    """The hidden states of a full batch."""
    return settings.max_num_batched_tokens * config.hidden_size * _ELEMENT_BYTES.get(settings.dtype, 2)


def forward_bytes(settings: EngineSettings, config: ModelConfig) -> float:
    """The widest tensors of a layer that live at once: gate, up, their product (or q, k, v), three hidden states."""
    moe = config.moe
    element = _ELEMENT_BYTES.get(settings.dtype, 2)
    width = config.intermediate_size if moe is None else moe.shared_intermediate_size
    attention = 2 * config.head_dim * (config.num_attention_heads + 2 * config.num_kv_heads)
    per_token = max(3 * width, attention) / settings.tensor_parallel_size + 3 * config.hidden_size
    return settings.max_num_batched_tokens * per_token * element


def sampled_logits(settings: EngineSettings, config: ModelConfig) -> int:
    """Logits that the profile run samples from: those of every request that a batch may hold."""
    if not settings.sampler_in_profile:
        return 0
    return min(settings.max_num_seqs, settings.max_num_batched_tokens) * config.vocab_size


def _sampler_range(settings: EngineSettings, config: ModelConfig, constants: Constants) -> ByteRange:
    scale = constants[sampler_parameter(memory_rules(settings.release).sampler)]
    return scale.of(sampled_logits(settings, config))


def experts_parameter(config: ModelConfig) -> str:
    """The parameter of the experts' workspace: kernels that unpack MXFP4 as they go need less."""
    packed = config.quantization is not None and config.quantization.method == "mxfp4"
    return PACKED_WORKSPACE if packed else MOE_WORKSPACE


def vision_parameter(settings: EngineSettings) -> str:
    """The parameter of the vision encoder's peak."""
    return EARLY_VISION_PEAK if settings.release < _SMALLER_VISION_SINCE else VISION_PEAK


def experts_bytes(settings: EngineSettings, config: ModelConfig) -> float:
    """Buffers of the fused experts for a full batch; 0 without experts."""
    moe = config.moe
    if moe is None:
        return 0.0
    element = _ELEMENT_BYTES.get(settings.dtype, 2)
    own_width = moe.intermediate_size / settings.tensor_parallel_size
    per_token = moe.experts_per_token * (max(2 * own_width, config.hidden_size) + own_width)
    return settings.max_num_batched_tokens * per_token * element


def _source(settings: EngineSettings, config: ModelConfig, forward: ByteRange, sampler: ByteRange) -> str:
    words = [
        f"forward of {settings.max_num_batched_tokens:,} tokens about {forward.expected / MIB:,.0f} MiB",
        f"sampling {settings.max_num_seqs:,} x {config.vocab_size:,} logits about {sampler.expected / MIB:,.0f} MiB",
    ]
    text = "the larger of " + " and ".join(words) if sampler.high else words[0]
    if config.moe is not None:
        text += f", workspace of {config.moe.experts_per_token} experts a token"
    if config.is_multimodal and settings.loads_vision:
        text += ", vision encoder at its largest input"
    return text
