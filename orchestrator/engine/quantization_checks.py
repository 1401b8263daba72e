"""Findings about `quantization` and `dtype` against what the checkpoint's config.json says, whatever the card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.model_config import ModelConfig, Quantization
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.cpu_platform import CPU_REFUSALS
from orchestrator.engine.flag_values import Flags, text
from orchestrator.engine.flags import flag
from orchestrator.engine.problems import FlagProblem, nearest, quoted
from orchestrator.engine.quantization_methods import (
    ACTIVATIONS,
    METHOD_ALIASES,
    METHOD_SINCE_PLUGIN,
    NEEDS_QUANTIZED_WEIGHTS,
    QUANTIZATION_METHODS,
    TAKES_ANY_CHECKPOINT,
    WORDS_FOR_CHECKPOINT,
    asked_method,
    method_span,
    plain_kernels_until,
)

_MARLIN_BITS = (4, 8)
_MARLIN_GROUPS = (None, 32, 64, 128)
_DTYPES = {"half": "float16", "float": "float32"}


def check_method(*, vllm: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    """E220 for a method that the release does not know, or the `load-format` of one; where the parser itself has the
    choices, it says so."""
    flags = canonical_flags(vllm, release)
    for name in ("quantization", "load-format"):
        said, known = text(flags, name), flag(release, name)
        is_method = name == "quantization" or said in METHOD_SINCE_PLUGIN
        if is_method and known is not None and not known.choices:
            yield from _check_said(said, _key(name, vllm, release), release)


def _check_said(said: str | None, key: str, release: Release) -> Iterator[FlagProblem]:
    if said is not None and said not in METHOD_ALIASES and method_span(said, release) is None:
        yield _unknown_method(said, key, release)


def check_quantization(
    *, vllm: Mapping[str, FlagValue], release: Release, config: ModelConfig
) -> tuple[FlagProblem, ...]:
    """Findings about the method against the checkpoint's own, and about the type that is computed in."""
    name, said = asked_method(canonical_flags(vllm, release))
    key, own = _key(name, vllm, release), config.quantization
    if said is None:
        found = [] if own is None else list(_check_own_method(own.method, release))
    else:
        found = list(_check_said(said, key, release)) or list(_check_match(said, own, key, release))
    if found:
        return tuple(found)
    return (
        *_slower_kernels(said, own, vllm, release),
        *_check_float16(vllm, release, config),
        *_check_activations(vllm, release, config),
    )


def activation_types(*, flags: Flags, release: Release, config: ModelConfig) -> tuple[str, ...]:
    """The types that a model's quantised weights can be computed in; empty where that is not known."""
    own = config.quantization
    said = text(flags, "quantization")
    if own is not None and said in (None, "marlin") and own.method in ("awq", "gptq"):
        method = f"{own.method}_marlin"
    else:
        method = said or (own.method if own is not None else "")
    if method == plain_kernels_until(method, release):
        return ("float16",)
    return ACTIVATIONS.get(method, ())


_BAD_IN_HALF: Mapping[str, tuple[Release, Release | None]] = {
    **dict.fromkeys(("gemma2", "gemma3", "glm4"), (Release.of("0.9.1"), None)),
    "gemma3_text": (Release.of("0.10.2"), None),
    "plamo2": (Release.of("0.9.1"), Release.of("0.27.0")),
}
"""Model types that releases from the first on (and before the second) refuse in float16: the sources'
`_FLOAT16_NOT_SUPPORTED_MODELS`."""


def refuses_float16(config: ModelConfig, release: Release) -> bool:
    """Whether a release refuses to compute this kind of model in float16, where its numbers run over."""
    first, until = _BAD_IN_HALF.get(config.model_type, (None, None))
    return first is not None and first <= release and (until is None or release < until)


def _check_float16(vllm: Mapping[str, FlagValue], release: Release, config: ModelConfig) -> Iterator[FlagProblem]:
    said = text(canonical_flags(vllm, release), "dtype")
    if said in ("half", "float16") and refuses_float16(config, release):
        yield FlagProblem(
            code="E233",
            flag=_key("dtype", vllm, release),
            on_value=True,
            message=f"vLLM {release} refuses `{said}` for models of type `{config.model_type}`",
            label="their numbers run over in float16",
            help=("write `dtype: bfloat16`, or `dtype: float` on cards without it",),
        )


def _key(name: str, vllm: Mapping[str, FlagValue], release: Release) -> str:
    return written_key(name, vllm, release) or name


def _check_own_method(method: str, release: Release) -> Iterator[FlagProblem]:
    """A checkpoint whose method the release does not know; one that is not in the table is left to vLLM."""
    if method in QUANTIZATION_METHODS and method_span(method, release) is None:
        yield _unknown_method(method, "", release)


def _unknown_method(method: str, key: str, release: Release) -> FlagProblem:
    spans = QUANTIZATION_METHODS.get(method)
    plugin = METHOD_SINCE_PLUGIN.get(method)
    if spans is None:
        meant = nearest(method, (name for name in QUANTIZATION_METHODS if method_span(name, release)))
        message, offer = f"unknown quantisation method {quoted(method)}", f"did you mean `{meant}`?" if meant else ""
    elif release < spans[0].first:
        message = f"vLLM {release} does not know `{method}` quantisation yet"
        offer = f"pin vLLM {spans[0].first} or later"
    else:
        message = f"vLLM {release} no longer knows `{method}` quantisation"
        offer = f"pin vLLM {spans[-1].last}" + (f", or an image with `{plugin}` installed" if plugin else "")
    return FlagProblem(
        code="E220",
        flag=key,
        on_value=bool(key),
        message=message,
        label=f"not a method of vLLM {release}",
        help=(offer or "delete the line; the checkpoint says its method", *_without_gpu(method)),
    )


def _without_gpu(method: str) -> Iterator[str]:
    """No pin and no plugin helps on a CPU."""
    refusal = CPU_REFUSALS.get(method)
    if refusal is not None:
        yield f"without a GPU no release runs it: {refusal.help}"


def _check_match(said: str, own: Quantization | None, key: str, release: Release) -> Iterator[FlagProblem]:
    """What vLLM refuses when it compares the flag with the checkpoint, or when it looks for quantised weights."""
    if said in TAKES_ANY_CHECKPOINT:
        return
    if own is None and said in NEEDS_QUANTIZED_WEIGHTS:
        yield _mismatch(
            key,
            f"`{key}` {quoted(said)} needs a checkpoint that is quantised so, and this one is not quantised",
            "the config.json of the checkpoint names no method",
            f"delete the line, or name a checkpoint in that form as `model:`{_smaller_by_itself(release)}",
        )
    elif own is not None and said not in WORDS_FOR_CHECKPOINT.get(own.method, (said,)):
        yield _mismatch(
            key,
            f"`{key}` {quoted(said)} contradicts the checkpoint, which is quantised with `{own.method}`",
            f"the checkpoint is `{own.method}`",
            "delete the line; vLLM reads the method from the checkpoint",
        )


_ONLINE_FP8 = Release.of("0.6.0")


def _smaller_by_itself(release: Release) -> str:
    return "; `quantization: fp8` makes its weights smaller while loading" if release >= _ONLINE_FP8 else ""


def _mismatch(key: str, message: str, label: str, instead: str) -> FlagProblem:
    return FlagProblem(code="E229", flag=key, on_value=True, message=message, label=label, help=(instead,))


def _slower_kernels(
    said: str | None, own: Quantization | None, vllm: Mapping[str, FlagValue], release: Release
) -> Iterator[FlagProblem]:
    """`awq` and `gptq` as words keep the release from choosing Marlin, which it would by itself."""
    if own is None or said is None or said != plain_kernels_until(said, release) or not _suits_marlin(own):
        return
    span = method_span(f"{said}_marlin", release)
    needed = span.capability / 10 if span is not None and span.capability is not None else 8.0
    key = _key("quantization", vllm, release)
    yield FlagProblem(
        code="W229",
        flag=key,
        on_value=True,
        severity=Severity.WARNING,
        message=f"`{key}: {said}` keeps vLLM {release} on slower kernels: left alone it chooses `{said}_marlin`",
        label="forces the plain kernels",
        notes=(f"Marlin kernels need compute capability {needed:.1f}",),
        help=("delete the line; vLLM reads the method from the checkpoint",),
    )


def _suits_marlin(own: Quantization) -> bool:
    is_asymmetric_gptq = own.method == "gptq" and own.zero_point is True
    return own.bits in _MARLIN_BITS and own.group_size in _MARLIN_GROUPS and not is_asymmetric_gptq


def _check_activations(vllm: Mapping[str, FlagValue], release: Release, config: ModelConfig) -> Iterator[FlagProblem]:
    """A `dtype` that was written and that the weights cannot be computed in. `auto` depends on the card."""
    flags = canonical_flags(vllm, release)
    said = text(flags, "dtype")
    if said in (None, "auto"):
        return
    allowed = activation_types(flags=flags, release=release, config=config)
    if allowed and _DTYPES.get(said or "", said) not in allowed:
        yield wrong_activations(_key("dtype", vllm, release), f"`{said}`", allowed, release)


def wrong_activations(key: str, written: str, allowed: tuple[str, ...], release: Release) -> FlagProblem:
    """The finding about a type that quantised weights cannot be computed in; `written` is how to name that type."""
    listed = " or ".join(f"`{each}`" for each in allowed)
    return FlagProblem(
        code="E230",
        flag=key,
        on_value=bool(key),
        message=f"this model's quantised weights cannot be computed in {written} by vLLM {release}",
        label=f"only {listed}",
        help=(f"write `dtype: {allowed[0]}`",),
    )
