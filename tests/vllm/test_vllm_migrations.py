"""What `migrate` writes for the release at hand, judged by its own parser and its own configuration classes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.catalog.models import find_model
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.flags import Flag, Kind, flags, history
from orchestrator.engine.migration import replaced, replacement_for
from orchestrator.engine.rewrite_table import REWRITES
from orchestrator.engine.rewrites import Replacement
from tests.vllm.oracle_process import Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
VALUES: dict[Kind, tuple[FlagValue, ...]] = {
    Kind.SWITCH: (True, False),
    Kind.BOOLEAN: (True, False),
    Kind.INTEGER: (1, 8),
    Kind.NUMBER: (0, 4),
    Kind.STRING: ("auto", "word"),
    Kind.JSON: ({},),
}


def _old_flag(name: str) -> Flag:
    past = history(name)
    assert past is not None
    return [span.flag for span in past.spans if span.last < RELEASE][-1]


def _migrated() -> list[tuple[str, dict[str, FlagValue]]]:
    """Every flag that the release lost, with every kind of value, in the words of the release."""
    found = []
    for name in sorted({row.old for row in REWRITES} - set(flags(RELEASE))):
        old = _old_flag(name)
        for value in old.choices or VALUES.get(old.kind, ()):
            written: dict[str, FlagValue] = {name: [value] if old.many else value}
            answer = replacement_for(name, written, RELEASE)
            if isinstance(answer, Replacement):
                found.append((name, _with_its_backend(name, replaced(written, (answer,)))))
    return found


_BACKEND = {
    "guided-decoding-disable-additional-properties": "guidance",
    "guided-decoding-disable-any-whitespace": "guidance",
}
"""These wanted a backend in every release, and want it now."""


def _with_its_backend(name: str, vllm: Mapping[str, FlagValue]) -> dict[str, FlagValue]:
    config = vllm.get("structured-outputs-config")
    if name not in _BACKEND or not isinstance(config, dict):
        return dict(vllm)
    return {**vllm, "structured-outputs-config": {**config, "backend": _BACKEND[name]}}


def test_the_parser_takes_what_is_written_instead_of_every_flag_that_is_gone(oracle: Oracle) -> None:
    facts = find_model("Qwen/Qwen3-8B")
    assert facts is not None
    migrated = _migrated()
    argvs = [
        list(
            serve_arguments(model="m", revision=None, served_name="s", vllm=v, release=RELEASE, facts=facts, port=8000)
        )
        for _, v in migrated
    ]
    answers = oracle.ask([{"ask": "parse", "argv": argv} for argv in argvs])
    refused = [
        (name, vllm, each["error"]) for (name, vllm), each in zip(migrated, answers, strict=True) if not each["ok"]
    ]
    assert refused == []
    assert len(migrated) > 60
