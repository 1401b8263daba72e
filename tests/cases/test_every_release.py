"""The shipped profiles on every known release: a command line that its parser has all the flags of, or a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.catalog.models import find_model
from orchestrator.cli.project import check_files
from orchestrator.domain.profile import ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.flags import find_named, flags
from orchestrator.engine.releases import KNOWN_RELEASES

CONFIGS = str(Path(__file__).parents[2] / "configs")
FIRST_WITH_QWEN3 = Release.of("0.8.4")  # 0.8.5 has the class for sure; what the one before has was not recorded
FIRST_THAT_TRIES_TRANSFORMERS = Release.of("0.7.1")


def argv_of(service: ServiceProfile, release: Release) -> tuple[str, ...]:
    facts = find_model(service.model)
    assert facts is not None
    return serve_arguments(
        model=service.model,
        revision=service.revision,
        served_name=service.name,
        vllm=service.vllm,
        release=release,
        facts=facts,
        port=8000,
    )


def flags_in(argv: tuple[str, ...]) -> set[str]:
    return {word.removeprefix("--").partition("=")[0] for word in argv if word.startswith("--")}


@pytest.mark.parametrize("release", KNOWN_RELEASES, ids=str)
def test_every_rendered_flag_exists_in_the_release(release: Release) -> None:
    checked = check_files([CONFIGS], release=release)
    assert not [finding for finding in checked.report if finding.code.startswith("E2")]
    (deployment,) = checked.deployments
    for service in deployment.services:
        written = flags_in(argv_of(service, release))
        assert {name for name in written if (meaning := find_named(name, release)) is None or meaning.dotted} == set()
        assert written >= {"gpu-memory-utilization", "kv-cache-dtype", "max-model-len", "tensor-parallel-size"}
        assert written & {"rope-scaling", "hf-overrides"}
        assert written <= set(flags(release))


@pytest.mark.parametrize("release", KNOWN_RELEASES, ids=str)
def test_a_release_without_the_models_class_says_so(release: Release) -> None:
    codes = {finding.code for finding in check_files([CONFIGS], release=release, with_models=True).report}
    if release >= FIRST_WITH_QWEN3:
        assert not codes & {"E231", "W231"}
    elif release >= FIRST_THAT_TRIES_TRANSFORMERS:
        assert "W231" in codes
    else:
        assert "E231" in codes
