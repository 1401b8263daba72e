"""Findings about the flags of a profile against the release that is pinned, all of them in one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.profile import FlagValue, KeyPath
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import ROPE_FLAGS, named
from orchestrator.engine.file_flags import check_files
from orchestrator.engine.flag_rules import RANGES, RESERVED, RESERVED_FAMILIES
from orchestrator.engine.flags import (
    FlagHistory,
    Kind,
    Named,
    completions,
    flag_with_short_name,
    flags,
    history,
    plain_name,
)
from orchestrator.engine.json_keys import check_json_keys
from orchestrator.engine.migration import DOTTED_SINCE, fitting, replacement_for
from orchestrator.engine.pair_rules import check_pairs
from orchestrator.engine.problems import FlagProblem, clearly_meant, nearest, quoted
from orchestrator.engine.quantization_checks import check_method
from orchestrator.engine.releases import closest_known, release_after
from orchestrator.engine.rewrite_table import rewrite_of
from orchestrator.engine.rewrites import Replacement
from orchestrator.engine.rope_checks import check_rope
from orchestrator.engine.values import Fault, read_value

__all__ = ["FlagProblem", "check_flags"]


def check_flags(vllm: Mapping[str, FlagValue], release: Release) -> tuple[FlagProblem, ...]:
    """Every finding about what stands under `vllm:`: key by key in the order written, then what concerns several."""
    found: list[FlagProblem] = []
    for key in vllm:
        found.extend(_with_repair(problem, vllm, release) for problem in _check_key(key, vllm[key], release))
    found.extend(_said_twice(vllm, release))
    found.extend(check_rope(vllm, release))
    found.extend(check_method(vllm=vllm, release=release))
    found.extend(check_pairs(vllm, release))
    found.extend(check_files(vllm, release))
    found.extend(check_json_keys(vllm, release))
    return tuple(found)


_REPAIRED = frozenset({"E202", "E203", "E204", "E205", "E208", "W201"})


def _with_repair(problem: FlagProblem, vllm: Mapping[str, FlagValue], release: Release) -> FlagProblem:
    """The problem with what `migrate` would write instead, where that is certain."""
    if problem.code not in _REPAIRED or vllm[problem.flag] is None:
        return problem
    answer = replacement_for(problem.flag, vllm, release, is_leaving=problem.code == "W201")
    return replace(problem, repair=answer) if isinstance(answer, Replacement) else problem


def _check_key(key: str, value: FlagValue, release: Release) -> Iterator[FlagProblem]:
    reason = reserved(plain_name(key).partition(".")[0])
    if reason is not None:
        yield _refused(key, reason)
        return
    meaning = named(key, release)
    if meaning is None:
        yield _without_meaning(key, value, release)
    elif meaning.dotted:
        yield from _check_dotted(key, meaning, release)
    else:
        yield from _check_value(key, value, meaning, release)
        yield from _check_age(key, meaning, release)


def reserved(name: str) -> tuple[str, str] | None:
    """Why a profile must not set a flag, and what to do instead; None for those that it may set."""
    family = (reason for front, reason in RESERVED_FAMILIES.items() if name.startswith(front))
    return RESERVED.get(name) or next(family, None)


def _refused(key: str, reason: tuple[str, str]) -> FlagProblem:
    why, instead = reason
    return FlagProblem(code="E207", flag=key, message=f"`{key}` cannot be set here", label=why, help=(instead,))


def _without_meaning(key: str, value: FlagValue, release: Release) -> FlagProblem:
    head = plain_name(key).partition(".")[0]
    past = history(head)
    if past is None:
        return _unknown(key, value, head, release)
    here = closest_known(release)
    if here < past.first:
        return _not_yet(key, head, past, release)
    return _removed(key, head, past, release)


def _unknown(key: str, value: FlagValue, head: str, release: Release) -> FlagProblem:
    short, completed = flag_with_short_name(head, release), _completed(head, release)
    names = sorted({*flags(release), *ROPE_FLAGS})
    meant = short.name if short is not None else completed or nearest(head, names)
    certain = short.name if short is not None else completed or clearly_meant(head, names)
    return FlagProblem(
        code="E201",
        flag=key,
        message=f"unknown vLLM flag {quoted(key)}",
        label=f"no such flag in vLLM {release}",
        notes=_as_read_by_vllm(head, release),
        help=(f"did you mean `{meant}`?",) if meant else (f"see `vllm serve --help` of {release} for its flags",),
        repair=_renamed(key, certain, value, release) if certain and head == plain_name(key) else None,
    )


def _renamed(key: str, name: str, value: FlagValue, release: Release) -> Replacement | None:
    answer = fitting(key, (((name,), value),), release)
    return answer if isinstance(answer, Replacement) else None


def _completed(head: str, release: Release) -> str | None:
    """The name that argparse makes of a beginning, silently; None where there is none, or where it is ambiguous."""
    names = completions(head, release)
    return next(iter(names)) if len(set(names.values())) == 1 else None


def _as_read_by_vllm(head: str, release: Release) -> tuple[str, ...]:
    """What the release's own parser makes of a name that is the beginning of one other; it refuses ambiguous ones."""
    name = _completed(head, release)
    return (f"vLLM {release} itself takes `--{head}` for `--{name}`, without a word",) if name else ()


def _not_yet(key: str, head: str, past: FlagHistory, release: Release) -> FlagProblem:
    row = rewrite_of(head, release)
    return FlagProblem(
        code="E203",
        flag=key,
        message=f"`{key}` does not exist yet in vLLM {release}",
        label=f"known from {past.first} on",
        notes=(f"first release that knows it: {past.first}", *_as_read_by_vllm(head, release)),
        help=(row.how if row else f"pin vLLM {past.first} or later, or delete the line",),
    )


def _removed(key: str, head: str, past: FlagHistory, release: Release) -> FlagProblem:
    here = closest_known(release)
    last = max(span.last for span in past.spans if span.last < here)
    since = release_after(last)
    later = [span.first for span in past.spans if span.first > here]
    notes = [f"last release that knows it: {last}", *(f"known again from {first} on" for first in later[:1])]
    return FlagProblem(
        code="E202",
        flag=key,
        message=f"`{key}` was removed from vLLM in {since}",
        label=f"no longer in vLLM {release}",
        notes=(*notes, *_as_read_by_vllm(head, release)),
        help=(_replacement(head, release),),
    )


def _replacement(head: str, release: Release) -> str:
    row = rewrite_of(head, release)
    meant = nearest(head, sorted(flags(release)))
    nearby = f"; the nearest flag of vLLM {release} is `{meant}`" if meant else ""
    return row.how if row else f"delete the line{nearby}"


def _check_dotted(key: str, meaning: Named, release: Release) -> Iterator[FlagProblem]:
    head = meaning.flag.name
    if not meaning.flag.kind.is_json or "" in meaning.dotted:
        yield FlagProblem(
            code="E201",
            flag=key,
            message=f"unknown vLLM flag {quoted(key)}",
            label=f"`{head}` takes {_taken(meaning.flag.kind)}, it has no parts",
            help=(f"write `{head}` without the rest",),
        )
    elif closest_known(release) < DOTTED_SINCE and head not in ROPE_FLAGS:
        yield FlagProblem(
            code="E203",
            flag=key,
            message=f"keys with dots do not exist yet in vLLM {release}",
            label=f"known from {DOTTED_SINCE} on",
            help=(f"write a mapping under `{head}`",),
        )


def _taken(kind: Kind) -> str:
    return "a mapping" if kind.is_json else kind.value.replace("-", " ")


def _check_value(key: str, value: FlagValue, meaning: Named, release: Release) -> Iterator[FlagProblem]:
    read = read_value(meaning.flag, value)
    if isinstance(read, Fault):
        yield _fault(key, value, read)
    elif isinstance(read, bool):
        yield from _check_false(key, read is not meaning.is_negation, meaning)
    else:
        yield from _check_range(key, read, meaning, release)
        yield from _check_dashes(key, read, meaning)


def _check_dashes(key: str, value: FlagValue, meaning: Named) -> Iterator[FlagProblem]:
    """Where one flag takes several words, the command line reads a word with a dash in front as the next flag."""
    if not meaning.flag.many or not isinstance(value, list) or len(value) < 2:
        return
    for index, word in enumerate(value):
        if isinstance(word, str) and word.startswith("-") and not _is_number(word):
            yield FlagProblem(
                code="E217",
                flag=key,
                path=(index,),
                on_value=True,
                message=f"{quoted(word)} in `{key}` would be read as a flag",
                label="starts with `-`",
                help=("write it without the dash in front, or give one value only",),
            )


def _is_number(word: str) -> bool:
    return word[1:].replace(".", "", 1).isdecimal()


def _fault(key: str, value: FlagValue, fault: Fault) -> FlagProblem:
    verbs = {"E204": "wrong type of value for", "E205": "unknown choice for", "E208": "unreadable value of"}
    part = _part(value, fault.path)
    shown = f": {quoted(part)}" if isinstance(part, str | bool | int | float) else ""
    return FlagProblem(
        code=fault.code,
        flag=key,
        path=fault.path,
        on_value=True,
        message=f"{verbs[fault.code]} `{key}`{shown}",
        label=fault.label,
        help=fault.help,
    )


def _part(value: FlagValue, path: KeyPath) -> object:
    part: object = value
    for step in path:
        if isinstance(part, Mapping):
            part = part.get(step)
        elif isinstance(part, list) and isinstance(step, int):
            part = part[step]
    return part


def _check_false(key: str, value: bool, meaning: Named) -> Iterator[FlagProblem]:
    if not value and meaning.flag.false_spelling is None and meaning.flag.default is True:
        yield FlagProblem(
            code="E211",
            flag=key,
            on_value=True,
            message=f"`{key}` cannot be turned off in this release",
            label="the release has no way to say `false`",
            help=("delete the line",),
        )


def _check_range(key: str, value: FlagValue, meaning: Named, release: Release) -> Iterator[FlagProblem]:
    allowed = RANGES.get(meaning.flag.name)
    if allowed is None or meaning.flag.choices:
        return
    parts = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
    for index, part in parts:
        is_number = isinstance(part, int | float) and not isinstance(part, bool)
        if is_number and isinstance(part, int | float) and not allowed.holds(part, release):
            yield FlagProblem(
                code="E206",
                flag=key,
                path=() if index is None else (index,),
                on_value=True,
                message=f"`{key}` {quoted(part)} is out of range",
                label=f"must be {allowed.described()}",
                help=(f"write a number that is {allowed.described()}",),
            )


def _check_age(key: str, meaning: Named, release: Release) -> Iterator[FlagProblem]:
    if meaning.flag.deprecated:
        row = rewrite_of(meaning.flag.name, release)
        yield FlagProblem(
            code="W201",
            severity=Severity.WARNING,
            flag=key,
            message=f"vLLM {release} calls `{key}` deprecated",
            label="a later release will refuse it",
            help=(row.how,) if row else (),
        )


def _said_twice(vllm: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    """Two keys that mean the same flag, or the same part of one."""
    seen: dict[tuple[str, ...], str] = {}
    for key in vllm:
        meaning = named(key, release)
        if meaning is None:
            continue
        place = (meaning.flag.name, *meaning.dotted)
        for other, first in seen.items():
            if _overlap(place, other, vllm[first], vllm[key]):
                is_same = place == other and vllm[first] == vllm[key]
                yield _twice(key, first, meaning.flag.name, is_same=is_same)
        seen[place] = key


def _overlap(place: tuple[str, ...], other: tuple[str, ...], first: FlagValue, second: FlagValue) -> bool:
    """Whether two places are one, or the value at the shorter one already has the rest of the longer one."""
    if place == other:
        return True
    short, long, value = (place, other, second) if len(place) < len(other) else (other, place, first)
    if long[: len(short)] != short:
        return False
    for step in long[len(short) :]:
        if not isinstance(value, dict):
            return True
        if step not in value:
            return False
        value = value[step]
    return True


def _twice(key: str, first: str, name: str, *, is_same: bool) -> FlagProblem:
    return FlagProblem(
        code="E210",
        flag=key,
        message=f"`{key}` and `{first}` set the same flag `{name}`",
        label="said twice",
        help=(f"keep one of them, best under `{name}`",),
        repair=Replacement(key=key if plain_name(first) == name else first, parts=()) if is_same else None,
    )
