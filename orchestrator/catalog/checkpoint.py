"""The bytes of a checkpoint by what vLLM does with them, told from the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orchestrator.catalog.safetensors import StoredTensor
from orchestrator.domain.model_config import ModelConfig, WeightPart

_PARTS_BY_NAME = tuple(
    (re.compile(pattern), part)
    for pattern, part in (
        (r"(^|\.)(mtp|mtp_layers|nextn)\.", WeightPart.MTP),
        (
            r"(^|\.)(visual|vision\w*|vit|vpm|resampler|audio\w*|multi_modal_projector|mm_projector|patch_merger"
            r"|embed_vision|embed_audio|image_newline)(\.|$)",
            WeightPart.VISION,
        ),
        (r"\.inv_freq$|\.(cos|sin)_cached$|\.masked_bias$|position_ids$|(^|\.)attn\.bias$", WeightPart.UNLOADED),
        (r"(norm|layernorm\w*|ln_\w+|bias|sinks|A_log|conv1d)(\.\w+)?$|_bias$|norms?\.\w+$", WeightPart.REPLICATED),
        (r"(^|\.)(embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.", WeightPart.EMBEDDING),
        (r"(^|\.)(lm_head|output_layer|embed_out)\.|^output\.", WeightPart.LM_HEAD),
        (r"(^|\.)(router|gate|shared_expert_gate|wpe|q_a_proj|kv_a_proj_with_mqa)\.", WeightPart.REPLICATED),
        (r"\.experts\.", WeightPart.EXPERTS),
    )
)
"""The first pattern that is found in a name decides; what none knows is a sharded matrix."""

_LAYER_NUMBER = re.compile(r"(?:^|\.)layers\.(\d{1,9})\.")


def weights_from_tensors(tensors: Iterable[StoredTensor], config: ModelConfig) -> Mapping[WeightPart, int]:
    """Stored bytes per part, in the order of `WeightPart`; parts without bytes are left out.

    Layers past the model's own are multi-token prediction (DeepSeek, GLM). A name that comes again is a duplicate.
    """
    sizes = dict.fromkeys(WeightPart, 0)
    seen: set[str] = set()
    for tensor in tensors:
        is_new = tensor.is_loaded and tensor.name not in seen
        sizes[part_of(tensor.name, config.num_layers) if is_new else WeightPart.UNLOADED] += tensor.size_bytes
        seen.add(tensor.name)
    return {part: size for part, size in sizes.items() if size}


def part_of(name: str, num_layers: int) -> WeightPart:
    """What vLLM does with the tensor of that name in a model of `num_layers` layers."""
    layer = _LAYER_NUMBER.search(name)
    known = next((part for pattern, part in _PARTS_BY_NAME if pattern.search(name)), WeightPart.LINEAR)
    if known is not WeightPart.VISION and layer is not None and int(layer[1]) >= num_layers:
        return WeightPart.MTP
    return known
