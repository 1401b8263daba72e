"""One table: the loader, the schemas, the reference and the shipped profiles agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from orchestrator.config.load import Outline, load_deployment, load_service, outline_of
from orchestrator.config.reference import documented_keys, render_reference
from orchestrator.config.schema import deployment_schema, schema_text, service_schema
from orchestrator.config.table import DeploymentSection, ServiceSection
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.release import Release
from orchestrator.engine.flags import flags
from orchestrator.engine.releases import KNOWN_RELEASES

REPOSITORY = Path(__file__).parents[3]
CONFIGS = REPOSITORY / "configs"
RELEASE = outline_of(parse((CONFIGS / "deployment.yaml").read_text(encoding="utf-8"), "deployment.yaml")).release
SERVICE_HEAD = "service: s\nmodel: m\n"


def validator(schema: dict[str, Any]) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def schema_accepts(schema: dict[str, Any], text: str) -> bool:
    return bool(validator(schema).is_valid(yaml.safe_load(text)))


def loader_accepts_service(text: str) -> bool:
    return load_service(parse(text, "f"), Report(), Outline(release=RELEASE)) is not None


@pytest.mark.parametrize(
    ("name", "schema"), [("service", service_schema(RELEASE)), ("deployment", deployment_schema(RELEASE))]
)
def test_the_shipped_schemas_are_the_generated_ones(name: str, schema: dict[str, Any]) -> None:
    shipped = (CONFIGS / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")

    assert shipped == schema_text(schema), f"run: orchestrate schema {name} --release {RELEASE}"


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.name)
def test_the_shipped_profiles_are_valid_by_the_schema_that_they_name(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    named = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)

    assert named is not None
    schema = json.loads((file.parent / named[1]).read_text(encoding="utf-8"))
    assert list(validator(schema).iter_errors(yaml.safe_load(text))) == []


def test_the_reference_is_the_generated_one() -> None:
    assert (REPOSITORY / "docs" / "profiles.md").read_text(encoding="utf-8") == render_reference()


def test_every_documented_key_exists_and_every_key_is_documented() -> None:
    rows = re.findall(r"^\| `([a-z.-]+)` \|", (REPOSITORY / "docs" / "profiles.md").read_text(encoding="utf-8"), re.M)

    assert rows == [*documented_keys(ServiceSection), *documented_keys(DeploymentSection)]


@pytest.mark.parametrize("section", [ServiceSection, DeploymentSection])
def test_every_key_says_what_it_means(section: type[ServiceSection | DeploymentSection]) -> None:
    assert all(field.description for field in section.model_fields.values())


@pytest.mark.parametrize(
    "line",
    [
        "gpus: auto",
        "gpus: [0, GPU-1a]\nvllm: {tensor-parallel-size: 2}",
        "gpus: []",
        "gpus: [-1]",
        "gpus: none",
        "sharing: exclusive",
        "sharing: mine",
        "priority: 1001",
        "port: 0",
        "port: 8001",
        "revision: ''",
        "revision: main",
        "require: {full-length-requests: 0.5}",
        "require: {full-length-requests: 0}",
        "require: {full: 1}",
        "environment: {A: b}",
        "environment: {A: 1}",
        "environment: {1A: b}",
        "unknown: 1",
        "vllm: {max-model-len: 32k}",
        "vllm: {max_model_len: 32768}",
        "vllm: {max-model-len: 0}",
        "vllm: {max-model-len: x}",
        "vllm: {kv-cache-dtype: fp8}",
        "vllm: {kv-cache-dtype: fp9}",
        "vllm: {enforce-eager: true}",
        "vllm: {no-enforce-eager: true}",
        "vllm: {enforce-eager: 1}",
        "vllm: {gpu-memory-utilization: 1.5}",
        "vllm: {gpu-memory-utilization: 0.5}",
        "vllm: {rope-scaling: {rope_type: yarn, factor: 2.0, original_max_position_embeddings: 32768}}",
        "vllm: {hf-overrides.rope_theta: 1.0}",
        "vllm: {max-modell-len: 1}",
        "vllm: {api-key: x}",
        "vllm: {port: 1}",
        "vllm: 1",
    ],
)
def test_the_schema_and_the_loader_agree_about_a_service(line: str) -> None:
    text = f"{SERVICE_HEAD}{line}\n"

    assert schema_accepts(service_schema(RELEASE), text) == loader_accepts_service(text)


def test_null_removes_a_default_in_a_service_but_means_nothing_in_the_defaults() -> None:
    assert schema_accepts(service_schema(RELEASE), SERVICE_HEAD + "vllm: {max-model-len: null}\n")
    deployment = f"project: p\nvllm-release: {RELEASE}\nservices: [a.yaml]\n"
    null = deployment + "defaults: {vllm: {max-model-len: null}}\n"

    assert schema_accepts(deployment_schema(RELEASE), deployment)
    assert not schema_accepts(deployment_schema(RELEASE), null)
    assert load_deployment(parse(deployment, "f"), Report()) is not None
    assert load_deployment(parse(null, "f"), Report()) is None


@pytest.mark.parametrize("release", [KNOWN_RELEASES[0], Release.of("0.9.2"), KNOWN_RELEASES[-1]], ids=str)
def test_every_release_has_a_schema_of_its_own_flags(release: Release) -> None:
    schema = service_schema(release)
    validator(schema)
    properties = schema["properties"]["vllm"]["properties"]

    assert f"(vLLM {release})" in schema["title"]
    assert {"max-model-len", "rope-scaling"} <= set(properties)
    assert not {"api-key", "host", "port"} & set(properties)
    assert {"enforce-eager", "tensor-parallel-size"} <= set(flags(release)) & set(properties)
    assert properties["gpu-memory-utilization"]["anyOf"][0] == {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
