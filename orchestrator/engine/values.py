"""What a YAML value means to a flag of a given kind, or why it means nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from orchestrator.domain.profile import FlagValue, KeyPath
from orchestrator.engine.flags import Flag, Kind
from orchestrator.engine.problems import nearest, quoted

_DEEPEST = 64
_HUMAN = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)([kKmMgGtT])", re.ASCII)
_DIGITS = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_PAIR = re.compile(r"[^=,\s]+=\d+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a value does not fit: `code` is that of the finding, `path` leads to the part that is wrong."""

    code: str
    label: str
    help: tuple[str, ...] = ()
    path: KeyPath = ()


def whole_number(value: FlagValue) -> int | None:
    """An integer, also one written as vLLM lets people write it: `32k` is 32000, `32K` is 32768."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return _from_suffix(value) if isinstance(value, str) else None


def _from_suffix(text: str) -> int | None:
    match = _HUMAN.fullmatch(text.strip())
    if match is None:
        return None
    number, suffix = match.groups()
    if suffix in _DECIMAL:
        return int(float(number) * _DECIMAL[suffix])
    return int(number) * _BINARY[suffix] if number.isdigit() else None


def read_value(flag: Flag, value: FlagValue) -> FlagValue | Fault:
    """The value as the flag means it: plain integers, mappings for JSON, a list where a flag takes several."""
    if value is None:
        return Fault(code="E204", label="no value here", help=("give a value, or delete the line",))
    if not (flag.many or flag.repeated):
        return _read_one(flag, value)
    parts: list[FlagValue] = value if isinstance(value, list) else [value]
    if not parts:
        return Fault(code="E204", label="needs at least one value", help=("give a value, or delete the line",))
    return _read_parts(flag, parts, is_list=isinstance(value, list))


def _read_parts(flag: Flag, parts: list[FlagValue], *, is_list: bool) -> FlagValue | Fault:
    read: list[FlagValue] = []
    for index, part in enumerate(parts):
        one = _read_one(flag, part)
        if isinstance(one, Fault):
            return replace(one, path=(index, *one.path)) if is_list else one
        read.append(one)
    return read


def _read_one(flag: Flag, value: FlagValue) -> FlagValue | Fault:
    read = _READERS[flag.kind](value)
    if isinstance(read, Fault) or not flag.choices:
        return read
    return _chosen(flag, read)


def _chosen(flag: Flag, value: FlagValue) -> FlagValue | Fault:
    word = value.lower().replace("-", "_") if flag.loose and isinstance(value, str) else value
    if word in flag.choices:
        return word
    meant = nearest(str(word), [str(choice) for choice in flag.choices])
    offer = f"did you mean `{meant}`?" if meant else f"choose one of {_listed(flag.choices)}"
    return Fault(code="E205", label=f"one of {_listed(flag.choices)}", help=(offer,))


def _listed(choices: tuple[str | int, ...]) -> str:
    shown = ", ".join(f"`{choice}`" for choice in choices[:8])
    return f"{shown}, and {len(choices) - 8} more" if len(choices) > 8 else shown


def _wrong_type(wanted: str, value: FlagValue, *help_lines: str) -> Fault:
    return Fault(code="E204", label=f"{wanted} is needed, this is {_type_name(value)}", help=help_lines)


def _type_name(value: FlagValue) -> str:
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a mapping",
    }
    return names.get(type(value), "nothing")


def _boolean(value: FlagValue) -> FlagValue | Fault:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    return _wrong_type("`true` or `false`", value, *([f"write `{word}` without quotes"] if word in _WORDS else []))


_WORDS = ("true", "false")


def _integer(value: FlagValue) -> FlagValue | Fault:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _wrong_type("an integer", value, *_plain_integer(value))


def _plain_integer(value: FlagValue) -> list[str]:
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return ["write the number without quotes"]
    number = _from_suffix(value) if isinstance(value, str) else None
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    return [f"write `{number}`"] if number is not None else []


def _human_integer(value: FlagValue) -> FlagValue | Fault:
    number = whole_number(value)
    if number is not None:
        return number
    return _wrong_type("an integer such as `32768`, `32K` or `32k`", value, *_plain_integer(value))


def _human_integer_or_auto(value: FlagValue) -> FlagValue | Fault:
    return value if value == "auto" else _human_integer(value)


def _number(value: FlagValue) -> FlagValue | Fault:
    if isinstance(value, int | float) and not isinstance(value, bool):
        finite = not isinstance(value, float) or math.isfinite(value)
        return value if finite else Fault(code="E204", label="not a finite number")
    return _wrong_type("a number", value, *_plain_number(value))


def _plain_number(value: FlagValue) -> list[str]:
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return []
    return [f"write `{number}`"] if math.isfinite(number) else []


def _string(value: FlagValue) -> FlagValue | Fault:
    if isinstance(value, str):
        return value
    quotable = isinstance(value, bool | int | float)
    return _wrong_type("a string", value, *([f'put it in quotes: `"{quoted(value)[1:-1]}"`'] if quotable else []))


def _json(value: FlagValue) -> FlagValue | Fault:
    read = _parsed(value, "{") if isinstance(value, str) else value
    if isinstance(read, Fault):
        return read
    return _plain_json(read, "a mapping") if isinstance(read, dict) else _wrong_type("a mapping", value)


def _json_list(value: FlagValue) -> FlagValue | Fault:
    read = _parsed(value, "[") if isinstance(value, str) else value
    if isinstance(read, Fault):
        return read
    return _plain_json(read, "a list") if isinstance(read, list) else _wrong_type("a list", value)


def _json_or_string(value: FlagValue) -> FlagValue | Fault:
    if isinstance(value, str) and not value.strip().startswith("{"):
        return value
    return _json(value) if isinstance(value, str | dict) else _wrong_type("a mapping or a string", value)


def _json_or_integer(value: FlagValue) -> FlagValue | Fault:
    return value if isinstance(value, int) and not isinstance(value, bool) else _json(value)


def _pairs(value: FlagValue) -> FlagValue | Fault:
    if isinstance(value, dict):
        wrong = next((key for key, part in value.items() if _is_not_whole(part)), None)
        return value if wrong is None else replace(_wrong_type("an integer", value[wrong]), path=(wrong,))
    if not isinstance(value, str):
        return _wrong_type("a mapping", value)
    parts = [part.strip() for part in value.split(",")]
    if not all(_PAIR.fullmatch(part) for part in parts):
        return Fault(code="E208", label="not `name=number` pairs", help=("write a mapping, such as `{image: 1}`",))
    return {name: int(number) for name, _, number in (part.partition("=") for part in parts)}


def _is_not_whole(value: FlagValue) -> bool:
    return isinstance(value, bool) or not isinstance(value, int)


def _json_or_pairs(value: FlagValue) -> FlagValue | Fault:
    is_pairs = isinstance(value, str) and not value.strip().startswith("{")
    return _pairs(value) if is_pairs else _json(value)


def _parsed(text: str, opening: str) -> FlagValue | Fault:
    try:
        read: FlagValue = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        where = f": {error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        shape = "mapping" if opening == "{" else "list"
        return Fault(code="E208", label=f"not JSON{where}", help=(f"write it as a YAML {shape} instead of a string",))
    return read


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _plain_json(value: FlagValue, wanted: str) -> FlagValue | Fault:
    """The value when it can be written as JSON all through."""
    fault = _json_fault(value, ())
    return value if fault is None else replace(fault, label=f"{wanted} of JSON values is needed: {fault.label}")


def _json_fault(value: object, path: KeyPath) -> Fault | None:
    if len(path) > _DEEPEST:
        return Fault(code="E204", label="nested too deeply", path=path[:1])
    if isinstance(value, float) and not math.isfinite(value):
        return Fault(code="E204", label="not a finite number", path=path)
    if isinstance(value, Mapping):
        children = [(key, child) for key, child in value.items()]
    else:
        children = list(enumerate(value)) if isinstance(value, list) else []
    return next((fault for key, child in children if (fault := _json_fault(child, (*path, key)))), None)


_READERS: Mapping[Kind, Callable[[FlagValue], FlagValue | Fault]] = {
    Kind.SWITCH: _boolean,
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.HUMAN_INTEGER: _human_integer,
    Kind.HUMAN_INTEGER_OR_AUTO: _human_integer_or_auto,
    Kind.NUMBER: _number,
    Kind.STRING: _string,
    Kind.JSON: _json,
    Kind.JSON_LIST: _json_list,
    Kind.JSON_OR_STRING: _json_or_string,
    Kind.JSON_OR_INTEGER: _json_or_integer,
    Kind.PAIRS: _pairs,
    Kind.JSON_OR_PAIRS: _json_or_pairs,
}
