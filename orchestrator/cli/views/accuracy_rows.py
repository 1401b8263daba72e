"""The tables of an accuracy report as rows of text: one source for the terminal and for the page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from orchestrator.domain.units import as_gib
from orchestrator.scoring.report import AccuracyReport
from orchestrator.scoring.scores import Comparison, Judgement, Quantity, Score
from orchestrator.scoring.summary import Figures, figures, grouped, of_quantity, verdicts

Row = tuple[str, ...]

QUANTITY_HEADS: Row = ("", "records", "median error", "90th percentile", "bias", "truth inside", "interval of budget")
GROUP_HEADS: Row = ("", "records", "weights", "KV cache", "KV p90", "inside", "interval", "verdicts right")
WORST_HEADS: Row = ("record", "printed", "predicted", "error", "verdict")
_BEHIND = re.compile(r"`[^`]*`")


def percent(part: float, decimals: int = 1) -> str:
    return f"{100 * part:.{decimals}f} %"


def quantity_rows(scores: Sequence[Score]) -> list[Row]:
    """One row per quantity that was printed anywhere."""
    rows = []
    for quantity in Quantity:
        found = figures(of_quantity(scores, quantity))
        if found is not None:
            rows.append((quantity.value, *_figures(found)))
    return rows


def _figures(found: Figures) -> Row:
    return (
        str(found.count),
        percent(found.median_error, 2),
        percent(found.p90_error),
        f"{100 * found.bias:+.1f} %",
        percent(found.inside, 0),
        "" if found.width is None else percent(found.width),
    )


def group_rows(scores: Sequence[Score], key: Callable[[Score], str]) -> list[Row]:
    """One row per group: errors of weights and KV cache, intervals, verdicts."""
    return [(name, *_group(members)) for name, members in grouped(scores, key)]


def _group(members: Sequence[Score]) -> Row:
    weights = figures(of_quantity(members, Quantity.WEIGHTS))
    memory = figures(of_quantity(members, Quantity.KV_CACHE))
    judged = verdicts(members)
    return (
        str(len(members)),
        "-" if weights is None else percent(weights.median_error),
        "-" if memory is None else percent(memory.median_error),
        "-" if memory is None else percent(memory.p90_error),
        "-" if memory is None else percent(memory.inside, 0),
        "-" if memory is None or memory.width is None else percent(memory.width),
        f"{judged.right} of {judged.count}" if judged.count else "-",
    )


def verdict_line(scores: Sequence[Score]) -> str:
    """How often the verdict was right, in one sentence."""
    judged = verdicts(scores)
    not_judged = sum(score.judgement is None for score in scores)
    words = [
        f"{judged.right} right",
        f"{judged.undecided} too close to call",
        f"{judged.wrong} wrongly refused",
        f"{judged.dangerous} wrongly started",
    ]
    text = f"Verdicts: {', '.join(words)} of {judged.count} ({percent(judged.share_right)} right"
    text += f"; {percent(judged.share_right_of_decided)} of those decided)."
    return text + (f" {not_judged} not judged: neighbours on the GPU, their memory not recorded." if not_judged else "")


def worst_rows(scores: Sequence[Score]) -> Iterator[Row]:
    """Records with a verdict that was wrong, or a figure outside its interval or far off."""
    for score in scores:
        shown = _worst_comparison(score)
        if shown is None and score.judgement not in (Judgement.DANGEROUS, Judgement.WRONG):
            continue
        yield (score.record.id, *_beside(shown), _verdict(score))


def _worst_comparison(score: Score) -> Comparison | None:
    for quantity in (Quantity.KV_CACHE, Quantity.TOKENS, Quantity.WEIGHTS, Quantity.TOKENS_GIVEN_MEMORY):
        found = score.comparison(quantity)
        if found is not None and (not found.is_inside or abs(found.error) > 0.03):
            return found
    return None


def _beside(shown: Comparison | None) -> Row:
    if shown is None:
        return ("", "", "")
    error = f"{100 * shown.error:+.0f} %"
    if shown.quantity in (Quantity.TOKENS, Quantity.TOKENS_GIVEN_MEMORY):
        return (f"{shown.truth:,.0f} tokens", f"{shown.expected:,.0f} ({shown.low:,.0f} to {shown.high:,.0f})", error)
    word = "KV" if shown.quantity is Quantity.KV_CACHE else shown.quantity.value
    low, expected, high = (as_gib(each) for each in (shown.low, shown.expected, shown.high))
    return (f"{as_gib(shown.truth):.2f} GiB {word}", f"{expected:.2f} ({low:.2f} to {high:.2f})", error)


def _verdict(score: Score) -> str:
    outcome = score.record.figures.outcome.value
    return f"{outcome}: {'not judged' if score.judgement is None else score.price.verdict.value}"


def reason_rows(report: AccuracyReport) -> list[Row]:
    """Why records have no prediction, the commonest reason first, with the records it holds for."""
    counts: Counter[str] = Counter()
    members: dict[str, list[str]] = {}
    for each in report.unpriced:
        reason = _BEHIND.sub("…", each.reason, count=1) if each.reason.startswith("model `") else each.reason
        counts[reason] += 1
        members.setdefault(reason, []).append(_named(each.record.id, each.reason))
    return [(str(count), reason, ", ".join(members[reason])) for reason, count in counts.most_common()]


def _named(record_id: str, reason: str) -> str:
    found = _BEHIND.search(reason) if reason.startswith("model `") else None
    return record_id if found is None else f"{record_id} ({found[0].strip('`')})"
