"""`docs/accuracy.md`: what the figures of an accuracy report are, how they were won, and what they do not show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from orchestrator.cli.views.accuracy_rows import (
    GROUP_HEADS,
    QUANTITY_HEADS,
    WORST_HEADS,
    Row,
    group_rows,
    percent,
    quantity_rows,
    reason_rows,
    verdict_line,
    worst_rows,
)
from orchestrator.memory.constants import PARAMETERS, Constants, Scale
from orchestrator.scoring.report import AccuracyReport
from orchestrator.scoring.scores import Judgement, Quantity, Score
from orchestrator.scoring.summary import (
    GROUPINGS,
    figures,
    is_fully_stated,
    of_quantity,
    percentile_90,
    verdicts,
    worst_first,
)

_HOLDS = "interval of the KV cache holds the truth"
_WIDE = "interval over budget, median"
_RIGHT = "verdict right"
_DECIDED = "verdict right, of those not too close to call"
_DANGEROUS = "said `starts`, and it did not"
_TARGETS = {
    "weights, median error": (0.01, False),
    "weights, 90th percentile": (0.03, False),
    "KV cache, median error": (0.03, False),
    "KV cache, 90th percentile": (0.10, False),
    "tokens, given the memory, median error": (0.005, False),
    "tokens, given the memory, 90th percentile": (0.005, False),
    _HOLDS: (0.90, True),
    _WIDE: (0.15, False),
    _RIGHT: (0.95, True),
    _DECIDED: (0.95, True),
    _DANGEROUS: (0.0, False),
}
"""What is wanted, and whether at least."""
_PEER_SOURCE = "llm-d-incubation/llm-d-planner#205"
_PEER_ROWS = (
    ("weights", Quantity.WEIGHTS, "0.89 %"),
    ("KV cache", Quantity.KV_CACHE, "6.62 %"),
    ("activation peak", Quantity.ACTIVATION, "195 % too high"),
    ("non-torch", Quantity.NON_TORCH, "44 % too low"),
)


def accuracy_page(plain: AccuracyReport, held_out: AccuracyReport, fitted: Constants) -> str:
    """The page. `fitted` are the constants that all these records together give, for whoever ships new ones."""
    parts = [
        _opening(held_out),
        _targets(held_out),
        _quantities(plain, held_out),
        _groups(held_out),
        _peers(plain, held_out),
        _worst(held_out),
        _limits(held_out),
        _unpriced(held_out),
        _parameters(fitted),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(report: AccuracyReport) -> str:
    sources = len({score.record.source_group for score in report.scores})
    return f"""# How right the predictions are

<!-- written by `orchestrate accuracy RECORDS.jsonl --markdown`; do not edit by hand -->

`orchestrate` predicts what vLLM will do before it starts. This page scores those predictions against
{len(report.scores) + len(report.unpriced)} start-ups that other people recorded in public issues, repositories and
reports. {len(report.scores)} of them name model, release, GPU and flags well enough to be priced; they come from
{sources} sources. Nothing that a record printed is an input of its own prediction.

The measured constants of the model are fitted to such records, so their own figures would flatter. **Held out** means:
every record was priced with constants fitted without any record of the same repository, file or page. Each constant
starts from a prior that reasoning gives; where a held-out source is the only one that shows a constant, the prior is
what is scored.

One thing no holding out can undo: the form of the model and the priors were written by authors who had seen these
records. Where one source alone shows a constant (most of the samplers and of the non-torch memory on H100), read the
held-out figure as a lower bound of the error on records that nobody has seen yet."""


def _targets(report: AccuracyReport) -> str:
    stated = tuple(score for score in report.scores if is_fully_stated(score))
    both = [_target_figures(scores) for scores in (report.scores, stated)]
    rows: list[Row] = []
    for name, (target, at_least) in _TARGETS.items():
        cells = [_cell(name, found.get(name), target, at_least=at_least) for found in both]
        rows.append((name, *cells, _limit(name, target, at_least=at_least)))
    heads = ("", f"all {len(report.scores)} priced", f"the {len(stated)} that are fully stated", "target")
    words = (
        "Tokens are counted in the memory as printed, in hundredths of a GiB; what that rounding explains is no error."
        " *Fully stated* are records that leave one reading: one release, one card, a utilization, and an author who is"
        " sure. The others are priced with what they say, over all that it may mean."
    )
    worth = [abs(each.error_of_budget or 0.0) for each in of_quantity(report.scores, Quantity.KV_CACHE)]
    small = (
        "The error of the KV cache is taken of the KV cache: where a budget leaves little for it, little is much. Of"
        f" the budget it is {percent(median(worth), 2)} in the median and {percent(percentile_90(worth), 2)} at the"
        " 90th percentile."
        if worth
        else ""
    )
    return "\n\n".join(part for part in ("## Targets, held out", words, _table(heads, rows), small) if part)


def _target_figures(scores: Sequence[Score]) -> dict[str, float]:
    found: dict[str, float] = {}
    for quantity in (Quantity.WEIGHTS, Quantity.KV_CACHE, Quantity.TOKENS_GIVEN_MEMORY):
        each = figures(of_quantity(scores, quantity))
        if each is None:
            continue
        found[f"{quantity}, median error"] = each.median_error
        found[f"{quantity}, 90th percentile"] = each.p90_error
        if quantity is Quantity.KV_CACHE:
            found[_HOLDS], found[_WIDE] = each.inside, each.width or 0.0
    judged = verdicts(scores)
    if judged.count:
        found[_RIGHT], found[_DECIDED] = judged.share_right, judged.share_right_of_decided
        found[_DANGEROUS] = float(judged.dangerous)
    return found


def _cell(name: str, value: float | None, target: float, *, at_least: bool) -> str:
    if value is None:
        return "-"
    is_met = value >= target if at_least else value <= target
    shown = f"{value:.0f}" if name == _DANGEROUS else percent(value, 2)
    return f"{shown}, {'met' if is_met else 'missed'}"


def _limit(name: str, target: float, *, at_least: bool) -> str:
    if name == _DANGEROUS:
        return "0"
    return f"{'at least' if at_least else 'at most'} {percent(target)}"


def _quantities(plain: AccuracyReport, held_out: AccuracyReport) -> str:
    return "\n\n".join(
        (
            "## Per term",
            "Held out:",
            _table(QUANTITY_HEADS, quantity_rows(held_out.scores)),
            verdict_line(held_out.scores),
            "With the constants that ship, which have seen these records:",
            _table(QUANTITY_HEADS, quantity_rows(plain.scores)),
            verdict_line(plain.scores),
        )
    )


def _groups(report: AccuracyReport) -> str:
    parts = ["## Where, held out"]
    for name, key in GROUPINGS:
        parts.append(f"By {name}:")
        parts.append(_table((name, *GROUP_HEADS[1:]), group_rows(report.scores, key)))
    return "\n\n".join(parts)


def _peers(plain: AccuracyReport, held_out: AccuracyReport) -> str:
    rows = [
        (name, _mean_of(_peer_scores(held_out), quantity), _mean_of(_peer_scores(plain), quantity), theirs)
        for name, quantity, theirs in _PEER_ROWS
    ]
    return "\n\n".join(
        (
            "## Beside other tools",
            "One other tool has published how far its memory model is off: llm-d-planner, over 54 runs on one kind of"
            " GPU (H100; its pull request 205, `accuracy/accuracy_report.md`). The records scored here hold the runs"
            " of that report whose log lines it prints. Mean absolute errors, ours on those records, theirs as"
            " published over all of theirs:",
            _table(("", "orchestrate, held out", "orchestrate, as shipped", "llm-d-planner"), rows),
            "It charges the activation once per tensor-parallel group and takes an H100 for every card; its constants"
            " were measured on those same runs. GPUStack (weights times 1.2 plus 2 GiB), KAITO, hf-mem, accelerate and"
            " Xinference predict no KV cache of a given GPU, or publish no error of it, so there is nothing to put"
            " beside these figures.",
        )
    )


def _peer_scores(report: AccuracyReport) -> list[Score]:
    return [score for score in report.scores if _PEER_SOURCE in score.record.source]


def _mean_of(scores: Sequence[Score], quantity: Quantity) -> str:
    errors = [abs(each.error) for each in of_quantity(scores, quantity) if each.truth > 0]
    return f"{percent(sum(errors) / len(errors), 2)} ({len(errors)})" if errors else "-"


def _worst(report: AccuracyReport) -> str:
    rows = list(worst_rows(worst_first(report.scores)))
    return "## Worst first, held out\n\n" + _table(WORST_HEADS, rows)


def _limits(report: AccuracyReport) -> str:
    known = sum(len(score.price.releases) == 1 for score in report.scores)
    dangerous = ", ".join(
        f"`{score.record.id}` (utilization {score.price.variants[0].settings.gpu_memory_utilization:g})"
        for score in report.scores
        if score.judgement is Judgement.DANGEROUS
    )
    return f"""## Limits

- Said to start, and ran out of memory: {dangerous or "none"}. Where most of a card is asked for, what is allocated
  after the profile run is the least known part.
- What stands in the way of the targets that are missed: records without a release or a card span too many sets of
  rules for one expectation; from 0.8 to 0.11.0 the sampler of the profile run depends on whether FlashInfer is
  installed (it is in the image, and no record says); 0.11 looks at videos as long as the context; one nightly build
  lost 3.4 GiB that its neighbour kept. A verdict whose interval holds both outcomes is honestly open, and counts as
  not right here.
- Records whose printed parts exceed the budget of their own inputs contradict themselves: not judged, and their KV
  cache is not compared.
- {known} of the {len(report.scores)} priced records name one release. The others are priced for every release that they
  may be of, with an interval that holds them all; their expectation is the median of those.
- Flags that a record does not mention count as not passed; a block size that it mentions counts as passed. Some
  records leave flags out, and nobody can tell which.
- A first start with a cold compile cache leaves up to a gibibyte less KV cache than a second one (0.21 and later). A
  profile does not say which it will be; the interval holds both.
- Memory that CUDA graphs really take is known least: vLLM's own estimate is off by up to a gibibyte either way.
- Of pipeline stages vLLM prints the peak of the first; predicted is that of the heaviest, which decides the KV cache.
- Verdicts of records with neighbours on the GPU are not judged, unless the record says what was free.
- Sleep mode, several instances that start at once, forks and patched builds, and cards of other makers are not priced.
- Records come from people who wrote down what went wrong more often than what went right."""


def _unpriced(report: AccuracyReport) -> str:
    rows = [(count, reason.replace("…", "(name)"), members) for count, reason, members in reason_rows(report)]
    return "## Not priced, and why\n\n" + _table(("records", "reason", "which"), rows)


def _parameters(fitted: Constants) -> str:
    rows = [
        (
            parameter.name,
            parameter.unit,
            _scale(parameter.prior),
            _scale(fitted[parameter.name]),
            _scale(parameter.fitted),
        )
        for parameter in PARAMETERS
    ]
    return "## Constants\n\n" + _table(("constant", "unit", "prior", "from these records", "as shipped"), rows)


def _scale(scale: Scale) -> str:
    return f"{scale.expected:.3g} ({scale.low:.3g} to {scale.high:.3g})"


def _table(heads: Row, rows: Iterable[Row]) -> str:
    lines = [_line(heads), _line("---" for _ in heads)]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
