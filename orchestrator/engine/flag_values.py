"""Reads values under `vllm:` as vLLM's own parsers do; what makes no sense there gives None and is never raised."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from orchestrator.domain.profile import FlagValue

_NUMBER = re.compile(r"([+-]?\d{1,18}(?:\.\d{1,18})?)([kKmMgGtT]?)", re.ASCII)
_SUFFIXES = {
    "": 1,
    **{letter: 1000**power for power, letter in enumerate("kmgt", start=1)},
    **{letter: 1024**power for power, letter in enumerate("KMGT", start=1)},
}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def flag_value(vllm: Mapping[str, FlagValue], name: str) -> FlagValue:
    """The value of a flag, whether it was spelt with hyphens or with underscores; None when it is not there."""
    return vllm.get(name, vllm.get(name.replace("-", "_")))


def as_integer(value: FlagValue) -> int | None:
    """A whole number; `32k` is 32,000 and `32K` is 32,768 (lower case decimal, upper case binary)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else None
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    digits, suffix = match.groups()
    return int(digits) * _SUFFIXES[suffix] if "." not in digits else int(float(digits) * _SUFFIXES[suffix])


def as_positive_integer(value: FlagValue) -> int | None:
    """A whole number above zero."""
    number = as_integer(value)
    return number if number is not None and number > 0 else None


def as_fraction(value: FlagValue) -> float | None:
    """A number above 0 and at most 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 < number <= 1 else None


def as_switch(vllm: Mapping[str, FlagValue], name: str) -> bool | None:
    """A switch that may be written `name: true` or, negated, `no-name: true`; None when it is not there."""
    for key, negated in ((name, False), (f"no-{name}", True)):
        value = flag_value(vllm, key)
        said = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
        if isinstance(said, bool | int):
            return bool(said) is not negated
    return None


def as_mapping(value: FlagValue) -> Mapping[str, FlagValue]:
    """A mapping, or a JSON text of one; empty for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def as_integers(value: FlagValue) -> tuple[int, ...]:
    """A list of whole numbers, or a text of them with spaces or commas; what is no positive number is left out."""
    items: list[FlagValue] = list(value) if isinstance(value, list) else []
    if isinstance(value, str):
        items = list(re.split(r"[\s,\[\]]+", value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        items = [value]
    numbers = (as_positive_integer(item) for item in items)
    return tuple(sorted({number for number in numbers if number is not None}))
