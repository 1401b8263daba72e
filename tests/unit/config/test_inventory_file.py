"""Inventory files: whole findings with their places, and nothing lost on the way there and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.inventory_file import inventory_text, parse_inventory
from orchestrator.domain.diagnostics import Diagnostic, Span
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind

RECORDED = Path(__file__).parents[3] / "configs" / "inventories" / "3xrtx4090.json"

ONE, TWO, SLICE = "GPU-1111", "GPU-2222", "MIG-3333"
Change = Callable[[dict[str, Any]], None]


def _document() -> dict[str, Any]:
    """A host with two cards; the second one is in MIG mode and has a slice."""
    card = {"name": "card", "total_bytes": 1000, "free_bytes": 900}
    return {
        "orchestrate-inventory": 1,
        "source": "by hand",
        "hosts": [
            {
                "name": "rig",
                "gpus": [
                    {"index": 0, "uuid": ONE, **card, "processes": [{"pid": 7, "name": "python", "used_bytes": 60}]},
                    {"index": 1, "uuid": TWO, **card, "mig_enabled": True, "compute_capability": [9, 0]},
                    {"index": 2, "uuid": SLICE, **card, "parent_uuid": TWO},
                ],
                "links": [{"first": TWO, "second": ONE, "kind": "NV", "nvlinks": 4}],
            }
        ],
    }


def _findings(text: str) -> tuple[Diagnostic, ...]:
    answer = parse_inventory(text, "i.json")
    assert isinstance(answer, tuple)
    assert answer
    assert all(finding.is_error and finding.span and finding.span.file == "i.json" for finding in answer)
    return answer


def _only(change: Change) -> tuple[str, str, str]:
    """Code and message of the one finding after a change, and the text that it points at."""
    document = _document()
    change(document)
    text = json.dumps(document, indent=1)
    (finding,) = _findings(text)
    assert finding.help or finding.notes
    assert finding.span is not None
    return finding.code, finding.message, _pointed_at(text, finding.span)


def _pointed_at(text: str, span: Span) -> str:
    lines = text.split("\n")
    if span.line != span.end_line:
        return lines[span.line - 1][span.column - 1 :].strip() + " …"
    return lines[span.line - 1][span.column - 1 : span.end_column - 1]


def _gpu(document: dict[str, Any], position: int = 0) -> dict[str, Any]:
    gpu: dict[str, Any] = document["hosts"][0]["gpus"][position]
    return gpu


def test_an_inventory_is_read_as_written_with_links_the_right_way_round() -> None:
    assert parse_inventory(json.dumps(_document()), "i.json") == Inventory(
        source="by hand",
        hosts=(
            Host(
                name="rig",
                gpus=(
                    Gpu(
                        index=0,
                        uuid=ONE,
                        name="card",
                        total_bytes=1000,
                        free_bytes=900,
                        processes=(GpuProcess(pid=7, name="python", used_bytes=60),),
                    ),
                    Gpu(
                        index=1,
                        uuid=TWO,
                        name="card",
                        total_bytes=1000,
                        free_bytes=900,
                        mig_enabled=True,
                        compute_capability=(9, 0),
                    ),
                    Gpu(index=2, uuid=SLICE, name="card", total_bytes=1000, free_bytes=900, parent_uuid=TWO),
                ),
                links=(Link(first=ONE, second=TWO, kind=LinkKind.NVLINK, nvlinks=4),),
            ),
        ),
    )


def test_the_text_is_stable_complete_and_indented_by_two() -> None:
    gpu = Gpu(index=0, uuid=ONE, name="card é", total_bytes=1000, free_bytes=900, compute_capability=(8, 9))
    inventory = Inventory(hosts=(Host(name="rig", gpus=(gpu,)),), source="NVML")
    assert (
        inventory_text(inventory)
        == r"""{
  "orchestrate-inventory": 1,
  "source": "NVML",
  "is_example": false,
  "hosts": [
    {
      "name": "rig",
      "driver_version": null,
      "cuda_version": null,
      "ram_bytes": null,
      "disk_free_bytes": null,
      "gpus": [
        {
          "index": 0,
          "uuid": "GPU-1111",
          "name": "card \u00e9",
          "total_bytes": 1000,
          "free_bytes": 900,
          "reserved_bytes": null,
          "cuda_total_bytes": null,
          "compute_capability": [
            8,
            9
          ],
          "pcie_generation": null,
          "pcie_width": null,
          "pci_bus_id": null,
          "mig_enabled": false,
          "parent_uuid": null,
          "processes": []
        }
      ],
      "links": []
    }
  ]
}
"""
    )


def test_the_recorded_inventory_is_what_the_writer_writes() -> None:
    text = RECORDED.read_text()
    inventory = parse_inventory(text, RECORDED.name)
    assert isinstance(inventory, Inventory)
    assert inventory_text(inventory) == text
    assert [gpu.total_bytes // 1024**2 for gpu in inventory.gpus()] == [24564, 24564, 24564]
    assert [link.kind.value for link in inventory.hosts[0].links] == ["PHB", "NODE", "NODE"]
    assert inventory.is_example


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda d: _gpu(d).update(total_byte=1),
            ("E414", "unknown key `total_byte`", '"total_byte"'),
        ),
        (lambda d: d.update(zzz=1), ("E414", "unknown key `zzz`", '"zzz"')),
        (lambda d: _gpu(d).pop("name"), ("E415", "`name` is missing", "{")),
        (lambda d: d["hosts"][0]["links"][0].pop("first"), ("E415", "`first` is missing", "{")),
        (lambda d: _gpu(d).update(name=None), ("E415", "`name` is missing", "null")),
        (lambda d: _gpu(d).update(index=True), ("E416", "`index` cannot be `true`", "true")),
        (lambda d: _gpu(d).update(total_bytes=1000.0), ("E416", "`total_bytes` cannot be `1000.0`", "1000.0")),
        (lambda d: _gpu(d).update(total_bytes="24 GiB"), ("E416", '`total_bytes` cannot be `"24 GiB"`', '"24 GiB"')),
        (lambda d: _gpu(d).update(free_bytes=-5), ("E416", "`free_bytes` cannot be `-5`", "-5")),
        (lambda d: _gpu(d, 2).update(uuid="0"), ("E416", '`uuid` cannot be `"0"`', '"0"')),
        (
            lambda d: _gpu(d).update(name="\n" * 60),
            ("E416", '`name` cannot be `"' + r"\n" * 28 + "…`", '"' + r"\n" * 60 + '"'),
        ),
        (lambda d: _gpu(d).update(mig_enabled=1), ("E416", "`mig_enabled` cannot be `1`", "1")),
        (
            lambda d: _gpu(d).update(compute_capability=[8]),
            ("E416", "`compute_capability` cannot be this list", "[ …"),
        ),
        (lambda d: _gpu(d).update(processes={}), ("E416", "`processes` cannot be an object", "{}")),
        (lambda d: _gpu(d).update(processes=[3]), ("E416", "this entry cannot be `3`", "3")),
        (lambda d: d.update(hosts=[]), ("E416", "`hosts` cannot be an empty list", "[]")),
        (
            lambda d: d["hosts"][0]["links"][0].update(kind="NVL"),
            ("E416", '`kind` cannot be `"NVL"`', '"NVL"'),
        ),
        (
            lambda d: _gpu(d).update(free_bytes=1001),
            ("E417", "`free_bytes` is more than `total_bytes`", "1001"),
        ),
        (
            lambda d: _gpu(d).update(cuda_total_bytes=1001),
            ("E417", "`cuda_total_bytes` is more than `total_bytes`", "1001"),
        ),
        (
            lambda d: d["hosts"][0]["links"][0].update(nvlinks=0),
            ("E417", "an NVLink without lanes", '"NV"'),
        ),
        (lambda d: _gpu(d, 1).update(index=0), ("E418", "`index` 0 is given twice", "0")),
        (
            lambda d: d["hosts"].append({"name": "other", "gpus": [_gpu(_document())]}),
            ("E418", f'`uuid` "{ONE}" is given twice', f'"{ONE}"'),
        ),
        (
            lambda d: d["hosts"].append({"name": "rig", "gpus": [{**_gpu(_document()), "uuid": "GPU-9"}]}),
            ("E418", '`name` "rig" is given twice', '"rig"'),
        ),
        (
            lambda d: d["hosts"][0]["links"].append({"first": ONE, "second": TWO, "kind": "SYS"}),
            ("E418", "the link of GPU-1111 and GPU-2222 is given twice", "{ …"),
        ),
        (
            lambda d: _gpu(d)["processes"].append({"pid": 7}),
            ("E418", "`pid` 7 is given twice", "7"),
        ),
        (
            lambda d: d["hosts"][0]["links"][0].update(first="GPU-2223"),
            ("E419", "no GPU of this host has the UUID `GPU-2223`", '"GPU-2223"'),
        ),
        (
            lambda d: d["hosts"][0]["links"][0].update(first=ONE),
            ("E419", "a link joins a GPU with itself", f'"{ONE}"'),
        ),
        (
            lambda d: _gpu(d, 2).update(parent_uuid="GPU-zzzzzzzzzzz"),
            ("E419", "no GPU of this host has the UUID `GPU-zzzzzzzzzzz`", '"GPU-zzzzzzzzzzz"'),
        ),
        (
            lambda d: _gpu(d, 2).update(parent_uuid=ONE),
            ("E419", f"`{ONE}` is not a card in MIG mode", f'"{ONE}"'),
        ),
        (
            lambda d: _gpu(d, 2).update(mig_enabled=True),
            ("E419", "a slice cannot be in MIG mode itself", f'"{TWO}"'),
        ),
    ],
)
def test_each_slip_is_found_where_it_stands(change: Change, expected: tuple[str, str, str]) -> None:
    assert _only(change) == expected


def test_the_nearest_name_and_the_nearest_uuid_are_offered() -> None:
    document = _document()
    _gpu(document)["free_byte"] = 1
    document["hosts"][0]["links"][0]["first"] = "GPU-2221"
    findings = _findings(json.dumps(document))
    assert [finding.help for finding in findings] == [("did you mean `free_bytes`?",), (f"did you mean `{TWO}`?",)]


def test_all_findings_come_in_one_run_by_place() -> None:
    document = _document()
    _gpu(document)["free_bytes"] = 5000
    _gpu(document, 1)["uuid"] = 3
    _gpu(document, 2)["index"] = 0
    document["hosts"][0]["links"][0]["second"] = "GPU-8888"
    del document["hosts"][0]["links"][0]["kind"]
    codes = [finding.code for finding in _findings(json.dumps(document, indent=2))]
    assert codes == ["E417", "E416", "E418", "E419", "E415", "E419", "E419"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "this is not an inventory file"),
        ("[]", "this is not an inventory file"),
        ("null", "this is not an inventory file"),
        ('{"orchestrate-inventory": 2, "hosts": []}', "inventory files of format 2 cannot be read"),
        ('{"orchestrate-inventory": "1"}', 'inventory files of format "1" cannot be read'),
        ('{"orchestrate-inventory": true}', "inventory files of format true cannot be read"),
    ],
)
def test_another_file_is_refused_with_the_format_that_is_known(text: str, message: str) -> None:
    (finding,) = _findings(text)
    assert (finding.code, finding.message) == ("E413", message)
    assert any("orchestrate gpus --json" in line for line in finding.help)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "the file ends in the middle of its JSON", (1, 1)),
        ('{"a": 1', "the file ends in the middle of its JSON", (1, 8)),
        ('{"a": 1,\n "b" 2}', "this is not JSON: expected `:`", (2, 6)),
        ('{"a": 1,}', "this is not JSON: a comma before `}`", (1, 8)),
        ("[1 2]", "this is not JSON: expected `,` or `]`", (1, 4)),
        ("[1] 2", "this is not JSON: text after the end of the JSON value", (1, 5)),
        ("{a: 1}", 'this is not JSON: expected a key in `"` or `}`', (1, 2)),
        ("[NaN]", "this is not JSON: `NaN` is not JSON", (1, 2)),
        ("[-Infinity]", "this is not JSON: expected a value", (1, 2)),
        ("[010]", "this is not JSON: expected `,` or `]`", (1, 3)),
        ("[" + "9" * 41 + "]", "this is not JSON: a number of more than 40 characters", (1, 2)),
        ("[" * 40, "this is not JSON: nested more than 32 deep", (1, 34)),
        ('["a', "this is not JSON: a string that does not end, or holds what JSON wants escaped", (1, 2)),
        ('["a\nb"]', "this is not JSON: a string that does not end, or holds what JSON wants escaped", (1, 2)),
        ('["\\ud800"]', "this is not JSON: half a surrogate pair is no character", (1, 2)),
        ("\x00", "this is not JSON: expected a value", (1, 1)),
        ("orchestrate-inventory: 1", "this is not JSON: `orchestrate` is not JSON", (1, 1)),
    ],
)
def test_what_is_not_json_is_found_where_it_ends_to_be(text: str, message: str, place: tuple[int, int]) -> None:
    (finding,) = _findings(text)
    assert finding.span is not None
    assert (finding.code, finding.message) == ("E411", message)
    assert (finding.span.line, finding.span.column) == place


def test_a_key_written_twice_is_never_decided_in_silence() -> None:
    (finding,) = _findings('{"orchestrate-inventory": 1,\n "source": "a",\n "source": "b"}')
    assert (finding.code, finding.message, finding.notes) == (
        "E412",
        "key `source` is written twice",
        ("first on line 2",),
    )
    assert finding.span == Span(file="i.json", line=3, column=2, end_line=3, end_column=10)


def test_a_slip_of_syntax_does_not_hide_a_key_written_twice() -> None:
    assert [finding.code for finding in _findings('{"a": 1, "a": 2, "b"}')] == ["E411", "E412"]


def test_escapes_and_numbers_mean_what_json_says() -> None:
    document = _document()
    document["source"] = 'tab\t "quoted" \\ é 😀'
    inventory = parse_inventory(json.dumps(document), "i.json")
    assert isinstance(inventory, Inventory)
    assert inventory.source == document["source"]
    text = json.dumps(document).replace('"total_bytes": 1000', '"total_bytes": 1e3', 1)
    assert [finding.code for finding in _findings(text)] == ["E416"]
