"""What an ambiguous value means where only one of its meanings fits: a switch is not the text `yes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.config.structure import field_at
from orchestrator.config.table import Section
from orchestrator.config.tree_values import walk
from orchestrator.config.yaml_nodes import BrokenNode, Document
from orchestrator.domain.diagnostics import Diagnostic, Fix, TextEdit
from orchestrator.domain.profile import KeyPath
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import named
from orchestrator.engine.flags import Kind

_NUMBERS = frozenset({Kind.INTEGER, Kind.HUMAN_INTEGER, Kind.HUMAN_INTEGER_OR_AUTO, Kind.NUMBER})
_TRUTHS = frozenset({Kind.SWITCH, Kind.BOOLEAN})


def with_fixes_of_ambiguities(document: Document, table: type[Section], release: Release) -> Iterator[Diagnostic]:
    """The findings of a document; ambiguous values whose key wants one kind of value only get a fix."""
    if document.root is None or not any(finding.code == "E107" for finding in document.findings):
        yield from document.findings
        return
    fixes: dict[object, Fix] = {}
    for path, _, node in walk(document.root, ()):
        if isinstance(node, BrokenNode) and node.text:
            span = node.place.span(document.file)
            word = _meant(node, path, table, release)
            if word:
                fixes[span] = Fix(title=f"write `{word}`", edits=(TextEdit(span=span, text=word),))
    for finding in document.findings:
        yield replace(finding, fix=fixes.get(finding.span)) if finding.code == "E107" else finding


def _meant(node: BrokenNode, path: KeyPath, table: type[Section], release: Release) -> str:
    if node.place.end_column - node.place.column != len(node.text):
        return ""
    wanted = _wanted(path, table, release)
    if wanted is str:
        return f'"{node.text}"'
    is_truth = node.word in ("true", "false")
    return node.word if wanted is (bool if is_truth else float) else ""


def _wanted(path: KeyPath, table: type[Section], release: Release) -> type | None:
    """The one kind of value that fits at a path: text, numbers (float) or truth values; None where several do."""
    if path[-2:-1] == ("vllm",):
        meaning = named(str(path[-1]), release)
        if meaning is None or meaning.dotted:
            return None
        kind = meaning.flag.kind
        return bool if kind in _TRUTHS else float if kind in _NUMBERS else str if kind is Kind.STRING else None
    if path[:-1] == ("environment",):
        return str
    field = field_at(table, path)
    annotation = field.annotation if field else None
    return float if annotation is int else annotation if annotation in (str, float) else None
