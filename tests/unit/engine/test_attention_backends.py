"""Attention backends and FlashInfer's sampler on cards on which they do not run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.engine.compatibility import check_compatibility
from orchestrator.engine.problems import FlagProblem
from tests.unit.engine.engine_samples import QWEN3_8B, card, facts_of, host, release

CARDS = {"V100": (7, 0), "T4": (7, 5), "A10G": (8, 6), "RTX 5090": (12, 0), "RTX 7090": (13, 0)}
HALF = replace(QWEN3_8B, dtype="float16", quantization=None)


def found(name: str, pinned: str, vllm: dict[str, FlagValue], **environment: str) -> list[FlagProblem]:
    problems = check_compatibility(
        vllm=vllm,
        release=release(pinned),
        facts=facts_of(HALF),
        gpu=card(name, CARDS[name]),
        host=host(),
        environment=environment,
    )
    return [problem for problem in problems if problem.code == "E235"]


@pytest.mark.parametrize(
    ("name", "pinned", "backend", "is_refused"),
    [
        ("T4", "0.23.0", "FLASHINFER", False),
        ("T4", "0.24.0", "FLASHINFER", True),
        ("V100", "0.13.0", "flashinfer", True),
        ("A10G", "0.32.0", "FLASHINFER", False),
        ("RTX 5090", "0.32.0", "FLASHINFER", False),
        ("RTX 7090", "0.32.0", "FLASHINFER", True),
        ("RTX 7090", "0.32.0", "FLASH_ATTN", False),
        ("T4", "0.32.0", "FLASH_ATTN", True),
        ("T4", "0.32.0", "TRITON_ATTN", False),
        ("T4", "0.32.0", "auto", False),
    ],
)
def test_a_named_backend_must_run_on_the_card(name: str, pinned: str, backend: str, is_refused: bool) -> None:
    assert bool(found(name, pinned, {"attention-backend": backend})) is is_refused
    assert bool(found(name, pinned, {"attention-config": {"backend": backend}})) is is_refused


def test_the_finding_names_the_card_the_range_and_what_to_do() -> None:
    (problem,) = found("T4", "0.32.0", {"attention_backend": "FLASHINFER"})
    assert problem.message == "`FLASHINFER` attention does not run on T4 in vLLM 0.32.0"
    assert problem.label == "needs compute capability 8.0 to 12.1"
    assert problem.notes == ("T4: compute capability 7.5",)
    assert problem.help == ("delete the line: vLLM chooses a backend that runs on the card",)
    assert problem.key_path == ("vllm", "attention_backend")
    (problem,) = found("T4", "0.32.0", {"attention-config": {"backend": "FLASH_ATTN"}})
    assert (problem.key_path, problem.label) == (
        ("vllm", "attention-config", "backend"),
        "needs compute capability 8.0 or more",
    )


def test_a_backend_named_by_a_variable_counts_in_releases_that_read_it() -> None:
    (problem,) = found("V100", "0.12.0", {}, VLLM_ATTENTION_BACKEND="FLASHINFER")
    assert problem.key_path == ("environment", "VLLM_ATTENTION_BACKEND")
    assert found("V100", "0.11.0", {}, VLLM_ATTENTION_BACKEND="FLASHINFER") == []
    assert found("T4", "0.32.0", {}, VLLM_ATTENTION_BACKEND="FLASHINFER") == []


def test_the_sampler_is_refused_only_where_it_was_asked_for() -> None:
    (problem,) = found("T4", "0.32.0", {}, VLLM_USE_FLASHINFER_SAMPLER="1")
    assert problem.message == "FlashInfer's sampler does not run on T4 in vLLM 0.32.0"
    assert problem.help == ("delete `VLLM_USE_FLASHINFER_SAMPLER`: vLLM takes another sampler there",)
    assert problem.key_path == ("environment", "VLLM_USE_FLASHINFER_SAMPLER")
    assert found("T4", "0.32.0", {}, VLLM_USE_FLASHINFER_SAMPLER="0") == []
    assert found("T4", "0.32.0", {}) == []
    assert found("A10G", "0.32.0", {}, VLLM_USE_FLASHINFER_SAMPLER="1") == []
    assert found("T4", "0.23.0", {}, VLLM_USE_FLASHINFER_SAMPLER="1") == []
