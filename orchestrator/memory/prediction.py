"""What vLLM will report and decide at start-up, per worker on one GPU; utilization lies on a grid of 0.001."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.domain.plan import Footprint, Prediction, Term, Verdict
from orchestrator.domain.units import ByteRange, as_gib, total
from orchestrator.engine.memory_rules import LoggedTokens, MemoryRules, memory_epochs, memory_rules

GRID = 1000
"""Steps of utilization in 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    verdict: Verdict
    reason: str


def budget_bytes(fp: Footprint, utilization: float) -> ByteRange:
    """`total * utilization`, rounded as the release rounds it."""
    rules = _rules(fp)
    low, expected, high = (rules.budget(size, utilization) for size in _bounds(fp.cuda_total))
    return ByteRange(low, expected, high)


def claim_bytes(fp: Footprint, utilization: float) -> int:
    """Pessimistic bytes that this worker takes from the GPU's free memory once it runs."""
    budget = _rules(fp).budget(fp.cuda_total.high, utilization)
    if fp.fixed_kv_bytes is None:
        return budget + fp.outside.high
    return max(budget + _context(fp).high, fp.inside.high + fp.fixed_kv_bytes + fp.outside.high)


def largest_utilization(fp: Footprint, available_bytes: int) -> float:
    """The greatest utilization whose claim fits, on a card of any total within the interval; 0.0 when none does."""
    rules, context = _rules(fp), _context(fp).high
    taken = fp.outside.high
    if fp.fixed_kv_bytes is not None:
        taken = context
        if fp.inside.high + fp.fixed_kv_bytes + fp.outside.high > available_bytes:
            return 0.0
    within_card = (_greatest_step(rules, size, size - taken) for size in _bounds(fp.cuda_total))
    return min(_greatest_step(rules, fp.cuda_total.high, available_bytes - taken), *within_card) / GRID


def smallest_utilization(fp: Footprint) -> float | None:
    """The least utilization at which the KV cache surely holds what is required; None when none up to 1 does."""
    needed = max(1, fp.kv_required_bytes)
    if fp.fixed_kv_bytes is not None:
        return 1 / GRID if fp.fixed_kv_bytes >= needed else None
    too_small = _greatest_step(_rules(fp), fp.cuda_total.low, needed + fp.inside.high - 1)
    return (too_small + 1) / GRID if too_small < GRID else None


def kv_headroom(fp: Footprint, utilization: float) -> float:
    """Pessimistic bytes of KV cache over the bytes required; below 1 the requirement may not hold."""
    return max(0, _kv_range(fp, utilization).low) / fp.kv_required_bytes


def sure_kv_bytes(fp: Footprint, utilization: float) -> int:
    """The KV cache that surely is left of the budget, in whole blocks."""
    return fp.kv.blocks_in(_kv_range(fp, utilization).low) * fp.kv.block_bytes


def predict(fp: Footprint, utilization: float, free_bytes: int) -> Prediction:
    """What vLLM reports and decides on a GPU with `free_bytes` free (NVML's view) just before this worker starts.

    Sure when it holds all over the interval. The KV tokens are counted as the release logs them.
    """
    kv_cache = _kv_range(fp, utilization, free_bytes)
    start = _start_check(fp, utilization, free_bytes)
    checks = (
        start,
        _room_check(fp, kv_cache, utilization, free_bytes),
        _length_check(fp, kv_cache),
        _late_check(fp, utilization, free_bytes),
    )
    worst = next((check for check in checks if check.verdict is Verdict.REFUSES), None) or next(
        (check for check in checks if check.verdict is Verdict.TOO_CLOSE), None
    )
    lengths = [_served_length(fp, size) for size in _bounds(kv_cache)]
    sizes = list(zip(_bounds(kv_cache), lengths, strict=True))
    tokens = sorted(logged_tokens(fp, size, length) for size, length in sizes)
    requests = sorted(_concurrency(fp, size, length) for size, length in sizes)
    return Prediction(
        kv_cache=kv_cache,
        kv_tokens=(tokens[0], tokens[1], tokens[2]),
        concurrency=(requests[0], requests[1], requests[2]),
        verdict=Verdict.STARTS if worst is None else worst.verdict,
        reason="" if worst is None else worst.reason,
        longest_model_len=longest_model_len(fp, kv_cache.low) if start.verdict is Verdict.STARTS else 0,
    )


def longest_model_len(fp: Footprint, kv_cache_bytes: int) -> int:
    """The longest max-model-len of which one request fits into that much KV cache: whole blocks, 0 when not even one.

    Where nothing grows with the length, or where the other terms were priced for one length, that length is the limit.
    """
    growing = [group for group in fp.kv.groups if group.token_cap is None]
    limit = fp.longest_priced_len if growing else fp.max_model_len
    if fp.kv.bytes_for(1) > kv_cache_bytes:
        return 0
    if limit is not None and fp.kv.bytes_for(limit) <= kv_cache_bytes:
        return limit
    unit = math.gcd(*(group.block_tokens for group in fp.kv.groups if group.token_cap != 0))
    most = kv_cache_bytes // fp.kv.block_bytes * max(group.block_tokens for group in fp.kv.groups) // unit
    return _greatest(lambda blocks: fp.kv.bytes_for(blocks * unit) <= kv_cache_bytes, most) * unit


def logged_tokens(fp: Footprint, kv_cache_bytes: int, max_model_len: int | None = None) -> int:
    """The tokens that the release logs for that much KV cache (`max_model_len` None: the footprint's)."""
    length = max_model_len or fp.max_model_len
    if _rules(fp).logged_tokens is LoggedTokens.FULL_LENGTH_REQUESTS:
        return int(_concurrency(fp, kv_cache_bytes, length) * length)
    groups = fp.kv.groups
    block_tokens = min((group.block_tokens for group in groups if group.token_cap != 0), default=groups[0].block_tokens)
    return fp.kv.blocks_in(kv_cache_bytes) // sum(group.count for group in groups) * block_tokens


@lru_cache(maxsize=1)
def _newest_rules() -> MemoryRules:
    return memory_epochs()[-1][1]


def _rules(fp: Footprint) -> MemoryRules:
    return _newest_rules() if fp.release is None else memory_rules(fp.release)


def _bounds(size: ByteRange) -> tuple[int, int, int]:
    return (size.low, size.expected, size.high)


def _context(fp: Footprint) -> ByteRange:
    """What the worker holds when vLLM looks at the free memory."""
    return total(term.size for term in fp.terms if term.term is Term.CONTEXT and not term.in_budget)


def _greatest(holds: Callable[[int], bool], most: int) -> int:
    """The greatest number up to `most` for which a falling condition holds; 0 is taken to hold."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _greatest_step(rules: MemoryRules, total_bytes: int, limit_bytes: int) -> int:
    """The greatest step of utilization whose budget on a card of that total stays within a limit."""
    step = max(0, min(GRID, limit_bytes * GRID // max(1, total_bytes) + 1))
    while step and rules.budget(total_bytes, step / GRID) > limit_bytes:
        step -= 1
    return step


def _kv_range(fp: Footprint, utilization: float, free_bytes: int | None = None) -> ByteRange:
    """What is left for the KV cache; where a release charges other processes' memory, `free_bytes` tells how much."""
    if fp.fixed_kv_bytes is not None:
        return ByteRange.exactly(fp.fixed_kv_bytes)
    rules = _rules(fp)
    left = []
    for size in _bounds(fp.cuda_total):
        foreign = max(0, size - free_bytes) if rules.device_wide and free_bytes is not None else 0
        left.append(rules.budget(size, utilization) - foreign)
    inside = fp.inside
    return ByteRange(min(left) - inside.high, left[1] - inside.expected, max(left) - inside.low)


def _start_check(fp: Footprint, utilization: float, free_bytes: int) -> _Check:
    rules, context = _rules(fp), _context(fp)
    if not rules.startup_free_check:
        return _Check(verdict=Verdict.STARTS, reason="")
    sizes = _bounds(fp.cuda_total)
    sure = all(rules.budget(size, utilization) <= min(size, free_bytes) - context.high for size in sizes)
    possible = any(rules.budget(size, utilization) <= min(size, free_bytes) - context.low for size in sizes)
    size = fp.cuda_total.expected
    free = min(size, free_bytes)
    reason = (
        f"vLLM finds {_gib_span(free - context.high, free - context.low)} free at start-up and wants"
        f" {as_gib(rules.budget(size, utilization)):.2f} GiB ({utilization:g} of {as_gib(size):.2f} GiB)"
    )
    return _judged(sure=sure, possible=possible, reason=reason)


def _room_check(fp: Footprint, kv_cache: ByteRange, utilization: float, free_bytes: int) -> _Check:
    """No memory for the KV cache; with a fixed KV cache: running out of memory while it is allocated."""
    if fp.fixed_kv_bytes is None:
        reason = (
            f"no memory is left for the KV cache: the budget is {as_gib(budget_bytes(fp, utilization).expected):.2f}"
            f" GiB, and {_gib_span(fp.inside.low, fp.inside.high)} are taken before it"
        )
        return _judged(sure=kv_cache.low > 0, possible=kv_cache.high > 0, reason=reason)
    taken = fp.inside + fp.outside
    free = min(fp.cuda_total.expected, free_bytes)
    reason = (
        f"`kv-cache-memory-bytes` of {as_gib(fp.fixed_kv_bytes):.2f} GiB and"
        f" {_gib_span(taken.low, taken.high)} beside it do not fit in {as_gib(free):.2f} GiB"
    )
    return _judged(
        sure=taken.high + fp.fixed_kv_bytes <= min(fp.cuda_total.low, free_bytes),
        possible=taken.low + fp.fixed_kv_bytes <= min(fp.cuda_total.high, free_bytes),
        reason=reason,
    )


def _length_check(fp: Footprint, kv_cache: ByteRange) -> _Check:
    tokens = 1 if fp.fits_any_length else fp.max_model_len
    needed = fp.kv.bytes_for(tokens)
    reason = (
        f"one request of {tokens:,} tokens needs {as_gib(needed):.2f} GiB of KV cache, and"
        f" {_gib_span(max(0, kv_cache.low), max(0, kv_cache.high))} are left"
    )
    return _judged(sure=needed <= kv_cache.low, possible=needed <= kv_cache.high, reason=reason)


def _late_check(fp: Footprint, utilization: float, free_bytes: int) -> _Check:
    """What comes on top of a budget that the KV cache has filled: context, unreserved graphs, late kernels."""
    if fp.fixed_kv_bytes is not None:
        return _Check(verdict=Verdict.STARTS, reason="")
    rules = _rules(fp)
    left = [min(size, free_bytes) - rules.budget(size, utilization) for size in _bounds(fp.cuda_total)]
    reason = (
        f"out of memory after the profile run: {_gib_span(fp.outside.low, fp.outside.high)} for CUDA context, graphs"
        f" and late workspaces come on top of the budget, which leaves {as_gib(left[1]):.2f} GiB"
    )
    return _judged(sure=fp.outside.high <= min(left), possible=fp.outside.low <= max(left), reason=reason)


def _judged(*, sure: bool, possible: bool, reason: str) -> _Check:
    if sure:
        return _Check(verdict=Verdict.STARTS, reason="")
    if possible:
        return _Check(verdict=Verdict.TOO_CLOSE, reason=reason)
    return _Check(verdict=Verdict.REFUSES, reason=reason)


def _gib_span(low: int, high: int) -> str:
    one, other = f"{as_gib(low):.2f}", f"{as_gib(high):.2f}"
    return f"{one} GiB" if one == other else f"{one} to {other} GiB"


def _served_length(fp: Footprint, kv_cache_bytes: int) -> int:
    """max-model-len as the engine will have it: shortened to what fits where the user let vLLM choose."""
    if not fp.fits_any_length:
        return fp.max_model_len
    return max(1, min(fp.max_model_len, longest_model_len(fp, kv_cache_bytes)))


def _concurrency(fp: Footprint, kv_cache_bytes: int, length: int) -> float:
    return fp.kv.blocks_in(kv_cache_bytes) / fp.kv.blocks_for(length)
