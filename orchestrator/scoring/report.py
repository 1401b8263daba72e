"""All records of a file, priced or not, with their scores: what `orchestrate accuracy` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.startup import StartupRecord
from orchestrator.memory.constants import CONSTANTS, Constants
from orchestrator.scoring.pricing import price
from orchestrator.scoring.scores import Score, score


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """A record that has no prediction, and why."""

    record: StartupRecord
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReport:
    """`cross_validated`: each record was priced with constants fitted without its source."""

    scores: tuple[Score, ...]
    unpriced: tuple[Unpriced, ...]
    cross_validated: bool = False


FindModel = Callable[[str], ModelFacts | None]


def accuracy_report(
    records: Sequence[StartupRecord],
    find_model: FindModel,
    constants_by_source: Mapping[str, Constants] | None = None,
) -> AccuracyReport:
    """Price and score every record. `constants_by_source` has the constants for each group of sources, if not ours."""
    scores: list[Score] = []
    unpriced: list[Unpriced] = []
    for record in records:
        constants = CONSTANTS if constants_by_source is None else constants_by_source[record.source_group]
        found = _scored(record, find_model, constants)
        if isinstance(found, Score):
            scores.append(found)
        else:
            unpriced.append(Unpriced(record=record, reason=found))
    return AccuracyReport(
        scores=tuple(scores), unpriced=tuple(unpriced), cross_validated=constants_by_source is not None
    )


def _scored(record: StartupRecord, find_model: FindModel, constants: Constants) -> Score | str:
    if record.inputs.model is None:
        return "no model is named"
    facts = find_model(record.inputs.model)
    if facts is None:
        return f"model `{record.inputs.model}` is not known; give its directory"
    priced = price(record.inputs, facts, constants)
    return priced if isinstance(priced, str) else score(record, priced)
