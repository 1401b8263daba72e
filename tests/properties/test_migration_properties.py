"""Whatever flags a project has: it is migrated whole and means the same, or not at all; and once is enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.cli.migrating import Migration, migrate_files
from orchestrator.config.yaml_writing import one_line
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import named
from orchestrator.engine.checks import check_flags
from orchestrator.engine.flags import Flag, Kind, flags
from orchestrator.engine.releases import KNOWN_RELEASES
from orchestrator.engine.rewrite_table import REWRITES

RELEASES = st.sampled_from([each for each in KNOWN_RELEASES if each.text[-1:] in "012345"])
BY_KIND: Mapping[Kind, tuple[FlagValue, ...]] = {
    Kind.SWITCH: (True, False),
    Kind.BOOLEAN: (True, False),
    Kind.INTEGER: (1, 2, 8),
    Kind.HUMAN_INTEGER: (4096, "4k", "4K"),
    Kind.HUMAN_INTEGER_OR_AUTO: (4096, "4k", "auto", -1),
    Kind.NUMBER: (1, 0.5),
    Kind.STRING: ("auto", "x y"),
    Kind.PAIRS: ("image=1", {"image": 2}),
    Kind.JSON_OR_PAIRS: ("image=1", {"image": 2}),
    Kind.JSON: ({"backend": "xgrammar"}, {"a": [1, {"b": None}]}, '{"window_size": 3}', {}),
}
MAY_CHANGE = ("#", *(f"{name}:" for row in REWRITES for name in row.new))
"""Comments go with the only line that they are about; flags that are there already take in what was beside them."""
WELL_KNOWN = ("max-model-len", "gpu-memory-utilization", "reasoning-parser", "limit-mm-per-prompt", "rope-scaling")


def values_of(flag: Flag) -> st.SearchStrategy[FlagValue]:
    return st.sampled_from(flag.choices or BY_KIND.get(flag.kind, ("x",)))


@st.composite
def sections(draw: st.DrawFn, release: Release) -> dict[str, FlagValue]:
    """Flags that a release takes, above all those that became something else."""
    known = flags(release)
    moved = sorted({row.old for row in REWRITES if row.old in known} | {name for name in WELL_KNOWN if name in known})
    names = draw(st.lists(st.sampled_from([*moved, *sorted(known)[::9]]), max_size=6, unique=True))
    section = {name: draw(values_of(known[name])) for name in names}
    for name in names:
        if any(problem.is_error for problem in check_flags({name: section[name]}, release)):
            del section[name]
    return section


@st.composite
def written(draw: st.DrawFn, section: Mapping[str, FlagValue], indent: str) -> str:
    if not section:
        return " {}"
    if draw(st.booleans()):
        return f" {one_line(dict(section))} # all in one"
    lines = []
    for key, value in section.items():
        if draw(st.booleans()):
            lines.append(f"{indent}# about {key}")
        lines.append(f"{indent}{key}: {one_line(value)}" + draw(st.sampled_from(["", " # so"])))
    return "\n".join(["", *lines])


@st.composite
def projects(draw: st.DrawFn) -> tuple[dict[str, str], Release]:
    release = draw(RELEASES)
    defaults, own = draw(sections(release)), draw(sections(release))
    text = f"project: p\nvllm-release: {release} # pinned\nservices: [a.yaml, b.yaml]\ndefaults:\n  vllm:"
    files = {
        "deployment.yaml": text + draw(written(defaults, "    ")) + "\n",
        "a.yaml": "service: a\nmodel: some/model\nvllm:" + draw(written(own, "  ")) + draw(st.sampled_from(["", "\n"])),
        "b.yaml": "service: b\nmodel: some/model\n",
    }
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return {name: text.replace("\n", end) for name, text in files.items()}, release


def migrated(directory: Path, files: Mapping[str, str], target: Release) -> Migration:
    for name, text in files.items():
        (directory / name).write_bytes(text.encode())
    return migrate_files([str(directory)], target, image=None)


def texts_after(directory: Path, files: Mapping[str, str], migration: Migration) -> dict[str, str]:
    return {name: migration.texts.get(str(directory / name), text) for name, text in files.items()}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(project=projects(), target=RELEASES)
def test_a_project_is_migrated_whole_and_once_is_enough(
    directory: Path, project: tuple[dict[str, str], Release], target: Release
) -> None:
    files, _ = project
    migration = migrated(directory, files, target)
    if migration.report.has_errors:
        assert all(finding.span is not None and finding.help for finding in migration.report if finding.is_error)
        return
    assert not migration.after.report.has_errors
    assert [each.release for each in migration.after.deployments] == [target]
    after = texts_after(directory, files, migration)
    again = migrated(directory, after, target)
    assert not again.report.has_errors
    assert again.texts == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(project=projects(), target=RELEASES)
def test_lines_without_a_step_are_the_same_byte_for_byte(
    directory: Path, project: tuple[dict[str, str], Release], target: Release
) -> None:
    files, _ = project
    migration = migrated(directory, files, target)
    touched = {Path(step.span.file).name for step in migration.steps}
    after = texts_after(directory, files, migration)
    assert {name for name in files if after[name] != files[name]} <= touched
    for name, text in files.items():
        lines = {step.span.line for step in migration.steps if Path(step.span.file).name == name}
        kept = [line for number, line in enumerate(text.split("\n"), 1) if number not in lines]
        left = {line.rstrip("\r") for line in after[name].split("\n")}
        kept = [line.rstrip("\r") for line in kept if not line.strip().startswith(MAY_CHANGE)]
        assert [line for line in kept if line not in left and f"{line} {{}}" not in left] == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(project=projects(), target=RELEASES)
def test_flags_that_stay_mean_the_same(
    directory: Path, project: tuple[dict[str, str], Release], target: Release
) -> None:
    files, release = project
    migration = migrated(directory, files, target)
    if migration.report.has_errors or not migration.before.deployments:
        return
    rewritten = {step.before.partition(":")[0] for step in migration.steps}
    for old, new in zip(*(each.deployments[0].services for each in (migration.before, migration.after)), strict=True):
        for key, value in old.vllm.items():
            if key not in rewritten:
                assert json.dumps(new.vllm[key]) == json.dumps(value)
                assert _meaning(key, release) == _meaning(key, target)


def _meaning(key: str, release: Release) -> Any:
    meaning = named(key, release)
    return (meaning.flag.name, meaning.is_negation, meaning.dotted) if meaning else None
