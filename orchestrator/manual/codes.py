"""The one table of codes: what each means, why, what to do, and an example with the finding beside one without it.

`orchestrate explain` and docs/codes.md are written from it, and a test runs every example through the real commands.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files

from orchestrator.domain.diagnostics import Severity

_FILES = ("files", "flags", "models", "gpus", "planning", "rendering")
_SEVERITIES = {"E": Severity.ERROR, "W": Severity.WARNING, "N": Severity.NOTE}
_NUMBER = re.compile(r"[A-Z]?(\d{3})", re.ASCII)
EXAMPLE_RELEASE = "0.32.0"
"""What the examples are about where they do not say."""

KINDS: Mapping[str, str] = {
    "service": "mini.yaml",
    "deployment": "deployment.yaml",
    "inventory": "inventory.json",
    "gpus": "inventory.json",
    "records": "records.jsonl",
    "config.json": "model/config.json",
    "command": "",
}
"""What an example is, and the file that its text stands in: of `service` and `deployment` the keys that matter (all of
them when the example is `whole`), of `gpus` the list of one host's GPUs, of `command` a command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One code.

    `bad` has the finding, `good` has not; a line `# NAME.yaml` begins another file. Examples are read by
    `orchestrate COMMAND`, for `release`, and on `gpus` (a short form) where these are named. `unshown` says why there
    is no example: what comes from drivers, networks and file systems is in no text.
    """

    code: str
    means: str
    why: str
    do: str
    of: str = "service"
    release: str = EXAMPLE_RELEASE
    gpus: str = ""
    command: str = ""
    whole: bool = False
    bad: str = ""
    good: str = ""
    unshown: str = ""

    @property
    def severity(self) -> Severity:
        return _SEVERITIES[self.code[0]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hundred:
    """The codes of one part of the house."""

    digit: str
    title: str
    explanations: tuple[Explanation, ...]


@lru_cache(maxsize=1)
def hundreds() -> tuple[Hundred, ...]:
    """All codes, in the order of the table."""
    return tuple(_read(name) for name in _FILES)


def _read(name: str) -> Hundred:
    text = files("orchestrator.manual").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    title = table.pop("title")
    explanations = tuple(Explanation(code=code, **fields) for code, fields in table.items())
    return Hundred(digit=explanations[0].code[1], title=title, explanations=explanations)


@lru_cache(maxsize=1)
def explanations() -> Mapping[str, Explanation]:
    """Every explanation by its code."""
    return {each.code: each for hundred in hundreds() for each in hundred.explanations}


def nearest_code(word: str) -> str | None:
    """The code that was perhaps meant: the nearest number, under the same letter where there is one, or a like text."""
    known, asked = list(explanations()), word.strip().upper()
    if number := _NUMBER.fullmatch(asked):
        return min(known, key=lambda code: (abs(int(code[1:]) - int(number[1])), code[0] != asked[0]))
    alike = get_close_matches(asked, known, n=1, cutoff=0.5)
    return alike[0] if alike else None
