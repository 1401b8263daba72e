"""How finely a form of a model keeps its weights, in the words that publishers use."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.model_config import ModelConfig, Quantization

_UNQUANTISED = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_NAMES = {
    "awq": "AWQ",
    "gptq": "GPTQ",
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "modelopt": "FP8",
    "modelopt_fp4": "NVFP4",
    "mxfp4": "MXFP4",
    "bitsandbytes": "bnb",
    "int8": "INT8",
    "experts_int8": "INT8",
    "mxfp8": "MXFP8",
    "nvfp4": "NVFP4",
}
_COMPRESSED_TENSORS = {(True, 8): "FP8", (True, 4): "NVFP4", (False, 8): "INT8", (False, 4): "INT4"}
_UNKNOWN_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """`bits` of a weight in the layers; more is better. `label` is for people: `bf16`, `8 bit GPTQ`, `4 bit AWQ`."""

    bits: int
    label: str


def precision_of(config: ModelConfig, said: object = None) -> Precision:
    """16 bits for whatever is not quantised: vLLM loads float32 checkpoints in 16 bits, too.

    `said` is the flag `quantization`: it quantises an unquantised checkpoint while it loads.
    """
    stated = config.quantization or _while_loading(said)
    if stated is None:
        return Precision(bits=16, label=_UNQUANTISED.get(config.dtype, config.dtype))
    name = _name(stated)
    if stated.bits is None:
        return Precision(bits=_UNKNOWN_BITS, label=name)
    return Precision(bits=stated.bits, label=f"{stated.bits} bit {name}")


def _while_loading(said: object) -> Quantization | None:
    if not isinstance(said, str):
        return None
    plain = said.partition("_per_")[0]
    return Quantization(method=plain, bits=4 if plain in ("bitsandbytes", "nvfp4") else 8)


def _name(stated: Quantization) -> str:
    if stated.method == "compressed-tensors" and stated.is_float is not None:
        return _COMPRESSED_TENSORS.get((stated.is_float, stated.bits or 0), stated.method)
    plain = stated.method.removeprefix("auto_").removesuffix("_marlin")
    return _NAMES.get(plain, stated.method)
