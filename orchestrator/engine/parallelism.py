"""What is in flight at once: batches of scheduled tokens, pipeline stages, tokens that are guessed ahead."""

from __future__ import annotations

from orchestrator.engine.flag_values import Flags, mapping, positive_integer, switch, text
from orchestrator.engine.memory_rules import MemoryRules

PARALLEL_SIZES = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
"""Flags of which each worker, and so each GPU, is one: they are multiplied."""

_ASYNCHRONOUS_METHODS = ("eagle", "mtp", "draft_model", "ngram_gpu", "dspark", "dflash")
_OWN_LAYERS = "mtp"


def pipeline_stages(num_layers: int, stages: int) -> tuple[int, ...]:
    """Layers of each pipeline stage: even, and what is left over goes to stages before the last, from the back.

    Of stages without any layer one is enough.
    """
    stages = min(stages, num_layers + 1)
    least, left = divmod(num_layers, stages)
    sizes = [least] * stages
    for place in range(left):
        sizes[-2 - place if stages > 1 else 0] += 1
    return tuple(sizes)


def batches_in_flight(flags: Flags, rules: MemoryRules, stages: int, *, uses_v2_runner: bool) -> int:
    """Batches that are scheduled and not yet settled: windows of attention stay open for all of them.

    Scheduling ahead is on unless it is switched off or the way of guessing tokens forbids it; with pipeline stages only
    the V2 runner schedules one more. Before 0.26 vLLM counts a single batch.
    """
    if rules.batches_in_flight == 1:
        return 1
    ahead = switch(flags, "async-scheduling")
    if ahead is None:
        method = _method(flags)
        ahead = not method or any(word in method for word in _ASYNCHRONOUS_METHODS)
    return stages + 1 if ahead and (uses_v2_runner or stages == 1) else stages


def speculative_tokens(flags: Flags) -> int:
    """Tokens that are guessed per step; 0 without speculation."""
    said = positive_integer(mapping(flags, "speculative-config"), "num_speculative_tokens")
    return said or positive_integer(flags, "spec-tokens") or positive_integer(flags, "num-speculative-tokens") or 0


def own_draft_method(flags: Flags) -> bool:
    """Whether tokens are guessed by the model's own multi-token prediction layers."""
    return _OWN_LAYERS in _method(flags)


def _method(flags: Flags) -> str:
    stated = mapping(flags, "speculative-config")
    method = text(stated, "method") or text(flags, "spec-method")
    if method is not None:
        return method
    return "draft_model" if text(stated, "model") else ""
