"""One table says what became of every flag: its help, its fix and its migration are the same row."""

from __future__ import annotations

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import ROPE_FLAGS, named
from orchestrator.engine.checks import check_flags
from orchestrator.engine.flags import Kind, all_names, flag, flags, history
from orchestrator.engine.migration import Undecided, replaced, replacement_for
from orchestrator.engine.releases import KNOWN_RELEASES, release_after
from orchestrator.engine.rewrite_table import REWRITES, rewrite_of
from orchestrator.engine.rewrites import Replacement, Rewrite, ValueRewrite
from orchestrator.engine.value_rewrites import VALUE_REWRITES

SAMPLES: dict[Kind, tuple[FlagValue, ...]] = {
    Kind.SWITCH: (True, False),
    Kind.BOOLEAN: (True, False),
    Kind.INTEGER: (0, 1, 8),
    Kind.NUMBER: (0, 4, 0.5),
    Kind.STRING: ("auto", "[ngram]", "x"),
    Kind.JSON: ({}, {"model": "m", "num_speculative_tokens": 2}, {"backend": "xgrammar"}, {"window_size": 3}, {"a": 1}),
}


def release(text: str) -> Release:
    return Release.of(text)


def removed_names() -> list[str]:
    """Every flag that some known release had and a later one has not."""
    newest = KNOWN_RELEASES[-1]
    found = []
    for name in all_names():
        spans = history(name).spans  # type: ignore[union-attr]
        gaps = (release_after(span.last) not in {None, *(other.first for other in spans)} for span in spans)
        if spans[-1].last < newest or any(gaps):
            found.append(name)
    return found


def test_every_flag_that_was_ever_removed_has_a_row() -> None:
    assert {name for name in removed_names() if name not in ROPE_FLAGS} <= {row.old for row in REWRITES}
    assert len(removed_names()) > 60


@pytest.mark.parametrize("name", [name for name in removed_names() if name not in ROPE_FLAGS])
def test_a_removed_flag_has_a_row_in_every_release_without_it(name: str) -> None:
    past = history(name)
    assert past is not None
    without = [each for each in KNOWN_RELEASES if each > past.first and flag(each, name) is None]
    assert without
    assert all(rewrite_of(name, each) is not None for each in without)


@pytest.mark.parametrize("row", REWRITES, ids=lambda row: f"{row.old}-{'-'.join(row.new)}")
def test_a_row_names_flags_that_exist_and_tells_what_it_writes(row: Rewrite) -> None:
    assert row.old in all_names()
    assert set(row.new) <= set(all_names())
    assert row.how
    assert row.why
    for name in row.new[:1]:
        assert name in row.how or row.how.startswith("delete the line")


def samples_of(name: str, known: Release) -> tuple[FlagValue, ...]:
    found = flag(known, name)
    assert found is not None
    return found.choices or SAMPLES.get(found.kind, ())


@pytest.mark.parametrize("name", sorted({row.old for row in REWRITES}))
def test_what_a_row_writes_is_valid_in_every_release_that_it_is_for(name: str) -> None:
    """For each release, and each value that the flag took where it was known."""
    past = history(name)
    assert past is not None
    for target in KNOWN_RELEASES:
        if name in flags(target):
            continue
        for value in samples_of(name, past.last if past.last < target else past.first):
            answer = replacement_for(name, {name: value}, target)
            if isinstance(answer, Replacement):
                after = replaced({name: value}, (answer,))
                assert [p for p in check_flags(after, target) if p.is_error and p.code != "E214"] == [], (value, target)


@pytest.mark.parametrize("row", VALUE_REWRITES, ids=lambda row: f"{row.flag}-{row.old}")
def test_a_value_rewrite_is_between_choices_of_the_flag(row: ValueRewrite) -> None:
    past = history(row.flag)
    assert past is not None
    with_old = [span for span in past.spans if row.old in span.flag.choices]
    only_new = [span for span in past.spans if row.new in span.flag.choices and row.old not in span.flag.choices]
    assert with_old
    assert only_new


@pytest.mark.parametrize(
    ("before", "target", "after"),
    [
        ({"guided-decoding-backend": "xgrammar"}, "0.32.0", {"structured-outputs-config": {"backend": "xgrammar"}}),
        ({"structured-outputs-config": {"backend": "xgrammar"}}, "0.8.5", {"guided-decoding-backend": "xgrammar"}),
        ({"structured-outputs-config.backend": "xgrammar"}, "0.8.5", {"guided-decoding-backend": "xgrammar"}),
        (
            {"speculative-model": "d", "num-speculative-tokens": 5},
            "0.32.0",
            {"speculative-config": {"model": "d", "num_speculative_tokens": 5}},
        ),
        (
            {"speculative-config": {"method": "ngram", "prompt_lookup_max": 4, "num_speculative_tokens": 5}},
            "0.8.1",
            {"speculative-model": "[ngram]", "ngram-prompt-lookup-max": 4, "num-speculative-tokens": 5},
        ),
        ({"disable-mm-preprocessor-cache": True}, "0.32.0", {"mm-processor-cache-gb": 0}),
        ({"mm-processor-cache-gb": 0}, "0.8.5", {"disable-mm-preprocessor-cache": True}),
        ({"limit-mm-per-prompt": "image=1,video=0"}, "0.32.0", {"limit-mm-per-prompt": {"image": 1, "video": 0}}),
        ({"task": "embed"}, "0.32.0", {"runner": "pooling", "convert": "embed"}),
        ({"runner": "pooling", "convert": "embed"}, "0.10.0", {"task": "embed"}),
        ({"runner": "generate"}, "0.8.5", {"task": "generate"}),
        ({"convert": "classify"}, "0.8.5", {"task": "classify"}),
        ({"cuda-graph-sizes": [64]}, "0.32.0", {"max-cudagraph-capture-size": 64}),
        ({"cuda-graph-sizes": [1, 2]}, "0.32.0", {"cudagraph-capture-sizes": [1, 2]}),
        ({"max-cudagraph-capture-size": 64}, "0.10.0", {"cuda-graph-sizes": [64]}),
        ({"enable-reasoning": True, "reasoning-parser": "granite"}, "0.32.0", {"reasoning-parser": "granite"}),
        ({"reasoning-parser": "qwen3"}, "0.8.5", {"reasoning-parser": "deepseek_r1"}),
        ({"reasoning-parser": "GptOss"}, "0.11.0", {"reasoning-parser": "openai_gptoss"}),
        ({"max-model-len": "32k"}, "0.8.3", {"max-model-len": 32000}),
        ({"max_model_len": "32K"}, "0.8.3", {"max_model_len": 32768}),
        ({"disable-log-requests": False}, "0.32.0", {"enable-log-requests": True}),
        ({"enable-log-requests": False}, "0.8.5", {"disable-log-requests": True}),
        ({"no-enable-sleep-mode": True}, "0.6.6", {}),
        ({"num-redundant-experts": 2}, "0.32.0", {"eplb-config": {"num_redundant_experts": 2}}),
        ({"swap-space": 4, "seed": 1}, "0.32.0", {"seed": 1}),
        ({"worker-use-ray": True}, "0.32.0", {"distributed-executor-backend": "ray"}),
        ({"collect-detailed-traces": "model,worker"}, "0.31.0", {"collect-detailed-traces": ["model", "worker"]}),
        ({"enable-multimodal-encoder-data-parallel": True}, "0.32.0", {"mm-encoder-tp-mode": "data"}),
        ({"rope-scaling": {"rope_type": "yarn"}}, "0.32.0", {"rope-scaling": {"rope_type": "yarn"}}),
    ],
)  # fmt: skip
def test_flags_are_said_in_the_words_of_the_other_release(
    before: dict[str, FlagValue], target: str, after: dict[str, FlagValue]
) -> None:
    answers = [replacement_for(key, before, release(target), source=release("0.32.0")) for key in before]
    assert not [answer for answer in answers if isinstance(answer, Undecided)]
    done = tuple(answer for answer in answers if isinstance(answer, Replacement))
    result = replaced(before, done)
    assert {key.replace("-", "_"): value for key, value in result.items()} == {
        key.replace("-", "_"): value for key, value in after.items()
    }


@pytest.mark.parametrize(
    ("before", "target", "why"),
    [
        ({"task": "score"}, "0.32.0", "a task became a runner and a conversion: is this model a cross-encoder "
         "or an embedding model?"),
        ({"device": "cpu"}, "0.32.0", "the image decides: which one is built for this device?"),
        ({"max-model-len": -1}, "0.13.0", "must be at least 1 and at most 1,000,000,000"),
        ({"max-model-len": "auto"}, "0.13.0", "an integer such as `32768`, `32K` or `32k` is needed, this is a string"),
        ({"kv-cache-memory-bytes": 5}, "0.9.0", "nothing takes its place"),
        ({"quantization-param-path": "x"}, "0.32.0", "scales of the KV cache come from the checkpoint now: does this "
         "one have them?"),
        ({"guided-decoding-backend": "xgrammar:no-fallback"}, "0.32.0", "the same setting is a key of "
         "`structured-outputs-config`: which of its backends and options is meant?"),
    ],
)  # fmt: skip
def test_what_only_a_person_can_decide_says_why(before: dict[str, FlagValue], target: str, why: str) -> None:
    (key,) = before
    answer = replacement_for(key, before, release(target))
    assert isinstance(answer, Undecided)
    assert answer.why == why


def test_the_help_of_a_finding_and_what_migrate_writes_are_one_row() -> None:
    for name in removed_names():
        past = history(name)
        newest = KNOWN_RELEASES[-1]
        if past is None or named(name, newest) is not None:
            continue
        for value in samples_of(name, past.last):
            (problem,) = (p for p in check_flags({name: value}, newest) if p.code == "E202")
            row = rewrite_of(name, newest)
            answer = replacement_for(name, {name: value}, newest)
            assert row is not None
            assert problem.help == (row.how,)
            assert problem.repair == (answer if isinstance(answer, Replacement) else None)
