"""Our findings about flags against vLLM's own parser: every flag of the release, right and wrong, alone and mixed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.catalog.models import find_model
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.canonical import ROPE_FLAGS
from orchestrator.engine.checks import check_flags
from orchestrator.engine.flag_rules import RESERVED, RESERVED_FAMILIES
from orchestrator.engine.flags import Flag, Kind, all_names, completions, flags
from orchestrator.engine.json_keys import CLASSES, json_keys
from orchestrator.engine.values import read_value
from tests.vllm.oracle_process import Answer, Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
ABOUT_SYNTAX = {"E201", "E202", "E203", "E204", "E205", "E208", "E234"}
"""What a parser can know: names, kinds of values, choices, JSON. Ranges and clashes are found later in vLLM, too."""

RIGHT: Mapping[Kind, tuple[FlagValue, ...]] = {
    Kind.SWITCH: (True, False),
    Kind.INTEGER: (1, 2, 17),
    Kind.HUMAN_INTEGER: (4096, "4K", "4k", "1.5k"),
    Kind.HUMAN_INTEGER_OR_AUTO: (4096, "32K", "auto", -1),
    Kind.NUMBER: (0.5, 1),
    Kind.STRING: ("some words", "$x 'y' \"z\"", "ü", "-dash"),
    Kind.JSON: ({}, "{}"),
    Kind.JSON_LIST: (["*"], '["a", "b"]'),
    Kind.JSON_OR_STRING: ("word", {"a": 1}),
}
RIGHT_FOR: Mapping[str, tuple[FlagValue, ...]] = {
    "hf-overrides": ({"a": 1, "b": {"c": [True, None, "x"]}}, '{"a": 1}'),
    "lora-modules": ("name=path", {"name": "a", "path": "b"}),
    "pt-load-map-location": ("cuda:0", {"cuda:0": "cuda:1"}),
}
WRONG: Mapping[Kind, tuple[FlagValue, ...]] = {
    Kind.SWITCH: ("maybe", 3),
    Kind.INTEGER: ("many", 1.5, "2K"),
    Kind.HUMAN_INTEGER: ("12x", 1.5, "K", "1.5K"),
    Kind.HUMAN_INTEGER_OR_AUTO: ("automatic", 2.5, "1.5K"),
    Kind.NUMBER: ("lots", "0,5"),
    Kind.JSON: ("{", "{'a': 1}", "word"),
    Kind.JSON_LIST: ("[", "word"),
}
STRICTER = {
    ("hf-overrides", "{"),
    ("hf-overrides", "word"),
    ("max-num-queued-tokens", "2K"),
    ("max-num-scheduled-tokens", "2K"),
    ("optimization-level", "2K"),
    ("optimization-level", "many"),
    ("optimization-level", 1.5),
}
"""What the parser lets pass and we refuse: most of it fails later, and `2K` we want as a plain number."""


def _is_ours(name: str) -> bool:
    return name in RESERVED or any(name.startswith(family) for family in RESERVED_FAMILIES)


def _free_flags() -> list[Flag]:
    return [flag for name, flag in sorted(flags(RELEASE).items()) if not _is_ours(name)]


def _right(flag: Flag) -> Iterator[FlagValue]:
    plain = RIGHT_FOR.get(flag.name) or flag.choices or RIGHT[flag.kind]
    if flag.kind is Kind.SWITCH and flag.false_spelling is None:
        plain = (True,)
    for value in plain:
        yield [value] if flag.many or flag.repeated else value
    if flag.many and len(plain) > 1:
        yield [value for value in plain if value != "-dash"]  # no argparse takes it after another word


def _wrong(flag: Flag) -> Iterator[FlagValue]:
    if flag.choices:
        yield "no-such-choice"
    else:
        yield from WRONG.get(flag.kind, ())


def _argv(vllm: Mapping[str, FlagValue]) -> list[str]:
    facts = find_model("Qwen/Qwen3-8B")
    assert facts is not None
    return list(
        serve_arguments(model="m", revision=None, served_name="s", vllm=vllm, release=RELEASE, facts=facts, port=8000)
    )


def _as_written(vllm: Mapping[str, FlagValue]) -> list[str]:
    """The command line that says what is written, for values that mean nothing to us and names that we do not know."""
    words = []
    for name, value in vllm.items():
        text = value if isinstance(value, str) else json.dumps(value)
        words += [f"--{name}"] if value is True else [f"--{name}={text}"]
    return ["m", *words]


def _is_accepted(vllm: Mapping[str, FlagValue]) -> bool:
    return not any(problem.code in ABOUT_SYNTAX for problem in check_flags(vllm, RELEASE))


def _parsed(argvs: list[list[str]], oracle: Oracle) -> list[Answer]:
    return oracle.ask([{"ask": "parse", "argv": argv} for argv in argvs])


def _is_read_as(value: FlagValue, flag: Flag, answer: Answer) -> bool:
    """Whether the parser holds what we mean; what it turns into objects of its own is not compared."""
    read, meant = answer["values"].get(flag.name.replace("-", "_")), read_value(flag, value)
    if flag.kind is Kind.HUMAN_INTEGER_OR_AUTO and meant == "auto":
        return bool(read == -1)
    return flag.kind.is_json or read == meant or str(read) == str(meant)


def test_right_values_of_every_flag_are_accepted_and_read_as_meant(oracle: Oracle) -> None:
    written = [(flag, value) for flag in _free_flags() for value in _right(flag)]
    answers = _parsed([_argv({flag.name: value}) for flag, value in written], oracle)
    judged = list(zip(written, answers, strict=True))
    assert [(flag.name, value) for flag, value in written if not _is_accepted({flag.name: value})] == []
    assert [(flag.name, value, answer["error"]) for (flag, value), answer in judged if not answer["ok"]] == []
    assert [(flag.name, value) for (flag, value), answer in judged if not _is_read_as(value, flag, answer)] == []
    assert len(written) > 900


def test_wrong_values_of_every_flag_are_refused_here_and_there(oracle: Oracle) -> None:
    written = [(flag.name, value) for flag in _free_flags() for value in _wrong(flag)]
    answers = _parsed([_as_written({name: value}) for name, value in written], oracle)
    here = [(name, value) for name, value in written if _is_accepted({name: value})]
    there = {each for each, answer in zip(written, answers, strict=True) if answer["ok"]}
    assert (here, there) == ([], STRICTER)
    assert len(written) > 500


def test_names_that_the_release_does_not_know_are_refused_here_and_there(oracle: Oracle) -> None:
    known = flags(RELEASE)
    others = [name for name in all_names() if not (name in known or _is_ours(name) or name in ROPE_FLAGS)]
    misspelt = [f"{name[0]}x{name[1:]}" for name in known]
    written: list[dict[str, FlagValue]] = [{name: 1} for name in (*others, *misspelt)]
    answers = _parsed([_as_written(vllm) for vllm in written], oracle)
    here = [vllm for vllm in written if _is_accepted(vllm)]
    there = [vllm for vllm, answer in zip(written, answers, strict=True) if answer["ok"]]
    assert (here, there) == ([], [])


def _beginnings() -> Iterator[tuple[str, Flag, bool]]:
    """Of every flag the shortest beginning that means it alone, and one letter less, which is ambiguous."""
    for flag in _free_flags():
        cuts = [flag.name[:length] for length in range(1, len(flag.name)) if flag.name[:length] not in flags(RELEASE)]
        meanings = {cut: set(completions(cut, RELEASE).values()) for cut in cuts}
        alone = [cut for cut in cuts if meanings[cut] == {(flag.name, False)}]
        ambiguous = [cut for cut in cuts if len(meanings[cut]) > 1]
        yield from ((cut, flag, True) for cut in alone[:1])
        yield from ((cut, flag, False) for cut in ambiguous[-1:])


def _is_the_same(flag: Flag, one: Answer, other: Answer) -> bool:
    """Errors name the whole flag. Some mappings become objects that are given a number of their own each time."""
    return one == other or bool(flag.kind.is_json and one["ok"] and other["ok"])


def test_beginnings_of_names_are_completed_as_we_say(oracle: Oracle) -> None:
    written = list(_beginnings())
    values = {flag.name: next(_right(flag)) for _, flag, _ in written}
    short = _parsed([_as_written({beginning: values[flag.name]}) for beginning, flag, _ in written], oracle)
    whole = _parsed([_as_written({flag.name: values[flag.name]}) for _, flag, _ in written], oracle)
    other = [
        (beginning, flag.name, answer)
        for (beginning, flag, alone), answer, meant in zip(written, short, whole, strict=True)
        if not (_is_the_same(flag, answer, meant) if alone else "ambiguous option" in answer.get("error", ""))
    ]
    assert other == []
    assert len(written) > 400


def _spellings(flag: Flag) -> list[str]:
    """The names that a profile may give to a flag."""
    others = [alias for alias in flag.aliases if not alias.startswith("-")]
    return [flag.name, flag.name.replace("-", "_"), *others]


SEVERAL_FLAGS = st.lists(st.sampled_from(_free_flags()), min_size=1, max_size=6)
RIGHT_ONES = {flag.name: list(_right(flag)) for flag in _free_flags()}
WRONG_ONES = {
    flag.name: [value for value in _wrong(flag) if (flag.name, value) not in STRICTER] for flag in _free_flags()
}


@st.composite
def _profiles(draw: st.DrawFn) -> dict[str, FlagValue]:
    """Up to six flags under any of their names, most of them right, so that about half of the profiles are."""
    mixed: dict[str, FlagValue] = {}
    for flag in {each.name: each for each in draw(SEVERAL_FLAGS)}.values():
        name = draw(st.sampled_from(_spellings(flag)))
        sort = draw(st.sampled_from(("right",) * 12 + ("wrong", "wrong", "misspelt")))
        if sort == "misspelt":
            mixed[f"{name}x"] = 1
        elif sort == "wrong" and WRONG_ONES[flag.name]:
            mixed[name] = draw(st.sampled_from(WRONG_ONES[flag.name]))
        else:
            mixed[name] = draw(st.sampled_from(RIGHT_ONES[flag.name]))
    return mixed


def test_the_verdict_on_generated_profiles_is_the_parsers(oracle: Oracle) -> None:
    verdicts: list[bool] = []

    @settings(max_examples=2000, deadline=None, derandomize=True, database=None)
    @given(vllm=_profiles())
    def judge(vllm: dict[str, FlagValue]) -> None:
        here = _is_accepted(vllm)
        [answer] = _parsed([_argv(vllm) if here else _as_written(vllm)], oracle)
        verdicts.append(here)
        assert here == answer["ok"], answer

    judge()
    assert len(verdicts) >= 2000
    assert 0.3 < sum(verdicts) / len(verdicts) < 0.7


def test_keys_of_json_flags_are_those_of_the_real_classes(oracle: Oracle) -> None:
    known = [(name, key) for name in CLASSES for key in sorted(json_keys(name, RELEASE))]
    misspelt = [(name, f"{key}x") for name, key in known]
    right, wrong = (
        [answer["error"] if not answer["ok"] else "" for answer in _parsed([_with_key(*each) for each in row], oracle)]
        for row in (known, misspelt)
    )
    assert [each for each, error in zip(known, right, strict=True) if "unexpected_keyword" in error] == []
    assert [each for each, error in zip(misspelt, wrong, strict=True) if "unexpected_keyword" not in error] == []
    assert [each for each in misspelt if _is_accepted({each[0]: {each[1]: 1}})] == []
    assert len(known) > 130


def _with_key(name: str, key: str) -> list[str]:
    return ["m", f"--{name}", json.dumps({key: None})]
