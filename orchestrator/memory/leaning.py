"""A footprint at the friendly end of its intervals: what tells "too close to call" from "does not fit"."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.plan import Footprint
from orchestrator.domain.units import ByteRange


def optimistic(priced: Footprint) -> Footprint:
    """The footprint with every uncertain term at its low end and the card's total at its high end."""
    terms = tuple(replace(term, size=ByteRange.exactly(term.size.low)) for term in priced.terms)
    return replace(priced, terms=terms, cuda_total=ByteRange.exactly(priced.cuda_total.high))
