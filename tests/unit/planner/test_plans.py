"""Whole plans: who sits where, what is granted and why it is less than asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Plan, Reduction, Verdict
from orchestrator.domain.profile import Requirements, ServiceProfile, Sharing
from orchestrator.domain.units import GIB
from orchestrator.memory.prediction import claim_bytes
from tests.unit.planner.planner_samples import (
    LARGE,
    MIDDLE,
    SMALL,
    YARN,
    cards,
    display,
    gpu,
    planned,
    rig,
    service,
    shipped_services,
)


def places(plan: Plan) -> dict[str, tuple[int, ...]]:
    return {placement.service: placement.gpu_indices for placement in plan.placements}


def claimed(plan: Plan, uuid: str) -> int:
    return sum(
        claim_bytes(worker.footprint, placement.utilization)
        for placement in plan.placements
        for worker in placement.workers
        if worker.gpu_uuid == uuid
    )


def holds(plan: Plan) -> bool:
    within = all(claimed(plan, each.uuid) <= each.free_bytes for each in plan.inventory.gpus())
    starts = all(
        worker.prediction.verdict is Verdict.STARTS for placement in plan.placements for worker in placement.workers
    )
    return plan.is_feasible and within and starts


def codes(plan: Plan) -> list[str]:
    return [warning.code for warning in plan.warnings]


def test_the_shipped_deployment_starts_on_three_24_gb_cards() -> None:
    plan = planned(cards(3), *shipped_services())
    assert holds(plan)
    assert places(plan) == {"medium": (0, 1), "mini": (2,), "micro": (2,)}
    assert [placement.port for placement in plan.placements] == [8001, 8002, 8003]
    assert [placement.start_after for placement in plan.placements] == [(), (), ("mini",)]
    assert all(placement.reductions[0].asked == 0.99 for placement in plan.placements)
    assert plan.warnings == ()
    headrooms = [placement.weakest.prediction.concurrency[0] for placement in plan.placements]
    assert headrooms[1] == pytest.approx(headrooms[2], abs=0.02)  # co-tenants rise together


def test_granted_flags_are_the_users_with_what_the_planner_fixed() -> None:
    plan = planned(cards(1), service("a", SMALL, gpu_memory_utilization=0.5, seed=3))
    assert plan.placement("a").granted == {
        "gpu-memory-utilization": 0.5,
        "seed": 3,
        "max-model-len": 40960,
        "tensor-parallel-size": 1,
    }
    assert plan.placement("a").reductions == ()


def test_a_flag_is_granted_under_the_key_it_was_written_with() -> None:
    written = service("a", SMALL, vllm={"gpu_memory_utilization": 0.99, "max_model_len": "8k"})
    granted = planned(cards(1), written).placement("a").granted
    assert set(granted) == {"gpu_memory_utilization", "max_model_len", "tensor-parallel-size"}
    assert granted["max_model_len"] == 8000


def test_a_reduction_names_the_card_and_the_co_tenant_with_numbers() -> None:
    plan = planned(
        cards(1),
        service("a", SMALL, gpu_memory_utilization=0.99),
        service("b", SMALL, gpu_memory_utilization=0.4),
    )
    reduction, _ = plan.placement("a").reductions
    assert (reduction.flag, reduction.asked) == ("gpu-memory-utilization", 0.99)
    assert reduction.granted == plan.placement("a").utilization
    assert "CUDA's total is 23.60 GiB" in reduction.reason
    assert "`b` takes up to" in reduction.reason


def test_the_default_of_the_release_is_the_ceiling_of_a_silent_profile() -> None:
    plan = planned(cards(1), service("a", SMALL), service("b", SMALL))
    assert [placement.utilization < 0.92 for placement in plan.placements] == [True, True]
    assert plan.placement("a").reductions[0].asked == 0.92
    assert "0.92 is the default of vLLM 0.32.0" in plan.placement("a").reductions[0].reason


def test_a_ceiling_between_two_steps_is_lowered_to_the_grid() -> None:
    (reduction,) = planned(cards(1), service("a", SMALL, gpu_memory_utilization=0.5004)).placement("a").reductions
    assert reduction == Reduction(
        flag="gpu-memory-utilization",
        asked=0.5004,
        granted=0.5,
        reason="shares are granted in steps of 0.001",
    )


def test_max_model_len_auto_is_granted_as_the_length_that_surely_fits() -> None:
    plan = planned(cards(1), service("a", MIDDLE, max_model_len="auto", gpu_memory_utilization=0.4))
    placement = plan.placement("a")
    (reduction,) = placement.reductions
    assert (reduction.flag, reduction.asked, reduction.granted) == (
        "max-model-len",
        "auto",
        placement.granted["max-model-len"],
    )
    assert 1000 < placement.weakest.footprint.max_model_len < 40960
    assert placement.weakest.footprint.max_model_len == reduction.granted
    assert "surely fit into the KV cache on GPU 0" in reduction.reason
    assert holds(plan)


def test_max_model_len_auto_is_the_whole_length_where_that_fits() -> None:
    placement = planned(cards(1), service("a", SMALL, max_model_len=-1)).placement("a")
    assert placement.reductions[0].granted == 40960
    assert "whole 40,960 tokens" in placement.reductions[0].reason


def test_a_service_with_auto_length_gets_its_share_beside_one_with_a_fixed_length() -> None:
    plan = planned(cards(1), service("a", SMALL, max_model_len="auto"), service("b", SMALL, max_model_len=40960))
    lengths = {placement.service: placement.weakest.footprint.max_model_len for placement in plan.placements}
    assert lengths == {"a": 40960, "b": 40960}


def test_a_fixed_kv_cache_gets_the_utilization_that_only_passes_the_start_up_check() -> None:
    plan = planned(
        cards(1),
        service("a", SMALL, kv_cache_memory_bytes=6 * GIB, gpu_memory_utilization=0.99),
        service("b", SMALL),
    )
    placement = plan.placement("a")
    assert holds(plan)
    assert placement.weakest.prediction.kv_cache.low == 6 * GIB
    assert 0.2 < placement.utilization < 0.6
    assert "`kv-cache-memory-bytes` sets the KV cache" in placement.reductions[0].reason


def test_a_group_takes_the_pair_with_nvlink() -> None:
    inventory = rig(*(gpu(index) for index in range(4)), near=((1, 3),))
    plan = planned(inventory, service("a", LARGE, tensor_parallel_size=2, max_model_len=8192))
    assert places(plan) == {"a": (1, 3)}
    assert plan.placement("a").granted["tensor-parallel-size"] == 2


def test_a_group_takes_the_pair_with_the_better_slots() -> None:
    inventory = rig(gpu(0, pcie_width=4), gpu(1), gpu(2))
    plan = planned(inventory, service("a", LARGE, tensor_parallel_size=2, max_model_len=8192))
    assert places(plan) == {"a": (1, 2)}


def test_a_group_prefers_equal_cards_and_warns_when_there_are_none() -> None:
    big = {"name": "NVIDIA RTX A6000", "total_bytes": 48 * GIB, "free_bytes": 47 * GIB, "cuda_total_bytes": 47 * GIB}
    pair = service("a", LARGE, tensor_parallel_size=2, max_model_len=8192, disable_custom_all_reduce=True)
    equal = planned(rig(gpu(0, **big), gpu(1), gpu(2)), pair)
    assert places(equal) == {"a": (1, 2)}
    unlike = planned(rig(gpu(0, **big), gpu(1)), pair)
    assert places(unlike) == {"a": (0, 1)}
    assert codes(unlike) == ["W502"]
    assert "the smallest, GPU 1, decides" in unlike.warnings[0].message
    assert holds(unlike)


def test_a_pinned_pair_with_a_worse_link_is_kept_and_warned_about() -> None:
    inventory = rig(*(gpu(index) for index in range(3)), near=((1, 2),))
    pair = service("a", LARGE, gpus=(0, 1), tensor_parallel_size=2, max_model_len=8192, disable_custom_all_reduce=True)
    plan = planned(inventory, pair)
    assert places(plan) == {"a": (0, 1)}
    (warning,) = plan.warnings
    assert (warning.code, warning.help) == ("W501", ("consider `gpus: [1, 2]`",))
    assert warning.notes == ("GPU 0 and GPU 1: PHB, PCIe 4.0 x16", "GPU 1 and GPU 2: NVLink (4 lanes), PCIe 4.0 x16")


def test_a_link_that_is_not_known_counts_as_worst() -> None:
    inventory = rig(gpu(0), gpu(1), gpu(2), near=((1, 2),))
    (host,) = inventory.hosts
    links = tuple(link for link in host.links if (link.first, link.second) != ("GPU-0", "GPU-1"))
    inventory = replace(inventory, hosts=(replace(host, links=links),))
    pair = service("a", LARGE, gpus=(0, 1), tensor_parallel_size=2, max_model_len=8192)
    assert planned(inventory, pair).warnings[0].notes[0] == "GPU 0 and GPU 1: no known link, PCIe 4.0 x16"


def test_an_exclusive_service_keeps_others_off_its_gpu() -> None:
    services = (service("a", SMALL, sharing=Sharing.EXCLUSIVE), service("b", SMALL), service("c", SMALL))
    assert places(planned(cards(2), *services)) == {"a": (0,), "b": (1,), "c": (1,)}


def test_an_exclusive_service_that_leaves_most_of_a_card_idle_is_warned_about() -> None:
    plan = planned(cards(1), service("a", SMALL, sharing=Sharing.EXCLUSIVE, gpu_memory_utilization=0.4))
    assert codes(plan) == ["W504"]


def test_memory_that_others_hold_is_not_granted_and_is_named() -> None:
    plan = planned(rig(gpu(0, **display(4.0))), service("a", SMALL, gpu_memory_utilization=0.9))
    assert holds(plan)
    assert plan.placement("a").utilization < 0.85
    assert "19.60 GiB are free" in plan.placement("a").reductions[0].reason
    (warning,) = plan.warnings
    assert (warning.code, warning.notes) == ("W503", ("Xorg (pid 123, 4.00 GiB)",))


def test_memory_that_nobody_is_named_for_is_warned_about_too() -> None:
    used = {**display(4.0), "processes": ()}
    plan = planned(rig(gpu(0, **used)), service("a", SMALL))
    assert [(warning.code, warning.notes) for warning in plan.warnings] == [("W503", ())]


def test_services_are_pinned_by_uuid_and_may_choose_among_several_pins() -> None:
    plan = planned(cards(3), service("a", SMALL, gpus=("GPU-2",)), service("b", SMALL, gpus=(1, 2)))
    assert places(plan) == {"a": (2,), "b": (1,)}


def test_a_group_never_spans_hosts() -> None:
    hosts = tuple(replace(rig(gpu(0, uuid=f"GPU-{name}"), name=name).hosts[0], name=name) for name in ("beta", "alpha"))
    two = Inventory(hosts=hosts, source="test")
    assert places(planned(two, service("a", SMALL))) == {"a": (0,)}
    assert planned(two, service("a", SMALL)).placement("a").host == "alpha"
    (rejection,) = planned(two, service("a", LARGE, tensor_parallel_size=2)).rejections
    assert (rejection.code, rejection.message) == ("E505", "`a` takes 2 GPUs of one host, and there is 1")


def test_more_full_length_requests_need_more_memory() -> None:
    one = service("a", SMALL, gpu_memory_utilization=0.5)
    many = replace(one, requirements=Requirements(full_length_requests=40.0))
    assert planned(cards(1), one).is_feasible
    assert not planned(cards(1), many).is_feasible


def test_pipeline_and_tensor_parallel_groups_take_their_product_of_gpus() -> None:
    plan = planned(cards(4), service("a", LARGE, tensor_parallel_size=2, pipeline_parallel_size=2, max_model_len=8192))
    assert places(plan) == {"a": (0, 1, 2, 3)}
    assert plan.placement("a").granted["tensor-parallel-size"] == 2


def test_a_warning_about_flags_is_passed_on_with_the_key_to_blame() -> None:
    plan = planned(cards(1), service("a", MIDDLE, vllm={"rope-scaling": YARN, "max-model-len": 8192}))
    (warning,) = plan.warnings
    assert (warning.code, warning.service, warning.blame) == ("W202", "a", ("vllm", "rope-scaling"))


def test_the_order_of_gpus_and_links_in_the_inventory_does_not_matter() -> None:
    inventory = cards(3)
    (host,) = inventory.hosts
    turned = replace(
        inventory, hosts=(replace(host, gpus=tuple(reversed(host.gpus)), links=tuple(reversed(host.links))),)
    )
    assert planned(inventory, *shipped_services()).placements == planned(turned, *shipped_services()).placements


def test_releases_that_charge_what_others_hold_give_every_service_a_gpu_of_its_own() -> None:
    services: tuple[ServiceProfile, ...] = (service("a", MIDDLE), service("b", MIDDLE))
    shared = planned(cards(2), *services, release="0.8.5")
    assert places(shared) == {"a": (0,), "b": (1,)}
    (rejection,) = planned(cards(1), *services, release="0.8.5").rejections
    assert rejection.code == "E508"


def test_a_release_that_charges_what_others_hold_does_not_start_beside_them() -> None:
    one = service("a", MIDDLE, gpu_memory_utilization=0.5, max_model_len=8192)
    plan = planned(rig(gpu(0, **display(9.0))), one, release="0.8.5")
    assert plan.placements == ()
    assert [rejection.code for rejection in plan.rejections] == ["E513"]


def test_an_empty_deployment_has_an_empty_plan() -> None:
    plan = planned(cards(1))
    assert plan.is_feasible
    assert plan.placements == ()


def test_equal_cards_are_not_told_apart_however_many_there_are() -> None:
    made = planned(cards(64), service("a", LARGE, tensor_parallel_size=8), service("b", SMALL, gpus=(3,)))
    by_name = {placement.service: placement.gpu_indices for placement in made.placements}
    assert by_name["b"] == (3,)
    assert len(by_name["a"]) == 8
    assert 3 not in by_name["a"]


def test_among_equal_cards_the_best_connected_are_taken() -> None:
    pairs = tuple((one, one + 8) for one in range(8))
    made = planned(rig(*(gpu(index) for index in range(16)), near=pairs), service("a", LARGE, tensor_parallel_size=2))
    assert made.placements[0].gpu_indices == (0, 8)
    board = tuple((one, other) for one in range(8, 16) for other in range(one + 1, 16))
    made = planned(rig(*(gpu(index) for index in range(16)), near=board), service("a", LARGE, tensor_parallel_size=8))
    assert made.placements[0].gpu_indices == tuple(range(8, 16))
