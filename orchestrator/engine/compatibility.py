"""Whether a model with its flags can run on a card under a release: a table of rules that grows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.domain.inventory import Gpu, Host
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.architectures import check_architecture
from orchestrator.engine.attention_backends import BACKEND_RULES
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.case import ADA, AMPERE, Case, Rule, dotted
from orchestrator.engine.environment import NO_VARIABLES
from orchestrator.engine.images import default_image, image_build, is_compiled_for
from orchestrator.engine.kv_cache_checks import KV_CACHE_RULES, check_kv_cache_words
from orchestrator.engine.problems import FlagProblem
from orchestrator.engine.quantization_checks import (
    activation_types,
    check_quantization,
    refuses_float16,
    wrong_activations,
)
from orchestrator.engine.quantization_methods import (
    QUANTIZATION_METHODS,
    SCHEMES,
    MethodSpan,
    asked_method,
    span_at,
)
from orchestrator.engine.rope_checks import check_lengths
from orchestrator.engine.sharding_checks import check_sharding


def check_model(
    *,
    vllm: Mapping[str, FlagValue],
    release: Release,
    facts: ModelFacts,
    environment: Mapping[str, str] = NO_VARIABLES,
) -> tuple[FlagProblem, ...]:
    """Findings about flags and model alone, whatever the card: lengths, quantisation, sharding."""
    lengths = check_lengths(vllm=vllm, release=release, config=facts.config, environment=environment)
    quantization = check_quantization(vllm=vllm, release=release, config=facts.config)
    sharding = check_sharding(vllm=vllm, release=release, config=facts.config)
    classes = check_architecture(vllm=vllm, release=release, config=facts.config)
    cache = check_kv_cache_words(vllm=vllm, release=release, config=facts.config)
    return (*classes, *lengths, *quantization, *cache, *sharding)


def check_compatibility(
    *,
    vllm: Mapping[str, FlagValue],
    release: Release,
    facts: ModelFacts,
    gpu: Gpu,
    host: Host,
    image: str | None = None,
    environment: Mapping[str, str] = NO_VARIABLES,
) -> tuple[FlagProblem, ...]:
    """`check_model`, and everything that depends on the card and its host.

    `image` is the deployment's image; when it is not the default one of the release, nothing is said about what is
    compiled into it. A card whose compute capability is not known is not judged.
    """
    case = Case(
        written=vllm,
        flags=canonical_flags(vllm, release),
        environment=environment,
        release=release,
        config=facts.config,
        gpu=gpu,
        host=host,
    )
    rules = CARD_RULES if gpu.compute_capability is not None else ()
    build_rules = IMAGE_RULES if image in (None, default_image(release)) else ()
    found = (problem for rule in (*rules, *build_rules) for problem in rule(case))
    return (*check_model(vllm=vllm, release=release, facts=facts, environment=environment), *found)


def _check_quantization(case: Case) -> Iterator[FlagProblem]:
    (_, said), own = asked_method(case.flags), case.config.quantization
    method = said or (own.method if own is not None else None)
    if method is None:
        return
    scheme = own.scheme or "" if own is not None else ""
    spans = {f"`{method}`": QUANTIZATION_METHODS.get(method, ()), f"`{method}` ({scheme})": SCHEMES.get(scheme, ())}
    refused = [found for words, span in spans.items() for found in _too_old_for(words, span, case)]
    if refused:
        yield refused[0]
    elif method == "fp8" and case.capability < ADA:
        yield case.problem(
            "W220",
            "quantization",
            f"{case.gpu.name} has no FP8 arithmetic: the weights stay small, the computing is 16-bit",
        )


def _too_old_for(words: str, spans: tuple[MethodSpan, ...], case: Case) -> Iterator[FlagProblem]:
    """E221 where the card is below what the release asks for. One that the release does not know is said by
    `check_quantization`, or it is in no table: then vLLM decides."""
    span = span_at(spans, case.release)
    if span is not None and span.capability is not None and _as_number(case.capability) < span.capability:
        yield case.problem(
            "E221",
            "quantization",
            f"{words} quantisation does not run on {case.gpu.name}",
            label=f"needs compute capability {span.capability / 10:.1f}",
            notes=(f"vLLM {case.release} needs {span.capability / 10:.1f} for {words}",),
            help=_other_release(spans, case),
        )


def _other_release(spans: tuple[MethodSpan, ...], case: Case) -> str:
    """A newer release that would do, else another checkpoint."""
    for span in spans:
        if span.first > case.release and (span.capability or 0) <= _as_number(case.capability):
            return f"pin vLLM {span.first} or later, which needs less, or choose another card"
    return "choose another card, or a checkpoint in another form"


def _as_number(capability: tuple[int, int]) -> int:
    return capability[0] * 10 + capability[1]


_FALLS_BACK_TO_HALF = Release.of("0.9.0")


def _check_bfloat16(case: Case) -> Iterator[FlagProblem]:
    said = case.flags.get("dtype", "auto")
    is_automatic = said == "auto" and case.config.dtype == "bfloat16"
    if case.capability >= AMPERE or not (said == "bfloat16" or is_automatic):
        return
    if said == "bfloat16" or case.release < _FALLS_BACK_TO_HALF:
        yield case.problem(
            "E223",
            "dtype",
            f"bfloat16 does not run on {case.gpu.name}",
            label="needs compute capability 8.0",
            help="write `dtype: float`, twice the memory, or choose a card with bfloat16"
            if refuses_float16(case.config, case.release)
            else "write `dtype: half`",
        )
        return
    stands_in = "float32, twice the memory" if refuses_float16(case.config, case.release) else "float16"
    yield case.problem(
        "W223",
        "dtype",
        f"{case.gpu.name} has no bfloat16: vLLM computes in {stands_in}",
        help="write `dtype: half` to say so yourself" if stands_in == "float16" else "choose a card with bfloat16",
    )


def _check_plain_kernels(case: Case) -> Iterator[FlagProblem]:
    """`dtype: auto` on a card with bfloat16 takes it where the checkpoint says so, also where the kernels have none."""
    is_automatic = case.flags.get("dtype", "auto") == "auto" and case.config.dtype == "bfloat16"
    allowed = activation_types(flags=case.flags, release=case.release, config=case.config)
    if is_automatic and case.capability >= AMPERE and allowed and "bfloat16" not in allowed:
        yield wrong_activations(case.key("dtype"), "`bfloat16`, which the checkpoint asks for,", allowed, case.release)


def _check_architecture(case: Case) -> Iterator[FlagProblem]:
    build = image_build(case.release)
    if case.gpu.compute_capability is None or is_compiled_for(build, case.capability):
        return
    built = ", ".join(dotted(each) for each in build.architectures)
    yield case.problem(
        "E227",
        "",
        f"the image of vLLM {case.release} has no kernels for {case.gpu.name}",
        notes=(f"compiled for {built}",),
        help="pin a newer release" if case.capability > build.architectures[-1] else "pin an older release or image",
    )


def _check_driver(case: Case) -> Iterator[FlagProblem]:
    build, version = image_build(case.release), case.host.driver_version
    branch = (version or "").partition(".")[0]
    if not branch.isdigit() or int(branch) >= build.toolkit_driver:
        return
    is_too_old = int(branch) < build.minimum_driver
    cuda = f"CUDA {build.cuda[0]}.{build.cuda[1]}"
    wanted = build.minimum_driver if is_too_old else build.toolkit_driver
    verdict = "too old for" if is_too_old else "older than"
    yield case.problem(
        "E228" if is_too_old else "W228",
        "",
        f"driver {version} of host `{case.host.name}` is {verdict} {cuda} of the image",
        notes=(f"driver: {version}, needed: {wanted} or later",),
        help=f"install driver {build.toolkit_driver} or later, or pin an image with an older CUDA",
    )


CARD_RULES: tuple[Rule, ...] = (
    _check_quantization,
    *KV_CACHE_RULES,
    *BACKEND_RULES,
    _check_bfloat16,
    _check_plain_kernels,
)
"""Rules that need the card's compute capability."""

IMAGE_RULES: tuple[Rule, ...] = (_check_architecture, _check_driver)
"""Rules about what is compiled into the default image."""
