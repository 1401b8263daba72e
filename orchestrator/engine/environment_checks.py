"""Findings about the variables under `environment:` against the release that is pinned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.environment import (
    Takes,
    Variable,
    VariableSpan,
    folded,
    is_on,
    recorded_releases,
    variable,
    variable_history,
    variable_names,
    whole,
)
from orchestrator.engine.environment_rules import GPU_VARIABLES, REPLACED_VARIABLES, VARIABLE_SUCCESSORS
from orchestrator.engine.flag_values import Flags, switch
from orchestrator.engine.flags import flag
from orchestrator.engine.problems import FlagProblem, nearest, quoted

_PREFIX = "VLLM_"
_STRICT_FLAG = "fail-on-environ-validation"
DEV_MODE = "VLLM_SERVER_DEV_MODE"


def check_environment(
    environment: Mapping[str, str], vllm: Mapping[str, FlagValue], release: Release
) -> Iterator[FlagProblem]:
    """Every finding about the variables that a profile sets, in the order written, then about those that it needs."""
    flags = canonical_flags(vllm, release)
    for name, text in environment.items():
        known = variable(name, release)
        if name in GPU_VARIABLES:
            yield _hides_gpus(name)
        elif known is not None:
            yield from _check_text(known, text, release)
        elif name.startswith(_PREFIX):
            yield _without_effect(name, flags, release)
    yield from _check_sleep(environment, vllm, release)


def opens_dev_mode(environment: Mapping[str, str], release: Release) -> bool:
    """Whether the server answers requests that can put it to sleep, wake it up and empty its caches."""
    return is_on(environment, DEV_MODE, release) is True


def _warning(
    code: str, name: str, message: str, label: str, help_line: str, *notes: str, on_value: bool = False
) -> FlagProblem:
    return FlagProblem(
        code=code,
        flag="",
        variable=name,
        severity=Severity.WARNING,
        on_value=on_value,
        message=message,
        label=label,
        notes=notes,
        help=(help_line,),
    )


def _hides_gpus(name: str) -> FlagProblem:
    return _warning(
        "W208",
        name,
        f"`{name}` would hide GPUs from the container",
        "the container is given its GPUs by UUID, and counts them from 0",
        "delete the line; write the service's `gpus:` instead",
    )


def _without_effect(name: str, flags: Flags, release: Release) -> FlagProblem:
    """A variable that the release does not read; where it is told to fail on those, it does not start."""
    problem = _not_read(name, release)
    if flag(release, _STRICT_FLAG) is None or switch(flags, _STRICT_FLAG) is not True:
        return problem
    return FlagProblem(
        code="E219",
        flag="",
        variable=name,
        message=f"vLLM {release} does not start with `{name}` and `{_STRICT_FLAG}`",
        label=problem.label,
        notes=problem.notes,
        help=problem.help,
    )


def _not_read(name: str, release: Release) -> FlagProblem:
    past = variable_history(name)
    if not past:
        return _unknown(name, release)
    if release < past[0].first:
        return _not_yet(name, past[0], release)
    return _removed(name, past, release)


def _unknown(name: str, release: Release) -> FlagProblem:
    meant = nearest(name, variable_names(release))
    return _warning(
        "W204",
        name,
        f"unknown vLLM variable {quoted(name)}",
        f"vLLM {release} does not read it",
        f"did you mean `{meant}`?" if meant else "delete the line, unless a plugin in your image reads it",
    )


def _not_yet(name: str, first: VariableSpan, release: Release) -> FlagProblem:
    return _warning(
        "W206",
        name,
        f"`{name}` does not exist yet in vLLM {release} and has no effect",
        f"read from {first.first} on",
        f"pin vLLM {first.first} or later, or delete the line",
        f"first release that reads it: {first.first}",
    )


def _removed(name: str, past: tuple[VariableSpan, ...], release: Release) -> FlagProblem:
    last = max(span.last for span in past if span.last < release)
    since = next(each for each in recorded_releases() if each > last)
    return _warning(
        "W205",
        name,
        f"`{name}` has no effect since vLLM {since}",
        f"vLLM {release} does not read it",
        _instead(name, release),
        f"last release that reads it: {last}",
    )


def _instead(name: str, release: Release) -> str:
    renamed = REPLACED_VARIABLES.get(name)
    if renamed is not None and variable(renamed, release) is not None:
        return f"write `{renamed}`"
    fitting = (
        each.how
        for each in VARIABLE_SUCCESSORS
        if each.old == name and (each.new is None or flag(release, each.new) is not None)
    )
    return next(fitting, "delete the line")


def _check_text(known: Variable, text: str, release: Release) -> Iterator[FlagProblem]:
    wanted, example = _wanted(known, text)
    if wanted:
        yield FlagProblem(
            code="E218",
            flag="",
            variable=known.name,
            on_value=True,
            message=f"vLLM {release} fails on {quoted(text)} in `{known.name}`",
            label=wanted,
            help=(example,),
        )
    elif known.takes is Takes.WORDS and folded(text, known) not in known.words and text.lower() in _YES:
        yield _warning(
            "W207",
            known.name,
            f"vLLM {release} takes {quoted(text)} in `{known.name}` for a no",
            f"only {_listed(known.words)} means yes",
            f'write `"{known.words[0]}"`',
            on_value=True,
        )


_YES = ("1", "true", "yes", "on", "y", "t")


def _wanted(known: Variable, text: str) -> tuple[str, str]:
    """What a text should have been, and what to write; empty where the release can read it."""
    if known.takes in (Takes.INTEGER, Takes.SWITCH) and whole(text) is None:
        if known.takes is Takes.SWITCH:
            return "`0` or `1` is needed", f'write `"{int(text.strip().lower() in _YES)}"`'
        return "a whole number is needed", _plain_number(known)
    if known.takes is Takes.NUMBER and not _is_number(text):
        return "a number is needed", _plain_number(known)
    if known.takes in (Takes.CHOICE, Takes.CHOICES):
        return _wrong_choice(known, text)
    return "", ""


def _plain_number(known: Variable) -> str:
    return f'write a number, such as `"{known.default or 1}"`, or delete the line'


def _wrong_choice(known: Variable, text: str) -> tuple[str, str]:
    parts = text.split(",") if known.takes is Takes.CHOICES else [text]
    words = [part.strip() for part in parts] if known.takes is Takes.CHOICES else parts
    wrong = next((word for word in words if _folded_choice(word, known) not in ("", *known.words)), None)
    if known.takes is Takes.CHOICE and text == "":
        wrong = text
    if wrong is None:
        return "", ""
    meant = nearest(wrong, known.words)
    return f"one of {_listed(known.words)}", f"did you mean `{meant}`?" if meant else f"write `{known.words[0]}`"


def _folded_choice(word: str, known: Variable) -> str:
    return word.lower() if known.loose else word


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _listed(words: tuple[str, ...]) -> str:
    *front, last = [f"`{word}`" for word in words]
    return f"{', '.join(front)} or {last}" if front else last


def _check_sleep(
    environment: Mapping[str, str], vllm: Mapping[str, FlagValue], release: Release
) -> Iterator[FlagProblem]:
    """Sleep mode is asked for over HTTP, and the server answers such requests in its dev mode only."""
    flags = canonical_flags(vllm, release)
    if switch(flags, "enable-sleep-mode") is not True or variable(DEV_MODE, release) is None:
        return
    if not opens_dev_mode(environment, release):
        yield FlagProblem(
            code="W209",
            flag=written_key("enable-sleep-mode", vllm, release),
            severity=Severity.WARNING,
            message="nobody can put this service to sleep: `/sleep` and `/wake_up` answer in dev mode only",
            label=f"needs `{DEV_MODE}`",
            help=(f'write `{DEV_MODE}: "1"` under `environment:`, or delete the line',),
        )
