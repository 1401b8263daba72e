"""How secrets look: what may stand in no profile, and what no view may print."""

from __future__ import annotations

import re

_CREDENTIALS = (
    r"(?:(?<=://)[^\s/@:?\"'`]*|(?<![^\s\"'`=,(\[{])(?!mailto:)[^\s/@:?\"'`=,(\[{]{1,256})"
    r":[^\s/?\"'`]{1,1024}@(?!sha[0-9]{1,3}:)"
)
"""`user:password@` after `://`, or where a word starts (an image has no scheme); no digest of an image."""

_RUN = r"(?:[A-Za-z0-9_]{20,}|(?=[A-Za-z_]{0,20}[0-9])[A-Za-z0-9_]{12,})"
"""The random part of a token: long, or shorter with a digit; so that names made of words are none."""

_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{16,}"
    r"|gh[opsru]_[A-Za-z0-9]{16,}"
    r"|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|(?:nvapi-|gsk_|npm_|[sr]k_live_|r8_)[A-Za-z0-9_-]{24,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    rf"|(?<![_-])sk-(?:[A-Za-z0-9]{{1,10}}-){{0,3}}{_RUN}"
    r")[A-Za-z0-9_.=/+-]*"
    rf"|{_CREDENTIALS}"
    r"|(?<![A-Za-z0-9])[Bb]earer +[A-Za-z0-9._~+/-]{16,}=*"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY",
    re.ASCII,
)
"""Tokens of hubs, forges and clouds, signed web tokens, `user:password@` of an address, bearers, private keys."""

_ADDRESS = re.compile(_CREDENTIALS, re.ASCII)
_WORD = re.compile(
    r"KEY|SECRETS|CREDENTIALS?|CREDS|PASS|PW|[A-Z0-9]*(?:TOKEN|APIKEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD)", re.ASCII
)
_NO_SECRETS = frozenset({"PWD", "OLDPWD"})
"""Variables of every shell that hold a directory."""


def looks_like_secret(value: str) -> bool:
    """Whether a text has the shape of a well-known kind of token, or is an address with a password in it."""
    return _SHAPES.search(value) is not None


def is_address_with_password(value: str) -> bool:
    """Whether a text holds `user:password@` of an address."""
    return _ADDRESS.search(value) is not None


def names_a_secret(name: str) -> bool:
    """Whether a variable's name says that it holds a secret: one of its words does (`HF_TOKEN`, not `TOKENIZERS`)."""
    whole = name.upper()
    return whole not in _NO_SECRETS and any(_WORD.fullmatch(word) for word in re.split(r"[^A-Z0-9]+", whole))


def masked(text: str) -> str:
    """The text with everything in it that looks like a secret replaced, character by character, by `*`."""
    return _SHAPES.sub(lambda match: "*" * len(match.group()), text)
