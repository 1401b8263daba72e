"""Findings about `kv-cache-dtype`: which attention backend has it, for which models and cards.

Read in `supported_kv_cache_dtypes` and `supports_compute_capability` of the attention backends of the releases, and in
what the Triton backends refuse when they are built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.domain.model_config import LayerKind, ModelConfig
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.attention_backends import CHECKED_SINCE, backend_variable, named_backend
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.case import ADA, AMPERE, BLACKWELL, HOPPER, Case, Rule
from orchestrator.engine.flag_values import text
from orchestrator.engine.problems import FlagProblem

_FP8 = ("fp8", "fp8_e4m3", "fp8_e5m2")
_BY_TOKEN_AND_HEAD = ("int4_per_token_head", "int8_per_token_head", "fp8_per_token_head")
_FP4 = ("nvfp4", "nvfp4_4over6")
_SPARSE_LATENT = ("fp8_ds_mla", "nvfp4_ds_mla")
_TURBOQUANT = ("turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc")

_BACKENDS: Mapping[str, str] = {
    **dict.fromkeys(_BY_TOKEN_AND_HEAD, "TRITON_ATTN"),
    **dict.fromkeys(_FP4, "FLASHINFER"),
    **dict.fromkeys(_TURBOQUANT, "TURBOQUANT"),
}
"""Words that one backend alone has, on NVIDIA cards."""

_JUDGED_BACKENDS = ("FLASH_ATTN", "FLASHINFER", "FLEX_ATTENTION", "TRITON_ATTN", "TURBOQUANT")
_TRITON_LATENT_FP8_SINCE = Release.of("0.18.0")
_WITHOUT_V0 = Release.of("0.11.0")


def check_kv_cache_words(
    *, vllm: Mapping[str, FlagValue], release: Release, config: ModelConfig
) -> Iterator[FlagProblem]:
    """E222 for what no card changes: a type of another kind of model, or of another attention backend."""
    flags = canonical_flags(vllm, release)
    word, backend = text(flags, "kv-cache-dtype") or "auto", named_backend(flags)
    label = _wrong_for_model(word, release, config) or _wrong_for_backend(word, backend, release)
    if label:
        yield FlagProblem(
            code="E222",
            flag=written_key("kv-cache-dtype", vllm, release),
            on_value=True,
            message=f"vLLM {release} cannot keep a `{word}` KV cache {_for_whom(word, backend, release, config)}",
            label=label,
            help=(_instead(word, backend, release, config),),
        )


def _for_whom(word: str, backend: str, release: Release, config: ModelConfig) -> str:
    return "for this model" if _wrong_for_model(word, release, config) else f"with `{backend}` attention"


def _instead(word: str, backend: str, release: Release, config: ModelConfig) -> str:
    if not _wrong_for_model(word, release, config):
        return f"write `attention-backend: {_BACKENDS[word]}`, or delete it: vLLM chooses the backend that has it"
    suits_fp8 = word == "fp8_e5m2" or word in _SPARSE_LATENT
    return "write `kv-cache-dtype: fp8`, or delete the line" if suits_fp8 else "delete the line"


def _is_latent(config: ModelConfig) -> bool:
    return any(group.kind is LayerKind.LATENT_ATTENTION for group in config.layers)


def _wrong_for_model(word: str, release: Release, config: ModelConfig) -> str:
    """Why no backend has this type for this kind of model; empty where one may."""
    if _is_latent(config):
        is_for_others = word in _BACKENDS or (word == "fp8_e5m2" and release >= CHECKED_SINCE)
        return "not with latent attention (MLA)" if is_for_others else ""
    return "only with latent attention (MLA)" if config.layers and word in _SPARSE_LATENT else ""


def _wrong_for_backend(word: str, backend: str, release: Release) -> str:
    only = _BACKENDS.get(word)
    if only is None or backend == only or backend not in _JUDGED_BACKENDS or release < CHECKED_SINCE:
        return ""
    return f"only `{only}` has it"


def _check_fp4(case: Case) -> Iterator[FlagProblem]:
    word = text(case.flags, "kv-cache-dtype")
    if word in (*_FP4, "nvfp4_ds_mla") and case.capability < BLACKWELL:
        yield _refused(case, word, "needs a Blackwell card", "write `kv-cache-dtype: fp8`, or delete the line")


def _check_fp8_by_head(case: Case) -> Iterator[FlagProblem]:
    if text(case.flags, "kv-cache-dtype") == "fp8_per_token_head" and case.capability < ADA:
        label = "Triton attention has FP8 from compute capability 8.9 on"
        yield _refused(case, "fp8_per_token_head", label, "write `kv-cache-dtype: int8_per_token_head`")


def _check_fp8(case: Case) -> Iterator[FlagProblem]:
    word, own = text(case.flags, "kv-cache-dtype"), case.config.quantization
    if word not in _FP8:
        return
    if word == "fp8_e5m2" and own is not None and own.method == "fp8":
        yield _refused(case, word, "not with an FP8 checkpoint", "write `kv-cache-dtype: fp8`")
    if case.capability < AMPERE:
        yield _refused(
            case, word, "no attention backend has it for this card", "delete the line, or write `kv-cache-dtype: auto`"
        )
    elif _is_latent(case.config):
        yield from _check_latent_fp8(case, word)
    elif case.capability < ADA:
        yield from _check_fp8_on_ampere(case, word)


def _check_latent_fp8(case: Case, word: str) -> Iterator[FlagProblem]:
    """Data-centre cards from Hopper on have backends for it; all others have Triton's alone."""
    has_own_kernels = case.capability[0] in (HOPPER[0], BLACKWELL[0])
    if has_own_kernels or case.release < CHECKED_SINCE:
        return
    if case.capability < ADA:
        label = "latent attention (MLA) has it from compute capability 8.9 on"
        yield _refused(case, word, label, "delete the line, or write `kv-cache-dtype: auto`")
    elif case.release < _TRITON_LATENT_FP8_SINCE:
        label = f"latent attention (MLA) has it on such cards from vLLM {_TRITON_LATENT_FP8_SINCE} on"
        yield _refused(case, word, label, f"pin vLLM {_TRITON_LATENT_FP8_SINCE} or later, or delete the line")


def _check_fp8_on_ampere(case: Case, word: str) -> Iterator[FlagProblem]:
    backend = named_backend(case.flags) or backend_variable(case)
    if backend == "FLASHINFER" and case.release < CHECKED_SINCE:
        return
    if backend not in ("FLASHINFER", ""):
        yield case.problem(
            "E222",
            "attention-backend",
            f"`{backend}` attention cannot keep an FP8 KV cache on {case.gpu.name}",
            label="below compute capability 8.9 only FLASHINFER can",
            help="write `attention-backend: FLASHINFER`, or delete the line",
        )
    elif case.release >= CHECKED_SINCE:
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


def _refused(case: Case, word: str, label: str, instead: str) -> FlagProblem:
    message = f"`{word}` KV cache does not run on {case.gpu.name} in vLLM {case.release}"
    return case.problem("E222", "kv-cache-dtype", message, label=label, help=instead)


KV_CACHE_RULES: tuple[Rule, ...] = (_check_fp4, _check_fp8_by_head, _check_fp8)
"""What depends on the card."""
