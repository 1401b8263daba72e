"""Our layout of the KV cache against vLLM's own planner: blocks, logged tokens, concurrency, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.catalog.models import raw_config
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Gpu, Inventory
from orchestrator.domain.model_config import ModelConfig, ModelFacts
from orchestrator.domain.plan import Footprint, KvCacheLayout, Prediction, Verdict
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, ByteRange
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.settings import EngineSettings, resolve_settings
from orchestrator.memory.kv_cache import kv_layout
from orchestrator.memory.prediction import predict
from tests.vllm.model_directories import WriteModel
from tests.vllm.oracle_process import Answer, Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
ESTIMATE = re.compile(r"the estimated maximum model length is (\d+)")
PLENTY = 1 << 50


@dataclass(frozen=True)
class Case:
    """A model, flags as in a profile, and sizes of the KV cache to ask about."""

    config: Mapping[str, object]
    vllm: Mapping[str, FlagValue]
    available_bytes: tuple[int, ...]

    def request(self, directory: str) -> Answer:
        flags = [word for name, value in self.vllm.items() for word in (f"--{name}", str(value))]
        return {
            "ask": "cache",
            "argv": [directory, *flags],
            "available_bytes": self.available_bytes,
            "in_flight_batches": memory_rules(RELEASE).batches_in_flight,
        }


def _gpu() -> Gpu:
    inventory = inventory_from_short_form("1xRTX4090")
    assert isinstance(inventory, Inventory)
    return next(inventory.gpus())


def _settings(case: Case) -> tuple[EngineSettings, ModelConfig]:
    config = parse_config(case.config)
    assert not isinstance(config, Diagnostic), config
    facts = ModelFacts(model="m", config=config, weights={}, provenance="made up")
    return resolve_settings(vllm=case.vllm, release=RELEASE, facts=facts, gpu=_gpu()), config


def _predicted(layout: KvCacheLayout, max_model_len: int, available_bytes: int) -> Prediction:
    footprint = Footprint(
        cuda_total=ByteRange.exactly(PLENTY),
        terms=(),
        kv=layout,
        max_model_len=max_model_len,
        kv_required_bytes=layout.bytes_for(max_model_len),
        fixed_kv_bytes=available_bytes,
        release=RELEASE,
    )
    return predict(footprint, 0.5, PLENTY)


def _ours(layout: KvCacheLayout, max_model_len: int, available_bytes: int) -> Answer:
    """Our prediction in the oracle's words."""
    predicted = _predicted(layout, max_model_len, available_bytes)
    if predicted.verdict is not Verdict.STARTS:
        return {"accepted": False, "longest": min(predicted.longest_model_len, max_model_len)}
    return {
        "accepted": True,
        "num_blocks": layout.blocks_in(available_bytes),
        "tokens": predicted.kv_tokens[1],
        "concurrency": predicted.concurrency[1],
    }


def _theirs(plan: Answer) -> Answer:
    if not plan["accepted"]:
        estimate = ESTIMATE.search(plan["reason"])
        return {"accepted": False, "longest": int(estimate.group(1)) if estimate else 0}
    return {name: plan[name] for name in ("accepted", "num_blocks", "tokens", "concurrency")}


def _disagreements(cases: Iterable[Case], oracle: Oracle, model_directory: WriteModel) -> list[object]:
    found: list[object] = []
    for case in cases:
        [answer] = oracle.ask([case.request(model_directory(case.config))])
        assert answer["ok"], (case, answer)
        settings, config = _settings(case)
        layout = kv_layout(settings, config)
        for size, plan in zip(case.available_bytes, answer["plans"], strict=True):
            ours, theirs = _ours(layout, settings.max_model_len, size), _theirs(plan)
            if ours != theirs:
                found.append((case.config["architectures"], case.vllm, size, ours, theirs, plan.get("groups")))
    return found


def _sizes_around(layout: KvCacheLayout, max_model_len: int) -> tuple[int, ...]:
    """Sizes where the answer changes: the least that is enough, one byte less, and some far from it."""
    enough = layout.bytes_for(max_model_len)
    return (enough, enough - 1, enough // 3, layout.block_bytes, layout.block_bytes - 1, 3 * enough + 17, 7 * GIB)


def _case(config: Mapping[str, object], vllm: Mapping[str, FlagValue]) -> Case:
    settings, parsed = _settings(Case(config, vllm, ()))
    return Case(config, vllm, _sizes_around(kv_layout(settings, parsed), settings.max_model_len))


def _published(model: str) -> Mapping[str, object]:
    config = raw_config(model)
    assert config is not None
    return config


@pytest.mark.parametrize("kv_cache_dtype", ["auto", "fp8", "fp8_e4m3"])
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("model", ["Qwen/Qwen3-32B", "Qwen/Qwen3-8B", "Qwen/Qwen3-1.7B"])
def test_the_cache_of_qwen3_is_the_one_that_vllm_plans(
    model: str, ranks: int, kv_cache_dtype: str, oracle: Oracle, model_directory: WriteModel
) -> None:
    vllm: dict[str, FlagValue] = {
        "max-model-len": 32768,
        "tensor-parallel-size": ranks,
        "kv-cache-dtype": kv_cache_dtype,
        "block-size": 16,
    }
    assert _disagreements([_case(_published(model), vllm)], oracle, model_directory) == []
