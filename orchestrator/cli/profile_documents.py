"""What profiles say about releases and flags even when they are not valid: for questions that no finding may stop."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.adapters.files import read_text
from orchestrator.domain.diagnostics import Diagnostic, Report, Span
from orchestrator.domain.release import Release

if TYPE_CHECKING:
    from orchestrator.config.yaml_nodes import Document

_SUFFIXES = (".yaml", ".yml")


def pinned_release(directory: str) -> tuple[Release, str] | None:
    """The release that a deployment file of a directory pins, and that file; the first by name that pins one."""
    from orchestrator.config.release_key import readable_release

    for document in _documents([directory], Report()):
        release = readable_release(document.root) if document.root and "project" in document.keys else None
        if release is not None:
            return release, document.file
    return None


def used_flags(paths: Sequence[str], releases: Sequence[Release], report: Report) -> dict[str, list[Span]]:
    """Where flags are written, by the name that they have in the first of the releases that knows them.

    What cannot be read becomes a finding; what is no profile is passed over.
    """
    from orchestrator.config.flags_section import flags_section
    from orchestrator.config.tree_values import places_of

    found: dict[str, list[Span]] = {}
    for document in _documents(paths, report):
        if document.root is None:
            continue
        places = places_of(document.root, document.file)
        for path in (("vllm",), ("defaults", "vllm")):
            for key in flags_section(document, path, places).values:
                found.setdefault(_own_name(key, releases), []).append(places.key((*path, key)))
    return found


def _own_name(key: str, releases: Sequence[Release]) -> str:
    from orchestrator.engine.flags import find_named, plain_name

    meanings = (find_named(key, release) for release in releases)
    known = next((meaning.flag.name for meaning in meanings if meaning is not None), None)
    return known or plain_name(key).partition(".")[0]


def _documents(paths: Sequence[str], report: Report) -> Iterator[Document]:
    """Every profile under the paths and those that deployments list, each once."""
    from orchestrator.config.load import kind_of, outline_of
    from orchestrator.config.yaml_tree import parse

    waiting = [file for path in paths for file in _files(path, report)]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop(0)
        if os.path.normpath(path) in seen:
            continue
        seen.add(os.path.normpath(path))
        text = read_text(path)
        if isinstance(text, Diagnostic):
            report.add(text)
            continue
        document = parse(text, path)
        if kind_of(document) in ("deployment", "service"):
            yield document
            listed = (name for name, _ in outline_of(document).service_files)
            waiting += [os.path.join(os.path.dirname(path), name) for name in listed]


def _files(path: str, report: Report) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(_SUFFIXES) and not name.startswith("."))
    except OSError as error:
        report.add(Diagnostic(code="E122", message=f"`{path}` cannot be listed", notes=(error.strerror or str(error),)))
        return []
    return [os.path.join(path, name) for name in names if not os.path.isdir(os.path.join(path, name))]
