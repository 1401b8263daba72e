"""`orchestrate schema`: the JSON Schema of profiles, for editors and other programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.cli.release_option import read_release_option
from orchestrator.cli.terminal import emit_document


class ProfileKind(StrEnum):
    """The two kinds of profile files."""

    SERVICE = "service"
    DEPLOYMENT = "deployment"


def schema(
    kind: Annotated[ProfileKind, typer.Argument(help="Which kind of file.")] = ProfileKind.SERVICE,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="RELEASE", help="Flags of this vLLM release; the newest known by default."),
    ] = None,
) -> None:
    """Print the JSON Schema of a service file or the deployment file."""
    from orchestrator.config.schema import deployment_schema, schema_text, service_schema
    from orchestrator.engine.releases import NEWEST

    pinned = read_release_option(release) or NEWEST
    made = service_schema(pinned) if kind is ProfileKind.SERVICE else deployment_schema(pinned)
    emit_document(schema_text(made))
