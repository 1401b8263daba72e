"""Variables of vLLM that a release stopped reading, and the flags that took their place, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.migration import Undecided
from orchestrator.engine.releases import release_after
from orchestrator.engine.rewrites import Parts, VariableRewrite
from orchestrator.engine.value_rewrites import VARIABLE_REWRITES


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedVariable:
    """A variable that gives way to flags (none: it is deleted)."""

    variable: str
    parts: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedFlag:
    """A flag that gives way to a variable."""

    key: str
    variable: str
    text: str


def moved_variables(
    environment: Mapping[str, str], source: Release, target: Release
) -> Iterator[tuple[str, MovedVariable | Undecided]]:
    """What becomes of the variables that `source` reads and `target` does not."""
    for row in VARIABLE_REWRITES:
        text = environment.get(row.variable)
        if text is None or not source <= row.last < target:
            continue
        parts = row.write(text)
        yield row.variable, _undecided(row) if parts is None else MovedVariable(variable=row.variable, parts=parts)


def moved_flags(vllm: Mapping[str, FlagValue], target: Release) -> Iterator[MovedFlag]:
    """The flags that were a variable in an older release that does not have them."""
    for row in VARIABLE_REWRITES:
        key = written_key(row.flag, vllm, row.since) if row.flag and target < row.since else ""
        text = row.back(canonical_flags(vllm, row.since).get(row.flag)) if key else None
        if text is not None:
            yield MovedFlag(key=key, variable=row.variable, text=text)


def _undecided(row: VariableRewrite) -> Undecided:
    return Undecided(why=row.why, how=(row.how,), since=f"no release reads it from {release_after(row.last)} on")
