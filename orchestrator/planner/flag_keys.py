"""The keys under which a user wrote flags, and flags changed under the same keys."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import named
from orchestrator.engine.flags import plain_name


def written_key(vllm: Mapping[str, FlagValue], name: str, release: Release) -> str | None:
    """The key that means the flag called `name`, in whatever spelling; the strongest where several do; else None."""
    keys = [key for key in vllm if _name_of(key, release) == name]
    return min(keys, key=lambda key: (key != name, key), default=None)


def shown_key(vllm: Mapping[str, FlagValue], name: str, release: Release) -> str:
    """How to call a flag to the user: by the key that was written, else by its own name."""
    return written_key(vllm, name, release) or name


def with_values(
    vllm: Mapping[str, FlagValue], values: Mapping[str, FlagValue], release: Release
) -> dict[str, FlagValue]:
    """The flags with these values (by the flags' own names), each under the key that it was written with, once."""
    keys = {name: shown_key(vllm, name, release) for name in values}
    result: dict[str, FlagValue] = {}
    for key, value in vllm.items():
        name = _name_of(key, release)
        if name not in values:
            result[key] = value
        elif key == keys[name]:
            result[key] = values[name]
    return result | {key: values[name] for name, key in keys.items() if key not in result}


def _name_of(key: str, release: Release) -> str:
    """The flag that a key sets as a whole; a key into a flag (`a.b`) and a negation go by themselves."""
    meaning = named(key, release)
    if meaning is None or meaning.dotted or meaning.is_negation:
        return plain_name(key)
    return meaning.flag.name
