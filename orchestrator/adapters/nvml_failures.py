"""What NVML says when it fails, translated once, at the door, into findings that help."""

from __future__ import annotations

from dataclasses import dataclass

import pynvml

from orchestrator.domain.diagnostics import Diagnostic, Severity
from orchestrator.domain.failures import OutsideFailure

WITHOUT_A_DRIVER = (
    "plan without asking a driver: `--inventory 3xRTX4090`, or `--inventory FILE` "
    "where FILE is what `orchestrate gpus --json` printed on the machine with the GPUs"
)


@dataclass(frozen=True, slots=True)
class _Meaning:
    code: str
    message: str
    help: tuple[str, ...]


_DRIVER = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: _Meaning(
        "E401",
        "no NVIDIA driver was found on this machine (`libnvidia-ml.so.1` cannot be loaded)",
        (
            "in a container: start it with `--gpus all`; on the host: install the driver, then try `nvidia-smi`",
            WITHOUT_A_DRIVER,
        ),
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: _Meaning(
        "E402",
        "the NVIDIA driver is installed but not loaded",
        ("`sudo modprobe nvidia`, then `nvidia-smi`; `sudo dmesg` says why it does not load", WITHOUT_A_DRIVER),
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: _Meaning(
        "E403",
        "the NVIDIA library and the loaded driver are of different versions",
        (
            "the driver was upgraded while the old one was running: reboot (`cat /proc/driver/nvidia/version` "
            "names the one that is loaded)",
            WITHOUT_A_DRIVER,
        ),
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: _Meaning(
        "E404",
        "no permission to talk to the NVIDIA driver",
        (
            "`ls -l /dev/nvidia*` shows who may; run as such a user, or start the container with `--gpus all`",
            WITHOUT_A_DRIVER,
        ),
    ),
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: _Meaning(
        "E408",
        "the NVIDIA driver is too old to be asked for its GPUs",
        ("install a driver of the 535 series or newer: vLLM needs one too", WITHOUT_A_DRIVER),
    ),
}

_ONE_GPU = {
    pynvml.NVML_ERROR_GPU_IS_LOST: _Meaning(
        "W405",
        "GPU {index} is lost: it no longer answers on the PCIe bus",
        ("`sudo dmesg | grep -i xid` says when; reboot, and check the card's power and seat if it comes back",),
    ),
    pynvml.NVML_ERROR_RESET_REQUIRED: _Meaning(
        "W405",
        "GPU {index} must be reset before it can be used again",
        ("stop what uses it, then `sudo nvidia-smi --gpu-reset -i {index}`, or reboot",),
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: _Meaning(
        "W404",
        "no permission to read GPU {index}",
        ("`ls -l /dev/nvidia{index}` shows who may; in a container: give it that GPU",),
    ),
    pynvml.NVML_ERROR_NOT_SUPPORTED: _Meaning(
        "W409",
        "GPU {index} does not tell its memory (it shares the memory of the CPU)",
        ("write its sizes by hand into an inventory file and give it with `--inventory FILE`",),
    ),
}


def driver_failure(error: pynvml.NVMLError, doing: str) -> OutsideFailure:
    """The failure of the driver as a whole; `doing` names the NVML call that failed."""
    meaning = _DRIVER.get(error.value) or _Meaning(
        "E407",
        f"the NVIDIA driver failed: {error}",
        ("see whether `nvidia-smi` works", WITHOUT_A_DRIVER),
    )
    note = f"`{doing}` answered: {error} (NVML error {error.value})"
    return OutsideFailure(Diagnostic(code=meaning.code, message=meaning.message, notes=(note,), help=meaning.help))


def no_gpus() -> OutsideFailure:
    """The driver works and knows no GPU."""
    return OutsideFailure(
        Diagnostic(
            code="E406",
            message="the NVIDIA driver is loaded, but there is no GPU",
            notes=("0 GPUs are visible to NVML",),
            help=(
                "in a container: give it GPUs (`--gpus all`); on the host: `lspci -d 10de:` lists the cards on the bus",
                WITHOUT_A_DRIVER,
            ),
        )
    )


def too_many_gpus(count: int) -> OutsideFailure:
    """The driver counts more GPUs than any machine has: nothing else that it says can be believed."""
    return OutsideFailure(
        Diagnostic(
            code="E407",
            message=f"the NVIDIA driver failed: it counts {count:,} GPUs",
            notes=(f"`nvmlDeviceGetCount_v2` answered {count}",),
            help=("see whether `nvidia-smi` works", WITHOUT_A_DRIVER),
        )
    )


def impossible_gpu(index: int, wrong: tuple[str, ...]) -> Diagnostic:
    """A GPU of which the driver says what cannot be: it is left out."""
    return Diagnostic(
        code="W407",
        severity=Severity.WARNING,
        message=f"GPU {index} cannot be read: the driver says of it what cannot be",
        notes=(*(f"GPU {index}: {each}" for each in wrong), f"GPU {index} is left out of the inventory"),
        help=(f"see what `nvidia-smi -i {index}` says",),
    )


def gpu_warning(index: int, error: pynvml.NVMLError) -> Diagnostic:
    """A GPU that has to be left out; the others are still reported."""
    meaning = _ONE_GPU.get(error.value) or _Meaning(
        "W407", "GPU {index} cannot be read: {error}", ("see what `nvidia-smi -i {index}` says",)
    )
    return Diagnostic(
        code=meaning.code,
        severity=Severity.WARNING,
        message=meaning.message.format(index=index, error=error),
        notes=(f"GPU {index} is left out of the inventory (NVML error {error.value}: {error})",),
        help=tuple(line.format(index=index) for line in meaning.help),
    )


def no_readable_gpu(warnings: tuple[Diagnostic, ...]) -> OutsideFailure:
    """All GPUs had to be left out, for the reasons that the warnings give."""
    first = warnings[0]
    if len(warnings) == 1:
        message = f"the only GPU cannot be read: {first.message}"
    else:
        message = f"none of the {len(warnings)} GPUs can be read; the first: {first.message}"
    return OutsideFailure(
        Diagnostic(
            code="E405",
            message=message,
            notes=tuple(note for warning in warnings for note in warning.notes),
            help=(*dict.fromkeys(line for warning in warnings for line in warning.help), WITHOUT_A_DRIVER),
        )
    )


def no_slices(index: int) -> Diagnostic:
    """A card in MIG mode without slices: nothing on it can be given to anybody."""
    return Diagnostic(
        code="W410",
        severity=Severity.WARNING,
        message=f"GPU {index} is in MIG mode and has no slices: nothing on it can be given to a service",
        notes=(f"0 MIG devices exist on GPU {index}",),
        help=(
            f"`sudo nvidia-smi mig -i {index} -lgip` lists what can be made, `-cgi PROFILE -C` makes it; "
            f"`sudo nvidia-smi -i {index} -mig 0` leaves MIG mode",
        ),
    )


def unanswered(questions: dict[str, str], driver_version: str | None) -> Diagnostic:
    """Questions that the driver did not answer: the fields stay empty, and the reader is told."""
    count = f"{len(questions)} question{'s' if len(questions) > 1 else ''}"
    return Diagnostic(
        code="W406",
        severity=Severity.WARNING,
        message=f"the NVIDIA driver {driver_version or '(version unknown)'} did not answer {count}",
        notes=tuple(f"`{function}`: {reason}; left empty" for function, reason in sorted(questions.items())),
        help=(
            "planning works without these; `Function Not Found` goes away with a newer driver, "
            "`Insufficient Permissions` with more rights",
        ),
    )
