"""Ports on the host: those that profiles ask for, and a row of free ones for the rest."""

from __future__ import annotations

from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import Deployment

_LAST_PORT = 65535


def hand_out_ports(deployment: Deployment) -> tuple[dict[str, int], tuple[Rejection, ...]]:
    """A port for every service, in the order of the file from `ports.first` on; E511 and E512 where that fails."""
    ports: dict[str, int] = {}
    owners: dict[int, str] = {}
    rejections = []
    for service in deployment.services:
        if service.port is None:
            continue
        if service.port in owners:
            rejections.append(_taken(service.name, service.port, owners[service.port]))
        owners.setdefault(service.port, service.name)
        ports[service.name] = service.port
    candidate = deployment.ports.first
    for service in deployment.services:
        if service.port is not None:
            continue
        while candidate in owners:
            candidate += 1
        if candidate > _LAST_PORT:
            rejections.append(_none_left(service.name, deployment.ports.first))
            break
        owners[candidate] = service.name
        ports[service.name] = candidate
    return ports, tuple(rejections)


def _taken(service: str, port: int, owner: str) -> Rejection:
    return Rejection(
        code="E511",
        service=service,
        message=f"port `{port}` is taken by `{owner}`",
        blame=("port",),
        others=(owner,),
        help=(f"give `{service}` another port, or leave `port:` out and it gets a free one",),
    )


def _none_left(service: str, first: int) -> Rejection:
    return Rejection(
        code="E512",
        service=service,
        message=f"no port is left for `{service}` from {first} to {_LAST_PORT}",
        blame=("port",),
        help=("let the deployment's `ports.first` begin lower",),
    )
