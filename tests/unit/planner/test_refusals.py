"""What is refused, with which numbers, pointing where, and repairs that hold what they promise."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from orchestrator.domain.plan import Plan, Rejection
from orchestrator.domain.profile import ServiceProfile, Sharing
from orchestrator.domain.units import GIB
from orchestrator.planner.boxes import smallest_box
from orchestrator.planner.candidacy import Ground
from orchestrator.planner.company import Company
from orchestrator.planner.giving_up import leave_out
from orchestrator.planner.planning import plan_on
from orchestrator.planner.problem import Option, Problem, Share, Tenant
from orchestrator.planner.search import minimal_conflict
from orchestrator.planner.seats import listed, occupants, seats_of
from tests.unit.planner.planner_samples import (
    LARGE,
    MIDDLE,
    SMALL,
    YARN,
    cards,
    deployment,
    display,
    facts_for,
    gpu,
    planned,
    rig,
    service,
    shipped_services,
)


def only(plan: Plan) -> Rejection:
    assert plan.placements == ()
    (rejection,) = plan.rejections
    return rejection


def with_flags(profile: ServiceProfile, **flags: object) -> ServiceProfile:
    named = {key.replace("_", "-"): value for key, value in flags.items()}
    return replace(profile, vllm={**profile.vllm, **named})  # type: ignore[dict-item]


def offered_length(rejection: Rejection) -> int:
    line = next(line for line in rejection.help if line.startswith("lower `max-model-len`"))
    found = re.search(r"from \d+ to (\d+)", line)
    assert found is not None
    return int(found[1])


def test_a_pin_on_an_index_that_does_not_exist_names_what_does() -> None:
    rejection = only(planned(cards(2), service("a", SMALL, gpus=(0, 7), tensor_parallel_size=2)))
    assert rejection == Rejection(
        code="E501",
        service="a",
        message="no GPU has the index `7`",
        blame=("gpus", 1),
        notes=("there are GPU 0 (NVIDIA GeForce RTX 4090) and GPU 1 (NVIDIA GeForce RTX 4090)",),
        help=("name GPUs that exist", "leave `gpus:` of `a` out: there is room for it without"),
    )


def test_a_pin_on_an_unknown_uuid_names_the_uuids() -> None:
    rejection = only(planned(cards(1), service("a", SMALL, gpus=("GPU-x",))))
    assert rejection.message == "no GPU has the UUID `GPU-x`"
    assert rejection.notes == ("there is `GPU-0` (GPU 0, NVIDIA GeForce RTX 4090)",)


def test_a_pin_that_does_not_exist_is_not_told_to_go_where_nothing_fits_either() -> None:
    one = service("a", LARGE, gpus=(0, 1), tensor_parallel_size=2)
    assert only(planned(cards(1), one)).help == ("plan on a host with 2 GPUs or more",)
    assert only(planned(cards(1), service("b", LARGE, gpus=(3,)))).help == ("name GPUs that exist",)


def test_a_card_in_mig_mode_cannot_be_pinned_but_its_slice_can() -> None:
    parent = gpu(0, mig_enabled=True)
    part = gpu(1, uuid="MIG-1", parent_uuid="GPU-0", total_bytes=10 * GIB, free_bytes=10 * GIB, cuda_total_bytes=None)
    rejection = only(planned(rig(parent, part), service("a", SMALL, gpus=(0,))))
    assert (rejection.code, rejection.blame) == ("E502", ("gpus", 0))
    assert rejection.notes == ("its slices: `MIG-1` (index 1)",)
    small = service("a", SMALL, max_model_len=4096)
    assert planned(rig(parent, part), replace(small, gpus=("MIG-1",))).placement("a").gpu_uuids == ("MIG-1",)
    assert planned(rig(parent, part), small).placement("a").gpu_uuids == ("MIG-1",)
    empty = only(planned(rig(parent), service("a", SMALL, gpus=(0,))))
    assert empty.help == ("create a MIG slice on it, or switch MIG mode off",)


def test_slices_do_not_form_groups() -> None:
    slices = (gpu(1, uuid="MIG-1", parent_uuid="GPU-0"), gpu(2, uuid="MIG-2", parent_uuid="GPU-0"))
    rejection = only(planned(rig(gpu(0, mig_enabled=True), *slices), service("a", LARGE, tensor_parallel_size=2)))
    assert rejection.code == "E506"
    assert rejection.notes[0] == (
        "2 of 2 a MIG slice, which cannot join others in a group (GPU 1 (a MIG slice) and GPU 2 (a MIG slice))"
    )
    assert rejection.blame == ("vllm", "tensor-parallel-size")


def test_one_card_named_by_index_and_by_uuid_is_one_card() -> None:
    rejection = only(planned(cards(3), service("a", LARGE, gpus=(0, "GPU-0"), tensor_parallel_size=2)))
    assert (rejection.code, rejection.message) == ("E503", "`gpus` names GPU 0 twice")
    assert rejection.blame == ("gpus", 1)
    assert rejection.notes == ("the index `0` and the UUID `GPU-0` are the same GPU (NVIDIA GeForce RTX 4090)",)
    assert rejection.help[0] == "name another GPU here: `a` runs on 2 different ones"
    alone = only(planned(cards(1), service("a", LARGE, gpus=("GPU-0", 0), tensor_parallel_size=2)))
    assert alone.help == ("plan on a host with 2 GPUs or more",)


def test_fewer_pins_than_workers() -> None:
    rejection = only(planned(cards(3), service("a", LARGE, gpus=(0,), tensor_parallel_size=2)))
    assert (rejection.code, rejection.message) == ("E503", "`gpus` names 1 GPU, and `a` runs on 2")
    assert rejection.help == ("name 2 of the 3 GPUs", "leave `gpus:` of `a` out: there is room for it without")
    alone = only(planned(cards(1), service("a", LARGE, gpus=(0,), tensor_parallel_size=2)))
    assert alone.help == ("plan on a host with 2 GPUs or more",)


def test_no_gpus_at_all() -> None:
    assert only(planned(rig(), service("a", SMALL))).message == "`a` takes 1 GPU of one host, and there are 0"


def test_a_model_that_no_flag_can_shrink_is_to_blame_itself_and_a_card_is_named_that_takes_it() -> None:
    rejection = only(planned(cards(2), service("a", "Qwen/Qwen3-32B", max_model_len=4096)))
    assert (rejection.code, rejection.blame) == ("E506", ("model",))
    assert rejection.message == "`a` does not fit: 0 of 2 GPUs can take it"
    assert rejection.asked_bytes is not None
    assert rejection.available_bytes is not None
    assert rejection.asked_bytes > 60 * GIB > rejection.available_bytes
    form, box = rejection.help
    assert form.startswith("take `model: Qwen/Qwen3-32B-")
    assert box == "`a` would start on `1xH100-80GB-HBM3`, the smallest known box that takes it"


def test_too_long_a_context_is_repaired_to_exactly_the_longest_length_that_fits() -> None:
    profile = service("a", MIDDLE, max_model_len=40960, gpu_memory_utilization=0.99)
    inventory = rig(gpu(0, total_bytes=12 * GIB, free_bytes=12 * GIB, cuda_total_bytes=12 * GIB))
    rejection = only(planned(inventory, profile))
    assert (rejection.code, rejection.blame) == ("E506", ("vllm", "max-model-len"))
    assert rejection.message == "`a` does not fit on GPU 0"
    length = offered_length(rejection)
    assert planned(inventory, with_flags(profile, max_model_len=length)).is_feasible
    assert not planned(inventory, with_flags(profile, max_model_len=length + 1)).is_feasible


def test_repairs_are_offered_only_where_the_whole_plan_then_fits() -> None:
    medium, mini, micro = shipped_services()
    naive = [with_flags(each, kv_cache_dtype="auto", max_model_len=131072) for each in (medium, mini, micro)]
    plan = planned(cards(3), *naive)
    first, second = plan.rejections
    assert first.help[0] == "set `kv-cache-dtype: fp8` for `medium`: half the bytes per token"
    length = offered_length(second)
    assert "`mini` and `micro`" in second.help[0]
    fixed = [
        with_flags(naive[0], kv_cache_dtype="fp8"),
        *(with_flags(each, max_model_len=length) for each in naive[1:]),
    ]
    assert planned(cards(3), *fixed).is_feasible
    longer = [fixed[0], *(with_flags(each, max_model_len=length + 16) for each in naive[1:])]
    assert not planned(cards(3), *longer).is_feasible


def test_fp8_kv_cache_is_not_offered_where_the_card_cannot() -> None:
    turing = gpu(0, name="Tesla T4", compute_capability=(7, 5), total_bytes=15 * GIB, free_bytes=15 * GIB)
    turing = replace(turing, cuda_total_bytes=int(14.6 * GIB), free_bytes=int(14.6 * GIB))
    rejection = only(planned(rig(turing), service("a", "Qwen/Qwen2.5-14B-Instruct-AWQ", max_model_len=32768)))
    assert not any("kv-cache-dtype" in line for line in rejection.help)
    assert offered_length(rejection) > 1024


def test_a_ceiling_that_is_too_low_is_repaired_to_the_least_that_is_enough() -> None:
    profile = service("a", MIDDLE, gpu_memory_utilization=0.3, max_model_len=16384, kv_cache_dtype="fp8")
    rejection = only(planned(cards(1), profile))
    assert rejection.blame == ("vllm", "gpu-memory-utilization")
    found = re.search(r"raise `gpu-memory-utilization` of `a` to ([\d.]+)", rejection.help[0])
    assert found is not None
    assert planned(cards(1), with_flags(profile, gpu_memory_utilization=float(found[1]))).is_feasible
    assert not planned(cards(1), with_flags(profile, gpu_memory_utilization=float(found[1]) - 0.001)).is_feasible


def test_a_fixed_kv_cache_that_is_too_small_is_named() -> None:
    rejection = only(planned(cards(1), service("a", SMALL, kv_cache_memory_bytes=GIB)))
    assert rejection.blame == ("vllm", "kv-cache-memory-bytes")
    assert "without enough KV cache under `kv-cache-memory-bytes`" in rejection.notes[0]


def test_processes_that_stand_in_the_way_are_named() -> None:
    profile = service("a", MIDDLE, max_model_len=40960, gpus=(0,))
    rejection = only(planned(rig(gpu(0, **display(12.0)), gpu(1)), profile))
    assert rejection.blame == ("gpus",)
    assert "too full with what others hold now" in rejection.notes[0]
    assert rejection.notes[1] == "on GPU 0: Xorg (pid 123, 12.00 GiB)"
    assert "leave `gpus:` of `a` out: there is room for it without" in rejection.help


def test_a_flag_that_no_card_takes_is_refused_with_the_code_of_the_flag() -> None:
    rejection = only(planned(cards(3), service("a", SMALL, tensor_parallel_size=3)))
    assert rejection.code.startswith("E2")
    assert rejection.blame[:2] == ("vllm", "tensor-parallel-size")


def test_a_gpu_that_cannot_run_a_model_is_counted_beside_those_that_are_too_small() -> None:
    old = gpu(0, name="Tesla P100", compute_capability=(6, 0))
    tiny = gpu(1, total_bytes=4 * GIB, free_bytes=4 * GIB, cuda_total_bytes=4 * GIB)
    rejection = only(planned(rig(old, tiny), service("a", MIDDLE)))
    assert rejection.notes[0].startswith("1 of 2 cannot run it (GPU 0): ")
    assert rejection.notes[1].startswith("1 of 2 too small, short by ")


def test_one_gpu_that_fits_is_not_enough_for_a_group_of_two() -> None:
    tiny = gpu(1, total_bytes=4 * GIB, free_bytes=4 * GIB, cuda_total_bytes=4 * GIB)
    rejection = only(planned(rig(gpu(0), tiny), service("a", LARGE, tensor_parallel_size=2, max_model_len=8192)))
    assert rejection.message == "`a` does not fit: 1 of 2 GPUs can take one of its 2 workers"


def trio() -> tuple[ServiceProfile, ...]:
    """Any two of them fit on one card."""
    return tuple(
        service(name, MIDDLE, max_model_len=13312, priority=priority)
        for name, priority in (("medium", 3), ("mini", 2), ("micro", 1))
    )


def test_a_minimal_set_that_cannot_coexist_is_named_with_who_needs_what() -> None:
    rejection = only(planned(cards(1), *trio()))
    assert rejection.code == "E508"
    assert rejection.message == "`medium`, `mini` and `micro` cannot coexist on GPU 0; any two of them can"
    assert (rejection.service, rejection.others) == ("micro", ("medium", "mini"))
    assert len(rejection.notes) == 4
    assert rejection.help[-1] == "leave out `micro` (priority 1): nobody concerned has a lower priority"
    for name in ("medium", "mini", "micro"):
        assert planned(cards(1), *(each for each in trio() if each.name != name)).is_feasible


def test_two_exclusive_services_on_one_gpu_are_told_to_share() -> None:
    one = service("one", SMALL, gpus=(0,), sharing=Sharing.EXCLUSIVE)
    two = service("two", SMALL, gpus=(0,))
    rejection = only(planned(cards(1), one, two))
    assert rejection.message == "`one` and `two` cannot coexist on GPU 0"
    assert rejection.asked_bytes is None
    assert "set `sharing: shared` for `one`" in rejection.help
    assert any("nobody beside it" in note for note in rejection.notes)
    assert planned(cards(1), replace(one, sharing=Sharing.SHARED), two).is_feasible


def test_an_exclusive_service_of_low_priority_is_to_blame_for_its_sharing() -> None:
    one = service("one", SMALL, priority=5)
    two = service("two", SMALL, sharing=Sharing.EXCLUSIVE)
    assert only(planned(cards(1), one, two)).blame == ("sharing",)


def test_conflicts_that_have_nobody_in_common_are_all_reported() -> None:
    pairs = [
        service(f"{name}{number}", SMALL, gpus=(number,), sharing=Sharing.EXCLUSIVE)
        for number in (0, 1)
        for name in "ab"
    ]
    rejections = planned(cards(2), *pairs).rejections
    assert [{rejection.service, *rejection.others} for rejection in rejections] == [{"a0", "b0"}, {"a1", "b1"}] or [
        {rejection.service, *rejection.others} for rejection in rejections
    ] == [{"a1", "b1"}, {"a0", "b0"}]


def test_services_that_share_a_card_too_tightly_are_told_a_common_length() -> None:
    pair = [service(name, SMALL, gpus=(0,), max_model_len=40960) for name in "abcd"]
    rejection = only(planned(cards(1), *pair))
    length = offered_length(rejection)
    assert rejection.help[0].startswith("lower `max-model-len` of `a`, `b`, `c` and `d`")
    assert planned(cards(1), *(with_flags(each, max_model_len=length) for each in pair)).is_feasible
    assert rejection.help[1].startswith("leave out `d` (priority 0) and `c` (priority 0): ")
    assert planned(cards(1), *pair[:2]).is_feasible


def test_too_close_to_call_is_neither_yes_nor_no() -> None:
    profile = service("a", "Qwen/Qwen3-8B", gpu_memory_utilization=0.92)
    card = gpu(0, free_bytes=24 * GIB, cuda_total_bytes=24 * GIB)
    rejection = only(planned(rig(card), profile))
    assert (rejection.code, rejection.blame) == ("E507", ("vllm", "max-model-len"))
    assert rejection.message == "too close to call: whether `a` starts with `max-model-len` 40960"
    assert re.search(r"5\.63 GiB of KV cache are needed on GPU 0, and [\d.]+ GiB to [\d.]+ GiB", rejection.notes[0])
    assert planned(rig(card), with_flags(profile, max_model_len=offered_length(rejection))).is_feasible


def test_a_set_that_is_too_close_to_call_says_so() -> None:
    lengths = range(16384, 40960, 1024)
    codes = [[each.code for each in planned(cards(1), *_pair(length)).rejections] for length in lengths]
    kinds = [row[0] if row else "fits" for row in codes]
    assert kinds == sorted(kinds, key=["fits", "E507", "E508"].index)
    assert set(kinds) == {"fits", "E507", "E508"}


def _pair(length: int) -> tuple[ServiceProfile, ...]:
    return (service("a", MIDDLE, max_model_len=length), service("b", MIDDLE, max_model_len=length))


def test_more_sets_of_gpus_than_can_be_looked_at_are_refused_and_not_cut() -> None:
    unequal = rig(*(gpu(index, free_bytes=int((23 + index / 100) * GIB)) for index in range(40)))
    rejection = only(planned(unequal, service("a", LARGE, tensor_parallel_size=8, max_model_len=8192)))
    assert (rejection.code, rejection.blame) == ("E510", ("gpus",))
    assert rejection.message == "`a` could take 76,904,685 sets of GPUs, too many to look at"
    assert rejection.help == ("name its 8 GPUs under `gpus:`",)


def searched(step_limit: int, *services: ServiceProfile, gpu_count: int = 3) -> Plan:
    inventory = cards(gpu_count)
    wanted = deployment(*services)
    ground = Ground(seats=seats_of(inventory), release=wanted.release, image=wanted.image, step_limit=step_limit)
    return plan_on(ground, deployment=wanted, facts=facts_for(*services), inventory=inventory)


def crowd(count: int, **flags: Any) -> list[ServiceProfile]:
    return [service(f"s{number}", SMALL, max_model_len=2048 + 2048 * number, **flags) for number in range(count)]


def test_a_search_that_was_given_up_is_not_called_impossible() -> None:
    rejection = only(searched(3, *crowd(5)))
    assert (rejection.code, rejection.service) == ("E509", "s0")
    assert rejection.others == ("s1", "s2", "s3", "s4")
    assert rejection.notes == ("nothing is said about whether the services fit",)


def test_a_search_for_a_conflict_that_was_given_up_says_so_beside_what_is_known() -> None:
    plan = searched(3, *crowd(5), service("lost", SMALL, gpus=(9,)))
    assert [rejection.code for rejection in plan.rejections] == ["E501", "E509"]


def test_a_placement_that_is_not_proven_best_says_so() -> None:
    hasty, thorough = searched(8, *crowd(6)), searched(100_000, *crowd(6))
    assert hasty.is_feasible
    assert re.fullmatch(
        r"the best placement found within \d+ steps; open is the smallest headroom \(gap [\d.]+%\)",
        hasty.search_notes[0],
    )
    assert [note.partition(":")[0] for note in thorough.search_notes] == [
        f"`{each.service}` on GPU {each.gpu_indices[0]}" for each in thorough.placements
    ]


def test_a_repair_that_takes_too_long_to_check_is_not_offered() -> None:
    profile = service("long", MIDDLE, max_model_len=900_000, vllm={"rope-scaling": YARN})
    profile = with_flags(profile, max_model_len=131072)
    plan = searched(3, *crowd(5), profile)
    first = plan.rejections[0]
    assert (first.code, first.service) == ("E506", "long")
    assert not any("lower `max-model-len`" in line for line in first.help)


def test_one_utilization_for_unlike_gpus_may_suit_none() -> None:
    big = gpu(1, total_bytes=48 * GIB, free_bytes=20 * GIB, cuda_total_bytes=47 * GIB, name="NVIDIA RTX A6000")
    rejection = only(planned(rig(gpu(0), big), service("a", LARGE, tensor_parallel_size=2, max_model_len=30000)))
    assert rejection.message == "`a` does not fit: 2 of 2 GPUs can take one of its 2 workers"
    assert rejection.notes == (
        "all workers of a group get one `gpu-memory-utilization`, and none suits all GPUs of any group",
    )
    assert rejection.blame == ("gpus",)


def test_nothing_to_leave_out_where_one_alone_is_already_too_much() -> None:
    ground = Ground(seats=seats_of(cards(1)), release=deployment().release, image=None)
    profile = service("a", LARGE)
    assert leave_out((ground.assess(profile, facts_for(profile)["a"]),), Company(ground=ground, others=())) is None


def test_a_service_that_fits_on_no_known_card_is_offered_none() -> None:
    ground = Ground(seats=seats_of(cards(1)), release=deployment().release, image=None)
    profile = service("a", LARGE, kv_cache_memory_bytes=900 * GIB)
    assert smallest_box(ground, (ground.assess(profile, facts_for(profile)["a"]),)) is None


def test_port_findings_come_with_the_others() -> None:
    plan = planned(cards(1), service("a", SMALL, port=9000), service("b", SMALL, port=9000, gpus=(5,)))
    assert [rejection.code for rejection in plan.rejections] == ["E511", "E501"]


def test_words_for_lists_and_occupants() -> None:
    assert [listed(row) for row in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["none", "a", "a and b", "a, b and c"]
    nameless = replace(display(1.0)["processes"][0], name=None, used_bytes=None)
    assert occupants(gpu(0, processes=(nameless,))) == "a process (pid 123)"


def test_a_group_larger_than_any_host_blames_the_flag_that_asks_for_it() -> None:
    for size in (9, 10**8, 10**40):
        rejection = only(planned(cards(4), service("a", SMALL, pipeline_parallel_size=size)))
        assert (rejection.code, rejection.blame) == ("E505", ("vllm", "pipeline-parallel-size"))


def test_hundreds_of_services_get_an_answer_that_can_be_read() -> None:
    services = [service(f"s{number}", SMALL, max_model_len=4096) for number in range(400)]
    made = planned(cards(2), *services)
    assert {each.code for each in made.rejections} <= {"E507", "E508"}
    assert 1 <= len(made.rejections) <= 4
    assert len(repr(made.rejections)) < 40_000
    assert made.rejections[-1].notes[-1].endswith("there may be more conflicts among them")


def test_a_conflict_of_many_names_twenty_and_counts_the_rest() -> None:
    services = [service(f"s{number}", SMALL, max_model_len=4096) for number in range(60)]
    first = planned(cards(8), *services).rejections[0]
    assert len(first.others) == 20
    assert re.search(r"`s19` and \d+ more (cannot coexist|fit together) on", first.message)


def test_a_conflict_is_shown_as_far_as_the_steps_reach() -> None:
    alone = tuple(_tenant(f"t{number}", 501 + number) for number in range(9))
    problem = Problem(tenants=alone, free=(1000,) * 4)
    whole = minimal_conflict(problem)
    assert whole is not None
    assert whole.minimal
    assert len(whole.names) == 5
    hasty = minimal_conflict(problem, step_limit=3)
    assert hasty is not None
    assert not hasty.minimal
    assert set(whole.names) <= set(hasty.names)


def _tenant(name: str, claim: int) -> Tenant:
    share = Share(claim=lambda level: claim, headroom=lambda level: 1.0)
    return Tenant(
        name=name, options=tuple(Option(gpus=(gpu,), shares=(share,), least=1, ceiling=1) for gpu in range(4))
    )


def test_many_gpus_are_named_up_to_twenty_and_then_counted() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"], "or") == "a, b or c"
    assert listed(f"GPU {index}" for index in range(64)).endswith("GPU 18, GPU 19 and 44 more")
