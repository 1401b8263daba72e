"""Findings about `rope-scaling`, `rope-theta` and the length that a model can be served at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.profile import FlagValue, KeyPath
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.environment import NO_VARIABLES, is_on
from orchestrator.engine.problems import FlagProblem, nearest, quoted
from orchestrator.engine.rope import (
    KNOWN_ROPE_TYPES,
    as_number,
    derived_max_model_len,
    effective_scaling,
    rope_epoch,
    rope_type,
)
from orchestrator.engine.values import whole_number

LONGER_THAN_THE_MODEL = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
_NEED_FACTOR = ("yarn", "deepseek_yarn", "linear", "dynamic", "ntk", "llama3")
_NEED_ORIGINAL = ("yarn", "deepseek_yarn", "llama3", "longrope", "su")
_ORIGINAL = "original_max_position_embeddings"
_FILLS_IN_ORIGINAL = Release.of("0.20.0")
_ROPE_KEYS = ("rope_scaling", "rope_parameters", "rope_theta", "max_position_embeddings")


def check_rope(vllm: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    """Findings about the RoPE words themselves; their types were checked before."""
    flags = canonical_flags(vllm, release)
    scaling = flags.get("rope-scaling")
    if isinstance(scaling, dict):
        yield from _check_scaling(_written("rope-scaling", vllm, release), scaling)
    overrides = flags.get("hf-overrides")
    if isinstance(overrides, dict):
        key = _written("hf-overrides", vllm, release)
        own = [name for name in ("rope-scaling", "rope-theta") if flags.get(name) is not None]
        yield from _conflicts(key, overrides, own)
        yield from _ignored(key, overrides, release)
        yield from _without_original(key, overrides, release)


def _written(name: str, vllm: Mapping[str, FlagValue], release: Release) -> str:
    """The key under which the user wrote a flag."""
    return written_key(name, vllm, release) or name


def _check_scaling(key: str, scaling: Mapping[str, FlagValue]) -> Iterator[FlagProblem]:
    kind = rope_type(scaling)
    if kind not in KNOWN_ROPE_TYPES:
        yield _unknown_type(key, scaling, kind)
        return
    factor = scaling.get("factor")
    if kind in _NEED_FACTOR and factor is None:
        yield _wrong(key, (), f"`{key}` has no `factor`", "add `factor`: how many times longer, such as `4.0`")
    elif factor is not None and (as_number(factor) or 0) <= 1:
        message = f"`factor` of `{key}` must be a number above 1, not {quoted(factor)}"
        yield _wrong(key, ("factor",), message, "write how many times longer the context becomes, such as `4.0`")
    original = scaling.get("original_max_position_embeddings")
    if kind in _NEED_ORIGINAL and original is None:
        yield _wrong(
            key,
            (),
            f"`{key}` has no `original_max_position_embeddings`",
            "add `original_max_position_embeddings`: the length in tokens the model was trained at (model card)",
        )
    elif original is not None and (whole_number(original) or 0) < 1:
        message = f"`original_max_position_embeddings` must be a length in tokens, not {quoted(original)}"
        yield _wrong(key, ("original_max_position_embeddings",), message, "write an integer such as `32768`")


def _unknown_type(key: str, scaling: Mapping[str, FlagValue], kind: str | None) -> FlagProblem:
    if "rope_type" not in scaling and "type" not in scaling:
        return _wrong(key, (), f"`{key}` has no `rope_type`", "add `rope_type`, such as `yarn`")
    word = "rope_type" if "rope_type" in scaling else "type"
    meant = nearest(kind or "", KNOWN_ROPE_TYPES)
    known = ", ".join(f"`{each}`" for each in KNOWN_ROPE_TYPES)
    return _wrong(
        key,
        (word,),
        f"unknown `{word}` {quoted(scaling[word])} in `{key}`",
        f"did you mean `{meant}`?" if meant else f"choose one of {known}; others go through `hf-overrides`",
    )


def _wrong(key: str, path: KeyPath, message: str, help_line: str) -> FlagProblem:
    return FlagProblem(code="E209", flag=key, path=path, on_value=bool(path), message=message, help=(help_line,))


def _conflicts(key: str, overrides: Mapping[str, FlagValue], own: list[str]) -> Iterator[FlagProblem]:
    for word in (word for word in _ROPE_KEYS if own and word in overrides):
        yield FlagProblem(
            code="E210",
            flag=key,
            path=(word,),
            message=f"`{word}` in `{key}` and `{own[0]}` say the same thing twice",
            label="orchestrate writes this itself",
            help=(f"delete `{word}` from `{key}`; `{own[0]}` is turned into what the pinned release wants",),
        )


def _ignored(key: str, overrides: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    honoured = rope_epoch(release).honoured
    for word in (word for word in ("rope_scaling", "rope_parameters") if word in overrides and word not in honoured):
        yield FlagProblem(
            code="E213",
            flag=key,
            path=(word,),
            message=f"vLLM {release} ignores `{word}` in `{key}` without a word",
            label="has no effect in this release",
            help=("write `rope-scaling` instead; it is turned into what the pinned release wants",),
        )


def _without_original(key: str, overrides: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    """Releases before Transformers 5 look the length up and fail; later ones have one of their own."""
    if release >= _FILLS_IN_ORIGINAL:
        return
    for word in rope_epoch(release).honoured:
        scaling = overrides.get(word)
        if isinstance(scaling, dict) and rope_type(scaling) == "yarn" and _ORIGINAL not in scaling:
            yield _wrong(
                key,
                (word,),
                f"`{word}` in `{key}` has no `{_ORIGINAL}`, and vLLM {release} fails without it",
                f"add `{_ORIGINAL}`: the length in tokens the model was trained at (model card)",
            )


def check_lengths(
    *,
    vllm: Mapping[str, FlagValue],
    release: Release,
    config: ModelConfig,
    environment: Mapping[str, str] = NO_VARIABLES,
) -> tuple[FlagProblem, ...]:
    """Findings about max-model-len against the length that the release derives for this model with these flags."""
    flags = canonical_flags(vllm, release)
    asked = whole_number(flags.get("max-model-len"))
    if asked is None or asked < 1:
        return ()
    derived = derived_max_model_len(config, vllm, release)
    if asked > derived:
        has_scaling = effective_scaling(flags, release) is not None
        scaling = _longer_scaling(asked, config, has_scaling=has_scaling)
        problem = _too_long(_written("max-model-len", vllm, release), asked, derived, scaling)
        return (_let_through(problem) if is_on(environment, LONGER_THAN_THE_MODEL, release) else problem,)
    return tuple(_static_yarn(vllm, flags, release, asked))


def _too_long(key: str, asked: int, derived: int, scaling: str) -> FlagProblem:
    return FlagProblem(
        code="E212",
        flag=key,
        on_value=True,
        message=f"`{key}` {asked} is more than this model's {derived} tokens",
        label=f"at most {derived}",
        notes=(f"asked: {asked} tokens, available: {derived} tokens",),
        help=(scaling, f"or set `{key}: {derived}`"),
    )


def _let_through(problem: FlagProblem) -> FlagProblem:
    """vLLM was told to start all the same: it does, and what it says beyond the model's length makes no sense."""
    return replace(
        problem,
        code="W211",
        severity=Severity.WARNING,
        label=f"starts only because `{LONGER_THAN_THE_MODEL}` is set",
        notes=(*problem.notes, "the variable stretches nothing: beyond the model's length the answers make no sense"),
    )


def _longer_scaling(asked: int, config: ModelConfig, *, has_scaling: bool) -> str:
    original = _original_length(config)
    factor = -(-asked * 2 // original) / 2
    words = f"{{rope_type: yarn, factor: {factor:.1f}, original_max_position_embeddings: {original}}}"
    verb = "change" if has_scaling else "add"
    return f"{verb} `rope-scaling: {words}`, if the model was made for it (model card)"


def _original_length(config: ModelConfig) -> int:
    """The length a model was trained at: what its own scaling says, else the power of two below its maximum (makers
    add room for the answer to it: 40960 for 32768)."""
    said = as_number((config.rope_parameters or {}).get("original_max_position_embeddings"))
    return int(said) if said else 2 ** (config.max_position_embeddings.bit_length() - 1)


def _static_yarn(
    vllm: Mapping[str, FlagValue], flags: Mapping[str, FlagValue], release: Release, asked: int
) -> Iterator[FlagProblem]:
    scaling = effective_scaling(flags, release) or {}
    original = as_number(scaling.get("original_max_position_embeddings"))
    if rope_type(scaling) != "yarn" or original is None or asked > original:
        return
    is_word = isinstance(flags.get("rope-scaling"), dict)
    key = _written("rope-scaling" if is_word else "hf-overrides", vllm, release)
    yield FlagProblem(
        code="W202",
        flag=key,
        severity=Severity.WARNING,
        message=f"YaRN without need: `max-model-len` {asked} is within the native {original:.0f} tokens",
        label="vLLM's YaRN is static: it changes short prompts too",
        notes=(f"asked: {asked} tokens, native: {original:.0f} tokens",),
        help=(f"delete `{key}`" if is_word else f"delete the RoPE keys of `{key}`",),
    )
