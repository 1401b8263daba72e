"""What must not be rendered: ports open to strangers, values that no process can be given, GPUs that nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from orchestrator.domain.diagnostics import Diagnostic, Severity, Span
from orchestrator.domain.plan import Plan
from orchestrator.domain.profile import Deployment, ServiceProfile


def check_deployment(deployment: Deployment) -> tuple[Diagnostic, ...]:
    """Everything the profiles ask for that a compose file cannot or should not hold; errors forbid rendering."""
    unprintable = (finding for service in deployment.services for finding in _unprintable(service))
    return (*_address(deployment), *unprintable)


def check_hosts(plan: Plan, deployment: Deployment) -> tuple[Diagnostic, ...]:
    """A finding when the plan needs more than the one host that a compose file is for."""
    hosts = list(dict.fromkeys(placement.host for placement in plan.placements))
    if len(hosts) <= 1:
        return ()
    finding = Diagnostic(
        code="E603",
        message=f"the plan spreads over {len(hosts)} hosts, and a compose file is for one",
        span=deployment.places.key(("services",)),
        notes=("hosts: " + ", ".join(f"`{host}`" for host in hosts),),
        help=("plan each host by itself: one deployment file per host, with an inventory of that host",),
    )
    return (finding,)


def check_inventory(plan: Plan) -> tuple[Diagnostic, ...]:
    """A warning when the plan was made on GPUs that are nobody's: the file would name UUIDs that no machine has."""
    if not plan.inventory.is_example:
        return ()
    finding = Diagnostic(
        code="W602",
        message="the GPUs of this plan are an example: no machine has their UUIDs",
        severity=Severity.WARNING,
        notes=(f"planned on {plan.inventory.source}",),
        help=(
            "on the machine with the GPUs run `orchestrate render` without `--inventory`, or with what "
            "`orchestrate gpus --json > box.json` wrote there",
        ),
    )
    return (finding,)


def _address(deployment: Deployment) -> Iterator[Diagnostic]:
    address = deployment.ports.address
    if ip_address(address).is_loopback:
        return
    span = deployment.places.value(("ports", "address"))
    if deployment.secrets.api_key is None:
        yield Diagnostic(
            code="E601",
            message=f"ports on `{address}` without an API key: whoever reaches this machine may use the models",
            span=span,
            help=("write `127.0.0.1`, or name the variable that holds a key: `secrets: {api-key: VLLM_API_KEY}`",),
        )
    else:
        yield Diagnostic(
            code="W601",
            message=f"ports on `{address}` can be reached from other machines",
            severity=Severity.WARNING,
            span=span,
            notes=("vLLM asks for the API key under /v1 only: /health and /metrics answer everybody, unencrypted",),
            help=("write `127.0.0.1` and put a proxy with TLS before it",),
        )


def _unprintable(service: ServiceProfile) -> Iterator[Diagnostic]:
    for flag, value in service.vllm.items():
        if any(not _fits_a_process(text) for text in _strings(value)):
            yield _cannot_be_passed(f"the value of `{flag}`", service.flag_value(flag))
    for name, value in service.environment.items():
        if not _fits_a_process(value):
            yield _cannot_be_passed(f"the value of `{name}`", service.places.value(("environment", name)))
    if not _fits_a_process(service.model):
        yield _cannot_be_passed("the value of `model`", service.places.value(("model",)))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            yield from (text for each in value for text in _strings(each))
        case Mapping():
            yield from (text for pair in value.items() for each in pair for text in _strings(each))
        case _:
            return


def _fits_a_process(text: str) -> bool:
    """argv and environment are NUL-terminated UTF-8: no NUL inside, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _cannot_be_passed(what: str, span: Span) -> Diagnostic:
    return Diagnostic(
        code="E602",
        message=f"{what} holds a character that no command line can carry",
        span=span,
        notes=("a NUL, or half of a surrogate pair",),
        help=("take the escape (such as `\\0` or `\\ud800`) out of the text",),
    )
