"""The state that a recurrent layer keeps per request, read from any of the spellings that families use."""

from __future__ import annotations

from orchestrator.catalog.fields import Fields
from orchestrator.domain.model_config import RecurrentState

_FLOAT32 = 4
_LIGHTNING = ("minimax",)
_SCANNED_IN_FLOAT32 = ("nemotron_h",)


def recurrent_state(text: Fields, dtype_bytes: int) -> RecurrentState:
    """Dimensions of one layer's state; a problem goes into `text.problems` where config.json does not tell them."""
    if text.has("linear_num_value_heads"):
        return _gated_delta_net(text, dtype_bytes)
    if text.has("linear_attn_config"):
        return _kimi_delta_attention(text)
    if text.has(*_MAMBA2_HEADS):
        return _mamba2(text, dtype_bytes)
    if text.has("conv_L_cache"):
        return _short_convolution(text, dtype_bytes)
    if text.text("model_type", default="").startswith(_LIGHTNING):
        return _lightning_attention(text, dtype_bytes)
    return _mamba1(text, dtype_bytes)


def _gated_delta_net(text: Fields, dtype_bytes: int) -> RecurrentState:
    state_dtype = text.text("mamba_ssm_dtype", default="")
    return RecurrentState(
        num_key_heads=text.integer("linear_num_key_heads"),
        num_value_heads=text.integer("linear_num_value_heads"),
        key_head_dim=text.integer("linear_key_head_dim"),
        value_head_dim=text.integer("linear_value_head_dim"),
        conv_kernel=text.integer("linear_conv_kernel_dim"),
        state_dtype_bytes=_FLOAT32 if state_dtype == "float32" else dtype_bytes,
    )


def _kimi_delta_attention(text: Fields) -> RecurrentState:
    """Queries, keys and values are alike; vLLM keeps the state in float32."""
    stated = text.nested("linear_attn_config") or text
    heads, size = stated.integer("num_heads"), stated.integer("head_dim")
    return RecurrentState(
        num_key_heads=heads,
        num_value_heads=heads,
        key_head_dim=size,
        value_head_dim=size,
        conv_kernel=stated.integer("short_conv_kernel_size", default=4),
        state_dtype_bytes=_FLOAT32,
    )


_MAMBA2_HEADS = ("mamba_n_heads", "mamba_num_heads", "n_mamba_heads")


def _mamba2(text: Fields, dtype_bytes: int) -> RecurrentState:
    """Groups of B and C stand for keys: as many as there are groups, each as long as the state."""
    heads = text.integer(*_MAMBA2_HEADS)
    stated = next((text.values[name] for name in _MAMBA2_SIZES if text.has(name)), "auto")
    inner = text.integer("mamba_expand", "expand", default=2) * text.integer("hidden_size")
    in_float32 = text.text("model_type", default="").startswith(_SCANNED_IN_FLOAT32)
    state_dtype = text.text("mamba_ssm_cache_dtype", default="float32" if in_float32 else "")
    return RecurrentState(
        num_key_heads=text.integer("mamba_n_groups", "n_groups", "mamba_ngroups", default=1),
        num_value_heads=heads,
        key_head_dim=text.integer("mamba_d_state", "ssm_state_size"),
        value_head_dim=max(1, inner // heads) if stated == "auto" else text.integer(*_MAMBA2_SIZES),
        conv_kernel=text.integer("mamba_d_conv", "conv_kernel", default=4),
        state_dtype_bytes=_FLOAT32 if in_float32 and state_dtype == "float32" else dtype_bytes,
        checkpoint_blocks=1,
    )


_MAMBA2_SIZES = ("mamba_d_head", "mamba_head_dim", "mamba_headdim")


def _mamba1(text: Fields, dtype_bytes: int) -> RecurrentState:
    """Every channel is a head of its own, and there are no groups in the convolution."""
    inner = text.integer("mamba_expand", "expand", default=2) * text.integer("hidden_size")
    return RecurrentState(
        num_key_heads=0,
        num_value_heads=inner,
        key_head_dim=text.integer("mamba_d_state", "state_size"),
        value_head_dim=1,
        conv_kernel=text.integer("mamba_d_conv", "conv_kernel", default=4),
        state_dtype_bytes=dtype_bytes,
    )


def _short_convolution(text: Fields, dtype_bytes: int) -> RecurrentState:
    """LFM2: the last few inputs of a convolution, and nothing else."""
    return RecurrentState(
        num_key_heads=0,
        num_value_heads=text.integer("conv_dim", "hidden_size"),
        key_head_dim=0,
        value_head_dim=1,
        conv_kernel=text.integer("conv_L_cache"),
        state_dtype_bytes=dtype_bytes,
    )


def _lightning_attention(text: Fields, dtype_bytes: int) -> RecurrentState:
    """A square matrix per head, without a convolution."""
    heads = text.integer("num_attention_heads")
    size = text.integer("head_dim", default=max(1, text.integer("hidden_size") // heads))
    return RecurrentState(
        num_key_heads=0,
        num_value_heads=heads,
        key_head_dim=size,
        value_head_dim=size,
        conv_kernel=1,
        state_dtype_bytes=dtype_bytes,
    )
