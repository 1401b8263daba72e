"""The cache of models whose layers differ in kind or size, against vLLM's own model classes and planner."""

from __future__ import annotations

import pytest

from orchestrator.domain.profile import FlagValue
from tests.vllm import mixed_models as models
from tests.vllm.cache_cases import case_of, disagreements
from tests.vllm.model_directories import WriteModel
from tests.vllm.oracle_process import Oracle

pytestmark = pytest.mark.vllm

STATE: dict[str, FlagValue] = {"mamba-ssm-cache-dtype": "float32"}
"""Said, because a CPU with AVX-512 BF16 chooses another type than a CPU without."""

MODELS = {
    "Mamba 2 and plain MLPs": models.nemotron_h(),
    "Mamba 2 with fewer groups than ranks": models.nemotron_h(groups=1),
    "Mamba 2 before every MLP": models.granite_hybrid(),
    "Mamba 2 beside attention": models.falcon_h1(),
    "Mamba 1": models.jamba(),
    "short convolutions": models.lfm2(),
    "wide heads among windows, keys as values": models.gemma4(),
    "wide heads among windows": models.gemma4(k_eq_v=False),
    "layers that read what others keep": models.gemma4(layers=18, shared=7),
    "most layers read what others keep": models.gemma3n(),
    "values shorter than keys, more heads within windows": models.mimo_v2(),
}


@pytest.mark.parametrize("block_size", [32, 128])
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_the_cache_of_mixed_layers_is_the_one_that_vllm_plans(
    name: str, ranks: int, block_size: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    flags: dict[str, FlagValue] = {"tensor-parallel-size": ranks, "block-size": block_size, **STATE}
    cases = [
        case_of(MODELS[name], {**flags, "max-model-len": length, "max-num-batched-tokens": batch})
        for length, batch in ((3000, 2048), (20000, 512), (131072, 8192))
    ]
    assert disagreements(cases, oracle, model_directory) == []


@pytest.mark.parametrize("name", MODELS)
def test_mixed_layers_without_cached_prefixes_and_in_eight_bits(
    name: str, oracle: Oracle, model_directory: WriteModel
) -> None:
    flags: dict[str, FlagValue] = {"max-model-len": 20000, "max-num-batched-tokens": 2048, "block-size": 32, **STATE}
    several: tuple[dict[str, FlagValue], ...] = ({"enable-prefix-caching": False}, {"kv-cache-dtype": "fp8"})
    cases = [case_of(MODELS[name], {**flags, **more}) for more in several]
    assert disagreements(cases, oracle, model_directory) == []
