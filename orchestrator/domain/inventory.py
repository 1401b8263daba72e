"""GPUs as they are at one moment: hosts, cards, links between them, who uses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds memory on a GPU; `used_bytes` is None where the driver does not say (WSL, no rights)."""

    pid: int
    name: str | None = None
    used_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One device that a process can be given: a card, or a MIG slice of one (`parent_uuid` set).

    `total_bytes` and `free_bytes` are NVML's. `cuda_total_bytes` is what CUDA reports (less, by a few hundred MiB:
    vLLM multiplies this one by gpu-memory-utilization); None when it is not known. `reserved_bytes` is what the driver
    keeps for itself (NVML memory v2; CUDA's total is about total - reserved); None when the driver does not say.

    `has_nvlink` says whether NVLink joins it to another GPU of its host; None until somebody looks at the host's links.

    A card with `mig_enabled` cannot be given itself, only its slices can. A slice has `mig_enabled` False and takes an
    `index` after those of the host's cards.
    """

    index: int
    uuid: str
    name: str
    total_bytes: int
    free_bytes: int
    cuda_total_bytes: int | None = None
    compute_capability: tuple[int, int] | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    pci_bus_id: str | None = None
    mig_enabled: bool = False
    parent_uuid: str | None = None
    processes: tuple[GpuProcess, ...] = ()
    reserved_bytes: int | None = None
    has_nvlink: bool | None = None

    @property
    def is_assignable(self) -> bool:
        """False for a card in MIG mode: a container gets its slices, never the card."""
        return not self.mig_enabled

    @property
    def used_bytes(self) -> int:
        return self.total_bytes - self.free_bytes


class LinkKind(StrEnum):
    """How two GPUs of a host reach each other, in the words of `nvidia-smi topo -m`, nearest first."""

    NVLINK = "NV"
    SAME_BOARD = "PSB"  # one board (topology level "internal")
    SINGLE_SWITCH = "PIX"
    SEVERAL_SWITCHES = "PXB"
    HOST_BRIDGE = "PHB"
    SAME_NUMA_NODE = "NODE"
    ACROSS_SOCKETS = "SYS"

    @property
    def distance(self) -> int:
        """0 is nearest."""
        return tuple(LinkKind).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The best path between two GPUs, named by UUID with `first < second`; `nvlinks` counts active NVLink lanes."""

    first: str
    second: str
    kind: LinkKind
    nvlinks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine. `ram_bytes` is all its RAM, `disk_free_bytes` what is free on the disk that models are cached on; None
    where that is not known.
    """

    name: str
    gpus: tuple[Gpu, ...]
    links: tuple[Link, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None
    ram_bytes: int | None = None
    disk_free_bytes: int | None = None

    def link(self, one: str, other: str) -> Link | None:
        """The link between two GPUs by UUID, whichever way round."""
        pair = (min(one, other), max(one, other))
        return next((link for link in self.links if (link.first, link.second) == pair), None)

    def has_nvlink(self, uuid: str) -> bool | None:
        """Whether NVLink joins a GPU to another one; None when no link of it is known."""
        links = [link for link in self.links if uuid in (link.first, link.second)]
        return any(link.kind is LinkKind.NVLINK for link in links) if links else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What there is to plan on. `source` says where it comes from (`NVML`, `3xRTX4090`, what an inventory file says).

    `is_example`: the GPUs are of a kind that exists, but their UUIDs are made up and name no card.
    """

    hosts: tuple[Host, ...]
    source: str
    is_example: bool = False

    def gpus(self) -> Iterator[Gpu]:
        for host in self.hosts:
            yield from host.gpus

    def gpu(self, uuid: str) -> Gpu:
        return next(gpu for gpu in self.gpus() if gpu.uuid == uuid)
