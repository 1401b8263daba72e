"""Repairs and reasons as a newcomer meets them: whole boxes, flags as written, sums that add up."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from orchestrator.catalog.cards import KnownGpu, find_gpu, known_gpus
from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Plan, Rejection
from orchestrator.domain.profile import FlagValue, ServiceProfile, Sharing
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB
from orchestrator.planner.boxes import paste_name, smallest_box
from orchestrator.planner.candidacy import Ground
from orchestrator.planner.flag_keys import shown_key, with_values, written_key
from orchestrator.planner.seats import gib_texts_that_add_up, seats_of
from tests.unit.planner.planner_samples import (
    LARGE,
    MIDDLE,
    SMALL,
    YARN,
    cards,
    deployment,
    facts_for,
    gpu,
    planned,
    rig,
    service,
)

LLAMA, BIG_LLAMA = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"
QWEN_14B = "Qwen/Qwen2.5-14B-Instruct"
RELEASE, OLDER = Release.of("0.32.0"), "0.11.2"


def box(short_form: str) -> Inventory:
    inventory = inventory_from_short_form(short_form)
    assert isinstance(inventory, Inventory)
    return inventory


def refused(plan: Plan) -> Rejection:
    (rejection,) = plan.rejections
    return rejection


def changed(profile: ServiceProfile, **flags: FlagValue) -> ServiceProfile:
    return replace(profile, vllm=with_values(profile.vllm, {_dashed(key): flags[key] for key in flags}, RELEASE))


def _dashed(key: str) -> str:
    return key.replace("_", "-")


def gib_in(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"([\d.]+) GiB", text)]


def test_the_interval_of_a_case_too_close_to_call_holds_the_need() -> None:
    profile = service("llama", LLAMA, gpu_memory_utilization=0.99, max_model_len=50000)
    rejection = refused(planned(box("1xRTX3090"), profile, release="0.11.2"))
    assert rejection.code == "E507"
    needed, low, high = gib_in(rejection.notes[0])
    assert low < needed <= high
    levels = [float(level) for level in re.findall(r"utilization ([\d.]+)", rejection.notes[0])]
    assert levels == sorted(levels)
    assert len(levels) == 2


def test_the_interval_of_a_group_holds_the_need_on_the_card_in_doubt() -> None:
    for length in range(60000, 131072, 2048):
        flags: dict[str, FlagValue] = {"rope-scaling": YARN, "tensor-parallel-size": 2, "max-model-len": length}
        profile = service("pair", LARGE, vllm=flags)
        for rejection in planned(cards(2), profile).rejections:
            if rejection.code == "E507":
                assert len(rejection.notes) == 2
                for note in rejection.notes:
                    needed, low, high = gib_in(note)
                    assert low < needed <= high
                return
    raise AssertionError("no length is too close to call")


def test_a_fixed_cache_that_may_just_fit_names_the_memory_of_the_gpu() -> None:
    for size in range(3 * GIB, 20 * GIB, GIB // 8):
        profile = service("a", MIDDLE, kv_cache_memory_bytes=size, max_model_len=4096)
        for rejection in planned(cards(1), profile).rejections:
            if rejection.code == "E507":
                low, high, free = gib_in(rejection.notes[0])
                assert low <= free <= high
                return
    raise AssertionError("no size is too close to call")


def test_a_default_ceiling_is_to_blame_where_without_it_the_service_might_start() -> None:
    profile = service("llama", LLAMA, max_model_len=44500)
    rejection = refused(planned(box("1xRTX3090"), profile, release="0.11.2"))
    assert (rejection.code, rejection.blame) == ("E506", ("vllm", "gpu-memory-utilization"))
    assert rejection.notes[0].startswith("1 of 1 left too little by `gpu-memory-utilization` of 0.9, short by ")
    assert not any("what others hold" in note for note in rejection.notes)


def test_a_higher_ceiling_with_a_shorter_length_is_offered_where_the_ceiling_alone_is_not_enough() -> None:
    profile = service("llama", LLAMA, max_model_len=44500)
    inventory = box("1xRTX3090")
    line = next(line for line in refused(planned(inventory, profile, release=OLDER)).help if line.startswith("raise"))
    found = re.search(r"to ([\d.]+) or more, and lower `max-model-len` from 44500 to (\d+)", line)
    assert found is not None
    level, length = float(found[1]), int(found[2])
    assert planned(
        inventory, changed(profile, gpu_memory_utilization=level, max_model_len=length), release=OLDER
    ).is_feasible
    assert not planned(
        inventory, changed(profile, gpu_memory_utilization=1.0, max_model_len=length + 1), release=OLDER
    ).is_feasible
    lower = changed(profile, gpu_memory_utilization=round(level - 0.001, 3), max_model_len=length)
    assert not planned(inventory, lower, release=OLDER).is_feasible


@pytest.mark.parametrize("length", [39000, 43000, 46000, 60000, 131072])
def test_the_terms_of_one_worker_add_up_to_what_is_asked_for(length: int) -> None:
    profile = service("llama", LLAMA, max_model_len=length)
    for rejection in planned(box("1xRTX3090"), profile).rejections:
        if rejection.asked_bytes is None:
            continue
        (line,) = (note for note in rejection.notes if note.startswith("one worker"))
        assert sum(gib_in(line)) == pytest.approx(round(rejection.asked_bytes / GIB, 2), abs=1e-9)


def test_sizes_that_are_rounded_together_add_up() -> None:
    third = GIB // 3
    assert gib_texts_that_add_up((third, third, third)) == ("0.34 GiB", "0.33 GiB", "0.33 GiB")
    assert gib_texts_that_add_up(()) == ()


def test_a_conflict_shows_the_sum_on_the_gpu_where_it_is() -> None:
    one = service("one", MIDDLE, gpus=(0,), max_model_len=40960)
    pair = service("pair", LARGE, gpus=(0, 1), tensor_parallel_size=2, max_model_len=16384)
    rejection = refused(planned(cards(2), one, pair))
    assert rejection.code == "E508"
    assert rejection.asked_bytes is not None
    assert rejection.available_bytes == int(23.6 * GIB)
    assert rejection.asked_bytes > rejection.available_bytes
    sums = [note for note in rejection.notes if note.startswith("on GPU")]
    assert len(sums) == 1
    assert sums[0].startswith("on GPU 0: `one` ")
    first, second, together, free = gib_in(sums[0])
    assert first + second == pytest.approx(together, abs=0.011)
    assert free < together


def test_a_conflict_of_pieces_says_how_many_fit_on_each_gpu() -> None:
    trio = [service(name, LLAMA, max_model_len=16384) for name in "abc"]
    rejection = refused(planned(cards(2), *trio))
    assert (rejection.asked_bytes, rejection.available_bytes) == (None, None)
    assert [note.partition(":")[0] for note in rejection.notes[3:]] == ["on GPU 0", "on GPU 1"]
    assert "room for one of `a` " in rejection.notes[3]


def test_flags_are_named_as_they_were_written_and_changed_under_the_same_key() -> None:
    profile = service("llama", LLAMA, vllm={"max_model_len": "128k", "gpu_memory_utilization": 0.92})
    rejection = refused(planned(box("1xRTX3090"), profile))
    assert any(line.startswith("lower `max_model_len` of `llama` from 128000 to ") for line in rejection.help)
    assert any(line.startswith("raise `gpu_memory_utilization` ") for line in rejection.help)
    assert not any("max-model-len" in line or "gpu-memory-utilization" in line for line in rejection.help)


def test_keys_are_found_in_any_spelling() -> None:
    flags: dict[str, FlagValue] = {"max_model_len": 1, "hf-overrides.a": 2, "no-enforce-eager": True}
    assert written_key(flags, "max-model-len", RELEASE) == "max_model_len"
    assert written_key(flags, "hf-overrides", RELEASE) is None
    assert shown_key(flags, "tensor-parallel-size", RELEASE) == "tensor-parallel-size"
    twice: dict[str, FlagValue] = {"max_model_len": 1, "max-model-len": 2}
    assert with_values(twice, {"max-model-len": 3}, RELEASE) == {"max-model-len": 3}
    assert with_values(flags, {"enforce-eager": True}, RELEASE) == {**flags, "enforce-eager": True}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"kv-cache-memory-bytes": "100M"}, "write `kv-cache-memory-bytes: 1075838976` or more for `llama`"),
        ({"kv_cache_memory_bytes": 1000}, "write `kv_cache_memory_bytes: 1075838976` or more for `llama`"),
        ({"num-gpu-blocks-override": 7}, "write `num-gpu-blocks-override: 513` or more for `llama`"),
    ],
)
def test_a_fixed_cache_that_is_too_small_is_repaired_to_the_size_that_is_needed(
    flags: dict[str, FlagValue], line: str
) -> None:
    profile = service("llama", LLAMA, vllm={**flags, "max-model-len": 8192})
    rejection = refused(planned(box("1xRTX3090"), profile))
    assert rejection.help == (line,)
    key, value = re.findall(r"`(\S+): (\d+)`", line)[0]
    assert planned(box("1xRTX3090"), replace(profile, vllm={**profile.vllm, key: int(value)})).is_feasible
    smaller = replace(profile, vllm={**profile.vllm, key: int(value) - 1})
    assert not planned(box("1xRTX3090"), smaller).is_feasible
    assert rejection.asked_bytes is not None
    assert rejection.notes[1].startswith(f"KV cache: 8,192 tokens need 1.00 GiB, and `{_dashed(key)}` gives ")


def test_a_fixed_cache_that_is_too_large_is_repaired_to_the_most_that_fits() -> None:
    profile = service("a", SMALL, kv_cache_memory_bytes=40 * GIB, max_model_len=8192)
    rejection = refused(planned(cards(1), profile))
    assert rejection.blame == ("vllm", "kv-cache-memory-bytes")
    found = re.fullmatch(r"write `kv-cache-memory-bytes: (\d+)` or less for `a`", rejection.help[0])
    assert found is not None
    assert planned(cards(1), changed(profile, kv_cache_memory_bytes=int(found[1]))).is_feasible
    assert not planned(cards(1), changed(profile, kv_cache_memory_bytes=int(found[1]) + 1)).is_feasible


@pytest.mark.parametrize(
    ("short_form", "model", "length", "size"), [("4xH100-PCIe", BIG_LLAMA, 32768, 4), ("2xRTX3090", LLAMA, 131072, 2)]
)
def test_more_workers_are_offered_where_the_cards_are_there(
    short_form: str, model: str, length: int, size: int
) -> None:
    profile = service("llama", model, max_model_len=length)
    rejection = refused(planned(box(short_form), profile))
    assert rejection.help[0] == f"set `tensor-parallel-size: {size}` for `llama`"
    assert not any("would start" in line for line in rejection.help)
    assert planned(box(short_form), changed(profile, tensor_parallel_size=size)).is_feasible


def test_a_group_larger_than_the_host_is_told_the_size_that_fits() -> None:
    profile = service("llama", LLAMA, tensor_parallel_size=8, max_model_len=16384)
    rejection = refused(planned(cards(2), profile))
    assert rejection.code == "E505"
    assert rejection.help[:2] == ("plan on a host with 8 GPUs or more", "set `tensor-parallel-size: 1` for `llama`")


def test_more_workers_than_pins_come_without_the_pins() -> None:
    profile = service("llama", LLAMA, gpus=(0,), max_model_len=131072)
    rejection = refused(planned(cards(2), profile))
    assert rejection.help[0] == "set `tensor-parallel-size: 2` for `llama` and leave its `gpus:` out"
    assert planned(cards(2), replace(changed(profile, tensor_parallel_size=2), gpus=None)).is_feasible


def test_another_box_takes_the_whole_deployment_and_says_who_else_is_in_the_way() -> None:
    llama = service("llama", LLAMA, max_model_len=131072)
    qwen = service("qwen", QWEN_14B, max_model_len=32768)
    first, second = planned(box("1xRTX3090"), llama, qwen).rejections
    assert "`qwen` is in the way of a plan, too" in first.notes
    assert "`llama` is in the way of a plan, too" in second.notes
    found = re.search(r"all 2 services together would start on `(\S+)`", second.help[-1])
    assert found is not None
    assert planned(box(found[1]), llama, qwen).is_feasible


def test_a_box_for_services_that_conflict_is_offered_where_nothing_milder_helps() -> None:
    pair = (service("a", LLAMA, max_model_len=16384), service("b", "Qwen/Qwen3-8B", max_model_len=16384))
    rejection = refused(planned(box("1xRTX3090"), *pair))
    found = re.search(r"would start on `(\S+)`", rejection.help[0])
    assert found is not None
    assert planned(box(found[1]), *pair).is_feasible


def test_pins_that_the_other_box_does_not_have_are_left_out() -> None:
    profile = service("a", "Qwen/Qwen3-32B", max_model_len=4096, gpus=(1,))
    line = refused(planned(cards(2), profile)).help[-1]
    found = re.search(r"would start, with `gpus:` left out, on `(\S+)`", line)
    assert found is not None
    assert planned(box(found[1]), replace(profile, gpus=None)).is_feasible


def test_a_crowd_is_not_offered_a_box() -> None:
    ground = Ground(seats=seats_of(cards(1)), release=RELEASE, image=None)
    profile = service("a", SMALL)
    assert smallest_box(ground, (ground.assess(profile, facts_for(profile)["a"]),) * 17) is None
    assert smallest_box(ground, ()) is None


@pytest.mark.parametrize("card", known_gpus(), ids=lambda card: card.name)
def test_the_name_of_every_card_can_be_pasted(card: KnownGpu) -> None:
    name = paste_name(card)
    assert " " not in name
    assert find_gpu(name) == card
    assert [each.name for each in box(f"1x{name}").gpus()] == [card.name]


def test_either_may_be_left_out_where_priorities_are_equal() -> None:
    pair = (service("a", LLAMA, max_model_len=16384), service("b", LLAMA, max_model_len=16384))
    line = refused(planned(cards(1), *pair)).help[-1]
    assert line == "leave out either of `a` and `b` (all have priority 0), or set priorities"
    trio = [service(name, LLAMA, max_model_len=16384) for name in "abc"]
    line = refused(planned(cards(2), *trio)).help[-1]
    assert line == "leave out any one of `a`, `b` and `c` (all have priority 0), or set priorities"
    unequal = (pair[0], replace(pair[1], priority=1))
    line = refused(planned(cards(1), *unequal)).help[-1]
    assert line == "leave out `a` (priority 0): nobody concerned has a lower priority"


def test_more_than_one_to_leave_out_among_equals_says_that_priorities_choose() -> None:
    many = [service(name, SMALL, gpus=(0,), max_model_len=40960) for name in "abcd"]
    assert refused(planned(cards(1), *many)).help[-1] == (
        "leave out `d` (priority 0) and `c` (priority 0): others have the same priority, so set priorities to choose"
    )


def test_a_quantised_form_of_the_model_is_offered_with_the_length_that_it_allows() -> None:
    profile = service("q", QWEN_14B, max_model_len=16384, revision="main")
    rejection = refused(planned(box("1xT4"), profile))
    line = rejection.help[0]
    found = re.fullmatch(
        r"take `model: (\S+)` for `q`, the same model quantised, without its `revision:`, with `max-model-len` at most"
        r" (\d+)",
        line,
    )
    assert found is not None
    model, length = found[1], int(found[2])
    shorter = replace(changed(profile, max_model_len=length), model=model, revision=None)
    assert planned(box("1xT4"), shorter).is_feasible
    assert not planned(box("1xT4"), changed(shorter, max_model_len=length + 1)).is_feasible


def test_a_quantised_form_that_fits_whole_keeps_the_length() -> None:
    profile = service("q", QWEN_14B, max_model_len=2048)
    found = re.fullmatch(
        r"take `model: (\S+)` for `q`, the same model quantised", refused(planned(box("1xT4"), profile)).help[0]
    )
    assert found is not None
    assert planned(box("1xT4"), replace(profile, model=found[1])).is_feasible


@pytest.mark.parametrize(
    "flags",
    [
        {"enable_lora": True},
        {"cpu-offload-gb": 4},
        {"speculative-config": {"model": "meta-llama/Llama-3.2-1B-Instruct", "num_speculative_tokens": 4}},
        {"runner": "pooling"},
        {"load-format": "gguf"},
        {"kv-offloading-size": 8},
        {"prefill-context-parallel-size": 2},
    ],
    ids=lambda flags: next(iter(flags)),
)
def test_a_flag_that_is_priced_or_not_is_never_passed_over(flags: dict[str, FlagValue]) -> None:
    (key,) = flags
    heavy = service("a", SMALL, vllm={**flags, "max-model-len": 8192})
    plain = planned(cards(1), service("a", SMALL, max_model_len=8192))
    plan = planned(cards(1), heavy)
    said = [each for each in plan.warnings if each.code == "W505"]
    if said:
        assert [(each.message, each.blame) for each in said] == [
            (f"`{key}` is not in the prediction", ("vllm", _dashed(key)))
        ]
    else:
        assert plan.placement("a").workers[0].footprint != plain.placement("a").workers[0].footprint


@pytest.mark.parametrize(
    "flags",
    [
        {"enable-lora": False},
        {"speculative-config": {"method": "ngram", "num_speculative_tokens": 4}},
        {"num-gpu-blocks-override": 4096},
        {"cpu-offload-gb": 0},
        {"speculative-config": "nonsense"},
    ],
    ids=str,
)
def test_flags_that_weigh_nothing_or_are_counted_are_no_reason_to_warn(flags: dict[str, FlagValue]) -> None:
    plan = planned(cards(1), service("a", SMALL, vllm={**flags, "max-model-len": 8192}))
    assert [each for each in plan.warnings if each.code == "W505"] == []


def test_what_is_not_priced_is_said_of_a_refusal_too() -> None:
    plan = planned(cards(1), service("a", "Qwen/Qwen3-32B", kv_offloading_size=30))
    assert not plan.is_feasible
    assert [each.code for each in plan.warnings] == ["W505"]
    lost = planned(cards(1), service("a", SMALL, kv_offloading_size=30, gpus=(7,)))
    assert [each.code for each in lost.warnings] == ["W505"]


def test_every_service_has_a_line_about_why_it_is_where_it_is() -> None:
    pinned = service("pinned", SMALL, gpus=(0,), max_model_len=8192)
    big = gpu(1, total_bytes=80 * GIB, free_bytes=79 * GIB, cuda_total_bytes=79 * GIB)
    only_there = service("only-there", "Qwen/Qwen3-32B", max_model_len=4096)
    assert planned(rig(gpu(0), big), pinned, only_there).search_notes == (
        "`pinned` on GPU 0: pinned",
        "`only-there` on GPU 1: the only GPU it fits on",
    )


def test_the_lines_tell_room_links_and_headroom_apart() -> None:
    alone = planned(cards(2), service("a", SMALL, max_model_len=8192)).search_notes
    assert alone == ("`a` on GPU 0: elsewhere `a`, the tightest service, would get no more KV cache",)
    big = gpu(1, total_bytes=48 * GIB, free_bytes=47 * GIB, cuda_total_bytes=47 * GIB)
    assert planned(rig(gpu(0), big), service("a", SMALL, max_model_len=8192)).search_notes == (
        "`a` on GPU 1: most KV cache for it",
    )
    row = rig(*(gpu(number) for number in range(3)), near=((1, 2),))
    linked = planned(row, service("a", LARGE, tensor_parallel_size=2, max_model_len=8192)).search_notes
    assert linked == ("`a` on GPU 1 and GPU 2: the best connected GPUs with room",)
    exclusive = [service(name, SMALL, max_model_len=8192, sharing=Sharing.EXCLUSIVE) for name in "ab"]
    both = planned(cards(2), *exclusive, service("c", SMALL, max_model_len=8192, gpus=(0, 1)))
    assert both.rejections
    tight = [service("a", LLAMA, max_model_len=16384), service("b", SMALL, max_model_len=8192)]
    tiny = gpu(1, total_bytes=12 * GIB, free_bytes=11 * GIB, cuda_total_bytes=11 * GIB)
    notes = planned(rig(gpu(0), tiny), *tight).search_notes
    assert notes == (
        "`a` on GPU 0: the only GPU it fits on",
        "`b` on GPU 1: anywhere else somebody would have no place",
    )


def test_the_tightest_service_is_named_where_another_decides() -> None:
    big = gpu(1, total_bytes=48 * GIB, free_bytes=47 * GIB, cuda_total_bytes=47 * GIB)
    notes = planned(
        rig(gpu(0), big), service("a", LLAMA, max_model_len=16384), service("b", SMALL, max_model_len=4096)
    ).search_notes
    assert notes == (
        "`a` on GPU 1: most KV cache for it",
        "`b` on GPU 0: most KV cache for the tightest service, `a`",
    )
    many = [service(f"s{number}", SMALL, max_model_len=1024, gpu_memory_utilization=0.2) for number in range(33)]
    assert deployment(*many).services[0].name == "s0"
    crowd = planned(cards(16), *many).search_notes
    assert crowd[-1].endswith(": most KV cache for the tightest service")


def test_a_model_for_no_single_card_is_offered_a_box_with_more_workers() -> None:
    profile = service("a", "Qwen/Qwen3-235B-A22B", max_model_len=16384)
    (line,) = refused(planned(box("1xT4"), profile)).help
    found = re.fullmatch(
        r"`a` would start on `(\S+)` with `tensor-parallel-size: (\d+)`, the smallest known box that takes it", line
    )
    assert found is not None
    assert planned(box(found[1]), changed(profile, tensor_parallel_size=int(found[2]))).is_feasible


def test_where_no_box_takes_all_one_is_offered_for_the_service_alone() -> None:
    impossible = service("s", SMALL, tensor_parallel_size=3)
    profile = service("a", "Qwen/Qwen3-32B", max_model_len=4096)
    rejection = planned(cards(1), profile, impossible).rejections[0]
    found = re.fullmatch(
        r"`a` alone would start on `(\S+)`, the smallest known box that takes it; none is known for all 2 services as"
        r" they are written",
        rejection.help[-1],
    )
    assert found is not None
    assert planned(box(found[1]), profile).is_feasible


def test_a_fixed_cache_that_helps_nowhere_is_the_first_thing_to_change() -> None:
    profile = service("a", "Qwen/Qwen3-32B", num_gpu_blocks_override=10, max_model_len=8192)
    assert refused(planned(cards(1), profile)).help == (
        "leave `num-gpu-blocks-override` of `a` out, or write 513 or more: less is enough on no GPU",
    )


@pytest.mark.parametrize("inventory", ["1xA100-PCIE-40GB", "2xRTX3090", "1xL40S"])
def test_the_largest_fixed_cache_on_offer_starts_as_it_is_predicted(inventory: str) -> None:
    profile = service("a", "Qwen/Qwen3-14B-FP8", kv_cache_memory_bytes=60 * GIB, max_model_len=8192)
    found = re.fullmatch(
        r"write `kv-cache-memory-bytes: (\d+)` or less for `a`", refused(planned(box(inventory), profile)).help[0]
    )
    assert found is not None
    assert planned(box(inventory), changed(profile, kv_cache_memory_bytes=int(found[1]))).is_feasible


def test_several_services_pinned_to_one_gpu_are_offered_the_free_ones() -> None:
    crowded = [service(f"s{number}", MIDDLE, gpus=(0,), gpu_memory_utilization=0.9) for number in range(3)]
    (rejection, *_) = planned(cards(8), *crowded).rejections
    assert rejection.help[0] == "leave `gpus:` of `s0` and `s1` out: there is room for them without"
