"""Hosts without a GPU: what runs, the RAM, the bound on speed, what helps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.advisor.host import HostAnswer, HostTable, bandwidth_of, host_table
from orchestrator.domain.model_config import ModelFacts, Quantization
from orchestrator.domain.plan import Verdict
from orchestrator.domain.units import gib
from tests.unit.advisor.advisor_samples import facts_of, forms, judged, question

SMALL = "Qwen/Qwen2.5-0.5B-Instruct"


def asked(
    model: str | tuple[ModelFacts, ...], *, ram: float | None = None, gb: float | None = None, **more: Any
) -> HostTable:
    facts = forms(model) if isinstance(model, str) else model
    ram_bytes = None if ram is None else gib(ram)
    return host_table(facts, question(**more), bandwidth=bandwidth_of(gb), ram_bytes=ram_bytes)


def by_label(found: HostTable) -> dict[str, HostAnswer]:
    return {answer.form.precision.label: answer for answer in found.answers}


def test_each_token_reads_every_weight_once() -> None:
    answer = by_label(asked(SMALL, gb=50))["bf16"]
    assert answer.footprint is not None
    assert answer.footprint.read_per_token_bytes == facts_of(SMALL).checkpoint_bytes
    assert answer.tokens_per_second is not None
    low, expected, high = answer.tokens_per_second
    assert 49 < expected == high < 51
    assert low == pytest.approx(expected / 2)


def test_the_assumed_bandwidth_is_an_interval_that_says_what_it_stands_for() -> None:
    found = asked(SMALL)
    assert (found.bandwidth.low, found.bandwidth.expected, found.bandwidth.high) == (
        20 * 10**9,
        50 * 10**9,
        100 * 10**9,
    )
    assert found.bandwidth.source.startswith("assumed: two channels of DDR4-3200")


def test_the_speed_measured_on_a_real_host_is_below_the_bound_and_above_its_low_end() -> None:
    """vLLM 0.32 on 2 cores that read 33 GB/s: 26 tokens/s of Qwen2.5-0.5B, 9.7 of 1.5B, 5.2 of 1.5B AWQ."""
    for model, label, measured in (
        (SMALL, "bf16", 26.2),
        ("Qwen/Qwen2.5-1.5B-Instruct", "bf16", 9.7),
        ("Qwen/Qwen2.5-1.5B-Instruct", "4 bit AWQ", 5.2),
    ):
        rates = by_label(asked(model, gb=33.4))[label].tokens_per_second
        assert rates is not None
        assert rates[0] <= measured <= rates[2]


def test_the_ram_measured_on_a_real_host_lies_within_the_interval() -> None:
    """Resident after the start, three processes, less a KV cache of 0.5 GiB: 3.22, 5.67 and 4.25 GiB."""
    for model, label, measured in (
        (SMALL, "bf16", 3.22),
        ("Qwen/Qwen2.5-1.5B-Instruct", "bf16", 5.67),
        ("Qwen/Qwen2.5-1.5B-Instruct", "4 bit AWQ", 4.25),
    ):
        priced = by_label(asked(model))[label].footprint
        assert priced is not None
        without_cache = (size - priced.kv_cache_bytes for size in (priced.taken.low, priced.taken.high))
        low, high = without_cache
        assert low <= gib(measured) <= high


def test_ram_that_is_known_is_judged() -> None:
    verdicts = [by_label(asked(SMALL, ram=ram))["bf16"].verdict for ram in (2, 4, 16)]
    assert verdicts == [Verdict.REFUSES, Verdict.TOO_CLOSE, Verdict.STARTS]
    assert by_label(asked(SMALL))["bf16"].verdict is None


def test_with_little_ram_the_form_that_runs_is_taken() -> None:
    big = asked("Qwen/Qwen2.5-14B-Instruct", ram=20)
    assert big.fastest is not None
    assert big.fastest.form.precision.label == "4 bit AWQ"
    roomy = asked("Qwen/Qwen2.5-14B-Instruct")
    assert (roomy.fastest, roomy.smallest) != (None, None)
    assert roomy.fastest is not roomy.smallest
    assert asked("Qwen/Qwen2.5-14B-Instruct", ram=4).fastest is None


def test_what_helps_is_computed_with_its_factor() -> None:
    helps = {each.what: round(each.factor, 1) for each in asked(SMALL).speed_ups}
    assert helps == {
        "Qwen/Qwen2.5-0.5B-Instruct-AWQ (4 bit AWQ works on CPUs), given many cores": 2.2,
        "distilbert/distilgpt2, a smaller model": 6.0,
        "20 new tokens instead of 50: the time is one step per token": 2.5,
    }


def test_a_larger_model_is_pointed_to_a_smaller_one_of_its_maker_first() -> None:
    helps = [each.what for each in asked("Qwen/Qwen2.5-14B-Instruct").speed_ups]
    assert helps[1].startswith("Qwen/")
    assert helps[2] == "distilbert/distilgpt2, a smaller model"


def test_bitsandbytes_is_refused_with_the_reason_and_the_fix() -> None:
    facts = facts_of(SMALL)
    config = replace(facts.config, quantization=Quantization(method="bitsandbytes", bits=8))
    found = asked((replace(facts, config=config),))
    (answer,) = found.answers
    assert answer.refusal is not None
    assert "'Int8Params' object has no attribute 'SCB'" in answer.refusal.reason
    assert "trying again does not help" in answer.refusal.reason
    assert "unquantised model in bfloat16" in answer.refusal.help
    assert not answer.runs
    assert found.fastest is None
    assert found.speed_ups == ()


def test_the_load_format_asks_for_bitsandbytes_too() -> None:
    found = asked(SMALL, release="0.27.1", flags={"load-format": "bitsandbytes"})
    plain = by_label(found)["bf16"]
    assert plain.refusal is not None
    assert "'Int8Params'" in plain.refusal.reason
    assert plain.unquantised is not None
    assert found.running == ()


def test_bitsandbytes_while_loading_is_refused_as_well_and_allowed_on_a_gpu() -> None:
    flags = {"quantization": "bitsandbytes"}
    found = asked((facts_of("Qwen/Qwen2.5-7B-Instruct"),), release="0.27.1", flags=flags)
    (answer,) = found.answers
    assert answer.form.precision.label == "4 bit bnb"
    assert answer.refusal is not None
    assert "'Int8Params'" in answer.refusal.reason
    assert judged("Qwen/Qwen2.5-7B-Instruct", "T4", "0.27.1", flags=flags).starts


def test_a_flag_that_contradicts_a_form_refuses_it_there_too() -> None:
    found = by_label(asked("Qwen/Qwen2.5-7B-Instruct", release="0.27.1", flags={"quantization": "bitsandbytes"}))
    refusal = found["4 bit AWQ"].refusal
    assert refusal is not None
    assert "contradicts the checkpoint" in refusal.reason


def test_a_refused_form_comes_with_the_ram_of_the_unquantised_model() -> None:
    """Told from the quantised layers alone, it is close to the real thing."""
    found = by_label(asked("Qwen/Qwen2.5-7B-Instruct"))
    refused, real = found["8 bit GPTQ"].unquantised, found["bf16"].footprint
    assert refused is not None
    assert real is not None
    assert refused.ram.expected == pytest.approx(real.ram.expected, rel=0.05)
    assert gib(14) < real.taken.expected < gib(20)


def test_flags_that_change_memory_and_speed_count_without_a_gpu_too() -> None:
    plain, wide = by_label(asked(SMALL))["bf16"], by_label(asked(SMALL, flags={"dtype": "float32"}))["bf16"]
    assert plain.footprint is not None
    assert wide.footprint is not None
    assert wide.footprint.read_per_token_bytes == 2 * plain.footprint.read_per_token_bytes
    assert wide.footprint.kv_cache_bytes == 2 * plain.footprint.kv_cache_bytes
    assert wide.command.startswith("vllm serve Qwen/Qwen2.5-0.5B-Instruct --host 127.0.0.1 --dtype float32 ")


def test_only_the_chosen_experts_are_read() -> None:
    answer = by_label(asked("Qwen/Qwen3-30B-A3B"))["bf16"]
    assert answer.footprint is not None
    assert answer.footprint.read_per_token_bytes < facts_of("Qwen/Qwen3-30B-A3B").checkpoint_bytes / 8


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (
            "0.33.0",
            "vllm serve Qwen/Qwen2.5-0.5B-Instruct --host 127.0.0.1 --dtype bfloat16"
            " --kv-cache-memory-bytes 102236160 --max-model-len 8192",
        ),
        (
            "0.19.1",
            "VLLM_CPU_KVCACHE_SPACE=1 vllm serve Qwen/Qwen2.5-0.5B-Instruct --host 127.0.0.1 --dtype bfloat16"
            " --max-model-len 8192",
        ),
    ],
)
def test_the_command_says_the_size_of_the_cache_as_the_release_takes_it(release: str, expected: str) -> None:
    assert by_label(asked(SMALL, release=release))["bf16"].command == expected
