"""The model classes that each recorded release has of its own, and what becomes of models without one."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flag_values import switch
from orchestrator.engine.problems import FlagProblem
from orchestrator.engine.release_rows import merge_rows, neighbours

_TRANSFORMERS_SINCE = Release.of("0.7.1")
"""From here on a model without a class of vLLM's is tried with the one of the Transformers library."""


def recorded_architectures(registry: str) -> tuple[str, ...]:
    """The architectures that a release has classes for, from the text of its `models/registry.py` (`models/__init__.py`
    up to 0.6.1): the keys of the dictionaries whose values name a module and a class."""
    tree = ast.parse(registry)
    names = {name for node in tree.body for name in _named_classes(getattr(node, "value", None))}
    return tuple(sorted(names))


def _named_classes(value: object) -> Iterator[str]:
    if isinstance(value, ast.Dict):
        for key, named in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(named, ast.Tuple):
                yield key.value


def merge_architectures(document: Mapping[str, Any], release: Release, names: Iterable[str]) -> dict[str, Any]:
    """`architectures.json` with one more release, which must be newer than those in it (ValueError otherwise)."""
    return merge_rows(document, release, {name: {} for name in names}, rows="architectures")


@lru_cache(maxsize=1)
def _document() -> Mapping[str, Any]:
    text = files("orchestrator.engine").joinpath("architectures.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@lru_cache(maxsize=1)
def _recorded() -> tuple[Release, ...]:
    return tuple(Release.of(text) for text in _document()["releases"])


def architecture_spans(name: str) -> tuple[tuple[Release, Release], ...]:
    """The rows of recorded releases that have a class for an architecture, oldest first."""
    rows = _document()["architectures"].get(name, ())
    return tuple((Release.of(first), Release.of(last)) for first, last, _ in rows)


def has_class(name: str, release: Release) -> bool:
    """Whether a release has a class for an architecture; between two recorded releases what either has counts."""
    below, above = neighbours(release, _recorded())
    return any(first <= above and below <= last for first, last in architecture_spans(name))


def check_architecture(
    *, vllm: Mapping[str, FlagValue], release: Release, config: ModelConfig
) -> Iterator[FlagProblem]:
    """Findings about a model that the release has no class for; one that no release knows is left to vLLM, unless it
    brings code of its own."""
    name = config.architecture
    if not name or has_class(name, release):
        return
    trusted = switch(canonical_flags(vllm, release), "trust-remote-code") is True
    if any(each.startswith("AutoModel") for each in config.remote_classes):
        if not trusted:
            yield _needs_trust(name, release)
    elif spans := architecture_spans(name):
        yield _without_class(name, spans, release)


def _needs_trust(name: str, release: Release) -> FlagProblem:
    return FlagProblem(
        code="E232",
        flag="",
        message=f"vLLM {release} has no class for `{name}`, and the checkpoint's own code is not trusted",
        label="brings code of its own",
        notes=("config.json names classes of the checkpoint under `auto_map`; they run as code on your machine",),
        help=("read that code, pin a `revision:` and write `trust-remote-code: true` under `vllm:`",),
    )


def _without_class(name: str, spans: tuple[tuple[Release, Release], ...], release: Release) -> FlagProblem:
    later = [first for first, _ in spans if first > release]
    pin = f"pin vLLM {later[0]} or later" if later else f"pin vLLM {spans[-1][1]}"
    falls_back = release >= _TRANSFORMERS_SINCE
    return FlagProblem(
        code="W231" if falls_back else "E231",
        flag="",
        severity=Severity.WARNING if falls_back else Severity.ERROR,
        message=f"vLLM {release} has no class for `{name}`",
        label="starts only if the Transformers library of the image has it" if falls_back else "does not start",
        notes=(f"first release with one: {later[0]}" if later else f"last release with one: {spans[-1][1]}",),
        help=(f"{pin}, or name another model",),
    )
