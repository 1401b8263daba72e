"""Values as YAML on one line, quoted wherever a plain word would be read as something else."""

from __future__ import annotations

import json
import re

from orchestrator.config.scalars import resolve

_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*", re.ASCII)


def one_line(value: object, quote: str = "") -> str:
    """A value in flow style. Texts get the `quote` if one is given, and otherwise quotes only where they need them."""
    if isinstance(value, dict):
        inside = (f"{text_of(str(key), quote)}: {one_line(part, quote)}" for key, part in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list):
        return f"[{', '.join(one_line(part, quote) for part in value)}]"
    return text_of(value, quote) if isinstance(value, str) else json.dumps(value)


def text_of(text: str, quote: str = "") -> str:
    """A text as a scalar; single quotes only where nothing in it would have to be escaped."""
    if quote == "'" and text.isprintable():
        return f"'{text.replace(quote, quote * 2)}'"
    if not quote and _PLAIN.fullmatch(text) and resolve(text) == text:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
