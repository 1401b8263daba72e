"""Sizes: whole bytes everywhere, GiB only where a person reads them; ranges that know their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3


def as_gib(size_bytes: float) -> float:
    """Bytes as GiB (2**30 bytes), for views."""
    return size_bytes / GIB


def gib(size: float) -> int:
    """GiB as whole bytes, rounded down."""
    return int(size * GIB)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A size in bytes that is known within an interval: `low <= expected <= high`."""

    low: int
    expected: int
    high: int

    def __post_init__(self) -> None:
        if not self.low <= self.expected <= self.high:
            raise ValueError(f"not a range: {self.low} <= {self.expected} <= {self.high}")

    @classmethod
    def exactly(cls, size_bytes: int) -> ByteRange:
        return cls(size_bytes, size_bytes, size_bytes)

    def __add__(self, other: ByteRange) -> ByteRange:
        """Bound by bound: both err together."""
        return ByteRange(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def __mul__(self, count: int) -> ByteRange:
        return ByteRange(self.low * count, self.expected * count, self.high * count)


ZERO_BYTES = ByteRange(0, 0, 0)


def total(ranges: Iterable[ByteRange]) -> ByteRange:
    """The sum of sizes whose errors are independent: bounds as far from the sum as the root of the squares of theirs.

    Where each interval holds nine truths of ten, so does that of the sum; bounds that were added up would hold nearly
    all of them, and refuse what starts.
    """
    expected = below = above = 0
    for each in ranges:
        expected += each.expected
        below += (each.expected - each.low) ** 2
        above += (each.high - each.expected) ** 2
    return ByteRange(expected - math.isqrt(below), expected, expected + math.isqrt(above))
