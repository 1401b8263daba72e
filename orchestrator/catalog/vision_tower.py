"""What a vision encoder makes of the largest image that its processor lets through, for the towers that are known."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.catalog.fields import Fields
from orchestrator.domain.model_config import VisionTower

_LARGEST_QWEN_IMAGE_TOKENS = 16384
"""`max_pixels` of the processors of Qwen2-VL to Qwen3.5 (12,845,056 in squares of 28, 16,777,216 in squares of 32)."""
_LARGEST_KIMI_IMAGE_PATCHES = 16384
"""`in_patch_limit` of the processors of Kimi-VL and Kimi-K2.5."""
_GEMMA_IMAGE_TOKENS = 256
_MERGED = 2


def vision_tower(top: Fields) -> VisionTower | None:
    """The tower of a config.json; None without one, or where nobody knows what its largest image is."""
    vision = top.nested("vision_config")
    family = top.text("model_type", default="")
    read = next((read for prefix, read in _TOWERS if family.startswith(prefix)), None)
    return None if vision is None or read is None else read(top, vision)


def _qwen(top: Fields, vision: Fields) -> VisionTower:
    patches = _LARGEST_QWEN_IMAGE_TOKENS * vision.integer("spatial_merge_size", default=_MERGED) ** 2
    return _tower(vision, patches=patches, tokens=_LARGEST_QWEN_IMAGE_TOKENS)


def _qwen_gated(top: Fields, vision: Fields) -> VisionTower:
    patches = _LARGEST_QWEN_IMAGE_TOKENS * vision.integer("spatial_merge_size", default=_MERGED) ** 2
    return _tower(vision, patches=patches, tokens=_LARGEST_QWEN_IMAGE_TOKENS, is_gated=True)


def _pixtral(top: Fields, vision: Fields) -> VisionTower:
    patches = _grid(vision)
    merged = top.integer("spatial_merge_size", default=_MERGED) ** 2
    return _tower(vision, patches=patches, tokens=patches // merged, is_gated=True)


def _siglip(top: Fields, vision: Fields) -> VisionTower:
    tokens = top.integer("mm_tokens_per_image", default=_GEMMA_IMAGE_TOKENS)
    return _tower(vision, patches=_grid(vision), tokens=tokens)


def _moon(top: Fields, vision: Fields) -> VisionTower:
    return _tower(vision, patches=_LARGEST_KIMI_IMAGE_PATCHES, tokens=_LARGEST_KIMI_IMAGE_PATCHES // _MERGED**2)


def _grid(vision: Fields) -> int:
    return max(1, vision.integer("image_size") // vision.integer("patch_size")) ** 2


def _tower(vision: Fields, *, patches: int, tokens: int, is_gated: bool = False) -> VisionTower:
    return VisionTower(
        hidden_size=vision.integer("hidden_size"),
        intermediate_size=vision.integer("intermediate_size"),
        is_gated=is_gated,
        patches_per_image=patches,
        tokens_per_image=max(1, tokens),
    )


_TOWERS: tuple[tuple[str, Callable[[Fields, Fields], VisionTower]], ...] = (
    ("gemma3", _siglip),
    ("mistral3", _pixtral),
    ("qwen3", _qwen),
    ("qwen2_5_vl", _qwen_gated),
    ("kimi_k25", _moon),
)
