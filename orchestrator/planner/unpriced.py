"""Flags that weigh on a GPU's memory and that the prediction does not count: said, never passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from orchestrator.domain.plan import Footprint, KvCacheLayout, Rejection, Term
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flag_values import as_positive_integer
from orchestrator.planner.candidacy import Candidacy, Ground
from orchestrator.planner.flag_keys import shown_key
from orchestrator.planner.sizing import size_on

_Weighs = Callable[[FlagValue], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heavy:
    """A flag, what it puts on the GPU (or takes off it), and with which values."""

    flag: str
    what: str
    weighs: _Weighs


def _is_on(value: FlagValue) -> bool:
    return value is True


def _is_given(value: FlagValue) -> bool:
    return value not in (None, False, 0, "", "none", "auto")


def _is_number(value: FlagValue) -> bool:
    return isinstance(value, int | float) and value > 0


def _is_several(value: FlagValue) -> bool:
    return (as_positive_integer(value) or 1) > 1


def _among(*words: str) -> _Weighs:
    return lambda value: value in words


def _loads_a_draft(value: FlagValue) -> bool:
    """A draft model beside the model; not n-grams, and not layers of the model itself."""
    if not isinstance(value, dict):
        return False
    method = str(value.get("method") or "")
    own = any(word in method for word in ("ngram", "suffix", "mtp"))
    return not own and bool(value.get("model") or method)


_POOLING = ("embed", "embedding", "classify", "classification", "score", "reward", "pooling")
_DRAFT = "the draft model's weights and KV cache"
_OFFLOADED = "weights that move to the host's memory"

HEAVY: tuple[_Heavy, ...] = (
    _Heavy(flag="speculative-config", what=_DRAFT, weighs=_loads_a_draft),
    _Heavy(flag="speculative-model", what=_DRAFT, weighs=_is_given),
    _Heavy(flag="spec-model", what=_DRAFT, weighs=_is_given),
    _Heavy(flag="runner", what="how a pooling model takes memory", weighs=_among("pooling", "draft")),
    _Heavy(flag="task", what="how a pooling model takes memory", weighs=_among(*_POOLING)),
    _Heavy(flag="convert", what="how a pooling model takes memory", weighs=_is_given),
    _Heavy(flag="load-format", what="weights as that format stores them", weighs=_among("gguf", "bitsandbytes")),
    _Heavy(flag="kv-offloading-size", what="buffers of the offloading", weighs=_is_number),
    _Heavy(flag="kv-transfer-config", what="buffers of the transfer", weighs=_is_given),
    _Heavy(flag="cpu-offload-gb", what=_OFFLOADED, weighs=_is_number),
    _Heavy(flag="offload-group-size", what=_OFFLOADED, weighs=_is_number),
    _Heavy(flag="enable-lora", what="room for the adapters", weighs=_is_on),
    _Heavy(flag="enable-prompt-adapter", what="room for the adapters", weighs=_is_on),
    _Heavy(flag="enable-dbo", what="buffers of the second batch", weighs=_is_on),
    _Heavy(flag="enable-eplb", what="redundant experts", weighs=_is_on),
    _Heavy(flag="num-redundant-experts", what="redundant experts", weighs=_is_number),
    _Heavy(flag="prefill-context-parallel-size", what="how the KV cache is divided", weighs=_is_several),
    _Heavy(flag="mm-ipc-gpu-memory-gb", what="the memory that is set aside", weighs=_is_number),
)
"""Flags to be wary of. One that changes the priced weights or KV cache is counted, and nothing is said about it."""


def unpriced(ground: Ground, candidacy: Candidacy) -> Iterator[Rejection]:
    """W505 for every flag of the service that should weigh, where its price is the same without it."""
    candidacy = candidacy.settled(candidacy.options[0]) if candidacy.options else candidacy
    flags = canonical_flags(candidacy.profile.vllm, ground.release)
    for heavy in HEAVY:
        if heavy.weighs(flags.get(heavy.flag)) and not _is_priced(ground, candidacy, heavy.flag):
            key = shown_key(candidacy.profile.vllm, heavy.flag, ground.release)
            yield Rejection(
                code="W505",
                service=candidacy.name,
                message=f"`{key}` is not in the prediction",
                blame=("vllm", heavy.flag),
                notes=(f"not counted: {heavy.what}",),
                help=(f"compare with what vLLM logs at the first start of `{candidacy.name}`, or leave `{key}` out",),
            )


def _is_priced(ground: Ground, candidacy: Candidacy, flag: str) -> bool:
    """Whether a worker weighs otherwise without the flag, its small terms aside."""
    place = next(iter(candidacy.sizes), None)
    if place is None:
        return False
    key = shown_key(candidacy.profile.vllm, flag, ground.release)
    without = {each: value for each, value in candidacy.profile.vllm.items() if each != key}
    profile = replace(candidacy.profile, vllm=without)
    lighter = size_on(ground.seats[place], profile, candidacy.facts, ground.release).footprint
    return _weight(lighter) != _weight(candidacy.sizes[place].footprint)


def _weight(priced: Footprint) -> tuple[int, KvCacheLayout, int | None]:
    weights = sum(term.size.expected for term in priced.terms if term.term is Term.WEIGHTS)
    return (weights, priced.kv, priced.fixed_kv_bytes)
