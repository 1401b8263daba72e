"""Compose YAML as text: one dumper, every string quoted unless all YAML readers agree that it is a string."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

_WORD = re.compile(r"(?:--)?[A-Za-z/](?:[A-Za-z0-9_./-]|:(?=[A-Za-z0-9]))+", re.ASCII)
_ENDLESS = 2**30  # columns: long scalars are never folded


class Interpolation(str):
    """A string in which `$` is meant for Compose (`${NAME:?…}`); in every other string it is doubled."""

    __slots__ = ()


def literal_for_compose(value: object) -> object:
    """The same tree of plain values, every `$` doubled so that Compose hands it on as it is."""
    match value:
        case Interpolation():
            return str(value)
        case str():
            return value.replace("$", "$$")
        case Mapping():
            return literal_mapping(value)
        case list() | tuple():
            return [literal_for_compose(each) for each in value]
        case _:
            return value


def literal_mapping(tree: Mapping[str, object]) -> dict[str, object]:
    """`literal_for_compose` of a mapping; its keys are left as they are, as Compose leaves them."""
    return {key: literal_for_compose(each) for key, each in tree.items()}


class _ComposeDumper(yaml.SafeDumper):
    """PyYAML's dumper without aliases and with quotes where YAML 1.1 and 1.2 read a word differently (`1e3`, `0o7`)."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    """Plain for plain words (PyYAML still quotes `yes` and `null`), else quoted; escapes only where needed."""
    if _WORD.fullmatch(text):
        return None
    return "'" if text.isprintable() else '"'


_ComposeDumper.add_representer(str, _represent_string)


def dump_yaml(document: Mapping[str, object]) -> str:
    """The document in the order of its keys, as block-style YAML in UTF-8 characters."""
    return yaml.dump(
        dict(document),
        Dumper=_ComposeDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=_ENDLESS,
    )
