"""Rules about memory in words, from one release to another."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

from orchestrator.domain.release import Release
from orchestrator.engine.memory_rules import MemoryRules, Sampler, memory_epochs, memory_rules
from orchestrator.memory.rule_changes import SENTENCES, rule_changes

R = Release.of


def test_every_rule_has_words_or_is_known_to_need_none() -> None:
    assert list(SENTENCES) == [field.name for field in fields(MemoryRules)]
    assert {name for name, sentence in SENTENCES.items() if sentence is None} == {
        "since",
        "error_names_device",
        "rounds_budget_up",
    }


def test_releases_of_one_epoch_do_the_same() -> None:
    assert rule_changes(R("0.29.0"), R("0.31.0")) == ()


def test_what_0_20_changed_is_said_with_its_figures() -> None:
    assert rule_changes(R("0.19.1"), R("0.20.0")) == (
        "default `gpu-memory-utilization`: 0.92, not 0.9: 2 % of the GPU more where the flag is not written",
        "memory for CUDA graphs is taken out of the budget before the KV cache: the V1 runner's, not nobody's",
    )


def test_the_sampler_is_said_as_what_it_is_worth() -> None:
    assert rule_changes(R("0.16.0"), R("0.17.0")) == (
        "the profile run samples with Triton top-k/top-p, not with PyTorch sort: 61 % less at the peak of the logits"
        " (about 15 bytes for each, not 38), which the KV cache gains",
        "`performance-mode: throughput` doubles the default batch sizes",
    )
    assert rule_changes(R("0.17.0"), R("0.16.0"))[0].endswith(
        "157 % more at the peak of the logits (about 38 bytes for each, not 15), which the KV cache loses"
    )
    (same,) = (sentence for sentence in rule_changes(R("0.8.5"), R("0.33.0")) if "profile run samples" in sentence)
    assert same == f"the profile run samples with {Sampler.FLASHINFER}, not with {memory_rules(R('0.8.5')).sampler}"


def test_batch_sizes_and_runners_are_spelt_out() -> None:
    assert rule_changes(R("0.27.1"), R("0.28.0")) == (
        "largest batch with a CUDA graph on B200 and B300: 1,024, not 512",
        "default `max-num-batched-tokens` and `max-num-seqs`: 16,384 and 1,024 from 160 GiB;"
        " 8,192 and 1,024 from 70 GiB (not A100); 2,048 and 256 below that",
    )
    assert rule_changes(R("0.21.0"), R("0.22.0")) == (
        "the V2 model runner is the default for Qwen3ForCausalLM (without experts, not quantised)",
    )
    assert rule_changes(R("0.24.0"), R("0.25.0"))[-1] == (
        "the V2 model runner is the default for all models (without experts, without recurrent layers)"
    )
    assert rule_changes(R("0.22.0"), R("0.21.0")) == ("no model gets the V2 model runner by default",)
    assert rule_changes(R("0.32.0"), R("0.33.0")) == (
        "cards of compute capability 12.1 get the least default batch sizes, whatever their memory",
    )
    assert rule_changes(R("0.33.0"), R("0.32.0")) == ("default batch sizes follow the card's memory alone",)
    assert rule_changes(R("0.8.0"), R("0.7.3"))[-1] == (
        "default `max-num-batched-tokens` and `max-num-seqs`: 2,048 and 256 on every card"
    )


def test_every_step_between_epochs_can_be_told_both_ways() -> None:
    since = [release for release, _ in memory_epochs()]
    for older, newer in pairwise(since):
        up, down = rule_changes(older, newer), rule_changes(newer, older)
        assert len(up) == len(down)
        assert all(sentence and "None" not in sentence and "True" not in sentence for sentence in (*up, *down))
        assert not set(up) & set(down)
