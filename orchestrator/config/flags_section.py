"""The flags under `vllm:`: a service's own over the deployment's defaults, checked against the release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.config.edit_places import Source
from orchestrator.config.edits import plain_edits
from orchestrator.config.flag_edits import changes_for
from orchestrator.config.secret_shapes import names_a_secret
from orchestrator.config.tree_values import as_flag_value, clipped, is_broken
from orchestrator.config.yaml_nodes import Document, MappingNode
from orchestrator.domain.diagnostics import Diagnostic, Fix, Span
from orchestrator.domain.profile import FlagValue, KeyPath, Places
from orchestrator.domain.release import Release
from orchestrator.engine.automatic import as_vllm_may_see
from orchestrator.engine.canonical import named
from orchestrator.engine.checks import check_flags
from orchestrator.engine.environment_checks import check_environment
from orchestrator.engine.flags import plain_name
from orchestrator.engine.problems import FlagProblem

MAX_FLAGS = 1000
"""No release has half as many; looking for the nearest name of each takes its time."""


@dataclass(frozen=True, kw_only=True)
class FlagsSection:
    """One `vllm:` section as written in one file, under `path`. `broken` keys have their finding already."""

    path: KeyPath = ("vllm",)
    places: Places = field(default_factory=lambda: Places(""))
    values: Mapping[str, FlagValue] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    document: Document | None = field(default=None, repr=False, compare=False)

    @cached_property
    def source(self) -> Source | None:
        """The text that the section stands in; whoever mends nothing never asks for it."""
        return Source.of_document(self.document) if self.document else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveFlags:
    """What a service gets, and the section that each flag was written in."""

    values: Mapping[str, FlagValue]
    sections: Mapping[str, FlagsSection]
    own: FlagsSection
    is_complete: bool

    @property
    def origins(self) -> dict[str, Places]:
        return {flag: section.places for flag, section in self.sections.items()}

    def section(self, flag: str) -> FlagsSection:
        """Where a flag is written."""
        return self.sections.get(flag, self.own)

    def key(self, flag: str) -> Span:
        section = self.section(flag)
        return section.places.key((*section.path, flag))

    def value(self, flag: str, path: KeyPath = ()) -> Span:
        section = self.section(flag)
        return section.places.value((*section.path, flag, *path))


def flags_section(document: Document, path: KeyPath, places: Places) -> FlagsSection:
    """The section at a path of a file; empty when there is none, or when it is no mapping (which is said elsewhere)."""
    node: object = document.root
    for part in path:
        entry = node.entries.get(str(part)) if isinstance(node, MappingNode) else None
        node = entry.node if entry else None
    if not isinstance(node, MappingNode):
        return FlagsSection(path=path, places=places, document=document)
    values = {key: as_flag_value(entry.node) for key, entry in node.entries.items()}
    return FlagsSection(
        path=path,
        places=places,
        document=document,
        values={key: value for key, value in values.items() if not is_broken(value)},  # type: ignore[misc]
        broken=frozenset(key for key, value in values.items() if is_broken(value)),
    )


def merge_flags(own: FlagsSection, defaults: FlagsSection, release: Release) -> EffectiveFlags:
    """The service's flags over the defaults. A flag that the service writes in any spelling, even as `null`, hides
    the default; what is `null` is left out."""
    hiding = [_meaning(key, release) for key in (*own.values, *own.broken)]
    values: dict[str, FlagValue] = {}
    sections: dict[str, FlagsSection] = {}
    for key, value in defaults.values.items():
        if value is not None and not _is_hidden(_meaning(key, release), hiding):
            values[key] = value
            sections[key] = defaults
    for key, value in own.values.items():
        if value is not None:
            values[key] = value
            sections[key] = own
    shown_broken = [key for key in defaults.broken if not _is_hidden(_meaning(key, release), hiding)]
    return EffectiveFlags(values=values, sections=sections, own=own, is_complete=not own.broken and not shown_broken)


def _meaning(key: str, release: Release) -> tuple[str, ...]:
    """The flag behind a spelling, with the dotted path into it."""
    meaning = named(key, release)
    return (meaning.flag.name, *meaning.dotted) if meaning else (plain_name(key),)


def _is_hidden(meaning: tuple[str, ...], hiding: Iterable[tuple[str, ...]]) -> bool:
    return any(meaning[: len(other)] == other for other in hiding)


def check_effective(flags: EffectiveFlags, release: Release) -> list[Diagnostic]:
    """What the release says about the flags, each finding at its line in the service's or the deployment's file."""
    if len(flags.values) > MAX_FLAGS:
        return [_too_many(flags)]
    problems = [
        *check_flags(as_vllm_may_see(flags.values, release), release),
        *_unknown_names(flags.own.broken, release),
    ]
    return [finding_about(problem, flags, release) for problem in problems]


def check_variables(environment: Mapping[str, str], flags: EffectiveFlags, release: Release) -> list[Diagnostic]:
    """What the release says about the variables of the container, each finding at its line in the service's file."""
    return [finding_about(each, flags, release) for each in check_environment(environment, flags.values, release)]


def _unknown_names(keys: Iterable[str], release: Release) -> Iterator[FlagProblem]:
    """Findings about the names of keys whose values are broken and have their finding already."""
    for key in sorted(keys):
        yield from (problem for problem in check_flags({key: None}, release) if not problem.on_value)


def _too_many(flags: EffectiveFlags) -> Diagnostic:
    return Diagnostic(
        code="E112",
        message="too many flags under `vllm:`",
        span=flags.own.places.key(flags.own.path),
        notes=(f"{len(flags.values):,} flags; at most {MAX_FLAGS:,} are checked, more than vLLM has",),
        help=("keep the flags that are meant",),
    )


def finding_about(problem: FlagProblem, flags: EffectiveFlags, release: Release) -> Diagnostic:
    """A problem at its line in the service's or the deployment's file."""
    flag = problem.flag
    if problem.variable:
        at = flags.own.places.value if problem.on_value else flags.own.places.key
        span = at(("environment", problem.variable))
    elif not flag:
        span = flags.own.places.key(flags.own.path)
    elif problem.on_value:
        span = flags.value(flag, problem.path)
    else:
        span = flags.key(flag)
    return Diagnostic(
        code=problem.code,
        message=problem.message,
        severity=problem.severity,
        span=span,
        label=problem.label,
        notes=problem.notes,
        help=problem.help or (f"`orchestrate schema service --release {release}` says what every flag takes",),
        hidden=(flags.value(flag),) if flag and names_a_secret(flag) else (),
        fix=_fix(problem, flags.section(flag), release),
    )


def _fix(problem: FlagProblem, section: FlagsSection, release: Release) -> Fix | None:
    if problem.repair is None or section.source is None or problem.repair.key not in section.values:
        return None
    changes = changes_for(problem.repair, section.values, section.path, release)
    edits = plain_edits(section.source, changes) if changes else None
    return Fix(title=problem.help[0] if problem.help else "", edits=edits) if edits else None


def check_null_flags(section: FlagsSection, defaults: FlagsSection | None, release: Release) -> Iterator[Diagnostic]:
    """`null` removes a default; where there is none to remove, a value was forgotten."""
    present = [_meaning(key, release) for key in (*defaults.values, *defaults.broken)] if defaults else []
    for key, value in section.values.items():
        if value is not None or _removes(_meaning(key, release), present):
            continue
        help_ = "write a value, or remove the key"
        note = ("in a service file, `null` removes a default; the deployment has none for this flag",)
        yield Diagnostic(
            code="E105",
            message=f"`{clipped(key)}` has no value",
            span=section.places.key((*section.path, key)),
            notes=note if section.path == ("vllm",) else (),
            help=(help_,),
        )


def _removes(meaning: tuple[str, ...], present: Iterable[tuple[str, ...]]) -> bool:
    return any(other[: len(meaning)] == meaning for other in present)
