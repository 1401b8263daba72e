"""A deployment file and its services made one: what no file alone can say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from orchestrator.config.load import DeploymentFile, ServiceOutline, check_port
from orchestrator.config.neighbours import check_neighbours
from orchestrator.config.tree_values import clipped
from orchestrator.domain.diagnostics import Diagnostic, Report, Severity
from orchestrator.domain.profile import Caches, Deployment, KeyPath, Places, Ports, Secrets, ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.engine.environment_checks import DEV_MODE, opens_dev_mode
from orchestrator.engine.images import default_image

_TAG = re.compile(r":(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*)\Z", re.ASCII)
_RELEASE_IN_TAG = re.compile(r"v?\d+\.\d+\.\d+(?:\.post\d+)?", re.ASCII)


def join(
    file: DeploymentFile,
    services: Sequence[ServiceProfile],
    report: Report,
    outlines: Sequence[ServiceOutline] | None = None,
    *,
    whole: bool = True,
) -> Deployment | None:
    """The deployment with its services and their replicas, or None if and only if an error was added to the report.

    `outlines` are those of all its services, where some of them could not be loaded. `whole`: `services` are all that
    the deployment has.
    """
    findings = [
        *check_together(outlines if outlines is not None else services),
        *check_neighbours(services, file.release, whole=whole and (outlines is None or len(outlines) == len(services))),
        *_too_few_ports(file, services),
        *check_port(file.ports.first, ("ports", "first"), file.places),
        *_open_to_the_network(file),
        *_open_dev_mode(file, services),
        *_other_image(file),
    ]
    report.extend(findings)
    if any(finding.is_error for finding in findings):
        return None
    return Deployment(
        project=file.project,
        release=file.release,
        image=file.image or default_image(file.release),
        services=tuple(replica for service in services for replica in service.as_replicas()),
        ports=file.ports,
        caches=file.caches,
        secrets=file.secrets,
        places=file.places,
    )


def without_file(
    release: Release,
    services: Sequence[ServiceProfile],
    report: Report,
    outlines: Sequence[ServiceOutline] | None = None,
) -> Deployment | None:
    """Services that no deployment names, with the defaults of everything a deployment would say."""
    file = DeploymentFile(
        project="default",
        release=release,
        image=None,
        ports=Ports(),
        caches=Caches(),
        secrets=Secrets(),
        places=Places(services[0].places.file if services else ""),
    )
    return join(file, services, report, outlines, whole=False)


AnyService = ServiceProfile | ServiceOutline


def check_together(services: Sequence[AnyService]) -> Iterator[Diagnostic]:
    """What several services cannot have at once, whatever the deployment file says."""
    yield from _same_names(services)
    yield from _same_ports(services)


def _same_names(services: Sequence[AnyService]) -> Iterator[Diagnostic]:
    """Two services of one name, and a service that is called like a replica of another."""
    first: dict[str, AnyService] = {}
    for service in services:
        if service.name is None:
            continue
        yield from _too_long(service)
        names = dict.fromkeys((service.name, *service.instances))
        taken = next((name for name in names if name in first), None)
        for name in names:
            first.setdefault(name, service)
        if taken is not None:
            other = first[taken]
            whose = [f"`{each.name}`" for each in (other, service) if each.name != taken]
            of = f" (it is a replica of {' and of '.join(whose)})" if whose else ""
            note = f"the other one is {_place(other, ('service',))}"
            message = f"two services are called `{clipped(taken)}`{of}"
            span = service.places.value(("service",))
            yield Diagnostic(code="E130", message=message, span=span, notes=(note,), help=("rename one of them",))


_LONGEST_NAME = 63


def _too_long(service: AnyService) -> Iterator[Diagnostic]:
    """A container's name is a host's name in the network of the containers."""
    name = service.name or ""
    longest = service.instances[-1]
    if len(name) <= _LONGEST_NAME < len(longest):
        yield Diagnostic(
            code="E130",
            message=f"the replica `{longest}` has a name of more than {_LONGEST_NAME} characters",
            span=service.places.value(("service",)),
            notes=(f"{len(longest)} characters: replicas are called after their service, with a number",),
            help=(f"give the service a name of at most {_LONGEST_NAME - len(longest) + len(name)} characters",),
        )


def _same_ports(services: Sequence[AnyService]) -> Iterator[Diagnostic]:
    first: dict[int, AnyService] = {}
    for service in services:
        if service.port is None:
            continue
        ports = range(service.port, service.port + service.replicas)
        if ports[-1] > _LAST_PORT >= service.port:
            yield _beyond_the_last(service, ports)
            continue
        taken = next((port for port in ports if port in first), service.port)
        other = first.get(taken, service)
        first = dict.fromkeys(ports, service) | first
        if other is not service:
            by = f"`{clipped(other.name)}`" if other.name is not None else "another service"
            yield Diagnostic(
                code="E131",
                message=f"port {taken} is taken by {by}",
                span=service.places.value(("port",)),
                notes=(f"{by} takes it at {_place(other, ('port',))}",),
                help=("choose another port, or remove the key: a free one is given out",),
            )


_LAST_PORT = 65535


def _beyond_the_last(service: AnyService, ports: range) -> Diagnostic:
    return Diagnostic(
        code="E131",
        message=f"there are not enough ports from {ports[0]} on for {len(ports)} replicas",
        span=service.places.value(("port",)),
        notes=(f"asked: {len(ports)} ports, available: {_LAST_PORT + 1 - ports[0]}",),
        help=(f"write `port: {_LAST_PORT + 1 - len(ports)}` or less, or remove the key",),
    )


def _place(service: AnyService, path: KeyPath) -> str:
    span = service.places.value(path)
    return f"{span.file}:{span.line}:{span.column}"


def _too_few_ports(file: DeploymentFile, services: Sequence[ServiceProfile]) -> Iterator[Diagnostic]:
    pinned = {
        port for each in services if each.port is not None for port in range(each.port, each.port + each.replicas)
    }
    wanted = sum(service.replicas for service in services if service.port is None)
    room = 65536 - file.ports.first - sum(port >= file.ports.first for port in pinned)
    if wanted > room:
        yield Diagnostic(
            code="E131",
            message=f"there are not enough ports from {file.ports.first} on",
            span=file.places.value(("ports", "first")),
            notes=(f"asked: {wanted} ports, available: {room}",),
            help=(f"write `first: {max(1024, 65536 - wanted - len(pinned) - 1000)}` or less",),
        )


def _open_to_the_network(file: DeploymentFile) -> Iterator[Diagnostic]:
    if file.secrets.api_key is None and not ipaddress.ip_address(file.ports.address).is_loopback:
        yield Diagnostic(
            code="W135",
            message=f"whoever reaches {file.ports.address} can use the models: there is no API key",
            severity=Severity.WARNING,
            span=file.places.value(("ports", "address")),
            help=("write `address: 127.0.0.1`, or name a variable with a key: `secrets: {api-key: VLLM_API_KEY}`",),
        )


def _open_dev_mode(file: DeploymentFile, services: Sequence[ServiceProfile]) -> Iterator[Diagnostic]:
    if ipaddress.ip_address(file.ports.address).is_loopback:
        return
    for service in services:
        if opens_dev_mode(service.environment, file.release):
            who, name = file.ports.address, clipped(service.name)
            yield Diagnostic(
                code="W210",
                message=f"whoever reaches {who} can put `{name}` to sleep: vLLM's dev mode is on",
                severity=Severity.WARNING,
                span=service.places.value(("environment", DEV_MODE)),
                notes=("vLLM asks for the API key under /v1 only, not for /sleep, /wake_up and /reset_prefix_cache",),
                help=(f"write `address: 127.0.0.1` under `ports:`, or delete `{DEV_MODE}`",),
            )


def _other_image(file: DeploymentFile) -> Iterator[Diagnostic]:
    match = _TAG.search(file.image or "")
    if match is None or "@" in (file.image or ""):
        return
    stated = _RELEASE_IN_TAG.match(match["tag"])
    if stated is None and match["tag"] not in ("latest", "nightly"):
        return
    if stated is not None and Release.parse(stated.group()) == file.release:
        return
    is_moving = stated is None
    message = "the tag does not pin a release" if is_moving else "the image's tag is not the pinned release"
    yield Diagnostic(
        code="W134",
        message=f"`{file.image}`: {message}",
        severity=Severity.WARNING,
        span=file.places.value(("image",)),
        notes=(f"`vllm-release` is {file.release}: flags and memory are checked for that one",),
        help=(f"write `{default_image(file.release)}`, or change `vllm-release`",),
    )
