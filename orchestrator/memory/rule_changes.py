"""What the same profile gains or loses between two releases, because they account for memory by other rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from orchestrator.domain.release import Release
from orchestrator.domain.units import as_gib
from orchestrator.engine.memory_rules import BatchTier, MemoryRules, Sampler, V2RunnerRule, memory_rules
from orchestrator.memory.constants import CONSTANTS, sampler_parameter

_Sentence = Callable[[Any, Any], str]


def rule_changes(here: Release, there: Release) -> tuple[str, ...]:
    """A sentence for every rule of `there` that is not as in `here`, in the order of the rules."""
    return tuple(_sentences(memory_rules(here), memory_rules(there)))


def _sentences(old: MemoryRules, new: MemoryRules) -> Iterator[str]:
    for field in fields(MemoryRules):
        before, after = getattr(old, field.name), getattr(new, field.name)
        sentence = SENTENCES[field.name]
        if before != after and sentence is not None:
            yield sentence(before, after)


def _either(yes: str, no: str) -> _Sentence:
    return lambda _, after: yes if after else no


def _number(what: str) -> _Sentence:
    return lambda before, after: f"{what}: {after:,}, not {before:,}"


def _sampler(before: Sampler, after: Sampler) -> str:
    one, other = (CONSTANTS[sampler_parameter(each)].expected for each in (before, after))
    if one == other:
        return f"the profile run samples with {after}, not with {before}"
    word = "less" if other < one else "more"
    share = f"{abs(one - other) / one:.0%}".replace("%", " %")
    return (
        f"the profile run samples with {after}, not with {before}: {share} {word} at the peak of the logits"
        f" (about {other:.0f} bytes for each, not {one:.0f}), which the KV cache {'gains' if other < one else 'loses'}"
    )


def _batches(_: tuple[BatchTier, ...], after: tuple[BatchTier, ...]) -> str:
    *large, least = after
    rest = f"{_sizes(least)} {'below that' if large else 'on every card'}"
    return "default `max-num-batched-tokens` and `max-num-seqs`: " + "; ".join([*(_tier(each) for each in large), rest])


def _tier(tier: BatchTier) -> str:
    return f"{_sizes(tier)} from {as_gib(tier.minimum_bytes):.0f} GiB{' (not A100)' if tier.not_for_a100 else ''}"


def _sizes(tier: BatchTier) -> str:
    return f"{tier.max_num_batched_tokens:,} and {tier.max_num_seqs:,}"


def _small_batches(_: object, after: tuple[int, int] | None) -> str:
    if after is None:
        return "default batch sizes follow the card's memory alone"
    return "cards of compute capability {}.{} get the least default batch sizes, whatever their memory".format(*after)


def _v2_runner(_: V2RunnerRule, after: V2RunnerRule) -> str:
    if after.architectures is not None and not after.architectures:
        return "no model gets the V2 model runner by default"
    models = "all models" if after.architectures is None else ", ".join(sorted(after.architectures))
    limits = [
        *(["without experts"] if after.dense_only else []),
        *(["not quantised"] if after.unquantized_only else []),
        *([] if after.hybrids_too or after.architectures is not None else ["without recurrent layers"]),
    ]
    return f"the V2 model runner is the default for {models}" + (f" ({', '.join(limits)})" if limits else "")


SENTENCES: Mapping[str, _Sentence | None] = {
    "since": None,
    "default_utilization": lambda before, after: (
        f"default `gpu-memory-utilization`: {after}, not {before}: {abs(after - before):.0%}".replace("%", " %")
        + f" of the GPU {'more' if after > before else 'less'} where the flag is not written"
    ),
    "v1_engine": _either(
        "the V1 engine is the default: the profile run follows `max-num-batched-tokens`",
        "the V0 engine is the default: the profile run follows `max-model-len`",
    ),
    "falls_back_to_v0": _either(
        "what V1 cannot do (cards before Ampere, some FP8 caches) runs on the V0 engine, by its rules",
        "there is no V0 engine to fall back to",
    ),
    "startup_free_check": _either(
        "the start is refused unless the GPU's free memory covers the whole budget",
        "the start is no longer refused when the GPU's free memory does not cover the budget",
    ),
    "error_names_device": None,  # words of an error
    "rounds_budget_up": None,  # one byte
    "device_wide": _either(
        "what other processes hold on the GPU counts against this service",
        "only the service's own memory counts against its budget, not that of its neighbours",
    ),
    "context_in_budget": _either(
        "the CUDA context counts against the budget", "the CUDA context is outside the budget, so the card needs more"
    ),
    "nccl_in_budget": _either(
        "communicators between GPUs count against the budget", "communicators between GPUs are outside the budget"
    ),
    "measures_free_memory_drop": _either(
        "all that leaves the GPU's free memory while loading counts against the budget, buffers of libraries included",
        "buffers of libraries no longer count against the budget",
    ),
    "handles_before_snapshot": _either(
        "handles of cuBLAS are made before the first measurement, so they are outside the budget",
        "handles of cuBLAS count against the budget",
    ),
    "graph_reserve": lambda before, after: (
        f"memory for CUDA graphs is taken out of the budget before the KV cache: {after}, not {before}"
    ),
    "null_block_in_fit_check": _either(
        "one block of the KV cache is set aside before the longest request is checked",
        "the longest request is checked against all blocks of the KV cache",
    ),
    "fixed_kv_bytes": _either(
        "`kv-cache-memory-bytes` gives the KV cache a size of its own", "the KV cache cannot be given a size of its own"
    ),
    "auto_max_model_len": _either(
        "`max-model-len: -1` takes the longest length that fits", "`max-model-len` cannot be left to what fits"
    ),
    "hybrid_allocator": _either(
        "layers with a sliding window store their window only", "layers with a sliding window are stored whole"
    ),
    "frees_old_chunks": _either(
        "layers with chunked attention store their chunk only", "layers with chunked attention are stored whole"
    ),
    "logged_tokens": lambda _, after: f"the logged size of the KV cache counts {after}",
    "sampler": _sampler,
    "flashinfer_workspace_mib": _number("workspace of FlashInfer in MiB"),
    "caps_tokens_by_requests": _either(
        "`max-num-batched-tokens` is at most `max-num-seqs` times `max-model-len` by default",
        "the default of `max-num-batched-tokens` does not look at `max-num-seqs`",
    ),
    "batches_in_flight": _number("batches for which a sliding window is kept open"),
    "caches_recurrent_prefixes": _either(
        "prefix caching is on by default for models with recurrent layers, too",
        "prefix caching is off by default for models with recurrent layers",
    ),
    "full_graphs": _either(
        "CUDA graphs of whole decoding steps are captured beside those of pieces", "CUDA graphs hold pieces only"
    ),
    "max_graph_size": _number("largest batch with a CUDA graph"),
    "max_graph_size_datacenter_blackwell": _number("largest batch with a CUDA graph on B200 and B300"),
    "graph_sizes_follow_requests": _either(
        "CUDA graphs stop at twice `max-num-seqs`", "CUDA graphs no longer stop at twice `max-num-seqs`"
    ),
    "coarse_graph_steps": _either(
        "fewer CUDA graphs: from a batch of 256 on, one every 16", "more CUDA graphs: one every 8 for all batches"
    ),
    "performance_mode": _either(
        "`performance-mode: throughput` doubles the default batch sizes", "there is no `performance-mode`"
    ),
    "small_batch_capability": _small_batches,
    "batch_tiers": _batches,
    "v2_runner": _v2_runner,
}
"""Every rule in words; None for what changes nobody's memory."""
