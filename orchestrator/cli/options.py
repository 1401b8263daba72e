"""Arguments and options that several commands share, each spelt and explained once."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.cli.views.diagnostics import FindingsFormat

PATHS_DEFAULT = "configs"

PathsArgument = Annotated[
    list[str] | None, typer.Argument(help="A directory of profiles, or profile files.", show_default=PATHS_DEFAULT)
]
InventoryOption = Annotated[
    str | None,
    typer.Option(
        "--inventory",
        "-i",
        metavar="FILE|3xRTX4090",
        help="GPUs to take instead of this machine's: a file from `orchestrate gpus --json`, or a short form.",
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never ask a hub for model facts.")]


def _read_format(text: str) -> FindingsFormat:
    known = [each.value for each in FindingsFormat]
    if text not in known:
        raise typer.BadParameter(f"`{text}` is no format; choose from {', '.join(known)}")
    return FindingsFormat(text)


FormatOption = Annotated[
    FindingsFormat,
    typer.Option(
        "--format",
        parser=_read_format,
        metavar="|".join(each.value for each in FindingsFormat),
        help="Findings: full for people, concise for editors, json for programs, github for CI.",
    ),
]


def render_command(paths: Sequence[str] | None, inventory: str | None) -> str:
    """The `orchestrate render` that takes the same profiles and the same GPUs."""
    option = [] if inventory is None else ["--inventory", inventory]
    return shlex.join(["orchestrate", "render", *(paths or []), *option])
