"""Where the GPUs to plan on come from: a file, a short form such as `3xRTX4090`, or the driver of this machine."""

from __future__ import annotations

import os
from dataclasses import replace

from orchestrator.domain.diagnostics import Diagnostic, Report, repeated
from orchestrator.domain.inventory import Inventory

_NO_SUCH_FORM = "E450"


def read_inventory_option(
    value: str | None, *, report: Report | None = None, sources: dict[str, str] | None = None
) -> Inventory | tuple[Diagnostic, ...]:
    """What `--inventory` stands for, or the findings that say why nothing.

    Without a value the driver is asked; its warnings go to `report` (OutsideFailure when it has no GPUs to tell of).
    What exists as a file is read as one, anything else is a short form. The text of a file is kept in `sources`.
    """
    if value is None:
        from orchestrator.adapters.nvml import read_inventory

        return _with_room(read_inventory(report))
    if _is_there(value):
        return _from_file(value, {} if sources is None else sources)
    return _from_short_form(value)


def _with_room(inventory: Inventory) -> Inventory:
    """This machine with its RAM, and what is free on the disk of the user's cache of models."""
    from orchestrator.adapters.host_room import disk_free_bytes, ram_bytes
    from orchestrator.adapters.hub_cache import cache_directory

    free = disk_free_bytes(cache_directory(os.environ))
    hosts = tuple(replace(host, ram_bytes=ram_bytes(), disk_free_bytes=free) for host in inventory.hosts)
    return replace(inventory, hosts=hosts)


def _is_there(value: str) -> bool:
    """Whether something bears that name, be it a link to nothing; what may not be looked at counts as there."""
    try:
        os.lstat(value)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _from_file(path: str, sources: dict[str, str]) -> Inventory | tuple[Diagnostic, ...]:
    from pathlib import Path

    from orchestrator.adapters.files import read_text
    from orchestrator.config.inventory_file import parse_inventory

    text = read_text(Path(path), wanted="an inventory file")
    if isinstance(text, Diagnostic):
        return (text,)
    sources[path] = text
    return parse_inventory(text, path)


def _from_short_form(value: str) -> Inventory | tuple[Diagnostic, ...]:
    from orchestrator.catalog.gpus import inventory_from_short_form

    answer = inventory_from_short_form(value)
    if isinstance(answer, Inventory):
        return answer
    if answer.code == _NO_SUCH_FORM or _looks_like_a_path(value):
        return (_neither(value, answer),)
    return (answer,)


def _looks_like_a_path(value: str) -> bool:
    return "/" in value or os.sep in value or value.lower().endswith((".json", ".yaml", ".yml"))


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "the working directory, which no longer exists"


def _neither(value: str, answer: Diagnostic) -> Diagnostic:
    shown = repeated(value)
    about_cards = answer.help if answer.code == _NO_SUCH_FORM else ()
    return Diagnostic(
        code="E420",
        message=f"`{shown}` is neither a file nor a short form of an inventory",
        notes=(f"there is no file `{shown}` in or from {_working_directory()}",),
        help=(
            "a file: `orchestrate gpus --json > inventory.json` on the machine with the GPUs writes one",
            *(about_cards or ("a short form: a count, `x` and a card, such as `3xRTX4090`",)),
        ),
    )
