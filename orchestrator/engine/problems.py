"""Findings about flags and variables before they know their place in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.profile import KeyPath
from orchestrator.engine.rewrites import Replacement

_CLEAR = 0.88
_MARGIN = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagProblem:
    """One finding about a flag under `vllm:`.

    `flag` is the key as the user wrote it (empty when no single key is to blame), `path` leads further into its value,
    and `on_value` says whether to point at the value or at the key. `variable` is the one under `environment:` to
    blame instead. `repair` is there where what to write instead is certain.
    """

    code: str
    flag: str
    message: str
    severity: Severity = Severity.ERROR
    path: KeyPath = ()
    on_value: bool = False
    variable: str = ""
    label: str = ""
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    repair: Replacement | None = None

    @property
    def key_path(self) -> KeyPath:
        """Where a service's file says what is to blame; empty when no single key does."""
        if self.variable:
            return ("environment", self.variable)
        return ("vllm", self.flag, *self.path) if self.flag else ()

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that is most like `word`, when one is alike enough to be meant."""
    found = get_close_matches(word, list(words), n=1, cutoff=0.6)
    return found[0] if found else None


def clearly_meant(word: str, words: Iterable[str]) -> str | None:
    """The one word that is so much like `word` that no other can be meant."""
    first, *others = [*get_close_matches(word, list(words), n=2, cutoff=_CLEAR), None]
    if first is None or others[0] is None:
        return first
    return first if _likeness(word, first) - _likeness(word, others[0]) >= _MARGIN else None


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, other, word).ratio()


def quoted(value: object) -> str:
    """A value as it stands in a message: short, on one line, in backticks."""
    text = value if isinstance(value, str) else _yaml_word(value)
    flat = " ".join(text.split())
    return f"`{flat if len(flat) <= 60 else flat[:57] + '...'}`"


def _yaml_word(value: object) -> str:
    words = {True: "true", False: "false"}
    if isinstance(value, bool):
        return words[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else str(value)
