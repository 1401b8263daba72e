"""Deployment files, and what a deployment and its services say together."""

# ruff: noqa: E501 (one case per line)

from __future__ import annotations

import pytest

from orchestrator.config.join import join, without_file
from orchestrator.config.load import DeploymentFile, Outline, load_deployment, load_service, outline_of
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report, Span
from orchestrator.domain.profile import Caches, Deployment, Places, Ports, Secrets, ServiceProfile
from orchestrator.domain.release import Release

SMALLEST = "project: tiers\nvllm-release: 0.32.0\nservices: [a.yaml]\n"


def said(report: Report) -> list[str]:
    return [
        f"{finding.code} {finding.span.line}:{finding.span.column} {finding.message} | {'; '.join(finding.help)}"
        for finding in report
        if finding.span is not None
    ]


def load(text: str) -> tuple[DeploymentFile | None, list[str]]:
    report = Report()
    return load_deployment(parse(text, "deployment.yaml"), report), said(report)


def service(name: str, more: str = "") -> ServiceProfile:
    text = f"service: {name}\nmodel: m/{name}\n{more}"
    profile = load_service(parse(text, f"{name}.yaml"), Report(), Outline(release=Release.of("0.32.0")))
    assert profile is not None
    return profile


def joined(more: str, *services: ServiceProfile) -> tuple[Deployment | None, list[str]]:
    file, findings = load(SMALLEST + more)
    assert file is not None
    assert findings == []
    report = Report()
    return join(file, services, report), said(report)


def test_a_whole_deployment_file_is_read() -> None:
    file, findings = load(
        SMALLEST
        + """\
image: vllm/vllm-openai@sha256:{digest}
defaults: {{vllm: {{gpu-memory-utilization: 0.9}}}}
ports: {{address: "::1", first: 9000}}
caches: {{huggingface: ~/hf, vllm: vllm}}
secrets: {{api-key: null, hf-token: MY_TOKEN}}
""".format(digest="0" * 64)
    )

    assert findings == []
    assert file is not None
    assert file == DeploymentFile(
        project="tiers",
        release=Release.of("0.32.0"),
        image="vllm/vllm-openai@sha256:" + "0" * 64,
        ports=Ports(address="::1", first=9000),
        caches=Caches(huggingface="~/hf", vllm="vllm"),
        secrets=Secrets(api_key=None, hf_token="MY_TOKEN"),
        places=Places(""),
    )


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("project: Tiers\nvllm-release: 0.32.0\nservices: [a.yaml]\n", "E106 1:10 `project` wants a name of lower-case letters, digits, `-` and `_` that starts with a letter or digit, not the text `Tiers` | write it like `project: qwen3-tiers`"),
        ("project: p\nvllm-release: 0.32\nservices: [a.yaml]\n", 'E105 2:15 `vllm-release` wants text, not the number `0.32` | write a release in full, such as `0.32.0`'),
        ("project: p\nvllm-release: newest\nservices: [a.yaml]\n", "E106 2:15 `vllm-release` wants a release of vLLM in full, such as `0.32.0`, not the text `newest` | write a release in full, such as `0.33.0`"),
        ("project: p\nvllm-release: 0.1.0\nservices: [a.yaml]\n", "E140 2:15 vLLM 0.1.0 is older than any release known here | pin 0.6.0 or later"),
        ("project: p\nvllm-release: 99.0.0\nservices: [a.yaml]\n", "W133 2:15 vLLM 99.0.0 is not known here | pin 0.33.0, or update orchestrate"),
        ("project: p\nvllm-release: 0.32.7\nservices: [a.yaml]\n", "W133 2:15 vLLM 0.32.7 is not known here | pin 0.32.0, or update orchestrate"),
        ("project: p\nvllm-release: 0.32.0\nservices: []\n", "E135 3:11 `services` wants at least one entry, not an empty list | write it like `services: [medium.yaml, mini.yaml]`"),
        ("project: p\nvllm-release: 0.32.0\n", "E104 1:1 the key `services` is missing | write `services: [medium.yaml, mini.yaml]`"),
        ("project: p\nvllm-release: 0.32.0\nservices: [/a.yaml]\n", "E106 3:12 `services` wants a file relative to this one that ends in `.yaml` or `.yml`, not the text `/a.yaml` | write it like `services: [medium.yaml, mini.yaml]`"),
        ("project: p\nvllm-release: 0.32.0\nservices: [a.yaml, x/../a.yaml]\n", "E134 3:20 `x/../a.yaml` is listed twice | remove one; a second service needs a file of its own"),
        (SMALLEST + "image: vllm/vllm-openai\n", "E106 4:8 `image` wants an image with a tag or a digest, not the text `vllm/vllm-openai` | pin it, such as `vllm/vllm-openai:v0.32.0` or `vllm/vllm-openai@sha256:…`"),
        (SMALLEST + "ports: {address: localhost}\n", "E106 4:18 `ports.address` wants an IP address, such as `127.0.0.1`, not the text `localhost` | write it like `address: 127.0.0.1`"),
        (SMALLEST + "caches: {vllm: 'a b'}\n", "E106 4:16 `caches.vllm` wants the name of a volume, or a path that starts with `/`, `./`, `../` or `~/`, not the text `a b` | write it like `vllm: vllm-cache`"),
        (SMALLEST + "model: x\n", "E102 4:1 unknown key `model` | `model` belongs in a service file"),
        (SMALLEST + "max-model-len: 1\n", "E102 4:1 unknown key `max-model-len` | `max-model-len` is a flag of vLLM: it belongs under `vllm:` in `defaults:`"),
        (SMALLEST + "defaults: {max-model-len: 1}\n", "E102 4:12 unknown key `max-model-len` | `max-model-len` is a flag of vLLM: it belongs under `vllm:` in `defaults:`"),
        (SMALLEST + "defaults: {vllm: {max-model-len: null}}\n", "E105 4:19 `max-model-len` has no value | write a value, or remove the key"),
        (SMALLEST + "servces: []\n", "E102 4:1 unknown key `servces` | did you mean `services`?"),
    ],
)  # fmt: skip
def test_each_mistake_has_one_finding_at_its_place(text: str, finding: str) -> None:
    file, findings = load(text)

    assert [each for each in findings if not each.startswith("N102")] == [finding]
    assert (file is None) == finding.startswith("E")


@pytest.mark.parametrize(
    ("written", "offered"),
    [
        ("0.8", "`0.8.5.post1`, `0.8.5` or `0.8.4`"),
        ('"0.8"', "`0.8.5.post1`, `0.8.5` or `0.8.4`"),
        ("v0.32", "`0.32.0`"),
        ("0.10", "`0.10.2`, `0.10.1` or `0.10.0`"),
        ("0.32.0rc1", "`0.32.0`"),
        ("0.99", "`0.33.0`"),
        ("3", "`0.33.0`"),
    ],
)
def test_releases_near_what_was_written_are_offered_in_full(written: str, offered: str) -> None:
    _, findings = load(f"project: p\nvllm-release: {written}\nservices: [a.yaml]\n")

    assert [each.partition(" | ")[2] for each in findings] == [
        "correct it: another release may have other flags",
        f"write a release in full, such as {offered}",
    ]


@pytest.mark.parametrize("release", ["", "vllm-release: newest\n", "vllm-release: 1:30\n"])
def test_without_a_readable_release_it_is_said_which_one_stands_in(release: str) -> None:
    text = f"project: p\n{release}services: [a.yaml]\n"
    report = Report()
    load_deployment(parse(text, "deployment.yaml"), report)
    (note,) = [finding for finding in report if finding.code == "N102"]

    assert note.message == "flags were checked against vLLM 0.33.0, the newest known release"
    load_deployment(parse(text, "deployment.yaml"), chosen := Report(), chosen=Release.of("0.20.0"))
    assert not [finding for finding in chosen if finding.code == "N102"]


@pytest.mark.parametrize(
    "written", ["sk-0123456789abcdef", "hf_abcdefghijklmnop", "swordfish", "AKIAIOSFODNN7EXAMPLE", "12"]
)
def test_a_secret_in_the_place_of_its_name_is_never_echoed(written: str) -> None:
    report = Report()

    assert load_deployment(parse(SMALLEST + f"secrets: {{api-key: {written}}}\n", "f"), report) is None

    (finding,) = report
    assert finding.code == "E137"
    assert finding.hidden == (Span(file="f", line=4, column=20, end_line=4, end_column=20 + len(written)),)
    assert written not in f"{finding.message} {finding.label} {finding.notes} {finding.help}"


def test_an_unreadable_file_has_no_deployment() -> None:
    assert load("project: 'x") == (None, ["E101 1:10 this quote is never closed | close the quote"])


def test_an_outline_keeps_what_can_be_read() -> None:
    outline = outline_of(parse("project: 1\nvllm-release: 0.11.0\nservices: [a.yaml, 3, [x]]\n", "f"))

    assert outline.release == Release.of("0.11.0")
    assert [name for name, _ in outline.service_files] == ["a.yaml"]
    assert outline_of(parse("vllm-release: 1\nservices: x\n", "f")).release == Outline().release


def test_services_and_their_file_make_a_deployment() -> None:
    mini, micro = service("mini", "port: 9001\n"), service("micro")

    deployment, findings = joined("", mini, micro)

    assert findings == []
    assert deployment == Deployment(
        project="tiers", release=Release.of("0.32.0"), image="vllm/vllm-openai:v0.32.0", services=(mini, micro)
    )


def test_services_that_no_file_names_get_every_default() -> None:
    deployment = without_file(Release.of("0.32.0"), [service("mini")], Report())

    assert deployment is not None
    assert (deployment.project, deployment.image) == ("default", "vllm/vllm-openai:v0.32.0")
    assert without_file(Release.of("0.32.0"), [], Report()) is not None


def test_two_services_cannot_have_one_name_or_one_port() -> None:
    deployment, findings = joined(
        "", service("mini", "port: 9001\n"), service("micro", "port: 9001\n"), service("mini")
    )

    assert deployment is None
    assert findings == [
        "E131 3:7 port 9001 is taken by `mini` | choose another port, or remove the key: a free one is given out",
        "E130 1:10 two services are called `mini` | rename one of them",
    ]


@pytest.mark.parametrize(
    ("more", "findings"),
    [
        ("ports: {first: 65535}\n", ["E131 4:16 there are not enough ports from 65535 on | write `first: 64534` or less"]),
        ("ports: {first: 443}\n", ["W132 4:16 port 443 is privileged | choose a port from 1024 on, unless the Docker Engine runs as root and this is meant"]),
        ("ports: {address: 0.0.0.0}\n", []),
        ("ports: {address: 0.0.0.0}\nsecrets: {api-key: null}\n", ["W135 4:18 whoever reaches 0.0.0.0 can use the models: there is no API key | write `address: 127.0.0.1`, or name a variable with a key: `secrets: {api-key: VLLM_API_KEY}`"]),
        ("secrets: {api-key: null}\n", []),
        ("image: vllm/vllm-openai:latest\n", ["W134 4:8 `vllm/vllm-openai:latest`: the tag does not pin a release | write `vllm/vllm-openai:v0.32.0`, or change `vllm-release`"]),
        ("image: vllm/vllm-openai:v0.31.0-x86_64\n", ["W134 4:8 `vllm/vllm-openai:v0.31.0-x86_64`: the image's tag is not the pinned release | write `vllm/vllm-openai:v0.32.0`, or change `vllm-release`"]),
        ("image: vllm/vllm-openai:v0.32.0-x86_64\n", []),
        ("image: registry:5000/own/vllm:tuned\n", []),
    ],
)  # fmt: skip
def test_what_the_file_says_is_compared_with_the_rest(more: str, findings: list[str]) -> None:
    deployment, found = joined(more, service("mini"), service("micro"))

    assert found == findings
    assert (deployment is None) == any(finding.startswith("E") for finding in findings)
