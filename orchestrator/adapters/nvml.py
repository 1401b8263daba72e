"""The door to the NVIDIA driver: what GPUs there are at this moment, asked through `pynvml`."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pynvml

from orchestrator.adapters import nvml_failures
from orchestrator.adapters.nvml_answers import contradictions, printable
from orchestrator.adapters.nvml_links import NvLinkLanes, common_ancestor, link_between
from orchestrator.domain.diagnostics import Report
from orchestrator.domain.inventory import Gpu, GpuProcess, Host, Inventory, Link

_SIMPLY_NOT_THERE = frozenset(
    {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_ERROR_INVALID_ARGUMENT}
)
_LARGEST_NUMBER = 99_999
_MOST_GPUS = 1024
_PROCESS_LISTS = (
    ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"),
    ("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"),
)
_CUDA_VERSIONS = ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion")


def read_inventory(report: Report | None = None) -> Inventory:
    """The GPUs of this machine as NVML sees them now, with the host's own name.

    Warnings go to `report`: GPUs that are lost or may not be read (the others are still reported), and questions
    that the driver did not answer. Raises OutsideFailure when there is no driver, when it does not work, and when
    it has no GPU that can be read.
    """
    findings = Report() if report is None else report
    with _open_driver() as driver:
        cards = _read_cards(driver, findings)
        driver_version = printable(driver.ask("nvmlSystemGetDriverVersion"))
        host = Host(
            name=printable(platform.node()) or "localhost",
            gpus=_numbered(cards, driver.count),
            links=tuple(_read_links(driver, cards)),
            driver_version=driver_version,
            cuda_version=_version(driver.ask_number(_CUDA_VERSIONS)),
        )
        if driver.unanswered:
            findings.add(nvml_failures.unanswered(driver.unanswered, driver_version))
    return Inventory(hosts=(host,), source="NVML")


@dataclass(slots=True)
class _Driver:
    """An open NVML session that remembers which questions stayed without an answer, and why."""

    count: int = 0
    unanswered: dict[str, str] = field(default_factory=dict)

    def must(self, function: str, *arguments: object) -> Any:
        """The answer of an NVML function; its error goes up. Bytes that are no text are replaced."""
        try:
            return getattr(pynvml, function)(*arguments)
        except UnicodeDecodeError as error:
            return error.object.decode("utf-8", "replace")

    def ask_number(self, names: str | tuple[str, ...], *arguments: object) -> int | None:
        """Like `ask`, for what counts something; a number that cannot be is none, and is remembered as such."""
        number = self.ask(names, *arguments)
        if number is None or 0 < number <= _LARGEST_NUMBER:
            return None if number is None else int(number)
        self.doubt(names if isinstance(names, str) else names[0], number)
        return None

    def doubt(self, function: str, answer: object) -> None:
        """Remembers an answer that cannot be."""
        self.unanswered.setdefault(function, f"answered {answer}, which cannot be")

    def ask(self, names: str | tuple[str, ...], *arguments: object) -> Any:
        """The answer of an NVML function, or None where there is none.

        Of several names, newest first, the first one that the driver knows is asked. A thing that a GPU does not have
        is None in silence; any other reason is remembered under the newest name.
        """
        newest, *older = (names,) if isinstance(names, str) else names
        for name in (newest, *older):
            try:
                return self.must(name, *arguments)
            except pynvml.NVMLError as error:
                reason = error
            if reason.value != pynvml.NVML_ERROR_FUNCTION_NOT_FOUND:
                break
        self._remember(newest, reason)
        return None

    def _remember(self, function: str, error: pynvml.NVMLError) -> None:
        if error.value not in _SIMPLY_NOT_THERE:
            self.unanswered.setdefault(function, str(error))


@contextlib.contextmanager
def _open_driver() -> Iterator[_Driver]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise nvml_failures.driver_failure(error, "nvmlInitWithFlags") from error
    try:
        yield _Driver(count=_count())
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _count() -> int:
    try:
        count = int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError as error:
        raise nvml_failures.driver_failure(error, "nvmlDeviceGetCount_v2") from error
    if count == 0:
        raise nvml_failures.no_gpus()
    if count > _MOST_GPUS:
        raise nvml_failures.too_many_gpus(count)
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    handle: Any
    gpu: Gpu
    slices: tuple[Gpu, ...]
    lanes: NvLinkLanes


def _read_cards(driver: _Driver, findings: Report) -> tuple[_Card, ...]:
    cards: list[_Card] = []
    warnings = []
    for index in range(driver.count):
        try:
            card = _read_card(driver, index)
        except pynvml.NVMLError as error:
            warnings.append(nvml_failures.gpu_warning(index, error))
            continue
        wrong = contradictions(_numbered((card,), driver.count), _numbered(tuple(cards), driver.count))
        if wrong:
            warnings.append(nvml_failures.impossible_gpu(index, wrong))
        else:
            cards.append(card)
    if not cards:
        raise nvml_failures.no_readable_gpu(tuple(warnings))
    findings.extend(warnings)
    findings.extend(
        nvml_failures.no_slices(card.gpu.index) for card in cards if card.gpu.mig_enabled and not card.slices
    )
    return tuple(cards)


def _read_card(driver: _Driver, index: int) -> _Card:
    handle = driver.must("nvmlDeviceGetHandleByIndex", index)
    uuid = driver.must("nvmlDeviceGetUUID", handle)
    in_mig_mode = _is_in_mig_mode(driver, handle)
    slices = tuple(_read_slices(driver, handle, uuid)) if in_mig_mode else ()
    memory = _read_card_memory(driver, handle, slices)
    gpu = Gpu(
        index=index,
        uuid=uuid,
        name=printable(driver.must("nvmlDeviceGetName", handle)) or "unnamed GPU",
        total_bytes=memory.total,
        free_bytes=memory.free,
        reserved_bytes=memory.reserved,
        compute_capability=_capability(driver, handle),
        pcie_generation=_pcie_generation(driver, handle),
        pcie_width=_pcie_width(driver, handle),
        pci_bus_id=_bus_id(driver, handle),
        mig_enabled=in_mig_mode,
        processes=_read_processes(driver, handle, memory.total),
    )
    return _Card(
        handle=handle,
        gpu=gpu,
        slices=tuple(_with_what_the_card_has(each, gpu) for each in slices),
        lanes=NvLinkLanes.read(driver.ask, handle),
    )


@dataclass(frozen=True, slots=True)
class _Memory:
    total: int
    free: int
    reserved: int | None


def _read_memory(driver: _Driver, handle: Any) -> _Memory:
    """Memory v2 says what the driver keeps for itself; an old driver knows only v1 (with the same total and free)."""
    try:
        memory = driver.must("nvmlDeviceGetMemoryInfo", handle, pynvml.nvmlMemory_v2)
    except (pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_ArgumentVersionMismatch):
        memory = driver.must("nvmlDeviceGetMemoryInfo", handle)
        return _Memory(int(memory.total), int(memory.free), None)
    return _Memory(int(memory.total), int(memory.free), int(memory.reserved))


def _read_card_memory(driver: _Driver, handle: Any, slices: tuple[Gpu, ...]) -> _Memory:
    """A container that was given slices of a card may not read the card: it then counts what its slices have."""
    try:
        return _read_memory(driver, handle)
    except pynvml.NVMLError_NoPermission:
        if not slices:
            raise
        return _Memory(sum(each.total_bytes for each in slices), sum(each.free_bytes for each in slices), None)


def _pcie_generation(driver: _Driver, handle: Any) -> int | None:
    """The fastest that card and slot have in common: an idle card turns the present generation down to save power."""
    return driver.ask_number("nvmlDeviceGetMaxPcieLinkGeneration", handle)


def _pcie_width(driver: _Driver, handle: Any) -> int | None:
    """The lanes in use. Unlike the generation they stay when the card idles, and the maximum is often the card's own:
    it says 16 in a slot that shares its lanes with a second card."""
    width = driver.ask_number("nvmlDeviceGetCurrPcieLinkWidth", handle)
    return driver.ask_number("nvmlDeviceGetMaxPcieLinkWidth", handle) if width is None else width


def _capability(driver: _Driver, handle: Any) -> tuple[int, int] | None:
    function = "nvmlDeviceGetCudaComputeCapability"
    numbers = driver.ask(function, handle)
    if numbers is None:
        return None
    major, minor = numbers
    if 0 < major < 100 and 0 <= minor < 100:
        return major, minor
    driver.doubt(function, f"{major}.{minor}")
    return None


def _is_in_mig_mode(driver: _Driver, handle: Any) -> bool:
    modes = driver.ask("nvmlDeviceGetMigMode", handle)
    return modes is not None and modes[0] == pynvml.NVML_DEVICE_MIG_ENABLE


def _read_slices(driver: _Driver, handle: Any, card_uuid: str) -> Iterator[Gpu]:
    """The MIG devices of a card; their index is given later, and what only the card knows as well."""
    for position in range(driver.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        slice_handle = driver.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, position)
        if slice_handle is None:
            continue
        memory = _read_memory(driver, slice_handle)
        yield Gpu(
            index=position,
            uuid=driver.must("nvmlDeviceGetUUID", slice_handle),
            name=printable(driver.ask("nvmlDeviceGetName", slice_handle)) or "MIG device",
            total_bytes=memory.total,
            free_bytes=memory.free,
            reserved_bytes=memory.reserved,
            parent_uuid=card_uuid,
            processes=_read_processes(driver, slice_handle, memory.total),
        )


def _with_what_the_card_has(slice_of_it: Gpu, card: Gpu) -> Gpu:
    return replace(
        slice_of_it,
        compute_capability=card.compute_capability,
        pcie_generation=card.pcie_generation,
        pcie_width=card.pcie_width,
        pci_bus_id=card.pci_bus_id,
    )


def _numbered(cards: tuple[_Card, ...], count: int) -> tuple[Gpu, ...]:
    """All devices; slices are numbered on after the cards, so that an index names one device."""
    slices = [gpu for card in cards for gpu in card.slices]
    numbered = (replace(gpu, index=count + position) for position, gpu in enumerate(slices))
    return (*(card.gpu for card in cards), *numbered)


def _read_processes(driver: _Driver, handle: Any, total_bytes: int) -> tuple[GpuProcess, ...]:
    """Who holds memory, each process once (one that computes and draws is in both lists), by pid.

    A size that is larger than the card is none.
    """
    used: dict[int, int | None] = {}
    for names in _PROCESS_LISTS:
        for process in driver.ask(names, handle) or ():
            known = used.get(process.pid)
            sizes = [size for size in (known, process.usedGpuMemory) if size is not None and size <= total_bytes]
            used[process.pid] = max(sizes, default=None)
    return tuple(GpuProcess(pid=pid, name=_process_name(driver, pid), used_bytes=used[pid]) for pid in sorted(used))


def _process_name(driver: _Driver, pid: int) -> str | None:
    """The program of a process; None when it has ended, is not ours to see, or lives in another container."""
    with contextlib.suppress(pynvml.NVMLError):
        return printable(driver.must("nvmlSystemGetProcessName", pid))
    return None


def _read_links(driver: _Driver, cards: tuple[_Card, ...]) -> Iterator[Link]:
    for position, one in enumerate(cards):
        for other in cards[position + 1 :]:
            level = common_ancestor(driver.ask, one.handle, other.handle)
            link = link_between((one.gpu, one.lanes), (other.gpu, other.lanes), level)
            if link is not None:
                yield link


def _version(number: int | None) -> str | None:
    """`13000` is CUDA 13.0, `12080` is 12.8."""
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def _bus_id(driver: _Driver, handle: Any) -> str | None:
    """pynvml decodes the field when it is read."""
    pci = driver.ask("nvmlDeviceGetPciInfo_v3", handle)
    try:
        return None if pci is None else printable(str(pci.busId))
    except UnicodeDecodeError as error:
        driver.doubt("nvmlDeviceGetPciInfo_v3", error.object)
        return None
