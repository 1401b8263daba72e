"""One form of a model on one group of cards: does it start, what is left, how far does the context reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.advisor.cards import CardGroup
from orchestrator.advisor.precision import Precision, precision_of
from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Footprint, Prediction, Verdict
from orchestrator.domain.profile import FlagValue, Requirements
from orchestrator.domain.release import Release
from orchestrator.domain.units import as_gib
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.compatibility import check_compatibility, check_model
from orchestrator.engine.problems import FlagProblem
from orchestrator.engine.rope import derived_max_model_len, effective_scaling, rope_type
from orchestrator.engine.settings import resolve_settings
from orchestrator.memory.footprint import footprint
from orchestrator.memory.leaning import optimistic
from orchestrator.memory.prediction import largest_utilization, predict

DEFAULT_LENGTH = 8192
"""The max-model-len that is asked about when none is given, if the model reaches that far: a chat with a document."""


_YARN_FACTOR, _YARN_REACH = 4, 131072
"""The factor that makers publish for YaRN, and the length that they reach with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What must hold: under this release, `full_length_requests` requests of `max_model_len` tokens at once.

    `max_model_len` None: the default length, or the model's own when that is shorter. `flags` are further flags of
    `vllm serve` (rope-scaling, kv-cache-dtype, …), the same for every form.
    """

    release: Release
    max_model_len: int | None = None
    full_length_requests: float = 1.0
    flags: Mapping[str, FlagValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form of the model: its facts, how finely it is kept, the length asked about and the longest of its own."""

    facts: ModelFacts
    precision: Precision
    length: int
    own_length: int

    @cached_property
    def layer_bytes(self) -> int:
        """Stored bytes that certainly are on the cards, all ranks together: nothing that may be left out."""
        return int(sum(size for part, size in self.facts.weights.items() if part.value in ("linear", "experts")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The answer for one form on one group of cards.

    `verdict` STARTS: it surely starts and holds what was asked. `reason` and `help` say why not. `margin_bytes` is what
    is left for more KV cache on each card when everything is at its worst; below 0 it is what is missing (None: the
    card is not the question). `longest_model_len` is the longest that surely starts, within the model's own length;
    `memory_len` what the memory alone would hold.
    """

    form: Form
    group: CardGroup
    verdict: Verdict
    reason: str = ""
    help: tuple[str, ...] = ()
    problems: tuple[FlagProblem, ...] = ()
    utilization: float = 0.0
    margin_bytes: int | None = None
    memory_len: int = 0
    footprint: Footprint | None = None
    prediction: Prediction | None = None

    @property
    def starts(self) -> bool:
        return self.verdict is Verdict.STARTS

    @property
    def longest_model_len(self) -> int:
        return min(self.memory_len, self.form.own_length)

    @property
    def needed_bytes(self) -> int:
        """What all cards together give to it at worst: weights, working memory, context, and the KV cache asked for."""
        if self.footprint is None:
            return 0
        each = self.footprint.inside.high + self.footprint.outside.high + self.footprint.kv_required_bytes
        return self.group.count * each

    @property
    def is_about_the_card(self) -> bool:
        """More cards of the kind would not help."""
        return any(problem.is_error and problem.code not in _ABOUT_THE_SPLIT for problem in self.problems)


_ABOUT_THE_SPLIT = ("E224", "E225", "E226")


def form_of(facts: ModelFacts, question: Question) -> Form:
    """A form with the length that the question means for it."""
    own = derived_max_model_len(facts.config, question.flags, question.release)
    length = question.max_model_len or min(DEFAULT_LENGTH, own)
    said = canonical_flags(question.flags, question.release).get("quantization")
    return Form(facts=facts, precision=precision_of(facts.config, said), length=length, own_length=own)


def flags_for(form: Form, group: CardGroup, question: Question) -> dict[str, FlagValue]:
    """The flags that the answer holds for, besides the utilization."""
    split: dict[str, FlagValue] = {"tensor-parallel-size": group.count} if group.count > 1 else {}
    return {**split, "max-model-len": form.length, **question.flags}


def check_question(facts: ModelFacts, question: Question) -> tuple[FlagProblem, ...]:
    """Errors in the question itself, whatever the card: a length that the model does not reach."""
    flags: dict[str, FlagValue] = {"max-model-len": form_of(facts, question).length, **question.flags}
    found = check_model(vllm=flags, release=question.release, facts=facts)
    return tuple(problem for problem in found if problem.is_error)


def way_beyond(form: Form, question: Question) -> str:
    """What takes a form to four times the length it was trained for, in the words of the finding that refuses that.

    Empty when it has no RoPE, or one that is scaled already, or reaches far by itself.
    """
    config = form.facts.config
    own_scaling = rope_type(config.rope_parameters or {}) not in (None, "default")
    if config.rope_theta is None or own_scaling or effective_scaling(question.flags, question.release) is not None:
        return ""
    longer = _YARN_FACTOR * 2 ** (form.own_length.bit_length() - 1)
    if longer > _YARN_REACH:
        return ""
    flags: dict[str, FlagValue] = {**question.flags, "max-model-len": longer}
    found = check_model(vllm=flags, release=question.release, facts=form.facts)
    return next((problem.help[0] for problem in found if problem.is_error), "")


def judge(form: Form, group: CardGroup, question: Question) -> Fit:
    """Compatibility first, then memory on the pessimistic side, as the planner counts it on an idle host."""
    flags, release, host = flags_for(form, group, question), question.release, group.host
    gpu = host.gpus[0]
    problems = check_compatibility(vllm=flags, release=release, facts=form.facts, gpu=gpu, host=host)
    error = next((problem for problem in problems if problem.is_error), None)
    if error is not None:
        reason = error.message + (f" ({error.label})" if error.label not in error.message else "")
        return Fit(form=form, group=group, verdict=Verdict.REFUSES, reason=reason, help=error.help, problems=problems)
    settings = resolve_settings(vllm=flags, release=release, facts=form.facts, gpu=gpu)
    wanted = Requirements(full_length_requests=question.full_length_requests)
    priced = footprint(settings=settings, facts=form.facts, gpu=gpu, requirements=wanted)
    utilization, prediction = _predicted(priced, gpu)
    verdict, reason = _verdict(priced, prediction, gpu, question)
    return Fit(
        form=form,
        group=group,
        verdict=verdict,
        reason=reason,
        help=() if verdict is Verdict.STARTS else tuple(_shorter(form, prediction)),
        problems=problems,
        utilization=utilization,
        margin_bytes=prediction.kv_cache.low - priced.kv_required_bytes,
        memory_len=prediction.longest_model_len,
        footprint=priced,
        prediction=prediction,
    )


def _shorter(form: Form, prediction: Prediction) -> Iterator[str]:
    """The length that surely starts, where one does (for one request)."""
    length = min(prediction.longest_model_len, form.own_length)
    if 0 < length < form.length:
        yield f"`max-model-len: {length}` surely starts"


def _predicted(priced: Footprint, gpu: Gpu) -> tuple[float, Prediction]:
    utilization = largest_utilization(priced, gpu.free_bytes)
    return utilization, predict(priced, utilization, gpu.free_bytes)


def _verdict(priced: Footprint, prediction: Prediction, gpu: Gpu, question: Question) -> tuple[Verdict, str]:
    """At its worst it starts; or at its best; or never."""
    if _holds(priced, prediction):
        return Verdict.STARTS, ""
    if priced.inside.low + priced.outside.low + priced.kv_required_bytes <= priced.cuda_total.high:
        hopeful = optimistic(priced)
        at_best = _predicted(hopeful, gpu)[1]
        if _holds(hopeful, at_best):
            return Verdict.TOO_CLOSE, _closeness(priced, prediction, at_best)
    return Verdict.REFUSES, _reason(priced, prediction, question)


def _holds(priced: Footprint, prediction: Prediction) -> bool:
    return prediction.verdict is Verdict.STARTS and prediction.kv_cache.low >= priced.kv_required_bytes


def _closeness(priced: Footprint, at_worst: Prediction, at_best: Prediction) -> str:
    worst, best = (as_gib(max(0, size)) for size in (at_worst.kv_cache.low, at_best.kv_cache.high))
    return (
        f"{as_gib(priced.kv_required_bytes):.2f} GiB of KV cache are needed, and {worst:.2f} are left at worst,"
        f" {best:.2f} at best"
    )


def _reason(priced: Footprint, prediction: Prediction, question: Question) -> str:
    """vLLM's own reason; where it would start all the same, the requests that do not fit."""
    if prediction.reason:
        return prediction.reason
    left = max(0, prediction.kv_cache.low)
    return (
        f"{question.full_length_requests:g} requests of {priced.max_model_len:,} tokens need"
        f" {as_gib(priced.kv_required_bytes):.2f} GiB of KV cache, and {as_gib(left):.2f} GiB are sure to be left"
    )
