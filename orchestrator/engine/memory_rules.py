"""How each vLLM release accounts for GPU memory at start-up: rules as data, one row per epoch.

Read in the released sources (`worker/worker.py`, `v1/worker/gpu_worker.py`, `v1/worker/utils.py`, `utils/mem_utils.py`,
`v1/core/kv_cache_utils.py`, `v1/core/kv_cache_planning.py`, `engine/arg_utils.py`, `config/vllm.py`, `envs.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import LayerKind, ModelConfig
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB


class GraphReserve(StrEnum):
    """Whose CUDA graphs are estimated and taken out of the budget before the KV cache."""

    NOBODY = "nobody's"
    V1_RUNNER = "the V1 runner's"
    BOTH_RUNNERS = "both runners'"


class LoggedTokens(StrEnum):
    """What the line `GPU KV cache size: N tokens` (or `# GPU blocks`, times the block size) counts."""

    BLOCKS_PER_GROUP = "blocks // groups * block size"
    FULL_LENGTH_REQUESTS = "full-length requests * max-model-len"


class Sampler(StrEnum):
    """The kernels that the profile run samples with; they decide how many bytes one logit takes at the peak."""

    SORT = "PyTorch sort"
    FLASHINFER_IF_INSTALLED = "older FlashInfer, where installed"
    TRITON = "Triton top-k/top-p"
    FLASHINFER = "FlashInfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTier:
    """Server defaults of max-num-batched-tokens and max-num-seqs from a total of `minimum_bytes` (NVML's) upwards."""

    minimum_bytes: int
    max_num_batched_tokens: int
    max_num_seqs: int
    not_for_a100: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class V2RunnerRule:
    """Which models get the V2 model runner by default. `architectures` None: any."""

    architectures: frozenset[str] | None = frozenset()
    dense_only: bool = False
    unquantized_only: bool = False
    hybrids_too: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRules:
    """The memory rules of a release.

    - `v1_engine`: the V1 engine is the default (before: V0, whose profile run follows max-model-len).
    - `falls_back_to_v0`: V0 is still there, and takes what V1 cannot: cards before Ampere, fp8 KV where FlashAttention
      has none (`engine/arg_utils.py`, `_is_v1_supported_oracle`).
    - `startup_free_check`: the start is refused unless the free memory covers the budget.
    - `device_wide`: memory of other processes is charged to this instance.
    - `context_in_budget`, `nccl_in_budget`: whether the CUDA context and the communicators count against the budget.
    - `measures_free_memory_drop`: from 0.27.0 all that leaves the device's free memory counts, buffers included.
    - `handles_before_snapshot`: from 0.32.0 cuBLAS handles exist before the snapshot, so outside the budget.
    - `batches_in_flight`: how many batches a sliding window is kept open for.
    - `caches_recurrent_prefixes`: prefix caching is on by default for models with recurrent layers, too.
    - `frees_old_chunks`: layers with chunked local attention keep their chunk only (else everything, like full ones).
    - `null_block_in_fit_check`: one block of the pool is taken off before the length check.
    """

    since: str
    default_utilization: float = 0.9
    v1_engine: bool = True
    falls_back_to_v0: bool = False
    startup_free_check: bool = True
    error_names_device: bool = True
    rounds_budget_up: bool = True
    device_wide: bool = False
    context_in_budget: bool = False
    nccl_in_budget: bool = False
    measures_free_memory_drop: bool = False
    handles_before_snapshot: bool = False
    graph_reserve: GraphReserve = GraphReserve.NOBODY
    null_block_in_fit_check: bool = False
    fixed_kv_bytes: bool = True
    auto_max_model_len: bool = True
    hybrid_allocator: bool = True
    frees_old_chunks: bool = True
    logged_tokens: LoggedTokens = LoggedTokens.BLOCKS_PER_GROUP
    sampler: Sampler = Sampler.SORT
    flashinfer_workspace_mib: int = 394
    caps_tokens_by_requests: bool = True
    batches_in_flight: int = 2
    caches_recurrent_prefixes: bool = True
    full_graphs: bool = True
    max_graph_size: int = 512
    max_graph_size_datacenter_blackwell: int = 512
    graph_sizes_follow_requests: bool = True
    coarse_graph_steps: bool = True
    performance_mode: bool = True
    small_batch_capability: tuple[int, int] | None = None
    batch_tiers: tuple[BatchTier, ...] = ()
    v2_runner: V2RunnerRule = V2RunnerRule()

    def budget(self, total_bytes: int, utilization: float) -> int:
        """The budget in whole bytes; a float product, rounded up from 0.14.0 and cut before."""
        product = total_bytes * utilization
        whole = int(product)
        return whole + 1 if self.rounds_budget_up and whole < product else whole

    def batch_tier(self, gpu: Gpu) -> BatchTier:
        """The tier of default batch sizes for a GPU."""
        if self.small_batch_capability is not None and gpu.compute_capability == self.small_batch_capability:
            return self.batch_tiers[-1]
        is_a100 = "a100" in gpu.name.lower()
        return next(
            tier
            for tier in self.batch_tiers
            if gpu.total_bytes >= tier.minimum_bytes and not (tier.not_for_a100 and is_a100)
        )

    def uses_v2_runner(self, config: ModelConfig) -> bool:
        """Whether this release runs the model with the V2 model runner unless told otherwise."""
        rule = self.v2_runner
        if rule.architectures is not None and config.architecture not in rule.architectures:
            return False
        hybrid = any(group.kind is LayerKind.LINEAR_ATTENTION for group in config.layers)
        return not (
            (rule.dense_only and config.moe is not None)
            or (rule.unquantized_only and config.quantization is not None)
            or (hybrid and not rule.hybrids_too)
        )

    def reserves_graphs(self, uses_v2_runner: bool) -> bool:
        """Whether an estimate of the CUDA graphs is taken out of the budget."""
        if self.graph_reserve is GraphReserve.BOTH_RUNNERS:
            return True
        return self.graph_reserve is GraphReserve.V1_RUNNER and not uses_v2_runner


_SMALL = BatchTier(minimum_bytes=0, max_num_batched_tokens=2048, max_num_seqs=256)
_LARGE = BatchTier(minimum_bytes=70 * GIB, max_num_batched_tokens=8192, max_num_seqs=1024)
_LARGE_NOT_A100 = replace(_LARGE, not_for_a100=True)
_HUGE = BatchTier(minimum_bytes=160 * GIB, max_num_batched_tokens=16384, max_num_seqs=1024)

_QWEN3 = frozenset({"Qwen3ForCausalLM"})
_THREE = _QWEN3 | {"LlamaForCausalLM", "MistralForCausalLM"}
_SIX = _THREE | {"DeepseekV2ForCausalLM", "Qwen2MoeForCausalLM", "GraniteMoeForCausalLM"}

_OLDEST = MemoryRules(
    since="0.6.0",
    v1_engine=False,
    startup_free_check=False,
    error_names_device=False,
    rounds_budget_up=False,
    nccl_in_budget=True,
    fixed_kv_bytes=False,
    auto_max_model_len=False,
    hybrid_allocator=False,
    frees_old_chunks=False,
    flashinfer_workspace_mib=256,
    caps_tokens_by_requests=False,
    batches_in_flight=1,
    caches_recurrent_prefixes=False,
    full_graphs=False,
    max_graph_size=256,
    coarse_graph_steps=False,
    performance_mode=False,
    batch_tiers=(_SMALL,),
)

# (first release, what changed there). Everything not named stays as it was in the release before.
_CHANGES: tuple[tuple[str, dict[str, object]], ...] = (
    ("0.6.4", {"device_wide": True, "context_in_budget": True}),
    ("0.6.5", {"device_wide": False, "context_in_budget": False}),
    (
        "0.8.0",
        {
            "v1_engine": True,
            "falls_back_to_v0": True,
            "sampler": Sampler.FLASHINFER_IF_INSTALLED,
            "device_wide": True,
            "context_in_budget": True,
            "max_graph_size": 512,
            "graph_sizes_follow_requests": False,
            "batch_tiers": (_LARGE, _SMALL),
        },
    ),
    ("0.9.0", {"batch_tiers": (_LARGE_NOT_A100, _SMALL)}),
    (
        "0.9.1",
        {"device_wide": False, "context_in_budget": False, "startup_free_check": True, "hybrid_allocator": True},
    ),
    ("0.9.2", {"frees_old_chunks": True}),
    ("0.10.0", {"graph_sizes_follow_requests": True}),
    ("0.10.1", {"frees_old_chunks": False}),
    ("0.10.2", {"fixed_kv_bytes": True}),
    ("0.11.0", {"nccl_in_budget": False, "full_graphs": True, "falls_back_to_v0": False}),
    (
        "0.11.1",
        {
            "flashinfer_workspace_mib": 394,
            "caps_tokens_by_requests": True,
            "coarse_graph_steps": True,
            "sampler": Sampler.SORT,
        },
    ),
    ("0.13.0", {"frees_old_chunks": True}),
    ("0.14.0", {"rounds_budget_up": True, "error_names_device": True, "auto_max_model_len": True}),
    ("0.17.0", {"sampler": Sampler.TRITON, "performance_mode": True}),
    ("0.20.0", {"default_utilization": 0.92, "graph_reserve": GraphReserve.V1_RUNNER}),
    ("0.20.1", {"logged_tokens": LoggedTokens.FULL_LENGTH_REQUESTS}),
    ("0.21.0", {"sampler": Sampler.FLASHINFER}),
    ("0.22.0", {"v2_runner": V2RunnerRule(architectures=_QWEN3, dense_only=True, unquantized_only=True)}),
    ("0.23.0", {"v2_runner": V2RunnerRule(architectures=_THREE, dense_only=True, unquantized_only=True)}),
    ("0.24.0", {"v2_runner": V2RunnerRule(architectures=_SIX)}),
    ("0.25.0", {"v2_runner": V2RunnerRule(architectures=None, dense_only=True)}),
    ("0.26.0", {"batches_in_flight": 2, "caches_recurrent_prefixes": True}),
    ("0.27.0", {"measures_free_memory_drop": True}),
    ("0.28.0", {"batch_tiers": (_HUGE, _LARGE_NOT_A100, _SMALL), "max_graph_size_datacenter_blackwell": 1024}),
    (
        "0.29.0",
        {
            "graph_reserve": GraphReserve.BOTH_RUNNERS,
            "null_block_in_fit_check": True,
            "v2_runner": V2RunnerRule(architectures=None, hybrids_too=True),
        },
    ),
    ("0.32.0", {"handles_before_snapshot": True}),
    ("0.33.0", {"small_batch_capability": (12, 1)}),
)


def _epochs() -> Iterable[tuple[Release, MemoryRules]]:
    rules = _OLDEST
    yield Release.of(rules.since), rules
    for since, changes in _CHANGES:
        rules = replace(rules, since=since, **changes)  # type: ignore[arg-type]
        yield Release.of(since), rules


LAST_V0 = Release.of("0.7.3")
"""The release whose rules the V0 engine keeps wherever a later one falls back to it."""


@lru_cache(maxsize=1)
def memory_epochs() -> tuple[tuple[Release, MemoryRules], ...]:
    """All epochs, oldest first, each with the release it begins at."""
    return tuple(_epochs())


@lru_cache(maxsize=256)
def memory_rules(release: Release) -> MemoryRules:
    """The rules of the epoch that a release falls in; a release before the first epoch gets the first."""
    epochs = memory_epochs()
    return next((rules for since, rules in reversed(epochs) if since <= release), epochs[0][1])
