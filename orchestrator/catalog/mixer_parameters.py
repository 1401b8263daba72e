"""The tensors of the parts of a layer that look at the past: attention of every kind, and recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from orchestrator.catalog.blueprint import Blueprint
from orchestrator.catalog.layers import attention_shape, has_index
from orchestrator.catalog.recurrent import recurrent_state
from orchestrator.catalog.safetensors import StoredTensor
from orchestrator.domain.model_config import LayerKind

_QUERY_KEY_NORMS = ("qwen3", "gemma3", "gemma4", "lfm2", "step3", "exaone4", "hunyuan_v1", "apertus")
_NORMS_OF_ALL_HEADS = ("olmo2", "olmo3")
_QKV_BIAS = ("qwen2",)
_NO_OUTPUT_BIAS = ("qwen2", "glm", "seed_oss")
_FLOAT32_STATE = ("qwen3_5",)
_GATED_ATTENTION = ("qwen3_next", "qwen3_5")
_FULL = LayerKind.FULL_ATTENTION


def mixer_tensors(
    blueprint: Blueprint, kind: LayerKind, number: int, prefix: str, *, keeps: bool
) -> Iterator[StoredTensor]:
    """The tensors of one mixer; one that does not keep keys and values has no projections for them."""
    if kind is LayerKind.LATENT_ATTENTION:
        yield from _latent_attention(blueprint, prefix + "self_attn.")
        if blueprint.text.has("index_topk") and _searches(blueprint, number):
            yield from _index(blueprint, prefix + "self_attn.indexer.")
    elif kind is LayerKind.LINEAR_ATTENTION:
        yield from _recurrent(blueprint)(blueprint, prefix + "linear_attn.")
    else:
        yield from _attention(blueprint, kind, prefix + "self_attn.", keeps=keeps)


def _attention(blueprint: Blueprint, kind: LayerKind, prefix: str, *, keeps: bool) -> Iterator[StoredTensor]:
    config, text, hidden = blueprint.config, blueprint.text, blueprint.config.hidden_size
    kv_heads, size, value_size = attention_shape(text, kind, config.num_kv_heads, config.head_dim)
    heads = config.num_attention_heads
    queries, keys, values = heads * size, kv_heads * size, kv_heads * value_size
    gate = queries if blueprint.is_of(_GATED_ATTENTION) else 0
    yield blueprint.matrix(prefix + "q_proj", queries + gate, hidden)
    if keeps:
        yield blueprint.matrix(prefix + "k_proj", keys, hidden)
        if not (kind is _FULL and text.boolean("attention_k_eq_v", False)):
            yield blueprint.matrix(prefix + "v_proj", values, hidden)
    yield blueprint.matrix(prefix + "o_proj", hidden, heads * value_size)
    has_bias = text.boolean("attention_bias", False) or text.boolean("add_qkv_bias", False)
    if has_bias or blueprint.is_of(_QKV_BIAS):
        yield blueprint.plain(prefix + "q_proj.bias", queries + keys + values)
        if not blueprint.is_of(_NO_OUTPUT_BIAS) and not text.has("add_qkv_bias"):
            yield blueprint.plain(prefix + "o_proj.bias", hidden)
    if blueprint.is_of(_NORMS_OF_ALL_HEADS):
        yield blueprint.plain(prefix + "q_norm.weight", queries + keys)
    elif blueprint.is_of(_QUERY_KEY_NORMS) or text.boolean("use_qk_norm", False):
        yield blueprint.plain(prefix + "q_norm.weight", 2 * size if keeps else size)
    if blueprint.family == "gpt_oss" or (kind is not _FULL and text.boolean("add_swa_attention_sink_bias", False)):
        yield blueprint.plain(prefix + "sinks", heads)


def _latent_attention(blueprint: Blueprint, prefix: str) -> Iterator[StoredTensor]:
    config, text = blueprint.config, blueprint.text
    hidden, heads = config.hidden_size, config.num_attention_heads
    rank, rope = text.integer("kv_lora_rank"), text.integer("qk_rope_head_dim", least=0)
    values = text.integer("v_head_dim", default=config.head_dim - rope)
    if text.has("q_lora_rank"):
        query_rank = text.integer("q_lora_rank")
        yield blueprint.matrix(prefix + "q_a_proj", query_rank, hidden)
        yield blueprint.plain(prefix + "q_a_layernorm.weight", query_rank)
        yield blueprint.matrix(prefix + "q_b_proj", heads * config.head_dim, query_rank)
    else:
        yield blueprint.matrix(prefix + "q_proj", heads * config.head_dim, hidden)
    yield blueprint.matrix(prefix + "kv_a_proj_with_mqa", rank + rope, hidden)
    yield blueprint.plain(prefix + "kv_a_layernorm.weight", rank)
    yield blueprint.matrix(prefix + "kv_b_proj", heads * (config.head_dim - rope + values), rank)
    yield blueprint.matrix(prefix + "o_proj", hidden, heads * values)


def _searches(blueprint: Blueprint, number: int) -> bool:
    """Layers for multi-token prediction always do."""
    return number >= blueprint.config.num_layers or has_index(blueprint.text, number)


def _index(blueprint: Blueprint, prefix: str) -> Iterator[StoredTensor]:
    """What scores the tokens for sparse attention."""
    text, hidden = blueprint.text, blueprint.config.hidden_size
    heads, size = text.integer("index_n_heads"), text.integer("index_head_dim")
    yield blueprint.matrix(prefix + "wq_b", heads * size, text.integer("q_lora_rank"))
    yield blueprint.matrix(prefix + "wk", size, hidden)
    yield blueprint.plain(prefix + "k_norm.weight", 2 * size)
    yield blueprint.plain(prefix + "weights_proj.weight", heads * hidden)


def _gated_delta_net(blueprint: Blueprint, prefix: str) -> Iterator[StoredTensor]:
    text, hidden = blueprint.text, blueprint.config.hidden_size
    key_heads, value_heads = text.integer("linear_num_key_heads"), text.integer("linear_num_value_heads")
    value_dim = text.integer("linear_value_head_dim")
    keys, values = key_heads * text.integer("linear_key_head_dim"), value_heads * value_dim
    is_split = blueprint.is_of(_FLOAT32_STATE)
    fused = {"in_proj_qkvz": 2 * keys + 2 * values, "in_proj_ba": 2 * value_heads}
    split = {
        "in_proj_qkv": 2 * keys + values,
        "in_proj_z": values,
        "in_proj_b": value_heads,
        "in_proj_a": value_heads,
    }
    for name, rows in (split if is_split else fused).items():
        yield blueprint.matrix(prefix + name, rows, hidden)
    yield blueprint.plain(prefix + "conv1d.weight", (2 * keys + values) * text.integer("linear_conv_kernel_dim"))
    yield blueprint.plain(prefix + "dt_bias", value_heads)
    state_bytes = 4 if is_split else None
    yield blueprint.plain(prefix + "A_log", value_heads, state_bytes)
    yield blueprint.plain(prefix + "norm.weight", value_dim, state_bytes)
    yield blueprint.matrix(prefix + "out_proj", hidden, values)


def _mamba2(blueprint: Blueprint, prefix: str) -> Iterator[StoredTensor]:
    """One projection into the gate, what is convolved (values, and B and C of every group) and a step per head."""
    hidden, state = blueprint.config.hidden_size, recurrent_state(blueprint.text, 2)
    heads, inner = state.num_value_heads, state.num_value_heads * state.value_head_dim
    convolved = inner + 2 * state.num_key_heads * state.key_head_dim
    yield blueprint.matrix(prefix + "in_proj", inner + convolved + heads, hidden)
    yield blueprint.plain(prefix + "conv1d.weight", convolved * (state.conv_kernel + 1))
    yield blueprint.plain(prefix + "dt_bias", 3 * heads)
    if blueprint.text.boolean("mamba_rms_norm", True):
        yield blueprint.plain(prefix + "norm.weight", inner)
    yield blueprint.matrix(prefix + "out_proj", hidden, inner)


def _mamba1(blueprint: Blueprint, prefix: str) -> Iterator[StoredTensor]:
    """Steps are of low rank; B, C and steps are normalised (Jamba)."""
    hidden, state = blueprint.config.hidden_size, recurrent_state(blueprint.text, 2)
    inner, size = state.num_value_heads, state.key_head_dim
    rank = blueprint.text.integer("mamba_dt_rank", "time_step_rank", default=-(-hidden // 16))
    yield blueprint.matrix(prefix + "in_proj", 2 * inner, hidden)
    yield blueprint.plain(prefix + "conv1d.weight", inner * (state.conv_kernel + 1))
    yield blueprint.matrix(prefix + "x_proj", rank + 2 * size, inner)
    yield blueprint.matrix(prefix + "dt_proj", inner, rank)
    yield blueprint.plain(prefix + "dt_proj.bias", inner)
    yield blueprint.plain(prefix + "A_log", inner * (size + 1))
    yield blueprint.plain(prefix + "dt_layernorm.weight", rank + 2 * size)
    yield blueprint.matrix(prefix + "out_proj", hidden, inner)


def _kimi_delta_attention(blueprint: Blueprint, prefix: str) -> Iterator[StoredTensor]:
    """Queries, keys and values, each convolved; decay and gate of low rank."""
    hidden, state = blueprint.config.hidden_size, recurrent_state(blueprint.text, 2)
    heads, size = state.num_value_heads, state.value_head_dim
    inner = heads * size
    for name in ("q_proj", "k_proj", "v_proj"):
        yield blueprint.matrix(prefix + name, inner, hidden)
    yield blueprint.plain(prefix + "q_conv1d.weight", 3 * inner * state.conv_kernel)
    for name in ("f", "g"):
        yield blueprint.matrix(f"{prefix}{name}_a_proj", size, hidden)
        yield blueprint.matrix(f"{prefix}{name}_b_proj", inner, size)
    yield blueprint.matrix(prefix + "b_proj", heads, hidden)
    yield blueprint.plain(prefix + "A_log", heads, 4)
    yield blueprint.plain(prefix + "dt_bias", inner, 4)
    yield blueprint.plain(prefix + "o_norm.weight", size)
    yield blueprint.matrix(prefix + "o_proj", hidden, inner)


def _short_convolution(blueprint: Blueprint, prefix: str) -> Iterator[StoredTensor]:
    hidden, state = blueprint.config.hidden_size, recurrent_state(blueprint.text, 2)
    inner = state.num_value_heads
    yield blueprint.matrix(prefix + "in_proj", 3 * inner, hidden)
    yield blueprint.plain(prefix + "conv1d.weight", inner * state.conv_kernel)
    yield blueprint.matrix(prefix + "out_proj", hidden, inner)


_Recurrent = Callable[[Blueprint, str], Iterator[StoredTensor]]

_RECURRENT: Mapping[str, _Recurrent] = {
    "linear_num_value_heads": _gated_delta_net,
    "linear_attn_config": _kimi_delta_attention,
    "mamba_n_heads": _mamba2,
    "mamba_num_heads": _mamba2,
    "n_mamba_heads": _mamba2,
    "conv_L_cache": _short_convolution,
}


def _recurrent(blueprint: Blueprint) -> _Recurrent:
    """By the field that only this kind of recurrent layer has."""
    return next((tensors for name, tensors in _RECURRENT.items() if blueprint.text.has(name)), _mamba1)
