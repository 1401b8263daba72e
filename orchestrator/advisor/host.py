"""A host without a GPU: which forms run there, the RAM they take, how fast at best, what would make it faster."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from orchestrator.advisor.fitting import Form, Question, form_of
from orchestrator.advisor.precision import precision_of
from orchestrator.catalog.models import find_model, known_models
from orchestrator.domain.model_config import LayerKind, ModelConfig, ModelFacts, WeightPart
from orchestrator.domain.plan import Verdict
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.compatibility import check_model
from orchestrator.engine.cpu_platform import CPU_DTYPE, CpuRefusal, cautions_on_cpu, check_cpu, sizes_cache_by_flag
from orchestrator.engine.quantization_methods import asked_method
from orchestrator.memory.cpu_host import HostFootprint, gib_of_cache_space, host_footprint

GIGA = 10**9
CONTEXT = 1024
"""Tokens that a step looks back on, for the bound: a short chat."""
EXAMPLE_TOKENS, FEWER_TOKENS = 50, 20
_WORTH_IT = 2.0
_PORT = 8000
_FOR_CONTAINERS = ("served-model-name", "port", "gpu-memory-utilization", "kv-cache-dtype", "tensor-parallel-size")

QUANTISED_SHARE = 0.2
"""The part of the bound that quantised weights may come down to where cores are few: unpacking them takes longer.
Measured with vLLM 0.32 on 2 cores (AVX512-BF16), Qwen2.5-1.5B: bfloat16 9.7 tokens/s, which is all of the 30 GB/s that
these cores read; AWQ 5.2, float16 2.9 (no arithmetic of that width); Qwen2.5-0.5B 26, and 14 in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Bytes per second from RAM, with an interval, and what it stands for."""

    low: int
    expected: int
    high: int
    source: str


ASSUMED_BANDWIDTH = Bandwidth(
    low=20 * GIGA,
    expected=50 * GIGA,
    high=100 * GIGA,
    source="assumed: two channels of DDR4-3200 give 51 GB/s, a share of a cloud machine 20, two of DDR5-6400 100",
)


def bandwidth_of(gigabytes_per_second: float | None) -> Bandwidth:
    """The user's figure, of which half to all is reached; without one what is assumed."""
    if gigabytes_per_second is None:
        return ASSUMED_BANDWIDTH
    given = int(gigabytes_per_second * GIGA)
    return Bandwidth(low=given // 2, expected=given, high=given, source="as given; half of it to all of it is reached")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """One thing that helps: `factor` times as many tokens per second (or as few tokens to wait for)."""

    factor: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """One form without a GPU. `refusal` says why it cannot run, `unquantised` what it would take in 16 bits;
    `verdict` judges the host's RAM when that is known."""

    form: Form
    refusal: CpuRefusal | None = None
    unquantised: HostFootprint | None = None
    footprint: HostFootprint | None = None
    verdict: Verdict | None = None
    tokens_per_second: tuple[float, float, float] | None = None  # low, expected, high: a bound by the bandwidth
    command: str = ""
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        return self.refusal is None and self.verdict is not Verdict.REFUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTable:
    """All forms without a GPU."""

    question: Question
    asked: Form
    bandwidth: Bandwidth
    ram_bytes: int | None
    answers: tuple[HostAnswer, ...]
    speed_ups: tuple[SpeedUp, ...]

    @property
    def running(self) -> tuple[HostAnswer, ...]:
        """The forms that run, with the RAM that is known to be there."""
        return tuple(answer for answer in self.answers if answer.runs and answer.footprint is not None)

    @property
    def fastest(self) -> HostAnswer | None:
        """The one to take: the best at its worst."""
        return max(self.running, key=_worst_rate, default=None)

    @property
    def smallest(self) -> HostAnswer | None:
        """The one that takes least RAM."""
        return min(self.running, key=_ram, default=None)


def host_table(
    forms: Iterable[ModelFacts], question: Question, *, bandwidth: Bandwidth, ram_bytes: int | None
) -> HostTable:
    """Judge every form on a host without a GPU; finest precision first. The first of `forms` is the one named."""
    found = [form_of(facts, question) for facts in forms]
    ordered = sorted(found, key=lambda form: -form.precision.bits)
    answers = tuple(_answer(form, question, bandwidth, ram_bytes) for form in ordered)
    return HostTable(
        question=question,
        asked=found[0],
        bandwidth=bandwidth,
        ram_bytes=ram_bytes,
        answers=answers,
        speed_ups=tuple(_speed_ups(answers, question)),
    )


def _answer(form: Form, question: Question, bandwidth: Bandwidth, ram_bytes: int | None) -> HostAnswer:
    refusal = _refusal(form, question)
    if refusal is not None:
        return HostAnswer(form=form, refusal=refusal, unquantised=_taken(_in_16_bits(form.facts), form, question))
    priced = _taken(form.facts, form, question)
    step = priced.read_per_token_bytes + priced.kv_bytes_per_token * min(CONTEXT, form.length)
    return HostAnswer(
        form=form,
        footprint=priced,
        verdict=None if ram_bytes is None else _judged(priced, ram_bytes),
        tokens_per_second=_bounds(bandwidth, step, is_quantised=form.facts.config.quantization is not None),
        command=_command(form, priced, question),
        notes=cautions_on_cpu(form.facts.config, question.release),
    )


def _taken(facts: ModelFacts, form: Form, question: Question) -> HostFootprint:
    return host_footprint(
        facts,
        release=question.release,
        max_model_len=form.length,
        full_length_requests=question.full_length_requests,
        flags={name: value for name, value in question.flags.items() if name != "quantization"},
    )


def _in_16_bits(facts: ModelFacts) -> ModelFacts:
    """The model before it was quantised, as far as its layers tell: scales and zero points are not taken out."""
    bits = precision_of(facts.config).bits
    layers = (WeightPart.LINEAR, WeightPart.EXPERTS)
    weights = {part: size * 16 // bits if part in layers else size for part, size in facts.weights.items()}
    return replace(facts, config=replace(facts.config, quantization=None), weights=weights, exact=False)


def _refusal(form: Form, question: Question) -> CpuRefusal | None:
    """Kernels that are not there, then flags that contradict the form."""
    _, said = asked_method(canonical_flags(question.flags, question.release))
    refusal = check_cpu(form.facts.config, said)
    flags: dict[str, FlagValue] = {**question.flags, "max-model-len": form.length}
    found = check_model(vllm=flags, release=question.release, facts=form.facts)
    wrong = next((problem for problem in found if problem.is_error), None)
    if refusal is not None or wrong is None:
        return refusal
    return CpuRefusal(reason=wrong.message, help="; ".join(wrong.help))


def _bounds(bandwidth: Bandwidth, step_bytes: int, *, is_quantised: bool) -> tuple[float, float, float]:
    share = QUANTISED_SHARE if is_quantised else 1.0
    return (share * bandwidth.low / step_bytes, bandwidth.expected / step_bytes, bandwidth.high / step_bytes)


def _judged(priced: HostFootprint, ram_bytes: int) -> Verdict:
    if priced.ram.high <= ram_bytes:
        return Verdict.STARTS
    return Verdict.TOO_CLOSE if priced.ram.low <= ram_bytes else Verdict.REFUSES


def _command(form: Form, priced: HostFootprint, question: Question) -> str:
    """What starts it by hand, on loopback: profiles are planned on GPUs only."""
    release = question.release
    by_flag = sizes_cache_by_flag(release)
    sized: dict[str, FlagValue] = {"kv-cache-memory-bytes": priced.kv_cache_bytes} if by_flag else {}
    vllm: dict[str, FlagValue] = {"dtype": CPU_DTYPE, **question.flags, "max-model-len": form.length, **sized}
    model = form.facts.model
    argv = serve_arguments(
        model=model, revision=None, served_name=model, vllm=vllm, release=release, facts=form.facts, port=_PORT
    )
    words = shlex.join(["vllm", "serve", *_without_defaults(argv, frozenset(canonical_flags(vllm, release)))])
    return words if by_flag else f"VLLM_CPU_KVCACHE_SPACE={gib_of_cache_space(priced.kv_cache_bytes)} {words}"


def _without_defaults(argv: tuple[str, ...], asked: frozenset[str]) -> Iterator[str]:
    """The arguments for a container as those for a person: loopback, and nothing that a CPU has no use for."""
    dropped = {f"--{name}" for name in _FOR_CONTAINERS if name not in asked}
    previous = ""
    for word in argv:
        if word not in dropped and previous not in dropped:
            yield "127.0.0.1" if previous == "--host" else word
        previous = word


def _worst_rate(answer: HostAnswer) -> float:
    return answer.tokens_per_second[0] if answer.tokens_per_second is not None else 0.0


def _ram(answer: HostAnswer) -> int:
    return answer.footprint.ram.expected if answer.footprint is not None else 0


def _read_by(answer: HostAnswer) -> int:
    return answer.footprint.read_per_token_bytes if answer.footprint is not None else 0


def _speed_ups(answers: tuple[HostAnswer, ...], question: Question) -> Iterable[SpeedUp]:
    """Everything is compared with the finest form that runs."""
    running = [answer for answer in answers if answer.footprint is not None]
    if not running:
        return
    finest, lightest = running[0], min(running, key=_read_by)
    if _read_by(lightest) < _read_by(finest):
        form = lightest.form
        factor = _read_by(finest) / _read_by(lightest)
        yield SpeedUp(
            factor=factor, what=f"{form.facts.model} ({form.precision.label} works on CPUs), given many cores"
        )
    yield from _smaller_models(finest, question)
    yield SpeedUp(
        factor=EXAMPLE_TOKENS / FEWER_TOKENS,
        what=f"{FEWER_TOKENS} new tokens instead of {EXAMPLE_TOKENS}: the time is one step per token",
    )


def _smaller_models(answer: HostAnswer, question: Question) -> Iterable[SpeedUp]:
    """The largest model of the same maker that is worth it, and the smallest model of the catalogue."""
    asked = answer.form.facts
    smaller = sorted(
        (_read_by(answer) / _priced(facts, question).read_per_token_bytes, facts.model)
        for facts in _plain_models()
        if facts.checkpoint_bytes < asked.checkpoint_bytes
    )
    worth = [each for each in smaller if each[0] >= _WORTH_IT]
    maker = asked.model.partition("/")[0]
    picks = [*[each for each in worth if each[1].startswith(f"{maker}/")][:1], *worth[-1:]]
    for factor, model in dict.fromkeys(picks):
        yield SpeedUp(factor=factor, what=f"{model}, a smaller model")


def _priced(facts: ModelFacts, question: Question) -> HostFootprint:
    return host_footprint(facts, release=question.release, max_model_len=form_of(facts, question).length)


def _plain_models() -> Iterable[ModelFacts]:
    """Unquantised text models of the catalogue whose layers all attend: what a CPU runs without further questions."""
    found = (find_model(each) for each in known_models())
    return (facts for facts in found if facts is not None and _is_plain(facts.config))


def _is_plain(config: ModelConfig) -> bool:
    attends = all(group.kind in (LayerKind.FULL_ATTENTION, LayerKind.SLIDING_ATTENTION) for group in config.layers)
    return attends and config.quantization is None and config.moe is None and not config.is_multimodal
