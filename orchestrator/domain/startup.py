"""Recorded start-ups of vLLM: what was asked, apart from what was printed, so that no figure can predict itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How a recorded start-up ended. `OOM`: out of memory after the profile run had passed, or during it."""

    STARTED = "started"
    REFUSED = "refused"
    OOM = "oom"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupInputs:
    """What is known of a start-up before it happens; texts as the record has them, None where it says nothing.

    `gpu_total_gib` is the total that CUDA reported. `free_gib` is what was free on the GPU just before the start.
    `release_hint` is the release that the record's author inferred from the form of the log, never from a figure.
    `engine` is `V0` or `V1`, which narrows the releases.
    `has_neighbours` says that other processes held memory of the same GPU.
    """

    model: str | None = None
    release: str | None = None
    release_hint: str | None = None
    engine: str | None = None
    gpu: str | None = None
    gpu_total_gib: float | None = None
    gpu_count: int | None = None
    free_gib: float | None = None
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    data_parallel_size: int | None = None
    quantization: str | None = None
    dtype: str | None = None
    kv_cache_dtype: str | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    enforce_eager: bool | None = None
    block_size: int | None = None
    other_flags: str = ""
    has_neighbours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupFigures:
    """What vLLM printed, in GiB and tokens per GPU; None where nothing was printed or kept.

    `activation_includes_graphs`: the printed peak contains the estimate of the CUDA graphs.
    """

    outcome: Outcome
    weights_gib: float | None = None
    activation_gib: float | None = None
    non_torch_gib: float | None = None
    graphs_gib: float | None = None
    kv_cache_gib: float | None = None
    kv_tokens: int | None = None
    num_gpu_blocks: int | None = None
    concurrency: float | None = None
    activation_includes_graphs: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupRecord:
    """One recorded start-up. `source` names the document; records of one `source_group` are never split apart."""

    id: str
    line: int
    source: str
    source_group: str
    inputs: StartupInputs
    figures: StartupFigures
    confidence: str = "medium"
    extra: Mapping[str, object] = field(default_factory=dict, compare=False)
