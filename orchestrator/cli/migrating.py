"""From paths to a whole project in the words of another release, in memory: every file, or every reason why not."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.cli.fixing import identity
from orchestrator.cli.project import CheckedFiles, check_files
from orchestrator.config.flags_section import FlagsSection, merge_flags
from orchestrator.config.load import kind_of, outline_of
from orchestrator.config.migrating import (
    MigratedFile,
    Move,
    Step,
    check_meaning,
    migrate_deployment,
    migrate_service,
    service_section,
)
from orchestrator.config.yaml_nodes import Document
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Diagnostic, Report, Severity, Span
from orchestrator.domain.release import Release
from orchestrator.engine.default_changes import DefaultChange, changed_defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A project on its way to `target`. `texts` are the new ones of the files that change; nobody may write them when
    the report holds an error. All findings point into the files as they are."""

    target: Release
    report: Report
    before: CheckedFiles
    after: CheckedFiles
    texts: Mapping[str, str]
    steps: tuple[Step, ...]
    sources_of: Mapping[str, Release] = field(default_factory=dict)


def migrate_files(paths: Sequence[str], target: Release, *, image: str | None) -> Migration:
    """The files that the paths lead to, with all that belongs to the same deployments, for the target release."""
    before = _whole_projects(paths)
    documents = {file: parse(text, file) for file, text in before.sources.items()}
    deployments = [each for each in documents.values() if kind_of(each) == "deployment"]
    named = [*paths, *(each.file for each in deployments)]
    files: dict[str, MigratedFile] = {}
    report = Report()
    for group in _groups(documents, deployments, Move(source=target, target=target, image=image)):
        files |= _migrate_group(group, report)
    texts = {name: each.text for name, each in files.items() if each.text != before.sources[name]}
    after = check_files(named, release=target, with_models=True, texts=texts)
    report.extend(_afterwards(before, after, report, texts))
    return Migration(
        target=target,
        report=report,
        before=before,
        after=after,
        texts=texts,
        steps=tuple(sorted((step for each in files.values() for step in each.steps), key=lambda step: step.span)),
        sources_of={each.file: outline_of(each).release for each in deployments},
    )


def _whole_projects(paths: Sequence[str]) -> CheckedFiles:
    """What the paths lead to, and all other services of the deployments that this touches."""
    checked = check_files(paths, with_models=True)
    owners = [file for file, text in checked.sources.items() if kind_of(parse(text, file)) == "deployment"]
    return check_files([*paths, *owners], with_models=True) if owners else checked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A deployment file (None: services that no deployment lists) with its services."""

    deployment: Document | None
    services: tuple[Document, ...]
    defaults: FlagsSection
    move: Move


def _groups(documents: Mapping[str, Document], deployments: Sequence[Document], move: Move) -> Iterator[_Group]:
    services = {_plain(name): each for name, each in documents.items() if kind_of(each) == "service"}
    for deployment in deployments:
        outline = outline_of(deployment)
        directory = os.path.dirname(deployment.file)
        names = dict.fromkeys(_plain(os.path.join(directory, name)) for name, _ in outline.service_files)
        listed = tuple(services.pop(name) for name in names if name in services)
        own = replace(move, source=outline.release)
        yield _Group(deployment=deployment, services=listed, defaults=outline.defaults, move=own)
    if services:
        beside = outline_of(deployments[0]) if deployments else None
        alone = replace(move, source=beside.release) if beside else move
        defaults = beside.defaults if beside else FlagsSection()
        yield _Group(deployment=None, services=tuple(services.values()), defaults=defaults, move=alone)


def _plain(path: str) -> str:
    return os.path.normpath(path)


def _migrate_group(group: _Group, report: Report) -> dict[str, MigratedFile]:
    deployment = migrate_deployment(group.deployment, group.move) if group.deployment else None
    services = [migrate_service(each, group.defaults, group.move) for each in group.services]
    found = [*([deployment] if deployment else []), *services]
    for file in found:
        report.extend(file.undecided)
    for service in services:
        report.extend(check_meaning(service, group.defaults, deployment, group.move))
    if deployment is not None:
        report.extend(_notes(group, deployment))
    return {file.document.file: file for file in found}


def _notes(group: _Group, deployment: MigratedFile) -> Iterator[Diagnostic]:
    """What changes although nobody wrote a word of it, with the services that notice."""
    affected: dict[DefaultChange, tuple[str, list[str]]] = {}
    for document in group.services:
        flags = merge_flags(service_section(document), group.defaults, group.move.source).values
        for change, keep in changed_defaults(flags, group.move.source, group.move.target):
            affected.setdefault(change, (keep, []))[1].append(_name(document))
    for change, (keep, services) in affected.items():
        yield _note(change, keep, services, group.move, deployment.span(("vllm-release",)))


def _name(document: Document) -> str:
    return os.path.splitext(os.path.basename(document.file))[0]


def _note(change: DefaultChange, keep: str, services: Sequence[str], move: Move, span: Span) -> Diagnostic:
    is_up = move.source < move.target
    old, new = (change.before, change.after) if is_up else (change.after, change.before)
    shown = ", ".join(services[:5]) + (f" and {len(services) - 5} more" if len(services) > 5 else "")
    return Diagnostic(
        code="N260",
        severity=Severity.NOTE,
        message=f"in vLLM {move.target} {new}; in {move.source} {old}",
        span=span,
        label=f"changed in {change.since}",
        notes=(f"not written, so it changes for: {shown}",),
        help=(f"write `{keep}` to keep it as it was",) if keep else ("nothing keeps it as it was",),
    )


def _afterwards(
    before: CheckedFiles, after: CheckedFiles, report: Iterable[Diagnostic], texts: Mapping[str, str]
) -> Iterator[Diagnostic]:
    """What is wrong with the project in the new release, and what is to be minded there that was not before."""
    known = {identity(finding) for finding in before.report}
    hiding: dict[str, list[Span]] = {}
    for span in (span for finding in before.report for span in finding.hidden):
        hiding.setdefault(span.file, []).append(span)
    said = {(each.span.file, each.span.line) for each in report if each.span is not None and each.is_error}
    for finding in after.report:
        is_new = finding.severity is not Severity.NOTE and identity(finding) not in known
        if not finding.is_error and not is_new:
            continue
        place = _before(finding.span, before.sources, texts)
        if place is None or (place.file, place.line) not in said:
            mapped = (_before(span, before.sources, texts) for span in finding.hidden)
            hidden = (*(span for span in mapped if span), *hiding.get(place.file if place else "", ()))
            yield replace(finding, span=place, fix=None, hidden=hidden)


def _before(span: Span | None, old: Mapping[str, str], new: Mapping[str, str]) -> Span | None:
    """Where the line of a finding stood before the file was changed."""
    if span is None or span.file not in new or span.file not in old:
        return span
    before, after = (text[span.file].split("\n") for text in (old, new))
    for tag, first, last, start, end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if not start <= span.line - 1 < end:
            continue
        if tag == "equal":
            return replace(span, line=span.line + first - start, end_line=span.end_line + first - start)
        line = min(first + span.line - start, max(last, first + 1))
        return Span(file=span.file, line=line, column=1, end_line=line, end_column=2)
    return span
