"""How well the GPUs of a tensor-parallel group reach each other."""

from __future__ import annotations

from itertools import combinations

from orchestrator.domain.inventory import Link, LinkKind
from orchestrator.planner.seats import Seat

_UNKNOWN_DISTANCE = len(LinkKind)


def interconnect_rank(seats: tuple[Seat, ...]) -> tuple[int, ...]:
    """Smaller is better: unlike cards, then the farthest pair, its NVLink lanes, then PCIe generation and width.

    A single GPU has the empty rank; what is not known counts as worst.
    """
    if len(seats) == 1:
        return ()
    kinds = {(seat.gpu.name, seat.gpu.total_bytes) for seat in seats}
    links = _links(seats)
    distances = [link.kind.distance if link is not None else _UNKNOWN_DISTANCE for link in links]
    lanes = min(link.nvlinks if link is not None else 0 for link in links)
    generation = min(seat.gpu.pcie_generation or 0 for seat in seats)
    width = min(seat.gpu.pcie_width or 0 for seat in seats)
    return (len(kinds) - 1, max(distances), -lanes, -generation, -width)


def interconnect_words(seats: tuple[Seat, ...]) -> str:
    """The rank for people: `PHB, PCIe 4.0 x16`."""
    links = _links(seats)
    known = [link for link in links if link is not None]
    if len(known) < len(links):
        words = "no known link"
    else:
        worst = max(known, key=lambda link: (link.kind.distance, -link.nvlinks))
        words = f"NVLink ({worst.nvlinks} lanes)" if worst.kind is LinkKind.NVLINK else str(worst.kind)
    generations = [seat.gpu.pcie_generation for seat in seats if seat.gpu.pcie_generation]
    widths = [seat.gpu.pcie_width for seat in seats if seat.gpu.pcie_width]
    return words + (f", PCIe {min(generations)}.0 x{min(widths)}" if generations and widths else "")


def _links(seats: tuple[Seat, ...]) -> list[Link | None]:
    return [one.host.link(one.gpu.uuid, other.gpu.uuid) for one, other in combinations(seats, 2)]
