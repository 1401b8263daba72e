"""Tables about flags that no parser tells: ranges, what orchestrate sets itself, what took the place of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values that a number may have. `also` holds one more that is allowed from `also_since` on. Where
    the parser of a release has choices of its own, these count instead."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    also: float | None = None
    also_since: Release | None = None
    multiple_of: int = 1

    def holds(self, number: float, release: Release) -> bool:
        if self.also == number and (self.also_since is None or release >= self.also_since):
            return True
        return (
            (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.most is None or number <= self.most)
            and (self.below is None or number < self.below)
            and (self.multiple_of == 1 or number % self.multiple_of == 0)
        )

    def described(self) -> str:
        bounds = (("at least", self.least), ("above", self.above), ("at most", self.most), ("below", self.below))
        words = [f"{word} {_number(bound)}" for word, bound in bounds if bound is not None]
        multiple = [f"a multiple of {self.multiple_of}"] if self.multiple_of > 1 else []
        row = [*multiple, *words]
        return " and ".join([", ".join(row[:-1]), row[-1]] if len(row) > 1 else row)


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


_ONE_OR_MORE = Range(least=1)
_ZERO_OR_MORE = Range(least=0)
_WORKERS = Range(least=1, most=1024)  # more than any host has GPUs
_BATCH = 1_000_000
"""More requests, or graphs for more tokens, than any engine has at once."""
_TOKENS = 1_000_000_000
"""More tokens than any KV cache holds."""

RANGES: Mapping[str, Range] = {
    "api-server-count": _ONE_OR_MORE,
    "block-size": Range(least=16, most=65536, multiple_of=16),  # what NVIDIA cards have kernels for
    "cpu-offload-gb": _ZERO_OR_MORE,
    "cudagraph-capture-sizes": Range(least=1, most=_BATCH),
    "decode-context-parallel-size": _WORKERS,
    "gpu-memory-utilization": Range(above=0, most=1),
    "kv-cache-memory-bytes": _ONE_OR_MORE,
    "kv-offloading-size": Range(above=0),
    "max-cpu-loras": _ONE_OR_MORE,
    "max-cudagraph-capture-size": Range(least=0, most=_BATCH),
    "max-logprobs": Range(least=0, also=-1),
    "max-lora-rank": _ONE_OR_MORE,
    "max-loras": _ONE_OR_MORE,
    "max-model-len": Range(least=1, most=_TOKENS, also=-1, also_since=Release.of("0.14.0")),
    "max-num-batched-tokens": Range(least=1, most=_TOKENS),
    "max-num-seqs": Range(least=1, most=_BATCH),
    "mm-processor-cache-gb": _ZERO_OR_MORE,
    "num-gpu-blocks-override": _ONE_OR_MORE,
    "optimization-level": Range(least=0, most=3),
    "pipeline-parallel-size": _WORKERS,
    "prefill-context-parallel-size": _WORKERS,
    "rope-theta": Range(above=0),
    "swap-space": _ZERO_OR_MORE,
    "tensor-parallel-size": _WORKERS,
    "video-pruning-rate": Range(least=0, below=1),
}

_ONE_CONTAINER = ("a service is one container on one host", "delete the line; add services or `tensor-parallel-size`")
_SET_ITSELF = "orchestrate sets this itself"
_SECRET = "a secret does not belong in a profile"  # noqa: S105 (a message)

RESERVED: Mapping[str, tuple[str, str]] = {
    "api-key": (_SECRET, "delete the line and name its environment variable under `secrets:` in the deployment"),
    "hf-token": (_SECRET, "delete the line and name its environment variable under `secrets:` in the deployment"),
    "config": ("a second file would hide flags from the checks", "write its flags under `vllm:`"),
    "device-ids": (_SET_ITSELF, "write the service's `gpus:` instead"),
    "grpc": ("health checks and clients speak HTTP", "delete the line"),
    "headless": _ONE_CONTAINER,
    "host": (_SET_ITSELF, "write `ports:` in the deployment instead"),
    "master-addr": _ONE_CONTAINER,
    "master-port": _ONE_CONTAINER,
    "model": (_SET_ITSELF, "write the service's `model:` instead"),
    "model-tag": (_SET_ITSELF, "write the service's `model:` instead"),
    "nnodes": _ONE_CONTAINER,
    "node-rank": _ONE_CONTAINER,
    "port": (_SET_ITSELF, "write the service's `port:` instead"),
    "revision": (_SET_ITSELF, "write the service's `revision:` instead"),
    "uds": ("health checks and clients connect over TCP", "delete the line"),
}
"""Flags that a profile must not set: why, and what to do instead."""

RESERVED_FAMILIES: Mapping[str, tuple[str, str]] = {"data-parallel-": _ONE_CONTAINER}
"""The same for all flags whose names start alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """`new` took the place of `old`; `how` says what to write, `back` what to write where `new` is not known yet."""

    old: str
    new: str | None
    how: str
    back: str = ""


SUCCESSORS: tuple[Successor, ...] = (
    Successor(old="engine-use-ray", new=None, how="delete the line"),
    Successor(
        old="worker-use-ray",
        new="distributed-executor-backend",
        how="write `distributed-executor-backend: ray`",
    ),
    Successor(old="quantization-param-path", new="kv-cache-dtype", how="write `kv-cache-dtype: fp8`"),
    Successor(
        old="speculative-model",
        new="speculative-config",
        how="write `speculative-config: {model: ..., num_speculative_tokens: ...}`",
        back="write `speculative-model` and `num-speculative-tokens`",
    ),
    Successor(
        old="num-speculative-tokens",
        new="speculative-config",
        how="write `speculative-config: {model: ..., num_speculative_tokens: ...}`",
    ),
    Successor(old="enable-reasoning", new="reasoning-parser", how="delete the line; `reasoning-parser` is enough"),
    Successor(old="device", new=None, how="delete the line; the image decides"),
    Successor(old="use-v2-block-manager", new=None, how="delete the line"),
    Successor(old="num-scheduler-steps", new=None, how="delete the line"),
    Successor(old="multi-step-stream-outputs", new=None, how="delete the line"),
    Successor(
        old="max-seq-len-to-capture",
        new="max-cudagraph-capture-size",
        how="write `max-cudagraph-capture-size` (a batch size, not a length), or delete the line",
    ),
    Successor(old="enable-lora-bias", new=None, how="delete the line"),
    Successor(
        old="guided-decoding-backend",
        new="structured-outputs-config",
        how="write `structured-outputs-config.backend` with the same value",
        back="write `guided-decoding-backend`",
    ),
    Successor(old="num-lookahead-slots", new=None, how="delete the line"),
    Successor(old="override-pooler-config", new="pooler-config", how="write `pooler-config` with the same value"),
    Successor(old="num-redundant-experts", new="eplb-config", how="write `eplb-config: {num_redundant_experts: ...}`"),
    Successor(
        old="task",
        new="runner",
        how="write `runner` (`generate` or `pooling`) and, for embeddings, `convert: embed`",
        back="write `task`",
    ),
    Successor(
        old="cuda-graph-sizes",
        new="cudagraph-capture-sizes",
        how="write `cudagraph-capture-sizes`",
        back="write `cuda-graph-sizes`",
    ),
    Successor(
        old="disable-mm-preprocessor-cache",
        new="mm-processor-cache-gb",
        how="write `mm-processor-cache-gb: 0`",
        back="write `disable-mm-preprocessor-cache: true` to have no cache",
    ),
    Successor(
        old="enable-multimodal-encoder-data-parallel",
        new="mm-encoder-tp-mode",
        how="write `mm-encoder-tp-mode: data`",
    ),
    Successor(
        old="disable-log-requests",
        new="enable-log-requests",
        how="delete the line; requests are not logged unless `enable-log-requests: true`",
        back="write `disable-log-requests: true` not to log requests",
    ),
    Successor(old="swap-space", new=None, how="delete the line; the engine no longer swaps"),
    Successor(old="logits-processor-pattern", new=None, how="delete the line"),
    Successor(old="disable-frontend-multiprocessing", new=None, how="delete the line"),
    Successor(old="calculate-kv-scales", new=None, how="delete the line"),
)
"""What removed flags became, where anything is known about it."""
