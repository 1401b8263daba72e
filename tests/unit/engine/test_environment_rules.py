"""What environment variables do to the memory rules."""

from __future__ import annotations

import pytest

from orchestrator.domain.model_config import ModelConfig
from orchestrator.engine.environment_rules import rules_under
from orchestrator.engine.memory_rules import GraphReserve, MemoryRules, Sampler, memory_rules
from orchestrator.engine.settings import resolve_settings
from tests.unit.engine.engine_samples import QWEN3_8B, card, facts_of, release


def under(pinned: str, **environment: str) -> MemoryRules:
    return rules_under(memory_rules(release(pinned)), release(pinned), environment)


@pytest.mark.parametrize(
    ("pinned", "said", "runs_v2"),
    [
        ("0.32.0", "0", False),
        ("0.32.0", "1", True),
        ("0.20.2", "1", True),
        ("0.11.2", "1", False),
        ("0.32.0", "x", True),
    ],
)
def test_the_runner_is_the_one_that_was_asked_for(pinned: str, said: str, runs_v2: bool) -> None:
    config: ModelConfig = QWEN3_8B
    assert under(pinned, VLLM_USE_V2_MODEL_RUNNER=said).uses_v2_runner(config) is runs_v2


@pytest.mark.parametrize(
    ("pinned", "said", "reserve"),
    [
        ("0.17.1", "1", GraphReserve.NOBODY),
        ("0.18.0", "0", GraphReserve.NOBODY),
        ("0.18.0", "1", GraphReserve.V1_RUNNER),
        ("0.20.0", "0", GraphReserve.NOBODY),
        ("0.32.0", "1", GraphReserve.BOTH_RUNNERS),
        ("0.32.0", "0", GraphReserve.NOBODY),
    ],
)
def test_graphs_are_estimated_as_was_asked_for(pinned: str, said: str, reserve: GraphReserve) -> None:
    assert under(pinned, VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=said).graph_reserve is reserve


@pytest.mark.parametrize(
    ("pinned", "said", "sampler"),
    [
        ("0.7.3", "1", memory_rules(release("0.7.3")).sampler),
        ("0.10.2", "0", Sampler.SORT),
        ("0.10.2", "1", Sampler.FLASHINFER_IF_INSTALLED),
        ("0.12.0", "1", Sampler.FLASHINFER),
        ("0.20.0", "0", Sampler.TRITON),
        ("0.32.0", "0", Sampler.TRITON),
    ],
)
def test_the_sampler_is_the_one_that_was_asked_for(pinned: str, said: str, sampler: Sampler) -> None:
    assert under(pinned, VLLM_USE_FLASHINFER_SAMPLER=said).sampler is sampler


def test_the_workspace_is_as_large_as_was_asked_for() -> None:
    assert under("0.32.0", VLLM_FLASHINFER_WORKSPACE_BUFFER_SIZE=str(512 * 1024**2)).flashinfer_workspace_mib == 512
    assert under("0.32.0", VLLM_FLASHINFER_WORKSPACE_BUFFER_SIZE="lots") == memory_rules(release("0.32.0"))
    assert under("0.10.2", VLLM_FLASHINFER_WORKSPACE_BUFFER_SIZE="1") == memory_rules(release("0.10.2"))


def test_variables_reach_the_settings() -> None:
    facts, gpu = facts_of(QWEN3_8B), card("RTX 4090", (8, 9))
    plain = resolve_settings(vllm={}, release=release("0.32.0"), facts=facts, gpu=gpu)
    environment = {"VLLM_USE_V2_MODEL_RUNNER": "0"}
    told = resolve_settings(vllm={}, release=release("0.32.0"), facts=facts, gpu=gpu, environment=environment)
    assert (plain.uses_v2_runner, told.uses_v2_runner) == (True, False)
