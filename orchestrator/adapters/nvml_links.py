"""How GPUs reach each other, as NVML tells it: NVLink lanes, direct or through switches, and the PCIe topology."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml

from orchestrator.domain.inventory import Gpu, Link, LinkKind

_LEVELS = {
    pynvml.NVML_TOPOLOGY_INTERNAL: LinkKind.SAME_BOARD,
    pynvml.NVML_TOPOLOGY_SINGLE: LinkKind.SINGLE_SWITCH,
    pynvml.NVML_TOPOLOGY_MULTIPLE: LinkKind.SEVERAL_SWITCHES,
    pynvml.NVML_TOPOLOGY_HOSTBRIDGE: LinkKind.HOST_BRIDGE,
    pynvml.NVML_TOPOLOGY_NODE: LinkKind.SAME_NUMA_NODE,
    pynvml.NVML_TOPOLOGY_SYSTEM: LinkKind.ACROSS_SOCKETS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NvLinkLanes:
    """The active NVLink lanes of a card: how many end at which PCI bus id, and how many at an NVSwitch."""

    direct: Counter[str] = field(default_factory=Counter)
    switched: int = 0

    @classmethod
    def read(cls, ask: Callable[..., Any], handle: Any) -> NvLinkLanes:
        """Asks lane by lane; the first lane that does not exist ends the search (cards without NVLink have none)."""
        direct: Counter[str] = Counter()
        switched = 0
        for lane in range(pynvml.NVML_NVLINK_MAX_LINKS):
            state = ask("nvmlDeviceGetNvLinkState", handle, lane)
            if state is None:
                break
            if state != pynvml.NVML_FEATURE_ENABLED:
                continue
            if ask("nvmlDeviceGetNvLinkRemoteDeviceType", handle, lane) == pynvml.NVML_NVLINK_DEVICE_TYPE_SWITCH:
                switched += 1
                continue
            remote = ask("nvmlDeviceGetNvLinkRemotePciInfo", handle, lane)
            if remote is not None:
                direct[remote.busId] += 1
        return cls(direct=direct, switched=switched)

    def reaching(self, other_bus_id: str | None, other: NvLinkLanes) -> int:
        """Lanes towards a card: the direct ones, else those that both have to the switches (all meet there)."""
        if other_bus_id is not None and self.direct[other_bus_id]:
            return self.direct[other_bus_id]
        return min(self.switched, other.switched)


def common_ancestor(ask: Callable[..., Any], one: Any, other: Any) -> LinkKind | None:
    """The PCIe distance of two cards; None when the driver does not tell."""
    level = ask("nvmlDeviceGetTopologyCommonAncestor", one, other)
    return _LEVELS.get(level)


def link_between(one: tuple[Gpu, NvLinkLanes], other: tuple[Gpu, NvLinkLanes], level: LinkKind | None) -> Link | None:
    """The best path: NVLink before PCIe; None when nothing is known."""
    (first, lanes), (second, second_lanes) = sorted((one, other), key=lambda each: each[0].uuid)
    nvlinks = lanes.reaching(second.pci_bus_id, second_lanes)
    kind = LinkKind.NVLINK if nvlinks else level
    if kind is None:
        return None
    return Link(first=first.uuid, second=second.uuid, kind=kind, nvlinks=nvlinks)
