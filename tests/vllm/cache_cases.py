"""Cases for the cache planners, ours and vLLM's, and the answers of both in the same words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
from orchestrator.engine.settings import EngineSettings, resolve_settings
from orchestrator.memory.kv_cache import kv_layout
from orchestrator.memory.prediction import predict
from tests.vllm.model_directories import WriteModel
from tests.vllm.oracle_process import Answer, Oracle

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
        flags = [word for name, value in self.vllm.items() for word in _words(name, value)]
        return {
            "ask": "cache",
            "argv": [directory, *flags],
            "available_bytes": self.available_bytes,
            "in_flight_batches": resolved(self)[0].batches_in_flight,
        }


def _words(name: str, value: FlagValue) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]


def _gpu() -> Gpu:
    inventory = inventory_from_short_form("1xRTX4090")
    assert isinstance(inventory, Inventory)
    return next(inventory.gpus())


def resolved(case: Case) -> tuple[EngineSettings, ModelConfig]:
    config = parse_config(case.config)
    assert not isinstance(config, Diagnostic), config
    facts = ModelFacts(model="m", config=config, weights={}, provenance="made up")
    return resolve_settings(vllm=case.vllm, release=RELEASE, facts=facts, gpu=_gpu()), config


def _predicted(layout: KvCacheLayout, settings: EngineSettings, available_bytes: int) -> Prediction:
    blocks = settings.num_gpu_blocks_override
    footprint = Footprint(
        cuda_total=ByteRange.exactly(PLENTY),
        terms=(),
        kv=layout,
        max_model_len=settings.max_model_len,
        kv_required_bytes=layout.bytes_for(1 if settings.auto_max_model_len else settings.max_model_len),
        fixed_kv_bytes=available_bytes if blocks is None else blocks * layout.block_bytes,
        release=RELEASE,
        fits_any_length=settings.auto_max_model_len,
    )
    return predict(footprint, 0.5, PLENTY)


def ours(layout: KvCacheLayout, settings: EngineSettings, available_bytes: int) -> Answer:
    """Our prediction in the oracle's words."""
    predicted = _predicted(layout, settings, available_bytes)
    if predicted.verdict is not Verdict.STARTS:
        return {"accepted": False, "longest": min(predicted.longest_model_len, settings.max_model_len)}
    return {
        "accepted": True,
        "num_blocks": settings.num_gpu_blocks_override or layout.blocks_in(available_bytes),
        "tokens": predicted.kv_tokens[1],
        "concurrency": predicted.concurrency[1],
    }


def theirs(plan: Answer) -> Answer:
    if not plan["accepted"]:
        estimate = ESTIMATE.search(plan["reason"])
        return {"accepted": False, "longest": int(estimate.group(1)) if estimate else 0}
    return {name: plan[name] for name in ("accepted", "num_blocks", "tokens", "concurrency")}


def disagreements(cases: Iterable[Case], oracle: Oracle, model_directory: WriteModel) -> list[object]:
    found: list[object] = []
    for case in cases:
        [answer] = oracle.ask([case.request(model_directory(case.config))])
        assert answer["ok"], (case, answer)
        settings, config = resolved(case)
        layout = kv_layout(settings, config)
        for size, plan in zip(case.available_bytes, answer["plans"], strict=True):
            here, there = ours(layout, settings, size), theirs(plan)
            if here != there:
                found.append((case.config["architectures"], case.vllm, size, here, there, plan.get("groups")))
    return found


def sizes_around(layout: KvCacheLayout, max_model_len: int) -> tuple[int, ...]:
    """Sizes where the answer changes: the least that is enough, one byte less, and some far from it."""
    enough = layout.bytes_for(max_model_len)
    return (enough, enough - 1, enough // 3, layout.block_bytes, layout.block_bytes - 1, 3 * enough + 17, 7 * GIB)


def case_of(config: Mapping[str, object], vllm: Mapping[str, FlagValue]) -> Case:
    settings, parsed = resolved(Case(config, vllm, ()))
    return Case(config, vllm, sizes_around(kv_layout(settings, parsed), settings.max_model_len))


def published(model: str) -> Mapping[str, object]:
    """As published, but without the quantisation of the weights: a CPU lacks most kernels, and the cache does not care.

    The catalogue leaves out nulls, but a missing `sliding_window` has a default in transformers.
    """
    config = raw_config(model)
    assert config is not None
    return {"sliding_window": None, **{key: value for key, value in config.items() if key != "quantization_config"}}
