"""What the catalogue's facts about a model say against its flags: found without a GPU, a file or the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from orchestrator.catalog.models import find_model
from orchestrator.config.flags_section import EffectiveFlags, finding_about
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.compatibility import check_model
from orchestrator.engine.problems import FlagProblem

StandsForDirectory = Callable[[str], bool]
"""Whether what stands under `model` names a directory, which then decides and not the catalogue."""


@dataclass(frozen=True, slots=True)
class _Flags:
    """Flags that can be looked up in a cache: two with one `text` say the same."""

    text: str
    values: Mapping[str, FlagValue] = field(compare=False)


def check_known_model(
    model: str,
    flags: EffectiveFlags,
    environment: Mapping[str, str],
    release: Release,
    stands_for_directory: StandsForDirectory,
) -> Iterator[Diagnostic]:
    """Findings about lengths, quantisation and sharding for a model of the catalogue, each at the line of its flag."""
    written = _Flags(repr(sorted(flags.values.items(), key=lambda item: item[0])), flags.values)
    problems = _problems(model, written, tuple(sorted(environment.items())), release)
    if not problems or stands_for_directory(model):
        return
    for problem in problems:
        finding = finding_about(problem, flags, release)
        at_model = None if problem.flag or problem.variable else flags.own.places.value(("model",))
        yield replace(finding, span=at_model or finding.span)


@lru_cache(maxsize=1024)
def _problems(
    model: str, flags: _Flags, environment: tuple[tuple[str, str], ...], release: Release
) -> tuple[FlagProblem, ...]:
    facts = find_model(model)
    if facts is None:
        return ()
    return check_model(vllm=flags.values, environment=dict(environment), release=release, facts=facts)
