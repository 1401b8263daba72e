"""Takes secrets out of a tree before anything else reads it: each gives one finding, and no later word repeats it."""

from __future__ import annotations

import re

from orchestrator.config.secret_shapes import is_address_with_password, looks_like_secret, names_a_secret
from orchestrator.config.tree_values import clipped
from orchestrator.config.yaml_nodes import BrokenNode, Entry, MappingNode, Node, Place, ScalarNode, SequenceNode
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.profile import KeyPath

_VARIABLES = ("environment",)
"""The mapping whose keys name variables: there, a name alone says that the value is a secret."""


def without_secrets(root: MappingNode, file: str) -> tuple[MappingNode, tuple[Diagnostic, ...]]:
    """The tree without any text that looks like a secret, and a finding (E137) for each that was there.

    A value is replaced by a broken node, which nobody complains about again; a key goes with what stands under it.
    """
    search = _Search(file)
    cleaned = search.mapping(root, ())
    return (cleaned, tuple(search.findings)) if search.findings else (root, ())


class _Search:
    """One walk over all keys and values; the tree's depth is bounded where it is built."""

    def __init__(self, file: str) -> None:
        self.findings: list[Diagnostic] = []
        self._file = file

    def mapping(self, node: MappingNode, path: KeyPath) -> MappingNode:
        cleaned = ((key, self._entry(key, entry, path)) for key, entry in node.entries.items())
        entries = {key: entry for key, entry in cleaned if entry is not None}
        for key, entry in node.lost:
            self._entry(key, entry, path)
        return MappingNode(entries, node.place)

    def _entry(self, key: str, entry: Entry, path: KeyPath) -> Entry | None:
        """The entry without its secrets; None when its key is one."""
        node = entry.node
        if looks_like_secret(key):
            self._add(f"a key {_under(path)}", key, entry.key_place, hidden=(entry.key_place, node.place))
            return None
        if path[:1] == _VARIABLES and names_a_secret(key):
            text = node.text if isinstance(node, ScalarNode) else ""
            self._add(f"`{clipped(key)}`", text, entry.key_place, hidden=(node.place,), name=key)
            return entry._replace(node=BrokenNode(node.place))
        return entry._replace(node=self._node(node, (*path, key), entry.key_place))

    def _node(self, node: Node, path: KeyPath, key_place: Place | None) -> Node:
        match node:
            case MappingNode():
                return self.mapping(node, path)
            case SequenceNode():
                items = tuple(self._node(item, (*path, index), None) for index, item in enumerate(node.items))
                return SequenceNode(items, node.place)
            case ScalarNode() if looks_like_secret(node.text) or _is_secret_variable(node.text, path):
                name = _name(path)
                self._add(f"`{clipped(name)}`", node.text, key_place or node.place, hidden=(node.place,), name=name)
                return BrokenNode(node.place)
            case _:
                return node

    def _add(self, what: str, text: str, place: Place, *, hidden: tuple[Place, ...], name: str = "") -> None:
        self.findings.append(
            Diagnostic(
                code="E137",
                message=f"{what} looks like a secret, and a profile is no place for one",
                span=place.span(self._file),
                hidden=tuple(each.span(self._file) for each in hidden),
                help=(_help(text, name),),
            )
        )


def _is_secret_variable(text: str, path: KeyPath) -> bool:
    """Whether an item of a list of variables, as compose files have them, is `NAME=value` with a name of a secret."""
    name, equals, _ = text.partition("=")
    return path[:1] == _VARIABLES and bool(equals) and names_a_secret(name)


def _under(path: KeyPath) -> str:
    return f"of `{clipped(_name(path))}`" if path else "of this file"


def _name(path: KeyPath) -> str:
    """The key as the user would say it: a variable by its own name, anything else with what it stands under."""
    names = [str(part) for part in path if isinstance(part, str)]
    return names[-1] if path[:1] == _VARIABLES else ".".join(names)


def _help(text: str, name: str) -> str:
    own = "what must stay secret can come from a file of your own: `docker compose -f compose.yaml -f own.yaml up`"
    if is_address_with_password(text):
        return f"write the address without the password; {own}"
    purpose = _purpose(text, name)
    if purpose is None:
        return f"remove it here; {own}"
    key, usual = purpose
    named = clipped(name).upper() if _is_variable(name) and names_a_secret(name) else usual
    how = f"`secrets: {{{key}: {named}}}` in the deployment file"
    return f"remove it here, set the variable where you run `orchestrate`, and name it: {how}"


def _purpose(text: str, name: str) -> tuple[str, str] | None:
    """The key under `secrets` and its usual variable, for the two secrets that vLLM itself takes; None for others."""
    words = set(re.split(r"[^A-Z0-9]+", name.rpartition(".")[2].upper()))
    is_of_hub = bool(words & {"HF", "HUGGING", "HUGGINGFACE"}) and names_a_secret(name)
    if text.startswith("hf_") or is_of_hub:
        return "hf-token", "HF_TOKEN"
    if words in ({"API", "KEY"}, {"VLLM", "API", "KEY"}):
        return "api-key", "VLLM_API_KEY"
    return None


def _is_variable(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) is not None
