"""The tensors that a checkpoint of a config.json would hold: names, as in transformers, and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.catalog.architecture import DTYPE_BYTES, parse_config, text_part
from orchestrator.catalog.fields import Fields
from orchestrator.catalog.layers import layer_kinds
from orchestrator.catalog.quantized_storage import Storage
from orchestrator.catalog.safetensors import StoredTensor
from orchestrator.catalog.vision_parameters import vision_elements
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import LayerKind, MixtureOfExperts, ModelConfig

_FUSED_MLP = ("phi3", "glm", "glm4")
_PLAIN_MLP = ("phi",)
_FOUR_NORMS = ("gemma2", "gemma3", "gemma3_text", "glm4")
_NORM_BIASES = ("phimoe", "phi")
_QUERY_KEY_NORMS = ("qwen3", "gemma3")
_QKV_BIAS = ("qwen2",)
_NO_OUTPUT_BIAS = ("qwen2", "glm")
_FLOAT32_STATE = ("qwen3_5",)
_GATED_ATTENTION = ("qwen3_next", "qwen3_5")
_MTP_BY_DEFAULT = ("qwen3_next",)
_CORRECTION_BIAS = ("deepseek_v3", "glm4_moe", "kimi_k2")


def tensors_from_config(document: Mapping[str, object], *, stores_tied_head: bool = False) -> tuple[StoredTensor, ...]:
    """Every tensor with its bytes, experts of a layer as one; () when parse_config refuses `document`.

    `stores_tied_head`: the checkpoint repeats a tied embedding as lm_head, as Qwen3-1.7B's does.
    """
    config = parse_config(document)
    if isinstance(config, Diagnostic):
        return ()
    top = Fields(document)
    blueprint = _Blueprint(config=config, text=text_part(top), top=top, storage=_storage(top, config))
    return tuple(blueprint.tensors(stores_tied_head))


def _storage(top: Fields, config: ModelConfig) -> Storage:
    dtype_bytes = DTYPE_BYTES[config.dtype]
    stated = top.nested("quantization_config") or text_part(top).nested("quantization_config")
    if stated is None or config.quantization is None:
        return Storage(dtype_bytes=dtype_bytes)
    weights = _group_weights(stated)
    skipped = next((words for name in _SKIP_FIELDS if (words := stated.strings(name))), ())
    dynamic = stated.nested("dynamic")
    excluded = tuple("re:" + key[2:] for key in (dynamic.values if dynamic else ()) if key.startswith("-:"))
    return Storage(
        dtype_bytes=dtype_bytes,
        quantization=config.quantization,
        strategy=weights.text("strategy", default="group") if weights else "group",
        is_float=weights.text("type", default="float") == "float" if weights else True,
        skipped=(*skipped, *excluded),
    )


_SKIP_FIELDS = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "llm_int8_skip_modules")


def _group_weights(stated: Fields) -> Fields | None:
    groups = stated.nested("config_groups")
    group = groups.nested(*sorted(groups.values)) if groups is not None and groups.values else None
    return group.nested("weights") if group is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blueprint:
    """A model to be listed tensor by tensor."""

    config: ModelConfig
    text: Fields
    top: Fields
    storage: Storage

    @property
    def family(self) -> str:
        return self.text.text("model_type", default="")

    def is_of(self, families: tuple[str, ...]) -> bool:
        return self.family.startswith(families)

    def matrix(self, name: str, rows: int, columns: int, copies: int = 1) -> StoredTensor:
        """A matrix that a quantiser replaces (`copies` of them, one per expert)."""
        size = self.storage.matrix_bytes(name, rows, columns, is_expert=".experts." in name)
        return StoredTensor(name=f"{name}.weight", size_bytes=size * copies)

    def plain(self, name: str, elements: int, element_bytes: int | None = None) -> StoredTensor:
        """A tensor that is never quantised."""
        return StoredTensor(name=name, size_bytes=elements * (element_bytes or self.storage.dtype_bytes))

    def tensors(self, stores_tied_head: bool) -> Iterator[StoredTensor]:
        config, hidden = self.config, self.config.hidden_size
        if self.text.has("n_embd"):
            yield from _gpt2(self)
            return
        yield self.plain("model.embed_tokens.weight", config.vocab_size * hidden)
        for number, kind in enumerate(layer_kinds(self.text, config.num_layers)):
            yield from _layer(self, number, kind, f"model.layers.{number}.")
        yield self.plain("model.norm.weight", hidden)
        if self.family in _NORM_BIASES:
            yield self.plain("model.norm.bias", hidden)
        if not config.tie_word_embeddings or stores_tied_head:
            yield self.plain("lm_head.weight", config.vocab_size * hidden)
            if self.text.boolean("lm_head_bias", False):
                yield self.plain("lm_head.bias", config.vocab_size)
        yield from _multi_token_prediction(self)
        elements = vision_elements(self.top, hidden)
        if elements:
            yield self.plain("model.visual.weight", elements)


def _gpt2(blueprint: _Blueprint) -> Iterator[StoredTensor]:
    config, hidden, inner = blueprint.config, blueprint.config.hidden_size, blueprint.config.intermediate_size
    length = config.max_position_embeddings
    yield blueprint.plain("wte.weight", config.vocab_size * hidden)
    yield blueprint.plain("wpe.weight", length * hidden)
    for number in range(config.num_layers):
        prefix = f"h.{number}."
        shapes = (("attn.c_attn", 3 * hidden, hidden), ("attn.c_proj", hidden, hidden),
                  ("mlp.c_fc", inner, hidden), ("mlp.c_proj", hidden, inner))  # fmt: skip
        for name, rows, columns in shapes:
            yield blueprint.matrix(prefix + name, rows, columns)
            yield blueprint.plain(f"{prefix}{name}.bias", rows)
        yield blueprint.plain(prefix + "attn.bias", length * length)
        yield blueprint.plain(prefix + "ln_1.weight", 4 * hidden)
    yield blueprint.plain("ln_f.weight", 2 * hidden)


def _layer(blueprint: _Blueprint, number: int, kind: LayerKind, prefix: str) -> Iterator[StoredTensor]:
    hidden = blueprint.config.hidden_size
    yield from _MIXERS.get(kind, _attention)(blueprint, prefix)
    if _has_experts(blueprint, number) and blueprint.config.moe is not None:
        yield from _experts(blueprint, blueprint.config.moe, prefix + "mlp.")
    else:
        yield from _mlp(blueprint, prefix + "mlp.", blueprint.config.intermediate_size)
    norms = 4 if blueprint.family in _FOUR_NORMS else 1 if blueprint.family in _PLAIN_MLP else 2
    yield blueprint.plain(prefix + "input_layernorm.weight", norms * hidden)
    if blueprint.family in _NORM_BIASES:
        yield blueprint.plain(prefix + "input_layernorm.bias", norms * hidden)


def _attention(blueprint: _Blueprint, prefix: str) -> Iterator[StoredTensor]:
    config, text, prefix = blueprint.config, blueprint.text, prefix + "self_attn."
    hidden, head_dim = config.hidden_size, config.head_dim
    queries, keys = config.num_attention_heads * head_dim, config.num_kv_heads * head_dim
    gate = queries if blueprint.is_of(_GATED_ATTENTION) else 0
    for name, rows in (("q_proj", queries + gate), ("k_proj", keys), ("v_proj", keys)):
        yield blueprint.matrix(prefix + name, rows, hidden)
    yield blueprint.matrix(prefix + "o_proj", hidden, queries)
    has_bias = text.boolean("attention_bias", False) or text.boolean("add_qkv_bias", False)
    if has_bias or blueprint.is_of(_QKV_BIAS):
        yield blueprint.plain(prefix + "q_proj.bias", queries + 2 * keys)
        if not blueprint.is_of(_NO_OUTPUT_BIAS) and not text.has("add_qkv_bias"):
            yield blueprint.plain(prefix + "o_proj.bias", hidden)
    if blueprint.is_of(_QUERY_KEY_NORMS) or text.boolean("use_qk_norm", False):
        yield blueprint.plain(prefix + "q_norm.weight", 2 * head_dim)
    if blueprint.family == "gpt_oss":
        yield blueprint.plain(prefix + "sinks", config.num_attention_heads)


def _latent_attention(blueprint: _Blueprint, prefix: str) -> Iterator[StoredTensor]:
    config, text, prefix = blueprint.config, blueprint.text, prefix + "self_attn."
    hidden, heads = config.hidden_size, config.num_attention_heads
    rank, rope = text.integer("kv_lora_rank"), text.integer("qk_rope_head_dim")
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


def _gated_delta_net(blueprint: _Blueprint, prefix: str) -> Iterator[StoredTensor]:
    text, hidden, prefix = blueprint.text, blueprint.config.hidden_size, prefix + "linear_attn."
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


_Mixer = Callable[[_Blueprint, str], Iterator[StoredTensor]]

_MIXERS: Mapping[LayerKind, _Mixer] = {
    LayerKind.LATENT_ATTENTION: _latent_attention,
    LayerKind.LINEAR_ATTENTION: _gated_delta_net,
}


def _mlp(blueprint: _Blueprint, prefix: str, width: int, copies: int = 1) -> Iterator[StoredTensor]:
    hidden = blueprint.config.hidden_size
    if blueprint.family in _PLAIN_MLP:
        yield blueprint.matrix(prefix + "fc1", width, hidden)
        yield blueprint.matrix(prefix + "fc2", hidden, width)
        yield blueprint.plain(prefix + "fc1.bias", width + hidden)
        return
    if blueprint.family in _FUSED_MLP:
        yield blueprint.matrix(prefix + "gate_up_proj", 2 * width, hidden, copies)
    else:
        yield blueprint.matrix(prefix + "gate_proj", width, hidden, copies)
        yield blueprint.matrix(prefix + "up_proj", width, hidden, copies)
    yield blueprint.matrix(prefix + "down_proj", hidden, width, copies)
    if blueprint.text.boolean("mlp_bias", False):
        yield blueprint.plain(prefix + "bias", (2 * width + hidden) * copies)


def _has_experts(blueprint: _Blueprint, number: int) -> bool:
    text = blueprint.text
    if number < text.integer("first_k_dense_replace", default=0, least=0) or number in text.integers("mlp_only_layers"):
        return False
    if text.has("decoder_sparse_step"):
        return (number + 1) % text.integer("decoder_sparse_step") == 0
    return number % text.integer("moe_layer_freq", default=1) == 0


def _experts(blueprint: _Blueprint, moe: MixtureOfExperts, prefix: str) -> Iterator[StoredTensor]:
    hidden, count, width = blueprint.config.hidden_size, moe.num_experts, moe.intermediate_size
    yield blueprint.plain(prefix + "gate.weight", count * hidden)
    if blueprint.family == "gpt_oss":
        yield blueprint.plain(prefix + "router.bias", count)
        yield blueprint.plain(prefix + "experts.gate_up_proj_bias", count * (2 * width + hidden))
    if blueprint.is_of(_CORRECTION_BIAS):
        yield blueprint.plain(prefix + "gate.e_score_correction_bias", count, 4)
    yield from _mlp(blueprint, prefix + "experts.", width, count)
    if moe.shared_intermediate_size:
        yield from _mlp(blueprint, prefix + "shared_expert.", moe.shared_intermediate_size)
    if blueprint.text.has("shared_expert_intermediate_size"):
        yield blueprint.plain(prefix + "shared_expert_gate.weight", hidden)


def _multi_token_prediction(blueprint: _Blueprint) -> Iterator[StoredTensor]:
    config, text, hidden = blueprint.config, blueprint.text, blueprint.config.hidden_size
    kind = LayerKind.LATENT_ATTENTION if text.has("kv_lora_rank") else LayerKind.FULL_ATTENTION
    for number in range(text.integer("num_nextn_predict_layers", default=0, least=0, most=64)):
        prefix = f"model.layers.{config.num_layers + number}."
        yield from _layer(blueprint, config.num_layers + number, kind, prefix)
        yield blueprint.plain(prefix + "eh_proj.weight", 2 * hidden * hidden)
        yield blueprint.plain(prefix + "enorm.weight", 3 * hidden)
        yield blueprint.plain(prefix + "shared_head.head.weight", 2 * config.vocab_size * hidden)
    default = 1 if blueprint.is_of(_MTP_BY_DEFAULT) else 0
    count = text.integer("mtp_num_hidden_layers", default=default, least=0, most=64)
    for number in range(count):
        yield from _layer(blueprint, config.num_layers + number, kind, f"mtp.layers.{number}.")
    if count:
        yield blueprint.plain("mtp.fc.weight", 2 * hidden * hidden)
        yield blueprint.plain("mtp.norm.weight", 3 * hidden)
