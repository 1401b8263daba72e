"""Checks of single values that a type alone cannot make, each with the words for what is wanted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from orchestrator.config.secret_shapes import looks_like_secret

CUSTOM_ERROR = "not_wanted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Check:
    """A test of one value. `wanted` ends the sentence "wants …"; `help` is the next step, where there is a better
    one than an example; `schema` says the same as JSON Schema, as far as that can."""

    wanted: str
    fits: Callable[[Any], bool]
    schema: dict[str, Any]
    help: str = ""

    def __call__(self, value: Any) -> Any:
        """The value itself; raises pydantic's error when it does not fit."""
        if not self.fits(value):
            raise PydanticCustomError(CUSTOM_ERROR, "{wanted}", {"wanted": self.wanted, "help": self.help})
        return value


def _pattern(pattern: str, wanted: str, *, help_: str = "", longest: int = 4096) -> Check:
    compiled = re.compile(pattern, re.ASCII)

    def fits(text: str) -> bool:
        return len(text) <= longest and compiled.fullmatch(text) is not None

    schema = {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": longest}
    return Check(wanted=wanted, fits=fits, schema=schema, help=help_)


def _is_gpu(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 <= value < 1024
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_variable_name(text: str | None) -> bool:
    return text is None or (_VARIABLE.fullmatch(text) is not None and not looks_like_secret(text))


_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z/-]{1,96}", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}", re.ASCII)

SERVICE = _pattern(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "a name of lower-case letters, digits and `-` (at most 63, no `-` at the ends)",
)
PROJECT = _pattern(
    r"[a-z0-9][a-z0-9_-]{0,62}", "a name of lower-case letters, digits, `-` and `_` that starts with a letter or digit"
)
MODEL = _pattern(r"[^\s-](?:.*\S)?", "the id of a model or a path, without blanks at its ends and no `-` in front")
REVISION = _pattern(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,199}", "a commit, branch or tag")
RELEASE = _pattern(
    r"v?[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}(?:\.post[0-9]{1,6})?", "a release of vLLM in full, such as `0.32.0`"
)
IMAGE = _pattern(
    r"[a-z0-9]+(?:[._:/-]+[A-Za-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})",
    "an image with a tag or a digest",
    help_="pin it, such as `vllm/vllm-openai:v0.32.0` or `vllm/vllm-openai@sha256:…`",
)
FILE_NAME = _pattern(r"(?![/~])[^\\\0]*[^/\\\0]\.ya?ml", "a file relative to this one that ends in `.yaml` or `.yml`")
CACHE = _pattern(
    r"[a-zA-Z0-9][a-zA-Z0-9_.-]*|(?:/|\./|\.\./|~/)[^:]*",
    "the name of a volume, or a path that starts with `/`, `./`, `../` or `~/`",
)
ENVIRONMENT_NAME = _pattern(r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and `_`")
IP_ADDRESS = Check(
    wanted="an IP address, such as `127.0.0.1`", fits=_is_ip_address, schema={"type": "string", "minLength": 2}
)
SECRET_NAME = Check(
    wanted="the name of an environment variable in capitals, never a secret itself",
    fits=_is_variable_name,
    schema={"type": "string", "pattern": f"^{_VARIABLE.pattern}$"},
    help="put the secret in an environment variable, and write the variable's name here, such as `HF_TOKEN`",
)
GPU = Check(
    wanted="the index of a GPU (0, 1, …) or its UUID (`GPU-…`)",
    fits=_is_gpu,
    schema={
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 1023},
            {"type": "string", "pattern": f"^{_UUID.pattern}$"},
        ]
    },
    help="`orchestrate gpus` lists indices and UUIDs",
)
