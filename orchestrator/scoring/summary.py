"""Many scores in few numbers: per quantity, per class of GPU, per release, quantised or not; the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from orchestrator.domain.units import as_gib
from orchestrator.scoring.record_gpu import gpu_class
from orchestrator.scoring.scores import Comparison, Judgement, Quantity, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Errors of one quantity over `count` records, in parts of one; `width` is the median of interval over budget."""

    count: int
    median_error: float
    p90_error: float
    bias: float
    inside: float
    width: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """How often the verdict was right."""

    right: int = 0
    undecided: int = 0
    wrong: int = 0
    dangerous: int = 0

    @property
    def count(self) -> int:
        return self.right + self.undecided + self.wrong + self.dangerous

    @property
    def share_right(self) -> float:
        return self.right / self.count if self.count else 0.0

    @property
    def share_right_of_decided(self) -> float:
        decided = self.count - self.undecided
        return self.right / decided if decided else 0.0


def figures(comparisons: Iterable[Comparison]) -> Figures | None:
    """The figures over some comparisons; None over none. What was printed as nothing or less has no relative error."""
    found = list(comparisons)
    positive = [each for each in found if each.truth > 0]
    if not positive:
        return None
    errors = sorted(abs(each.error) for each in positive)
    widths = [each.of_budget for each in found if each.of_budget is not None]
    return Figures(
        count=len(found),
        median_error=median(errors),
        p90_error=percentile_90(errors),
        bias=median(each.error for each in positive),
        inside=sum(each.is_inside for each in found) / len(found),
        width=median(widths) if widths else None,
    )


def percentile_90(values: Iterable[float]) -> float:
    """The smallest value that nine of ten do not exceed."""
    ranked = sorted(values)
    return ranked[ceil(0.9 * len(ranked)) - 1]


def of_quantity(scores: Iterable[Score], quantity: Quantity) -> tuple[Comparison, ...]:
    return tuple(found for score in scores if (found := score.comparison(quantity)) is not None)


def verdicts(scores: Iterable[Score]) -> Verdicts:
    counts = Counter(score.judgement for score in scores)
    return Verdicts(
        right=counts[Judgement.RIGHT],
        undecided=counts[Judgement.UNDECIDED],
        wrong=counts[Judgement.WRONG],
        dangerous=counts[Judgement.DANGEROUS],
    )


Grouping = tuple[str, Callable[[Score], str]]


def release_span(score: Score) -> str:
    releases = score.price.releases
    if len(releases) > 3:
        return "not given"
    return " or ".join(dict.fromkeys(".".join(each.text.split(".")[:2]) for each in releases))


def storage_form(score: Score) -> str:
    return "quantised" if score.price.is_quantized else "not quantised"


def kind_of_model(score: Score) -> str:
    return score.price.kind_of_model


def is_fully_stated(score: Score) -> bool:
    """Whether the record leaves one reading: its release, its card, its utilization; and its author is sure of it."""
    one_reading = len(score.price.variants) == 1 and score.record.inputs.gpu_memory_utilization is not None
    return one_reading and score.record.confidence != "low"


GROUPINGS: tuple[Grouping, ...] = (
    ("GPU", lambda score: gpu_class(score.record.inputs)),
    ("release", release_span),
    ("form of the weights", storage_form),
    ("architecture", kind_of_model),
)


def grouped(scores: Sequence[Score], key: Callable[[Score], str]) -> tuple[tuple[str, tuple[Score, ...]], ...]:
    """Scores by a word, the largest groups first."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(key(score), []).append(score)
    return tuple(
        (name, tuple(members)) for name, members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    )


def worst_first(scores: Iterable[Score]) -> tuple[Score, ...]:
    """Dangerous verdicts, then wrong ones, then truths outside their interval, then by error of the KV cache in GiB."""
    return tuple(sorted(scores, key=_badness, reverse=True))


def _badness(score: Score) -> tuple[int, bool, float, float, str]:
    rank = {Judgement.DANGEROUS: 2, Judgement.WRONG: 1}.get(score.judgement, 0) if score.judgement else 0
    memory = score.comparison(Quantity.KV_CACHE)
    tokens = score.comparison(Quantity.TOKENS)
    outside = any(each is not None and not each.is_inside for each in (memory, tokens))
    far = 0.0 if memory is None else as_gib(abs(memory.expected - memory.truth))
    weights = score.comparison(Quantity.WEIGHTS)
    return (rank, outside, far, 0.0 if weights is None else abs(weights.error), score.record.id)
