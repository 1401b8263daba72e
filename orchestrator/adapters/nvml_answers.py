"""Whether what the NVIDIA driver says of a card can be true: an inventory from NVML is held to the rules of a file."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.config.inventory_file import inventory_text, parse_inventory
from orchestrator.domain.inventory import Gpu, Host, Inventory


def printable(text: str | None) -> str | None:
    """A text of the driver without what would steer a terminal; None for one that says nothing."""
    shown = "".join(character if character.isprintable() else "?" for character in text or "")
    return shown if shown.strip() else None


def contradictions(devices: Sequence[Gpu], seen: Sequence[Gpu]) -> tuple[str, ...]:
    """What cannot be true of a card and its slices, given the cards before it; empty when all of it can be."""
    uuids = {each.uuid: each.index for each in seen}
    twice = tuple(
        f"its UUID `{each.uuid}` is that of GPU {uuids[each.uuid]} too" for each in devices if each.uuid in uuids
    )
    empty = tuple("it has 0 bytes of memory" for each in devices if each.total_bytes == 0)
    host = Host(name="localhost", gpus=tuple(devices))
    read = parse_inventory(inventory_text(Inventory(hosts=(host,), source="NVML")), "NVML")
    findings = read if isinstance(read, tuple) else ()
    return (*twice, *empty, *(f"{finding.message}: {finding.label}".removesuffix(": ") for finding in findings))
