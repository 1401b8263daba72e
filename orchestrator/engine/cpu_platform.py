"""What vLLM does on a host without a GPU, by release: data types, quantisation, where the KV cache is sized."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.model_config import LayerKind, ModelConfig, Quantization
from orchestrator.domain.release import Release

CPU_DTYPE = "bfloat16"
"""Works on every x86 host and in every release, takes two bytes a weight, and is what vLLM's documentation advises."""

_BLOCKS_OF_128_SINCE = Release.of("0.11.1")
_SIZE_BY_FLAG_SINCE = Release.of("0.20.0")
_LOOKED_AT = Release.of("0.32.0")
_LATENT_BLOCK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuRefusal:
    """Why a checkpoint cannot be served without a GPU, and what can."""

    reason: str
    help: str


_EXPERTS_REASON = "quantised experts need a GPU: on CPUs vLLM has kernels for them with AMX tiles only, if at all"
_INTEGERS = ("awq", "gptq", "compressed-tensors")
_UNQUANTISED_HELP = "take the unquantised model in bfloat16, or a 4 bit AWQ or GPTQ form of it"
_FLOAT_REASON = "{name} weights need a GPU: on CPUs vLLM has kernels for them with AMX tiles only, if at all"

CPU_REFUSALS = {
    "bitsandbytes": CpuRefusal(
        reason="bitsandbytes does not work without a GPU: it ends with `'Int8Params' object has no attribute 'SCB'`,"
        " and trying again does not help",
        help=f"{_UNQUANTISED_HELP}; bitsandbytes is for GPUs only",
    ),
    "gguf": CpuRefusal(reason="vLLM cannot read GGUF without a GPU", help=_UNQUANTISED_HELP),
}
"""Methods that no release runs on a CPU."""

_WEIGHT_FORMATS_OF_GPUS = {
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "modelopt": "FP8",
    "modelopt_fp4": "NVFP4",
    "mxfp4": "MXFP4",
}


def check_cpu(config: ModelConfig, said: str | None = None) -> CpuRefusal | None:
    """Why the checkpoint does not run on a CPU; None when it does. `said` is the method that the flags ask for.

    AWQ and GPTQ run with 4 bits (vLLM's CPU kernels know no other width), compressed-tensors with integers; none
    of them in experts. Read in the kernels of vLLM 0.32; what needs AMX tiles is not counted on.
    """
    stated = config.quantization
    if stated is None:
        return CPU_REFUSALS.get(said) or _unknown(said) if said is not None else None
    method = stated.method.removeprefix("auto_").removesuffix("_marlin")
    if method in _WEIGHT_FORMATS_OF_GPUS:
        return CpuRefusal(
            reason=_FLOAT_REASON.format(name=_WEIGHT_FORMATS_OF_GPUS[method]),
            help=_UNQUANTISED_HELP,
        )
    if config.moe is not None and method in _INTEGERS:
        return CpuRefusal(reason=_EXPERTS_REASON, help="take the unquantised model in bfloat16")
    if method in ("awq", "gptq"):
        return None if stated.bits in (None, 4) else _wrong_width(method.upper(), stated)
    if method == "compressed-tensors":
        return _check_compressed_tensors(stated)
    return CPU_REFUSALS.get(method) or _unknown(stated.method)


def cautions_on_cpu(config: ModelConfig, release: Release) -> tuple[str, ...]:
    """What is not known for certain about a model that should run."""
    kinds = {group.kind for group in config.layers}
    if release >= _LOOKED_AT or kinds.isdisjoint((LayerKind.LATENT_ATTENTION, LayerKind.LINEAR_ATTENTION)):
        return ()
    return (f"latent and recurrent layers are known to run on CPUs from vLLM {_LOOKED_AT} on; earlier ones may refuse",)


def _unknown(method: str) -> CpuRefusal:
    return CpuRefusal(reason=f"`{method}` has no kernels for CPUs that are known here", help=_UNQUANTISED_HELP)


def _wrong_width(name: str, stated: Quantization) -> CpuRefusal:
    return CpuRefusal(
        reason=f"vLLM's kernels for {name} on CPUs know 4 bits only, and these are {stated.bits}",
        help=_UNQUANTISED_HELP,
    )


def _check_compressed_tensors(stated: Quantization) -> CpuRefusal | None:
    if stated.is_float:
        return CpuRefusal(
            reason=_FLOAT_REASON.format(name="FP8" if stated.bits == 8 else "FP4"),
            help=_UNQUANTISED_HELP,
        )
    return None if stated.bits in (4, 8) else _wrong_width("compressed-tensors", stated)


def cpu_block_size(config: ModelConfig, release: Release) -> int:
    """Tokens in a block of the KV cache on a CPU."""
    if any(group.kind is LayerKind.LATENT_ATTENTION for group in config.layers):
        return _LATENT_BLOCK
    return 128 if release >= _BLOCKS_OF_128_SINCE else 16


def sizes_cache_by_flag(release: Release) -> bool:
    """True: `--kv-cache-memory-bytes`; False: the variable `VLLM_CPU_KVCACHE_SPACE`, in whole GiB.

    Left unsaid, the cache takes 4 GiB (to 0.12), half of the RAM (to 0.19) or 0.92 of it (from 0.20).
    """
    return release >= _SIZE_BY_FLAG_SINCE


def cache_left_unsaid(release: Release) -> str:
    """What the KV cache takes when nobody says its size."""
    if release >= _SIZE_BY_FLAG_SINCE:
        return "0.92 of the RAM"
    return "half of the RAM" if release >= Release.of("0.13.0") else "4 GiB"
