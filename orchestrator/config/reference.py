"""docs/profiles.md: the reference of all keys, written from the table of keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import AfterValidator
from pydantic_core import PydanticUndefined

from orchestrator.config.checks_of_text import Check
from orchestrator.config.structure import fields_of, flow_style, section_of
from orchestrator.config.table import DeploymentSection, Section, ServiceSection

_INTRODUCTION = """\
# Profiles

The reference of every key. This page is written from the table that `orchestrate validate` checks against
(`orchestrate schema` prints the same as JSON Schema), and a test compares the two.

Profiles are YAML 1.2 files: plain keys and values, lists, mappings, comments, and aliases. Tags, merge keys (`<<`),
several documents in a file and duplicate keys are refused, and so is every unquoted value that two readers of YAML
would take for two things (`010`, `1:30`, `yes`). Codes of findings are explained in [codes.md](codes.md).

A directory of profiles holds one deployment file, recognised by its key `project`, and one file per service.
"""

_VLLM = """\
## The flags under `vllm:`

Every key is a flag of `vllm serve` in the pinned release, without the leading dashes, as in vLLM's own `--config`
files. `orchestrate schema service --release RELEASE` lists them with their types and choices. `rope-scaling` stays
the word for RoPE scaling in every release. What stands under `vllm:` in the `defaults` of the deployment goes to
every service; the service's own flags win, and `null` in a service removes a default.
"""


def render_reference() -> str:
    """The whole page."""
    parts = [
        _INTRODUCTION,
        "## A service file\n",
        *_table(ServiceSection),
        "\n## The deployment file\n",
        *_table(DeploymentSection),
        "",
        _VLLM,
    ]
    return "\n".join(parts)


def documented_keys(section: type[Section]) -> tuple[str, ...]:
    """Every key of a file as a dotted path, in the order of the table."""
    return tuple(path for path, _ in _walk(section, ""))


def _walk(section: type[Section], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, field in fields_of(section).items():
        yield f"{prefix}{key}", field
        inner = section_of(field)
        if inner is not None:
            yield from _walk(inner, f"{prefix}{key}.")


def _table(section: type[Section]) -> Iterator[str]:
    yield "| key | takes | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for path, field in _walk(section, ""):
        yield f"| `{path}` | {_takes(field)} | {_default(field)} | {field.description}{_example(field)} |"


def _takes(field: Any) -> str:
    checks = (each.func for each in field.metadata if isinstance(each, AfterValidator))
    wanted = next((each.wanted for each in checks if isinstance(each, Check)), None)
    if wanted is not None:
        return wanted
    if section_of(field) is not None:
        return "a mapping"
    return _type_in_words(field)


_WORDS = {int: "a whole number", float: "a number", str: "text"}


def _type_in_words(field: Any) -> str:
    bounds = {
        name: getattr(each, name) for each in field.metadata for name in ("gt", "ge", "le") if hasattr(each, name)
    }
    word = _WORDS.get(field.annotation)
    if word is None:
        return _SHAPES[field.alias]
    low = f"above {bounds['gt']:g}" if "gt" in bounds else f"{bounds['ge']:,}"
    return f"{word}, {low} to {bounds['le']}" if "ge" in bounds else f"{word} {low}"


_SHAPES = {
    "gpus": "`auto`, or a list of indices (0, 1, …) and UUIDs (`GPU-…`)",
    "sharing": "`exclusive` or `shared`",
    "spread": "`gpu` or `host`",
    "gpu": "a list of services",
    "host": "a list of services",
    "environment": "a mapping of names to text",
    "vllm": "a mapping of flags",
    "services": "a list of files (`.yaml`), at least one",
}
"""Types that are more than one word."""


def _default(field: Any) -> str:
    if field.is_required():
        return "**required**"
    default = None if field.default is PydanticUndefined else field.default
    if default in (None, "", 0, []) and field.alias != "priority":
        return ""
    return "" if section_of(field) is not None else f"`{flow_style(default)}`"


def _example(field: Any) -> str:
    return f" Example: `{flow_style(field.examples[0])}`" if field.examples else ""
