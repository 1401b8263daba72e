"""Accuracy for programs: prediction and interval of each priced record, the reason for each other one, the summary."""

from __future__ import annotations

import json
from dataclasses import asdict

from orchestrator.domain.units import ByteRange
from orchestrator.scoring.report import AccuracyReport, Unpriced
from orchestrator.scoring.scores import Comparison, Quantity, Score
from orchestrator.scoring.summary import figures, of_quantity, verdicts

JSON_VERSION = 1
"""Version of the layout; it changes only when a field is renamed, removed or changes its meaning."""


def accuracy_json(report: AccuracyReport) -> str:
    """One JSON document; bytes are whole, errors are parts of one."""
    document = {
        "version": JSON_VERSION,
        "cross_validated": report.cross_validated,
        "records": len(report.scores) + len(report.unpriced),
        "priced": [_score(score) for score in report.scores],
        "unpriced": [_unpriced(each) for each in report.unpriced],
        "summary": _summary(report),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _score(score: Score) -> dict[str, object]:
    price = score.price
    return {
        "id": score.record.id,
        "line": score.record.line,
        "source": score.record.source,
        "model": price.facts.model,
        "releases": [str(release) for release in price.releases],
        "gpus": sorted({variant.gpu.gpu.name for variant in price.variants}),
        "prediction": {
            **{term.value.replace(" ", "_"): _range(size) for term, size in price.terms.items()},
            "budget": _range(price.budget),
            "kv_cache": _range(price.kv_cache),
            "kv_tokens": dict(zip(("low", "expected", "high"), price.kv_tokens, strict=True)),
            "verdict": price.verdict.value,
            "reason": price.reason,
        },
        "outcome": score.record.figures.outcome.value,
        "judgement": None if score.judgement is None else score.judgement.value,
        "not_judged": score.not_judged,
        "comparisons": [_comparison(each) for each in score.comparisons],
        "notes": list(price.notes),
    }


def _range(size: ByteRange) -> dict[str, int]:
    return {"low": size.low, "expected": size.expected, "high": size.high}


def _comparison(each: Comparison) -> dict[str, object]:
    return {
        "quantity": each.quantity.value,
        "printed": each.truth,
        "low": each.low,
        "expected": each.expected,
        "high": each.high,
        "error": round(each.error, 6),
        "is_inside": each.is_inside,
        "interval_of_budget": None if each.of_budget is None else round(each.of_budget, 6),
    }


def _unpriced(each: Unpriced) -> dict[str, object]:
    return {"id": each.record.id, "line": each.record.line, "source": each.record.source, "reason": each.reason}


def _summary(report: AccuracyReport) -> dict[str, object]:
    found = {quantity.value: figures(of_quantity(report.scores, quantity)) for quantity in Quantity}
    judged = verdicts(report.scores)
    return {
        "quantities": {name: asdict(each) for name, each in found.items() if each is not None},
        "verdicts": {**asdict(judged), "share_right": round(judged.share_right, 6)},
    }
