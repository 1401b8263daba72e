"""The tensors that a checkpoint of a config.json would hold: names, as in transformers, and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.catalog.blueprint import Blueprint, blueprint_of
from orchestrator.catalog.fields import Fields
from orchestrator.catalog.layers import Mixers, layer_mixers, layers_that_keep
from orchestrator.catalog.mixer_parameters import mixer_tensors
from orchestrator.catalog.safetensors import StoredTensor
from orchestrator.catalog.vision_parameters import vision_elements
from orchestrator.domain.model_config import LayerKind, MixtureOfExperts

_FUSED_MLP = ("phi3", "glm", "glm4")
_PLAIN_MLP = ("phi",)
_UNGATED_MLP = ("nemotron", "apertus", "arcee")
_FOUR_NORMS = ("gemma2", "gemma3", "gemma3_text", "gemma4_text", "gemma4_unified_text", "glm4")
_NORM_BIASES = ("phimoe", "phi")
_MTP_BY_DEFAULT = ("qwen3_next",)
_CORRECTION_BIAS = ("deepseek_v3", "glm4_moe", "glm_moe_dsa", "kimi_", "mimo_v2", "nemotron_h")
_DRAFT_HEAD = ("deepseek", "glm4_moe")
"""Families whose layers for multi-token prediction repeat the embedding and the head."""
_MLP_LETTERS = ("-", "mlp")
_EXPERTS_LETTERS = ("E", "moe")


def tensors_from_config(document: Mapping[str, object], *, stores_tied_head: bool = False) -> tuple[StoredTensor, ...]:
    """Every tensor with its bytes, experts of a layer as one; () when parse_config refuses `document`.

    `stores_tied_head`: the checkpoint repeats a tied embedding as lm_head, as Qwen3-1.7B's does.
    """
    blueprint = blueprint_of(document)
    return () if blueprint is None else tuple(_tensors(blueprint, stores_tied_head))


def _tensors(blueprint: Blueprint, stores_tied_head: bool) -> Iterator[StoredTensor]:
    config, text, hidden = blueprint.config, blueprint.text, blueprint.config.hidden_size
    if text.has("n_embd"):
        yield from _gpt2(blueprint)
        return
    yield blueprint.plain("model.embed_tokens.weight", config.vocab_size * hidden)
    keeping = layers_that_keep(text, config.num_layers)
    for number, mixers in enumerate(layer_mixers(text, config.num_layers)):
        yield from _layer(blueprint, number, mixers, f"model.layers.{number}.", keeps=number < keeping)
    yield blueprint.plain("model.norm.weight", hidden)
    if blueprint.family in _NORM_BIASES:
        yield blueprint.plain("model.norm.bias", hidden)
    if not config.tie_word_embeddings or stores_tied_head:
        yield blueprint.plain("lm_head.weight", config.vocab_size * hidden)
        if text.boolean("lm_head_bias", False):
            yield blueprint.plain("lm_head.bias", config.vocab_size)
    yield from _per_layer_inputs(blueprint)
    yield from _multi_token_prediction(blueprint)
    elements = vision_elements(blueprint.top, hidden)
    if elements:
        yield blueprint.plain("model.visual.weight", elements)


def _gpt2(blueprint: Blueprint) -> Iterator[StoredTensor]:
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


def _layer(
    blueprint: Blueprint, number: int, mixers: Mixers, prefix: str, *, keeps: bool = True
) -> Iterator[StoredTensor]:
    hidden = blueprint.config.hidden_size
    for kind in mixers:
        yield from mixer_tensors(blueprint, kind, number, prefix, keeps=keeps)
    alone = _listed(blueprint.text)[number : number + 1]
    if not (alone and mixers):
        yield from _feed_forward(blueprint, number, prefix, widened=not keeps)
    norms = 1 if alone else 4 if blueprint.family in _FOUR_NORMS else 1 if blueprint.family in _PLAIN_MLP else 2
    yield blueprint.plain(prefix + "input_layernorm.weight", norms * hidden)
    if blueprint.family in _NORM_BIASES:
        yield blueprint.plain(prefix + "input_layernorm.bias", norms * hidden)


def _listed(text: Fields) -> tuple[str, ...]:
    """A word or letter per layer, in models that list MLPs as layers of their own."""
    words = text.strings("layers_block_type") or tuple(text.text("hybrid_override_pattern", default=""))
    return words if any(word in _MLP_LETTERS + _EXPERTS_LETTERS for word in words) else ()


def _feed_forward(blueprint: Blueprint, number: int, prefix: str, *, widened: bool) -> Iterator[StoredTensor]:
    config, text = blueprint.config, blueprint.text
    width = text.integer("intermediate_size_mlp", default=config.intermediate_size)
    width *= 2 if widened and text.boolean("use_double_wide_mlp", False) else 1
    beside = text.boolean("enable_moe_block", False)
    has_experts = config.moe is not None and _has_experts(blueprint, number)
    if has_experts and config.moe is not None:
        yield from _experts(blueprint, config.moe, prefix + "mlp.")
    if beside or not has_experts:
        yield from _mlp(blueprint, prefix + "mlp.", width)
    if beside:
        yield blueprint.plain(prefix + "pre_feedforward_layernorm_2.weight", 3 * config.hidden_size)


def _mlp(blueprint: Blueprint, prefix: str, width: int, copies: int = 1, hidden: int = 0) -> Iterator[StoredTensor]:
    hidden = hidden or blueprint.config.hidden_size
    if blueprint.family in _PLAIN_MLP:
        yield blueprint.matrix(prefix + "fc1", width, hidden)
        yield blueprint.matrix(prefix + "fc2", hidden, width)
        yield blueprint.plain(prefix + "fc1.bias", width + hidden)
        return
    if blueprint.family in _FUSED_MLP:
        yield blueprint.matrix(prefix + "gate_up_proj", 2 * width, hidden, copies)
    else:
        if not blueprint.is_of(_UNGATED_MLP):
            yield blueprint.matrix(prefix + "gate_proj", width, hidden, copies)
        yield blueprint.matrix(prefix + "up_proj", width, hidden, copies)
    yield blueprint.matrix(prefix + "down_proj", hidden, width, copies)
    if blueprint.text.boolean("mlp_bias", False):
        yield blueprint.plain(prefix + "bias", (2 * width + hidden) * copies)


def _has_experts(blueprint: Blueprint, number: int) -> bool:
    text = blueprint.text
    listed = _listed(text)
    if len(listed) > number:
        return listed[number] in _EXPERTS_LETTERS
    marks = text.values.get("moe_layer_freq")
    if isinstance(marks, list):
        return number >= len(marks) or bool(marks[number])
    is_dense = number < text.integer("first_k_dense_replace", default=0, least=0)
    return not is_dense and number not in text.integers("mlp_only_layers") and _is_in_step(text, number)


def _is_in_step(text: Fields, number: int) -> bool:
    """Whether a layer is one of those that recur with experts, in each family's way to say how often."""
    for name in ("decoder_sparse_step", "interleave_moe_layer_step"):
        if text.has(name):
            return (number + 1) % text.integer(name) == 0
    period = text.integer("expert_layer_period", "moe_layer_freq", default=1)
    return number % period == text.integer("expert_layer_offset", default=0, least=0)


def _experts(blueprint: Blueprint, moe: MixtureOfExperts, prefix: str) -> Iterator[StoredTensor]:
    text, hidden, count, width = blueprint.text, blueprint.config.hidden_size, moe.num_experts, moe.intermediate_size
    yield blueprint.plain(prefix + "gate.weight", count * hidden)
    if blueprint.family == "gpt_oss":
        yield blueprint.plain(prefix + "router.bias", count)
        yield blueprint.plain(prefix + "experts.gate_up_proj_bias", count * (2 * width + hidden))
    if blueprint.is_of(_CORRECTION_BIAS):
        yield blueprint.plain(prefix + "gate.e_score_correction_bias", count, 4)
    latent = text.integer("moe_latent_size", "routed_expert_hidden_size", default=hidden)
    if latent != hidden:
        yield blueprint.matrix(prefix + "fc1_latent_proj", latent, hidden)
        yield blueprint.matrix(prefix + "fc2_latent_proj", hidden, latent)
    yield from _mlp(blueprint, prefix + "experts.", width, count, latent)
    if moe.shared_intermediate_size:
        yield from _mlp(blueprint, prefix + "shared_expert.", moe.shared_intermediate_size)
    if text.has("shared_expert_intermediate_size"):
        yield blueprint.plain(prefix + "shared_expert_gate.weight", hidden)


def _per_layer_inputs(blueprint: Blueprint) -> Iterator[StoredTensor]:
    """Embeddings of their own for every layer (Gemma 3n, Gemma 4 E2B and E4B)."""
    text, config = blueprint.text, blueprint.config
    width = text.integer("hidden_size_per_layer_input", default=0, least=0)
    if not width:
        return
    rows, hidden = text.integer("vocab_size_per_layer_input", default=config.vocab_size), config.hidden_size
    yield blueprint.plain("model.embed_tokens_per_layer.weight", rows * config.num_layers * width)
    yield blueprint.matrix("model.per_layer_model_projection", config.num_layers * width, hidden)
    yield blueprint.plain("model.per_layer_projection_norm.weight", width)
    for number in range(config.num_layers):
        prefix = f"model.layers.{number}."
        yield blueprint.matrix(prefix + "per_layer_input_gate", width, hidden)
        yield blueprint.matrix(prefix + "per_layer_projection", hidden, width)
        yield blueprint.plain(prefix + "post_per_layer_input_norm.weight", hidden)


def _multi_token_prediction(blueprint: Blueprint) -> Iterator[StoredTensor]:
    config, text, hidden = blueprint.config, blueprint.text, blueprint.config.hidden_size
    mixers = (LayerKind.LATENT_ATTENTION if text.has("kv_lora_rank") else LayerKind.FULL_ATTENTION,)
    for number in range(text.integer("num_nextn_predict_layers", default=0, least=0, most=64)):
        prefix = f"model.layers.{config.num_layers + number}."
        yield from _layer(blueprint, config.num_layers + number, mixers, prefix)
        yield blueprint.plain(prefix + "eh_proj.weight", 2 * hidden * hidden)
        yield blueprint.plain(prefix + "enorm.weight", 3 * hidden)
        if blueprint.is_of(_DRAFT_HEAD):
            yield blueprint.plain(prefix + "shared_head.head.weight", 2 * config.vocab_size * hidden)
    default = 1 if blueprint.is_of(_MTP_BY_DEFAULT) else 0
    count = text.integer("mtp_num_hidden_layers", default=default, least=0, most=64)
    for number in range(count):
        yield from _layer(blueprint, config.num_layers + number, mixers, f"mtp.layers.{number}.")
    if count:
        yield blueprint.plain("mtp.fc.weight", 2 * hidden * hidden)
        yield blueprint.plain("mtp.norm.weight", 3 * hidden)
