"""What a worker holds beside the stored tensors once a model is loaded: padding of packed experts."""

from __future__ import annotations

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.release import Release
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.constants import Scale

_NATIVE_SINCE = Release.of("0.11.0")
_UNPADDED_SINCE = Release.of("0.20.0")
_HIDDEN_MULTIPLE = 256
_MARLIN_WIDTH_MULTIPLE = 128
_SCALES = 1.005
"""Block scales may be padded, or fewer tensors than all."""
_NO_PADDING = Scale(low=1.0, expected=1.0, high=1.0)


def experts_padding(settings: EngineSettings, config: ModelConfig, gpu: Gpu | None) -> Scale:
    """How much larger MXFP4 experts are in memory than in the checkpoint.

    Marlin (Ampere, Ada, consumer Blackwell, and Hopper before 0.11) rounds the hidden size up to 256 and each rank's
    width to 128; Triton's kernels, on Hopper alone, round the hidden size, and from about 0.20 nothing. Before 0.20 a
    build may lack them, so the interval holds both: gpt-oss-120b 65.97 (Marlin), 64.38 (0.11), 61.29 GiB (0.25).
    """
    if config.quantization is None or config.quantization.method != "mxfp4" or config.moe is None:
        return _NO_PADDING
    hidden = _rounded(config.hidden_size, _HIDDEN_MULTIPLE) / config.hidden_size
    width = config.moe.intermediate_size / settings.tensor_parallel_size
    marlin = hidden * _rounded(width, _MARLIN_WIDTH_MULTIPLE) / width
    on_hopper = gpu is not None and gpu.compute_capability is not None and gpu.compute_capability[0] in (9, 10)
    if not on_hopper:
        least = hidden / _SCALES if settings.release < _UNPADDED_SINCE else 1.0
        return Scale(low=least, expected=marlin, high=marlin * _SCALES)
    if settings.release >= _UNPADDED_SINCE:
        return Scale(low=1.0, expected=1.0, high=hidden * _SCALES)
    expected = marlin if settings.release < _NATIVE_SINCE else hidden
    return Scale(low=hidden / _SCALES, expected=expected, high=marlin * _SCALES)


def _rounded(size: float, multiple: int) -> float:
    return -(-size // multiple) * multiple
