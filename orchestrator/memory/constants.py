"""The measured constants of the memory model, each with where it was seen. Intervals hold at least 9 of 10 records.

The records are start-ups of vLLM printed in public issues, pull requests and repositories; the largest sets are the
accuracy report of llm-d-planner (pull request 205: 54 runs on H100, vLLM 0.15 to 0.19) and the start-up logs quoted in
vLLM's own issues. GiB and MiB are binary.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.units import GIB, MIB, ByteRange
from orchestrator.engine.memory_rules import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A factor that is known within an interval."""

    low: float
    expected: float
    high: float

    def of(self, amount: float) -> ByteRange:
        return ByteRange(int(amount * self.low), int(amount * self.expected), int(amount * self.high))


def gib_range(low: float, expected: float, high: float) -> ByteRange:
    return ByteRange(int(low * GIB), int(expected * GIB), int(high * GIB))


def mib_range(low: float, expected: float, high: float) -> ByteRange:
    return ByteRange(int(low * MIB), int(expected * MIB), int(high * MIB))


# ---- weights: loaded bytes over checkpoint bytes -------------------------------------------------------------------
LOADED_OVER_STORED = Scale(low=1.0, expected=1.001, high=1.006)
"""Llama-3.1-8B 14.99 of 14.96 GiB, Qwen3-14B 27.52 of 27.51, Qwen3-8B 15.27 of 15.26 (llm-d-planner 205)."""
LOADED_OVER_STORED_BY_METHOD = {
    "awq": Scale(low=1.0, expected=1.004, high=1.012),  # Qwen3-8B-AWQ 5.707 of 5.680, Qwen3-14B-AWQ 9.362 of 9.313
    "gptq": Scale(low=0.99, expected=1.002, high=1.012),  # repacked like AWQ; act-order indices may be dropped
    "fp8": Scale(low=0.998, expected=1.002, high=1.012),  # block scales are kept in float32
    "mxfp4": Scale(low=1.0, expected=1.04, high=1.14),  # padded by some kernels: gpt-oss-120b 61.3 to 66.0 of 60.8
}

# ---- activation peak -----------------------------------------------------------------------------------------------
FORWARD = Scale(low=0.95, expected=1.08, high=1.35)
"""Over `T * (3 I/tp + 3 H) * b`: Llama-3-8B T=2048 0.22 of 0.21 GiB; Qwen3-4B T=10000 0.74 of 0.69 (V0); the first
stages of Llama-3.1-8B PP2 1.10 and Qwen3-8B PP3 0.96 with two hidden states added (llm-d-planner 205)."""
MOE_WORKSPACE = Scale(low=0.3, expected=1.05, high=1.5)
"""Over the buffers of the fused experts, on top of the sampler: Qwen1.5-MoE 287 of 264 MiB, DeepSeek-V2-Lite 454 of
396, Qwen3-30B-A3B 502 of 352, Mixtral TP2 over 672; gpt-oss (other kernels) next to none."""
SAMPLER_BYTES_PER_LOGIT = {
    Sampler.SORT: Scale(low=37.0, expected=38.3, high=39.5),  # 0.6 to 0.16: Qwen3-0.6B to Llama-70B, S=256 and 1024
    Sampler.TRITON: Scale(low=14.2, expected=14.9, high=15.9),  # 0.17 to 0.20: Llama-3.1-8B 1.89 GiB, gemma-7b 3.63
    Sampler.FLASHINFER: Scale(low=4.0, expected=11.0, high=22.0),  # from 0.21: 4 with a warm compile cache, 22 cold
}

VISION_PEAK = gib_range(0.1, 0.8, 2.2)
"""The encoder at its largest input: Qwen3.5-9B and Qwen3.5-35B-A3B about 0.8, Qwen3.8-27B 1.0, Qwen2.5-VL-3B 1.7."""

# ---- what is no tensor of the model --------------------------------------------------------------------------------
NON_TORCH_ONE_GPU = (
    ("0.6.0", gib_range(0.02, 0.06, 0.26)),  # V0 and early V1: 0.02 to 0.13, once 0.26 (0.6.5)
    ("0.11.0", gib_range(0.02, 0.13, 0.20)),  # H100 0.11 to 0.17: 0.13
    ("0.18.0", gib_range(0.05, 0.24, 0.32)),  # H100 0.18 and 0.19: 0.24, 0.25
    ("0.27.0", gib_range(0.10, 0.24, 0.50)),  # drop of free memory less weights and buffers: 0.19, 0.31, 0.32
    ("0.32.0", gib_range(0.10, 0.20, 0.45)),  # cuBLAS handles are created before the snapshot
)
NON_TORCH_NVLINK = (
    ("0.6.0", gib_range(0.10, 0.60, 2.10)),  # NCCL counted: A100 TP8 1.82 to 2.10
    ("0.11.0", gib_range(0.20, 0.54, 0.80)),  # H100 TP2: 0.54, 0.55
    ("0.18.0", gib_range(1.60, 2.07, 2.30)),  # H100 TP2 2.06, 2.07, TP4 2.13; H200 TP8 1.74
)
NON_TORCH_PCIE = (
    ("0.6.0", gib_range(0.15, 0.28, 0.60)),  # 3090 TP16 0.20, 4090 TP2 0.25, L40S TP2 0.30 (NCCL counted)
    ("0.11.0", gib_range(0.10, 0.25, 0.60)),
    ("0.18.0", gib_range(0.15, 0.45, 0.90)),  # 5090 TP2 0.6 less buffers
)
NON_TORCH_PCIE_LARGE = (
    ("0.6.0", gib_range(0.15, 0.28, 0.60)),
    ("0.11.0", gib_range(0.10, 0.30, 1.00)),
    ("0.18.0", gib_range(0.15, 0.70, 1.75)),  # RTX PRO 6000 TP4 1.70
)
NON_TORCH_STAGE = gib_range(0.02, 0.07, 0.15)
"""A pipeline stage without tensor parallelism: 0.07 on H100 with vLLM 0.19."""

CONTEXT_ONE_GPU = gib_range(0.22, 0.45, 0.58)
"""CUDA's total less free at the snapshot: A10 0.23, 16 GB 0.23, 48 GB 0.38, 4090 0.45, 3090 0.51, H100 0.53 GiB."""
HANDLES = gib_range(0.01, 0.04, 0.10)
"""cuBLAS and cuBLASLt handles and workspaces (8 to 32 MiB each)."""
COMMUNICATORS_PCIE = gib_range(0.10, 0.30, 0.65)
"""NCCL's part of the context: 3090 TP4 0.63 in all, RTX PRO 6000 TP4 0.96, 5090 TP2 1.13."""
COMMUNICATORS_NVLINK = gib_range(0.15, 0.80, 1.75)
"""NCCL's part of the context: up to 2.16 GiB in all on H200 TP8."""
COMMUNICATORS_STAGES = gib_range(0.02, 0.10, 0.30)

# ---- CUDA graphs ---------------------------------------------------------------------------------------------------
GRAPH_BASE = mib_range(0, 30, 60)
GRAPH_EACH = mib_range(4.2, 6.5, 10.0)
"""Per graph. Estimates of 51 + 35 graphs: 0.42, 0.52, 0.65, 0.84 GiB for 4B to 8B; measured 0.22 to 0.91."""
GRAPH_EACH_ACTUAL = mib_range(1.5, 6.5, 12.0)
"""Per graph as captured: 67 piecewise 0.50, 0.67, 0.68 GiB, with more than one rank up to 1.0; V0 0.18 to 0.55."""
GRAPH_RANKS_FACTOR = 1.5

# ---- taken after the profile run, on top of the budget --------------------------------------------------------------
LAZY = mib_range(0, 40, 160)
"""Kernels loaded at the first request, and graphs beyond their estimate (0.07 to 0.14 GiB seen)."""
