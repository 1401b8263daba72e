"""From paths to projects: which files belong together, and what is said when they do not."""

# ruff: noqa: E501 (whole findings)

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.cli.project import Project, check_files, read_project
from orchestrator.domain.diagnostics import Span
from orchestrator.domain.release import Release

DEPLOYMENT = "project: tiers\nvllm-release: 0.32.0\nservices: [mini.yaml, micro.yaml]\n"
MINI = "service: mini\nmodel: m\n"
MICRO = "service: micro\nmodel: m\n"
WHOLE = {"deployment.yaml": DEPLOYMENT, "mini.yaml": MINI, "micro.yaml": MICRO}


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(files: Mapping[str, str], directory: str = "configs") -> None:
    for name, text in files.items():
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def said(project: Project) -> list[str]:
    return [
        f"{finding.code} {finding.span.file}:{finding.span.line}:{finding.span.column} {finding.message}"
        if finding.span
        else f"{finding.code} {finding.message}"
        for finding in project.report
    ]


def names(project: Project) -> list[str] | None:
    return [service.name for service in project.deployment.services] if project.deployment else None


def test_a_directory_means_its_deployment_with_all_services_in_order() -> None:
    write(WHOLE)

    project = read_project(["configs"])

    assert said(project) == []
    assert names(project) == ["mini", "micro"]
    assert project.sources == {f"configs/{name}": text for name, text in WHOLE.items()}


@pytest.mark.parametrize("path", ["configs/deployment.yaml", "./configs/", "configs/../configs"])
def test_the_deployment_file_alone_means_the_same(path: str) -> None:
    write(WHOLE)

    assert names(read_project([path])) == ["mini", "micro"]


def test_the_current_directory_can_be_the_project() -> None:
    write(WHOLE, ".")

    project = read_project(["."])

    assert sorted(project.sources) == ["deployment.yaml", "micro.yaml", "mini.yaml"]
    assert names(read_project(["mini.yaml"])) == ["mini"]


def test_a_service_alone_gets_what_the_deployment_beside_it_says() -> None:
    write({**WHOLE, "deployment.yaml": DEPLOYMENT + "defaults: {vllm: {max-model-len: 4096}}\n"})

    project = read_project(["configs/micro.yaml"])

    assert said(project) == []
    assert project.deployment is not None
    assert (project.deployment.project, names(project)) == ("tiers", ["micro"])
    assert project.deployment.services[0].vllm == {"max-model-len": 4096}


def test_a_service_that_no_deployment_names_is_checked_against_the_newest_release() -> None:
    write({"mini.yaml": MINI, "broken.yaml": "project: '"})

    project = read_project(["configs/mini.yaml"])

    assert said(project) == ["N101 configs/mini.yaml:1:1 checked against vLLM 0.33.0, the newest known release"]
    assert project.deployment is not None
    assert (project.deployment.project, project.deployment.release.text) == ("default", "0.33.0")


def test_services_of_a_directory_without_a_deployment_are_one_project() -> None:
    write({f"s{number}.yaml": f"service: s{number}\nmodel: m\n" for number in range(5)})

    project = read_project(["configs"], release=Release.of("0.20.0"))

    (note,) = project.report
    assert note.message == "checked against vLLM 0.20.0, as asked"
    assert note.notes == (
        "no deployment file beside `configs/s0.yaml`, `configs/s1.yaml`, `configs/s2.yaml` and others lists them",
    )
    assert names(project) == ["s0", "s1", "s2", "s3", "s4"]


def test_services_of_two_deployments_go_to_their_own() -> None:
    write(
        {
            **WHOLE,
            "other.yaml": "project: other\nvllm-release: 0.31.0\nservices: [big.yaml]\n",
            "big.yaml": "service: big\nmodel: m\n",
        }
    )

    checked = check_files(["configs/mini.yaml", "configs/big.yaml"])

    assert [(each.project, [service.name for service in each.services]) for each in checked.deployments] == [
        ("tiers", ["mini"]),
        ("other", ["big"]),
    ]


def test_several_deployments_can_be_checked_but_not_planned() -> None:
    write({**WHOLE, "staging.yaml": "project: staging\nvllm-release: 0.31.0\nservices: [mini.yaml]\n"})

    checked = check_files(["configs"])
    project = read_project(["configs"])

    assert [each.project for each in checked.deployments] == ["tiers", "staging"]
    assert not checked.report.has_errors
    assert said(project) == ["E136 2 deployments, and one can be planned at a time"]
    assert project.deployment is None


def test_a_release_can_be_put_in_the_place_of_the_pinned_one() -> None:
    write(WHOLE)

    project = read_project(["configs"], release=Release.of("0.20.0"))

    assert project.deployment is not None
    assert project.deployment.release == Release.of("0.20.0")
    assert project.deployment.image == "vllm/vllm-openai:v0.20.0"


def test_everything_wrong_is_said_in_one_run() -> None:
    write(
        {
            "deployment.yaml": "project: tiers\nvllm-release: 0.32.0\nservices: [mini.yaml, gone.yaml, deployment.yaml, sub]\nx: 1\n",
            "mini.yaml": "service: mini\nmodel: 1\n",
            "free.yaml": "service: free\ncolour: 1\nmodel: m\n",
            "hosts.yaml": "hosts: []\n",
            "bad.yml": "a: '\n",
            ".hidden.yaml": "a: '\n",
            "notes.txt": "a: '\n",
        }
    )
    Path("configs/latin.yaml").write_bytes(b"a: \xff\n")

    project = read_project(["configs", "configs/mini.yaml"])

    assert project.deployment is None
    assert said(project) == [
        "E101 configs/bad.yml:1:4 this quote is never closed",
        "E120 configs/deployment.yaml:3:23 `configs/gone.yaml` does not exist",
        "E138 configs/deployment.yaml:3:34 `configs/deployment.yaml` lists itself",
        "E106 configs/deployment.yaml:3:51 `services` wants a file relative to this one that ends in `.yaml` or `.yml`, not the text `sub`",
        "E102 configs/deployment.yaml:4:1 unknown key `x`",
        "W130 configs/free.yaml:1:1 no deployment lists `configs/free.yaml`",
        "E102 configs/free.yaml:2:1 unknown key `colour`",
        "W131 configs/hosts.yaml:1:1 `configs/hosts.yaml` is no profile and was left out",
        "E123 configs/latin.yaml:1:4 `configs/latin.yaml` is not UTF-8 text",
        "E105 configs/mini.yaml:2:8 `model` wants text, not the number `1`",
    ]


def test_services_that_clash_are_said_even_when_the_deployment_is_wrong() -> None:
    write({**WHOLE, "deployment.yaml": DEPLOYMENT + "x: 1\n", "micro.yaml": MINI})

    assert said(read_project(["configs"])) == [
        "E102 configs/deployment.yaml:4:1 unknown key `x`",
        "E130 configs/micro.yaml:1:10 two services are called `mini`",
    ]


def test_bad_bytes_in_a_listed_file_are_shown_where_they_are() -> None:
    write({"deployment.yaml": DEPLOYMENT, "micro.yaml": MICRO})
    Path("configs/mini.yaml").write_bytes(b"service: mini\nmodel: \xff\n")

    assert said(read_project(["configs/deployment.yaml"])) == [
        "E123 configs/mini.yaml:2:8 `configs/mini.yaml` is not UTF-8 text"
    ]


def test_a_file_that_was_named_must_be_a_profile() -> None:
    write({"hosts.yaml": "hosts: []\n"})

    assert [line[:4] for line in said(read_project(["configs/hosts.yaml"]))] == ["E102", "E104", "E104", "N101"]


@pytest.mark.parametrize("paths", [["empty"], []])
def test_nothing_to_check_is_an_error(paths: list[str]) -> None:
    Path("empty").mkdir()

    project = read_project(paths)

    assert project.deployment is None
    assert [finding.code for finding in project.report] == ["E128"]


def test_a_directory_that_may_not_be_listed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The super-user may list everything, so the refusal itself is played."""
    write(WHOLE)

    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)

    assert said(read_project(["configs"])) == ["E122 configs:1:1 `configs` cannot be listed"]
    assert [line[:4] for line in said(read_project(["configs/mini.yaml"]))] == ["N101"]


def test_services_in_directories_below_are_found_from_their_deployment() -> None:
    write({"deployment.yaml": "project: p\nvllm-release: 0.32.0\nservices: [a/mini.yaml]\n", "a/mini.yaml": MINI})

    assert names(read_project(["configs"])) == ["mini"]


def test_what_services_cannot_have_at_once_is_said_beside_their_other_errors() -> None:
    service = "service: mini\nmodel: m\nport: 8000\ngpus: [0, 1]\n"
    write({**WHOLE, "mini.yaml": service, "micro.yaml": service})

    assert [finding.partition(" ")[0] for finding in said(read_project(["configs"]))] == [
        "E130",
        "E131",
        "E133",
        "E133",
    ]

    write({**WHOLE, "mini.yaml": "port: 8000\nmodel: m\n", "micro.yaml": service})
    assert "E131 configs/micro.yaml:3:7 port 8000 is taken by another service" in said(read_project(["configs"]))


def test_a_list_reaches_no_files_but_profiles() -> None:
    listed = "[mini.yaml, ../../etc/passwd, /etc/passwd, sub.yaml, deployment.yaml]"
    write({"mini.yaml": MINI, "deployment.yaml": f"project: p\nvllm-release: 0.32.0\nservices: {listed}\n"})
    Path("configs/sub.yaml").mkdir()

    project = read_project(["configs"])

    wanted = "`services` wants a file relative to this one that ends in `.yaml` or `.yml`"
    assert said(project) == [
        f"E106 configs/deployment.yaml:3:23 {wanted}, not the text `../../etc/passwd`",
        f"E106 configs/deployment.yaml:3:41 {wanted}, not the text `/etc/passwd`",
        "E121 configs/deployment.yaml:3:54 `configs/sub.yaml` is a directory",
        "E138 configs/deployment.yaml:3:64 `configs/deployment.yaml` lists itself",
    ]
    assert sorted(project.sources) == ["configs/deployment.yaml", "configs/mini.yaml"]


def test_a_file_that_is_listed_already_is_not_offered_for_a_missing_one() -> None:
    lists = "project: p\nvllm-release: 0.32.0\nservices: [mini.yaml, minis.yaml]\n"
    write({"mini.yaml": MINI, "deployment.yaml": lists})

    (finding,) = read_project(["configs"]).report
    assert (finding.code, finding.help) == ("E120", ("write that file, or remove it here",))

    write({"minus.yaml": MINI})
    (finding, _) = read_project(["configs"]).report
    assert finding.help == ("did you mean `configs/minus.yaml`?",)


MISFIT = "service: mini\nmodel: Qwen/Qwen3-8B-AWQ\nvllm: {quantization: gptq, max-model-len: 90000}\n"


def test_models_of_the_catalogue_are_checked_where_that_is_asked_for() -> None:
    write({**WHOLE, "mini.yaml": MISFIT})

    checked = check_files(["configs"], with_models=True)

    assert [(each.code, each.span.line, each.span.column) for each in checked.report if each.span] == [
        ("E229", 3, 22),
        ("E212", 3, 43),
    ]
    assert said(read_project(["configs"])) == []


def test_a_directory_of_the_same_name_decides_about_its_model_itself() -> None:
    write({**WHOLE, "mini.yaml": MISFIT})
    Path("configs/Qwen/Qwen3-8B-AWQ").mkdir(parents=True)

    assert not check_files(["configs"], with_models=True).report.has_errors


def test_a_model_is_not_judged_by_flags_that_are_wrong_themselves() -> None:
    write({**WHOLE, "mini.yaml": MISFIT.replace("90000", "[90000]")})

    assert [each.code for each in check_files(["configs"], with_models=True).report] == ["E204"]


def test_a_model_whose_own_method_is_unknown_to_the_release_is_pointed_at() -> None:
    write({**WHOLE, "deployment.yaml": DEPLOYMENT.replace("0.32.0", "0.9.0")})
    write({"mini.yaml": "service: mini\nmodel: openai/gpt-oss-20b\n"})

    findings = list(check_files(["configs"], with_models=True).report)
    assert [finding.code for finding in findings] == ["E220", "W231"]
    places = [(finding.span.line, finding.span.column) for finding in findings if finding.span is not None]
    assert places == [(2, 8), (2, 8)]


def test_a_link_out_of_the_directory_to_what_is_no_profile_shows_nothing_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("data: swordfish\nport: swordfish\n  broken\n", encoding="utf-8")
    write({"mini.yaml": MINI, "deployment.yaml": "project: p\nvllm-release: 0.32.0\nservices: [mini.yaml, x.yaml]\n"})
    Path("configs/x.yaml").symlink_to(outside)

    listed = read_project(["configs/deployment.yaml"])
    named = read_project(["configs/x.yaml"])

    assert said(listed) == ["E139 configs/deployment.yaml:3:23 `configs/x.yaml` is no profile"]
    assert said(named) == ["E139 configs/x.yaml:1:1 `configs/x.yaml` is no profile"]
    assert listed.sources["configs/x.yaml"] == named.sources["configs/x.yaml"] == ""


def test_such_a_link_in_a_named_directory_is_left_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("swordfish", encoding="utf-8")
    write(WHOLE)
    Path("configs/x.yaml").symlink_to(tmp_path / "outside")

    assert said(read_project(["configs"])) == [
        "W131 configs/x.yaml:1:1 `configs/x.yaml` is no profile and was left out"
    ]


def test_a_service_file_may_be_shared_from_outside_even_when_it_is_broken() -> None:
    write({"shared.yaml": "service: mini\nmodle: m\n"}, ".")
    write({"deployment.yaml": "project: p\nvllm-release: 0.32.0\nservices: [../shared.yaml]\n"})

    project = read_project(["configs"])

    assert [finding.code for finding in project.report] == ["E104", "E102"]
    assert project.sources["shared.yaml"] == "service: mini\nmodle: m\n"


def test_a_listed_file_beside_the_deployment_shows_its_lines_whatever_it_is() -> None:
    write({"deployment.yaml": "project: p\nvllm-release: 0.32.0\nservices: [x.yaml]\n", "x.yaml": "servce: 'x\n"})

    project = read_project(["configs/deployment.yaml"])

    assert said(project) == ["E101 configs/x.yaml:1:9 this quote is never closed"]
    assert project.sources["configs/x.yaml"] == "servce: 'x\n"


def test_an_empty_path_is_no_directory() -> None:
    (finding,) = read_project([""]).report

    assert (finding.code, finding.message) == ("E120", "an empty text names no file and no directory")
    assert finding.help == ("name a directory of profiles or a file; `.` is the directory that you are in",)


def test_a_path_of_thousands_of_characters_is_shortened() -> None:
    (finding,) = read_project(["configs/" + "a" * 5000]).report

    assert finding.code == "E127"
    assert finding.message == f"`configs/{'a' * 112}…{'a' * 120}` cannot be opened"
    assert finding.span == Span(file=f"configs/{'a' * 112}…{'a' * 120}")
