"""How many parameters the vision part of a model has, for the towers whose shape is known."""

from __future__ import annotations

from orchestrator.catalog.fields import Fields


def vision_elements(top: Fields, hidden_size: int) -> int:
    """Parameters of the vision tower and of what joins it to a language model of `hidden_size`; 0 without a vision
    part or for a tower that is not known (the checkpoint's headers then are the only source)."""
    vision = top.nested("vision_config")
    if vision is None or not vision.has("hidden_size", "depth"):
        return 0
    tower = next((tower for prefix, tower in _TOWERS if top.text("model_type", default="").startswith(prefix)), None)
    return 0 if tower is None else tower(top, vision, hidden_size)


def _siglip(top: Fields, vision: Fields, hidden_size: int) -> int:
    """SigLIP with learned positions, a norm and a projection (Gemma 3)."""
    width, inner, patch = _sizes(vision)
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    positions = (vision.integer("image_size") // patch) ** 2
    embedding = 3 * patch * patch * width + width + positions * width
    return vision.integer("num_hidden_layers") * layer + embedding + 2 * width + width * hidden_size + width


def _gemma4(top: Fields, vision: Fields, hidden_size: int) -> int:
    """A ViT with gated MLPs, four norms a layer, norms of queries and keys, and positions per axis (Gemma 4)."""
    width, inner, patch = _sizes(vision)
    layer = 4 * width * width + 3 * width * inner + 4 * width + 2 * vision.integer("head_dim")
    positions = 2 * vision.integer("position_embedding_size", default=10240) * width
    standardised = 2 * width if vision.boolean("standardize", False) else 0
    joining = 3 * patch * patch * width + positions + standardised + width * hidden_size
    return vision.integer("num_hidden_layers") * layer + joining


def _pixtral(top: Fields, vision: Fields, hidden_size: int) -> int:
    """A ViT with gated MLPs and a projector that merges patches (Mistral 3)."""
    width, inner, patch = _sizes(vision)
    layer = 4 * width * width + 3 * width * inner + 2 * width
    merged = top.integer("spatial_merge_size", default=2) ** 2
    projector = width + merged * width * width + width * hidden_size + hidden_size * hidden_size
    return vision.integer("num_hidden_layers") * layer + 3 * patch * patch * width + width + projector


def _qwen(top: Fields, vision: Fields, hidden_size: int) -> int:
    """A ViT with fused qkv and mergers of two layers, one more per deep-stack layer (Qwen3-VL, Qwen3.5)."""
    width, inner, patch = _sizes(vision)
    layer = 3 * width * width + 3 * width + width * width + width + 2 * width * inner + inner + width + 4 * width
    merged = width * vision.integer("spatial_merge_size", default=2) ** 2
    out = vision.integer("out_hidden_size", default=hidden_size)
    joining = merged * merged + merged + merged * out + out
    deep = len(vision.integers("deepstack_visual_indexes"))
    embedding = 3 * vision.integer("temporal_patch_size", default=2) * patch * patch * width + width
    positions = vision.integer("num_position_embeddings", default=2304) * width
    mergers = 2 * width + joining + deep * (2 * merged + joining)
    return vision.integer("depth") * layer + embedding + positions + mergers


def _qwen_gated(top: Fields, vision: Fields, hidden_size: int) -> int:
    """A ViT with fused qkv, gated MLPs with biases, RMS norms and one merger of two layers (Qwen2.5-VL)."""
    width, inner, patch = _sizes(vision)
    layer = 4 * width * width + 4 * width + 3 * width * inner + 2 * inner + width + 2 * width
    merged = width * vision.integer("spatial_merge_size", default=2) ** 2
    out = vision.integer("out_hidden_size", default=hidden_size)
    joining = width + merged * merged + merged + merged * out + out
    embedding = 3 * vision.integer("temporal_patch_size", default=2) * patch * patch * width
    return vision.integer("depth") * layer + embedding + joining


def _moon(top: Fields, vision: Fields, hidden_size: int) -> int:
    """A ViT with plain MLPs and a grid of positions, and a projector of two layers over merged patches (Kimi)."""
    width, inner, patch = _sizes(vision)
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    embedding = 3 * patch * patch * width + width + vision.integer("init_pos_emb_height", default=64) ** 2 * width
    merged = 4 * width
    joining = 2 * width + merged * merged + merged + merged * hidden_size + hidden_size
    return vision.integer("num_hidden_layers") * layer + embedding + 2 * width + joining


def _sizes(vision: Fields) -> tuple[int, int, int]:
    return vision.integer("hidden_size"), vision.integer("intermediate_size"), vision.integer("patch_size")


_TOWERS = (
    ("gemma3", _siglip),
    ("gemma4", _gemma4),
    ("mistral3", _pixtral),
    ("qwen3", _qwen),
    ("qwen2_5_vl", _qwen_gated),
    ("kimi", _moon),
)
