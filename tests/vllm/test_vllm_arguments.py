"""Our command lines before vLLM's own parser and its own ModelConfig: accepted, and read as we meant them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalog.models import find_model, raw_config
from orchestrator.cli.project import read_project
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.profile import FlagValue, ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.rope import derived_max_model_len
from tests.vllm.model_directories import WriteModel, qwen3
from tests.vllm.oracle_process import REPOSITORY, Answer, Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
CASES = sorted(path.parent.name for path in (REPOSITORY / "tests" / "cases").glob("*/configs"))
DIRECTORIES = ["configs", *(f"tests/cases/{name}/configs" for name in CASES)]
YARN: FlagValue = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def _services(directory: str) -> tuple[ServiceProfile, ...]:
    deployment = read_project([str(REPOSITORY / directory)]).deployment
    assert deployment is not None
    assert deployment.services
    return tuple(map(_settled, deployment.services))


def _settled(service: ServiceProfile) -> ServiceProfile:
    """With a width where the planner is to choose one: nobody renders `auto`."""
    if service.vllm.get("tensor-parallel-size") != "auto":
        return service
    return replace(service, vllm={**service.vllm, "tensor-parallel-size": 1})


def _facts(model: str) -> ModelFacts:
    facts = find_model(model)
    assert facts is not None, model
    return facts


def _argv(service: ServiceProfile, *, model: str | None = None) -> list[str]:
    return list(
        serve_arguments(
            model=model or service.model,
            revision=None if model else service.revision,
            served_name=service.name,
            vllm=service.vllm,
            release=RELEASE,
            facts=_facts(service.model),
            port=8000,
        )
    )


def _meant(service: ServiceProfile) -> Answer:
    """What the parser must have found, in its names."""
    plain = {name: value for name, value in service.vllm.items() if name != "rope-scaling"}
    around = {"model": service.model, "revision": service.revision, "served-model-name": [service.name], "port": 8000}
    return {name.replace("-", "_"): value for name, value in {**plain, **around}.items()}


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_every_command_line_is_read_as_the_profile_means_it(directory: str, oracle: Oracle) -> None:
    for service in _services(directory):
        [answer] = oracle.ask([{"ask": "parse", "argv": _argv(service)}])
        assert answer["ok"], answer
        meant = _meant(service)
        assert {name: answer["values"][name] for name in meant} == meant
        overrides = answer["values"]["hf_overrides"]
        said = service.vllm.get("rope-scaling")
        assert (overrides or {}).get("rope_parameters", {}).get("factor") == (
            said["factor"] if isinstance(said, dict) else None
        )


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_every_length_is_accepted_by_the_model_that_is_deployed(
    directory: str, oracle: Oracle, model_directory: WriteModel
) -> None:
    for service in _services(directory):
        [answer] = oracle.ask([{"ask": "model", "argv": _argv(service, model=_published(service, model_directory))}])
        assert answer["ok"], answer
        wanted = service.vllm.get("max-model-len", derived_max_model_len(_facts(service.model).config, {}, RELEASE))
        assert answer["max_model_len"] == wanted


def _published(service: ServiceProfile, model_directory: WriteModel) -> str:
    config = raw_config(service.model)
    assert config is not None
    return model_directory({key: value for key, value in config.items() if key != "quantization_config"})


def _qwen3_argv(directory: str, vllm: Mapping[str, FlagValue]) -> list[str]:
    return list(
        serve_arguments(
            model=directory,
            revision=None,
            served_name="qwen3",
            vllm=vllm,
            release=RELEASE,
            facts=_facts("Qwen/Qwen3-8B"),
            port=8000,
        )
    )


def test_yarn_stretches_qwen3_to_131072_tokens_and_nothing_else_does(
    oracle: Oracle, model_directory: WriteModel
) -> None:
    directory = model_directory(qwen3(layers=2))
    plain: dict[str, FlagValue] = {"max-model-len": 131072}
    accepted, refused, too_long = oracle.ask(
        [
            {"ask": "model", "argv": _qwen3_argv(directory, {**plain, "rope-scaling": YARN})},
            {"ask": "model", "argv": _qwen3_argv(directory, plain)},
            {"ask": "model", "argv": _qwen3_argv(directory, {"max-model-len": 131073, "rope-scaling": YARN})},
        ]
    )
    assert (accepted["ok"], accepted.get("max_model_len")) == (True, 131072)
    assert "User-specified max_model_len (131072) is greater than the derived max_model_len" in refused["error"]
    assert "User-specified max_model_len (131073) is greater than the derived max_model_len" in too_long["error"]


SCALINGS: tuple[Mapping[str, FlagValue], ...] = (
    {},
    {"rope-scaling": YARN},
    {"rope-scaling": {"rope_type": "yarn", "factor": 2.5, "original_max_position_embeddings": 32768}},
    {"rope-scaling": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 40960}},
    {"rope-scaling": {"rope_type": "linear", "factor": 2.0}},
    {"rope-scaling": {"rope_type": "dynamic", "factor": 3.0}},
    {"rope-theta": 5000000.0},
    {"hf-overrides": {"max_position_embeddings": 50000}},
    {"hf-overrides": {"max_position_embeddings": 50000}, "rope-theta": 2000000.0},
)


@pytest.mark.parametrize("vllm", SCALINGS, ids=str)
def test_the_longest_length_is_the_one_that_vllm_derives(
    vllm: Mapping[str, FlagValue], oracle: Oracle, model_directory: WriteModel
) -> None:
    """The length that we render where the user gives none is accepted, one token more is not."""
    directory = model_directory(qwen3(layers=2))
    longest = derived_max_model_len(_facts("Qwen/Qwen3-8B").config, vllm, RELEASE)
    fits, exceeds = oracle.ask(
        [
            {"ask": "model", "argv": _qwen3_argv(directory, vllm)},
            {"ask": "model", "argv": _qwen3_argv(directory, {**vllm, "max-model-len": longest + 1})},
        ]
    )
    assert (fits["ok"], fits.get("max_model_len")) == (True, longest)
    assert "is greater than the derived max_model_len" in exceeds["error"]


@pytest.mark.parametrize("family", [Path("Qwen/Qwen2.5-7B-Instruct"), Path("google/gemma-3-1b-it")], ids=str)
def test_lengths_of_other_families_are_derived_as_vllm_does(
    family: Path, oracle: Oracle, model_directory: WriteModel
) -> None:
    config = raw_config(str(family))
    assert config is not None
    [answer] = oracle.ask([{"ask": "model", "argv": [model_directory(config)]}])
    assert answer["max_model_len"] == derived_max_model_len(_facts(str(family)).config, {}, RELEASE)
