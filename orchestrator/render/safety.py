"""What must not be rendered: secrets in plain text, ports open to strangers, values that no process can be given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from orchestrator.domain.diagnostics import Diagnostic, Severity, Span
from orchestrator.domain.plan import Plan
from orchestrator.domain.profile import Deployment, Secrets, ServiceProfile

_SECRET_FLAGS = ("api-key", "hf-token")
_SECRET_VARIABLES = {"VLLM_API_KEY": "api-key", "HF_TOKEN": "hf-token", "HUGGING_FACE_HUB_TOKEN": "hf-token"}
_LOOKS_SECRET = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)$")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check_deployment(deployment: Deployment) -> tuple[Diagnostic, ...]:
    """Everything the profiles ask for that a compose file cannot or should not hold; errors forbid rendering."""
    findings = [*_address(deployment), *_variable_names(deployment)]
    for service in deployment.services:
        findings += _secrets_in_flags(service)
        findings += _secrets_in_environment(service, deployment.secrets)
        findings += _unprintable(service)
    return tuple(findings)


def check_hosts(plan: Plan, deployment: Deployment) -> tuple[Diagnostic, ...]:
    """A finding when the plan needs more than the one host that a compose file is for."""
    hosts = list(dict.fromkeys(placement.host for placement in plan.placements))
    if len(hosts) <= 1:
        return ()
    finding = Diagnostic(
        code="E606",
        message=f"the plan spreads over {len(hosts)} hosts, and a compose file is for one",
        span=deployment.places.key(("services",)),
        notes=("hosts: " + ", ".join(f"`{host}`" for host in hosts),),
        help=("plan each host by itself: one deployment file per host, with an inventory of that host",),
    )
    return (finding,)


def _address(deployment: Deployment) -> Iterator[Diagnostic]:
    address = deployment.ports.address
    span = deployment.places.value(("ports", "address"))
    try:
        is_loopback = ip_address(address).is_loopback
    except ValueError:
        yield Diagnostic(
            code="E602",
            message=f"`{address}` is not an IP address",
            span=span,
            help=("Docker publishes ports on addresses, not names: write `127.0.0.1`",),
        )
        return
    if is_loopback:
        return
    if deployment.secrets.api_key is None:
        yield Diagnostic(
            code="E601",
            message=f"ports on `{address}` without an API key: whoever reaches this machine may use the models",
            span=span,
            help=("write `127.0.0.1`, or set `secrets.api-key` to the name of the variable that holds a key",),
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


def _variable_names(deployment: Deployment) -> Iterator[Diagnostic]:
    names = {"api-key": deployment.secrets.api_key, "hf-token": deployment.secrets.hf_token}
    for key, name in names.items():
        if name is not None and not _VARIABLE_NAME.fullmatch(name):
            yield Diagnostic(
                code="E603",
                message=f"`secrets.{key}` is not the name of an environment variable",
                span=deployment.places.value(("secrets", key)),
                notes=(
                    "a name has letters, digits and underscores; the value it had is not shown: it may be a secret",
                ),
                help=(f"name the variable, such as `{key.replace('-', '_').upper()}`, and set it in your shell",),
            )


def _secrets_in_flags(service: ServiceProfile) -> Iterator[Diagnostic]:
    for flag in _SECRET_FLAGS:
        if isinstance(service.vllm.get(flag), str | list):  # `hf-token: true` holds no secret
            yield _secret_in_plain_text(f"`{flag}` under `vllm`", service.flag_key(flag), flag)


def _secrets_in_environment(service: ServiceProfile, secrets: Secrets) -> Iterator[Diagnostic]:
    for name in service.environment:
        span = service.places.key(("environment", name))
        if name in _SECRET_VARIABLES:
            yield _secret_in_plain_text(f"`{name}` under `environment`", span, _SECRET_VARIABLES[name])
        elif name == "HF_TOKEN_PATH" and secrets.hf_token is not None:
            yield Diagnostic(
                code="E607",
                message=f"`{name}` is set by the compose file itself, to where it mounts `secrets.hf-token`",
                span=span,
                help=(f"take it out, or take `secrets.hf-token` out of the deployment (now `{secrets.hf_token}`)",),
            )
        elif _LOOKS_SECRET.search(name):
            yield Diagnostic(
                code="W604",
                message=f"`{name}` looks like a secret, and its value will stand in the compose file",
                severity=Severity.WARNING,
                span=span,
                help=("keep the compose file out of version control, or let the image read the value from a file",),
            )


def _secret_in_plain_text(what: str, span: Span, key: str) -> Diagnostic:
    return Diagnostic(
        code="E604",
        message=f"{what} would put a secret into the compose file",
        span=span,
        help=(f"take it out, and name the environment variable that holds it under `secrets.{key}` of the deployment",),
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
        code="E605",
        message=f"{what} holds a character that no command line can carry",
        span=span,
        notes=("a NUL, or half of a surrogate pair",),
        help=("take the escape (such as `\\0` or `\\ud800`) out of the text",),
    )
