"""How many bytes a weight matrix takes in a checkpoint, quantised or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.domain.model_config import Quantization


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How a checkpoint stores its matrices: unquantised elements in `dtype_bytes`, the others as stated.

    `strategy` and `is_symmetric` matter for compressed-tensors. `skipped` are the patterns of module names that stay
    unquantised.
    """

    dtype_bytes: int
    quantization: Quantization | None = None
    strategy: str = "group"
    is_float: bool = True
    skipped: tuple[str, ...] = ()

    def matrix_bytes(self, name: str, rows: int, columns: int, *, is_expert: bool) -> int:
        """Bytes of a matrix [rows, columns] and its scales and zero points."""
        plain = rows * columns * self.dtype_bytes
        if self.quantization is None or self._is_skipped(name):
            return plain
        rule = _RULES.get(self.quantization.method)
        if rule is None or (self.quantization.method == "mxfp4" and not is_expert):
            return plain
        return rule(self, self.quantization, rows, columns)

    def _is_skipped(self, name: str) -> bool:
        return any(_matches(pattern, name) for pattern in self.skipped)


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("re:"):
        try:
            return re.match(pattern[3:], name) is not None
        except re.error:
            return False
    if "*" in pattern:
        return re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("*")), name) is not None
    return f".{pattern}." in f".{name}."


def _up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def _awq(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    """qweight and qzeros packed into 32-bit words along the outputs, scales in float16."""
    group = stated.group_size or columns
    if columns % group or rows % 8:
        return rows * columns * storage.dtype_bytes
    bits = stated.bits or 4
    groups = columns // group
    return rows * columns * bits // 8 + groups * rows * bits // 8 + groups * rows * 2


def _gptq(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    """qweight, qzeros, scales in float16, and the group of each input (g_idx, 32 bits)."""
    per_word = 32 // (stated.bits or 4)
    groups = _up(columns, stated.group_size or columns)
    return columns // per_word * rows * 4 + groups * (rows // per_word) * 4 + groups * rows * 2 + columns * 4


def _fp8(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    """One byte per element, and a scale per block (bfloat16) or per matrix (float32)."""
    if stated.block_size is None:
        return rows * columns + 4
    return rows * columns + _up(rows, stated.block_size[0]) * _up(columns, stated.block_size[1]) * 2


def _compressed_tensors(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    bits = stated.bits or 8
    if bits == 8 and (storage.is_float or storage.strategy == "channel"):
        if storage.strategy == "channel":
            return rows * columns + rows * 2
        return _fp8(storage, stated, rows, columns) + (4 if storage.strategy == "tensor" else 0)
    if storage.is_float:
        return _nvfp4(storage, stated, rows, columns)
    return _packed(stated, rows, columns)


def _packed(stated: Quantization, rows: int, columns: int) -> int:
    """Words of 32 bits along the inputs, bfloat16 scales, the shape in two 64-bit numbers, zero points if any."""
    per_word = 32 // (stated.bits or 4)
    groups = _up(columns, stated.group_size or columns)
    zero_points = _up(rows, per_word) * groups * 4 if stated.zero_point else 0
    return rows * _up(columns, per_word) * 4 + rows * groups * 2 + 16 + zero_points


def _nvfp4(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    """Half a byte per element, an 8-bit scale per group, two float32 scales per matrix."""
    return rows * columns // 2 + rows * columns // (stated.group_size or 16) + 8


def _modelopt_fp8(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    return rows * columns + 8


def _mxfp4(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    """Half a byte per element and an 8-bit scale per 32 elements; only of experts."""
    return rows * columns // 2 + rows * columns // 32


def _bitsandbytes(storage: Storage, stated: Quantization, rows: int, columns: int) -> int:
    """4 bits: half a byte per element, an 8-bit scale per 64 of them, a float32 scale per 256 of these scales; 8 bits:
    a byte per element and a float32 scale per output.
    """
    elements = rows * columns
    if stated.bits == 8:
        return elements + rows * 4
    return elements // 2 + _up(elements, 64) + _up(elements, 64 * 256) * 4


_Rule = Callable[[Storage, Quantization, int, int], int]

_RULES: Mapping[str, _Rule] = {
    "awq": _awq,
    "gptq": _gptq,
    "fp8": _fp8,
    "compressed-tensors": _compressed_tensors,
    "modelopt": _modelopt_fp8,
    "modelopt_fp4": _nvfp4,
    "mxfp4": _mxfp4,
    "bitsandbytes": _bitsandbytes,
}
"""By vLLM's word for the method; a method without a rule is stored plainly."""


def has_rule(method: str) -> bool:
    """Whether the bytes of matrices are known that are quantised by `method`."""
    return method in _RULES
