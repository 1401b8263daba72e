"""The option `--release`: a vLLM release whose rules are known here, or an error of usage."""

from __future__ import annotations

import typer

from orchestrator.domain.diagnostics import repeated
from orchestrator.domain.release import Release


def read_release_option(text: str | None, hint: str = "'--release'") -> Release | None:
    """The release; None when the option was not given. Raises typer.BadParameter (exit code 2) for anything else, under
    the name `hint`."""
    if text is None:
        return None
    from orchestrator.engine.releases import KNOWN_RELEASES, NEWEST, closest_known, is_known

    release = Release.parse(text)
    if release is None:
        raise typer.BadParameter(
            f"not a vLLM release: `{repeated(text)}`; write one in full, such as {NEWEST}", param_hint=hint
        )
    if not is_known(release):
        known = f"known are {KNOWN_RELEASES[0]} to {NEWEST}; the nearest one is {closest_known(release)}"
        raise typer.BadParameter(f"vLLM {release} is not known here ({known})", param_hint=hint)
    return release
