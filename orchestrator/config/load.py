"""Service and deployment files: from parsed documents to domain values, with every finding in the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from posixpath import normpath

from orchestrator.config.ambiguity_fixes import with_fixes_of_ambiguities
from orchestrator.config.checks_of_text import FILE_NAME
from orchestrator.config.flags_section import (
    FlagsSection,
    check_effective,
    check_null_flags,
    check_variables,
    flags_section,
    merge_flags,
)
from orchestrator.config.hints import hint_for_deployment, hint_for_service
from orchestrator.config.known_models import StandsForDirectory, check_known_model
from orchestrator.config.pins import check_gpus
from orchestrator.config.release_key import check_release, note_about_stand_in, readable_release
from orchestrator.config.structure import check_structure, keys_of
from orchestrator.config.table import MOST_REPLICAS, DeploymentSection, ServiceSection
from orchestrator.config.tree_values import clipped, places_of, scalar_at
from orchestrator.config.yaml_nodes import Document, MappingNode, ScalarNode, SequenceNode
from orchestrator.domain.diagnostics import Diagnostic, Report, Severity, Span
from orchestrator.domain.profile import (
    Caches,
    KeyPath,
    Level,
    Neighbours,
    Places,
    Ports,
    Requirements,
    Secrets,
    ServiceProfile,
    Sharing,
    instance_names,
)
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import ROPE_FLAGS
from orchestrator.engine.flag_values import as_positive_integer
from orchestrator.engine.flags import flags as flags_of
from orchestrator.engine.releases import NEWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What the services need to know of their deployment, as far as it can be read even when the rest is wrong.

    `service_files` are the listed names with their places, without those that no list may hold (nobody opens
    them). `release` is the newest known one where none is readable.
    """

    file: str = ""
    release: Release = NEWEST
    defaults: FlagsSection = field(default_factory=FlagsSection)
    service_files: tuple[tuple[str, Span], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFile:
    """A deployment file without its services. `image` is None when the release's own image is meant."""

    project: str
    release: Release
    image: str | None
    ports: Ports
    caches: Caches
    secrets: Secrets
    places: Places = field(compare=False)


def kind_of(document: Document) -> str:
    """`deployment`, `service`, `other` (a mapping with no key of either), or `unreadable` (no mapping at all)."""
    if document.root is None:
        return "unreadable"
    if "project" in document.keys:
        return "deployment"
    return "service" if document.keys & keys_of(ServiceSection) else "other"


def outline_of(document: Document, *, chosen: Release | None = None) -> Outline:
    """The outline of a deployment file, under the `chosen` release if there is one. Never fails: what cannot be read
    is left out, and so are names that no service file may have."""
    if document.root is None:
        return Outline(file=document.file, release=chosen or NEWEST)
    places = places_of(document.root, document.file)
    return Outline(
        file=document.file,
        release=chosen or readable_release(document.root) or NEWEST,
        defaults=flags_section(document, ("defaults", "vllm"), places),
        service_files=tuple(_service_files(document.root, document.file)),
    )


def _service_files(root: MappingNode, file: str) -> Iterator[tuple[str, Span]]:
    entry = root.entries.get("services")
    items = entry.node.items if entry and isinstance(entry.node, SequenceNode) else ()
    for item in items:
        if isinstance(item, ScalarNode) and isinstance(item.value, str) and FILE_NAME.fits(item.value):
            yield item.value, item.place.span(file)


def load_deployment(document: Document, report: Report, *, chosen: Release | None = None) -> DeploymentFile | None:
    """The deployment, or None if and only if an error was added to the report. `chosen` is the release that takes the
    place of the pinned one."""
    release = chosen or (readable_release(document.root) if document.root else None) or NEWEST
    findings = list(with_fixes_of_ambiguities(document, DeploymentSection, release))
    loaded = _deployment(document, document.root, findings, chosen) if document.root else None
    report.extend(findings)
    return None if any(finding.is_error for finding in findings) else loaded


def _deployment(
    document: Document, root: MappingNode, findings: list[Diagnostic], chosen: Release | None
) -> DeploymentFile | None:
    outline = outline_of(document, chosen=chosen)
    belongs = _where_keys_of_deployments_belong(outline.release)
    section, problems = check_structure(
        root, document.file, DeploymentSection, belongs=belongs, hint=hint_for_deployment
    )
    findings.extend(problems)
    findings.extend(check_null_flags(outline.defaults, None, outline.release))
    findings.extend(_listed_twice(outline))
    release = readable_release(root)
    places = outline.defaults.places
    if release is not None:
        findings.extend(check_release(release, places))
    elif chosen is None:
        findings.append(note_about_stand_in(places))
    if section is None or release is None:
        return None
    return DeploymentFile(
        project=section.project,
        release=release,
        image=section.image or None,
        ports=Ports(address=section.ports.address, first=section.ports.first),
        caches=Caches(huggingface=section.caches.huggingface, vllm=section.caches.vllm),
        secrets=Secrets(api_key=section.secrets.api_key, hf_token=section.secrets.hf_token),
        places=places,
    )


def _listed_twice(outline: Outline) -> Iterator[Diagnostic]:
    seen: dict[str, Span] = {}
    for name, span in outline.service_files:
        plain = normpath(name)
        if plain not in seen:
            seen[plain] = span
            continue
        note = f"it was listed first at {span.file}:{seen[plain].line}:{seen[plain].column}"
        help_ = "remove one; a second service needs a file of its own"
        message = f"`{clipped(name)}` is listed twice"
        yield Diagnostic(code="E134", message=message, span=span, label="listed again", notes=(note,), help=(help_,))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOutline:
    """What one service must not have in common with others, as far as it can be read even when the rest is wrong."""

    places: Places
    name: str | None = None
    port: int | None = None
    replicas: int = 1

    @property
    def instances(self) -> tuple[str, ...]:
        return () if self.name is None else instance_names(self.name, self.replicas)


def outline_of_service(document: Document) -> ServiceOutline:
    """The outline of a service file. Never fails: what cannot be read is None."""
    if document.root is None:
        return ServiceOutline(places=Places(document.file))
    name, port, replicas = (scalar_at(document.root, key) for key in ("service", "port", "replicas"))
    return ServiceOutline(
        name=name if isinstance(name, str) else None,
        port=as_positive_integer(port),
        replicas=min(as_positive_integer(replicas) or 1, MOST_REPLICAS),
        places=places_of(document.root, document.file),
    )


def load_service(
    document: Document, report: Report, outline: Outline, *, stands_for_directory: StandsForDirectory | None = None
) -> ServiceProfile | None:
    """The service under the defaults of its deployment, or None if and only if an error was added to the report.

    With `stands_for_directory`, flags are also checked against what the catalogue knows of the model; it says whether
    a model's name means a directory instead, and is asked only when there is something to say.
    """
    findings = list(with_fixes_of_ambiguities(document, ServiceSection, outline.release))
    loaded = _service(document, document.root, outline, findings, stands_for_directory) if document.root else None
    report.extend(findings)
    return None if any(finding.is_error for finding in findings) else loaded


def _service(
    document: Document,
    root: MappingNode,
    outline: Outline,
    findings: list[Diagnostic],
    stands_for_directory: StandsForDirectory | None,
) -> ServiceProfile | None:
    release = outline.release
    places = places_of(root, document.file)
    belongs = _where_keys_of_services_belong(release)
    section, problems = check_structure(root, document.file, ServiceSection, belongs=belongs, hint=hint_for_service)
    findings.extend(problems)
    own = flags_section(document, ("vllm",), places)
    effective = merge_flags(own, outline.defaults, release)
    findings.extend(check_null_flags(own, outline.defaults, release))
    about_flags = check_effective(effective, release)
    findings.extend(about_flags)
    environment = section.environment if section else {}
    findings.extend(check_variables(environment, effective, release))
    model = scalar_at(root, "model")
    if stands_for_directory and isinstance(model, str) and not any(finding.is_error for finding in about_flags):
        findings.extend(check_known_model(model, effective, environment, release, stands_for_directory))
    findings.extend(check_gpus(root, effective, release, places))
    if section is None:
        return None
    gpus = tuple(section.gpus) if isinstance(section.gpus, list) else None
    findings.extend(check_port(section.port, ("port",), places))
    return ServiceProfile(
        name=section.service,
        model=section.model,
        revision=section.revision or None,
        gpus=gpus,
        sharing=Sharing(section.sharing),
        priority=section.priority,
        replicas=section.replicas,
        spread=Level(section.spread),
        apart_from=Neighbours(gpu=tuple(section.apart_from.gpu), host=tuple(section.apart_from.host)),
        together_with=Neighbours(gpu=tuple(section.together_with.gpu), host=tuple(section.together_with.host)),
        port=section.port or None,
        requirements=Requirements(full_length_requests=float(section.require.full_length_requests)),
        vllm=effective.values,
        environment=section.environment,
        places=places,
        origins=effective.origins,
    )


def check_port(port: int, path: KeyPath, places: Places) -> Iterator[Diagnostic]:
    """A warning for the ports that an ordinary user may not open."""
    if 0 < port < 1024:
        yield Diagnostic(
            code="W132",
            message=f"port {port} is privileged",
            severity=Severity.WARNING,
            span=places.value(path),
            label="below 1024",
            help=("choose a port from 1024 on, unless the Docker Engine runs as root and this is meant",),
        )


def _where_keys_of_services_belong(release: Release) -> Callable[[KeyPath], str | None]:
    def belongs(path: KeyPath) -> str | None:
        key = str(path[-1])
        if len(path) == 1 and _is_flag(key, release):
            return f"`{key}` is a flag of vLLM: it belongs under `vllm:`"
        if len(path) == 1 and key in keys_of(DeploymentSection):
            return f"`{key}` belongs in the deployment file"
        return None

    return belongs


def _where_keys_of_deployments_belong(release: Release) -> Callable[[KeyPath], str | None]:
    def belongs(path: KeyPath) -> str | None:
        key = str(path[-1])
        if len(path) == 1 and key in keys_of(ServiceSection):
            return f"`{key}` belongs in a service file"
        if path in ((key,), ("defaults", key)) and _is_flag(key, release):
            return f"`{key}` is a flag of vLLM: it belongs under `vllm:` in `defaults:`"
        return None

    return belongs


def _is_flag(key: str, release: Release) -> bool:
    name = key.replace("_", "-")
    return name in flags_of(release) or name in ROPE_FLAGS
