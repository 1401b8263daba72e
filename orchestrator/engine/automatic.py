"""`auto` for flags that vLLM wants a number for: the planner chooses it, and vLLM never sees the word."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import written_key

AUTO = "auto"
TENSOR_PARALLEL_SIZE = "tensor-parallel-size"

AUTOMATIC = (TENSOR_PARALLEL_SIZE,)
"""Flags that take `auto` here, and of which vLLM itself does not know the word."""


def chooses_tensor_parallel_size(vllm: Mapping[str, FlagValue], release: Release) -> bool:
    """Whether the planner is to choose tensor-parallel-size."""
    key = written_key(TENSOR_PARALLEL_SIZE, vllm, release)
    return bool(key) and vllm[key] == AUTO


def as_vllm_may_see(vllm: Mapping[str, FlagValue], release: Release) -> dict[str, FlagValue]:
    """The flags for a check by vLLM's rules: 1, which every model can be divided by, where the planner chooses."""
    keys = {written_key(name, vllm, release) for name in AUTOMATIC}
    return {key: 1 if key in keys and value == AUTO else value for key, value in vllm.items()}
