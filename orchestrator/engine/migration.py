"""What takes the place of a key under `vllm:` in another release, or why only a person can decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import ROPE_FLAGS, canonical_flags, named, plain_value, with_part
from orchestrator.engine.flag_rules import RANGES
from orchestrator.engine.flags import Flag, FlagHistory, Named, flag, history, plain_name
from orchestrator.engine.releases import closest_known, release_after
from orchestrator.engine.rewrite_table import rewrite_of
from orchestrator.engine.rewrites import Part, Parts, Replacement
from orchestrator.engine.value_rewrites import VALUE_REWRITES
from orchestrator.engine.values import Fault, read_value

DOTTED_SINCE = Release.of("0.9.0")
"""The first release that reads `flag.key` as a part of a JSON flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """Why nothing certain takes the place of a key, since when that is so, and what a person can do."""

    why: str
    how: tuple[str, ...] = ()
    since: str = ""


Answer = Replacement | Undecided | None
"""None: the key can stay as it is."""


def replacement_for(
    key: str,
    vllm: Mapping[str, FlagValue],
    release: Release,
    *,
    source: Release | None = None,
    is_leaving: bool = False,
) -> Answer:
    """What becomes of a key in a release. `source` is the one that the profile was written for, where that is known:
    it may have names that were never a flag's own. `is_leaving`: also where the release only calls it deprecated."""
    here = closest_known(release)
    meaning = named(key, release)
    if is_leaving:
        return _given_up(key, vllm, release, here)
    if meaning is None:
        past = history(plain_name(key).partition(".")[0])
        return _given_up(key, vllm, release, _known_in(past, here) if past is not None else source)
    value = vllm[key]
    if meaning.dotted:
        is_refused = here < DOTTED_SINCE and meaning.flag.name not in ROPE_FLAGS
        whole = ((meaning.flag.name, *meaning.dotted), value)
        return Replacement(key=key, parts=(whole,)) if is_refused and meaning.flag.kind.is_json else None
    if _fault(meaning.flag, value, release) is None:
        return None
    return _other_value(key, value, meaning.flag, release)


def _given_up(key: str, vllm: Mapping[str, FlagValue], release: Release, elsewhere: Release | None) -> Answer:
    """What takes the place of a key that means something `elsewhere`; nothing does where it never meant anything."""
    meaning = named(key, elsewhere) if elsewhere is not None else None
    if elsewhere is None or meaning is None:
        return None
    name, value = meaning.flag.name, plain_value(meaning, vllm[key])
    if meaning.dotted:
        value = with_part(None, meaning.dotted, vllm[key])
    if named(key, release) is None and (flag(release, name) is not None or name in ROPE_FLAGS):
        return fitting(key, (((name,), value),), release)
    row = rewrite_of(name, release)
    parts = row.write(value, canonical_flags(vllm, elsewhere)) if row else None
    if row is not None and parts is not None:
        answer = fitting(key, parts, release)
        return replace(answer, why=row.reason) if isinstance(answer, Replacement) else answer
    if row is not None:
        return Undecided(why=row.why, how=(row.how,), since=_since(name, elsewhere, release))
    if _is_off(meaning, value) and release < elsewhere:
        return Replacement(key=key, parts=(), why="off is what a release without it does")
    return Undecided(why="nothing takes its place", since=_since(name, elsewhere, release))


def _since(name: str, elsewhere: Release, release: Release) -> str:
    """Since when a flag is gone, or from when on it is there."""
    past = history(name)
    if past is None:
        return ""
    if release < past.first:
        return f"`{name}` is known from {past.first} on"
    lasts = [span.last for span in past.spans if elsewhere <= span.last < release]
    return f"`{name}` was removed in {release_after(lasts[-1])}" if lasts else ""


def _known_in(past: FlagHistory, here: Release) -> Release:
    """The release nearest to this one that has the flag: the last one before, else the first one after."""
    before = [span.last for span in past.spans if span.last < here]
    return before[-1] if before else past.first


def _is_off(meaning: Named, value: FlagValue) -> bool:
    """A switch that is off unless someone turns it on: a release without it does the same."""
    return value is False and meaning.flag.default is False


def fitting(key: str, parts: Parts, release: Release) -> Replacement | Undecided:
    """The replacement with values that the release takes, if it can take every part of it."""
    found: list[Part] = []
    for path, value in parts:
        target = flag(release, path[0]) or ROPE_FLAGS.get(path[0])
        if target is None:
            return Undecided(why=f"`{path[0]}` is not known there either")
        if len(path) == 1 and _fault(target, value, release) is not None:
            other = _other_value(path[0], value, target, release)
            if isinstance(other, Undecided):
                return other
            found += other.parts
        else:
            found.append((path, value))
    return Replacement(key=key, parts=tuple(found))


def _fault(target: Flag, value: FlagValue, release: Release) -> Fault | None:
    """Why the release does not take a value for a flag."""
    read = read_value(target, value)
    if isinstance(read, Fault):
        return read
    allowed = RANGES.get(target.name)
    parts = read if isinstance(read, list) else [read]
    numbers = [part for part in parts if isinstance(part, int | float) and not isinstance(part, bool)]
    if allowed is None or target.choices or all(allowed.holds(part, release) for part in numbers):
        if read is False and target.false_spelling is None and target.default is True:
            return Fault(code="E211", label="the release has no way to say `false`")
        return None
    wanted = allowed.described()
    return Fault(code="E206", label=f"must be {wanted}", help=(f"write a number that is {wanted}",))


def _other_value(key: str, value: FlagValue, target: Flag, release: Release) -> Replacement | Undecided:
    """The same thing in a spelling that the release takes."""
    for candidate in _candidates(target, value):
        if _fault(target, candidate, release) is None:
            name = target.name if named(key, release) is None else plain_name(key)
            return Replacement(key=key, parts=(((name,), candidate),))
    fault = _fault(target, value, release)
    return Undecided(why=fault.label if fault else "", how=fault.help if fault else ())


def _candidates(target: Flag, value: FlagValue) -> Iterator[FlagValue]:
    """Other spellings of a value, surest first: as other releases read it, choices renamed, words and numbers."""
    past = history(target.name)
    readings = [value, *(read_value(span.flag, value) for span in (past.spans if past else ()))]
    plain = [reading for reading in readings if not isinstance(reading, Fault)]
    yield from plain
    for row in VALUE_REWRITES:
        if row.flag == target.name and row.old in plain:
            yield row.new
    if isinstance(value, str):
        yield from _spelt_otherwise(target, value)
    elif isinstance(value, float) and value.is_integer():
        yield int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _spelt_otherwise(target: Flag, text: str) -> Iterator[FlagValue]:
    word = text.strip()
    if word.lower() in ("true", "false"):
        yield word.lower() == "true"
    if word.lstrip("+-").isdecimal() and len(word) < 20:
        yield int(word)
    elif word.replace(".", "", 1).isdecimal():
        yield float(word)
    if target.many and "," in word:
        yield [part.strip() for part in word.split(",")]
    alike = [choice for choice in target.choices if _plain_word(str(choice)) == _plain_word(word)]
    if len(alike) == 1:
        yield alike[0]


def _plain_word(word: str) -> str:
    return word.lower().replace("_", "-")


def replaced(vllm: Mapping[str, FlagValue], replacements: tuple[Replacement, ...]) -> dict[str, FlagValue]:
    """The flags with every replacement made, as plain values: what an edited file must say."""
    found = {key: value for key, value in vllm.items() if key not in {each.key for each in replacements}}
    for path, value in (part for each in replacements for part in each.parts):
        found[path[0]] = with_part(found.get(path[0]), path[1:], value) if path[1:] else value
    return found
