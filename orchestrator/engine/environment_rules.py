"""Tables about environment variables that no source file tells: what took their place, and what they do to memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.domain.release import Release
from orchestrator.domain.units import MIB
from orchestrator.engine.environment import is_on, setting, whole
from orchestrator.engine.memory_rules import GraphReserve, MemoryRules, Sampler, V2RunnerRule

_PROFILER = "write `profiler-config` under `vllm:`"
_MOE = "write `moe-backend` under `vllm:`"
_LINEAR = "write `linear-backend` under `vllm:`"


def _attention(part: str) -> str:
    return f"write `attention-config.{part}` under `vllm:`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """The flag `new` took the place of the variable `old` (None: nothing did); `how` says what to write."""

    old: str
    new: str | None
    how: str


def _row(old: str, new: str | None, how: str) -> Successor:
    return Successor(old=old, new=new, how=how)


VARIABLE_SUCCESSORS: tuple[Successor, ...] = (
    _row("VLLM_ALL2ALL_BACKEND", "all2all-backend", "write `all2all-backend` under `vllm:` with the same value"),
    _row("VLLM_ATTENTION_BACKEND", "attention-backend", "write `attention-backend` under `vllm:` with the same value"),
    _row("VLLM_DISABLE_FLASHINFER_PREFILL", "attention-config", _attention("disable_flashinfer_prefill")),
    _row("VLLM_FLASHINFER_DISABLE_Q_QUANTIZATION", "attention-config", _attention("disable_flashinfer_q_quantization")),
    _row("VLLM_FLASHINFER_MOE_BACKEND", "moe-backend", _MOE),
    _row(
        "VLLM_FLASH_ATTN_MAX_NUM_SPLITS_FOR_CUDA_GRAPH",
        "attention-config",
        _attention("flash_attn_max_num_splits_for_cuda_graph"),
    ),
    _row("VLLM_FLASH_ATTN_VERSION", "attention-config", _attention("flash_attn_version")),
    _row("VLLM_MM_HASHER_ALGORITHM", "mm-hasher-algorithm", "write `mm-hasher-algorithm` under `vllm:`"),
    _row("VLLM_MM_INPUT_CACHE_GIB", "mm-processor-cache-gb", "write `mm-processor-cache-gb` under `vllm:`"),
    _row("VLLM_MXFP4_USE_MARLIN", "moe-backend", "write `moe-backend: marlin` under `vllm:`"),
    _row("VLLM_NVFP4_GEMM_BACKEND", "linear-backend", _LINEAR),
    _row(
        "VLLM_PREFIX_CACHE_RETENTION_INTERVAL",
        "prefix-cache-retention-interval",
        "write `prefix-cache-retention-interval` under `vllm:` with the same value",
    ),
    _row("VLLM_TORCH_PROFILER_DIR", "profiler-config", _PROFILER),
    _row("VLLM_USE_FBGEMM", "linear-backend", "write `linear-backend: fbgemm` under `vllm:`"),
    _row("VLLM_USE_FLASHINFER_MOE_FP16", "moe-backend", _MOE),
    _row("VLLM_USE_FLASHINFER_MOE_FP4", "moe-backend", _MOE),
    _row("VLLM_USE_FLASHINFER_MOE_FP8", "moe-backend", _MOE),
    _row("VLLM_USE_FLASHINFER_MOE_MXFP4_BF16", "moe-backend", _MOE),
    _row("VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8", "moe-backend", _MOE),
    _row("VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8_CUTLASS", "moe-backend", _MOE),
    _row("VLLM_USE_NVFP4_CT_EMULATIONS", "linear-backend", "write `linear-backend: emulation` under `vllm:`"),
    _row("VLLM_USE_TRTLLM_ATTENTION", "attention-config", _attention("use_trtllm_attention")),
    _row("VLLM_USE_V1", None, "delete the line; the V1 engine is the only one"),
)
"""What removed variables became: the deprecation notes of `envs.py` and the configuration classes of later releases."""

REPLACED_VARIABLES: Mapping[str, str] = {"VLLM_TRITON_ATTN_USE_TD": "VLLM_TRITON_USE_TD"}
"""Variables that got another name."""

GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
"""The container is given its GPUs by UUID and counts them from 0 again: these would hide some, or all."""

_EVERY_MODEL = V2RunnerRule(architectures=None, hybrids_too=True)
_TRITON_SINCE = Release.of("0.17.0")


def rules_under(rules: MemoryRules, release: Release, environment: Mapping[str, str]) -> MemoryRules:
    """The memory rules that count, as the variables that a profile sets for a release change them."""

    def said(name: str) -> bool | None:
        return is_on(environment, name, release) if name in environment else None

    runner = said("VLLM_USE_V2_MODEL_RUNNER")
    if runner is not None:
        rules = replace(rules, v2_runner=_EVERY_MODEL if runner else V2RunnerRule())
    estimates = said("VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS")
    if estimates is False:
        rules = replace(rules, graph_reserve=GraphReserve.NOBODY)
    elif estimates and rules.graph_reserve is GraphReserve.NOBODY:
        rules = replace(rules, graph_reserve=GraphReserve.V1_RUNNER)
    flashinfer = said("VLLM_USE_FLASHINFER_SAMPLER")
    if flashinfer is not None and rules.v1_engine:
        plain = Sampler.TRITON if release >= _TRITON_SINCE else Sampler.SORT
        has_early_form = rules.sampler is Sampler.FLASHINFER_IF_INSTALLED
        kernels = rules.sampler if has_early_form else Sampler.FLASHINFER
        rules = replace(rules, sampler=kernels if flashinfer else plain)
    workspace = whole(setting(environment, "VLLM_FLASHINFER_WORKSPACE_BUFFER_SIZE", release) or "") or 0
    return replace(rules, flashinfer_workspace_mib=-(-workspace // MIB)) if workspace > 0 else rules
