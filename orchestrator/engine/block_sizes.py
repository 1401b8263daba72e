"""How many tokens a block of the KV cache has where the user does not say, by what attention most likely runs on."""

from __future__ import annotations

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import LayerKind, ModelConfig
from orchestrator.domain.release import Release

_DEFAULT = 16
_HOPPER, _BLACKWELL = 9, 10
_LATENT_ROWS: tuple[tuple[Release, int, int, int], ...] = (
    (Release.of("0.7.1"), _HOPPER, 64, 64),  # FlashMLA has no other size
    (Release.of("0.18.0"), _HOPPER, 16, 64),  # FlashAttention 3 where the cache has 16 bits, else FlashMLA
    (Release.of("0.10.0"), _BLACKWELL, 128, 128),  # CUTLASS MLA
    (Release.of("0.18.0"), _BLACKWELL, 32, 32),  # FlashInfer MLA
)
"""Since, major compute capability, tokens with a cache of 16 bits, tokens with one of 8."""


def default_block_size(config: ModelConfig, gpu: Gpu, release: Release, kv_cache_dtype: str) -> int:
    """16 tokens; where latent vectors are kept (MLA), what the kernels of the newest matching row need.

    Kernels of other cards (Triton MLA) take any size; a card of unknown capability counts as Hopper.
    """
    if not any(group.kind is LayerKind.LATENT_ATTENTION for group in config.layers):
        return _DEFAULT
    major = _HOPPER if gpu.compute_capability is None else gpu.compute_capability[0]
    is_small = kv_cache_dtype.startswith("fp8")
    sizes = [
        small if is_small else plain for since, card, plain, small in _LATENT_ROWS if card == major and since <= release
    ]
    return sizes[-1] if sizes else _DEFAULT
