"""Attention backends, and FlashInfer's sampler, that are named for a card on which they do not run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.domain.release import Release
from orchestrator.engine.case import AMPERE, TURING, Case, Rule, dotted
from orchestrator.engine.environment import is_on, setting
from orchestrator.engine.flag_values import Flags, mapping, text
from orchestrator.engine.problems import FlagProblem

CHECKED_SINCE = Release.of("0.11.1")
"""From here on a backend that is named and does not suit is refused; earlier releases take another."""

_FLASHINFER = "FLASHINFER"
_SAMPLER = "VLLM_USE_FLASHINFER_SAMPLER"
_VARIABLE = "VLLM_ATTENTION_BACKEND"
_NEWEST_FLASHINFER = (12, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """The cards of a backend from a release on; `high` None: no end is known."""

    since: Release
    low: tuple[int, int]
    high: tuple[int, int] | None

    def holds(self, capability: tuple[int, int]) -> bool:
        return self.low <= capability and (self.high is None or capability <= self.high)

    @property
    def words(self) -> str:
        return f"{dotted(self.low)} to {dotted(self.high)}" if self.high else f"{dotted(self.low)} or more"


_RANGES = {
    "FLASH_ATTN": (_Range(since=CHECKED_SINCE, low=AMPERE, high=None),),
    _FLASHINFER: (
        _Range(since=CHECKED_SINCE, low=TURING, high=_NEWEST_FLASHINFER),
        _Range(since=Release.of("0.24.0"), low=AMPERE, high=_NEWEST_FLASHINFER),
    ),
}
"""`supports_compute_capability` of the backends; 0.24.0 leaves Turing out because of a fault in FlashInfer."""


def named_backend(flags: Flags) -> str:
    """The attention backend that the flags ask for; empty where they leave the choice."""
    said = text(flags, "attention-backend") or text(mapping(flags, "attention-config"), "backend") or ""
    return "" if said.upper() == "AUTO" else said.upper()


def backend_variable(case: Case) -> str:
    """The attention backend that a variable asks for, in releases that read it."""
    return (setting(case.environment, _VARIABLE, case.release) or "").upper()


def _range(backend: str, release: Release) -> _Range | None:
    return next((each for each in reversed(_RANGES.get(backend, ())) if each.since <= release), None)


def _check_backend(case: Case) -> Iterator[FlagProblem]:
    by_flag = named_backend(case.flags)
    backend = by_flag or backend_variable(case)
    cards = _range(backend, case.release)
    if cards is None or cards.holds(case.capability):
        return
    flag = "attention-backend" if case.key("attention-backend") else "attention-config"
    problem = case.problem(
        "E235",
        flag if by_flag else "",
        f"`{backend}` attention does not run on {case.gpu.name} in vLLM {case.release}",
        label=f"needs compute capability {cards.words}",
        help="delete the line: vLLM chooses a backend that runs on the card",
    )
    path = ("backend",) if by_flag and flag == "attention-config" else ()
    yield replace(problem, path=path, variable="" if by_flag else _VARIABLE)


def _check_sampler(case: Case) -> Iterator[FlagProblem]:
    cards = _range(_FLASHINFER, case.release)
    is_asked = _SAMPLER in case.environment and is_on(case.environment, _SAMPLER, case.release)
    if not is_asked or cards is None or cards.holds(case.capability):
        return
    problem = case.problem(
        "E235",
        "",
        f"FlashInfer's sampler does not run on {case.gpu.name} in vLLM {case.release}",
        label=f"needs compute capability {cards.words}",
        help=f"delete `{_SAMPLER}`: vLLM takes another sampler there",
    )
    yield replace(problem, variable=_SAMPLER)


BACKEND_RULES: tuple[Rule, ...] = (_check_backend, _check_sampler)
"""What depends on the card."""
