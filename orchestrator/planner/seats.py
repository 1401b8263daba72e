"""All GPUs of an inventory in the one order that ties go by, and how they are named to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.domain.inventory import Gpu, Host, Inventory, LinkKind
from orchestrator.domain.units import GIB, as_gib


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A GPU with its host; `label` tells it from all others (`GPU 2`, with several hosts `GPU 2 of beta`).

    Seats with the same `twins` may change places: the same kind of card in the same host with the same free bytes, and
    each of them has the same link to any third as the other.
    """

    host: Host
    gpu: Gpu
    label: str
    twins: int

    @property
    def kind(self) -> Gpu:
        """The GPU without what tells it from its like; footprints are the same for equal kinds."""
        return replace(
            self.gpu,
            index=0,
            uuid="",
            free_bytes=0,
            pcie_generation=None,
            pcie_width=None,
            pci_bus_id=None,
            processes=(),
            parent_uuid=self.gpu.parent_uuid and "a card",
            has_nvlink=self.host.has_nvlink(self.gpu.uuid),
        )


def seats_of(inventory: Inventory) -> tuple[Seat, ...]:
    """All GPUs by host name, index and UUID, in whatever order the inventory lists them."""
    several = len(inventory.hosts) > 1
    pairs = sorted(
        ((host, gpu) for host in inventory.hosts for gpu in host.gpus),
        key=lambda pair: (pair[0].name, pair[1].index, pair[1].uuid),
    )
    twins = _twins(pairs)
    return tuple(
        Seat(host=host, gpu=gpu, label=_label(host, gpu, several=several), twins=number)
        for (host, gpu), number in zip(pairs, twins, strict=True)
    )


def places_of(uuids: Mapping[str, tuple[str, ...]], seats: tuple[Seat, ...]) -> dict[str, tuple[int, ...]]:
    """The seats of each service's GPUs, in order; none for a service that has lost one of its GPUs."""
    place_of = {seat.gpu.uuid: place for place, seat in enumerate(seats)}
    return {
        name: tuple(sorted(place_of[uuid] for uuid in row))
        for name, row in uuids.items()
        if all(uuid in place_of for uuid in row)
    }


def _twins(pairs: list[tuple[Host, Gpu]]) -> list[int]:
    """A number per GPU, the same for those that may change places (which is transitive: one of each is asked)."""
    links = {host.name: _links(host) for host, _ in pairs}
    found: list[tuple[str, Gpu, Gpu]] = []
    numbers = []
    for host, gpu in pairs:
        parent = gpu.parent_uuid and "a card"
        look = replace(gpu, index=0, uuid="", pci_bus_id=None, processes=(), parent_uuid=parent)
        like = (
            number
            for number, (name, other, kind) in enumerate(found)
            if name == host.name and kind == look and _reach_the_same(links[name], gpu.uuid, other.uuid, host)
        )
        number = next(like, len(found))
        if number == len(found):
            found.append((host.name, gpu, look))
        numbers.append(number)
    return numbers


_Links = dict[frozenset[str], tuple[LinkKind, int]]


def _links(host: Host) -> _Links:
    return {frozenset((link.first, link.second)): (link.kind, link.nvlinks) for link in reversed(host.links)}


def _reach_the_same(links: _Links, one: str, other: str, host: Host) -> bool:
    thirds = (gpu.uuid for gpu in host.gpus if gpu.uuid not in (one, other))
    return all(links.get(frozenset((one, third))) == links.get(frozenset((other, third))) for third in thirds)


def _label(host: Host, gpu: Gpu, *, several: bool) -> str:
    slice_words = " (a MIG slice)" if gpu.parent_uuid else ""
    return f"GPU {gpu.index}{slice_words}" + (f" of {host.name}" if several else "")


_MOST_LISTED = 20


def listed(words: Iterable[str], joint: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`; the first twenty by name, the others as a number."""
    row = list(words)
    if len(row) > _MOST_LISTED:
        row[_MOST_LISTED:] = [f"{len(row) - _MOST_LISTED:,} more"]
    return row[0] if len(row) == 1 else f"{', '.join(row[:-1])} {joint} {row[-1]}" if row else "none"


def gib_text(size_bytes: float) -> str:
    return f"{as_gib(size_bytes):.2f} GiB"


def occupants(gpu: Gpu) -> str:
    """Who holds memory on a GPU, for a note; empty when nobody is known to."""
    names = [
        f"{process.name or 'a process'} (pid {process.pid}"
        + (f", {gib_text(process.used_bytes)})" if process.used_bytes is not None else ")")
        for process in sorted(gpu.processes, key=lambda each: (-(each.used_bytes or 0), each.pid))
    ]
    return listed(names) if names else ""


def gib_texts_that_add_up(sizes: Sequence[int]) -> tuple[str, ...]:
    """Sizes in hundredths of a GiB whose sum is the rounded sum: those that lose most by rounding down are raised."""
    unit = GIB / 100
    lowered = [int(size / unit) for size in sizes]
    missing = round(sum(sizes) / unit) - sum(lowered)
    by_loss = sorted(range(len(sizes)), key=lambda number: (lowered[number] - sizes[number] / unit, number))
    for number in by_loss[:missing]:
        lowered[number] += 1
    return tuple(f"{hundredths / 100:.2f} GiB" for hundredths in lowered)
