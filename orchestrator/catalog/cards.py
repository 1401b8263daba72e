"""Known NVIDIA cards: memory as NVML and as CUDA see it, what they can compute, how they are linked."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from orchestrator.domain.units import GIB, ByteRange


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGpu:
    """One kind of card. `name` is the driver's; `aliases` are other names for the same card.

    `total_bytes` is what NVML calls total on a current driver, `cuda_total` what CUDA calls total (None: never seen).
    `memory_bandwidth` is in bytes per second, `nvlinks` counts lanes between each two cards of a box (0: none, or only
    by a bridge that may not be there). `provenance` says for each field where it is known from.
    """

    name: str
    aliases: tuple[str, ...]
    total_bytes: int
    cuda_total: ByteRange | None
    compute_capability: tuple[int, int]
    memory_bandwidth: int
    pcie_generation: int
    nvlinks: int
    supports_bf16: bool
    supports_fp8: bool
    usd_per_hour: float | None = None
    provenance: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def expected_cuda_total(self) -> ByteRange:
        """What CUDA will call total: as seen in logs, else by the ratio seen on cards of that size."""
        return self.cuda_total or total_by_ratio(self.total_bytes)


_RATIOS = ((64 * GIB, (0.985, 0.992, 1.0)), (0, (0.955, 0.982, 1.0)))
"""CUDA's total over NVML's total (low, expected, high) from that size on. The lows are those of an A100-80GB (0.989)
and a T4 (0.971) with room to spare; drivers before 510 do not count their reserve in NVML's total, hence the highs."""

_WORDS_WITHOUT_MEANING = frozenset({"nvidia", "tesla", "geforce", "generation", "edition", "gpu"})
_WORDS_OF_ANOTHER_CARD = frozenset({"ti", "super", "ada", "pro", "nvl", "laptop"})
"""An `RTX 4070 Ti` is not an `RTX 4070 Ti SUPER`: a card with such a word is not meant by a name without it."""

_WORDS_OF_A_FORM = frozenset({"pcie", "sxm", "sxm4", "sxm5", "sxm6", "hbm2", "hbm2e", "hbm3", "hbm3e", "vram"})
"""They tell forms of one card apart where there are several, and mean nothing where there is one: `L40S PCIe`."""

_COUNT = re.compile(r"^ *\d+ ?x +", re.IGNORECASE)

_SPELLINGS = (
    (re.compile(r"[^a-z0-9]+"), " "),
    (re.compile(r"(nvidia|tesla|geforce|rtx|gtx)"), r" \1 "),
    (re.compile(r"(\d{4})(ti|super)"), r"\1 \2"),
    (re.compile(r"\b(\d+) ?g(?:i?b)?\b"), r"\1gb"),
)


@cache
def known_gpus() -> tuple[KnownGpu, ...]:
    """All cards of the catalogue, oldest architecture first."""
    return tuple(_known_gpu(entry) for entry in _document()["gpus"])


@cache
def unsupported_gpus() -> tuple[str, ...]:
    """Names of cards that are known but not planned for (other vendors)."""
    return tuple(_document()["unsupported"])


@cache
def gpu_candidates(name: str) -> tuple[KnownGpu, ...]:
    """The cards a name may mean: none, one, or several when it is ambiguous (`A100`).

    A name is taken apart into words (`RTX4090` is `rtx` `4090`); case, order, punctuation and the maker's name do not
    matter, nor does a count in front (`2x H100`). Each word must belong to the card; a name that is a card's whole name
    or alias means that card alone.
    """
    words = _words(_COUNT.sub("", name))
    if not words:
        return ()
    whole = tuple(gpu for gpu in known_gpus() if any(words == _words(known) for known in (gpu.name, *gpu.aliases)))
    return whole or _that_may_be_meant(words) or _that_may_be_meant(words - _WORDS_OF_A_FORM)


def _that_may_be_meant(words: frozenset[str]) -> tuple[KnownGpu, ...]:
    return tuple(gpu for gpu in known_gpus() if words and _may_mean(words, gpu))


def _may_mean(words: frozenset[str], gpu: KnownGpu) -> bool:
    return words <= _all_words(gpu) and _words(gpu.name) & _WORDS_OF_ANOTHER_CARD <= words


def _all_words(gpu: KnownGpu) -> frozenset[str]:
    return frozenset().union(*(_words(name) for name in (gpu.name, *gpu.aliases)))


def _words(name: str) -> frozenset[str]:
    return frozenset(_word_list(name))


@cache
def _word_list(name: str) -> tuple[str, ...]:
    text = name.lower()
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return tuple(word for word in text.split() if word not in _WORDS_WITHOUT_MEANING)


def find_gpu(name: str) -> KnownGpu | None:
    """The one card that a name means; None when no card or several cards do."""
    candidates = gpu_candidates(name)
    return candidates[0] if len(candidates) == 1 else None


_NEAR_ENOUGH = 0.75
"""`RTX 4900` is near `RTX 4090`; `T1000` is not near `H100`, though half of their signs agree."""


def nearest_gpu_names(name: str, count: int = 3) -> tuple[str, ...]:
    """Names of known cards that look like `name`, best first; may be empty."""
    words = _words(name)
    family = tuple(gpu.name for gpu in known_gpus() if words and words <= _all_words(gpu))
    short = {" ".join(_word_list(known)): gpu.name for gpu in known_gpus() for known in (gpu.name, *gpu.aliases)}
    close = difflib.get_close_matches(" ".join(_word_list(name)), short, n=3 * count, cutoff=_NEAR_ENOUGH)
    return tuple(dict.fromkeys((*family, *(short[match] for match in close))))[:count]


def short_gpu_name(name: str) -> str:
    """The driver's name without the maker: `RTX 4090`."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ").removeprefix("Tesla ")


def total_by_ratio(total_bytes: int) -> ByteRange:
    """CUDA's total of a card of `total_bytes` (NVML's) that nobody has looked at."""
    low, expected, high = next(ratios for least, ratios in _RATIOS if total_bytes >= least)
    return ByteRange(int(total_bytes * low), int(total_bytes * expected), int(total_bytes * high))


@cache
def _document() -> dict[str, Any]:
    text = files("orchestrator.catalog").joinpath("gpus.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def _known_gpu(entry: Mapping[str, Any]) -> KnownGpu:
    major, minor = entry["compute_capability"]
    return KnownGpu(
        name=entry["name"],
        aliases=tuple(entry["aliases"]),
        total_bytes=entry["total_bytes"],
        cuda_total=ByteRange(*entry["cuda_total"]) if entry["cuda_total"] else None,
        compute_capability=(major, minor),
        memory_bandwidth=entry["memory_bandwidth"],
        pcie_generation=entry["pcie_generation"],
        nvlinks=entry["nvlinks"],
        supports_bf16=entry["bf16"],
        supports_fp8=entry["fp8"],
        usd_per_hour=entry["usd_per_hour"],
        provenance=entry["provenance"],
    )
