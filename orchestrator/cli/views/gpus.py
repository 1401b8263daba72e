"""GPUs as a person reads them: a table, who uses what, a matrix of links; plain ASCII, colour only for emphasis."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind
from orchestrator.domain.units import as_gib

_FACTS_WIDTH = 39
_INDENT = 5
_NARROWEST = 60

_LEGEND = {
    LinkKind.NVLINK: "NV#: NVLink, # lanes",
    LinkKind.SAME_BOARD: "PSB: on one board",
    LinkKind.SINGLE_SWITCH: "PIX: one PCIe switch",
    LinkKind.SEVERAL_SWITCHES: "PXB: several PCIe switches",
    LinkKind.HOST_BRIDGE: "PHB: the CPU's PCIe host bridge",
    LinkKind.SAME_NUMA_NODE: "NODE: host bridges of one NUMA node",
    LinkKind.ACROSS_SOCKETS: "SYS: across CPU sockets",
}


def render_inventory(inventory: Inventory, *, color: bool, width: int, option: str | None = None) -> str:
    """The whole view; `option` is what `--inventory` was given as, for the next step that it names."""
    columns = max(width, _NARROWEST)
    lines: list[str] = []
    for host in inventory.hosts:
        lines += [
            *_headline(host, color=color),
            "",
            *_table(host, columns, color=color),
            *_links(host, color=color),
            "",
        ]
    lines += textwrap.wrap(f"source: {_printable(inventory.source)}", columns)
    lines += _next_step(option)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _headline(host: Host, *, color: bool) -> Iterator[str]:
    driver = host.driver_version or "not known"
    cuda = host.cuda_version or "not known"
    yield _bold(_printable(f"{host.name}: driver {driver}, CUDA {cuda}"), color=color)
    room = ((host.ram_bytes, "of RAM"), (host.disk_free_bytes, "free on the disk for models"))
    known = [f"{as_gib(size):.1f} GiB {what}" for size, what in room if size is not None]
    if known:
        yield ", ".join(known)


def _table(host: Host, columns: int, *, color: bool) -> Iterator[str]:
    longest = max((len(gpu.name) for gpu in host.gpus), default=0)
    room = max(len("name") + 1, min(columns - _INDENT - _FACTS_WIDTH, longest + 1))
    yield _bold(
        f"{'#':>3}  {'name':<{room}}{'total GiB':>11}{'free GiB':>10}{'cc':>5}{'PCIe':>8}{'MIG':>5}", color=color
    )
    indices = {gpu.uuid: gpu.index for gpu in host.gpus}
    for gpu in host.gpus:
        name, *rest = textwrap.wrap(_printable(gpu.name), room - 1) or [""]
        yield f"{gpu.index:>3}  {name:<{room}}{_facts(gpu)}"
        yield from _beneath([*rest, *_details(gpu, indices)], columns)


def _facts(gpu: Gpu) -> str:
    capability = "?" if gpu.compute_capability is None else "{}.{}".format(*gpu.compute_capability)
    return (
        f"{as_gib(gpu.total_bytes):>11.2f}{as_gib(gpu.free_bytes):>10.2f}{capability:>5}{_pcie(gpu):>8}{_mig(gpu):>5}"
    )


def _pcie(gpu: Gpu) -> str:
    generation = "?" if gpu.pcie_generation is None else str(gpu.pcie_generation)
    lanes = "?" if gpu.pcie_width is None else str(gpu.pcie_width)
    return f"{generation} x{lanes}"


def _mig(gpu: Gpu) -> str:
    if gpu.parent_uuid is not None:
        return "part"
    return "on" if gpu.mig_enabled else "-"


def _details(gpu: Gpu, indices: dict[str, int]) -> Iterator[str]:
    yield _printable(gpu.uuid)
    if gpu.parent_uuid is not None:
        yield f"a MIG slice of GPU {indices.get(gpu.parent_uuid, '?')}"
    if not gpu.is_assignable:
        yield "in MIG mode: only its slices can be given to a service"
    yield from (f"used by {_user(process)}" for process in gpu.processes)
    if not gpu.processes:
        yield f"used by no visible process; {_taken(gpu)}"


def _user(process: GpuProcess) -> str:
    name = "a process without a visible name" if process.name is None else _printable(process.name)
    size = "size not told by the driver" if process.used_bytes is None else f"{as_gib(process.used_bytes):.2f} GiB"
    return f"{name} (pid {process.pid}): {size}"


def _taken(gpu: Gpu) -> str:
    taken = f"{as_gib(gpu.used_bytes):.2f} GiB taken"
    return taken if gpu.reserved_bytes is None else f"{taken} ({as_gib(gpu.reserved_bytes):.2f} by the driver)"


def _beneath(lines: list[str], columns: int) -> Iterator[str]:
    indent = " " * _INDENT
    for line in lines:
        yield from textwrap.wrap(line, columns, initial_indent=indent, subsequent_indent=indent + "  ")


def _links(host: Host, *, color: bool) -> Iterator[str]:
    cards = [gpu for gpu in host.gpus if gpu.parent_uuid is None]
    if len(cards) < 2:
        return
    yield ""
    if not host.links:
        yield "links: not known"
        return
    yield _bold("link" + "".join(f"{gpu.index:>6}" for gpu in cards), color=color)
    for one in cards:
        yield f"{one.index:>4}" + "".join(f"{_link(host, one, other):>6}" for other in cards)
    kinds = sorted({link.kind for link in host.links}, key=lambda kind: kind.distance)
    yield from (f"  {_LEGEND[kind]}" for kind in kinds)


def _link(host: Host, one: Gpu, other: Gpu) -> str:
    if one is other:
        return "-"
    link = host.link(one.uuid, other.uuid)
    return "?" if link is None else _short(link)


def _short(link: Link) -> str:
    return f"NV{link.nvlinks}" if link.kind is LinkKind.NVLINK else link.kind.value


def _next_step(option: str | None) -> Iterator[str]:
    if option is None:
        yield "next:   `orchestrate gpus --json > inventory.json` records these GPUs"
        yield "        `orchestrate plan --inventory inventory.json` plans on them anywhere"
    else:
        yield f"next:   `orchestrate plan --inventory {shlex.quote(option)}` plans on these GPUs"


def _printable(text: str) -> str:
    """Foreign text without what would steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _bold(text: str, *, color: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if color else text
