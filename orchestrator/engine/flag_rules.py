"""Tables about flags that no parser tells: ranges, and what orchestrate sets itself."""

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
