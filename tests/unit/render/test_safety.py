"""What is not rendered, and what is said about it."""

from __future__ import annotations

import pytest
from render_samples import deployment, plan, service

from orchestrator.domain.diagnostics import Diagnostic, Severity, Span
from orchestrator.domain.profile import Deployment, Places, Ports, Secrets
from orchestrator.render.safety import check_deployment, check_hosts


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
    finding = the_finding(deployment(ports=Ports(address="localhost"), places=places))
    assert finding == Diagnostic(
        code="E602",
        message="`localhost` is not an IP address",
        span=span,
        help=("Docker publishes ports on addresses, not names: write `127.0.0.1`",),
    )


def test_a_secret_written_where_its_name_belongs_is_refused_and_not_repeated() -> None:
    finding = the_finding(deployment(secrets=Secrets(hf_token="hf_abc-def")))
    assert finding.code == "E603"
    assert "hf_abc-def" not in repr(finding)
    assert finding.help == ("name the variable, such as `HF_TOKEN`, and set it in your shell",)


@pytest.mark.parametrize("flag", ["api-key", "hf-token"])
def test_secrets_as_flags_are_refused(flag: str) -> None:
    finding = the_finding(deployment(service(vllm={flag: "sk-1234"})))
    assert finding.code == "E604"
    assert "sk-1234" not in repr(finding)
    assert f"`secrets.{flag}`" in finding.help[0]


def test_asking_for_the_stored_token_holds_no_secret() -> None:
    assert codes(deployment(service(vllm={"hf-token": True}))) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("VLLM_API_KEY", "E604"),
        ("HF_TOKEN", "E604"),
        ("HUGGING_FACE_HUB_TOKEN", "E604"),
        ("HF_TOKEN_PATH", "E607"),
        ("AWS_SECRET_ACCESS_KEY", "W604"),
        ("PASSWORD", "W604"),
    ],
)
def test_secrets_in_the_environment_are_named_not_shown(name: str, code: str) -> None:
    finding = the_finding(deployment(service(environment={name: "the-value"})))
    assert finding.code == code
    assert "the-value" not in repr(finding)
    assert finding.is_error == code.startswith("E")


def test_a_token_path_of_the_users_own_is_fine_when_the_deployment_has_no_token() -> None:
    of = deployment(service(environment={"HF_TOKEN_PATH": "/x"}), secrets=Secrets(hf_token=None))
    assert codes(of) == []


def test_ordinary_variables_are_left_alone() -> None:
    assert codes(deployment(service(environment={"NCCL_P2P_DISABLE": "1", "TOKENIZERS_PARALLELISM": "0"}))) == []


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
    assert set(codes(of)) == {"E605"}


def test_a_plan_over_two_hosts_is_refused_with_their_names() -> None:
    of = deployment()
    (finding,) = check_hosts(plan(of, hosts={"small": "other"}), of)
    assert finding.code == "E606"
    assert finding.notes == ("hosts: `box`, `other`",)
