"""The shipped deployment through the real engine: rendered, accepted, started in order, confined, removed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"VLLM_API_KEY": "sk-of-the-test", "HF_TOKEN": "hf_of_the_test"}
HOSTILE = "$HOME ${NOT_SET:?} 'one' \"two\"\nthree \\ é 🙂"


def run(
    *command: str, check: bool = True, secrets: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    clean = {name: text for name, text in os.environ.items() if name not in SECRETS}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**clean, **secrets})
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done


def orchestrate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "orchestrator.cli.entry", *arguments)


def compose_config(file: Path) -> dict[str, Any]:
    said = run("docker", "compose", "-f", str(file), "config", "--format", "json", secrets=SECRETS).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def three_free_ports() -> int:
    """The first of three ports in a row that nobody listens on; processes side by side look in different places."""
    start = 18_000 + os.getpid() % 300 * 30
    for first in range(start, start + 30, 3):
        sockets = [socket.socket() for _ in range(3)]
        try:
            for offset, each in enumerate(sockets):
                each.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        else:
            return first
        finally:
            for each in sockets:
                each.close()
    raise AssertionError("no three free ports")


@pytest.mark.usefixtures("compose")
def test_compose_accepts_the_shipped_deployment_and_wants_its_key(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    orchestrate("render", str(ROOT / "configs"), "--inventory", "3xRTX4090", "--offline", "--output", str(file))
    run("docker", "compose", "-f", str(file), "config", "--quiet", secrets=SECRETS)
    refused = run("docker", "compose", "-f", str(file), "config", "--quiet", check=False)
    assert refused.returncode != 0
    assert "set VLLM_API_KEY to the key that clients must send" in refused.stderr
    assert not any(secret in file.read_text() for secret in SECRETS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The shipped deployment, up; by service: what compose was told, what the engine says, what the container saw."""

    told: Mapping[str, Any]
    inspected: Mapping[str, Any]
    seen: Mapping[str, Any]


def _profiles(directory: Path, image: str, project: str) -> Path:
    """The shipped profiles with the stand-in's image, ports that are free, and a hostile value for one service."""
    shutil.copytree(ROOT / "configs", directory)
    deployment = yaml.safe_load((directory / "deployment.yaml").read_text())
    deployment |= {"project": project, "image": image, "ports": {"address": "127.0.0.1", "first": three_free_ports()}}
    (directory / "deployment.yaml").write_text(yaml.safe_dump(deployment))
    micro = yaml.safe_load((directory / "micro.yaml").read_text())
    (directory / "micro.yaml").write_text(yaml.safe_dump({**micro, "environment": {"HOSTILE": HOSTILE}}))
    return directory


@pytest.fixture(scope="module")
def running(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("deployment")
    project = f"orchestrate-test-{os.getpid()}"
    profiles, file = _profiles(directory / "configs", image, project), directory / "compose.yaml"
    orchestrate("render", str(profiles), "--inventory", "3xRTX4090", "--offline", "--output", str(file))
    docker_compose = ("docker", "compose", "-f", str(file), "--progress", "quiet")
    try:
        run(*docker_compose, "up", "--detach", "--wait", "--wait-timeout", "75", secrets=SECRETS)
        told = compose_config(file)["services"]
        yield Running(told=told, inspected=_inspected(docker_compose), seen={name: _seen(told[name]) for name in told})
    finally:
        run(*docker_compose, "down", "--volumes", "--timeout", "2", secrets=SECRETS)
    of_project = ("--quiet", "--filter", f"label=com.docker.compose.project={project}")
    left = [run("docker", kind, "ls", *of_project).stdout for kind in ("container", "network", "volume")]
    assert left == ["", "", ""]


def _inspected(docker_compose: tuple[str, ...]) -> dict[str, Any]:
    containers = run(*docker_compose, "ps", "--quiet", secrets=SECRETS).stdout.split()
    found = json.loads(run("docker", "inspect", *containers).stdout)
    return {each["Config"]["Labels"]["orchestrate.service"]: each for each in found}


def _seen(service: Mapping[str, Any]) -> Any:
    port = service["ports"][0]["published"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/seen", timeout=5) as answer:
        return json.load(answer)


def test_the_whole_argv_arrives(running: Running) -> None:
    given = {name: running.seen[name]["argv"] for name in running.seen}
    assert given == {name: ["serve", *service["command"]] for name, service in running.told.items()}
    assert {name: argv[1] for name, argv in given.items()} == {
        "medium": "Qwen/Qwen3-32B-AWQ",
        "mini": "Qwen/Qwen3-8B-AWQ",
        "micro": "Qwen/Qwen3-1.7B-FP8",
    }


def test_a_hostile_value_arrives(running: Running) -> None:
    assert running.seen["micro"]["environment"]["HOSTILE"] == HOSTILE


def test_each_container_is_given_its_gpus_and_no_other(running: Running) -> None:
    visible = {name: seen["environment"]["NVIDIA_VISIBLE_DEVICES"] for name, seen in running.seen.items()}
    labelled = {name: each["Config"]["Labels"]["orchestrate.gpu-uuids"] for name, each in running.inspected.items()}
    assert visible == labelled
    assert len(visible["medium"].split(",")) == 2
    assert visible["mini"] == visible["micro"]
    assert visible["mini"] not in visible["medium"]


def test_co_tenants_of_a_gpu_start_one_after_the_other(running: Running) -> None:
    waits = [(name, other) for name, service in running.told.items() for other in service.get("depends_on", {})]
    assert {frozenset(pair) for pair in waits} == {frozenset({"mini", "micro"})}
    for name, other in waits:
        healthy = [each["End"] for each in running.inspected[other]["State"]["Health"]["Log"] if each["ExitCode"] == 0]
        assert _utc(running.inspected[name]["State"]["StartedAt"]) >= _utc(healthy[0])


def _utc(moment: str) -> str:
    """The engine writes both with nanoseconds in UTC, once with `Z` and once with an offset of zero."""
    assert moment.endswith(("Z", "+00:00"))
    return moment.removesuffix("Z").removesuffix("+00:00")[:26]


def test_a_container_has_no_capabilities_and_can_gain_none(running: Running) -> None:
    assert {seen["capabilities"] for seen in running.seen.values()} == {"0" * 16}
    assert {seen["no_new_privileges"] for seen in running.seen.values()} == {"1"}


def test_the_key_is_in_the_environment_and_the_token_in_a_file_only(running: Running) -> None:
    for name, seen in running.seen.items():
        assert seen["environment"]["VLLM_API_KEY"] == SECRETS["VLLM_API_KEY"]
        assert seen["hf_token"] == SECRETS["HF_TOKEN"]
        assert SECRETS["HF_TOKEN"] not in json.dumps(running.inspected[name])


def test_ports_are_published_on_loopback_only(running: Running) -> None:
    published = [each["NetworkSettings"]["Ports"]["8000/tcp"] for each in running.inspected.values()]
    assert [[binding["HostIp"] for binding in bindings] for bindings in published] == [["127.0.0.1"]] * 3


def test_workers_get_shared_memory_and_caches_can_be_written_without_privileges(running: Running) -> None:
    assert running.seen["medium"]["shared_memory"] == 8 * 1024**3
    assert running.seen["mini"]["shared_memory"] == 64 * 1024**2
    assert all(seen["caches_are_writable"] == [True, True] for seen in running.seen.values())


def test_a_container_that_fails_is_tried_three_times_and_no_more(running: Running) -> None:
    policies = [each["HostConfig"]["RestartPolicy"] for each in running.inspected.values()]
    assert policies == [{"Name": "on-failure", "MaximumRetryCount": 3}] * 3
