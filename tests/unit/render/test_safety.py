"""What is not rendered, and what is said about it."""

from __future__ import annotations

import pytest

from orchestrator.domain.diagnostics import Diagnostic, Severity, Span
from orchestrator.domain.profile import Deployment, Places, Ports, Secrets
from orchestrator.render.safety import check_deployment, check_hosts
from tests.unit.render.render_samples import deployment, plan, service


def codes(of: Deployment) -> list[str]:
    return [finding.code for finding in check_deployment(of)]


def the_finding(of: Deployment) -> Diagnostic:
    (finding,) = check_deployment(of)
    return finding


def test_the_defaults_are_safe() -> None:
    of = deployment()
    assert check_deployment(of) == ()
    assert check_hosts(plan(of), of) == ()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_without_a_key_only_loopback_is_published(address: str) -> None:
    assert codes(deployment(ports=Ports(address=address), secrets=Secrets(api_key=None))) == []


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.4", "::"])
def test_other_addresses_need_a_key_and_are_pointed_out_with_one(address: str) -> None:
    assert codes(deployment(ports=Ports(address=address), secrets=Secrets(api_key=None))) == ["E601"]
    finding = the_finding(deployment(ports=Ports(address=address)))
    assert (finding.code, finding.severity) == ("W601", Severity.WARNING)


def test_an_address_finding_points_at_the_address() -> None:
    span = Span(file="deployment.yaml", line=9, column=12, end_line=9, end_column=21)
    places = Places("deployment.yaml", values={("ports", "address"): span})
    finding = the_finding(deployment(ports=Ports(address="::"), secrets=Secrets(api_key=None), places=places))
    assert finding == Diagnostic(
        code="E601",
        message="ports on `::` without an API key: whoever reaches this machine may use the models",
        span=span,
        help=("write `127.0.0.1`, or name the variable that holds a key: `secrets: {api-key: VLLM_API_KEY}`",),
    )


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_what_no_process_can_be_given_is_refused_wherever_it_stands(character: str) -> None:
    of = deployment(
        service(
            "small",
            model=f"m{character}",
            vllm={"a": [1, f"x{character}"], "b": {f"k{character}": None}, "c": {"k": character}, "d": "fine", "e": 2},
            environment={"V": character, "W": "fine"},
        )
    )
    assert [finding.message for finding in check_deployment(of)] == [
        f"the value of `{name}` holds a character that no command line can carry"
        for name in ("a", "b", "c", "V", "model")
    ]
    assert set(codes(of)) == {"E602"}


def test_a_plan_over_two_hosts_is_refused_with_their_names() -> None:
    of = deployment()
    (finding,) = check_hosts(plan(of, hosts={"small": "other"}), of)
    assert finding.code == "E603"
    assert finding.notes == ("hosts: `box`, `other`",)
