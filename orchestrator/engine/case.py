"""One question about compatibility: these flags and variables, this model, this card, this release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.inventory import Gpu, Host
from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import written_key
from orchestrator.engine.problems import FlagProblem

TURING, AMPERE, ADA, HOPPER, BLACKWELL = (7, 5), (8, 0), (8, 9), (9, 0), (10, 0)


def dotted(capability: tuple[int, int]) -> str:
    """A compute capability as people write it."""
    return f"{capability[0]}.{capability[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The question. `flags` are canonical, `written` the user's."""

    written: Mapping[str, FlagValue]
    flags: Mapping[str, FlagValue]
    environment: Mapping[str, str]
    release: Release
    config: ModelConfig
    gpu: Gpu
    host: Host

    @property
    def capability(self) -> tuple[int, int]:
        """The card's compute capability; rules are only asked when it is known."""
        return self.gpu.compute_capability or (0, 0)

    def key(self, name: str) -> str:
        """The key under which the user wrote a flag; empty when he did not."""
        return written_key(name, self.written, self.release)

    def problem(
        self,
        code: str,
        flag: str,
        message: str,
        *,
        label: str = "",
        notes: tuple[str, ...] = (),
        help: str = "",
    ) -> FlagProblem:
        """A finding about this case; a warning with nothing to do about it is a note."""
        key = self.key(flag)
        severity = Severity.WARNING if code.startswith("W") else Severity.ERROR
        return FlagProblem(
            code=code,
            flag=key,
            on_value=bool(key),
            severity=severity if help or severity is Severity.ERROR else Severity.NOTE,
            message=message,
            label=label,
            notes=(f"{self.gpu.name}: compute capability {dotted(self.capability)}", *notes),
            help=(help,) if help else (),
        )


Rule = Callable[[Case], Iterator[FlagProblem]]
