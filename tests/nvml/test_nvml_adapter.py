"""The real binding against the stand-in library: what is read, and what happens when the driver fails."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pynvml
import pytest
from typer.testing import CliRunner

from orchestrator.adapters.nvml import read_inventory
from orchestrator.cli.inventory import read_inventory_option
from orchestrator.cli.main import app
from orchestrator.config.inventory_file import inventory_text, parse_inventory
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.failures import OutsideFailure
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link, LinkKind
from tests.nvml.nvml_standin import LOST, MIB, NO_PERMISSION, NOT_SUPPORTED, RESET_REQUIRED, UNKNOWN, card, machine

Join = Callable[..., Path]

V3_LISTS = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v3")
V2_LISTS = ("nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses_v2")


def _uuid(index: int) -> str:
    return f"GPU-00000000-0000-4000-8000-{index:012d}"


def _only_gpu(inventory: Inventory) -> Gpu:
    (gpu,) = inventory.gpus()
    return gpu


def _failure() -> OutsideFailure:
    with pytest.raises(OutsideFailure) as caught:
        read_inventory()
    assert caught.value.finding.is_error
    assert any("--inventory" in line for line in caught.value.finding.help)
    return caught.value


def test_everything_that_a_plan_needs_is_read(join: Join) -> None:
    journal = join(
        machine(
            card(0, compute="4711:20000000000 12:-", graphics="4711:20000000000 99:5000", to1="30"),
            card(1),
            process__4711="/usr/bin/python3",
        )
    )
    report = Report()

    def rtx_4090(index: int, processes: tuple[GpuProcess, ...]) -> Gpu:
        return Gpu(
            index=index,
            uuid=_uuid(index),
            name="NVIDIA GeForce RTX 4090",
            total_bytes=24564 * MIB,
            free_bytes=24082 * MIB,
            reserved_bytes=480 * MIB,
            compute_capability=(8, 9),
            pcie_generation=4,
            pcie_width=16,
            pci_bus_id=f"00000000:0{index + 1}:00.0",
            processes=processes,
        )

    processes = (
        GpuProcess(pid=12),
        GpuProcess(pid=99, used_bytes=5000),
        GpuProcess(pid=4711, name="/usr/bin/python3", used_bytes=20_000_000_000),
    )
    host = Host(
        name=platform.node(),
        gpus=(rtx_4090(0, processes), rtx_4090(1, ())),
        links=(Link(first=_uuid(0), second=_uuid(1), kind=LinkKind.HOST_BRIDGE),),
        driver_version="580.95.05",
        cuda_version="13.0",
    )
    assert read_inventory(report) == Inventory(hosts=(host,), source="NVML")
    assert list(report) == []
    assert journal.read_text() == "shutdown\n"


def test_what_is_read_is_an_inventory_file(join: Join) -> None:
    sliced = {"mig": "1", "slice0.uuid": "MIG-0", "slice0.memory": "9 1 8"}
    join(machine(card(0, **sliced), card(1, to2="50", compute="1:2 3:-"), card(2)))
    inventory = read_inventory()
    assert parse_inventory(inventory_text(inventory), "inventory.json") == inventory


@pytest.mark.parametrize(
    ("level", "kind"),
    [
        ("0", LinkKind.SAME_BOARD),
        ("10", LinkKind.SINGLE_SWITCH),
        ("20", LinkKind.SEVERAL_SWITCHES),
        ("30", LinkKind.HOST_BRIDGE),
        ("40", LinkKind.SAME_NUMA_NODE),
        ("50", LinkKind.ACROSS_SOCKETS),
    ],
)
def test_the_topology_level_becomes_the_word_of_nvidia_smi(join: Join, level: str, kind: LinkKind) -> None:
    join(machine(card(0, to1=level), card(1)))
    assert read_inventory().hosts[0].links == (Link(first=_uuid(0), second=_uuid(1), kind=kind),)


def test_direct_nvlink_counts_the_active_lanes_to_the_other_card(join: Join) -> None:
    to_1 = {f"nvlink{lane}": "1 0 00000000:02:00.0" for lane in range(3)}
    to_0 = {f"nvlink{lane}": "1 0 00000000:01:00.0" for lane in range(3)}
    join(
        machine(
            card(0, **to_1, nvlink3="0 0 00000000:02:00.0", to1="50", to2="50"),
            card(1, **to_0, nvlink3="0 0 00000000:01:00.0", to2="50"),
            card(2),
        )
    )
    report = Report()
    assert read_inventory(report).hosts[0].links == (
        Link(first=_uuid(0), second=_uuid(1), kind=LinkKind.NVLINK, nvlinks=3),
        Link(first=_uuid(0), second=_uuid(2), kind=LinkKind.ACROSS_SOCKETS),
        Link(first=_uuid(1), second=_uuid(2), kind=LinkKind.ACROSS_SOCKETS),
    )
    assert list(report) == []


def test_all_lanes_to_switches_reach_every_other_card(join: Join) -> None:
    lanes = {f"nvlink{lane}": "1 2 00000000:A0:00.0" for lane in range(18)}
    join(machine(*(card(index, **lanes) for index in range(3))))
    kinds = {(link.kind, link.nvlinks) for link in read_inventory().hosts[0].links}
    assert kinds == {(LinkKind.NVLINK, 18)}


def test_lanes_without_a_known_far_end_are_no_nvlink(join: Join) -> None:
    description = machine(card(0, nvlink0="1 255 x", to1="40"), card(1), error__nvmlDeviceGetNvLinkRemotePciInfo_v2="3")
    join(description)
    assert [link.kind for link in read_inventory().hosts[0].links] == [LinkKind.SAME_NUMA_NODE]


def test_a_pair_without_a_known_path_has_no_link(join: Join) -> None:
    join(machine(card(0), card(1)))
    assert read_inventory().hosts[0].links == ()


def test_an_idle_card_shows_its_fastest_generation_and_the_lanes_it_really_has(join: Join) -> None:
    join(machine(card(0, pcie="5 1 16 8")))
    gpu = _only_gpu(read_inventory())
    assert (gpu.pcie_generation, gpu.pcie_width) == (5, 8)


def test_the_possible_lanes_stand_in_where_the_present_ones_are_not_told(join: Join) -> None:
    join(machine(card(0, pcie="5 1 16 8"), error__nvmlDeviceGetCurrPcieLinkWidth=str(NOT_SUPPORTED)))
    assert _only_gpu(read_inventory()).pcie_width == 16


def test_what_a_card_does_not_have_is_none_without_a_word(join: Join) -> None:
    join("count 1\n" + "".join(f"{k} {v}\n" for k, v in card(0, cc=None, pcie=None, bus=None).items()))
    report = Report()
    inventory = read_inventory(report)
    gpu = _only_gpu(inventory)
    assert (gpu.compute_capability, gpu.pcie_generation, gpu.pcie_width, gpu.pci_bus_id) == (None, None, None, None)
    assert (inventory.hosts[0].driver_version, inventory.hosts[0].cuda_version) == (None, None)
    assert list(report) == []


def test_mig_slices_stand_beside_their_card_which_cannot_be_given(join: Join) -> None:
    sliced = {
        "mig": "1",
        "slice0.uuid": "MIG-aaaa",
        "slice0.name": "NVIDIA H200 MIG 1g.18gb",
        "slice0.memory": f"{18000 * MIB} {20 * MIB} {17000 * MIB}",
        "slice0.compute": "5:1000",
        "slice3.uuid": "MIG-bbbb",
        "slice3.memory": f"{9000 * MIB} {10 * MIB} {8990 * MIB}",
    }
    join(machine(card(0, **sliced), card(1)))
    report = Report()
    parent, other, first, second = read_inventory(report).gpus()
    assert (parent.mig_enabled, parent.is_assignable, parent.parent_uuid) == (True, False, None)
    assert (other.mig_enabled, other.is_assignable) == (False, True)
    assert first == Gpu(
        index=2,
        uuid="MIG-aaaa",
        name="NVIDIA H200 MIG 1g.18gb",
        total_bytes=18000 * MIB,
        free_bytes=17000 * MIB,
        reserved_bytes=20 * MIB,
        compute_capability=(8, 9),
        pcie_generation=4,
        pcie_width=16,
        pci_bus_id="00000000:01:00.0",
        parent_uuid=_uuid(0),
        processes=(GpuProcess(pid=5, used_bytes=1000),),
    )
    assert (second.index, second.uuid, second.name) == (3, "MIG-bbbb", "MIG device")
    assert list(report) == []


def test_a_container_that_may_only_read_its_slices_still_gets_them(join: Join) -> None:
    sliced = {"mig": "1", "slice0.uuid": "MIG-aaaa", "slice0.memory": "3000 20 1000"}
    denied = {"error.nvmlDeviceGetMemoryInfo_v2": str(NO_PERMISSION)}
    join(machine(card(0, **sliced, **denied)))
    parent, only = read_inventory().gpus()
    assert (parent.total_bytes, parent.free_bytes, parent.reserved_bytes) == (3000, 1000, None)
    assert only.free_bytes == 1000


def test_a_card_in_mig_mode_without_slices_is_warned_about(join: Join) -> None:
    join(machine(card(0, mig="1")))
    report = Report()
    assert not _only_gpu(read_inventory(report)).is_assignable
    assert [finding.code for finding in report] == ["W410"]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (LOST, "W405", "GPU 1 is lost: it no longer answers on the PCIe bus"),
        (RESET_REQUIRED, "W405", "GPU 1 must be reset before it can be used again"),
        (NO_PERMISSION, "W404", "no permission to read GPU 1"),
        (UNKNOWN, "W407", "GPU 1 cannot be read: Unknown Error"),
    ],
)
@pytest.mark.parametrize("function", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMemoryInfo_v2"])
def test_one_gpu_that_fails_is_left_out_and_the_others_are_reported(
    join: Join, function: str, error: int, code: str, words: str
) -> None:
    failing: dict[str, str | None] = {f"error.{function}": str(error)}
    journal = join(machine(card(0, to2="30"), card(1, **failing), card(2)))
    report = Report()
    inventory = read_inventory(report)
    assert [gpu.index for gpu in inventory.gpus()] == [0, 2]
    assert inventory.hosts[0].link(_uuid(0), _uuid(2)) is not None
    (finding,) = report
    assert (finding.code, finding.message, finding.is_error) == (code, words, False)
    assert "GPU 1 is left out" in finding.notes[0]
    assert finding.help
    assert journal.read_text() == "shutdown\n"


def test_a_gpu_that_shares_the_memory_of_the_cpu_is_left_out_with_the_way_round(join: Join) -> None:
    join(machine(card(0), card(1, memory=None)))
    report = Report()
    assert [gpu.index for gpu in read_inventory(report).gpus()] == [0]
    assert [finding.code for finding in report] == ["W409"]


def test_when_no_gpu_can_be_read_the_command_fails_with_the_reason(join: Join) -> None:
    lost: dict[str, str | None] = {"error.nvmlDeviceGetHandleByIndex_v2": str(LOST)}
    journal = join(machine(card(0, **lost)))
    finding = _failure().finding
    assert (finding.code, finding.message) == (
        "E405",
        "the only GPU cannot be read: GPU 0 is lost: it no longer answers on the PCIe bus",
    )
    assert journal.read_text() == "shutdown\n"

    join(machine(card(0, **lost), card(1, **lost)))
    finding = _failure().finding
    assert finding.message.startswith("none of the 2 GPUs can be read; the first: GPU 0 is lost")
    assert len(finding.notes) == 2


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "E402", "installed but not loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "E403", "of different versions"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "E404", "no permission"),
        (pynvml.NVML_ERROR_UNKNOWN, "E407", "Unknown Error"),
        (42, "E407", "the answer is unknown"),
    ],
)
@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_a_driver_that_fails_is_an_outside_failure_with_help(
    join: Join, function: str, error: int, code: str, words: str
) -> None:
    journal = join(machine(card(0)) + f"error.{function} {error}\n")
    finding = _failure().finding
    assert finding.code == code
    assert words in finding.message
    assert f"`{function}` answered" in finding.notes[0]
    assert journal.read_text() == ("" if function == "nvmlInitWithFlags" else "shutdown\n")


def test_a_driver_without_gpus_is_a_failure_of_its_own(join: Join) -> None:
    journal = join("count 0\n")
    assert _failure().finding.code == "E406"
    assert journal.read_text() == "shutdown\n"


def test_no_library_means_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "CDLL", not_found)
    assert _failure().finding.code == "E401"


def test_a_library_too_old_to_start_says_so(join: Join) -> None:
    join(machine(card(0)), without=["nvmlInitWithFlags"])
    assert _failure().finding.code == "E408"


def test_a_shutdown_that_fails_does_not_hide_what_was_read(join: Join) -> None:
    join(machine(card(0), error__nvmlShutdown="999"))
    assert _only_gpu(read_inventory()).uuid == _uuid(0)


def test_an_old_driver_without_memory_v2_and_v3_lists_loses_only_what_is_reserved(join: Join) -> None:
    join(machine(card(0, compute="7:100")), without=["nvmlDeviceGetMemoryInfo_v2", *V3_LISTS])
    report = Report()
    gpu = _only_gpu(read_inventory(report))
    assert (gpu.total_bytes, gpu.free_bytes, gpu.reserved_bytes) == (24564 * MIB, 24082 * MIB, None)
    assert gpu.processes == (GpuProcess(pid=7, used_bytes=100),)
    assert list(report) == []


def test_questions_that_stay_without_an_answer_are_named_once(join: Join) -> None:
    join(
        machine(card(0, to1="30"), card(1), error__nvmlDeviceGetPciInfo_v3=str(NO_PERMISSION)),
        without=["nvmlDeviceGetTopologyCommonAncestor", "nvmlDeviceGetMigMode", *V3_LISTS[:1], *V2_LISTS[:1]],
    )
    report = Report()
    inventory = read_inventory(report)
    assert len(list(inventory.gpus())) == 2
    (finding,) = report
    assert (finding.code, finding.is_error) == ("W406", False)
    assert finding.message == "the NVIDIA driver 580.95.05 did not answer 4 questions"
    assert finding.notes == (
        "`nvmlDeviceGetComputeRunningProcesses_v3`: Function Not Found; left empty",
        "`nvmlDeviceGetMigMode`: Function Not Found; left empty",
        "`nvmlDeviceGetPciInfo_v3`: Insufficient Permissions; left empty",
        "`nvmlDeviceGetTopologyCommonAncestor`: Function Not Found; left empty",
    )


@pytest.mark.parametrize("more", [{"error__nvmlSystemGetProcessName": "4"}, {}])
def test_a_process_whose_name_is_denied_or_gone_is_still_listed(join: Join, more: dict[str, str]) -> None:
    join(machine(card(0, compute="7:100"), **more))
    report = Report()
    assert _only_gpu(read_inventory(report)).processes == (GpuProcess(pid=7, used_bytes=100),)
    assert list(report) == []


def test_without_an_option_the_inventory_is_that_of_the_driver(join: Join) -> None:
    join(machine(card(0, mig="1"), card(1, to2="10"), card(2)))
    report = Report()
    found = read_inventory_option(None, report=report)
    assert isinstance(found, Inventory)
    assert _without_room(found) == read_inventory()
    assert (found.hosts[0].ram_bytes or 0) > 0
    assert (found.hosts[0].disk_free_bytes or 0) >= 0
    assert [finding.code for finding in report] == ["W410"]


def _without_room(inventory: Inventory) -> Inventory:
    """Without what the driver does not know of its machine."""
    hosts = tuple(replace(host, ram_bytes=None, disk_free_bytes=None) for host in inventory.hosts)
    return replace(inventory, hosts=hosts)


def test_the_command_prints_the_table_or_the_file_or_why_there_is_none(join: Join, tmp_path: Path) -> None:
    join(machine(card(0)))
    run = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"})
    table = run.invoke(app, ["gpus"])
    assert (table.exit_code, _uuid(0) in table.stdout) == (0, True)
    printed = run.invoke(app, ["gpus", "--json"])
    found = parse_inventory(printed.stdout, "printed")
    assert isinstance(found, Inventory)
    assert (printed.exit_code, _without_room(found)) == (0, read_inventory())
    assert inventory_text(found) == printed.stdout
    broken = tmp_path / "broken.json"
    broken.write_text("[1, 2]")
    refused = run.invoke(app, ["gpus", "--inventory", str(broken)])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "error[E413]: this is not an inventory file" in refused.stderr


def _left_out(join: Join, **changes: str) -> tuple[str, ...]:
    """What is said about a second card with such answers; the first one is read."""
    join(machine(card(0), card(1, **changes)))
    report = Report()
    assert [gpu.index for gpu in read_inventory(report).gpus()] == [0]
    (finding,) = report
    assert (finding.code, finding.message) == (
        "W407",
        "GPU 1 cannot be read: the driver says of it what cannot be",
    )
    assert finding.notes[-1] == "GPU 1 is left out of the inventory"
    return finding.notes[:-1]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"memory": "0 0 0"}, "GPU 1: it has 0 bytes of memory"),
        ({"memory": f"{24 * MIB} 0 {25 * MIB}"}, "GPU 1: `free_bytes` is more than `total_bytes`"),
        ({"uuid": _uuid(0)}, f"GPU 1: its UUID `{_uuid(0)}` is that of GPU 0 too"),
    ],
)
def test_a_card_with_answers_that_cannot_be_is_left_out(join: Join, changes: dict[str, str], note: str) -> None:
    assert _left_out(join, **changes)[0] == note


@pytest.mark.parametrize("total", [2**63, 2**64 - 1])
def test_an_absurd_size_is_told(join: Join, total: int) -> None:
    notes = _left_out(join, memory=f"{total} 0 {total}")
    assert notes[0].startswith(f"GPU 1: `total_bytes` cannot be `{total}`")


@pytest.mark.parametrize("uuid", ["", "GPU-\udcff", "GPU-\x1b[31m", "4090"])
def test_a_uuid_that_is_none_is_told(join: Join, uuid: str) -> None:
    (note,) = _left_out(join, uuid=uuid)
    assert note.startswith("GPU 1: `uuid` cannot be ")


def test_the_only_card_with_answers_that_cannot_be_is_a_failure(join: Join) -> None:
    join(machine(card(0, memory="0 0 0")))
    assert _failure().finding.code == "E405"


def test_texts_of_the_driver_cannot_steer_a_terminal(join: Join) -> None:
    odd = "A\x1b[31m\u202e\udcff"
    join(machine(card(0, name=odd, bus=odd, compute="7:100"), driver=odd, process__7=odd))
    inventory = read_inventory()
    gpu, shown = _only_gpu(inventory), "A?[31m?\ufffd"
    assert (gpu.name, gpu.processes[0].name, inventory.hosts[0].driver_version) == (shown, shown, shown)
    assert parse_inventory(inventory_text(inventory), "inventory.json") == inventory


def test_a_card_without_a_name_is_shown(join: Join) -> None:
    join(machine(card(0, name="")))
    assert _only_gpu(read_inventory()).name == "unnamed GPU"
    result = CliRunner().invoke(app, ["gpus"], catch_exceptions=False)
    assert (result.exit_code, "unnamed GPU" in result.stdout) == (0, True)


def test_a_small_answer_that_cannot_be_is_left_empty_and_told(join: Join) -> None:
    join(
        machine(
            card(0, cc="-1 99999", pcie="4294967295 1 4294967295 4294967295", compute="7:99999999999999"), cuda="-5"
        )
    )
    report = Report()
    inventory = read_inventory(report)
    gpu = _only_gpu(inventory)
    assert (gpu.compute_capability, gpu.pcie_generation, gpu.pcie_width) == (None, None, None)
    assert (gpu.processes, inventory.hosts[0].cuda_version) == ((GpuProcess(pid=7),), None)
    (finding,) = report
    assert (finding.code, finding.notes[0]) == (
        "W406",
        "`nvmlDeviceGetCudaComputeCapability`: answered -1.99999, which cannot be; left empty",
    )
    assert len(finding.notes) == 5


def test_more_gpus_than_any_machine_has_are_not_asked_for(join: Join) -> None:
    join(machine(card(0), count="-1"))
    finding = _failure().finding
    assert (finding.code, finding.message) == ("E407", "the NVIDIA driver failed: it counts 4,294,967,295 GPUs")
