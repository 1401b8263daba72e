"""Inventory files: what `orchestrate gpus --json` prints and `--inventory FILE` reads, strictly and without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.config.json_records import (
    COUNT,
    NAME,
    SIZE,
    UUID_TEXT,
    FileKind,
    Key,
    RecordCheck,
    is_boolean,
    is_count,
    is_filled_list,
    is_list,
    is_name,
    is_size,
    is_text,
    is_uuid,
    is_whole,
    parse_records,
)
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind
from orchestrator.domain.profile import KeyPath

FORMAT_KEY = "orchestrate-inventory"
FORMAT_VERSION = 1

_KIND = FileKind(
    name="an inventory file",
    plural="inventory files",
    keys=(FORMAT_KEY,),
    version=FORMAT_VERSION,
    writer="`orchestrate gpus --json > FILE` writes one",
)


def _is_capability(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(is_whole(part, 0, 99) for part in value)


def _is_link_kind(value: object) -> bool:
    return isinstance(value, str) and value in {kind.value for kind in LinkKind}


_KINDS = ", ".join(f"`{kind.value}`" for kind in LinkKind)

_FILE = {
    FORMAT_KEY: Key(f"the number {FORMAT_VERSION}", lambda value: True, required=True),
    "source": Key("a text", is_text, required=True),
    "is_example": Key("`true` or `false`", is_boolean),
    "hosts": Key("a list with at least one host", is_filled_list, required=True),
}
_HOST = {
    "name": Key(NAME, is_name, required=True),
    "driver_version": Key(NAME, is_name),
    "cuda_version": Key(NAME, is_name),
    "ram_bytes": Key(SIZE, is_size),
    "disk_free_bytes": Key(SIZE, is_size),
    "gpus": Key("a list with at least one GPU", is_filled_list, required=True),
    "links": Key("a list of links", is_list),
}
_GPU = {
    "index": Key(COUNT, is_count, required=True),
    "uuid": Key(UUID_TEXT, is_uuid, required=True),
    "name": Key(NAME, is_name, required=True),
    "total_bytes": Key(SIZE, is_size, required=True),
    "free_bytes": Key(SIZE, is_size, required=True),
    "reserved_bytes": Key(SIZE, is_size),
    "cuda_total_bytes": Key(SIZE, is_size),
    "compute_capability": Key("two whole numbers, such as `[8, 9]`", _is_capability),
    "pcie_generation": Key(COUNT, is_count),
    "pcie_width": Key(COUNT, is_count),
    "pci_bus_id": Key(NAME, is_name),
    "mig_enabled": Key("`true` or `false`", is_boolean),
    "parent_uuid": Key(UUID_TEXT, is_uuid),
    "processes": Key("a list of processes", is_list),
}
_PROCESS = {
    "pid": Key(COUNT, is_count, required=True),
    "name": Key("a text", is_text),
    "used_bytes": Key(SIZE, is_size),
}
_LINK = {
    "first": Key(UUID_TEXT, is_uuid, required=True),
    "second": Key(UUID_TEXT, is_uuid, required=True),
    "kind": Key(f"one of {_KINDS}", _is_link_kind, required=True),
    "nvlinks": Key(COUNT, is_count),
}


def inventory_as_dict(inventory: Inventory) -> dict[str, object]:
    """The inventory as plain values in the order of the file; every key is there, null where nothing is known."""
    return {
        FORMAT_KEY: FORMAT_VERSION,
        "source": inventory.source,
        "is_example": inventory.is_example,
        "hosts": [_host_as_dict(host) for host in inventory.hosts],
    }


def inventory_text(inventory: Inventory) -> str:
    """The inventory file: the same inventory gives the same bytes, all ASCII."""
    return json.dumps(inventory_as_dict(inventory), indent=2) + "\n"


def _host_as_dict(host: Host) -> dict[str, object]:
    values = {
        "name": host.name,
        "driver_version": host.driver_version,
        "cuda_version": host.cuda_version,
        "ram_bytes": host.ram_bytes,
        "disk_free_bytes": host.disk_free_bytes,
    }
    gpus = [_in_order(asdict(gpu), _GPU) for gpu in host.gpus]
    return {**values, "gpus": gpus, "links": [_in_order(asdict(link), _LINK) for link in host.links]}


def _in_order(values: dict[str, Any], keys: Mapping[str, Key]) -> dict[str, object]:
    """In the order of the table, with plain values: a tuple is a list here, a member of an enum its text."""
    return {key: _plain(values[key]) for key in keys}


def _plain(value: object) -> object:
    match value:
        case LinkKind():
            return value.value
        case tuple():
            return list(value)
        case _:
            return value


def parse_inventory(text: str, file: str) -> Inventory | tuple[Diagnostic, ...]:
    """The inventory, or all findings by place: E411 to E419.

    Strict: unknown and repeated keys, wrong types, sizes that cannot be, UUIDs and indices given twice, links and
    slices that name unknown UUIDs are errors. An optional key may be left out or be null.
    """
    parsed = parse_records(text, file, _KIND)
    if not isinstance(parsed[-1], RecordCheck):
        return tuple(finding for finding in parsed if isinstance(finding, Diagnostic))
    root, check = parsed[0], parsed[-1]
    _check_file(check, root)
    if check.report.has_errors or not isinstance(root, dict):
        return check.report.in_order()
    return Inventory(
        hosts=tuple(_host(each) for each in root["hosts"]),
        source=root["source"],
        is_example=bool(root.get("is_example")),
    )


def _check_file(check: RecordCheck, root: object) -> None:
    record = check.record(root, (), _FILE)
    hosts: dict[object, KeyPath] = {}
    uuids: dict[object, KeyPath] = {}
    for value, path in check.items(record, "hosts", ()):
        host = check.record(value, path, _HOST)
        check.once(hosts, host.get("name"), (*path, "name"))
        _check_gpus(check, host, path, uuids)
        _check_links(check, host, path)


def _check_gpus(check: RecordCheck, host: Mapping[str, object], path: KeyPath, uuids: dict[object, KeyPath]) -> None:
    indices: dict[object, KeyPath] = {}
    for value, gpu_path in check.items(host, "gpus", path):
        gpu = check.record(value, gpu_path, _GPU)
        check.once(indices, gpu.get("index"), (*gpu_path, "index"))
        check.once(uuids, gpu.get("uuid"), (*gpu_path, "uuid"))
        for part in ("free_bytes", "reserved_bytes", "cuda_total_bytes"):
            check.at_most(gpu, gpu_path, part, "total_bytes")
        _check_parent(check, gpu, gpu_path, host)
        pids: dict[object, KeyPath] = {}
        for each, process_path in check.items(gpu, "processes", gpu_path):
            process = check.record(each, process_path, _PROCESS)
            check.once(pids, process.get("pid"), (*process_path, "pid"))


def _check_parent(check: RecordCheck, gpu: Mapping[str, object], path: KeyPath, host: Mapping[str, object]) -> None:
    """A slice belongs to a card of its host that is in MIG mode, else the same memory would be given twice."""
    parent = gpu.get("parent_uuid")
    if parent is None:
        return
    cards = _by_uuid(host)
    at = (*path, "parent_uuid")
    check.names(cards, parent, at)
    card = cards.get(parent)
    if card is not None and card.get("mig_enabled") is not True:
        check.refuse("E419", f"`{parent}` is not a card in MIG mode", at, 'give that card `"mig_enabled": true`')
    if gpu.get("mig_enabled") is True:
        check.refuse("E419", "a slice cannot be in MIG mode itself", at, 'write `"mig_enabled": false` for the slice')


def _check_links(check: RecordCheck, host: Mapping[str, object], path: KeyPath) -> None:
    known = dict.fromkeys(_by_uuid(host), path)
    pairs: dict[object, KeyPath] = {}
    for value, link_path in check.items(host, "links", path):
        link = check.record(value, link_path, _LINK)
        ends = tuple(str(link[end]) for end in ("first", "second") if end in link)
        for end in ("first", "second"):
            check.names(known, link.get(end), (*link_path, end))
        if len(ends) < 2:
            continue
        if ends[0] == ends[1]:
            check.refuse("E419", "a link joins a GPU with itself", (*link_path, "second"), "name two GPUs")
        pair = " and ".join(sorted(ends))
        check.once(pairs, pair, link_path, f"the link of {pair}")
        if link.get("kind") == LinkKind.NVLINK and not link.get("nvlinks"):
            check.refuse("E417", "an NVLink without lanes", (*link_path, "kind"), "write how many in `nvlinks`")


def _by_uuid(host: Mapping[str, object]) -> dict[object, dict[str, object]]:
    gpus = host.get("gpus")
    listed = gpus if isinstance(gpus, list) else ()
    return {gpu["uuid"]: gpu for gpu in listed if isinstance(gpu, dict) and isinstance(gpu.get("uuid"), str)}


def _host(value: Mapping[str, Any]) -> Host:
    return Host(
        name=value["name"],
        gpus=tuple(_gpu(each) for each in value["gpus"]),
        links=tuple(_link(each) for each in value.get("links") or ()),
        driver_version=value.get("driver_version"),
        cuda_version=value.get("cuda_version"),
        ram_bytes=value.get("ram_bytes"),
        disk_free_bytes=value.get("disk_free_bytes"),
    )


def _gpu(value: Mapping[str, Any]) -> Gpu:
    given = {key: each for key, each in value.items() if each is not None}
    capability = given.pop("compute_capability", None)
    processes = tuple(GpuProcess(**each) for each in given.pop("processes", ()))
    return Gpu(**given, compute_capability=None if capability is None else tuple(capability), processes=processes)


def _link(value: Mapping[str, Any]) -> Link:
    first, second = sorted((value["first"], value["second"]))
    return Link(first=first, second=second, kind=LinkKind(value["kind"]), nvlinks=value.get("nvlinks") or 0)
