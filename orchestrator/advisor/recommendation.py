"""Which of the fits to take, per purpose, and the one line that moves a profile from 8 bit to 4 bit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.advisor.fitting import Fit, Form
from orchestrator.advisor.table import FitTable

_UNKNOWN_PRICE = float("inf")


class Purpose(StrEnum):
    """What somebody may want most."""

    CHEAPEST = "cheapest"
    BEST_QUALITY = "best quality"
    LONGEST_CONTEXT = "longest context"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    purpose: Purpose
    fit: Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The one line of a profile to change from an 8 bit form to a 4 bit one; `fit` is the smallest card for that."""

    before: str
    after: str


def recommend(table: FitTable) -> tuple[Recommendation, ...]:
    """One fit per purpose; none where nothing fits.

    Cheapest: the least price per hour (cards without a known price come last, the smallest first), then the finest
    precision, then the most room. Best quality: the finest precision on the cheapest cards that take it. Longest
    context: the longest max-model-len that surely starts, within the model's own length, on the cheapest cards.
    """
    fits = tuple(table.fits())
    if not fits:
        return ()
    return (
        Recommendation(purpose=Purpose.CHEAPEST, fit=min(fits, key=_cost)),
        Recommendation(purpose=Purpose.BEST_QUALITY, fit=min(fits, key=lambda fit: (-_bits(fit), *_cost(fit)))),
        Recommendation(
            purpose=Purpose.LONGEST_CONTEXT, fit=min(fits, key=lambda fit: (-fit.longest_model_len, *_cost(fit)))
        ),
    )


def cheapest_of(fits: Iterable[Fit]) -> Fit | None:
    """By the same order as the recommendation."""
    return min(fits, key=_cost, default=None)


def smallest_of(fits: Iterable[Fit]) -> Fit | None:
    """The least memory; of equals the fewest cards."""
    return min(fits, key=lambda fit: (fit.group.total_bytes, fit.group.count, *_cost(fit)), default=None)


def _cost(fit: Fit) -> tuple[float, int, int, int]:
    price = fit.group.usd_per_hour
    known = _UNKNOWN_PRICE if price is None else price
    size = fit.group.total_bytes if price is None else 0
    return (known, size, -_bits(fit), -(fit.margin_bytes or 0))


def _bits(fit: Fit) -> int:
    return fit.form.precision.bits


def change_to_four_bit(table: FitTable) -> Change | None:
    """The `model:` line of an 8 bit form and that of the 4 bit form that most cards take."""
    eight = [form for form in table.forms if form.precision.bits == 8]
    four = [form for form in table.forms if form.precision.bits == 4]
    if not (eight and four):
        return None
    fitting = {id(form): sum(answer.fit is not None for answer in table.of_form(form)) for form in four}
    best: Form = max(four, key=lambda form: fitting[id(form)])
    return Change(before=f"model: {eight[0].facts.model}", after=f"model: {best.facts.model}")
