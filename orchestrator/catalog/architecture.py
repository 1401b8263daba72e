"""config.json of a decoder language model, normalised to what memory and start-up rules need."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.catalog.fields import Fields
from orchestrator.catalog.layers import draft_layers, latent_size, layer_count, layer_groups
from orchestrator.catalog.quantization import read_quantization
from orchestrator.catalog.vision_tower import vision_tower
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import MixtureOfExperts, ModelConfig

_NESTED = ("text_config", "llm_config", "language_config")
_INHERITED = ("tie_word_embeddings", "torch_dtype", "dtype")
_OTHER_SENSES = ("vision_config", "audio_config", "vision_tower", "vit_config")

_DTYPES = {
    "bfloat16": "bfloat16",
    "float16": "float16",
    "half": "float16",
    "float32": "float32",
    "float": "float32",
    "auto": "bfloat16",
}
DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}

_PLACES = 4

_TIED_BY_DEFAULT = ("bloom", "cohere", "falcon", "gemma", "gpt2", "gpt_bigcode", "opt", "starcoder2")
"""Families (by prefix) whose output head is the embedding unless config.json says otherwise."""

_UNMODELLED_FIELDS = (
    "compress_ratios",
    "index_kpool",
    "index_types",
    "layer_group_size",
    "ssm_cfg",
    "sparse_attention_config",
    "use_sconv",
)
"""Fields of caches that are not modelled: compressed or pooled ones, and their indexes."""

_UNMODELLED_FAMILIES = ("falcon_mamba", "mamba", "qwen4_exp", "rwkv")
"""Families without attention, or with caches that their config.json does not show."""


def parse_config(config: Mapping[str, object]) -> ModelConfig | Diagnostic:
    """The model that a config.json describes; E301 names the fields that are missing or wrong, E302 what cannot be
    sized. A missing dtype counts as bfloat16. Never raises, whatever the values are.
    """
    top = Fields(config)
    text = text_part(top)
    unsupported = _unsupported(top, text)
    if unsupported is not None:
        return unsupported
    model = _read(top, text)
    return _wrong_fields(top.problems) if top.problems else model


def text_part(top: Fields) -> Fields:
    """The language model's own fields: those of a nested text config, under what the whole model says."""
    nested = top.nested(*_NESTED)
    if nested is None:
        return top
    inherited = {name: top.values[name] for name in _INHERITED if name in top.values and not nested.has(name)}
    return nested.under({**inherited, **nested.values}, nested.path)


def _unsupported(top: Fields, text: Fields) -> Diagnostic | None:
    if top.boolean("is_encoder_decoder", False):
        return _cannot_size("an encoder-decoder model", "is_encoder_decoder")
    for name in _UNMODELLED_FIELDS:
        if text.has(name):
            return _cannot_size("a model with layers whose memory is not modelled", f"{text.path}{name}")
    if text.text("model_type", default="").startswith(_UNMODELLED_FAMILIES):
        return _cannot_size("a model with layers whose memory is not modelled", f"{text.path}model_type")
    return None


def _cannot_size(what: str, name: str) -> Diagnostic:
    return Diagnostic(
        code="E302",
        message=f"config.json describes {what}",
        notes=(f"`{name}` says so",),
        help=(
            "models that `orchestrate` can size are decoders with full, sliding, chunked or latent (MLA) attention, and"
            " with Gated DeltaNet, Kimi Delta Attention, Mamba or short-convolution layers beside it",
        ),
    )


def _wrong_fields(problems: list[str]) -> Diagnostic:
    first, *others = dict.fromkeys(problems)
    return Diagnostic(
        code="E301",
        message=f"config.json cannot be used: {first}",
        notes=tuple(others[:8]),
        help=("compare it with the config.json that the model's publisher ships",),
    )


def _read(top: Fields, text: Fields) -> ModelConfig:
    family = text.text("model_type", default="")
    dtype = _dtype(text)
    hidden_size = text.integer("hidden_size", "n_embd", "d_model")
    num_layers = layer_count(text)
    num_heads = text.integer("num_attention_heads", "n_head", "n_heads", "num_heads")
    num_kv_heads = _num_kv_heads(text, num_heads)
    head_dim = _head_dim(text, hidden_size, num_heads)
    moe = _mixture_of_experts(text, hidden_size)
    return ModelConfig(
        architecture=_architecture(top),
        model_type=top.text("model_type", default=family),
        dtype=dtype,
        hidden_size=hidden_size,
        intermediate_size=_intermediate_size(text, hidden_size),
        num_layers=num_layers,
        num_attention_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        vocab_size=text.integer("padded_vocab_size" if text.has("padded_vocab_size") else "vocab_size"),
        max_position_embeddings=text.integer(
            "max_position_embeddings", "n_positions", "seq_length", "max_sequence_length", "max_seq_len"
        ),
        tie_word_embeddings=text.boolean("tie_word_embeddings", family.startswith(_TIED_BY_DEFAULT)),
        layers=layer_groups(
            text,
            num_layers=num_layers,
            num_kv_heads=_attention_kv_heads(text, num_heads),
            head_dim=_attention_head_dim(text, hidden_size, num_heads),
            dtype_bytes=DTYPE_BYTES[dtype],
        ),
        moe=moe,
        quantization=read_quantization(top, text),
        rope_theta=_rope_theta(text),
        rope_parameters=_rope_parameters(text),
        is_multimodal=top.has(*_OTHER_SENSES),
        vision=vision_tower(top),
        draft_layers=draft_layers(text),
        rotary_elements=_rotary_elements(text, head_dim),
        remote_classes=_remote_classes(top),
    )


def _architecture(top: Fields) -> str:
    names = top.strings("architectures")
    if not names and not top.problems:
        top.problems.append("`architectures` is missing")
    return names[0] if names else ""


def _dtype(text: Fields) -> str:
    stated = text.text("dtype", "torch_dtype", default="auto").removeprefix("torch.")
    if stated not in _DTYPES:
        text.problems.append(f"`{text.path}torch_dtype` is `{stated[:40]}`, not one of bfloat16, float16, float32")
    return _DTYPES.get(stated, "bfloat16")


def _num_kv_heads(text: Fields, num_heads: int) -> int:
    """KV heads; 1 where MLA keeps one vector for all heads."""
    return 1 if latent_size(text) else _attention_kv_heads(text, num_heads)


def _attention_kv_heads(text: Fields, num_heads: int) -> int:
    """KV heads of layers without MLA; all heads where nothing is said (multi-head)."""
    if text.boolean("multi_query_attention", False) or text.boolean("multi_query", False):
        return text.integer("multi_query_group_num", "num_kv_heads", default=1)
    return text.integer("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_groups", default=num_heads)


def _head_dim(text: Fields, hidden_size: int, num_heads: int) -> int:
    """Elements per head of queries and keys."""
    if latent_size(text):
        return text.integer("qk_nope_head_dim", least=0) + text.integer("qk_rope_head_dim")
    return _attention_head_dim(text, hidden_size, num_heads)


_HEAD_DIM = ("attention_head_dim", "head_dim", "kv_channels")


def _attention_head_dim(text: Fields, hidden_size: int, num_heads: int) -> int:
    """Elements per head of layers without MLA."""
    if text.has(*_HEAD_DIM):
        return text.integer(*_HEAD_DIM)
    if hidden_size < num_heads:
        text.problems.append(f"`{text.path}hidden_size` is less than `{text.path}num_attention_heads`")
    return max(1, hidden_size // num_heads)


def _intermediate_size(text: Fields, hidden_size: int) -> int:
    """The width of a dense MLP (the widest, where they differ); of one expert where all layers have experts; GPT-2's
    default is 4 times hidden.
    """
    if text.has("moe_intermediate_size") and not text.has("intermediate_size"):
        return text.integer("moe_intermediate_size")
    default = 4 * hidden_size if text.has("n_embd") else None
    per_layer = text.values.get("intermediate_size")
    if isinstance(per_layer, list):
        return max(text.integers("intermediate_size"), default=1)
    if text.has("block_ff_dim"):
        return _adjusted_width(text)
    return text.integer("intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim", default=default)


_MOST_WIDENED = 64.0


def _adjusted_width(text: Fields) -> int:
    """LFM2's MLP: two thirds of what is stated, in whole blocks, unless it is to be taken as it is."""
    stated = text.integer("block_ff_dim")
    if not text.boolean("block_auto_adjust_ff_dim", True):
        return stated
    scaled = int(min(text.number("block_ffn_dim_multiplier") or 1.0, _MOST_WIDENED) * (2 * stated // 3))
    unit = text.integer("block_multiple_of", default=256)
    return unit * -(-scaled // unit)


_ONE_SHARED_EXPERT = ("llama4",)
_SHARED_WIDTH = (
    "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "share_expert_dim",
    "shared_intermediate_size",
)


def _mixture_of_experts(text: Fields, hidden_size: int) -> MixtureOfExperts | None:
    num_experts = text.integer("num_experts", "num_local_experts", "n_routed_experts", default=0, least=0, most=10**5)
    if num_experts < 1:
        return None
    width = text.integer("moe_intermediate_size", "intermediate_size")
    shared_by_default = 1 if text.text("model_type", default="").startswith(_ONE_SHARED_EXPERT) else 0
    shared = (
        text.integer("n_shared_experts", "num_shared_experts", default=shared_by_default, least=0, most=10**5) * width
    )
    return MixtureOfExperts(
        num_experts=num_experts,
        experts_per_token=text.integer(
            "num_experts_per_tok", "experts_per_token", "num_experts_per_token", "top_k", "top_k_experts"
        ),
        intermediate_size=width,
        shared_intermediate_size=text.integer(*_SHARED_WIDTH, default=shared, least=0),
    )


def _rope_theta(text: Fields) -> float | None:
    """The base frequency: at the top, in `rope_parameters`, or there under the full-attention layers."""
    rope = text.nested("rope_parameters", "rope_scaling")
    full = rope.nested("full_attention") if rope is not None else None
    places = (text, full, rope)
    return next((theta for each in places if each is not None and (theta := each.number("rope_theta"))), None)


def _remote_classes(top: Fields) -> tuple[str, ...]:
    """The classes that the checkpoint brings as code of its own."""
    stated = top.values.get("auto_map")
    return tuple(sorted(str(name) for name in stated)) if isinstance(stated, Mapping) else ()


def _rotary_elements(text: Fields, head_dim: int) -> int:
    """Sines and cosines per position: one table, or one for windows and one for the others (Gemma 3); with places in
    images and videos (M-RoPE) vLLM makes the table four times as long.
    """
    if text.has("n_embd"):
        return 0
    rope = text.nested("rope_parameters", "rope_scaling")
    places = [text] if rope is None else [rope, text]
    part = next((part for each in places if (part := each.number("partial_rotary_factor"))), 1.0)
    width = text.integer("qk_rope_head_dim") if latent_size(text) else int(head_dim * min(part, 1.0))
    has_two = text.has("rope_local_base_freq") or (rope is not None and rope.has("sliding_attention"))
    has_places = rope is not None and rope.has("mrope_section")
    return width * (2 if has_two else 1) * (_PLACES if has_places else 1)


def _rope_parameters(text: Fields) -> Mapping[str, object] | None:
    """`rope_parameters` or `rope_scaling` as stored, with the original length where it stands beside them."""
    rope = text.nested("rope_parameters", "rope_scaling")
    if rope is None:
        return None
    beside = text.values.get("original_max_position_embeddings")
    if rope.has("original_max_position_embeddings") or beside is None:
        return dict(rope.values)
    return {**rope.values, "original_max_position_embeddings": beside}
