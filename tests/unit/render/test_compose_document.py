"""The compose file, whole, and what changes when the deployment does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from orchestrator.domain.profile import Caches, Deployment, Ports, Secrets
from orchestrator.domain.release import Release
from orchestrator.render.compose import HEAD_MARK, compose_document, compose_text
from orchestrator.render.compose_service import CONFIG_HASH_LABEL
from orchestrator.render.health import start_period_seconds
from tests.unit.render.render_samples import FACTS, GRANTED, deployment, facts, plan, service

PROBE = (
    "import http.client; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=5); "
    "c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"
)


def rendered(of: Deployment) -> dict[str, Any]:
    return compose_document(plan=plan(of), deployment=of, facts=FACTS)


def one_service(**changes: object) -> dict[str, Any]:
    document: Mapping[str, Any] = rendered(deployment(service("small", **changes)))
    found: dict[str, Any] = document["services"]["small"]
    return found


def without_hash(document: dict[str, Any]) -> dict[str, Any]:
    labels = {name: text for name, text in document["labels"].items() if name != CONFIG_HASH_LABEL}
    return {**document, "labels": labels}


def test_a_service_that_waits_for_its_co_tenant_is_rendered_whole() -> None:
    command = one_service()["command"]
    assert without_hash(one_service()) == {
        "image": "vllm/vllm-openai:v0.32.0",
        "entrypoint": ["vllm", "serve"],
        "command": command,
        "deploy": {
            "resources": {
                "reservations": {"devices": [{"driver": "nvidia", "device_ids": ["GPU-cccc"], "capabilities": ["gpu"]}]}
            }
        },
        "environment": {
            "HF_TOKEN_PATH": "/run/secrets/hf_token",
            "VLLM_API_KEY": "${VLLM_API_KEY:?set VLLM_API_KEY to the key that clients must send}",
            "VLLM_ENGINE_READY_TIMEOUT_S": "1200",
        },
        "secrets": ["hf_token"],
        "volumes": [
            {"type": "volume", "source": "huggingface-cache", "target": "/root/.cache/huggingface"},
            {"type": "volume", "source": "vllm-cache", "target": "/root/.cache/vllm"},
        ],
        "ports": ["127.0.0.1:8001:8000"],
        "networks": ["models"],
        "depends_on": {"smaller": {"condition": "service_healthy"}},
        "healthcheck": {
            "test": ["CMD", "python3", "-c", PROBE],
            "interval": "10s",
            "timeout": "10s",
            "retries": 6,
            "start_period": "1200s",
        },
        "restart": "on-failure:3",
        "init": True,
        "stop_grace_period": "30s",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "logging": {"driver": "json-file", "options": {"max-size": "50m", "max-file": "3"}},
        "labels": {
            "orchestrate.project": "tiers",
            "orchestrate.service": "small",
            "orchestrate.replica": "1",
            "orchestrate.vllm-release": "0.32.0",
            "orchestrate.gpu-uuids": "GPU-cccc",
            "orchestrate.gpu-memory-utilization": "0.45",
        },
    }


def test_the_document_around_the_services() -> None:
    document = rendered(deployment())
    assert list(document) == ["name", "services", "networks", "volumes", "secrets"]
    assert list(document["services"]) == ["heavy", "small", "smaller"]
    assert {key: document[key] for key in document if key != "services"} == {
        "name": "tiers",
        "networks": {"models": {"driver": "bridge"}},
        "volumes": {"huggingface-cache": {}, "vllm-cache": {}},
        "secrets": {"hf_token": {"environment": "HF_TOKEN"}},
    }


def test_the_command_is_the_argv_of_the_pinned_release_in_strings() -> None:
    command = one_service()["command"]
    assert command[0] == "Qwen/small"
    assert all(isinstance(word, str) for word in command)
    assert [command[command.index(flag) + 1] for flag in ("--served-model-name", "--port")] == ["small", "8000"]
    assert "0.45" in command
    assert "65536" in command


def test_a_group_of_workers_gets_both_gpus_and_shared_memory_of_its_own() -> None:
    heavy = rendered(deployment())["services"]["heavy"]
    assert heavy["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] == ["GPU-aaaa", "GPU-bbbb"]
    assert heavy["shm_size"] == "8gb"
    assert "ipc" not in heavy
    assert "depends_on" not in heavy
    assert "shm_size" not in one_service()


@pytest.mark.parametrize(
    ("name", "size", "shared_memory"),
    [("heavy", 4, "8gb"), ("heavy", 6.6, "9gb"), ("small", 4, "8gb"), ("small", 20, "21gb")],
)
def test_kv_cache_that_is_kept_in_ram_gets_the_shared_memory_it_lies_in(
    name: str, size: float, shared_memory: str
) -> None:
    offloading = service(name, vllm={**GRANTED, "kv-offloading-size": size})
    assert rendered(deployment(offloading))["services"][name]["shm_size"] == shared_memory


@pytest.mark.parametrize(
    ("checkpoint_bytes", "seconds"), [(0, 600), (1, 660), (25_000_000 * 60, 660), (19_300_000_000, 1380)]
)
def test_a_larger_checkpoint_may_take_longer_to_start(checkpoint_bytes: int, seconds: int) -> None:
    assert start_period_seconds(checkpoint_bytes) == seconds


def test_releases_that_know_no_ready_timeout_are_not_given_one() -> None:
    old = deployment(service("small"), release=Release.of("0.13.0"))
    assert "VLLM_ENGINE_READY_TIMEOUT_S" not in rendered(old)["services"]["small"]["environment"]


def test_the_environment_of_the_user_is_kept_and_his_ready_timeout_wins() -> None:
    environment = one_service(environment={"A": "x$y", "VLLM_ENGINE_READY_TIMEOUT_S": "9"})["environment"]
    assert list(environment) == ["A", "HF_TOKEN_PATH", "VLLM_API_KEY", "VLLM_ENGINE_READY_TIMEOUT_S"]
    assert environment["A"] == "x$$y"
    assert environment["VLLM_ENGINE_READY_TIMEOUT_S"] == "9"


def test_without_secrets_the_file_asks_for_none() -> None:
    document = rendered(deployment(service("small"), secrets=Secrets(api_key=None, hf_token=None)))
    assert "secrets" not in document
    assert "secrets" not in document["services"]["small"]
    assert list(document["services"]["small"]["environment"]) == ["VLLM_ENGINE_READY_TIMEOUT_S"]


def test_secrets_go_by_the_names_that_the_deployment_gives_them() -> None:
    document = rendered(deployment(service("small"), secrets=Secrets(api_key="KEY", hf_token="TOKEN")))
    environment = document["services"]["small"]["environment"]
    assert environment["VLLM_API_KEY"] == "${KEY:?set KEY to the key that clients must send}"
    assert document["secrets"] == {"hf_token": {"environment": "TOKEN"}}


def test_a_local_model_is_mounted_read_only_and_served_from_inside() -> None:
    small = one_service(model="../weights", revision="abc")
    assert small["volumes"][2] == {
        "type": "bind",
        "source": "../weights",
        "target": "/models/small",
        "read_only": True,
        "bind": {"create_host_path": False},
    }
    assert small["command"][0] == "/models/small"
    assert "--revision" not in small["command"]
    assert small["cap_add"] == ["DAC_READ_SEARCH"]


def test_a_cache_on_the_host_may_be_written_although_its_owner_is_another() -> None:
    document = rendered(deployment(service("small"), caches=Caches(huggingface="~/hf", vllm="named")))
    small = document["services"]["small"]
    assert small["volumes"][0] == {
        "type": "bind",
        "source": "~/hf",
        "target": "/root/.cache/huggingface",
        "bind": {"create_host_path": True},
    }
    assert small["cap_add"] == ["DAC_OVERRIDE"]
    assert document["volumes"] == {"named": {}}


def test_caches_that_are_both_on_the_host_leave_no_named_volume() -> None:
    assert "volumes" not in rendered(deployment(caches=Caches(huggingface="/hf", vllm="./vllm")))


def test_an_ipv6_address_is_bracketed() -> None:
    document = rendered(deployment(service("small"), ports=Ports(address="::1", first=9000)))
    assert document["services"]["small"]["ports"] == ["[::1]:9000:8000"]


def test_a_service_with_tls_is_probed_with_tls() -> None:
    probe = one_service(vllm={"ssl-certfile": "/c.pem", "gpu-memory-utilization": 0.5})["healthcheck"]["test"][3]
    assert "HTTPSConnection('127.0.0.1', 8000, timeout=5, context=ssl._create_unverified_context())" in probe


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": {"A": "1"}},
        {"model": "Qwen/other"},
        {"vllm": {"gpu-memory-utilization": 0.44}},
    ],
)
def test_the_configuration_hash_changes_with_the_service(changes: dict[str, object]) -> None:
    def config_hash(document: dict[str, Any]) -> str:
        return str(document["labels"][CONFIG_HASH_LABEL])

    assert config_hash(one_service()) == config_hash(one_service())
    assert config_hash(one_service()) != config_hash(one_service(**changes))
    assert len(config_hash(one_service())) == 64


def test_the_text_says_where_it_comes_from_and_reads_back_as_the_document() -> None:
    document = rendered(deployment())
    text = compose_text(document, command="orchestrate render configs")
    assert text.splitlines()[:3] == [
        f"{HEAD_MARK}. Do not edit: change the profiles and make it anew with",
        "#   orchestrate render configs",
        "name: tiers",
    ]
    assert yaml.safe_load(text) == document
    assert text == compose_text(rendered(deployment()), command="orchestrate render configs")


def test_numbers_in_argv_are_quoted_because_compose_refuses_bare_ones() -> None:
    lines = compose_text(rendered(deployment())).splitlines()
    assert "    - '0.45'" in lines
    assert "    - '65536'" in lines


def test_the_file_names_no_value_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-very-secret")
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    text = compose_text(rendered(deployment()))
    assert "sk-very-secret" not in text
    assert "hf_very_secret" not in text


def test_facts_of_every_service_set_its_own_start_period() -> None:
    of = deployment()
    document: Any = compose_document(
        plan=plan(of), deployment=of, facts={**FACTS, "heavy": facts(checkpoint_bytes=60_000_000_000)}
    )
    periods = {name: each["healthcheck"]["start_period"] for name, each in document["services"].items()}
    assert periods == {"heavy": "3000s", "small": "1200s", "smaller": "1200s"}
