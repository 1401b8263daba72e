"""Start-ups of vLLM that people published, held against the model: weights, KV memory, tokens in that memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.plan import Footprint, Term
from orchestrator.domain.units import GIB
from orchestrator.memory.prediction import logged_tokens, predict
from tests.unit.memory.memory_samples import Flags, card, facts_of, footprint_of

H100 = card(79.19, (9, 0), name="NVIDIA H100 80GB HBM3", nvml_gib=79.65)
H100_OTHER = card(79.18, (9, 0), name="NVIDIA H100 80GB HBM3", nvml_gib=79.65)
ADA_4090 = card(23.53, (8, 9), name="NVIDIA GeForce RTX 4090", nvml_gib=23.99)
ADA_4090_OTHER = card(23.52, (8, 9), name="NVIDIA GeForce RTX 4090", nvml_gib=23.99)
ADA_4090_48 = card(47.37, (8, 9), name="NVIDIA GeForce RTX 4090", nvml_gib=48.0)
L4 = card(22.07, (8, 9), name="NVIDIA L4", nvml_gib=22.49)
L4_OTHER = card(22.06, (8, 9), name="NVIDIA L4", nvml_gib=22.49)
AMPERE_48 = card(44.42, (8, 6), name="NVIDIA RTX A6000", nvml_gib=44.99)
A100_40 = card(39.49, (8, 0), name="NVIDIA A100-SXM4-40GB", nvml_gib=40.0)
BLACKWELL_32 = card(31.4, (12, 0), name="NVIDIA GeForce RTX 5090", nvml_gib=31.84)
BLACKWELL_96 = card(95.01, (12, 0), name="NVIDIA RTX PRO 6000", nvml_gib=95.59)

PLANNER = "github.com/llm-d-incubation/llm-d-planner, pull request 205, accuracy report"
PLANNER_DOC = "github.com/llm-d-incubation/llm-d-planner, docs/empirical-vllm-memory-results.md"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    source: str
    model: str
    release: str
    gpu: Gpu
    utilization: float
    kv_gib: float
    weights_gib: float | None = None
    kv_tokens: int | None = None
    flags: Flags = field(default_factory=dict)


RECORDS = [
    Recorded(
        source=PLANNER,
        model="meta-llama/Llama-3.1-8B-Instruct",
        release="0.19.0",
        gpu=H100,
        utilization=0.95,
        weights_gib=14.99,
        kv_gib=58.11,
        kv_tokens=476016,
        flags={"max_model_len": 8192},
    ),
    Recorded(
        source=PLANNER,
        model="Qwen/Qwen2.5-7B-Instruct",
        release="0.19.0",
        gpu=H100,
        utilization=0.95,
        weights_gib=14.25,
        kv_gib=58.53,
        kv_tokens=2192000,
        flags={"max_model_len": 8192, "kv_cache_dtype": "fp8"},
    ),
    Recorded(
        source=PLANNER,
        model="meta-llama/Llama-3.1-8B-Instruct",
        release="0.19.0",
        gpu=H100,
        utilization=0.95,
        weights_gib=8.49,
        kv_gib=64.61,
        flags={"max_model_len": 8192, "quantization": "fp8"},
    ),
    Recorded(
        source=PLANNER,
        model="meta-llama/Llama-3.1-8B-Instruct",
        release="0.19.0",
        gpu=H100,
        utilization=0.95,
        weights_gib=29.98,
        kv_gib=42.80,
        kv_tokens=175296,
        flags={"max_model_len": 8192, "dtype": "float32"},
    ),
    Recorded(
        source=PLANNER,
        model="Qwen/Qwen3-14B",
        release="0.16.0",
        gpu=H100,
        utilization=0.95,
        weights_gib=27.52,
        kv_gib=41.94,
        flags={"max_model_len": 8192},
    ),
    Recorded(
        source=PLANNER,
        model="Qwen/Qwen3-14B",
        release="0.17.0",
        gpu=H100,
        utilization=0.95,
        weights_gib=27.52,
        kv_gib=45.34,
        flags={"max_model_len": 8192},
    ),
    Recorded(
        source=PLANNER_DOC,
        model="Qwen/Qwen3-32B",
        release="0.11.0",
        gpu=H100_OTHER,
        utilization=0.9,
        weights_gib=30.59,
        kv_gib=34.49,
        flags={"max_model_len": 16000, "tensor_parallel_size": 2},
    ),
    Recorded(
        source=PLANNER_DOC,
        model="RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic",
        release="0.11.0",
        gpu=H100_OTHER,
        utilization=0.9,
        weights_gib=33.88,
        kv_gib=32.0,
        flags={"max_model_len": 16000, "tensor_parallel_size": 2},
    ),
    Recorded(
        source="public log, text index 34681159919",
        model="Qwen/Qwen3-8B-FP8",
        release="0.10.2",
        gpu=ADA_4090,
        utilization=0.8,
        weights_gib=8.80,
        kv_gib=8.60,
        kv_tokens=62608,
        flags={"max_model_len": 1024},
    ),
    Recorded(
        source="github.com/vllm-project/vllm, issue 57047",
        model="Qwen/Qwen3-4B-AWQ",
        release="0.31.0",
        gpu=ADA_4090_48,
        utilization=0.85,
        kv_gib=36.88,
        kv_tokens=268560,
        flags={"max_model_len": 2048},
    ),
    Recorded(
        source="public log of a start with one LoRA slot",
        model="Qwen/Qwen3-4B",
        release="0.27.1",
        gpu=ADA_4090_OTHER,
        utilization=0.92,
        kv_gib=12.86,
    ),
    Recorded(
        source="public log, text index 70109711463",
        model="meta-llama/Llama-3.1-8B-Instruct",
        release="0.7.3",
        gpu=L4,
        utilization=0.9,
        weights_gib=14.99,
        kv_gib=4.60,
        kv_tokens=37696,
        flags={"max_model_len": 131072},
    ),
    Recorded(
        source="public log, text index 60663571995",
        model="Qwen/Qwen2.5-1.5B-Instruct",
        release="0.7.2",
        gpu=L4_OTHER,
        utilization=0.9,
        weights_gib=2.88,
        kv_gib=15.52,
        flags={"max_model_len": 4096},
    ),
    Recorded(
        source="public log, text index 60511576041",
        model="Qwen/Qwen3-14B-AWQ",
        release="0.9.2",
        gpu=AMPERE_48,
        utilization=0.9,
        weights_gib=9.36,
        kv_gib=29.15,
        kv_tokens=191056,
    ),
    Recorded(
        source="public log, text index 34342936495",
        model="meta-llama/Llama-3.1-8B-Instruct",
        release="0.15.1",
        gpu=A100_40,
        utilization=0.9,
        weights_gib=14.99,
        kv_gib=19.28,
        kv_tokens=157936,
        flags={"max_num_batched_tokens": 8192, "max_num_seqs": 256},
    ),
    Recorded(
        source="public log, text index 55002292133",
        model="Qwen/Qwen3.5-9B",
        release="0.20.0",
        gpu=BLACKWELL_32,
        utilization=0.85,
        weights_gib=8.91,
        kv_gib=15.06,
        kv_tokens=246576,
        flags={"max_model_len": 4096, "tensor_parallel_size": 2},
    ),
    Recorded(
        source="github.com/vllm-project/vllm, issue 36973",
        model="Qwen/Qwen3.5-35B-A3B-GPTQ-Int4",
        release="0.17.1",
        gpu=BLACKWELL_32,
        utilization=0.9,
        weights_gib=21.05,
        kv_gib=5.18,
        kv_tokens=134144,
        flags={"kv_cache_dtype": "fp8", "enable_prefix_caching": True},
    ),
    Recorded(
        source="public log of a start in August 2026",
        model="Qwen/Qwen3-235B-A22B-Instruct-2507-FP8",
        release="0.31.0",
        gpu=BLACKWELL_96,
        utilization=0.9,
        weights_gib=55.19,
        kv_gib=27.85,
        kv_tokens=621392,
        flags={"max_model_len": 32768, "max_num_seqs": 32, "tensor_parallel_size": 4},
    ),
]

PRINTED = 0.006 * GIB
"""What rounding to two decimals hides."""


def _footprint(record: Recorded) -> Footprint:
    """Nobody says which of these ran from the image."""
    return footprint_of(facts_of(record.model), record.gpu, record.release, has_flashinfer=False, **record.flags)


def named(record: Recorded) -> str:
    return f"{record.model} on {record.gpu.name} with {record.release}"


@pytest.mark.parametrize("record", [record for record in RECORDS if record.weights_gib], ids=named)
def test_loaded_weights_are_within_2_percent(record: Recorded) -> None:
    fp = _footprint(record)
    weights = next(term.size for term in fp.terms if term.term is Term.WEIGHTS)
    assert weights.expected / GIB == pytest.approx(record.weights_gib, rel=0.02)


def test_kv_memory_lies_in_nine_of_ten_intervals() -> None:
    outside = []
    for record in RECORDS:
        kv_cache = predict(_footprint(record), record.utilization, record.gpu.free_bytes).kv_cache
        if not kv_cache.low - PRINTED <= record.kv_gib * GIB <= kv_cache.high + PRINTED:
            outside.append(named(record))
    assert len(outside) <= len(RECORDS) / 10, outside


@pytest.mark.parametrize("record", [record for record in RECORDS if record.kv_tokens], ids=named)
def test_tokens_follow_from_the_memory_as_that_release_logs_them(record: Recorded) -> None:
    fp = _footprint(record)
    tokens = logged_tokens(fp, round(record.kv_gib * GIB))
    assert tokens == pytest.approx(record.kv_tokens, rel=0.005)


def test_a_length_beyond_the_kv_memory_is_refused_as_it_was() -> None:
    refused = RECORDS[11]
    fp = _footprint(refused)
    prediction = predict(fp, refused.utilization, refused.gpu.free_bytes)
    assert prediction.verdict == "refuses"
    assert prediction.reason == (
        "one request of 131,072 tokens needs 16.00 GiB of KV cache, and 4.37 to 4.63 GiB are left"
    )
