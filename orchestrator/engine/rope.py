"""RoPE scaling through the releases: how it is said, what becomes of the user's `rope-scaling`, how long it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags


class RopeForm(StrEnum):
    """Where a release takes RoPE scaling from."""

    FLAG = "--rope-scaling"
    OVERRIDE_SCALING = "hf-overrides rope_scaling"
    OVERRIDE_PARAMETERS = "hf-overrides rope_parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeEpoch:
    """A row of releases, from `since` on, that treat RoPE alike.

    `honoured` are the keys of `hf-overrides` that have an effect; the others are ignored without a word.
    `factor_multiplies`: the longest length with YaRN is the original one times the factor; otherwise it is
    `max_position_embeddings` alone, which an override must then carry. Other kinds multiply in every release.
    """

    since: Release
    form: RopeForm
    honoured: tuple[str, ...]
    factor_multiplies: bool


ROPE_EPOCHS: tuple[RopeEpoch, ...] = (
    RopeEpoch(since=Release.of("0.6.0"), form=RopeForm.FLAG, honoured=("rope_scaling",), factor_multiplies=True),
    RopeEpoch(
        since=Release.of("0.11.1"), form=RopeForm.OVERRIDE_SCALING, honoured=("rope_scaling",), factor_multiplies=True
    ),
    RopeEpoch(
        since=Release.of("0.12.0"),
        form=RopeForm.OVERRIDE_PARAMETERS,
        honoured=("rope_parameters",),
        factor_multiplies=True,
    ),
    RopeEpoch(
        since=Release.of("0.20.0"),
        form=RopeForm.OVERRIDE_PARAMETERS,
        honoured=("rope_parameters", "rope_scaling"),
        factor_multiplies=True,
    ),
    RopeEpoch(
        since=Release.of("0.30.0"),
        form=RopeForm.OVERRIDE_PARAMETERS,
        honoured=("rope_parameters", "rope_scaling"),
        factor_multiplies=False,
    ),
)
"""Read in the releases' sources; the ends of each row were run with a Qwen3 configuration."""

KNOWN_ROPE_TYPES = ("yarn", "linear", "dynamic", "llama3", "longrope", "mrope", "ntk", "su", "deepseek_yarn", "default")
_FROM_ORIGINAL = ("yarn", "deepseek_yarn")
_FROM_MAXIMUM = ("linear", "dynamic", "ntk")
_UNSCALED_MODEL_TYPES = ("gemma3",)


def rope_epoch(release: Release) -> RopeEpoch:
    """The row of a release; the oldest one for older releases."""
    return next((epoch for epoch in reversed(ROPE_EPOCHS) if epoch.since <= release), ROPE_EPOCHS[0])


def rope_type(scaling: Mapping[str, object]) -> str | None:
    """The kind of scaling, under its present or its older key."""
    word = scaling.get("rope_type", scaling.get("type"))
    return word if isinstance(word, str) else None


def as_number(value: object) -> float | None:
    """A finite positive number, or None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and isinstance(value, int | float) and 0 < value < 1e18 else None


def scaled_length(scaling: Mapping[str, object], config: ModelConfig) -> int:
    """The length in tokens that a scaling stretches a model to; its own maximum when the scaling does not say."""
    maximum = config.max_position_embeddings
    factor, kind = as_number(scaling.get("factor")), rope_type(scaling)
    if factor is None or config.model_type.startswith(_UNSCALED_MODEL_TYPES):
        return maximum
    if kind in _FROM_ORIGINAL:
        return int((as_number(scaling.get("original_max_position_embeddings")) or maximum) * factor)
    return int(maximum * factor) if kind in _FROM_MAXIMUM else maximum


def effective_scaling(vllm: Mapping[str, FlagValue], release: Release) -> Mapping[str, object] | None:
    """The scaling that the user's flags bring about in this release; None when they bring about none."""
    return _scaling(canonical_flags(vllm, release), release)


def _scaling(flags: Mapping[str, FlagValue], release: Release) -> Mapping[str, object] | None:
    own, overrides = flags.get("rope-scaling"), flags.get("hf-overrides")
    if isinstance(own, dict) and own:
        return own
    if isinstance(overrides, dict):
        said = (overrides.get(key) for key in rope_epoch(release).honoured)
        return next((scaling for scaling in said if isinstance(scaling, dict) and scaling), None)
    return None


def derived_max_model_len(config: ModelConfig, vllm: Mapping[str, FlagValue], release: Release) -> int:
    """The longest max-model-len in tokens that the release accepts with these flags, as it derives it itself."""
    return longest_length(config, canonical_flags(vllm, release), release)


def longest_length(config: ModelConfig, flags: Mapping[str, FlagValue], release: Release) -> int:
    """Like `derived_max_model_len`, for flags that are canonical already."""
    overrides = flags.get("hf-overrides")
    overridden = as_number(overrides.get("max_position_embeddings")) if isinstance(overrides, dict) else None
    seen = config if overridden is None else replace(config, max_position_embeddings=int(overridden))
    own = flags.get("rope-scaling")
    if isinstance(own, dict) and own:
        return scaled_length(own, seen)
    scaling = _scaling(flags, release) or config.rope_parameters
    if scaling is None or (rope_type(scaling) in _FROM_ORIGINAL and not rope_epoch(release).factor_multiplies):
        return seen.max_position_embeddings
    return scaled_length(scaling, seen)


def rope_arguments(*, vllm: Mapping[str, FlagValue], release: Release, config: ModelConfig) -> dict[str, FlagValue]:
    """The flags that say the user's `rope-scaling` and `rope-theta` in this release, with the user's `hf-overrides`
    merged in: they take the place of these three.
    """
    flags = canonical_flags(vllm, release)
    scaling, theta, overrides = flags.get("rope-scaling"), flags.get("rope-theta"), flags.get("hf-overrides")
    epoch = rope_epoch(release)
    if epoch.form is RopeForm.FLAG:
        own = {"rope-scaling": _normalised(scaling) if isinstance(scaling, dict) else scaling, "rope-theta": theta}
        return {name: value for name, value in {**own, "hf-overrides": overrides}.items() if value is not None}
    if not scaling and theta is None:
        return {} if overrides is None else {"hf-overrides": overrides}
    base = overrides if isinstance(overrides, dict) else {}
    return {"hf-overrides": {**base, **_override(epoch, scaling, theta, config)}}


def _override(epoch: RopeEpoch, scaling: FlagValue, theta: FlagValue, config: ModelConfig) -> dict[str, FlagValue]:
    asked = _normalised(scaling) if isinstance(scaling, dict) and scaling else {}
    if epoch.form is RopeForm.OVERRIDE_SCALING:
        parts: dict[str, FlagValue] = {"rope_scaling": asked, "rope_theta": _plain_theta(theta)}
        return {key: part for key, part in parts.items() if part not in ({}, None)}
    if not asked:
        return {"rope_parameters": {**_checkpoint_parameters(config), "rope_theta": _plain_theta(theta)}}
    base = _plain_theta(theta if theta is not None else config.rope_theta)
    parameters = {"rope_theta": base, **asked} if base is not None else asked
    stretched = scaled_length(asked, config)
    if rope_type(asked) in _FROM_ORIGINAL and stretched != config.max_position_embeddings:
        return {"max_position_embeddings": stretched, "rope_parameters": parameters}
    return {"rope_parameters": parameters}


def _normalised(scaling: Mapping[str, FlagValue]) -> dict[str, FlagValue]:
    """The scaling with `rope_type` for `type` and a factor that is a float, as the configuration classes expect."""
    rest = {key: value for key, value in scaling.items() if key not in ("type", "rope_type")}
    factor = as_number(rest.get("factor"))
    kind = rope_type(scaling)
    named = {} if kind is None else {"rope_type": kind}
    return {**named, **rest, **({} if factor is None else {"factor": factor})}


def _checkpoint_parameters(config: ModelConfig) -> dict[str, FlagValue]:
    parameters: dict[str, FlagValue] = {"rope_type": "default"}
    for key, value in (config.rope_parameters or {}).items():
        if isinstance(value, str | bool | int | float | list | dict):
            parameters[key] = value
    return parameters


def _plain_theta(theta: FlagValue) -> FlagValue:
    return int(theta) if isinstance(theta, float) and theta.is_integer() else theta
