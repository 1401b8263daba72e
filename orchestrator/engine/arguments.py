"""The command line after `vllm serve`: complete, the same for the same input, right for the pinned release."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flags import Flag, Kind, flags
from orchestrator.engine.rope import derived_max_model_len, rope_arguments

COUNTED_ON = ("gpu-memory-utilization", "kv-cache-dtype", "tensor-parallel-size")
"""Written out even at their defaults, because the planner counts on them and defaults change."""
_ROPE = ("rope-scaling", "rope-theta", "hf-overrides")
_SET_HERE = ("model", "revision", "served-model-name", "host", "port")


def serve_arguments(
    *,
    model: str,
    revision: str | None,
    served_name: str,
    vllm: Mapping[str, FlagValue],
    release: Release,
    facts: ModelFacts,
    port: int,
) -> tuple[str, ...]:
    """The argv after `vllm serve`.

    The model comes first and without `--model`: `vllm serve` takes it so in every release, and newer ones warn that
    `--model` will go. What the planner counts on is written out even at its default, because defaults change. Flags
    that the release does not know are left out; `check_flags` has named them before.
    """
    effective = effective_arguments(vllm=vllm, release=release, facts=facts)
    names = effective.pop("served-model-name", None) or served_name
    known = flags(release)
    head = [model, *(["--revision", revision] if revision else [])]
    head += _rendered(known["served-model-name"], names if isinstance(names, list) else [names])
    head += ["--host", "0.0.0.0", "--port", str(port)]  # noqa: S104 (inside the container)
    body = (part for name, value in effective.items() if name in known for part in _rendered(known[name], value))
    return (*head, *body)


def effective_arguments(*, vllm: Mapping[str, FlagValue], release: Release, facts: ModelFacts) -> dict[str, FlagValue]:
    """The flags as the release knows them, sorted: RoPE translated, what is counted on filled in."""
    known, config = flags(release), facts.config
    asked = canonical_flags(vllm, release)
    counted = {name: known[name].default for name in COUNTED_ON}
    plain = {name: value for name, value in asked.items() if name not in _ROPE and name not in _SET_HERE[:2]}
    rope = rope_arguments(vllm=asked, release=release, config=config)
    length: dict[str, FlagValue] = {"max-model-len": derived_max_model_len(config, asked, release)}
    merged = {**counted, **length, **plain, **rope}
    return {name: merged[name] for name in sorted(merged) if name not in ("host", "port")}


def _rendered(flag: Flag, value: FlagValue) -> list[str]:
    if value is None:
        return []
    if flag.kind in {Kind.SWITCH, Kind.BOOLEAN}:
        return list(_switch(flag, value))
    parts = value if isinstance(value, list) and (flag.many or flag.repeated) else [value]
    words = [_word(flag, part) for part in parts]
    if flag.many and len(words) > 1:
        return [f"--{flag.name}", *words]
    return [argument for word in words for argument in _pair(flag.name, word)]


def _switch(flag: Flag, value: FlagValue) -> Iterator[str]:
    if value is True:
        yield f"--{flag.name}" if flag.kind is Kind.SWITCH else f"--{flag.name}=true"
    elif flag.false_spelling is not None:
        yield flag.false_spelling


def _pair(name: str, word: str) -> list[str]:
    """`--name word`, or one element where the word looks like a flag itself."""
    looks_like_flag = word.startswith("-") and not word[1:].isdigit()
    return [f"--{name}={word}"] if looks_like_flag else [f"--{name}", word]


def _word(flag: Flag, value: FlagValue) -> str:
    if isinstance(value, dict) and flag.kind is Kind.PAIRS:
        return ",".join(f"{key}={value[key]}" for key in sorted(value))
    if isinstance(value, dict | list):
        return _json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _json(value: FlagValue) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
