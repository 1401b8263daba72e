"""Models that a release has no class for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.models import known_models, raw_config
from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.architectures import (
    architecture_spans,
    check_architecture,
    has_class,
    merge_architectures,
    recorded_architectures,
)
from orchestrator.engine.problems import FlagProblem
from tests.unit.engine.engine_samples import QWEN3_8B, release

OWN_CODE = replace(QWEN3_8B, architecture="MadeUpForCausalLM", remote_classes=("AutoConfig", "AutoModelForCausalLM"))


def found(config: ModelConfig, pinned: str, vllm: dict[str, FlagValue] | None = None) -> list[FlagProblem]:
    return list(check_architecture(vllm=vllm or {}, release=release(pinned), config=config))


def test_a_release_older_than_the_class_refuses() -> None:
    assert found(QWEN3_8B, "0.6.6") == [
        FlagProblem(
            code="E231",
            flag="",
            message="vLLM 0.6.6 has no class for `Qwen3ForCausalLM`",
            label="does not start",
            notes=("first release with one: 0.8.5",),
            help=("pin vLLM 0.8.5 or later, or name another model",),
        )
    ]
    assert found(QWEN3_8B, "0.8.5") == []


def test_where_the_transformers_library_is_tried_it_is_a_warning() -> None:
    (problem,) = found(QWEN3_8B, "0.8.3")
    assert (problem.code, problem.severity) == ("W231", Severity.WARNING)
    assert problem.label == "starts only if the Transformers library of the image has it"


def test_a_class_that_left_names_the_last_release_with_it() -> None:
    gone = next(name for name in ("QWenLMHeadModel", "Phi3SmallForCausalLM") if not has_class(name, release("0.33.0")))
    (problem,) = found(replace(QWEN3_8B, architecture=gone), "0.33.0")
    last = architecture_spans(gone)[-1][1]
    assert problem.notes == (f"last release with one: {last}",)
    assert problem.help == (f"pin vLLM {last}, or name another model",)


def test_a_checkpoint_with_code_of_its_own_wants_the_flag() -> None:
    assert found(OWN_CODE, "0.32.0") == [
        FlagProblem(
            code="E232",
            flag="",
            message="vLLM 0.32.0 has no class for `MadeUpForCausalLM`, and the checkpoint's own code is not trusted",
            label="brings code of its own",
            notes=("config.json names classes of the checkpoint under `auto_map`; they run as code on your machine",),
            help=("read that code, pin a `revision:` and write `trust-remote-code: true` under `vllm:`",),
        )
    ]
    assert found(OWN_CODE, "0.32.0", {"trust_remote_code": True}) == []
    assert found(replace(OWN_CODE, remote_classes=("AutoConfig",)), "0.32.0") == []
    assert found(replace(OWN_CODE, architecture=""), "0.32.0") == []


def test_the_classes_of_a_checkpoint_are_read_from_its_config() -> None:
    raw = raw_config("Qwen/Qwen3-8B")
    assert raw is not None
    own = {"AutoModelForCausalLM": "m.M", "AutoConfig": "m.C"}
    read = [parse_config({**raw, "auto_map": each}) for each in (own, "odd", None)]
    assert [each.remote_classes for each in read if isinstance(each, ModelConfig)] == [
        ("AutoConfig", "AutoModelForCausalLM"),
        (),
        (),
    ]


def test_the_newest_release_has_a_class_for_every_known_model_or_once_had_one() -> None:
    configs = [parse_config(raw) for model in known_models() if (raw := raw_config(model)) is not None]
    names = {each.architecture for each in configs if isinstance(each, ModelConfig)}
    assert {name for name in names if not architecture_spans(name)} == set()
    assert len(names) > 20


REGISTRY = """
_TEXT_GENERATION_MODELS = {"AForCausalLM": ("a", "A"), "BForCausalLM": ("b", "B")}
_PREVIOUSLY_SUPPORTED_MODELS = {"OldForCausalLM": "0.9.2"}
_VLLM_MODELS = {**_TEXT_GENERATION_MODELS, "CForCausalLM": ("c", "C")}
count: int = 3
"""


def test_classes_are_read_from_the_source() -> None:
    assert recorded_architectures(REGISTRY) == ("AForCausalLM", "BForCausalLM", "CForCausalLM")
    document = merge_architectures({}, release("0.1.0"), ["A"])
    assert merge_architectures(document, release("0.2.0"), ["A", "B"]) == {
        "releases": ["0.1.0", "0.2.0"],
        "architectures": {"A": [["0.1.0", "0.2.0", {}]], "B": [["0.2.0", "0.2.0", {}]]},
    }
    with pytest.raises(ValueError, match="is not newer"):
        merge_architectures(document, release("0.1.0"), [])
