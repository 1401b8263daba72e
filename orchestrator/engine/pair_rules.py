"""Pairs of flags that the release's parser accepts and its start-up refuses: a table of rules that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.flag_values import Flags
from orchestrator.engine.flags import flag
from orchestrator.engine.problems import FlagProblem, quoted
from orchestrator.engine.values import whole_number

_OLDEST = Release.of("0.6.0")


def _is_given(value: FlagValue) -> bool:
    """Switched on, or written at all."""
    return value is not None and value is not False and value != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Whoever gives `flag` must give `other` too. `when` says of which values that holds."""

    flag: str
    other: str
    how: str
    when: Callable[[FlagValue], bool] = _is_given
    since: Release = _OLDEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Excludes:
    """Whoever gives `flag` must not give `other`, or not the part of it that `part` names."""

    flag: str
    other: str
    part: str = ""
    since: Release = _OLDEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The number of `least` must be at least that of `most`, where both are written and `only_if` is said."""

    least: str
    most: str
    only_if: tuple[str, FlagValue] | None = None
    since: Release = _OLDEST


def _is_deprecated_method(value: FlagValue) -> bool:
    return value in ("fbgemm_fp8", "fp_quant")


def _is_metrics(value: FlagValue) -> bool:
    return value not in (None, "none")


NEEDS: tuple[Needs, ...] = (
    Needs(
        flag="enable-auto-tool-choice",
        other="tool-call-parser",
        how="add `tool-call-parser:` with the parser of this model (model card), such as `hermes`",
    ),
    Needs(flag="enable-log-outputs", other="enable-log-requests", how="add `enable-log-requests: true`"),
    Needs(flag="enable-eplb", other="enable-expert-parallel", how="add `enable-expert-parallel: true`"),
    Needs(flag="enable-elastic-ep", other="enable-eplb", how="add `enable-eplb: true`"),
    Needs(flag="numa-bind-nodes", other="numa-bind", how="add `numa-bind: true`"),
    Needs(flag="numa-bind-cpus", other="numa-bind", how="add `numa-bind: true`"),
    Needs(
        flag="per-request-spec-decode-metrics",
        other="speculative-config",
        how="add `speculative-config:`, or delete the line",
        when=_is_metrics,
    ),
    Needs(
        flag="quantization",
        other="allow-deprecated-quantization",
        how="add `allow-deprecated-quantization: true`, or name a checkpoint in another form",
        when=_is_deprecated_method,
    ),
)
"""Read in the start-up checks of vLLM 0.32.0 and asked of it; each holds wherever the release has both flags."""

EXCLUDES: tuple[Excludes, ...] = (
    Excludes(flag="enable-per-request-metrics", other="disable-log-stats"),
    Excludes(flag="attention-backend", other="attention-config", part="backend"),
    Excludes(flag="cudagraph-capture-sizes", other="compilation-config", part="cudagraph_capture_sizes"),
    Excludes(flag="max-cudagraph-capture-size", other="compilation-config", part="max_cudagraph_capture_size"),
    Excludes(flag="enable-flashinfer-autotune", other="kernel-config", part="enable_flashinfer_autotune"),
)
"""What says the same thing twice, or the opposite."""

ORDERS: tuple[Order, ...] = (
    Order(least="max-num-batched-tokens", most="max-num-seqs"),
    Order(
        least="max-num-batched-tokens",
        most="max-model-len",
        only_if=("enable-chunked-prefill", False),
        since=Release.of("0.14.0"),
    ),
    Order(least="max-num-seqs", most="max-num-active-seqs"),
    Order(least="max-model-len", most="long-prefill-token-threshold", since=Release.of("0.32.0")),
    Order(least="max-cpu-loras", most="max-loras"),
)
"""Numbers that must not be the other way round. `since` is careful: older releases have other conditions."""


def check_pairs(vllm: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    """Findings about flags that are right alone and wrong together; flags unknown to the release are not judged."""
    flags = canonical_flags(vllm, release)
    yield from (problem for rule in NEEDS for problem in _check_need(rule, vllm, flags, release))
    yield from (problem for rule in EXCLUDES for problem in _check_exclusion(rule, vllm, flags, release))
    yield from (problem for rule in ORDERS for problem in _check_order(rule, vllm, flags, release))


def _holds(rule: Needs | Excludes | Order, release: Release, *names: str) -> bool:
    return release >= rule.since and all(flag(release, name) is not None for name in names)


def _check_need(rule: Needs, vllm: Mapping[str, FlagValue], flags: Flags, release: Release) -> Iterator[FlagProblem]:
    given = flags.get(rule.flag)
    if not _is_given(given) or not rule.when(given) or _is_given(flags.get(rule.other)):
        return
    if not _holds(rule, release, rule.flag, rule.other):
        return
    key = written_key(rule.flag, vllm, release)
    named = f"`{key}`" if given is True else f"`{key}` {quoted(given)}"
    yield FlagProblem(
        code="E214",
        flag=key,
        message=f"{named} does not start without `{rule.other}`",
        label=f"needs `{rule.other}`",
        help=(rule.how,),
    )


def _check_exclusion(
    rule: Excludes, vllm: Mapping[str, FlagValue], flags: Flags, release: Release
) -> Iterator[FlagProblem]:
    given, other = flags.get(rule.flag), flags.get(rule.other)
    if rule.part:
        other = other.get(rule.part) if isinstance(other, dict) else None
        other = True if other is False else other
    if given is None or not _is_given(other) or (not rule.part and given is False):
        return
    if not _holds(rule, release, rule.flag, rule.other):
        return
    key = written_key(rule.flag, vllm, release)
    opposite = f"{rule.other}.{rule.part}" if rule.part else rule.other
    yield FlagProblem(
        code="E215",
        flag=key,
        message=f"`{key}` and `{opposite}` exclude each other",
        label=f"not together with `{opposite}`",
        help=("delete one of the two",),
    )


def _check_order(rule: Order, vllm: Mapping[str, FlagValue], flags: Flags, release: Release) -> Iterator[FlagProblem]:
    large, small = whole_number(flags.get(rule.least)), whole_number(flags.get(rule.most))
    if large is None or small is None or large < 1 or small <= large:
        return
    if rule.only_if is not None and flags.get(rule.only_if[0]) is not rule.only_if[1]:
        return
    if not _holds(rule, release, rule.least, rule.most):
        return
    key, other = written_key(rule.least, vllm, release), written_key(rule.most, vllm, release)
    condition = f" with `{rule.only_if[0]}: false`" if rule.only_if else ""
    yield FlagProblem(
        code="E216",
        flag=key,
        on_value=True,
        message=f"`{key}` {large} is less than `{other}` {small}{condition}",
        label=f"at least {small} is needed",
        notes=(f"`{key}`: {large}, `{other}`: {small}",),
        help=(f"write `{key}: {small}` or more, or lower `{other}`",),
    )
