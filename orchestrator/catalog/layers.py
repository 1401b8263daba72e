"""How the layers of a model remember the past, read from its config.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from orchestrator.catalog.fields import Fields
from orchestrator.domain.model_config import LayerGroup, LayerKind, RecurrentState

MOST_LAYERS = 4096

_KIND_WORDS = {
    "full_attention": LayerKind.FULL_ATTENTION,
    "attention": LayerKind.FULL_ATTENTION,
    "sliding_attention": LayerKind.SLIDING_ATTENTION,
    "chunked_attention": LayerKind.CHUNKED_ATTENTION,
    "linear_attention": LayerKind.LINEAR_ATTENTION,
}

_ONE_DRAFT_LAYER = ("qwen3_next",)
_FULL = LayerKind.FULL_ATTENTION
_SLIDING = LayerKind.SLIDING_ATTENTION


def layer_groups(
    text: Fields, *, num_layers: int, num_kv_heads: int, head_dim: int, dtype_bytes: int
) -> tuple[LayerGroup, ...]:
    """The layers by kind, in the order in which the kinds first appear. Problems go into `text.problems`."""
    counts = Counter(layer_kinds(text, num_layers))
    return tuple(
        _group(text, kind, count, num_kv_heads=num_kv_heads, head_dim=head_dim, dtype_bytes=dtype_bytes)
        for kind, count in counts.items()
    )


def latent_size(text: Fields) -> int:
    """Elements of the one vector per token that MLA keeps: kv_lora_rank + qk_rope_head_dim; 0 without MLA."""
    if not text.has("kv_lora_rank"):
        return 0
    return text.integer("kv_lora_rank") + text.integer("qk_rope_head_dim")


def draft_layers(text: Fields) -> int:
    """Layers for multi-token prediction, past the model's own."""
    default = 1 if text.text("model_type", default="").startswith(_ONE_DRAFT_LAYER) else 0
    return text.integer("num_nextn_predict_layers", "mtp_num_hidden_layers", default=default, least=0, most=64)


def layer_kinds(text: Fields, num_layers: int) -> list[LayerKind]:
    words = text.strings("layer_types")
    kinds = _kinds_from_words(text, words, num_layers) if words else _kinds_by_family(text, num_layers)
    if text.has("kv_lora_rank"):
        return [LayerKind.LATENT_ATTENTION if kind is _FULL else kind for kind in kinds]
    return kinds


def _kinds_from_words(text: Fields, words: tuple[str, ...], num_layers: int) -> list[LayerKind]:
    if len(words) < num_layers:
        text.problems.append(
            f"`{text.path}layer_types` names {len(words)} layers, `{text.path}num_hidden_layers` {num_layers}"
        )
    unknown = sorted({word for word in words if word not in _KIND_WORDS})
    if unknown:
        text.problems.append(f"`{text.path}layer_types` names a kind of layer that is not known, `{unknown[0][:40]}`")
    return [_KIND_WORDS.get(word, _FULL) for word in words[:num_layers]]


def _kinds_by_family(text: Fields, num_layers: int) -> list[LayerKind]:
    family = text.text("model_type", default="")
    rule = next((rule for prefix, rule in _FAMILY_RULES if family.startswith(prefix)), _one_window_or_none)
    return [rule(text, number, num_layers) for number in range(num_layers)]


_Rule = Callable[[Fields, int, int], LayerKind]


def _every(name: str, default: int, others: LayerKind) -> _Rule:
    """Every n-th layer attends to all, n being the field `name`; the others are of the kind `others`."""

    def rule(text: Fields, number: int, num_layers: int) -> LayerKind:
        period = text.integer(name, default=default)
        return _FULL if (number + 1) % period == 0 else others

    return rule


def _alternating(text: Fields, number: int, num_layers: int) -> LayerKind:
    return _SLIDING if number % 2 == 0 else _FULL


def _window_in_upper_layers(text: Fields, number: int, num_layers: int) -> LayerKind:
    uses_window = text.boolean("use_sliding_window", False) and text.has("sliding_window")
    first = text.integer("max_window_layers", default=num_layers, least=0)
    return _SLIDING if uses_window and number >= first else _FULL


def _rope_less_layers_are_full(text: Fields, number: int, num_layers: int) -> LayerKind:
    marks = text.integers("no_rope_layers")
    is_full = marks[number] == 0 if len(marks) > number else (number + 1) % 4 == 0
    return _FULL if is_full else LayerKind.CHUNKED_ATTENTION


def _one_window_or_none(text: Fields, number: int, num_layers: int) -> LayerKind:
    """Families with one window for all layers; vLLM keeps blocks for a window even where no request outgrows it."""
    return _SLIDING if text.has("sliding_window") and text.boolean("use_sliding_window", True) else _FULL


_FAMILY_RULES: tuple[tuple[str, _Rule], ...] = (
    ("qwen3_next", _every("full_attention_interval", 4, LayerKind.LINEAR_ATTENTION)),
    ("qwen3_5", _every("full_attention_interval", 4, LayerKind.LINEAR_ATTENTION)),
    ("gemma2", _alternating),
    ("gpt_oss", _alternating),
    ("gemma3", _every("sliding_window_pattern", 6, _SLIDING)),
    ("cohere2", _every("sliding_window_pattern", 4, _SLIDING)),
    ("llama4", _rope_less_layers_are_full),
    ("qwen2", _window_in_upper_layers),
    ("qwen3", _window_in_upper_layers),
)
"""Which layers of a family attend how, where config.json has no `layer_types`; as in the transformers library."""


def _group(
    text: Fields, kind: LayerKind, count: int, *, num_kv_heads: int, head_dim: int, dtype_bytes: int
) -> LayerGroup:
    if kind is LayerKind.LINEAR_ATTENTION:
        return LayerGroup(kind=kind, count=count, recurrent=_recurrent_state(text, dtype_bytes))
    if kind is LayerKind.LATENT_ATTENTION:
        size = latent_size(text)
        return LayerGroup(kind=kind, count=count, num_kv_heads=1, head_size=size, latent_size=size)
    return LayerGroup(kind=kind, count=count, num_kv_heads=num_kv_heads, head_size=head_dim, window=_window(text, kind))


def _window(text: Fields, kind: LayerKind) -> int | None:
    if kind is _SLIDING:
        return text.integer("sliding_window")
    if kind is LayerKind.CHUNKED_ATTENTION:
        return text.integer("attention_chunk_size")
    return None


def _recurrent_state(text: Fields, dtype_bytes: int) -> RecurrentState:
    state_dtype = text.text("mamba_ssm_dtype", default="")
    return RecurrentState(
        num_key_heads=text.integer("linear_num_key_heads"),
        num_value_heads=text.integer("linear_num_value_heads"),
        key_head_dim=text.integer("linear_key_head_dim"),
        value_head_dim=text.integer("linear_value_head_dim"),
        conv_kernel=text.integer("linear_conv_kernel_dim"),
        state_dtype_bytes=4 if state_dtype == "float32" else dtype_bytes,
    )
