"""What was decided and why: memory terms, predictions, placements, reductions, rejections, the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.profile import FlagValue, KeyPath
from orchestrator.domain.release import Release
from orchestrator.domain.units import ByteRange, total


class Term(StrEnum):
    """The parts of a GPU's memory that one vLLM worker takes."""

    WEIGHTS = "weights"
    ACTIVATION = "activation peak"
    NON_TORCH = "non-torch"
    CUDA_GRAPHS = "CUDA graphs"
    CONTEXT = "context"
    KV_CACHE = "KV cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTerm:
    """One term of one worker. `in_budget`: vLLM takes it out of `total * gpu-memory-utilization` in this release."""

    term: Term
    size: ByteRange
    in_budget: bool
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KvGroup:
    """Layers whose KV blocks are handed out together.

    A request of n tokens takes `ceil(min(n, token_cap) / block_tokens) + extra_blocks` blocks of the pool for each of
    the group's `count` (a window caps the tokens); a recurrent state takes `extra_blocks` whatever the length
    (`token_cap` 0).
    """

    block_tokens: int
    count: int = 1
    token_cap: int | None = None
    extra_blocks: int = 0

    def blocks_for(self, tokens: int) -> int:
        capped = tokens if self.token_cap is None else min(tokens, self.token_cap)
        return self.count * (-(-capped // self.block_tokens) + self.extra_blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class KvCacheLayout:
    """The KV cache of one worker: a pool of equal blocks. `reserved_blocks` can never be used (the null block)."""

    block_bytes: int
    groups: tuple[KvGroup, ...]
    reserved_blocks: int = 0
    source: str = ""

    def blocks_for(self, tokens: int) -> int:
        """Blocks of the pool that one request of that many tokens takes."""
        blocks = 0
        for group in self.groups:
            blocks += group.blocks_for(tokens)
        return blocks

    def bytes_for(self, tokens: int, requests: float = 1.0) -> int:
        """Bytes the pool needs so that vLLM accepts `tokens` and that many full-length requests fit at once."""
        blocks = -int(-self.blocks_for(tokens) * requests // 1)
        return (blocks + self.reserved_blocks) * self.block_bytes

    def blocks_in(self, size_bytes: int) -> int:
        return max(0, size_bytes // self.block_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one worker of a service takes on one kind of GPU before any KV cache, and how its KV cache is laid out.

    `cuda_total` is the total that vLLM multiplies by the utilization. `terms` excludes the KV cache.
    `kv_required_bytes` is what the profile's length and requirements need. `fixed_kv_bytes` is set when
    `kv-cache-memory-bytes` takes the place of what is left of the budget. `release` decides the start-up rules (None:
    the newest known). `fits_any_length`: vLLM may shorten max-model-len to what fits (`auto`). `longest_priced_len`:
    the terms hold for no greater max-model-len, because the profile run grows with it (None: they hold for all).
    """

    cuda_total: ByteRange
    terms: tuple[MemoryTerm, ...]
    kv: KvCacheLayout
    max_model_len: int
    kv_required_bytes: int
    fixed_kv_bytes: int | None = None
    release: Release | None = None
    fits_any_length: bool = False
    longest_priced_len: int | None = None
    inside: ByteRange = field(init=False, repr=False, compare=False)
    outside: ByteRange = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """`inside`: what vLLM subtracts from its budget before the KV cache. `outside`: what the worker takes on top
        of its budget (context, NCCL, graphs where they are not counted). Summed once, because plans ask often.
        """
        object.__setattr__(self, "inside", total(term.size for term in self.terms if term.in_budget))
        object.__setattr__(self, "outside", total(term.size for term in self.terms if not term.in_budget))


class Verdict(StrEnum):
    """What vLLM will do. `TOO_CLOSE`: the interval holds both outcomes."""

    STARTS = "starts"
    REFUSES = "refuses"
    TOO_CLOSE = "too close to call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one worker will report at start-up: KV memory, KV tokens as vLLM logs them, full-length requests at once."""

    kv_cache: ByteRange
    kv_tokens: tuple[int, int, int]  # low, expected, high
    concurrency: tuple[float, float, float]  # low, expected, high
    verdict: Verdict
    reason: str = ""
    longest_model_len: int = 0  # the longest max-model-len that surely starts with this budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """A value that was granted lower than it was asked for, or chosen where that was left to the planner (`asked` None:
    nobody asked for it)."""

    flag: str
    asked: FlagValue
    granted: FlagValue
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """One worker (rank) of a placement on its GPU, with the budget that it was granted there."""

    gpu_uuid: str
    budget_bytes: int
    footprint: Footprint
    prediction: Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A service on its GPUs. `granted` are the flags to render in the user's words (the effective ones, with what the
    planner lowered or fixed); `start_after` names the co-tenants that must be healthy first."""

    service: str
    gpu_uuids: tuple[str, ...]
    gpu_indices: tuple[int, ...]
    host: str
    port: int
    utilization: float
    granted: Mapping[str, FlagValue]
    reductions: tuple[Reduction, ...]
    workers: tuple[WorkerPlan, ...]
    start_after: tuple[str, ...] = ()

    @property
    def weakest(self) -> WorkerPlan:
        """The worker with the least KV cache: it decides for the whole group."""
        return min(self.workers, key=lambda worker: worker.prediction.kv_cache.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a service (or a set of them) cannot be placed.

    `blame` names the key path to point at in the profile of `service`; `others` the services it collides with;
    `asked_bytes` and `available_bytes` the numbers, `notes` what was counted, `help` repairs that work.
    """

    code: str
    service: str
    message: str
    blame: KeyPath
    others: tuple[str, ...] = ()
    asked_bytes: int | None = None
    available_bytes: int | None = None
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """As its code says; else it is a warning."""
        return self.code.startswith("E")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Placements for all services, or the rejections that say why there are none. Same input, same plan."""

    project: str
    release: Release
    inventory: Inventory
    placements: tuple[Placement, ...]
    rejections: tuple[Rejection, ...] = ()
    warnings: tuple[Rejection, ...] = ()
    search_notes: tuple[str, ...] = field(default=())

    @property
    def is_feasible(self) -> bool:
        return not self.rejections

    def placement(self, service: str) -> Placement:
        return next(placement for placement in self.placements if placement.service == service)
