"""Help that names lines of a profile, turned into options of `orchestrate fit`."""

from __future__ import annotations

import re

_LINE = re.compile(r"`([a-z][a-z-]*): ([^`]+)`")


def as_options(help_line: str, card: str = "CARD") -> str:
    """`max-model-len: 8192` becomes `--max-model-len 8192`, a number of ranks a group of `card`, the rest `--set`."""

    def option(found: re.Match[str]) -> str:
        key, value = found.groups()
        if key == "max-model-len":
            return f"`--max-model-len {value}`"
        if key == "tensor-parallel-size":
            return f"`--gpu {value}x{card.replace(' ', '-')}`"
        words = f"{key}={value}"
        return f"`--set '{words}'`" if re.search(r"[^\w.=-]", words) else f"`--set {words}`"

    return _LINE.sub(option, help_line)
