"""The flags of a profile under their own names, with plain values, whatever way they were spelt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.flags import Flag, Kind, Named, find_named, plain_name
from orchestrator.engine.values import Fault, read_value

ROPE_FLAGS: Mapping[str, Flag] = {
    "rope-scaling": Flag(name="rope-scaling", kind=Kind.JSON),
    "rope-theta": Flag(name="rope-theta", kind=Kind.NUMBER),
}
"""The user's words for RoPE in every release, whether or not its parser still knows them."""


@lru_cache(maxsize=4096)
def named(key: str, release: Release) -> Named | None:
    """What a key under `vllm:` means: a flag of the release, or one of the words that are always known."""
    own = ROPE_FLAGS.get(plain_name(key))
    return Named(flag=own) if own is not None else find_named(key, release)


def written_key(name: str, vllm: Mapping[str, FlagValue], release: Release) -> str:
    """The key under which the user wrote a flag, by whatever name; empty where he did not."""
    keys = (key for key in sorted(vllm) if (meaning := named(key, release)) and meaning.flag.name == name)
    return next(keys, "")


def canonical_flags(vllm: Mapping[str, FlagValue], release: Release) -> dict[str, FlagValue]:
    """Flags by their own names, sorted: other names and negations resolved, dotted keys merged into their mappings,
    `32k` as a number, JSON texts as mappings. What makes no sense stays as it was written, under its plain name;
    where two keys mean the same flag, the flag's own name wins.
    """
    found: dict[str, FlagValue] = {}
    meanings = {key: named(key, release) for key in vllm}
    for key in sorted(vllm, key=lambda key: _strength(key, meanings[key])):
        meaning = meanings[key]
        if meaning is None:
            found[plain_name(key)] = vllm[key]
        elif meaning.dotted:
            found[meaning.flag.name] = with_part(found.get(meaning.flag.name), meaning.dotted, vllm[key])
        else:
            found[meaning.flag.name] = plain_value(meaning, vllm[key])
    return dict(sorted(found.items()))


def _strength(key: str, meaning: Named | None) -> tuple[int, str]:
    """Weaker spellings first, so that stronger ones overwrite them; dotted keys last, because they add."""
    if meaning is not None and meaning.dotted:
        return (2, key)
    return (1 if meaning is not None and meaning.flag.name == key else 0, key)


def plain_value(meaning: Named, value: FlagValue) -> FlagValue:
    """A value as its flag means it: what makes no sense stays as it is, and a negation is turned round."""
    read = read_value(meaning.flag, value)
    if isinstance(read, Fault):
        return value
    return not read if meaning.is_negation and isinstance(read, bool) else read


def with_part(whole: FlagValue, path: tuple[str, ...], part: FlagValue) -> dict[str, FlagValue]:
    """A mapping like `whole` (an empty one where that is none) in which `part` stands at `path`."""
    copy = dict(whole) if isinstance(whole, dict) else {}
    copy[path[0]] = with_part(copy.get(path[0]), path[1:], part) if len(path) > 1 else part
    return copy
