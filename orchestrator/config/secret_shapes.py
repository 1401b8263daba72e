"""How secrets look: what may stand in no profile, and what no view may print."""

from __future__ import annotations

import re

_SHAPES = re.compile(
    r"(?:hf_|sk-|ghp_|github_pat_|glpat-|xox[abp]-|AKIA|eyJ)[A-Za-z0-9_.=/+-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY",
    re.ASCII,
)
_WORDS = frozenset(
    {"TOKEN", "KEY", "APIKEY", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS"}
)


def looks_like_secret(value: str) -> bool:
    """Whether a text has the shape of a well-known kind of token."""
    return _SHAPES.search(value) is not None


def names_a_secret(name: str) -> bool:
    """Whether a variable's name says that it holds a secret: one of its words does (`HF_TOKEN`, not `TOKENIZERS`)."""
    return not _WORDS.isdisjoint(re.split(r"[^A-Z0-9]+", name.upper()))


def masked(text: str) -> str:
    """The text with everything in it that looks like a secret replaced, character by character, by `*`."""
    return _SHAPES.sub(lambda match: "*" * len(match.group()), text)
