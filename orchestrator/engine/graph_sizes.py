"""Which CUDA graphs an engine captures: batch sizes and how many graphs, by release."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.domain.inventory import Gpu
from orchestrator.engine.flag_values import Flags, integer, mapping, positive_integer, positive_integers, switch, text
from orchestrator.engine.memory_rules import MemoryRules

_FINE_STEP = 8
_COARSE_STEP = 16
_COARSE_FROM = 256
_SMALLEST = (1, 2, 4)
_LARGEST_BY_ARCHITECTURE = {"GptOssForCausalLM": 1024}
"""vLLM's own rule for an architecture (`model_executor/models/config.py`), where the user says nothing."""
_ONLY_PIECEWISE = "PIECEWISE"
_ONLY_FULL = ("FULL", "FULL_DECODE_ONLY")


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaGraphs:
    """`sizes` are the captured batch sizes in tokens; `piecewise` and `full` count the graphs of each form."""

    sizes: tuple[int, ...] = ()
    piecewise: int = 0
    full: int = 0

    @property
    def count(self) -> int:
        return self.piecewise + self.full


def cuda_graphs(
    *, vllm: Flags, rules: MemoryRules, gpu: Gpu, requests: int, tokens: int, architecture: str = ""
) -> CudaGraphs:
    """The graphs of one worker; none when the user asked for eager execution.

    `requests` is max-num-seqs and `tokens` max-num-batched-tokens. Sizes beyond `tokens` are dropped; full graphs
    serve decoding only, so they stop at `requests`.
    """
    compilation = mapping(vllm, "compilation-config")
    mode = (text(compilation, "cudagraph_mode") or "").upper()
    if _is_eager(vllm, compilation, mode):
        return CudaGraphs()
    largest = _LARGEST_BY_ARCHITECTURE.get(architecture) or _largest(rules, gpu, requests)
    wanted = _sizes(vllm, compilation, largest, tokens, coarse=rules.coarse_graph_steps)
    sizes = wanted[: bisect_right(wanted, tokens)]
    cases = _adapter_cases(vllm, rules)
    full = cases * bisect_right(sizes, requests) if rules.full_graphs and mode != _ONLY_PIECEWISE else 0
    return CudaGraphs(sizes=sizes, piecewise=0 if mode in _ONLY_FULL else cases * len(sizes), full=full)


def _adapter_cases(vllm: Flags, rules: MemoryRules) -> int:
    """How often each graph is captured: with and without LoRA, or also for 1, 2, 4, ... active adapters and all."""
    if switch(vllm, "enable-lora") is not True or not rules.full_graphs:
        return 1
    if switch(vllm, "specialize-active-lora") is not True:
        return 2
    slots = positive_integer(vllm, "max-loras") or 1
    return 2 + slots.bit_length() if slots > 1 else 2


def _is_eager(vllm: Flags, compilation: Flags, mode: str) -> bool:
    levels = (integer(vllm, "optimization-level"), integer(compilation, "level"))
    return switch(vllm, "enforce-eager") is True or 0 in levels or mode == "NONE"


def _sizes(vllm: Flags, compilation: Flags, largest_by_default: int, tokens: int, *, coarse: bool) -> tuple[int, ...]:
    """Sizes as they are written, or the row up to the largest one, which ends at `tokens`."""
    exact = positive_integers(vllm, "cudagraph-capture-sizes") or positive_integers(
        compilation, "cudagraph_capture_sizes"
    )
    either = positive_integers(vllm, "cuda-graph-sizes")  # one number is the largest, several are the sizes
    if exact or len(either) > 1:
        return exact or either
    largest = (
        positive_integer(vllm, "max-cudagraph-capture-size")
        or positive_integer(compilation, "max_cudagraph_capture_size")
        or next(iter(either), None)
        or largest_by_default
    )
    return _up_to(min(largest, tokens), coarse)


def _largest(rules: MemoryRules, gpu: Gpu, requests: int) -> int:
    blackwell = gpu.compute_capability is not None and gpu.compute_capability[0] == 10
    limit = rules.max_graph_size_datacenter_blackwell if blackwell else rules.max_graph_size
    if not rules.v1_engine:
        return min(requests, limit)
    return min(2 * requests, limit) if rules.graph_sizes_follow_requests else limit


@lru_cache(maxsize=256)
def _up_to(largest: int, coarse: bool) -> tuple[int, ...]:
    fine_end = min(largest, _COARSE_FROM - 1) if coarse else largest
    sizes = [*_SMALLEST, *range(_FINE_STEP, fine_end + 1, _FINE_STEP)]
    if coarse:
        sizes.extend(range(_COARSE_FROM, largest + 1, _COARSE_STEP))
    return tuple(size for size in sizes if size <= largest)
