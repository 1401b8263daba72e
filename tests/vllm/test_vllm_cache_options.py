"""Flags that change the cache of a model, judged by vLLM's own planner with the real model classes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.memory.kv_cache import kv_layout
from tests.vllm.cache_cases import Case, case_of, disagreements, published, resolved
from tests.vllm.model_directories import WriteModel, gemma3
from tests.vllm.oracle_process import Oracle

pytestmark = pytest.mark.vllm

FAMILIES = ("openai/gpt-oss-20b", "google/gemma-2-2b", "meta-llama/Llama-3.1-8B-Instruct", "mistralai/Mistral-7B-v0.1")
BASE: Mapping[str, FlagValue] = {"max-model-len": 4096, "max-num-batched-tokens": 2048, "block-size": 32}


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize(
    "flags",
    [
        {"async-scheduling": False},
        {"disable-hybrid-kv-cache-manager": True},
        {"block-size": 64, "kv-cache-dtype": "fp8"},
        {"block-size": 128, "max-model-len": 3000},
        {"max-num-batched-tokens": 300, "max-num-seqs": 4},
    ],
    ids=",".join,
)
def test_flags_that_change_the_cache_change_it_as_in_vllm(
    model: str, flags: Mapping[str, FlagValue], oracle: Oracle, model_directory: WriteModel
) -> None:
    assert disagreements([case_of(published(model), {**BASE, **flags})], oracle, model_directory) == []


@pytest.mark.parametrize("model", FAMILIES)
def test_a_forced_number_of_blocks_is_all_that_counts(model: str, oracle: Oracle, model_directory: WriteModel) -> None:
    cases = [
        Case(published(model), {**BASE, "num-gpu-blocks-override": blocks}, (1, 10**9, 10**11))
        for blocks in (2, 129, 130, 1000, 12345)
    ]
    assert disagreements(cases, oracle, model_directory) == []


@pytest.mark.parametrize("model", FAMILIES)
def test_an_automatic_length_is_the_one_that_vllm_finds(
    model: str, oracle: Oracle, model_directory: WriteModel
) -> None:
    flags = {**BASE, "max-model-len": "auto"}
    config = published(model)
    settings, parsed = resolved(Case(config, flags, ()))
    layout = kv_layout(settings, parsed)
    lengths = (1, 31, 32, 33, 1000, 4096, settings.max_model_len - 1, settings.max_model_len)
    sizes = tuple(layout.bytes_for(length) + more for length in lengths for more in (-1, 0, layout.block_bytes))
    assert disagreements([Case(config, flags, sizes)], oracle, model_directory) == []


def test_windows_beside_full_attention_are_stored_whole_on_request(oracle: Oracle, model_directory: WriteModel) -> None:
    cases = [
        case_of(gemma3(layers=layers, full_every=every), {**BASE, "disable-hybrid-kv-cache-manager": True})
        for layers, every in ((26, 6), (7, 2), (12, 100))
    ]
    assert disagreements(cases, oracle, model_directory) == []
