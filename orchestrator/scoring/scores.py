"""One record against its prediction: errors, whether the truth was inside, whether the verdict was right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.plan import Term, Verdict
from orchestrator.domain.startup import Outcome, StartupFigures, StartupRecord
from orchestrator.domain.units import GIB, ByteRange
from orchestrator.engine.memory_rules import LoggedTokens, memory_rules
from orchestrator.memory.prediction import logged_tokens
from orchestrator.scoring.pricing import Price, Variant

PRINTED_ERROR_BYTES = GIB // 200
"""vLLM prints GiB with two decimals: a truth may be off by half a hundredth."""


_MORE_THAN_ROUNDING = 1.01


class Quantity(StrEnum):
    """What is compared, in the order of the tables."""

    WEIGHTS = "weights"
    ACTIVATION = "activation peak"
    NON_TORCH = "non-torch"
    GRAPHS = "CUDA graphs"
    KV_CACHE = "KV cache"
    TOKENS_GIVEN_MEMORY = "tokens, given the memory"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A printed figure beside the prediction, in bytes or tokens; for the KV cache, with the budget in bytes."""

    quantity: Quantity
    truth: float
    expected: float
    low: float
    high: float
    printed_error: float
    budget: float | None = None

    @property
    def of_budget(self) -> float | None:
        """The interval's width over the budget."""
        return (self.high - self.low) / self.budget if self.budget else None

    @property
    def error_of_budget(self) -> float | None:
        """The error over the budget: what it is worth where little is left for the KV cache."""
        return (self.expected - self.truth) / self.budget if self.budget else None

    @property
    def error(self) -> float:
        """Predicted over printed, less one; against at least the printing error, so that a printed 0 has an error."""
        return (self.expected - self.truth) / max(abs(self.truth), self.printed_error, 1.0)

    @property
    def is_inside(self) -> bool:
        return self.low - self.printed_error <= self.truth <= self.high + self.printed_error


class Judgement(StrEnum):
    """A verdict against the outcome. `UNDECIDED`: the verdict was too close to call."""

    RIGHT = "right"
    UNDECIDED = "undecided"
    WRONG = "wrong"
    DANGEROUS = "starts, but it did not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """All that can be compared of one priced record; `judgement` None where the outcome had a cause outside."""

    record: StartupRecord
    price: Price
    comparisons: tuple[Comparison, ...]
    judgement: Judgement | None
    not_judged: str = ""

    def comparison(self, quantity: Quantity) -> Comparison | None:
        return next((each for each in self.comparisons if each.quantity is quantity), None)


def score(record: StartupRecord, price: Price) -> Score:
    """Compare; figures that the neighbours of a record may have changed, or that contradict it, are left out."""
    why_not = _not_judged(record, price)
    return Score(
        record=record,
        price=price,
        comparisons=tuple(_comparisons(record, price, of_cache=not why_not)),
        judgement=None if why_not else _judgement(record.figures.outcome, price.verdict),
        not_judged=why_not,
    )


def _not_judged(record: StartupRecord, price: Price) -> str:
    if record.inputs.has_neighbours and record.inputs.free_gib is None:
        return "other processes held memory of the GPU, and how much is not recorded"
    if _exceeds_budget(record.figures, price):
        return "its figures add up to more than its utilization allows: one of them is wrong"
    return ""


def _exceeds_budget(printed: StartupFigures, price: Price) -> bool:
    """Whether the parts of a budget, all printed, are more than the budget that the inputs give."""
    parts = (printed.weights_gib, printed.activation_gib, printed.non_torch_gib, printed.kv_cache_gib)
    known = [part for part in parts if part is not None]
    return len(known) == len(parts) and sum(known) * GIB > price.budget.high * _MORE_THAN_ROUNDING


def _judgement(outcome: Outcome, verdict: Verdict) -> Judgement:
    if verdict is Verdict.TOO_CLOSE:
        return Judgement.UNDECIDED
    started = outcome is Outcome.STARTED
    if (verdict is Verdict.STARTS) == started:
        return Judgement.RIGHT
    return Judgement.WRONG if started else Judgement.DANGEROUS


def _comparisons(record: StartupRecord, price: Price, *, of_cache: bool) -> Iterator[Comparison]:
    figures, terms = record.figures, price.terms
    printed = (
        (Quantity.WEIGHTS, figures.weights_gib, terms[Term.WEIGHTS]),
        (
            Quantity.ACTIVATION,
            None if figures.activation_includes_graphs else figures.activation_gib,
            terms[Term.ACTIVATION],
        ),
        (Quantity.NON_TORCH, figures.non_torch_gib, terms[Term.NON_TORCH]),
        (Quantity.GRAPHS, figures.graphs_gib, terms[Term.CUDA_GRAPHS]),
    )
    for quantity, truth, size in printed:
        if truth is not None and truth >= 0:
            yield _of_bytes(quantity, truth, size, None)
    if of_cache and figures.kv_cache_gib is not None:
        yield _of_bytes(Quantity.KV_CACHE, figures.kv_cache_gib, price.kv_cache, price.budget.expected)
    tokens = printed_tokens(record)
    if tokens is None:
        return
    if figures.kv_cache_gib is not None and figures.kv_cache_gib > 0:
        yield _given_memory(price.variants, figures.kv_cache_gib, tokens)
    if of_cache:
        low, expected, high = price.kv_tokens
        yield Comparison(
            quantity=Quantity.TOKENS, truth=tokens, expected=expected, low=low, high=high, printed_error=0.0
        )


def printed_tokens(record: StartupRecord) -> int | None:
    """Tokens as printed; else the printed blocks times the size of one."""
    figures = record.figures
    if figures.kv_tokens:
        return figures.kv_tokens
    if figures.num_gpu_blocks and record.inputs.block_size:
        return figures.num_gpu_blocks * record.inputs.block_size
    return None


def _of_bytes(quantity: Quantity, truth_gib: float, size: ByteRange, budget: int | None) -> Comparison:
    return Comparison(
        quantity=quantity,
        truth=truth_gib * GIB,
        expected=size.expected,
        low=size.low,
        high=size.high,
        printed_error=PRINTED_ERROR_BYTES,
        budget=budget,
    )


def _given_memory(variants: tuple[Variant, ...], kv_cache_gib: float, tokens: int) -> Comparison:
    """Tokens in the printed memory, in the reading of the record that comes nearest: this tests the layout alone.

    The memory is printed in hundredths of a GiB; what that rounding explains is no error.
    """
    sizes = [int(kv_cache_gib * GIB) + step for step in (-PRINTED_ERROR_BYTES, 0, PRINTED_ERROR_BYTES)]
    counts = [sorted(_tokens_in(variant, size) for size in sizes) for variant in variants]
    low, _, high = min(counts, key=lambda count: abs(count[1] - tokens))
    expected = min(max(tokens, low), high)
    return Comparison(
        quantity=Quantity.TOKENS_GIVEN_MEMORY, truth=tokens, expected=expected, low=low, high=high, printed_error=0.0
    )


def _tokens_in(variant: Variant, size: int) -> int:
    fp = variant.footprint
    whole = memory_rules(variant.release).logged_tokens is LoggedTokens.FULL_LENGTH_REQUESTS
    return logged_tokens(fp, size, fp.max_model_len if whole else None)
