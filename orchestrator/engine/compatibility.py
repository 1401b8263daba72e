"""Whether a model with its flags can run on a card under a release: a table of rules that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.inventory import Gpu, Host
from orchestrator.domain.model_config import ModelConfig, ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.environment import NO_VARIABLES
from orchestrator.engine.images import default_image, image_build, is_compiled_for
from orchestrator.engine.problems import FlagProblem
from orchestrator.engine.quantization_checks import activation_types, check_quantization, wrong_activations
from orchestrator.engine.quantization_methods import QUANTIZATION_METHODS, method_span
from orchestrator.engine.rope_checks import check_lengths
from orchestrator.engine.sharding_checks import check_sharding

_TURING, _AMPERE, _ADA, _BLACKWELL = (7, 5), (8, 0), (8, 9), (10, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question: these flags, this model, this card, this release. `flags` are canonical, `written` the user's."""

    written: Mapping[str, FlagValue]
    flags: Mapping[str, FlagValue]
    environment: Mapping[str, str]
    release: Release
    config: ModelConfig
    gpu: Gpu
    host: Host

    @property
    def capability(self) -> tuple[int, int]:
        """The card's compute capability; rules are only asked when it is known."""
        return self.gpu.compute_capability or (0, 0)

    def key(self, name: str) -> str:
        """The key under which the user wrote a flag; empty when he did not."""
        return written_key(name, self.written, self.release)

    def problem(
        self,
        code: str,
        flag: str,
        message: str,
        *,
        label: str = "",
        notes: tuple[str, ...] = (),
        help: str = "",
    ) -> FlagProblem:
        """A finding about this case; a warning with nothing to do about it is a note."""
        key = self.key(flag)
        severity = Severity.WARNING if code.startswith("W") else Severity.ERROR
        return FlagProblem(
            code=code,
            flag=key,
            on_value=bool(key),
            severity=severity if help or severity is Severity.ERROR else Severity.NOTE,
            message=message,
            label=label,
            notes=(f"{self.gpu.name}: compute capability {_dotted(self.capability)}", *notes),
            help=(help,) if help else (),
        )


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
    return (*lengths, *quantization, *sharding)


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


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def _check_quantization(case: Case) -> Iterator[FlagProblem]:
    said, own = case.flags.get("quantization"), case.config.quantization
    method = said if isinstance(said, str) else own.method if own is not None else None
    if method is None:
        return
    span = method_span(method, case.release)
    if span is None:
        return  # said by `check_quantization`, or not in the table: vLLM decides
    if span.capability is not None and _as_number(case.capability) < span.capability:
        yield case.problem(
            "E221",
            "quantization",
            f"`{method}` quantisation does not run on {case.gpu.name}",
            label=f"needs compute capability {span.capability / 10:.1f}",
            notes=(f"vLLM {case.release} needs {span.capability / 10:.1f} for `{method}`",),
            help=_other_release(method, case),
        )
    elif method == "fp8" and case.capability < _ADA:
        yield case.problem(
            "W220",
            "quantization",
            f"{case.gpu.name} has no FP8 arithmetic: the weights stay small, the computing is 16-bit",
        )


def _other_release(method: str, case: Case) -> str:
    """A newer release that would do, else another checkpoint."""
    for span in QUANTIZATION_METHODS[method]:
        if span.first > case.release and (span.capability or 0) <= _as_number(case.capability):
            return f"pin vLLM {span.first} or later, which needs less, or choose another card"
    return "choose another card, or a checkpoint in another form"


def _as_number(capability: tuple[int, int]) -> int:
    return capability[0] * 10 + capability[1]


_FP8_KV = ("fp8", "fp8_e4m3", "fp8_e5m2")
_FLASHINFER_BY_ITSELF = Release.of("0.11.1")
_WITHOUT_V0 = Release.of("0.11.0")


def _check_kv_cache(case: Case) -> Iterator[FlagProblem]:
    word = case.flags.get("kv-cache-dtype")
    if word in _FP8_KV:
        yield from _check_fp8_kv(case, str(word))
    elif word == "nvfp4" and case.capability < _BLACKWELL:
        yield _kv_refused(case, "nvfp4", "needs a Blackwell card", "write `kv-cache-dtype: fp8`, or delete the line")


def _check_fp8_kv(case: Case, word: str) -> Iterator[FlagProblem]:
    own = case.config.quantization
    if word == "fp8_e5m2" and own is not None and own.method == "fp8":
        yield _kv_refused(case, word, "not with an FP8 checkpoint", "write `kv-cache-dtype: fp8`")
    if case.capability < _AMPERE:
        yield _kv_refused(
            case, word, "no attention backend has it for this card", "delete the line, or write `kv-cache-dtype: auto`"
        )
    elif case.capability < _ADA:
        yield from _check_fp8_kv_on_ampere(case, word)


def _check_fp8_kv_on_ampere(case: Case, word: str) -> Iterator[FlagProblem]:
    backend = case.flags.get("attention-backend")
    if isinstance(backend, str) and backend.upper() not in ("FLASHINFER", "AUTO"):
        yield case.problem(
            "E222",
            "attention-backend",
            f"`{backend}` attention cannot keep an FP8 KV cache on {case.gpu.name}",
            label="below compute capability 8.9 only FLASHINFER can",
            help="write `attention-backend: FLASHINFER`, or delete the line",
        )
    elif case.release >= _FLASHINFER_BY_ITSELF:
        yield case.problem(
            "W221", "kv-cache-dtype", f"`{word}` KV cache on {case.gpu.name} works through FlashInfer attention only"
        )
    else:
        fallback = "fails" if case.release >= _WITHOUT_V0 else "falls back to the older V0 engine"
        yield case.problem(
            "W221",
            "kv-cache-dtype",
            f"`{word}` KV cache on {case.gpu.name} needs FlashInfer attention in vLLM {case.release}",
            label=f"without it the engine {fallback}",
            help="set `VLLM_ATTENTION_BACKEND: FLASHINFER` under `environment:`",
        )


def _kv_refused(case: Case, word: str, label: str, instead: str) -> FlagProblem:
    message = f"`{word}` KV cache does not run on {case.gpu.name} in vLLM {case.release}"
    return case.problem("E222", "kv-cache-dtype", message, label=label, help=instead)


_FALLS_BACK_TO_HALF = Release.of("0.9.0")
_NOT_IN_HALF = ("gemma2", "gemma3", "gemma3_text", "glm4", "plamo2")


def _check_bfloat16(case: Case) -> Iterator[FlagProblem]:
    said = case.flags.get("dtype", "auto")
    is_automatic = said == "auto" and case.config.dtype == "bfloat16"
    if case.capability >= _AMPERE or not (said == "bfloat16" or is_automatic):
        return
    if said == "bfloat16" or case.release < _FALLS_BACK_TO_HALF:
        yield case.problem(
            "E223",
            "dtype",
            f"bfloat16 does not run on {case.gpu.name}",
            label="needs compute capability 8.0",
            help="write `dtype: half`",
        )
        return
    stands_in = "float32, twice the memory" if case.config.model_type in _NOT_IN_HALF else "float16"
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
    if is_automatic and case.capability >= _AMPERE and allowed and "bfloat16" not in allowed:
        yield wrong_activations(case.key("dtype"), "`bfloat16`, which the checkpoint asks for,", allowed, case.release)


def _check_architecture(case: Case) -> Iterator[FlagProblem]:
    build = image_build(case.release)
    if case.gpu.compute_capability is None or is_compiled_for(build, case.capability):
        return
    built = ", ".join(_dotted(each) for each in build.architectures)
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


Rule = Callable[[Case], Iterator[FlagProblem]]

CARD_RULES: tuple[Rule, ...] = (_check_quantization, _check_kv_cache, _check_bfloat16, _check_plain_kernels)
"""Rules that need the card's compute capability."""

IMAGE_RULES: tuple[Rule, ...] = (_check_architecture, _check_driver)
"""Rules about what is compiled into the default image."""
