"""Quantisation methods through the releases: where each is known and the compute capability it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.release import Release
from orchestrator.engine.flag_values import Flags, text


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
    "auto-round": _spans(("0.9.0", None, 60)),
    "auto_awq": _spans(("0.24.0", None, 75)),
    "auto_gptq": _spans(("0.22.0", None, 60)),
    "awq": _spans(("0.6.0", None, 75)),
    "awq_marlin": _spans(("0.6.0", "0.13.0", 80), ("0.14.0", None, 75)),
    "bitblas": _spans(("0.8.5", "0.15.1", 70)),
    "bitsandbytes": _spans(("0.6.0", "0.27.1", 70)),
    "compressed-tensors": _spans(("0.6.0", None, 70)),
    "deepspeedfp": _spans(("0.6.0", "0.14.1", 60)),
    "deepseek_v4_fp8": _spans(("0.20.0", None, 75)),
    "experts_int8": _spans(("0.6.0", None, 80)),
    "fbgemm_fp8": _spans(("0.6.0", None, 80)),
    "fp8": _spans(("0.6.0", "0.13.0", 80), ("0.14.0", None, 75)),
    "fp8_per_block": _spans(("0.20.0", None, None)),
    "fp8_per_channel": _spans(("0.24.0", None, None)),
    "fp8_per_tensor": _spans(("0.20.0", None, None)),
    "fp_quant": _spans(("0.11.1", None, 100)),
    "gguf": _spans(("0.6.0", "0.23.0", 60)),
    "gpt_oss_mxfp4": _spans(("0.20.0", None, 80)),
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
    "nvfp4_per_token": _spans(("0.20.0", None, None)),
    "online": _spans(("0.20.0", None, None)),
    "petit_nvfp4": _spans(("0.10.2", "0.19.1", 90)),
    "ptpc_fp8": _spans(("0.7.3", "0.18.1", None)),
    "qqq": _spans(("0.6.0", "0.10.1.1", 80)),
    "quark": _spans(("0.7.0", None, 70)),
    "rtn": _spans(("0.9.2", "0.14.1", 80)),
    "torchao": _spans(("0.8.4", None, 75)),
}
"""Read in the releases' sources: the lists of methods and each class's `get_min_capability`."""

SCHEMES: Mapping[str, tuple[MethodSpan, ...]] = {
    "fp8": _spans(("0.6.0", "0.15.1", 80), ("0.16.0", None, 75)),
    "mxfp4": _spans(("0.14.0", None, 80)),
    "mxfp8": _spans(("0.20.0", None, 75)),
    "nvfp4": _spans(("0.9.0", "0.15.1", 80), ("0.16.0", None, 75)),
    "w4a8_fp8": _spans(("0.10.2", None, 90)),
    "w8a8_int8": _spans(("0.6.0", None, 75)),
    "wNa16": _spans(("0.6.0", "0.11.2", 80), ("0.12.0", None, 75)),
}
"""The schemes of compressed-tensors: `get_min_capability` of each, where cards without the arithmetic fall back on
16-bit computing that of the fallback."""

METHOD_SINCE_PLUGIN: Mapping[str, str] = {"bitsandbytes": "vllm-bnb-plugin", "gguf": "vllm-gguf-plugin"}
"""Plugins that took over methods which left the core, each with its word for `load-format`."""


def method_span(method: str, release: Release) -> MethodSpan | None:
    """What a release says about a method; None when it does not know it."""
    return span_at(QUANTIZATION_METHODS.get(method, ()), release)


def span_at(spans: tuple[MethodSpan, ...], release: Release) -> MethodSpan | None:
    """The span that a release falls in; None where it falls in none."""
    return next((span for span in spans if span.first <= release and (span.last is None or release <= span.last)), None)


def asked_method(flags: Flags) -> tuple[str, str | None]:
    """The method that flags ask for, and the flag that names it: some methods have a `load-format` of their own."""
    said, loader = text(flags, "quantization"), text(flags, "load-format")
    return ("load-format", loader) if said is None and loader in METHOD_SINCE_PLUGIN else ("quantization", said)


METHOD_ALIASES = frozenset({"marlin"})
"""No methods of their own in newer releases, and still taken for AWQ and GPTQ checkpoints."""

WORDS_FOR_CHECKPOINT: Mapping[str, tuple[str, ...]] = {
    "awq": ("awq", "awq_marlin", "auto_awq", "marlin", "moe_wna16"),
    "gptq": ("gptq", "gptq_marlin", "auto_gptq", "marlin", "moe_wna16", "bitblas", "gptq_bitblas"),
    "fp8": ("fp8", "deepseek_v4_fp8"),
    "compressed-tensors": ("compressed-tensors",),
    "mxfp4": ("mxfp4", "gpt_oss_mxfp4"),
}
"""What `quantization` may say for a checkpoint that states a method; any other word is refused. Checkpoints of other
methods are not judged (those of ModelOpt win over every word). Asked of vLLM 0.32.0's ModelConfig, word by word."""

TAKES_ANY_CHECKPOINT = frozenset({"humming"})

NEEDS_QUANTIZED_WEIGHTS = frozenset(
    {"aqlm", "auto-round", "auto_awq", "auto_gptq", "awq", "awq_marlin", "bitblas", "compressed-tensors", "gptq"}
    | {"gptq_bitblas", "gptq_marlin", "gptq_marlin_24", "marlin", "moe_wna16", "qqq"}
)
"""Methods that make nothing of plain weights: they need a checkpoint that was quantised with them."""

_PLAIN_UNTIL: Mapping[str, Release] = {"awq": Release.of("0.24.0"), "gptq": Release.of("0.22.0")}

_HALVES = ("float16", "bfloat16")
ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("auto_awq", "auto_gptq", "awq", "awq_marlin", "experts_int8", "fbgemm_fp8", "fp8"), _HALVES),
    **dict.fromkeys(("fp8_per_block", "fp8_per_channel", "fp8_per_tensor", "gptq", "gptq_marlin"), _HALVES),
    **dict.fromkeys(("int8_per_channel_weight_only", "modelopt", "moe_wna16"), _HALVES),
    "mxfp4": ("bfloat16",),
}
"""Types that each method can be computed in; methods that are not here are not judged."""


def plain_kernels_until(method: str, release: Release) -> str | None:
    """The method itself where the word means its plain kernels (float16 only); None from the release on in which it
    chooses its kernels by itself, and for methods that never had two sorts."""
    until = _PLAIN_UNTIL.get(method)
    return method if until is not None and release < until else None
