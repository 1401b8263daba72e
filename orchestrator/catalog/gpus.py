"""What the catalogue of cards is asked: CUDA's total of a GPU, and inventories written short, such as `3xRTX4090`."""

from __future__ import annotations

import hashlib
import re
from itertools import combinations

from orchestrator.catalog.cards import (
    KnownGpu,
    find_gpu,
    gpu_candidates,
    known_gpus,
    nearest_gpu_names,
    short_gpu_name,
    total_by_ratio,
    unsupported_gpus,
)
from orchestrator.domain.diagnostics import Diagnostic, repeated
from orchestrator.domain.inventory import Gpu, Host, Inventory, Link, LinkKind
from orchestrator.domain.units import MIB, ByteRange

__all__ = ["KnownGpu", "cuda_total_bytes", "find_gpu", "inventory_from_short_form", "known_gpus"]

_GROUP = re.compile(r"\s*(\d{1,9})\s*[xX*]\s*(\S.*?)\s*", re.ASCII)
_OTHER_JOINTS = re.compile(r"\s*[,;&/]\s*")
_MOST_GPUS = 64
_PCIE_WIDTH = 16
_RESERVE_ERROR = 16 * MIB

_SAME_TOTAL = 0.002
"""A card whose NVML total differs by more than this part from the known one is set up otherwise (ECC, MIG, driver)."""


def cuda_total_bytes(gpu: Gpu) -> ByteRange:
    """What CUDA calls the total memory of `gpu`, the number that vLLM multiplies by gpu-memory-utilization.

    In this order: what CUDA was seen to report; the known card's difference between NVML's total and CUDA's; NVML's
    total less what the driver reserves (within 16 MiB); the ratio seen on cards of that size.
    """
    if gpu.cuda_total_bytes is not None:
        return ByteRange.exactly(gpu.cuda_total_bytes)
    known = find_gpu(gpu.name)
    if known is not None and known.cuda_total is not None and _has_known_total(gpu, known):
        shift = gpu.total_bytes - known.total_bytes
        seen = known.cuda_total
        return _at_most(gpu.total_bytes, seen.low + shift, seen.expected + shift, seen.high + shift)
    if gpu.reserved_bytes:
        usable = gpu.total_bytes - gpu.reserved_bytes
        return _at_most(gpu.total_bytes, usable - _RESERVE_ERROR, usable, usable + _RESERVE_ERROR)
    return total_by_ratio(gpu.total_bytes)


def _has_known_total(gpu: Gpu, known: KnownGpu) -> bool:
    return gpu.parent_uuid is None and abs(gpu.total_bytes - known.total_bytes) <= _SAME_TOTAL * known.total_bytes


def _at_most(limit: int, low: int, expected: int, high: int) -> ByteRange:
    return ByteRange(max(0, min(low, limit)), max(0, min(expected, limit)), max(0, min(high, limit)))


def inventory_from_short_form(text: str) -> Inventory | Diagnostic:
    """`3xRTX4090` or `2xA100-80GB+1xL4` as one idle host; E450 to E454 say why a text is none.

    The UUIDs are made up from the card's name and number, the same for the same text; all cards are idle (what the
    driver keeps for itself is taken), in x16 slots under one host bridge, with NVLink where the card has it.
    """
    cards: list[KnownGpu] = []
    if (joined := _with_plus(text)) is not None:
        return _not_a_short_form(text, text, f"join the groups with `+`: `{joined}`")
    for part in text.split("+"):
        group = _read_group(part, text)
        if isinstance(group, Diagnostic):
            return group
        count, card = group
        if len(cards) + count > _MOST_GPUS or count < 1:
            return _wrong_count(text)
        cards.extend([card] * count)
    gpus = tuple(_idle_gpu(index, card, cards[:index].count(card)) for index, card in enumerate(cards))
    return Inventory(hosts=(Host(name="host", gpus=gpus, links=_links(gpus)),), source=text, is_example=True)


def _read_group(part: str, text: str) -> tuple[int, KnownGpu] | Diagnostic:
    match = _GROUP.fullmatch(part)
    if match is None:
        return _not_a_short_form(part, text)
    card = find_gpu(match[2])
    return (int(match[1]), card) if card is not None else _no_such_card(match[2])


def _with_plus(text: str) -> str | None:
    """The text with `+` between its groups, where it has something else there; None where that makes no sense."""
    joined = _OTHER_JOINTS.sub("+", text.strip())
    groups = [_GROUP.fullmatch(part) for part in joined.split("+")]
    is_known = all(group is not None and find_gpu(group[2]) is not None for group in groups)
    return joined if is_known and joined.count("+") > text.count("+") else None


def _not_a_short_form(part: str, text: str, *first: str) -> Diagnostic:
    help_lines = [*first, "write a count, `x` and a card, such as `3xRTX4090` or `2xA100-80GB+1xL4`"]
    if find_gpu(part) is not None:
        help_lines.insert(0, f"for one such card write `1x{part.strip()}`")
    return Diagnostic(
        code="E450",
        message=f"`{repeated(text)}` is neither an inventory file nor a short form of one",
        help=tuple(help_lines),
    )


def _no_such_card(name: str) -> Diagnostic:
    candidates = gpu_candidates(name)
    if candidates:
        return Diagnostic(
            code="E452",
            message=f"`{repeated(name)}` may be any of {len(candidates)} cards",
            help=("write one of " + ", ".join(f"`{short_gpu_name(card.name)}`" for card in candidates),),
        )
    if _is_unsupported(name):
        return Diagnostic(
            code="E454",
            message=f"`{repeated(name)}` is not an NVIDIA card, and only those are planned for",
            notes=(f"{len(known_gpus())} NVIDIA cards are known",),
            help=("name an NVIDIA card, such as `3xRTX4090`",),
        )
    near = nearest_gpu_names(name)
    return Diagnostic(
        code="E451",
        message=f"no card named `{repeated(name)}` in the catalogue",
        notes=(f"{len(known_gpus())} cards are known",),
        help=(
            *((("did you mean " + " or ".join(f"`{short_gpu_name(each)}`" for each in near) + "?"),) if near else ()),
            "for a card that is not known, run `orchestrate gpus --json > FILE` on its machine and plan with"
            " `--inventory FILE`",
        ),
    )


def _is_unsupported(name: str) -> bool:
    words = frozenset(name.lower().split()) - {"amd", "instinct"}
    return any(words & frozenset(known.lower().split()) for known in unsupported_gpus())


def _wrong_count(text: str) -> Diagnostic:
    return Diagnostic(
        code="E453",
        message=f"`{repeated(text)}` asks for fewer than 1 or more than {_MOST_GPUS} GPUs",
        help=(f"write counts from 1 to {_MOST_GPUS}, {_MOST_GPUS} in all",),
    )


def _idle_gpu(index: int, card: KnownGpu, number: int) -> Gpu:
    return Gpu(
        index=index,
        uuid=_made_up_uuid(f"{card.name} {number}"),
        name=card.name,
        total_bytes=card.total_bytes,
        free_bytes=card.expected_cuda_total.expected,
        compute_capability=card.compute_capability,
        pcie_generation=card.pcie_generation,
        pcie_width=_PCIE_WIDTH,
    )


def _made_up_uuid(seed: str) -> str:
    digits = hashlib.sha256(seed.encode()).hexdigest()
    return "GPU-" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def _links(gpus: tuple[Gpu, ...]) -> tuple[Link, ...]:
    lanes = {card.name: card.nvlinks for card in known_gpus()}
    links = []
    for one, other in combinations(gpus, 2):
        nvlinks = lanes[one.name] if one.name == other.name else 0
        first, second = sorted((one.uuid, other.uuid))
        kind = LinkKind.NVLINK if nvlinks else LinkKind.HOST_BRIDGE
        links.append(Link(first=first, second=second, kind=kind, nvlinks=nvlinks))
    return tuple(sorted(links, key=lambda link: (link.first, link.second)))
