"""What a language model is made of, as far as memory and start-up rules care."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class LayerKind(StrEnum):
    """How a layer remembers the past."""

    FULL_ATTENTION = "full_attention"
    SLIDING_ATTENTION = "sliding_attention"
    CHUNKED_ATTENTION = "chunked_attention"
    LATENT_ATTENTION = "latent_attention"  # MLA: one low-rank vector per token
    LINEAR_ATTENTION = "linear_attention"  # Gated DeltaNet, Kimi Delta Attention, Mamba: one state per request


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentState:
    """Dimensions of the per-request state of a recurrent layer, in the words of Gated DeltaNet.

    A matrix of `key_head_dim` x `value_head_dim` per value head, and the last `conv_kernel` - 1 inputs of a convolution
    over values and twice the keys. Mamba's groups are its key heads. `checkpoint_blocks` are further states that a
    request holds while prefixes are cached.
    """

    num_key_heads: int
    num_value_heads: int
    key_head_dim: int
    value_head_dim: int
    conv_kernel: int
    state_dtype_bytes: int = 4
    checkpoint_blocks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """`count` layers that remember alike. `window` is in tokens; `latent_size` = kv_lora_rank + qk_rope_head_dim, and
    `expanded_size` = qk_nope_head_dim + v_head_dim, what one head makes of a latent vector.

    `value_head_size` is 0 where values are as long as keys. `index_bytes` is what the index of sparse attention keeps
    of a token, whatever the type of the cache; such an index is a group of its own.
    """

    kind: LayerKind
    count: int
    num_kv_heads: int = 0
    head_size: int = 0
    value_head_size: int = 0
    index_bytes: int = 0
    window: int | None = None
    latent_size: int = 0
    expanded_size: int = 0
    recurrent: RecurrentState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureOfExperts:
    num_experts: int
    experts_per_token: int
    intermediate_size: int
    shared_intermediate_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """A checkpoint's quantisation as its config.json states it (`method` in vLLM's words: awq, gptq, fp8, …).

    `is_float`: the weights are stored as small floating-point numbers; None where only the method tells. `scheme`: what
    compressed-tensors does to weights and activations (`wNa16`, `w8a8_int8`, `w4a8_fp8`, `fp8`, `nvfp4`, `mxfp4`,
    `mxfp8`).
    """

    method: str
    bits: int | None = None
    group_size: int | None = None
    block_size: tuple[int, int] | None = None
    zero_point: bool | None = None
    is_float: bool | None = None
    scheme: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionTower:
    """A vision encoder: its widths in elements, and the patches it reads and tokens it gives of the largest image."""

    hidden_size: int
    intermediate_size: int
    is_gated: bool
    patches_per_image: int
    tokens_per_image: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """config.json, normalised. Sizes are in elements, lengths in tokens; `dtype` is `bfloat16`, `float16` or `float32`.

    `original_max_position_embeddings` and `rope_parameters` are as in the checkpoint, before any override.
    `draft_layers` are those for multi-token prediction, which only speculation with them uses. `rotary_elements` is
    what the tables of sines and cosines hold per position, all tables together. `remote_classes` are those that the
    checkpoint brings as code of its own (`AutoModelForCausalLM`).
    """

    architecture: str
    model_type: str
    dtype: str
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    layers: tuple[LayerGroup, ...]
    moe: MixtureOfExperts | None = None
    quantization: Quantization | None = None
    rope_theta: float | None = None
    rope_parameters: Mapping[str, object] | None = None
    is_multimodal: bool = False
    vision: VisionTower | None = None
    draft_layers: int = 0
    rotary_elements: int = 0
    remote_classes: tuple[str, ...] = ()


class WeightPart(StrEnum):
    """Checkpoint bytes by what vLLM does with them under tensor parallelism."""

    EMBEDDING = "embedding"  # sharded over the vocabulary
    LM_HEAD = "lm_head"  # sharded; not loaded when tied to the embedding
    LINEAR = "linear"  # sharded
    EXPERTS = "experts"  # sharded
    REPLICATED = "replicated"  # norms, routers, biases, small tensors: on every rank
    MTP = "multi_token_prediction"  # not loaded without speculative decoding
    VISION = "vision"
    UNLOADED = "unloaded"  # buffers and duplicates that vLLM never loads


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model's architecture and the bytes of its checkpoint, with where they are known from.

    `weights` holds stored bytes per part. `provenance` is one line for people ("safetensors headers of …").
    `revision` is the commit the facts were read at, when known. `exact` is True when the bytes come from
    safetensors headers or a verified total, False when they were derived from a config.
    """

    model: str
    config: ModelConfig
    weights: Mapping[WeightPart, int]
    provenance: str = field(compare=False)
    revision: str | None = None
    exact: bool = True

    @property
    def checkpoint_bytes(self) -> int:
        return sum(self.weights.values())
