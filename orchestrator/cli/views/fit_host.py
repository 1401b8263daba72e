"""A host without a GPU, as a person reads it: RAM, the bound on speed and why, what makes it faster, how to start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from orchestrator.advisor.host import CONTEXT, EXAMPLE_TOKENS, HostAnswer, HostTable
from orchestrator.cli.views.fit_options import as_options
from orchestrator.domain.plan import Verdict
from orchestrator.domain.units import ByteRange, as_gib
from orchestrator.engine.cpu_platform import CPU_DTYPE, cache_left_unsaid


class Paper(Protocol):
    """What these lines are written on."""

    @property
    def dash(self) -> str: ...

    def bold(self, text: str) -> str: ...

    def wrapped(self, text: str, indent: int, further: int | None = None) -> list[str]: ...


_WORDS = {Verdict.STARTS: "fits", Verdict.TOO_CLOSE: "too close to call", Verdict.REFUSES: "too little RAM", None: ""}


def host_line(host: HostTable, page: Paper) -> Iterator[str]:
    """A sentence or two for the default view."""
    fastest, smallest = host.fastest, host.smallest
    if fastest is None:
        yield from page.wrapped("without a GPU: no form of it runs; `--gpu cpu` says why", 0, 2)
        return
    words = _in_ram(fastest, page)
    if smallest is not None and smallest is not fastest:
        words += f"; {_in_ram(smallest, page)}"
    yield from page.wrapped(f"without a GPU: {words}. `--gpu cpu` says more.", 0, 2)


def _in_ram(answer: HostAnswer, page: Paper) -> str:
    if answer.footprint is None or answer.tokens_per_second is None:
        return answer.form.precision.label
    low, expected, high = answer.tokens_per_second
    return (
        f"{answer.form.precision.label} in {_gib(answer.footprint.ram, page)} of RAM, at most"
        f" {_rate(expected)} tokens/s ({_rate(low)}{page.dash}{_rate(high)})"
    )


def host_details(host: HostTable, page: Paper, letters: dict[str, str]) -> Iterator[str]:
    """Everything about running without a GPU."""
    first = host.answers[0].form
    yield (
        page.bold("without a GPU")
        + f"  {CPU_DTYPE}, KV cache for {first.length:,} tokens, vLLM {host.question.release}"
    )
    yield page.bold(f"   {'':<16}{'RAM, GiB':<18}{'tokens/s at most':<20}{EXAMPLE_TOKENS} tokens take at least")
    for answer in host.answers:
        yield from _row(answer, page, letters)
    yield ""
    yield from _why(host, page)
    yield from _faster(host, page)
    yield from _start(host, page)


def _row(answer: HostAnswer, page: Paper, letters: dict[str, str]) -> Iterator[str]:
    form = answer.form
    head = f"{letters[form.facts.model]}  {form.precision.label:<16}"
    if answer.refusal is not None:
        yield f"{head}cannot run"
        yield from page.wrapped(answer.refusal.reason, 5)
        yield from page.wrapped(f"= help: {as_options(answer.refusal.help)}{_instead(answer, page)}", 5, 13)
    elif answer.footprint is not None and answer.tokens_per_second is not None:
        low, expected, high = answer.tokens_per_second
        rates = f"{_rate(expected)} ({_rate(low)}{page.dash}{_rate(high)})"
        times = f"{_seconds(expected)} ({_seconds(high)}{page.dash}{_seconds(low)})"
        yield f"{head}{_gib(answer.footprint.ram, page, unit=''):<18}{rates:<20}{times:<22}{_WORDS[answer.verdict]}"
        for note in answer.notes:
            yield from page.wrapped(f"= note: {note}", 5, 13)


def _instead(answer: HostAnswer, page: Paper) -> str:
    """The RAM of what the help offers."""
    if answer.unquantised is None:
        return ""
    return f"; unquantised it takes about {_gib(answer.unquantised.ram, page)} of RAM"


def _why(host: HostTable, page: Paper) -> Iterator[str]:
    """The statement about the bound, with numbers of the finest form that runs."""
    answer = next((each for each in host.answers if each.footprint is not None), None)
    if answer is None or answer.footprint is None or answer.tokens_per_second is None:
        return
    read = as_gib(answer.footprint.read_per_token_bytes)
    speed, context = host.bandwidth.expected / 1e9, min(CONTEXT, answer.form.length)
    yield page.bold("why")
    sentences = (
        f"Each new token is one forward pass, and each pass reads every weight that it computes with: {read:.2f} GiB of"
        f" {answer.form.precision.label}, and the KV cache of {context:,} tokens. At {speed:g} GB/s"
        f" ({host.bandwidth.source}) that is {_rate(answer.tokens_per_second[1])} tokens/s at the very most.",
        "The bound is reached where the processor computes in 16 bits (AVX512-BF16, AMX; measured). Elsewhere every"
        " weight is converted first, and that is far below the bound: 50 tokens of a 0.5B model in float16 have taken"
        " more than 60 s there. Few cores unpack 4 bit weights slower than they read 16 bit ones: the low end of the"
        " interval counts on that.",
        "Not counted: the prompt, which is computed before the first token, and the start.",
    )
    for sentence in sentences:
        yield from page.wrapped(sentence, 2)


def _faster(host: HostTable, page: Paper) -> Iterator[str]:
    if not host.speed_ups:
        return
    yield page.bold("faster")
    for each in host.speed_ups:
        yield from page.wrapped(f"{each.factor:>5.1f} times: {each.what}", 2, 15)


def _start(host: HostTable, page: Paper) -> Iterator[str]:
    best = host.fastest
    if best is None:
        return
    unsaid = cache_left_unsaid(host.question.release)
    yield page.bold("start")
    yield from page.wrapped(best.command, 2, 6)
    yield from page.wrapped(
        f"The size of the KV cache is said because vLLM {host.question.release} would take {unsaid} otherwise. Profiles"
        " are planned on GPUs only.",
        2,
    )


def _gib(size: ByteRange, page: Paper, unit: str = " GiB") -> str:
    low, expected, high = (as_gib(each) for each in (size.low, size.expected, size.high))
    return f"{expected:.1f}{unit} ({low:.1f}{page.dash}{high:.1f})"


def short_count(number: float) -> str:
    """`9,744`, `17k`, `1.4M`, `1.4G`: for the ends of intervals."""
    if number < 10_000:
        return f"{number:,.0f}"
    if number < 1_000_000:
        return f"{number / 1000:.0f}k"
    return f"{number / 10**6:.1f}M" if number < 10**9 else f"{number / 10**9:.1f}G"


def _rate(tokens_per_second: float) -> str:
    if tokens_per_second >= 1000:
        return short_count(tokens_per_second)
    return f"{tokens_per_second:.0f}" if tokens_per_second >= 10 else f"{tokens_per_second:.1f}"


def _seconds(tokens_per_second: float) -> str:
    seconds = EXAMPLE_TOKENS / tokens_per_second
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
