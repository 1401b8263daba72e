"""RoPE keys in `hf-overrides` that another release would ignore or read otherwise, as the words for every release."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.migration import Answer, Undecided
from orchestrator.engine.rewrites import Part, Replacement
from orchestrator.engine.rope import RopeEpoch, rope_epoch, rope_type

_SCALINGS = ("rope_parameters", "rope_scaling")


def rope_replacement(vllm: Mapping[str, FlagValue], source: Release, target: Release) -> Answer:
    """What becomes of the RoPE keys in `hf-overrides`: `rope-scaling` and `rope-theta`, where the two releases do not
    read them alike. None: they can stay."""
    key = written_key("hf-overrides", vllm, source)
    overrides = canonical_flags(vllm, source).get("hf-overrides")
    before, after = rope_epoch(source), rope_epoch(target)
    if not key or not isinstance(overrides, dict):
        return None
    present = [word for word in _SCALINGS if isinstance(overrides.get(word), dict)]
    read = next((word for word in before.honoured if word in present), None)
    if read is None:
        return _about_ignored(present, after)
    scaling = overrides[read]
    if not isinstance(scaling, dict) or _is_read_alike(read, scaling, overrides, before, after):
        return None
    if len(present) > 1 or "." in key:
        return Undecided(
            why=f"{source} reads `{read}` alone, {target} another one: which is meant?",
            how=("write `rope-scaling` instead; it is turned into what the pinned release wants",),
        )
    return Replacement(key=key, parts=tuple(_parts(key, overrides, read, scaling)))


def _about_ignored(present: list[str], after: RopeEpoch) -> Answer:
    if not any(word in after.honoured for word in present):
        return None
    return Undecided(
        why="it had no effect so far and would have one: is it meant?",
        how=("delete it, or write `rope-scaling` instead",),
    )


def _is_read_alike(
    read: str,
    scaling: Mapping[str, FlagValue],
    overrides: Mapping[str, FlagValue],
    before: RopeEpoch,
    after: RopeEpoch,
) -> bool:
    if read not in after.honoured or any(word in overrides for word in _SCALINGS if word != read):
        return False
    is_yarn = rope_type(scaling) in ("yarn", "deepseek_yarn")
    says_length = "max_position_embeddings" in overrides
    return says_length or not is_yarn or before.factor_multiplies is after.factor_multiplies


def _parts(key: str, overrides: Mapping[str, FlagValue], read: str, scaling: Mapping[str, FlagValue]) -> list[Part]:
    gone = {read, "rope_theta"} | ({"max_position_embeddings"} if _follows(overrides, scaling) else set())
    rest = {name: value for name, value in overrides.items() if name not in gone}
    theta = scaling.get("rope_theta", overrides.get("rope_theta"))
    parts: list[Part] = [((key,), rest)] if rest else []
    if theta is not None:
        parts.append((("rope-theta",), theta))
    own = {name: value for name, value in scaling.items() if name != "rope_theta"}
    return [*parts, (("rope-scaling",), own)] if own else parts


def _follows(overrides: Mapping[str, FlagValue], scaling: Mapping[str, FlagValue]) -> bool:
    """Whether the overridden length is what the scaling itself stretches to, so that it need not be said."""
    length, factor = overrides.get("max_position_embeddings"), scaling.get("factor")
    original = scaling.get("original_max_position_embeddings")
    numbers = [each for each in (length, factor, original) if isinstance(each, int | float)]
    return len(numbers) == 3 and numbers[0] == numbers[1] * numbers[2]
