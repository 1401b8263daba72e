"""How a checkpoint is quantised, read from the `quantization_config` of its config.json."""

from __future__ import annotations

from orchestrator.catalog.fields import Fields
from orchestrator.domain.model_config import Quantization

_BITS_BY_METHOD = {"fp8": 8, "mxfp4": 4, "fbgemm_fp8": 8, "experts_int8": 8}
_METHOD_BY_MODELOPT_ALGORITHM = {"NVFP4": ("modelopt_fp4", 4), "FP8": ("modelopt", 8)}


def read_quantization(top: Fields, text: Fields) -> Quantization | None:
    """The method in vLLM's words, with what sizes and checks need; None for a checkpoint that is not quantised."""
    stated = next(
        (found for fields in (top, text) for name in _NAMES if (found := fields.nested(name)) is not None), None
    )
    if stated is None:
        return None
    if stated.has("quant_algo") or stated.has("quantization"):
        return _modelopt(stated.nested("quantization") or stated)
    method = stated.text("quant_method").lower().replace("_tensors", "-tensors")
    if method == "compressed-tensors":
        return _compressed_tensors(stated)
    if method == "bitsandbytes":
        return Quantization(method=method, bits=4 if stated.boolean("load_in_4bit", False) else 8)
    return _in_one_place(stated, method)


_NAMES = ("quantization_config", "compression_config")


def _in_one_place(stated: Fields, method: str) -> Quantization:
    bits = stated.integer("bits", "w_bit", default=0, least=0, most=64) or _BITS_BY_METHOD.get(method)
    is_symmetric = stated.boolean("sym", True)
    return Quantization(
        method=method,
        bits=bits,
        group_size=_group_size(stated, "group_size", "q_group_size"),
        block_size=_block_size(stated, "weight_block_size"),
        zero_point=stated.boolean("zero_point", not is_symmetric) if stated.has("zero_point", "sym") else None,
    )


def _modelopt(stated: Fields) -> Quantization:
    algorithm = stated.text("quant_algo").upper()
    method, bits = _METHOD_BY_MODELOPT_ALGORITHM.get(algorithm, ("modelopt", None))
    return Quantization(method=method, bits=bits, group_size=_group_size(stated, "group_size"))


def _compressed_tensors(stated: Fields) -> Quantization:
    groups = stated.nested("config_groups")
    group = groups.nested(*sorted(groups.values)) if groups is not None and groups.values else None
    weights = group.nested("weights") if group is not None else None
    if weights is None:
        return Quantization(method="compressed-tensors")
    return Quantization(
        method="compressed-tensors",
        bits=weights.integer("num_bits", most=64),
        group_size=_group_size(weights, "group_size"),
        block_size=_block_size(weights, "block_structure"),
        zero_point=not weights.boolean("symmetric", True),
        is_float=weights.text("type").lower() == "float" if weights.has("type") else None,
        scheme=_scheme(weights, group.nested("input_activations") if group is not None else None),
    )


_FLOAT_SCHEMES = {(4, 16): "nvfp4", (4, 32): "mxfp4", (8, 32): "mxfp8"}
"""By bits and group size; eight bits in other groups are plain FP8."""


def _scheme(weights: Fields, inputs: Fields | None) -> str | None:
    """The scheme in vLLM's words; None for one that is not known."""
    bits, stored = weights.integer("num_bits", most=64), weights.text("type", default="int").lower()
    if stored == "float":
        known = _FLOAT_SCHEMES.get((bits, _group_size(weights, "group_size") or 0))
        return known or ("fp8" if bits == 8 else None)
    if inputs is None:
        return "wNa16"
    computed = (inputs.text("type", default="int").lower(), inputs.integer("num_bits", default=0, least=0, most=64))
    return {(8, "int", 8): "w8a8_int8", (4, "float", 8): "w4a8_fp8"}.get((bits, *computed))


def _group_size(stated: Fields, *names: str) -> int | None:
    """Inputs that share a scale; -1 (one scale per output) and absent give None."""
    size = stated.integer(*names, default=-1, least=-1)
    return size if size > 0 else None


def _block_size(stated: Fields, name: str) -> tuple[int, int] | None:
    sides = stated.integers(name)
    if len(sides) == 2 and all(sides):
        return (sides[0], sides[1])
    if sides:
        stated.problems.append(f"`{stated.path}{name}` is not a pair of sizes")
    return None
