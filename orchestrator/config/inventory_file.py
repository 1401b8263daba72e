"""Inventory files: what `orchestrate gpus --json` prints and `--inventory FILE` reads, strictly and without loss."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.config.json_tree import parse_json
from orchestrator.domain.diagnostics import Diagnostic, Report, Span
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind
from orchestrator.domain.profile import KeyPath, Places

FORMAT_KEY = "orchestrate-inventory"
FORMAT_VERSION = 1

_LARGEST_SIZE = 2**53
_LARGEST_NUMBER = 2**31
_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,96}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Key:
    """What may stand under a key, in words and as a test; an optional key may be left out or be null."""

    expected: str
    fits: Callable[[object], bool]
    required: bool = False


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _is_uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_size(value: object) -> bool:
    return _is_whole(value, 0, _LARGEST_SIZE)


def _is_count(value: object) -> bool:
    return _is_whole(value, 0, _LARGEST_NUMBER)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_filled_list(value: object) -> bool:
    return isinstance(value, list) and value != []


def _is_capability(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_whole(part, 0, 99) for part in value)


def _is_link_kind(value: object) -> bool:
    return isinstance(value, str) and value in {kind.value for kind in LinkKind}


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


_SIZE = "a whole number of bytes, 0 or more"
_COUNT = "a whole number, 0 or more"
_NAME = "a text of printable characters that is not empty"
_UUID_TEXT = "a UUID as NVML writes it, such as `GPU-…` or `MIG-…`"
_KINDS = ", ".join(f"`{kind.value}`" for kind in LinkKind)

_FILE = {
    FORMAT_KEY: _Key(f"the number {FORMAT_VERSION}", lambda value: True, required=True),
    "source": _Key("a text", _is_text, required=True),
    "is_example": _Key("`true` or `false`", _is_boolean),
    "hosts": _Key("a list with at least one host", _is_filled_list, required=True),
}
_HOST = {
    "name": _Key(_NAME, _is_name, required=True),
    "driver_version": _Key(_NAME, _is_name),
    "cuda_version": _Key(_NAME, _is_name),
    "gpus": _Key("a list with at least one GPU", _is_filled_list, required=True),
    "links": _Key("a list of links", _is_list),
}
_GPU = {
    "index": _Key(_COUNT, _is_count, required=True),
    "uuid": _Key(_UUID_TEXT, _is_uuid, required=True),
    "name": _Key(_NAME, _is_name, required=True),
    "total_bytes": _Key(_SIZE, _is_size, required=True),
    "free_bytes": _Key(_SIZE, _is_size, required=True),
    "reserved_bytes": _Key(_SIZE, _is_size),
    "cuda_total_bytes": _Key(_SIZE, _is_size),
    "compute_capability": _Key("two whole numbers, such as `[8, 9]`", _is_capability),
    "pcie_generation": _Key(_COUNT, _is_count),
    "pcie_width": _Key(_COUNT, _is_count),
    "pci_bus_id": _Key(_NAME, _is_name),
    "mig_enabled": _Key("`true` or `false`", _is_boolean),
    "parent_uuid": _Key(_UUID_TEXT, _is_uuid),
    "processes": _Key("a list of processes", _is_list),
}
_PROCESS = {
    "pid": _Key(_COUNT, _is_count, required=True),
    "name": _Key("a text", _is_text),
    "used_bytes": _Key(_SIZE, _is_size),
}
_LINK = {
    "first": _Key(_UUID_TEXT, _is_uuid, required=True),
    "second": _Key(_UUID_TEXT, _is_uuid, required=True),
    "kind": _Key(f"one of {_KINDS}", _is_link_kind, required=True),
    "nvlinks": _Key(_COUNT, _is_count),
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
    values = {"name": host.name, "driver_version": host.driver_version, "cuda_version": host.cuda_version}
    gpus = [_in_order(asdict(gpu), _GPU) for gpu in host.gpus]
    return {**values, "gpus": gpus, "links": [_in_order(asdict(link), _LINK) for link in host.links]}


def _in_order(values: dict[str, Any], keys: Mapping[str, _Key]) -> dict[str, object]:
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
    document = parse_json(text, file)
    if not isinstance(document[-1], Places):
        return tuple(finding for finding in document if isinstance(finding, Diagnostic))
    root, places = document[0], document[-1]
    check = _Check(places)
    if not check.is_inventory(root):
        return check.report.in_order()
    _check_file(check, root)
    if check.report.has_errors or not isinstance(root, dict):
        return check.report.in_order()
    return Inventory(
        hosts=tuple(_host(each) for each in root["hosts"]),
        source=root["source"],
        is_example=bool(root.get("is_example")),
    )


class _Check:
    """Looks at plain values and collects what is wrong with them, at the place where it stands."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.report = Report()

    def is_inventory(self, root: object) -> bool:
        """Whether this is an inventory file of the one format there is; the finding says what it is instead."""
        version = root.get(FORMAT_KEY) if isinstance(root, dict) else None
        if _is_whole(version, FORMAT_VERSION, FORMAT_VERSION):
            return True
        known = f'an inventory file starts with `"{FORMAT_KEY}": {FORMAT_VERSION}`'
        write = "`orchestrate gpus --json > FILE` writes one"
        if version is None:
            self._add(
                "E413", "this is not an inventory file", self._start(), label=f"no `{FORMAT_KEY}`", help=(known, write)
            )
        else:
            span = self._places.value((FORMAT_KEY,))
            message = f"inventory files of format {json.dumps(version)} cannot be read"
            self._add("E413", message, span, notes=(f"the format that is known: {FORMAT_VERSION}",), help=(write,))
        return False

    def _start(self) -> Span:
        whole = self._places.value(())
        return Span(
            file=whole.file, line=whole.line, column=whole.column, end_line=whole.line, end_column=whole.column + 1
        )

    def record(self, value: object, path: KeyPath, keys: Mapping[str, _Key]) -> Mapping[str, object]:
        """The well-formed entries of an object; what is unknown, missing or ill-formed is found and left out."""
        if not isinstance(value, dict):
            self._wrong(value, path, "an object with keys")
            return {}
        for unknown in value.keys() - keys.keys():
            self._unknown_key(unknown, path, tuple(keys))
        for missing in (name for name, key in keys.items() if key.required and value.get(name) is None):
            span = self._places.value((*path, missing)) if missing in value else self._opening(path)
            self._add("E415", f"`{missing}` is missing", span, help=(f"add it: {keys[missing].expected}",))
        given = {name: each for name, each in value.items() if name in keys and each is not None}
        for name, each in given.items():
            if not keys[name].fits(each):
                self._wrong(each, (*path, name), keys[name].expected)
        return {name: each for name, each in given.items() if keys[name].fits(each)}

    def items(self, record: Mapping[str, object], key: str, path: KeyPath) -> Iterator[tuple[object, KeyPath]]:
        values = record.get(key)
        for position, each in enumerate(values if isinstance(values, list) else ()):
            yield each, (*path, key, position)

    def at_most(self, record: Mapping[str, object], path: KeyPath, key: str, limit_key: str) -> None:
        """E417 where one size is larger than another one that it is a part of."""
        size, limit = record.get(key), record.get(limit_key)
        if isinstance(size, int) and isinstance(limit, int) and size > limit:
            notes = (f"`{key}`: {size:,} bytes, `{limit_key}`: {limit:,} bytes",)
            self._add("E417", f"`{key}` is more than `{limit_key}`", self._places.value((*path, key)), notes=notes)

    def once(self, seen: dict[object, KeyPath], value: object, path: KeyPath, what: str = "") -> None:
        """E418 where a value that must be unique is given a second time; None is no value."""
        if value is None:
            return
        if value in seen:
            first = self._places.value(seen[value])
            message = f"{what or f'`{path[-1]}` {json.dumps(value)}'} is given twice"
            notes = (f"first on line {first.line}",)
            self._add("E418", message, self._places.value(path), notes=notes, help=("each must be unique",))
        seen.setdefault(value, path)

    def names(self, known: Mapping[object, object], value: object, path: KeyPath) -> None:
        """E419 where a UUID is named that no GPU of the host has."""
        if value is None or value in known:
            return
        near = difflib.get_close_matches(str(value), [str(each) for each in known], n=1)
        help_lines = tuple(f"did you mean `{each}`?" for each in near) or ("name the `uuid` of a GPU of this host",)
        span = self._places.value(path)
        self._add("E419", f"no GPU of this host has the UUID `{value}`", span, help=help_lines)

    def refuse(self, code: str, message: str, path: KeyPath, help_line: str) -> None:
        self._add(code, message, self._places.value(path), help=(help_line,))

    def _unknown_key(self, key: str, path: KeyPath, known: tuple[str, ...]) -> None:
        near = difflib.get_close_matches(key, known, n=1)
        help_line = f"did you mean `{near[0]}`?" if near else "keys here: " + ", ".join(f"`{each}`" for each in known)
        span = self._places.key((*path, key))
        self._add("E414", f"unknown key `{key}`", span, label="no such key here", help=(help_line,))

    def _wrong(self, value: object, path: KeyPath, expected: str) -> None:
        where = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "this entry"
        shown = _shown(value)
        span = self._places.value(path)
        self._add("E416", f"{where} cannot be {shown}", span, label=f"expected {expected}", help=(f"write {expected}",))

    def _opening(self, path: KeyPath) -> Span:
        """The bracket that opens an object."""
        span = self._places.value(path)
        return Span(file=span.file, line=span.line, column=span.column, end_line=span.line, end_column=span.column + 1)

    def _add(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        notes: tuple[str, ...] = (),
        help: tuple[str, ...] = (),
    ) -> None:
        self.report.add(Diagnostic(code=code, message=message, span=span, label=label, notes=notes, help=help))


def _shown(value: object) -> str:
    """A value as the finding repeats it: short."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an empty list" if not value else "this list"
        case _:
            text = json.dumps(value, ensure_ascii=False)
            return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}…`"


def _check_file(check: _Check, root: object) -> None:
    record = check.record(root, (), _FILE)
    hosts: dict[object, KeyPath] = {}
    uuids: dict[object, KeyPath] = {}
    for value, path in check.items(record, "hosts", ()):
        host = check.record(value, path, _HOST)
        check.once(hosts, host.get("name"), (*path, "name"))
        _check_gpus(check, host, path, uuids)
        _check_links(check, host, path)


def _check_gpus(check: _Check, host: Mapping[str, object], path: KeyPath, uuids: dict[object, KeyPath]) -> None:
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


def _check_parent(check: _Check, gpu: Mapping[str, object], path: KeyPath, host: Mapping[str, object]) -> None:
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


def _check_links(check: _Check, host: Mapping[str, object], path: KeyPath) -> None:
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
    )


def _gpu(value: Mapping[str, Any]) -> Gpu:
    given = {key: each for key, each in value.items() if each is not None}
    capability = given.pop("compute_capability", None)
    processes = tuple(GpuProcess(**each) for each in given.pop("processes", ()))
    return Gpu(**given, compute_capability=None if capability is None else tuple(capability), processes=processes)


def _link(value: Mapping[str, Any]) -> Link:
    first, second = sorted((value["first"], value["second"]))
    return Link(first=first, second=second, kind=LinkKind(value["kind"]), nvlinks=value.get("nvlinks") or 0)
