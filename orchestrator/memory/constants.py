"""The measured constants of the memory model, each with where it was seen. Intervals hold at least 9 of 10 records.

The records are start-ups of vLLM printed in public issues, pull requests and repositories; the largest sets are the
accuracy report of llm-d-planner (pull request 205: 54 runs on H100, vLLM 0.15 to 0.19) and the start-up logs quoted in
vLLM's own issues. GiB and MiB are binary.
"""

from __future__ import annotations

from collections.abc import Mapping
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
LOADED_OVER_STORED = Scale(low=1.0, expected=1.0002, high=1.0045)
"""With the tables of RoPE counted: Llama-3.1-8B 14.99 of 14.99 GiB, Qwen3-14B 27.52 of 27.52, Qwen3-8B 15.27 of 15.27;
the allocator rounds large matrices up to 2 MiB, which is most for Qwen2.5-7B: 14.25 of 14.19 (llm-d-planner 205)."""
LOADED_OVER_STORED_BY_METHOD = {
    "awq": Scale(low=1.0, expected=1.004, high=1.012),  # Qwen3-8B-AWQ 5.707 of 5.680, Qwen3-14B-AWQ 9.362 of 9.313
    "gptq": Scale(low=0.99, expected=1.004, high=1.012),  # repacked like AWQ; act-order indices may be dropped
    "fp8": Scale(low=0.998, expected=1.002, high=1.012),  # block scales are kept in float32
    "mxfp4": Scale(low=1.0, expected=1.002, high=1.01),  # and what kernels pad: see `loaded_beside`
}

# ---- measured terms that are calibrated: one table, read by the memory model and by the cross-validation -------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One constant of the model. `fitted` is what all records together say, `prior` what reasoning alone would say.

    `unit` is what the scale multiplies. The prior stands in for a source that is held out when no other source tells.
    `is_either`: one of several kernels or states, so records move the bounds and leave the expectation alone.
    """

    name: str
    unit: str
    prior: Scale
    fitted: Scale
    source: str
    is_either: bool = False


Constants = Mapping[str, Scale]
"""Scales by the name of their parameter."""


def _s(low: float, expected: float, high: float) -> Scale:
    return Scale(low=low, expected=expected, high=high)


FORWARD = "forward pass"
MOE_WORKSPACE = "workspace of experts"
PACKED_WORKSPACE = "workspace of MXFP4 experts"
VISION_FORWARD = "vision encoder from 0.12.0"
EARLY_VISION_FORWARD = "vision encoder before 0.12.0"
VISION_PEAK = "vision encoder that is not known, from 0.12.0"
EARLY_VISION_PEAK = "vision encoder that is not known, before 0.12.0"
GRAPH_BASE = "CUDA graphs, first"
GRAPH_EACH = "CUDA graphs, each as estimated"
GRAPH_EACH_ACTUAL = "CUDA graphs, each as captured"
GRAPH_EACH_ACTUAL_LARGE = "CUDA graphs, each as captured, of experts or recurrent layers"
STAGE_NON_TORCH = "non-torch, pipeline stage from 0.11.0"


def sampler_parameter(sampler: Sampler) -> str:
    return f"sampler, {sampler}"


def non_torch_parameter(fabric: str, since: str) -> str:
    return f"non-torch, {fabric} from {since}"


PARAMETERS = (
    Parameter(
        name=FORWARD,
        unit="of T * (3 I/tp + 3 H) * element",
        prior=_s(0.8, 1.1, 1.6),
        fitted=_s(0.95, 1.08, 1.35),
        source="Llama-3-8B T=2048 0.22 of 0.21 GiB; Qwen3-4B T=10000 0.74 of 0.69 (V0); the first stages of"
        " Llama-3.1-8B PP2 1.10 and Qwen3-8B PP3 0.96 with two hidden states added (llm-d-planner 205)",
    ),
    Parameter(
        name=MOE_WORKSPACE,
        unit="of the fused experts' buffers, on top of the sampler",
        prior=_s(0.2, 1.0, 1.8),
        fitted=_s(0.3, 1.05, 1.5),
        source="Qwen1.5-MoE 287 of 264 MiB, DeepSeek-V2-Lite 454 of 396, Qwen3-30B-A3B 502 of 352, Mixtral TP2 672",
    ),
    Parameter(
        name=PACKED_WORKSPACE,
        unit="of the fused experts' buffers, on top of the sampler",
        prior=_s(0.0, 0.3, 1.0),
        fitted=_s(0.0, 0.05, 0.6),
        source="kernels that unpack as they multiply keep next to none: gpt-oss-20b and 120b 0.11 and 0.19",
    ),
    Parameter(
        name=sampler_parameter(Sampler.SORT),
        unit="bytes per logit",
        prior=_s(34.0, 38.0, 42.0),
        fitted=_s(37.0, 38.3, 39.5),
        source="0.6 to 0.16: Qwen3-0.6B to Llama-70B, S=256 and 1024. Prior: logits in 16 and 32 bit (6), a sort with"
        " two buffers of values and 64-bit places (24), probabilities and their sums (8)",
    ),
    Parameter(
        name=sampler_parameter(Sampler.FLASHINFER_IF_INSTALLED),
        unit="bytes per logit",
        prior=_s(9.0, 11.0, 16.0),
        fitted=_s(9.0, 11.0, 15.0),
        source="0.8 to 0.11.0 from the image, which has FlashInfer: A100 with 0.10.1.1 about 11. Prior: logits in 16"
        " and 32 bit (6), probabilities in 32 bit (4), what the kernel keeps (1)",
    ),
    Parameter(
        name=sampler_parameter(Sampler.TRITON),
        unit="bytes per logit",
        prior=_s(12.0, 15.0, 18.0),
        fitted=_s(14.2, 14.9, 15.9),
        source="0.17 to 0.20: Llama-3.1-8B 1.89 GiB, gemma-7b 3.63. Prior: logits in 16 and 32 bit (6), probabilities"
        " and noise in 32 bit (8), a mask (1)",
    ),
    Parameter(
        name=sampler_parameter(Sampler.FLASHINFER),
        unit="bytes per logit",
        prior=_s(4.0, 12.0, 24.0),
        fitted=_s(4.0, 11.0, 22.0),
        source="from 0.21: 4 with a warm compile cache, 22 on the first start, when compiling leaves memory behind",
        is_either=True,
    ),
    Parameter(
        name=VISION_FORWARD,
        unit="of patches * ((3 h + 2 i) / tp + 4 h) * element",
        prior=_s(0.6, 0.9, 1.3),
        fitted=_s(0.65, 0.85, 1.2),
        source="Qwen3.5 at 65,536 patches: 9B alone about 1.7 GiB, 35B-A3B 1.7 to 2.1. Prior: not all of these at once",
    ),
    Parameter(
        name=EARLY_VISION_FORWARD,
        unit="of the same",
        prior=_s(0.6, 1.2, 2.5),
        fitted=_s(0.6, 1.2, 2.5),
        source="0.11 looks at a video as long as the context allows, and keeps room for every token of it:"
        " Qwen3-VL-30B-A3B about 5 GiB",
    ),
    Parameter(
        name=VISION_PEAK,
        unit="GiB",
        prior=_s(0.1, 0.8, 2.0),
        fitted=_s(0.1, 0.8, 1.7),
        source="the encoder at its largest input: Qwen3.5-9B and Qwen3.5-35B-A3B 0.5 to 0.9",
    ),
    Parameter(
        name=EARLY_VISION_PEAK,
        unit="GiB",
        prior=_s(0.3, 1.5, 3.6),
        fitted=_s(0.3, 2.0, 3.6),
        source="images and videos of the largest size at once: Qwen3-VL-30B-A3B 3.2 (0.11), Qwen2.5-VL-3B 1.7 (V0)",
    ),
    # Growth of what is no tensor, by what the ranks talk over: kernels, workspaces, before 0.11 NCCL.
    Parameter(
        name=non_torch_parameter("one GPU", "0.6.0"),
        unit="GiB",
        prior=_s(0.02, 0.08, 0.30),
        fitted=_s(0.02, 0.06, 0.26),
        source="V0 and early V1: 0.02 to 0.13, once 0.26 (0.6.5)",
    ),
    Parameter(
        name=non_torch_parameter("one GPU", "0.11.0"),
        unit="GiB",
        prior=_s(0.02, 0.12, 0.25),
        fitted=_s(0.02, 0.13, 0.20),
        source="H100 0.11 to 0.17: 0.13",
    ),
    Parameter(
        name=non_torch_parameter("one GPU", "0.18.0"),
        unit="GiB",
        prior=_s(0.05, 0.20, 0.35),
        fitted=_s(0.05, 0.24, 0.32),
        source="H100 0.18 and 0.19: 0.24, 0.25",
    ),
    Parameter(
        name=non_torch_parameter("one GPU", "0.27.0"),
        unit="GiB",
        prior=_s(0.10, 0.25, 0.55),
        fitted=_s(0.10, 0.24, 0.50),
        source="drop of free memory less weights and buffers: 0.19, 0.31, 0.32",
    ),
    Parameter(
        name=non_torch_parameter("one GPU", "0.32.0"),
        unit="GiB",
        prior=_s(0.10, 0.20, 0.50),
        fitted=_s(0.10, 0.20, 0.45),
        source="cuBLAS handles are created before the snapshot",
    ),
    Parameter(
        name=non_torch_parameter("NVLink", "0.6.0"),
        unit="GiB with 8 ranks, in proportion with fewer",
        prior=_s(0.5, 1.5, 2.4),
        fitted=_s(0.8, 2.0, 2.3),
        source="NCCL counted, by the rank: A100 TP8 1.82 to 2.10, TP2 about 0.2",
    ),
    Parameter(
        name=non_torch_parameter("NVLink", "0.11.0"),
        unit="GiB",
        prior=_s(0.10, 0.60, 1.20),
        fitted=_s(0.20, 0.54, 0.80),
        source="H100 TP2: 0.54, 0.55",
    ),
    Parameter(
        name=non_torch_parameter("NVLink", "0.18.0"),
        unit="GiB",
        prior=_s(0.60, 1.80, 2.40),
        fitted=_s(1.60, 2.07, 2.30),
        source="H100 TP2 2.06, 2.07, TP4 2.13; H200 TP8 1.74",
    ),
    Parameter(
        name=non_torch_parameter("PCIe", "0.6.0"),
        unit="GiB",
        prior=_s(0.10, 0.30, 0.70),
        fitted=_s(0.15, 0.28, 0.60),
        source="3090 TP16 0.20, 4090 TP2 0.25, L40S TP2 0.30 (NCCL counted)",
    ),
    Parameter(
        name=non_torch_parameter("PCIe", "0.11.0"),
        unit="GiB",
        prior=_s(0.10, 0.25, 0.60),
        fitted=_s(0.10, 0.25, 0.60),
        source="not seen: as before 0.11, without NCCL",
    ),
    Parameter(
        name=non_torch_parameter("PCIe", "0.18.0"),
        unit="GiB",
        prior=_s(0.10, 0.45, 1.00),
        fitted=_s(0.15, 0.45, 0.90),
        source="5090 TP2 0.6 less buffers",
    ),
    Parameter(
        name=non_torch_parameter("PCIe, Blackwell", "0.6.0"),
        unit="GiB",
        prior=_s(0.15, 0.28, 0.70),
        fitted=_s(0.15, 0.28, 0.60),
        source="as other cards on PCIe",
    ),
    Parameter(
        name=non_torch_parameter("PCIe, Blackwell", "0.11.0"),
        unit="GiB",
        prior=_s(0.10, 0.30, 1.10),
        fitted=_s(0.10, 0.30, 1.00),
        source="between the rows around it",
    ),
    Parameter(
        name=non_torch_parameter("PCIe, Blackwell", "0.18.0"),
        unit="GiB",
        prior=_s(0.10, 0.70, 1.80),
        fitted=_s(0.15, 0.70, 1.75),
        source="RTX PRO 6000 TP4 1.70",
    ),
    Parameter(
        name=STAGE_NON_TORCH,
        unit="GiB",
        prior=_s(0.02, 0.10, 0.25),
        fitted=_s(0.02, 0.07, 0.15),
        source="a pipeline stage without tensor parallelism: 0.07 on H100 with vLLM 0.19",
    ),
    Parameter(
        name=GRAPH_BASE,
        unit="MiB",
        prior=_s(0.0, 30.0, 80.0),
        fitted=_s(0.0, 30.0, 60.0),
        source="what is left when few graphs are captured",
    ),
    Parameter(
        name=GRAPH_EACH,
        unit="MiB a graph",
        prior=_s(3.0, 6.5, 12.0),
        fitted=_s(4.2, 6.5, 10.0),
        source="estimates of 51 + 35 graphs: 0.42, 0.52, 0.65, 0.84 GiB for 4B to 8B; measured 0.22 to 0.91",
    ),
    Parameter(
        name=GRAPH_EACH_ACTUAL,
        unit="MiB a graph",
        prior=_s(1.0, 6.5, 16.0),
        fitted=_s(1.5, 6.5, 12.0),
        source="67 piecewise 0.50, 0.67, 0.68 GiB, several ranks up to 1.0; 102 with 8B 0.91; V0 0.18 to 0.55",
    ),
    Parameter(
        name=GRAPH_EACH_ACTUAL_LARGE,
        unit="MiB a graph",
        prior=_s(0.5, 7.0, 28.0),
        fitted=_s(0.5, 6.5, 24.0),
        source="gpt-oss-120b on four A100 1.88 GiB for 83, gpt-oss-20b 0.39 for 166, Qwen3.5 up to 1.62 for 86",
    ),
)

CONSTANTS: Constants = {parameter.name: parameter.fitted for parameter in PARAMETERS}
"""What the memory model uses."""

GRAPH_RANKS_FACTOR = 1.5
"""How much larger graphs may get with several ranks."""

# ---- what is held before the snapshot --------------------------------------------------------------------------------
CONTEXT_ONE_GPU = gib_range(0.22, 0.45, 0.58)
"""CUDA's total less free at the snapshot: A10 0.23, 16 GB 0.23, 48 GB 0.38, 4090 0.45, 3090 0.51, H100 0.53 GiB."""
HANDLES = gib_range(0.01, 0.04, 0.10)
"""cuBLAS and cuBLASLt handles and workspaces (8 to 32 MiB each)."""
COMMUNICATORS_PCIE = gib_range(0.10, 0.30, 0.65)
"""NCCL's part of the context: 3090 TP4 0.63 in all, RTX PRO 6000 TP4 0.96, 5090 TP2 1.13."""
COMMUNICATORS_NVLINK = gib_range(0.10, 0.30, 0.80)
COMMUNICATORS_NVLINK_EACH = gib_range(0.0, 0.06, 0.12)
"""NCCL's part of the context, and what every rank more adds: up to 2.16 GiB in all on H200 TP8, while H100 with two
and four ranks left room for 102 graphs beside 0.95 of the card (llm-d-planner 205)."""
COMMUNICATORS_STAGES = gib_range(0.02, 0.10, 0.30)

# ---- taken after the profile run, on top of the budget --------------------------------------------------------------
LAZY = mib_range(0, 40, 160)
"""Kernels loaded at the first request, and graphs beyond their estimate (0.07 to 0.14 GiB seen)."""
ALLOCATOR_SLACK = Scale(low=0.0, expected=0.06, high=0.3)
"""What PyTorch's allocator reserves and cannot use, over the activation peak: the profile run counts what is in use.
Two reports of memory that ran out name 0.19 and 1.04 GiB (issue 15105 of vLLM; Qwen3-VL-30B-A3B on A100)."""
