"""vLLM release numbers: parsed, ordered, compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NUMBER = r"(0|[1-9]\d{0,5})"
_PATTERN = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:\.(?:post)?{_NUMBER})?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A released version of vLLM such as `0.32.0`, `0.8.5.post1` or `0.10.1.1`; orders as releases do."""

    parts: tuple[int, int, int, int]
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Release | None:
        """`0.32.0`, `v0.32.0`, `0.8.5.post1` and `0.10.1.1` are releases; anything else gives None."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            return None
        major, minor, patch, post = match.groups()
        return cls((int(major), int(minor), int(patch), int(post or 0)), text.removeprefix("v"))

    @classmethod
    def of(cls, text: str) -> Release:
        """Like `parse`, for texts that are known to be releases (raises ValueError otherwise)."""
        release = cls.parse(text)
        if release is None:
            raise ValueError(f"not a vLLM release: {text!r}")
        return release

    def __str__(self) -> str:
        return self.text
