"""The catalogue of cards: names forgiven, totals as seen, inventories written short."""

from __future__ import annotations

import pytest

from orchestrator.catalog.cards import gpu_candidates, nearest_gpu_names
from orchestrator.catalog.gpus import KnownGpu, cuda_total_bytes, find_gpu, inventory_from_short_form, known_gpus
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Gpu, Inventory, Link, LinkKind
from orchestrator.domain.units import GIB, MIB, ByteRange

RTX_4090 = "NVIDIA GeForce RTX 4090"


def name_of(text: str) -> str | None:
    found = find_gpu(text)
    return found.name if found else None


def card(text: str) -> KnownGpu:
    found = find_gpu(text)
    assert found is not None
    return found


def gpu(name: str, total_bytes: int, *, cuda: int | None = None, reserved: int | None = None) -> Gpu:
    return Gpu(
        index=0,
        uuid="GPU-0",
        name=name,
        total_bytes=total_bytes,
        free_bytes=total_bytes,
        cuda_total_bytes=cuda,
        reserved_bytes=reserved,
    )


@pytest.mark.parametrize(
    "text", ["RTX4090", "rtx 4090", "NVIDIA GeForce RTX 4090", "4090", "geforce-rtx-4090", "RTX_4090", "RTX 4090 24GB"]
)
def test_a_name_is_forgiven_its_spelling(text: str) -> None:
    assert name_of(text) == RTX_4090


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A100-80GB", "NVIDIA A100-SXM4-80GB"),
        ("a100 80g pcie", "NVIDIA A100 80GB PCIe"),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100 80GB PCIe"),
        ("H100", "NVIDIA H100 80GB HBM3"),
        ("H100-PCIe", "NVIDIA H100 PCIe"),
        ("A10", "NVIDIA A10"),
        ("A10G", "NVIDIA A10G"),
        ("T4", "Tesla T4"),
        ("2x H100 80GB HBM3", "NVIDIA H100 80GB HBM3"),
        ("L40S PCIe", "NVIDIA L40S"),
        ("RTX 6000 Ada 48 GB", "NVIDIA RTX 6000 Ada Generation"),
        ("RTX 4070 Ti", "NVIDIA GeForce RTX 4070 Ti"),
        ("4090 laptop", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        ("4060ti", "NVIDIA GeForce RTX 4060 Ti 16GB"),
        ("RTXA6000", "NVIDIA RTX A6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
    ],
)
def test_a_name_means_one_card(text: str, name: str) -> None:
    assert name_of(text) == name


@pytest.mark.parametrize(
    "text",
    ["RTX 3080 Ti", "RTX 4060 SUPER", "RTX 4090 D", "RTX 5090 Laptop GPU", "Quadro RTX 6000", "L40S-48Q", "RTX 6000",
     "A100", "V100", "NVIDIA", "", "RTX"],
)  # fmt: skip
def test_another_card_or_several_are_not_mistaken_for_one(text: str) -> None:
    assert find_gpu(text) is None


def test_each_name_and_alias_means_its_own_card() -> None:
    for known in known_gpus():
        assert [name_of(text) for text in (known.name, *known.aliases)] == [known.name] * (1 + len(known.aliases))


def test_an_ambiguous_name_has_several_candidates() -> None:
    assert [known.name for known in gpu_candidates("V100")] == ["Tesla V100-SXM2-16GB", "Tesla V100-SXM2-32GB"]


def test_names_near_a_wrong_one_start_with_its_family() -> None:
    assert nearest_gpu_names("RTX 6000")[:2] == (
        "NVIDIA RTX 6000 Ada Generation",
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
    )
    assert nearest_gpu_names("RTX4900")[0] == "NVIDIA GeForce RTX 4090"


def test_a_card_that_shares_a_number_only_is_not_near() -> None:
    assert nearest_gpu_names("T1000") == ()
    assert nearest_gpu_names("") == ()


@pytest.mark.parametrize("text", ["2xL4,1xT4", "2xL4, 1xT4", "2xL4;1xT4", " 2xL4 & 1xT4"])
def test_groups_that_are_joined_by_something_else_are_shown_with_a_plus(text: str) -> None:
    finding = inventory_from_short_form(text)
    assert isinstance(finding, Diagnostic)
    assert (finding.code, finding.help[0]) == ("E450", "join the groups with `+`: `2xL4+1xT4`")


def test_a_comma_in_nonsense_is_no_joint() -> None:
    finding = inventory_from_short_form("2xL4,nonsense")
    assert isinstance(finding, Diagnostic)
    assert finding.code == "E451"


@pytest.mark.parametrize("known", known_gpus(), ids=lambda known: known.name)
def test_the_facts_of_a_card_are_sane_and_have_a_source(known: KnownGpu) -> None:
    assert 7 * GIB < known.total_bytes < 300 * GIB
    assert 0.95 * known.total_bytes < known.expected_cuda_total.low
    assert known.expected_cuda_total.high <= known.total_bytes
    assert (6, 0) <= known.compute_capability <= (12, 9)
    assert known.supports_bf16 == (known.compute_capability >= (8, 0))
    assert known.supports_fp8 == (known.compute_capability >= (8, 9))
    assert 100e9 < known.memory_bandwidth < 10e12
    assert known.pcie_generation in {3, 4, 5, 6}
    assert (known.usd_per_hour is None) == ("usd_per_hour" not in known.provenance)
    assert (known.cuda_total is None) == ("cuda_total" not in known.provenance)
    assert {"total_bytes", "compute_capability", "memory_bandwidth", "pcie_generation", "nvlinks"} <= set(
        known.provenance
    )


def test_the_total_of_a_4090_is_what_linux_showed_not_windows() -> None:
    seen = cuda_total_bytes(gpu(RTX_4090, 24564 * MIB))
    assert seen == ByteRange(round(23.515 * GIB), round(23.53 * GIB), round(23.645 * GIB))


def test_a_total_that_cuda_reported_is_taken_as_it_is() -> None:
    assert cuda_total_bytes(gpu(RTX_4090, 24564 * MIB, cuda=7)) == ByteRange.exactly(7)


def test_a_known_card_shifts_with_its_nvml_total() -> None:
    one, other = (cuda_total_bytes(gpu(RTX_4090, total * MIB)) for total in (24564, 24560))
    assert one.low - other.low == one.expected - other.expected == one.high - other.high == 4 * MIB


def test_a_card_set_up_otherwise_goes_by_what_the_driver_reserves() -> None:
    assert cuda_total_bytes(gpu("NVIDIA RTX A6000", 46068 * MIB, reserved=500 * MIB)) == ByteRange(
        45552 * MIB, 45568 * MIB, 45584 * MIB
    )


@pytest.mark.parametrize(("total", "low", "expected"), [(24 * GIB, 0.955, 0.982), (96 * GIB, 0.985, 0.992)])
def test_a_card_nobody_knows_goes_by_the_ratio_of_its_size(total: int, low: float, expected: float) -> None:
    assert cuda_total_bytes(gpu("NVIDIA X1", total)) == ByteRange(int(total * low), int(total * expected), total)


def test_a_reserve_never_makes_cuda_see_more_than_there_is() -> None:
    assert cuda_total_bytes(gpu("NVIDIA X1", GIB, reserved=MIB)) == ByteRange(GIB - 17 * MIB, GIB - MIB, GIB)
    assert cuda_total_bytes(gpu("NVIDIA X1", MIB, reserved=2 * MIB)) == ByteRange(0, 0, MIB)


def inventory(text: str) -> Inventory:
    found = inventory_from_short_form(text)
    assert isinstance(found, Inventory), found
    return found


def test_three_4090_are_idle_and_joined_by_the_host_bridge() -> None:
    (host,) = inventory("3xRTX4090").hosts
    uuids = tuple(each.uuid for each in host.gpus)
    assert host.gpus[1] == Gpu(
        index=1,
        uuid="GPU-bbc04dc1-8744-1164-226b-a31f8d58fbbe",
        name=RTX_4090,
        total_bytes=24564 * MIB,
        free_bytes=card("4090").expected_cuda_total.expected,
        compute_capability=(8, 9),
        pcie_generation=4,
        pcie_width=16,
    )
    assert [each.index for each in host.gpus] == [0, 1, 2]
    assert len(set(uuids)) == 3
    assert host.link(uuids[0], uuids[2]) == Link(
        first=min(uuids[0], uuids[2]), second=max(uuids[0], uuids[2]), kind=LinkKind.HOST_BRIDGE
    )
    assert (len(host.links), inventory("3xRTX4090").source) == (3, "3xRTX4090")


def test_nvlink_joins_cards_of_a_kind_that_has_it() -> None:
    (host,) = inventory("2 x A100-80GB + 1xL4").hosts
    one, other, third = (each.uuid for each in host.gpus)
    assert [each.name for each in host.gpus] == ["NVIDIA A100-SXM4-80GB"] * 2 + ["NVIDIA L4"]
    joined, apart = host.link(one, other), host.link(one, third)
    assert joined is not None
    assert apart is not None
    assert (joined.kind, joined.nvlinks) == (LinkKind.NVLINK, 12)
    assert (apart.kind, apart.nvlinks) == (LinkKind.HOST_BRIDGE, 0)


def test_the_same_text_gives_the_same_inventory_and_more_cards_keep_their_names() -> None:
    assert inventory("64xL4") == inventory("64xL4")
    assert list(inventory("1xL4+2xT4").gpus())[1].uuid == next(iter(inventory("1xT4").gpus())).uuid


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("RTX4090", "E450", "`RTX4090` is neither an inventory file nor a short form of one"),
        ("", "E450", "`` is neither an inventory file nor a short form of one"),
        ("1xL4+", "E450", "`1xL4+` is neither an inventory file nor a short form of one"),
        ("-1xL4", "E450", "`-1xL4` is neither an inventory file nor a short form of one"),
        ("2xRTX4091", "E451", "no card named `RTX4091` in the catalogue"),
        ("1xUnheardOf", "E451", "no card named `UnheardOf` in the catalogue"),
        ("4xA100", "E452", "`A100` may be any of 4 cards"),
        ("0xL4", "E453", "`0xL4` asks for fewer than 1 or more than 64 GPUs"),
        ("64xL4+1xT4", "E453", "`64xL4+1xT4` asks for fewer than 1 or more than 64 GPUs"),
        ("999999999xL4", "E453", "`999999999xL4` asks for fewer than 1 or more than 64 GPUs"),
        ("2xMI300X", "E454", "`MI300X` is not an NVIDIA card, and only those are planned for"),
    ],
)
def test_a_text_that_is_no_short_form_says_why(text: str, code: str, message: str) -> None:
    finding = inventory_from_short_form(text)
    assert isinstance(finding, Diagnostic)
    assert (finding.code, finding.message) == (code, message)
    assert finding.help


def test_the_help_of_a_wrong_short_form_works() -> None:
    bare, near, many = (inventory_from_short_form(text) for text in ("T4", "1xRTX4091", "1xV100"))
    assert isinstance(bare, Diagnostic)
    assert isinstance(near, Diagnostic)
    assert isinstance(many, Diagnostic)
    assert bare.help[0] == "for one such card write `1xT4`"
    assert near.help[0] == "did you mean `RTX 4090` or `RTX 5090` or `RTX 4080`?"
    assert many.help == ("write one of `V100-SXM2-16GB`, `V100-SXM2-32GB`",)
    for name in ("T4", "RTX 4090", "V100-SXM2-16GB"):
        assert isinstance(inventory_from_short_form(f"1x{name}"), Inventory)
