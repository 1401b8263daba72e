"""The activation peak of the profile run: the forward pass at its largest batch, then sampling for all requests."""

from __future__ import annotations

from orchestrator.domain.model_config import LayerGroup, ModelConfig, VisionTower
from orchestrator.domain.plan import MemoryTerm, Term
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, MIB, ByteRange
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.constants import (
    ALLOCATOR_SLACK,
    CONSTANTS,
    EARLY_VISION_FORWARD,
    EARLY_VISION_PEAK,
    FORWARD,
    MOE_WORKSPACE,
    PACKED_WORKSPACE,
    VISION_FORWARD,
    VISION_PEAK,
    Constants,
    sampler_parameter,
)

_ELEMENT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_COUNT_BYTES = 4
_SMALLER_VISION_SINCE = Release.of("0.12.0")
_MASK_SHARE = 1 / 32
_CHUNK_TOKENS = 64
_MOST_EXPANDED_TOKENS = 65536
_EXPANDS_CONTEXT_SINCE = Release.of("0.11.0")
_VISION_ATTENTION_WIDTHS = 7
_VISION_RESIDUAL_WIDTHS = 4


def activation_term(settings: EngineSettings, config: ModelConfig, constants: Constants = CONSTANTS) -> MemoryTerm:
    """The peak on the worst rank: the language model's, or the vision encoder's where that is larger.

    The profile run first has the encoder look at its largest input, then runs the language model while it keeps what
    the encoder made (`gpu_model_runner.py`, `profile_run`).
    """
    peak = _language_peak(settings, config, constants)
    if config.is_multimodal and settings.profiles_vision:
        peak = _with_vision(peak, settings, config, constants)
    return MemoryTerm(term=Term.ACTIVATION, size=peak, in_budget=True, source=_source(settings, config, constants))


def _language_peak(settings: EngineSettings, config: ModelConfig, constants: Constants) -> ByteRange:
    """max(forward, hidden states + sampler) + experts' workspace.

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
    return peak + constants[experts_parameter(config)].of(experts_bytes(settings, config))


def _with_vision(language: ByteRange, settings: EngineSettings, config: ModelConfig, constants: Constants) -> ByteRange:
    """The larger of both; for a tower that is not known something on top of the language model's."""
    scale = constants[vision_parameter(settings, config)]
    if config.vision is None:
        return language + scale.of(GIB)
    images = _images_at_once(settings, config.vision)
    kept = images * config.vision.tokens_per_image * config.hidden_size * _ELEMENT_BYTES.get(settings.dtype, 2)
    encoder = scale.of(vision_bytes(settings, config))
    beside = language + ByteRange.exactly(kept)
    return ByteRange(
        max(beside.low, encoder.low), max(beside.expected, encoder.expected), max(beside.high, encoder.high)
    )


def vision_bytes(settings: EngineSettings, config: ModelConfig) -> float:
    """The widest tensors of one encoder layer for all images of a batch; 0 for a tower that is not known.

    Ranks share queries, keys and values with their rotated copies, or the hidden states of the MLP; each holds the
    residual, its norm, the patches and the sum over ranks.
    """
    tower = config.vision
    if tower is None:
        return 0.0
    inner = tower.intermediate_size * (3 if tower.is_gated else 2)
    width = max(_VISION_ATTENTION_WIDTHS * tower.hidden_size, 3 * tower.hidden_size + inner)
    ranks = settings.tensor_parallel_size if not settings.vision_on_every_rank else 1
    patches = _images_at_once(settings, tower) * tower.patches_per_image
    return (
        patches * (width / ranks + _VISION_RESIDUAL_WIDTHS * tower.hidden_size) * _ELEMENT_BYTES.get(settings.dtype, 2)
    )


def _images_at_once(settings: EngineSettings, tower: VisionTower) -> int:
    """Images that one batch may hold: one at least, else as many as its tokens have room for."""
    return max(1, settings.max_num_batched_tokens // tower.tokens_per_image)


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


def slack_term(activation: MemoryTerm) -> MemoryTerm:
    """What the allocator holds beyond the tensors of the peak, because it is in pieces: on top of the budget."""
    return MemoryTerm(
        term=Term.ACTIVATION,
        size=ALLOCATOR_SLACK.of(activation.size.expected),
        in_budget=False,
        source="reserved by the allocator in pieces that do not fit, over the activation peak",
    )


def hidden_bytes(settings: EngineSettings, config: ModelConfig) -> int:
    """The hidden states of a full batch."""
    return settings.max_num_batched_tokens * config.hidden_size * _ELEMENT_BYTES.get(settings.dtype, 2)


def forward_bytes(settings: EngineSettings, config: ModelConfig) -> float:
    """The widest tensors of a layer that live at once, with three hidden states: those of the MLP (gate, up and their
    product), or of what mixes the tokens.
    """
    width = config.intermediate_size if config.moe is None else config.moe.shared_intermediate_size
    shared = max(3 * width, *(_mixer_elements(group, config) for group in config.layers))
    per_token = shared / settings.tensor_parallel_size + 3 * config.hidden_size
    element = _ELEMENT_BYTES.get(settings.dtype, 2)
    return (settings.max_num_batched_tokens * per_token + _expanded_context(settings, config)) * element


def _mixer_elements(group: LayerGroup, config: ModelConfig) -> float:
    """Elements per token of all ranks: queries, keys and values twice; of recurrent layers what goes into and comes out
    of the convolution, gate and output, the vectors of the chunked delta rule, and one state for each chunk.
    """
    state = group.recurrent
    if state is None:
        return 2 * config.head_dim * (config.num_attention_heads + 2 * config.num_kv_heads)
    keys, values = state.num_key_heads * state.key_head_dim, state.num_value_heads * state.value_head_dim
    vectors = state.num_value_heads * (state.key_head_dim + state.value_head_dim)
    chunks = state.num_value_heads * state.key_head_dim * state.value_head_dim / _CHUNK_TOKENS
    return 2 * (2 * keys + values) + 2 * values + vectors + chunks


def _expanded_context(settings: EngineSettings, config: ModelConfig) -> float:
    """Elements that one rank makes of the latent vectors of a past that is read in chunks: the profile run allocates as
    many as a chunk may have (`determine_chunked_prefill_workspace_size` and `_compute_prefill_context`).
    """
    expanded = max(group.expanded_size for group in config.layers)
    if not expanded or settings.release < _EXPANDS_CONTEXT_SINCE:
        return 0.0
    pages = settings.max_num_seqs * settings.block_size
    tokens = max(min(max(8 * settings.max_model_len, 4 * pages), _MOST_EXPANDED_TOKENS), pages)
    return tokens * config.num_attention_heads / settings.tensor_parallel_size * expanded


def sampled_logits(settings: EngineSettings, config: ModelConfig) -> int:
    """Logits that the profile run samples from: those of every request that a batch may hold."""
    if not settings.sampler_in_profile:
        return 0
    return min(settings.max_num_seqs, settings.max_num_batched_tokens) * config.vocab_size


def _sampler_range(settings: EngineSettings, config: ModelConfig, constants: Constants) -> ByteRange:
    scale = constants[sampler_parameter(settings.sampler)]
    return scale.of(sampled_logits(settings, config))


def experts_parameter(config: ModelConfig) -> str:
    """The parameter of the experts' workspace: kernels that unpack MXFP4 as they go need less."""
    packed = config.quantization is not None and config.quantization.method == "mxfp4"
    return PACKED_WORKSPACE if packed else MOE_WORKSPACE


def vision_parameter(settings: EngineSettings, config: ModelConfig) -> str:
    """The parameter of the vision encoder's peak."""
    early = settings.release < _SMALLER_VISION_SINCE
    if config.vision is None:
        return EARLY_VISION_PEAK if early else VISION_PEAK
    return EARLY_VISION_FORWARD if early else VISION_FORWARD


def experts_bytes(settings: EngineSettings, config: ModelConfig) -> float:
    """Buffers of the fused experts for a full batch; 0 without experts."""
    moe = config.moe
    if moe is None:
        return 0.0
    element = _ELEMENT_BYTES.get(settings.dtype, 2)
    own_width = moe.intermediate_size / settings.tensor_parallel_size
    per_token = moe.experts_per_token * (max(2 * own_width, config.hidden_size) + own_width)
    return settings.max_num_batched_tokens * per_token * element


def _source(settings: EngineSettings, config: ModelConfig, constants: Constants) -> str:
    forward = constants[FORWARD].of(forward_bytes(settings, config)).expected
    sampler = _sampler_range(settings, config, constants)
    words = [
        f"forward of {settings.max_num_batched_tokens:,} tokens about {forward / MIB:,.0f} MiB",
        f"sampling {settings.max_num_seqs:,} x {config.vocab_size:,} logits about {sampler.expected / MIB:,.0f} MiB",
    ]
    text = "the larger of " + " and ".join(words) if sampler.high else words[0]
    if config.moe is not None:
        text += f", workspace of {config.moe.experts_per_token} experts a token"
    if config.is_multimodal and settings.profiles_vision:
        text += _vision_source(settings, config, constants)
    return text


def _vision_source(settings: EngineSettings, config: ModelConfig, constants: Constants) -> str:
    if config.vision is None:
        return ", vision encoder at its largest input"
    encoder = constants[vision_parameter(settings, config)].of(vision_bytes(settings, config)).expected
    patches = _images_at_once(settings, config.vision) * config.vision.patches_per_image
    return f"; or the vision encoder over {patches:,} patches, about {encoder / MIB:,.0f} MiB"
