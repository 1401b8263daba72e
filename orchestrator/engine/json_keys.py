"""The keys of the JSON flags whose classes refuse any other, by recorded release."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.flags import plain_name
from orchestrator.engine.problems import FlagProblem, nearest, quoted
from orchestrator.engine.release_rows import merge_rows, neighbours

CLASSES: Mapping[str, str] = {
    "attention-config": "AttentionConfig",
    "compilation-config": "CompilationConfig",
    "ec-transfer-config": "ECTransferConfig",
    "eplb-config": "EPLBConfig",
    "kernel-config": "KernelConfig",
    "kv-events-config": "KVEventsConfig",
    "kv-transfer-config": "KVTransferConfig",
    "pooler-config": "PoolerConfig",
    "profiler-config": "ProfilerConfig",
    "reasoning-config": "ReasoningConfig",
    "structured-outputs-config": "StructuredOutputsConfig",
    "weight-transfer-config": "WeightTransferConfig",
}
"""Flags whose value becomes an object of this class; those that take keys of anybody (`hf-overrides`) are not here."""

_RENAMED = {("compilation-config", "level"): "mode"}
"""Keys that got another name with the same values, known to both releases around the change (0.16.0 to 0.17.1)."""


def recorded_keys(sources: Iterable[str]) -> tuple[str, ...]:
    """`flag.key` for every key of a release, from the texts of its `config/*.py`, where the decorator `config` forbids
    others (from 0.16.0 on)."""
    classes = {node.name: node for text in sources for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    found = (
        f"{flag}.{key}"
        for flag, name in CLASSES.items()
        if name in classes and _forbids(classes[name])
        for key in _fields(classes[name])
    )
    return tuple(sorted(found))


def _forbids(node: ast.ClassDef) -> bool:
    names = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
    return any(isinstance(name, ast.Name) and name.id == "config" for name in names)


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """The annotated names that can be given: no class variables, and none that only the class sets."""
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            is_own = "ClassVar" in ast.unparse(each.annotation) or _is_set_by_itself(each.value)
            if not is_own:
                yield each.target.id


def _is_set_by_itself(value: ast.expr | None) -> bool:
    keywords = value.keywords if isinstance(value, ast.Call) else []
    return any(
        word.arg == "init" and isinstance(word.value, ast.Constant) and word.value.value is False for word in keywords
    )


def merge_keys(document: Mapping[str, Any], release: Release, keys: Iterable[str]) -> dict[str, Any]:
    """`json_keys.json` with one more release, which must be newer than those in it (ValueError otherwise)."""
    return merge_rows(document, release, {key: {} for key in keys}, rows="keys")


@lru_cache(maxsize=1)
def _document() -> Mapping[str, Any]:
    text = files("orchestrator.engine").joinpath("json_keys.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@lru_cache(maxsize=64)
def json_keys(name: str, release: Release) -> frozenset[str]:
    """The keys that a release allows in a JSON flag; empty where it allows any, or nobody recorded them."""
    recorded = tuple(Release.of(text) for text in _document()["releases"])
    if release < recorded[0]:
        return frozenset()
    below, above = neighbours(release, recorded)
    return frozenset(
        key.removeprefix(f"{name}.")
        for key, rows in _document()["keys"].items()
        if key.startswith(f"{name}.")
        and any(Release.of(first) <= above and below <= Release.of(last) for first, last, _ in rows)
    )


def check_json_keys(vllm: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    """E234 for keys inside JSON flags that the release refuses."""
    flags = canonical_flags(vllm, release)
    for name in CLASSES:
        value, allowed = flags.get(name), json_keys(name, release)
        if not isinstance(value, dict) or not allowed:
            continue
        for key in (key for key in value if key and key not in allowed):
            yield _unknown(name, key, allowed, vllm, release)


def _unknown(
    name: str, key: str, allowed: frozenset[str], vllm: Mapping[str, FlagValue], release: Release
) -> FlagProblem:
    dotted = f"{name}.{key}"
    written = next((each for each in vllm if f"{plain_name(each)}.".startswith(f"{dotted}.")), None)
    flag = written or written_key(name, vllm, release)
    meant = _RENAMED.get((name, key)) or nearest(key, sorted(allowed))
    return FlagProblem(
        code="E234",
        flag=flag,
        path=() if written else (key,),
        message=f"unknown key {quoted(key)} in `{name}`",
        label=f"vLLM {release} refuses it",
        help=(f"did you mean `{meant}`?" if meant else f"delete it; the release takes {len(allowed)} other keys here",),
    )
