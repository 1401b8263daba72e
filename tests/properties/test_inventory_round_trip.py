"""Properties of inventory files: nothing is lost, and no text makes the reader raise."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config.inventory_file import inventory_text, parse_inventory
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind

sizes = st.integers(0, 2**48)
names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
small = st.none() | st.integers(0, 32)


@st.composite
def gpus(draw: st.DrawFn, index: int, uuid: str, parent: str | None) -> Gpu:
    total = draw(sizes)
    part = st.integers(0, total)
    pids = draw(st.lists(st.integers(0, 2**22), unique=True, max_size=3))
    return Gpu(
        index=index,
        uuid=uuid,
        name=draw(names),
        total_bytes=total,
        free_bytes=draw(part),
        reserved_bytes=draw(st.none() | part),
        cuda_total_bytes=draw(st.none() | part),
        compute_capability=draw(st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99))),
        pcie_generation=draw(small),
        pcie_width=draw(small),
        pci_bus_id=draw(st.none() | names),
        mig_enabled=parent is None and index == 0,
        parent_uuid=parent,
        processes=tuple(
            GpuProcess(pid=pid, name=draw(st.none() | st.text(max_size=8)), used_bytes=draw(st.none() | sizes))
            for pid in pids
        ),
    )


@st.composite
def hosts(draw: st.DrawFn, number: int) -> Host:
    cards = [f"GPU-{number}-{index}" for index in range(draw(st.integers(1, 3)))]
    slices = [f"MIG-{number}-{index}" for index in range(draw(st.integers(0, 2)))]
    parents = [(uuid, None) for uuid in cards] + [(uuid, cards[0]) for uuid in slices]
    links = []
    for first, second in combinations(cards, 2):
        kind = draw(st.none() | st.sampled_from(LinkKind))
        if kind is not None:
            nvlinks = draw(st.integers(1, 18)) if kind is LinkKind.NVLINK else 0
            links.append(Link(first=first, second=second, kind=kind, nvlinks=nvlinks))
    return Host(
        name=f"host {number}",
        gpus=tuple(draw(gpus(index, uuid, parent)) for index, (uuid, parent) in enumerate(parents)),
        links=tuple(links),
        driver_version=draw(st.none() | names),
        cuda_version=draw(st.none() | names),
        ram_bytes=draw(st.none() | st.integers(min_value=0, max_value=1 << 44)),
        disk_free_bytes=draw(st.none() | st.integers(min_value=0, max_value=1 << 50)),
    )


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    count = draw(st.integers(1, 2))
    return Inventory(hosts=tuple(draw(hosts(number)) for number in range(count)), source=draw(st.text(max_size=20)))


@settings(max_examples=60, deadline=None)
@given(inventories())
def test_an_inventory_comes_back_from_its_file_as_it_was(inventory: Inventory) -> None:
    text = inventory_text(inventory)
    assert parse_inventory(text, "i.json") == inventory
    assert text.isascii()


@settings(max_examples=60, deadline=None)
@given(inventories(), st.data())
def test_a_damaged_file_is_read_or_refused_with_places_and_never_raises(
    inventory: Inventory, data: st.DataObject
) -> None:
    text = inventory_text(inventory)
    at = data.draw(st.integers(0, len(text)))
    damage = data.draw(st.sampled_from(["", "{", "]", ",", '"', "null", "-1", "1e999", "\\", "\x00", "é", "\n"]))
    cut = data.draw(st.integers(0, 3))
    answer = parse_inventory(text[:at] + damage + text[at + cut :], "i.json")
    if isinstance(answer, tuple):
        assert answer
        assert all(finding.span is not None and finding.span.line >= 1 for finding in answer)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='{}[]:,"\\ue0-19.tfn \n', max_size=40))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    assert isinstance(parse_inventory(text, "i.json"), tuple)
