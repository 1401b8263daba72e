"""How the layers of a model remember the past, read from its config.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from orchestrator.catalog.fields import Fields
from orchestrator.catalog.recurrent import recurrent_state
from orchestrator.domain.model_config import LayerGroup, LayerKind

MOST_LAYERS = 4096

_FULL = LayerKind.FULL_ATTENTION
_SLIDING = LayerKind.SLIDING_ATTENTION
_RECURRENT = LayerKind.LINEAR_ATTENTION

Mixers = tuple[LayerKind, ...]
"""The parts of one layer that look at the past: none in a layer that is an MLP only, two that run side by side."""

_WORDS: Mapping[str, Mixers] = {
    "full_attention": (_FULL,),
    "attention": (_FULL,),
    "deepseek_sparse_attention": (_FULL,),
    "sliding_attention": (_SLIDING,),
    "chunked_attention": (LayerKind.CHUNKED_ATTENTION,),
    "linear_attention": (_RECURRENT,),
    "mamba": (_RECURRENT,),
    "mamba2": (_RECURRENT,),
    "conv": (_RECURRENT,),
    "hybrid": (_RECURRENT, _FULL),
    "mlp": (),
    "moe": (),
}
_LETTERS: Mapping[str, Mixers] = {"M": (_RECURRENT,), "*": (_FULL,), "-": (), "E": ()}
_KV_SHARED_BY_DEFAULT = {"gemma3n": 15}
_INDEX_SCALE_BYTES = 4

_ONE_DRAFT_LAYER = ("qwen3_next",)


def layer_groups(
    text: Fields, *, num_layers: int, num_kv_heads: int, head_dim: int, dtype_bytes: int
) -> tuple[LayerGroup, ...]:
    """What is kept of the past by kind, in the order in which the kinds first appear. The last layers of some families
    read what others keep. Problems go into `text.problems`.
    """
    own = layer_mixers(text, num_layers)[: layers_that_keep(text, num_layers)]
    counts = Counter(kind for mixers in own for kind in mixers)
    groups = tuple(
        _group(text, kind, count, num_kv_heads=num_kv_heads, head_dim=head_dim, dtype_bytes=dtype_bytes)
        for kind, count in counts.items()
    )
    return groups + _index(text, counts[LayerKind.LATENT_ATTENTION])


def layer_count(text: Fields) -> int:
    """Layers of the model; Nemotron-H lists them instead of counting."""
    listed = len(text.strings("layers_block_type")) or None
    return text.integer("num_hidden_layers", "n_layer", "num_layers", "n_layers", default=listed, most=MOST_LAYERS)


def layers_that_keep(text: Fields, num_layers: int) -> int:
    """Layers with keys and values of their own; those after them read what earlier ones keep."""
    default = _KV_SHARED_BY_DEFAULT.get(text.text("model_type", default="").removesuffix("_text"), 0)
    return max(0, num_layers - text.integer("num_kv_shared_layers", default=default, least=0, most=MOST_LAYERS))


def _index(text: Fields, latent_layers: int) -> tuple[LayerGroup, ...]:
    """What sparse attention searches for the tokens to attend to: a vector of 8-bit elements and its scale."""
    if not latent_layers or not text.has("index_topk"):
        return ()
    size = text.integer("index_head_dim") + _INDEX_SCALE_BYTES
    count = sum(has_index(text, number) for number in range(latent_layers))
    return (LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=count, num_kv_heads=1, index_bytes=size),)


def has_index(text: Fields, number: int) -> bool:
    """Whether a layer searches for itself; in some models others take over what an earlier layer found."""
    pattern = text.text("index_topk_pattern", default="")
    if len(pattern) > number:
        return pattern[number] != "S"
    period, first = text.integer("index_topk_freq", default=1), text.integer("index_skip_topk_offset", default=2)
    return max(number - first + 1, 0) % period == 0


def latent_size(text: Fields) -> int:
    """Elements of the one vector per token that MLA keeps: kv_lora_rank + qk_rope_head_dim; 0 without MLA."""
    if not text.has("kv_lora_rank"):
        return 0
    return text.integer("kv_lora_rank") + text.integer("qk_rope_head_dim")


def draft_layers(text: Fields) -> int:
    """Layers for multi-token prediction, past the model's own."""
    default = 1 if text.text("model_type", default="").startswith(_ONE_DRAFT_LAYER) else 0
    return text.integer("num_nextn_predict_layers", "mtp_num_hidden_layers", default=default, least=0, most=64)


def layer_mixers(text: Fields, num_layers: int) -> list[Mixers]:
    """What each layer of the model looks at the past with."""
    listed = _listed_mixers(text, num_layers)
    mixers = listed if listed is not None else _mixers_by_family(text, num_layers)
    if not text.has("kv_lora_rank"):
        return mixers
    latent = LayerKind.LATENT_ATTENTION
    return [tuple(latent if kind is _FULL else kind for kind in each) for each in mixers]


def _listed_mixers(text: Fields, num_layers: int) -> list[Mixers] | None:
    """From a list with a word, a number or a letter per layer; None where config.json has none."""
    for name in ("layer_types", "layers_block_type"):
        words = text.strings(name)
        if words:
            return _mixers_from(text, name, words, _WORDS, num_layers)
    letters = text.text("hybrid_override_pattern", default="")
    if letters:
        return _mixers_from(text, "hybrid_override_pattern", tuple(letters), _LETTERS, num_layers)
    marks = text.integers("hybrid_layer_pattern")
    if marks:
        words = tuple("sliding_attention" if mark else "full_attention" for mark in marks)
        return _mixers_from(text, "hybrid_layer_pattern", words, _WORDS, num_layers)
    return None


def _mixers_from(
    text: Fields, name: str, words: tuple[str, ...], known: Mapping[str, Mixers], num_layers: int
) -> list[Mixers]:
    if len(words) < num_layers:
        text.problems.append(
            f"`{text.path}{name}` names {len(words)} layers, `{text.path}num_hidden_layers` {num_layers}"
        )
    unknown = sorted({word for word in words if word not in known})
    if unknown:
        text.problems.append(f"`{text.path}{name}` names a kind of layer that is not known, `{unknown[0][:40]}`")
    return [known.get(word, (_FULL,)) for word in words[:num_layers]]


def _mixers_by_family(text: Fields, num_layers: int) -> list[Mixers]:
    family = text.text("model_type", default="")
    rule = next((rule for prefix, rule in _FAMILY_RULES if family.startswith(prefix)), _one_window_or_none)
    found = [rule(text, number, num_layers) for number in range(num_layers)]
    return [
        (_RECURRENT, *((kind,) if kind is not _RECURRENT else ())) if family in _SIDE_BY_SIDE else (kind,)
        for kind in found
    ]


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


def _attention_at(name: str) -> _Rule:
    """Layers whose numbers the list `name` has attend to all; the others are recurrent."""

    def rule(text: Fields, number: int, num_layers: int) -> LayerKind:
        return _FULL if number in text.integers(name) else _RECURRENT

    return rule


def _periodic_attention(text: Fields, number: int, num_layers: int) -> LayerKind:
    period, offset = text.integer("attn_layer_period"), text.integer("attn_layer_offset", least=0)
    return _FULL if number % period == offset else _RECURRENT


def _delta_attention(text: Fields, number: int, num_layers: int) -> LayerKind:
    """Kimi-Linear counts layers from 1."""
    stated = text.nested("linear_attn_config") or text
    return _RECURRENT if number + 1 in stated.integers("kda_layers") else _FULL


def _lightning(text: Fields, number: int, num_layers: int) -> LayerKind:
    marks = text.integers("attn_type_list")
    return _RECURRENT if len(marks) > number and marks[number] == 0 else _FULL


def _one_window_or_none(text: Fields, number: int, num_layers: int) -> LayerKind:
    """Families with one window for all layers; vLLM keeps blocks for a window even where no request outgrows it."""
    return _SLIDING if text.has("sliding_window") and text.boolean("use_sliding_window", True) else _FULL


_FAMILY_RULES: tuple[tuple[str, _Rule], ...] = (
    ("qwen3_next", _every("full_attention_interval", 4, LayerKind.LINEAR_ATTENTION)),
    ("qwen3_5", _every("full_attention_interval", 4, LayerKind.LINEAR_ATTENTION)),
    ("gemma2", _alternating),
    ("gpt_oss", _alternating),
    ("gemma3n", _every("sliding_window_pattern", 5, _SLIDING)),
    ("gemma4", _every("sliding_window_pattern", 6, _SLIDING)),
    ("gemma3", _every("sliding_window_pattern", 6, _SLIDING)),
    ("cohere2", _every("sliding_window_pattern", 4, _SLIDING)),
    ("llama4", _rope_less_layers_are_full),
    ("bamba", _attention_at("attn_layer_indices")),
    ("lfm2", _attention_at("full_attn_idxs")),
    ("jamba", _periodic_attention),
    ("kimi_linear", _delta_attention),
    ("minimax_text", _lightning),
    ("minimax_m1", _lightning),
    ("qwen2", _window_in_upper_layers),
    ("qwen3", _window_in_upper_layers),
)
"""Which layers of a family attend how, where config.json has no `layer_types`; as in the transformers library."""

_SIDE_BY_SIDE = ("falcon_h1",)
"""Families with a recurrent part beside the attention of every layer."""


def _group(
    text: Fields, kind: LayerKind, count: int, *, num_kv_heads: int, head_dim: int, dtype_bytes: int
) -> LayerGroup:
    if kind is _RECURRENT:
        return LayerGroup(kind=kind, count=count, recurrent=recurrent_state(text, dtype_bytes))
    if kind is LayerKind.LATENT_ATTENTION:
        size = latent_size(text)
        expanded = text.integer("qk_nope_head_dim", default=0, least=0) + text.integer("v_head_dim", default=0, least=0)
        return LayerGroup(
            kind=kind, count=count, num_kv_heads=1, head_size=size, latent_size=size, expanded_size=expanded
        )
    heads, size, value_size = attention_shape(text, kind, num_kv_heads, head_dim)
    return LayerGroup(
        kind=kind,
        count=count,
        num_kv_heads=heads,
        head_size=size,
        value_head_size=value_size if value_size != size else 0,
        window=_window(text, kind),
    )


def attention_shape(text: Fields, kind: LayerKind, num_kv_heads: int, head_dim: int) -> tuple[int, int, int]:
    """KV heads, elements per head of keys and of values, where layers of one kind differ from the others."""
    if kind is _SLIDING and text.has("swa_num_key_value_heads"):
        size = text.integer("swa_head_dim", default=head_dim)
        return text.integer("swa_num_key_value_heads"), size, text.integer("swa_v_head_dim", default=size)
    if kind is _FULL and text.has("global_head_dim"):
        shares = text.boolean("attention_k_eq_v", False)
        heads = text.integer("num_global_key_value_heads", default=num_kv_heads) if shares else num_kv_heads
        size = text.integer("global_head_dim")
        return heads, size, size
    other = text.nested("attention_other_setting")
    if other is not None and other.text("attention_type", default="") == kind.value:
        size = other.integer("head_dim", default=head_dim)
        return other.integer("num_attention_groups", default=num_kv_heads), size, size
    return num_kv_heads, head_dim, text.integer("v_head_dim", default=head_dim)


def _window(text: Fields, kind: LayerKind) -> int | None:
    if kind is _SLIDING:
        return text.integer("sliding_window", "sliding_window_size")
    if kind is LayerKind.CHUNKED_ATTENTION:
        return text.integer("attention_chunk_size")
    return None
