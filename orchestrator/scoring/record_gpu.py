"""Which GPUs a record may be of: free text such as `RTX 4090 24GB (23.52GiB)`, `48GB card (49.1 GB)`, `A10G/L4`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.catalog.cards import KnownGpu, gpu_candidates, known_gpus, total_by_ratio
from orchestrator.domain.inventory import Gpu
from orchestrator.domain.startup import StartupInputs
from orchestrator.domain.units import GIB, MIB, ByteRange

_OTHER_MAKERS = re.compile(r"\b(AMD|Radeon|Instinct|Intel|Arc|XPU|gfx\d+|TPU|Gaudi|Ascend)\b", re.IGNORECASE)
_IN_PARENTHESES = re.compile(r"\(([^)]*)\)")
_MEASURED = re.compile(r"(\d+(?:\.\d+)?)\s*(GiB|MiB|GB)")
_NOMINAL = re.compile(r"(\d+) ?GB\b", re.IGNORECASE)
_UNSURE = re.compile(r"\b(GPU|card|class|laptop|DGX Spark|p\d\S*)\b", re.IGNORECASE)
_GEFORCE = re.compile(r"RTX ?(\d\d)\d0\b")
_CAPABILITY_BY_SERIES = {"20": (7, 5), "30": (8, 6), "40": (8, 9), "50": (12, 0)}
_PRINTED_ERROR = int(0.005 * GIB)
_OVERHEAD = {"MiB": MIB, "GB": 1000 * MIB}
_NOMINAL_RATIO = (0.94, 0.98, 1.0)
"""CUDA's total over the gigabytes on the box, taken as GiB: T4 0.91 apart, 0.94 (A10) to 1.0 (WSL)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleGpu:
    """A card as the record may mean it, with what CUDA calls its total."""

    gpu: Gpu
    cuda_total: ByteRange


def possible_gpus(inputs: StartupInputs) -> tuple[PossibleGpu, ...] | str:
    """The cards that a record may be of, or why none can be told.

    A total that CUDA printed goes before the catalogue; several cards of one size give several answers.
    """
    name = inputs.gpu or ""
    maker = _OTHER_MAKERS.search(name)
    if maker is not None:
        return f"`{name}` is not an NVIDIA card"
    printed = inputs.gpu_total_gib if inputs.gpu_total_gib is not None else _printed_total_gib(name)
    cards = _cards(name)
    if printed is not None:
        exact = ByteRange(*(int(printed * GIB) + step for step in (-_PRINTED_ERROR, 0, _PRINTED_ERROR)))
        return tuple(_possible(card, name, exact) for card in _of_size(cards, printed)) or (
            _possible(None, name or f"{printed:g} GiB card", exact),
        )
    if not name:
        return "no GPU is named and no total is given"
    return _each_total_once(cards, name) if cards else _from_size(name)


def _from_size(name: str) -> tuple[PossibleGpu, ...] | str:
    """A card that the catalogue lacks, by the size in its name."""
    nvml = _nvml_total(name)
    if nvml is not None:
        return (_possible(None, name, total_by_ratio(nvml[0])),)
    nominal = _NOMINAL.search(name)
    if nominal is None:
        return f"the total memory of `{name}` is not known"
    size = int(nominal[1]) * GIB
    low, expected, high = (int(size * ratio) for ratio in _NOMINAL_RATIO)
    return (_possible(None, name, ByteRange(low, expected, high)),)


def gpu_class(inputs: StartupInputs) -> str:
    """A word for tables: the card's name without sizes and remarks."""
    if inputs.gpu is None:
        return "not named" if inputs.gpu_total_gib is None else f"{inputs.gpu_total_gib:.0f} GiB card"
    bare = _NOMINAL.sub("", _IN_PARENTHESES.sub("", inputs.gpu)).replace("-", " ")
    words = " ".join(word for word in bare.split() if word not in ("HBM3", "Blackwell", "Workstation", "NVIDIA"))
    if words in ("card", ""):
        return inputs.gpu.split(" (")[0]
    return words


def _printed_total_gib(name: str) -> float | None:
    """A total in parentheses in GiB: CUDA's own number."""
    found = [match for inside in _IN_PARENTHESES.findall(name) for match in _MEASURED.finditer(inside)]
    return next((float(match[1]) for match in found if match[2] == "GiB"), None)


def _nvml_total(name: str) -> tuple[int, int] | None:
    """A total in parentheses in MiB or GB (of 1000 MiB, as `nvidia-smi` is rounded): NVML's, with its rounding."""
    found = [match for inside in _IN_PARENTHESES.findall(name) for match in _MEASURED.finditer(inside)]
    match = next((each for each in found if each[2] != "GiB"), None)
    if match is None:
        return None
    unit = _OVERHEAD[match[2]]
    decimals = len(match[1].partition(".")[2])
    return int(float(match[1]) * unit), int(unit / 2 / 10**decimals) + MIB


def _cards(name: str) -> tuple[KnownGpu, ...]:
    """Cards of the catalogue that fit what is said: the name, else the size on the box, and NVML's total if given."""
    bare = _UNSURE.sub(" ", _IN_PARENTHESES.sub(" ", name)).strip(" ,")
    found: list[KnownGpu] = []
    for part in bare.split("/"):
        found.extend(gpu_candidates(part))
    nvml = _nvml_total(name)
    nominal = _NOMINAL.fullmatch(bare.strip())
    if nominal is not None and nvml is None:
        found = [card for card in known_gpus() if card.cuda_total is not None and _is_sold_as(card, int(nominal[1]))]
    if nvml is not None and not found:
        found = list(known_gpus())
    if nvml is None:
        return tuple(dict.fromkeys(found))
    total, error = nvml
    return tuple(card for card in dict.fromkeys(found) if abs(card.total_bytes - total) <= error)


def _is_sold_as(card: KnownGpu, size_gb: int) -> bool:
    return any(int(number) == size_gb for name in (card.name, *card.aliases) for number in _NOMINAL.findall(name))


def _of_size(cards: tuple[KnownGpu, ...], printed_gib: float) -> tuple[KnownGpu, ...]:
    """Cards whose total is near the printed one; where none is (a 4090 of twice the size), the name tells the rest."""
    near = tuple(card for card in cards if abs(card.expected_cuda_total.expected / GIB - printed_gib) < 1.0)
    return near or cards[:1]


def _each_total_once(cards: tuple[KnownGpu, ...], name: str) -> tuple[PossibleGpu, ...]:
    seen: dict[tuple[ByteRange, tuple[int, int], bool], PossibleGpu] = {}
    for card in cards:
        key = (card.expected_cuda_total, card.compute_capability, "pcie" in card.name.lower())
        seen.setdefault(key, _possible(card, name, card.expected_cuda_total))
    return tuple(seen.values())


def _series(name: str) -> tuple[int, int] | None:
    """The compute capability of a GeForce card that the catalogue lacks, by its series."""
    match = _GEFORCE.search(name)
    return _CAPABILITY_BY_SERIES.get(match[1]) if match is not None else None


def _possible(card: KnownGpu | None, name: str, cuda_total: ByteRange) -> PossibleGpu:
    total = cuda_total.high if card is None else max(card.total_bytes, cuda_total.high)
    return PossibleGpu(
        gpu=Gpu(
            index=0,
            uuid="recorded",
            name=name if card is None else card.name,
            total_bytes=total,
            free_bytes=total,
            cuda_total_bytes=cuda_total.expected,
            compute_capability=_series(name) if card is None else card.compute_capability,
        ),
        cuda_total=cuda_total,
    )
