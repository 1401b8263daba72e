"""Secrets in any text or key of a profile: each is found, none is repeated, and ordinary texts are none."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from orchestrator.catalog.gpus import known_gpus
from orchestrator.catalog.models import known_models
from orchestrator.config.load import Outline, load_deployment, load_service
from orchestrator.config.secret_shapes import looks_like_secret, masked, names_a_secret
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Diagnostic, Report, Span
from orchestrator.engine.images import default_image
from orchestrator.engine.releases import KNOWN_RELEASES

BODY = "abcdefghijklmnopqrstuvwxyzABCDEFGH"
SECRETS = [
    f"hf_{BODY}",
    f"sk-proj-{BODY}",
    "sk-0123456789abcdef",
    f"sk-ant-api03-{BODY}",
    f"ghp_{BODY}12",
    f"github_pat_11ABCDEFG0_{BODY}",
    "glpat-abcdefgh01234567ABCD",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-123456789012-abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
    f"nvapi-{BODY}",
    "postgres://u:hunter2pass@h/db",
    "redis://:hunter2pass@h:6379",
    "https://u:p@ss:w0rd@h",
    "user:s3cr3tpw@reg.io/x:1",
    "Bearer abcdefghijklmnopqrstuvwxyz",
]
TEXTS = [
    "0123456789abcdef0123456789abcdef01234567",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "GPU-8d5d3a1c-52c8-4a4e-9a0e-3f1f5a1f2c3d",
    "8d5d3a1c-52c8-4a4e-9a0e-3f1f5a1f2c3d",
    "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==",
    "eyJmYWN0b3IiOiA0LjAsICJyb3BlX3R5cGUiOiAieWFybiJ9",
    "org/task-specific-model-20240101-instruct",
    "org/sk-learn-classification",
    "org/en-sk-translation20240101base",
    "meta-llama/Llama-2-7b-chat-hf",
    "llava-hf/llava-1.5-7b-hf",
    "/models/hf_cache/disk-0123456789abcdef",
    "http://127.0.0.1:8000/v1/models@main",
    '{"url":"tcp://127.0.0.1:5555","mail":"a@b"}',
    "docker://ubuntu:24.04@sha256:e3b0c44298fc1c149afbf4c8996fb924",
    "ubuntu:24.04@sha256:e3b0c44298fc1c149afbf4c8996fb924",
    "reg.io:5000/x:1@sha256:e3b0c44298fc1c149afbf4c8996fb924",
    "mailto:someone@example.org",
    "git+ssh://git@example.com:22/org/repository",
    "{{ messages[0]['content'] }}<|im_start|>assistant",
]  # fmt: skip
SERVICE = "service: mini\nmodel: m\n"
DEPLOYMENT = "project: p\nvllm-release: 0.32.0\nservices: [a.yaml]\n"


@pytest.mark.parametrize("secret", SECRETS)
def test_the_known_shapes_are_secrets(secret: str) -> None:
    assert looks_like_secret(secret)
    assert looks_like_secret(f"/caches/{secret}") or "@" in secret
    assert masked(f"a {secret} b").count("*") >= 4


@pytest.mark.parametrize("text", [*TEXTS, *known_models(), *(gpu.name for gpu in known_gpus())])
def test_ordinary_texts_are_no_secrets(text: str) -> None:
    assert not looks_like_secret(text)
    assert masked(text) == text


def test_images_and_flags_of_every_release_are_no_secrets() -> None:
    assert not [release for release in KNOWN_RELEASES if looks_like_secret(default_image(release))]


def findings_of(text: str, load: Callable[..., object], *more: object) -> list[Diagnostic]:
    report = Report()
    assert load(parse(text, "f"), report, *more) is None
    return list(report)


def echoed(findings: list[Diagnostic]) -> str:
    return " ".join(" ".join((each.message, each.label, *each.notes, *each.help)) for each in findings)


@pytest.mark.parametrize(
    "place",
    [
        "service: mini\nmodel: m\nvllm: {hf-overrides: {a: SECRET}}\n",
        "service: mini\nmodel: m\nvllm: {hf-overrides: {a: [1, {b: SECRET}]}}\n",
        "service: mini\nmodel: m\nvllm: {hf-overrides: {SECRET: 1}}\n",
        "service: mini\nmodel: m\nvllm: {chat-template: SECRET}\n",
        "service: mini\nmodel: m\nvllm: {max-model-len: SECRET}\n",
        "service: mini\nmodel: m\nvllm: {SECRET: 1}\n",
        "service: mini\nmodel: m\nrevision: SECRET\n",
        "service: mini\nmodel: m\nenvironment: {SECRET: x}\n",
        "service: mini\nmodel: m\nenvironment: {X: SECRET}\n",
        "service: mini\nmodel: m\ngpus: [SECRET]\n",
        "service: SECRET\nmodel: m\n",
        "service: mini\nmodel: SECRET\n",
        "service: mini\nmodel: m\nSECRET: 1\n",
    ],
)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_anywhere_in_a_service_file_is_one_finding_that_never_repeats_it(place: str, secret: str) -> None:
    text = place.replace("SECRET", json.dumps(secret))
    findings = findings_of(text, load_service, Outline())

    assert [each.code for each in findings] == ["E137"]
    assert secret not in echoed(findings)
    where = text.split("\n").index(next(line for line in text.split("\n") if secret in line)) + 1
    column = text.split("\n")[where - 1].index(json.dumps(secret)) + 1
    end = column + len(json.dumps(secret))
    assert Span(file="f", line=where, column=column, end_line=where, end_column=end) in findings[0].hidden


@pytest.mark.parametrize(
    "place",
    [
        DEPLOYMENT.replace("project: p", "project: SECRET"),
        DEPLOYMENT.replace("[a.yaml]", "[a.yaml, SECRET]"),
        DEPLOYMENT.replace("0.32.0", "SECRET"),
        DEPLOYMENT + "image: SECRET\n",
        DEPLOYMENT + "caches: {huggingface: SECRET}\n",
        DEPLOYMENT + "ports: {address: SECRET}\n",
        DEPLOYMENT + "secrets: {hf-token: SECRET}\n",
        DEPLOYMENT + "defaults: {vllm: {chat-template: SECRET}}\n",
    ],
)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_anywhere_in_a_deployment_file_is_found_too(place: str, secret: str) -> None:
    findings = findings_of(place.replace("SECRET", json.dumps(secret)), load_deployment)

    assert [each.code for each in findings if each.is_error] == ["E137"]
    assert secret not in echoed(findings)


def test_each_secret_says_where_it_stands_and_what_to_do() -> None:
    text = SERVICE + f"environment: {{X: 'postgres://u:p@h'}}\nvllm:\n  hf-overrides: {{a: [{SECRETS[0]}]}}\n"
    findings = findings_of(text + f"{SECRETS[1]}: 1\n", load_service, Outline())

    assert [(each.span.line, each.message, each.help) for each in findings if each.span] == [
        (
            3,
            "`X` looks like a secret, and a profile is no place for one",
            (
                "write the address without the password; what must stay secret can come from a file of your own: "
                "`docker compose -f compose.yaml -f own.yaml up`",
            ),
        ),
        (
            5,
            "`vllm.hf-overrides.a` looks like a secret, and a profile is no place for one",
            (
                "remove it here, set the variable where you run `orchestrate`, and name it: "
                "`secrets: {hf-token: HF_TOKEN}` in the deployment file",
            ),
        ),
        (
            6,
            "a key of this file looks like a secret, and a profile is no place for one",
            (
                "remove it here; what must stay secret can come from a file of your own: "
                "`docker compose -f compose.yaml -f own.yaml up`",
            ),
        ),
    ]


def test_a_variable_whose_name_says_secret_is_one_whatever_its_value() -> None:
    findings = findings_of(SERVICE + "environment: {MY_PASSWORD: 5, DB_KEY: [x]}\n", load_service, Outline())

    assert [each.code for each in findings] == ["E137", "E137"]


def test_what_is_too_long_for_a_message_hides_its_password_all_the_same() -> None:
    long = "postgres://" + "u" * 50 + ":hunter2pass" + "p" * 50 + "@h"
    findings = findings_of(SERVICE + f'vllm: {{"{long}": 1, "{long}": 2}}\n', load_service, Outline())

    assert "hunter2" not in echoed(findings)


@pytest.mark.parametrize("name", ["DB_PASS", "MYPWD", "PGPASSWORD", "API-TOKEN", "dbPassword", "AWS_SECRET_ACCESS_KEY"])
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "TOKENIZERS_PARALLELISM", "max-num-batched-tokens", "BYPASS"])
def test_names_of_other_things(name: str) -> None:
    assert not names_a_secret(name)
