"""Our findings about environment variables against the real `vllm.envs`."""

from __future__ import annotations

import pytest

from orchestrator.domain.release import Release
from orchestrator.engine.environment import Takes, Variable, variable, variable_names
from orchestrator.engine.environment_checks import check_environment
from orchestrator.engine.environment_recording import recorded_variables
from tests.vllm.oracle_process import Answer, Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
TEXTS = ("1", "0", "7", "true", "no", "2.5", "many", "1,2", "")
DOES_MORE = {"VLLM_RUST_FRONTEND_PATH", "VLLM_USE_RUST_FRONTEND", "VLLM_USE_RUST_BENCH"}
"""Their getters look for files beside the text."""


def _known() -> list[Variable]:
    found = (variable(name, RELEASE) for name in variable_names(RELEASE))
    return [each for each in found if each is not None and each.name not in DOES_MORE]


def _answers(written: list[tuple[str, str]], oracle: Oracle) -> list[Answer]:
    return oracle.ask([{"ask": "variable", "name": name, "text": text} for name, text in written])


def test_the_recorded_variables_are_those_of_the_release(oracle: Oracle) -> None:
    [answer] = oracle.ask([{"ask": "variables"}])
    theirs = {name for name in answer["names"] if name.startswith("VLLM_")}
    assert theirs <= set(variable_names(RELEASE))
    read = {each.name: each for each in recorded_variables(answer["source"])}
    assert {name: variable(name, RELEASE) for name in read} == read
    assert len(read) > 290


def test_the_release_fails_on_the_texts_that_we_refuse_and_on_no_others(oracle: Oracle) -> None:
    [answer] = oracle.ask([{"ask": "variables"}])
    written = [(each.name, text) for each in _known() if each.name in answer["names"] for text in TEXTS]
    here = ["E218" in {each.code for each in check_environment({name: text}, {}, RELEASE)} for name, text in written]
    there = [not answer["ok"] for answer in _answers(written, oracle)]
    judged = zip(written, here, there, strict=True)
    plain = [(pair, one, other) for pair, one, other in judged if _is_understood(pair[0])]
    assert [pair for pair, one, other in plain if one != other] == []
    assert len(plain) > 1500


def _is_understood(name: str) -> bool:
    known = variable(name, RELEASE)
    return known is not None and known.takes is not Takes.TEXT


def test_words_that_mean_yes_are_those_of_the_release(oracle: Oracle) -> None:
    words = [(each, text) for each in _known() if each.takes is Takes.WORDS for text in ("1", "true", "TRUE", "yes")]
    answers = _answers([(each.name, text) for each, text in words], oracle)
    meant = [(text.lower() if each.loose else text) in each.words for each, text in words]
    wrong = [
        (each.name, text, answer.get("value"))
        for (each, text), yes, answer in zip(words, meant, answers, strict=True)
        if answer["ok"] and isinstance(answer["value"], bool) and answer["value"] is not yes
    ]
    assert wrong == []
