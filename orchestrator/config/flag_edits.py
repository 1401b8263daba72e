"""What takes the place of a flag, as changes to the `vllm:` section that it is written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.config.edits import Change, Delete, Insert, Rename, Replace
from orchestrator.domain.profile import FlagValue, KeyPath
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import named, plain_value, with_part
from orchestrator.engine.flags import plain_name
from orchestrator.engine.rewrites import Replacement


def changes_for(
    replacement: Replacement, written: Mapping[str, FlagValue], section: KeyPath, release: Release
) -> tuple[Change, ...] | None:
    """Changes that make a replacement in the section at a path, of which `written` holds the values. None where a flag
    that takes the place is written there already, with another value."""
    changes: list[Change] = []
    fresh: dict[str, FlagValue] = {}
    for (name, *keys), value in replacement.parts:
        present = _present(name, replacement.key, written, release)
        meaning = named(present, release) if present is not None else None
        if present is None or meaning is None:
            fresh[name] = _joined(fresh.get(name), keys, value)
            continue
        old = written[present]
        change = _added((*section, present), old, plain_value(meaning, old), (keys, value))
        if meaning.dotted or change is None:
            return None
        changes += change
    return (*changes, *_own(replacement.key, written, section, fresh))


def _present(name: str, but: str, written: Mapping[str, FlagValue], release: Release) -> str | None:
    """The key under which a flag stands in the section already; `but` is the one that gives way."""
    keys = (key for key in written if key != but and (meaning := named(key, release)) and meaning.flag.name == name)
    return next(keys, None)


def _joined(whole: FlagValue, keys: list[str], value: FlagValue) -> FlagValue:
    return with_part(whole, tuple(keys), value) if keys else value


def _added(
    place: KeyPath, old: FlagValue, plain: FlagValue, part: tuple[list[str], FlagValue]
) -> tuple[Change, ...] | None:
    """Changes that add a part to what a flag says already (`plain` is what `old` means); None where they disagree."""
    keys, value = part
    if not keys:
        return () if plain == value else None
    if not isinstance(plain, dict):
        return None
    inner = _joined(None, keys[1:], value)
    if keys[0] in plain:
        return () if plain[keys[0]] == inner else None
    if plain is not old:
        return (Replace(place, {**plain, keys[0]: inner}),)
    return (Insert((*place, keys[0]), inner),)


def _own(
    key: str, written: Mapping[str, FlagValue], section: KeyPath, fresh: Mapping[str, FlagValue]
) -> Iterator[Change]:
    """What becomes of the line itself: it keeps its own flag if that stays, else the last of the new ones takes it
    over with its comment. The others come before it."""
    place = (*section, key)
    if not fresh:
        yield Delete(place)
        return
    heir = plain_name(key) if plain_name(key) in fresh else list(fresh)[-1]
    for name, other in fresh.items():
        if name != heir:
            yield Insert((*section, name), other, before=key)
    yield from _another_value(place, written[key], fresh[heir])
    if heir != plain_name(key):
        yield Rename(place, heir)


def _another_value(place: KeyPath, old: FlagValue, new: FlagValue) -> Iterator[Change]:
    """As little as makes the one value of the other."""
    if isinstance(old, dict) and isinstance(new, dict) and set(new) <= set(old) and new:
        yield from (Delete((*place, name)) for name in old if name not in new)
        for name, part in new.items():
            yield from _another_value((*place, name), old[name], part)
    elif old != new or type(old) is not type(new):
        yield Replace(place, new)
