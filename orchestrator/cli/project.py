"""From paths to a project: which files belong together, what they say, and every finding on the way."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.adapters.files import how_to_get_the_right, read_text
from orchestrator.cli.foreign_files import foreign_file, is_foreign
from orchestrator.cli.project_findings import (
    at_the_list,
    empty_path,
    no_profile,
    not_a_service,
    not_listed,
    nothing_there,
    several,
    without_deployment,
)
from orchestrator.domain.diagnostics import Diagnostic, Report, Span
from orchestrator.domain.profile import Deployment, ServiceProfile
from orchestrator.domain.release import Release

if TYPE_CHECKING:
    from orchestrator.config.load import Outline, ServiceOutline
    from orchestrator.config.yaml_nodes import Document

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What the paths lead to. `deployment` is None if and only if the report holds an error.

    `sources` holds the text of every file that was read, by the name that findings use; it is empty where nothing
    of it may be shown.
    """

    deployment: Deployment | None
    report: Report
    sources: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFiles:
    """Everything that was checked: `deployments` as far as they are free of errors."""

    deployments: tuple[Deployment, ...]
    report: Report
    sources: dict[str, str]


def read_project(paths: Sequence[str], *, release: Release | None = None) -> Project:
    """The one deployment that files or directories spell. `release` takes the place of the pinned one.

    A directory means its deployment file and all its services. Service files alone mean a deployment of just these,
    under the deployment file beside them that names them. Several deployments are an error.
    """
    checked = check_files(paths, release=release)
    report = checked.report
    if len(checked.deployments) > 1:
        report.add(several(checked.deployments))
    single = checked.deployments[0] if checked.deployments and not report.has_errors else None
    return Project(deployment=single, report=report, sources=checked.sources)


def check_files(
    paths: Sequence[str],
    *,
    release: Release | None = None,
    with_models: bool = False,
    texts: Mapping[str, str] | None = None,
) -> CheckedFiles:
    """Every deployment that files or directories spell, all of them checked in one run.

    `with_models` adds what the catalogue's facts about a model say against its flags. Whoever plans leaves it out:
    the planner looks at the facts itself, those of local directories and of the hub too. `texts` take the place of
    what stands on the disk.
    """
    reader = _Reader(release, with_models=with_models, texts=texts)
    deployments = [each for group in _grouped(paths, reader) for each in reader.read_group(group)]
    if not deployments and not reader.report.has_errors:
        reader.report.add(nothing_there(paths))
    return CheckedFiles(deployments=tuple(deployments), report=reader.report, sources=reader.sources)


@dataclass(slots=True)
class _Group:
    """Paths of one directory: `is_whole` when the directory itself was named."""

    directory: str
    files: list[str] = field(default_factory=list)
    is_whole: bool = False


def _grouped(paths: Sequence[str], reader: _Reader) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for path in paths:
        if not path:
            reader.report.add(empty_path())
        elif os.path.isdir(path):
            group = groups.setdefault(_plain(path), _Group(path))
            group.is_whole = True
            group.files.extend(reader.profiles_in(path))
        else:
            directory = os.path.dirname(path)
            groups.setdefault(_plain(directory), _Group(directory)).files.append(path)
    return list(groups.values())


def _plain(path: str) -> str:
    return os.path.normpath(path or ".")


class _Reader:
    """Reads every file once, joins what belongs together, and collects the findings."""

    def __init__(self, release: Release | None, *, with_models: bool, texts: Mapping[str, str] | None = None) -> None:
        self.report = Report()
        self.sources: dict[str, str] = {}
        self._release = release
        self._with_models = with_models
        self._texts = {_plain(path): text for path, text in (texts or {}).items()}
        self._documents: dict[str, Document | None] = {}
        self._foreign: set[str] = set()
        self._outlines: dict[str, Outline] = {}

    def profiles_in(self, directory: str) -> list[str]:
        """The YAML files of a directory, in order of name; hidden ones are left out."""
        try:
            names = _yaml_names(directory)
        except OSError as error:
            note, help_ = error.strerror or str(error), how_to_get_the_right(Path(directory))
            message = f"`{directory}` cannot be listed"
            finding = Diagnostic(code="E122", message=message, span=Span(file=directory), notes=(note,), help=(help_,))
            self.report.add(finding)
            return []
        return [_plain(os.path.join(directory, name)) for name in names]

    def read_group(self, group: _Group) -> list[Deployment]:
        """The deployments that the files of one directory spell."""
        from orchestrator.config.load import kind_of

        by_kind: dict[str, list[Document]] = {}
        for key, path in {_plain(path): path for path in group.files}.items():
            document = self._document(path, group.directory)
            if key in self._foreign:
                self.report.add(no_profile(path) if group.is_whole else foreign_file(path))
            if document is not None:
                by_kind.setdefault(kind_of(document), []).append(document)
        self.report.extend(finding for each in by_kind.get("unreadable", ()) for finding in each.findings)
        services = by_kind.get("service", [])
        others = by_kind.get("other", [])
        if group.is_whole:
            self.report.extend(no_profile(document.file) for document in others)
        else:
            services += others
        if "deployment" in by_kind:
            return self._with_deployments(by_kind["deployment"], services)
        return self._services_alone(group.directory, services) if services else []

    def _document(self, path: str, directory: str, listed_at: Span | None = None) -> Document | None:
        """The parsed file; None with a finding when it cannot be read, without one when it is foreign to `directory`.

        `listed_at` is where a deployment names it.
        """
        from orchestrator.config.yaml_tree import parse

        key = _plain(path)
        if key not in self._documents:
            text = self._read(path)
            if isinstance(text, Diagnostic):
                self.report.add(at_the_list(text, path, listed_at, self._listed_beside(listed_at)))
                self._documents[key] = None
            elif is_foreign(path, text, directory):
                self._foreign.add(key)
                self.sources[path] = ""
                self._documents[key] = None
            else:
                self.sources[path] = text
                self._documents[key] = parse(text, path)
        return self._documents[key]

    def _read(self, path: str) -> str | Diagnostic:
        return self._texts[_plain(path)] if _plain(path) in self._texts else read_text(path)

    def _with_deployments(self, documents: list[Document], services: list[Document]) -> list[Deployment]:
        found: list[Deployment] = []
        listed: set[str] = set()
        for document in documents:
            listed |= {_plain(path) for path, _ in self._listed(document)}
            deployment = self._read_deployment(document)
            if deployment is not None:
                found.append(deployment)
        unlisted = [each for each in services if _plain(each.file) not in listed]
        for each in unlisted:
            self.report.add(not_listed(each, documents[0].file))
            self._load(each, documents[0])
        return found

    def _listed_beside(self, listed_at: Span | None) -> frozenset[str]:
        """Everything that the deployment lists in which this place is."""
        outline = self._outlines.get(listed_at.file) if listed_at else None
        directory = os.path.dirname(listed_at.file) if listed_at else ""
        names = outline.service_files if outline else ()
        return frozenset(_plain(os.path.join(directory, name)) for name, _ in names)

    def _listed(self, document: Document) -> list[tuple[str, Span]]:
        """The service files that a deployment lists, each once, as paths that can be opened."""
        directory = os.path.dirname(document.file)
        found: dict[str, tuple[str, Span]] = {}
        for name, span in self._outline(document).service_files:
            path = _plain(os.path.join(directory, name))
            found.setdefault(path, (path, span))
        return list(found.values())

    def _outline(self, document: Document | None) -> Outline:
        from orchestrator.config.load import Outline, outline_of

        key = document.file if document else ""
        if key not in self._outlines:
            alone = Outline(release=self._release) if self._release else Outline()
            self._outlines[key] = outline_of(document, chosen=self._release) if document else alone
        return self._outlines[key]

    def _read_deployment(self, document: Document) -> Deployment | None:
        from orchestrator.config.load import kind_of

        services: list[Document | None] = []
        for path, span in self._listed(document):
            service = self._document(path, os.path.dirname(document.file), span)
            if _plain(path) in self._foreign:
                self.report.add(foreign_file(path, span))
            if service is not None and kind_of(service) == "deployment":
                self.report.add(not_a_service(path, span, is_itself=service is document))
                service = None
            services.append(service)
        return self._join(document, services)

    def _load(self, service: Document, deployment: Document | None) -> ServiceProfile | None:
        from orchestrator.config.load import load_service

        directory = os.path.dirname(service.file)

        def stands_for_directory(model: str) -> bool:
            return os.path.isdir(os.path.join(directory, model))

        asked = stands_for_directory if self._with_models else None
        return load_service(service, self.report, self._outline(deployment), stands_for_directory=asked)

    def _load_all(
        self, services: Sequence[Document | None], deployment: Document | None
    ) -> tuple[list[ServiceProfile], list[ServiceOutline]]:
        """The services that are free of errors, and the outlines of all that could be read."""
        from orchestrator.config.load import outline_of_service

        readable = [service for service in services if service is not None]
        loaded = [self._load(service, deployment) for service in readable]
        return [each for each in loaded if each is not None], [outline_of_service(each) for each in readable]

    def _join(self, document: Document, services: Sequence[Document | None]) -> Deployment | None:
        from orchestrator.config.join import check_together, join
        from orchestrator.config.load import load_deployment

        loaded, outlines = self._load_all(services, document)
        file = load_deployment(document, self.report, chosen=self._release)
        if file is None:
            self.report.extend(check_together(outlines))
            return None
        file = replace(file, release=self._release) if self._release else file
        whole = len(services) == len(self._listed(document))
        deployment = join(file, loaded, self.report, outlines, whole=whole and None not in services)
        return deployment if len(loaded) == len(services) else None

    def _services_alone(self, directory: str, services: list[Document]) -> list[Deployment]:
        """Services without their deployment file: the one beside them that names them says what they inherit."""
        from orchestrator.config.join import without_file

        beside = self._deployments_beside(directory)
        by_deployment: dict[str, list[Document]] = {}
        for service in services:
            named_by = (each for each in beside if _plain(service.file) in {path for path, _ in self._listed(each)})
            owner = next(named_by, None)
            by_deployment.setdefault(owner.file if owner else "", []).append(service)
        found: list[Deployment | None] = []
        for each in beside:
            owned = by_deployment.get(each.file)
            if owned:
                found.append(self._join(each, owned))
        if alone := by_deployment.get("", []):
            release = self._outline(None).release
            self.report.add(without_deployment(alone, release, is_chosen=self._release is not None))
            whole, outlines = self._load_all(alone, None)
            deployment = without_file(release, whole, self.report, outlines)
            found.append(deployment if len(whole) == len(alone) else None)
        return [deployment for deployment in found if deployment is not None]

    def _deployments_beside(self, directory: str) -> list[Document]:
        """The readable deployment files of a directory; nothing about the other files there is reported."""
        from orchestrator.config.load import kind_of
        from orchestrator.config.yaml_tree import parse

        try:
            names = _yaml_names(directory or ".")
        except OSError:
            return []
        found = []
        for name in names:
            path = _plain(os.path.join(directory, name))
            text = self._read(path)
            if isinstance(text, str) and _PROJECT_KEY.search(text):
                document = parse(text, path)
                if kind_of(document) == "deployment":
                    self.sources[path] = text
                    found.append(document)
        return found


_PROJECT_KEY = re.compile(r"^[\ufeff\"' ]*project\b", re.MULTILINE)
"""What a deployment file has for sure; asked before the slower question what the file is."""


def _yaml_names(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        visible = (each for each in entries if each.name.endswith(_SUFFIXES) and not each.name.startswith("."))
        return sorted(each.name for each in visible if not each.is_dir())
