"""Memory that is no tensor: CUDA context, communicators, kernels, workspaces that appear at the first request."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.plan import MemoryTerm, Term
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, MIB, ByteRange
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.constants import (
    COMMUNICATORS_NVLINK,
    COMMUNICATORS_NVLINK_EACH,
    COMMUNICATORS_PCIE,
    COMMUNICATORS_STAGES,
    CONSTANTS,
    CONTEXT_ONE_GPU,
    HANDLES,
    LAZY,
    STAGE_NON_TORCH,
    Constants,
    non_torch_parameter,
)

_NVLINK_CAPABILITIES = frozenset({(7, 0), (8, 0), (9, 0), (10, 0), (10, 3)})
_NATIVE_FP8_ATTENTION = frozenset({(9, 0), (10, 0), (10, 3)})
_BLACKWELL = 10
_ALL_RANKS = 8
_LAST_FLASHINFER_ON_TURING = Release.of("0.23.0")
_STAGE_ROW_SINCE = Release.of("0.11.0")


class Fabric(StrEnum):
    """What ranks of one group most likely talk over."""

    ALONE = "one GPU"
    STAGES = "pipeline stages"
    NVLINK = "NVLink"
    PCIE = "PCIe"
    PCIE_LARGE = "PCIe, Blackwell"


def fabric(settings: EngineSettings, gpu: Gpu) -> Fabric:
    """The class of communicators of one rank: by the card's own links where they are known, else by its class."""
    if settings.tensor_parallel_size == 1:
        return Fabric.ALONE if settings.pipeline_parallel_size == 1 else Fabric.STAGES
    capability = gpu.compute_capability
    guessed = capability in _NVLINK_CAPABILITIES and "pcie" not in gpu.name.lower()
    if guessed if gpu.has_nvlink is None else gpu.has_nvlink:
        return Fabric.NVLINK
    return Fabric.PCIE if capability is not None and capability[0] < _BLACKWELL else Fabric.PCIE_LARGE


def non_torch_term(settings: EngineSettings, gpu: Gpu, constants: Constants = CONSTANTS) -> MemoryTerm:
    """Growth of non-torch memory between the snapshot and the end of the profile run."""
    between = fabric(settings, gpu)
    return MemoryTerm(
        term=Term.NON_TORCH,
        size=constants[non_torch_name(between, settings.release)].of(non_torch_unit(between, settings)),
        in_budget=True,
        source=f"kernels and workspaces seen with {between} on vLLM {settings.release}",
    )


def context_term(settings: EngineSettings, gpu: Gpu) -> MemoryTerm:
    """What a worker holds before vLLM's first look at the free memory."""
    rules = memory_rules(settings.release)
    between = fabric(settings, gpu)
    size, words = CONTEXT_ONE_GPU, ["CUDA context"]
    if not rules.nccl_in_budget and between in _COMMUNICATORS:
        size = size + _COMMUNICATORS[between]
        if between is Fabric.NVLINK:
            size = size + COMMUNICATORS_NVLINK_EACH * settings.tensor_parallel_size
        words.append(f"communicators ({between})")
    if rules.handles_before_snapshot:
        size = size + HANDLES
        words.append("cuBLAS handles")
    return MemoryTerm(term=Term.CONTEXT, size=size, in_budget=rules.context_in_budget, source=", ".join(words))


def late_term(settings: EngineSettings, gpu: Gpu) -> MemoryTerm:
    """What is allocated after the profile run and so on top of the budget."""
    workspace = settings.rules.flashinfer_workspace_mib * MIB if _uses_flashinfer(settings, gpu) else 0
    size = LAZY + ByteRange(0, workspace, workspace)
    words = "kernels loaded at the first request"
    if workspace:
        words += f", FlashInfer workspace of {workspace // MIB} MiB"
    return MemoryTerm(term=Term.NON_TORCH, size=size, in_budget=False, source=words)


_COMMUNICATORS = {
    Fabric.STAGES: COMMUNICATORS_STAGES,
    Fabric.NVLINK: COMMUNICATORS_NVLINK,
    Fabric.PCIE: COMMUNICATORS_PCIE,
    Fabric.PCIE_LARGE: COMMUNICATORS_PCIE,
}
_NON_TORCH_SINCE = {
    Fabric.ALONE: ("0.6.0", "0.11.0", "0.18.0", "0.27.0", "0.32.0"),
    Fabric.NVLINK: ("0.6.0", "0.11.0", "0.18.0"),
    Fabric.PCIE: ("0.6.0", "0.11.0", "0.18.0"),
    Fabric.PCIE_LARGE: ("0.6.0", "0.11.0", "0.18.0"),
}
_EPOCHS = {
    between: tuple((Release.of(since), non_torch_parameter(between, since)) for since in rows)
    for between, rows in _NON_TORCH_SINCE.items()
}


def non_torch_unit(between: Fabric, settings: EngineSettings) -> float:
    """What a non-torch parameter multiplies: a GiB, or the part of it that NCCL's buffers for so many ranks are."""
    by_rank = between is Fabric.NVLINK and memory_rules(settings.release).nccl_in_budget
    return GIB * settings.tensor_parallel_size / _ALL_RANKS if by_rank else GIB


def non_torch_name(between: Fabric, release: Release) -> str:
    """The parameter that says how much non-torch memory grows over this fabric on that release."""
    if between is Fabric.STAGES:
        if release >= _STAGE_ROW_SINCE:
            return STAGE_NON_TORCH
        between = Fabric.ALONE
    rows = _EPOCHS[between]
    return next((name for since, name in reversed(rows) if since <= release), rows[0][1])


def _uses_flashinfer(settings: EngineSettings, gpu: Gpu) -> bool:
    """Whether attention most likely runs on FlashInfer: fp8 KV where FlashAttention has none, Blackwell, old Turing."""
    capability = gpu.compute_capability
    if capability is None:
        return True
    if capability < (8, 0):
        return capability >= (7, 5) and settings.release <= _LAST_FLASHINFER_ON_TURING
    if settings.kv_cache_dtype.startswith("fp8"):
        return capability not in _NATIVE_FP8_ATTENTION
    return capability[0] == _BLACKWELL
