"""Every recorded override of RoPE scaling, in every release: the length it gives, what is ignored, what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.checks import check_flags
from orchestrator.engine.releases import KNOWN_RELEASES
from orchestrator.engine.rope import derived_max_model_len
from orchestrator.engine.rope_checks import check_lengths
from tests.unit.engine.engine_samples import QWEN3_8B, facts_of

RECORDED = json.loads((Path(__file__).parents[2] / "data" / "rope_outcomes.json").read_text(encoding="utf-8"))
YARN = RECORDED["scaling"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recorded override in one release. `length` None: nobody looked."""

    name: str
    overrides: dict[str, FlagValue]
    asked: int | None
    release: Release
    length: int | str | None
    ignored: bool

    @property
    def vllm(self) -> dict[str, FlagValue]:
        length: dict[str, FlagValue] = {} if self.asked is None else {"max-model-len": self.asked}
        return {**length, **({"hf-overrides": self.overrides} if self.overrides else {})}


def _overrides(case: dict[str, Any]) -> dict[str, FlagValue]:
    scaling = {**YARN, **({"rope_theta": 1000000} if case.get("base") else {})}
    if case.get("original") is False:
        del scaling["original_max_position_embeddings"]
    maximum = {"max_position_embeddings": case["maximum"]} if "maximum" in case else {}
    return {**maximum, **({case["key"]: scaling} if "key" in case else {})}


def _releases(epoch: int) -> list[Release]:
    first, last = (Release.of(text) for text in RECORDED["epochs"][epoch])
    return [each for each in KNOWN_RELEASES if first <= each <= last]


OUTCOMES = [
    Outcome(case["name"], _overrides(case), case.get("asked"), each, length, epoch in case.get("ignored", ()))
    for case in RECORDED["cases"]
    for epoch, length in enumerate(case["lengths"])
    for each in _releases(epoch)
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: f"{outcome.name}-{outcome.release}")
def test_an_override_reaches_as_far_as_was_recorded(outcome: Outcome) -> None:
    written = {problem.code for problem in check_flags(outcome.vllm, outcome.release)}
    lengths = check_lengths(vllm=outcome.vllm, release=outcome.release, config=QWEN3_8B)
    assert ("E213" in written) is outcome.ignored
    assert ("E209" in written) is (outcome.length == "fails")
    if isinstance(outcome.length, int):
        assert derived_max_model_len(QWEN3_8B, outcome.vllm, outcome.release) == outcome.length
        is_refused = outcome.asked is not None and outcome.asked > outcome.length
        assert [problem.code for problem in lengths] == (["E212"] if is_refused else [])


@pytest.mark.parametrize("pinned", [each for epoch in range(5) for each in _releases(epoch)], ids=str)
def test_what_is_rendered_is_a_recorded_override_that_works(pinned: Release) -> None:
    argv = serve_arguments(
        model="Qwen/Qwen3-8B",
        revision=None,
        served_name="m",
        vllm={"rope-scaling": YARN, "max-model-len": 131072},
        release=pinned,
        facts=facts_of(QWEN3_8B),
        port=8000,
    )
    said = dict(pairwise(argv))
    flag = json.loads(said.get("--rope-scaling", "null"))
    overrides = {"rope_scaling": flag} if flag else json.loads(said["--hf-overrides"])
    recorded = [each for each in OUTCOMES if each.release == pinned and each.overrides == overrides and each.asked]
    assert [(each.length, each.ignored) for each in recorded] == [(131072, False)]


def test_every_recorded_release_of_the_table_is_asked_about() -> None:
    assert {each.release for each in OUTCOMES} == {each for each in KNOWN_RELEASES if each >= Release.of("0.6.6")}
