"""`orchestrate gpus`: what GPUs there are, who uses them, how they reach each other."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import InventoryOption
from orchestrator.cli.terminal import colour_wanted, emit, emit_document, print_findings, width_of_terminal
from orchestrator.domain.diagnostics import Report


def gpus(
    inventory: InventoryOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print an inventory file, which `plan --inventory FILE` accepts.")
    ] = False,
) -> None:
    """Show the GPUs of this machine: memory, who uses it, links, driver."""
    from orchestrator.cli.inventory import read_inventory_option

    report = Report()
    sources: dict[str, str] = {}
    found = read_inventory_option(inventory, report=report, sources=sources)
    if isinstance(found, tuple):
        report.extend(found)
        print_findings(report, sources)
        raise typer.Exit(ExitCode.FINDINGS)
    if as_json:
        from orchestrator.config.inventory_file import inventory_text

        emit_document(inventory_text(found))
    else:
        from orchestrator.cli.views.gpus import render_inventory

        text = render_inventory(found, color=colour_wanted(), width=width_of_terminal(), option=inventory)
        emit(text)
    print_findings(report, sources)
