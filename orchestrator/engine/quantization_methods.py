"""Quantisation methods through the releases: where each is known and the compute capability it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSpan:
    """From `first` to `last` (None: still there) a method needs `capability` (major * 10 + minor; None: no check)."""

    first: Release
    last: Release | None
    capability: int | None


def _spans(*rows: tuple[str, str | None, int | None]) -> tuple[MethodSpan, ...]:
    return tuple(
        MethodSpan(first=Release.of(first), last=None if last is None else Release.of(last), capability=capability)
        for first, last, capability in rows
    )


QUANTIZATION_METHODS: Mapping[str, tuple[MethodSpan, ...]] = {
    "aqlm": _spans(("0.6.0", "0.10.0", 60)),
    "auto-round": _spans(("0.9.0", "0.14.1", 60)),
    "auto_awq": _spans(("0.24.0", None, 75)),
    "auto_gptq": _spans(("0.22.0", None, 60)),
    "awq": _spans(("0.6.0", None, 75)),
    "awq_marlin": _spans(("0.6.0", "0.13.0", 80), ("0.14.0", None, 75)),
    "bitblas": _spans(("0.8.5", "0.15.1", 70)),
    "bitsandbytes": _spans(("0.6.0", "0.27.1", 70)),
    "compressed-tensors": _spans(("0.6.0", None, 70)),
    "deepspeedfp": _spans(("0.6.0", "0.14.1", 60)),
    "experts_int8": _spans(("0.6.0", None, 80)),
    "fbgemm_fp8": _spans(("0.6.0", None, 80)),
    "fp8": _spans(("0.6.0", "0.13.0", 80), ("0.14.0", None, 75)),
    "fp8_per_block": _spans(("0.20.0", None, None)),
    "fp8_per_channel": _spans(("0.24.0", None, None)),
    "fp8_per_tensor": _spans(("0.20.0", None, None)),
    "fp_quant": _spans(("0.11.1", None, 100)),
    "gguf": _spans(("0.6.0", "0.23.0", 60)),
    "gptq": _spans(("0.6.0", None, 60)),
    "gptq_bitblas": _spans(("0.8.5", "0.8.5.post1", 70), ("0.9.0", "0.15.1", 80)),
    "gptq_marlin": _spans(("0.6.0", "0.13.0", 80), ("0.14.0", "0.21.0", 75), ("0.22.0", None, 60)),
    "gptq_marlin_24": _spans(("0.6.0", "0.15.1", 80)),
    "hqq": _spans(("0.6.5", "0.14.1", 80)),
    "humming": _spans(("0.20.0", None, 75)),
    "inc": _spans(("0.10.0", "0.14.1", None), ("0.15.0", None, 60)),
    "int8_per_channel_weight_only": _spans(("0.20.0", None, None)),
    "marlin": _spans(("0.6.0", "0.10.1.1", 80)),
    "modelopt": _spans(("0.6.1.post2", "0.26.0", 89), ("0.27.0", None, 80)),
    "modelopt_fp4": _spans(("0.9.0", "0.13.0", 80), ("0.14.0", None, 75)),
    "modelopt_mixed": _spans(("0.17.0", "0.23.0", 89), ("0.24.0", None, 75)),
    "modelopt_mxfp8": _spans(("0.16.0", "0.19.1", 100), ("0.20.0", None, 80)),
    "moe_wna16": _spans(("0.7.1", None, 70)),
    "mxfp4": _spans(("0.10.1", None, 80)),
    "mxfp8": _spans(("0.19.0", "0.19.1", 100), ("0.20.0", "0.23.0", None), ("0.24.0", None, 80)),
    "nvfp4": _spans(("0.8.0", "0.8.5.post1", 100)),
    "petit_nvfp4": _spans(("0.10.2", "0.19.1", 90)),
    "ptpc_fp8": _spans(("0.7.3", "0.18.1", None)),
    "qqq": _spans(("0.6.0", "0.10.1.1", 80)),
    "quark": _spans(("0.7.0", None, 70)),
    "rtn": _spans(("0.9.2", "0.14.1", 80)),
    "torchao": _spans(("0.8.4", None, 75)),
}
"""Read in the releases' sources: the lists of methods and each class's `get_min_capability`."""

METHOD_SINCE_PLUGIN: Mapping[str, str] = {"bitsandbytes": "vllm-bnb-plugin", "gguf": "vllm-gguf-plugin"}
"""Plugins that took over methods which left the core."""


def method_span(method: str, release: Release) -> MethodSpan | None:
    """What a release says about a method; None when it does not know it."""
    spans = QUANTIZATION_METHODS.get(method, ())
    return next((span for span in spans if span.first <= release and (span.last is None or release <= span.last)), None)
