"""The exceptions of the house: only what nobody inside can solve. Findings about input are never raised."""

from __future__ import annotations

from orchestrator.domain.diagnostics import Diagnostic


class OutsideFailure(Exception):  # noqa: N818 (the field says failure)
    """A tool, driver, server or file outside failed; translated once, at the door. Exit code 3.

    `finding` is what the user sees. `command`, `exit_code` and `stderr` keep what a process said, when one was run.
    """

    def __init__(
        self,
        finding: Diagnostic,
        *,
        command: tuple[str, ...] = (),
        exit_code: int | None = None,
        stderr: str = "",
    ) -> None:
        super().__init__(finding.message)
        self.finding = finding
        self.command = command
        self.exit_code = exit_code
        self.stderr = stderr
