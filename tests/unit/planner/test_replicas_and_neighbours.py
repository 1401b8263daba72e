"""Replicas, services that keep away or stay together, the chosen tensor-parallel-size, and a KV cache of fixed size."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Placement, Plan
from orchestrator.domain.profile import Level, Neighbours, ServiceProfile
from orchestrator.domain.units import GIB
from orchestrator.memory.prediction import claim_bytes
from tests.unit.planner.planner_samples import LARGE, SMALL, cards, planned, service


def two_hosts(per_host: int) -> Inventory:
    first = cards(per_host).hosts[0]
    gpus = tuple(replace(gpu, uuid=f"GPU-beta-{gpu.index}") for gpu in first.gpus)
    return Inventory(hosts=(first, replace(first, name="beta", gpus=gpus, links=())), source="test")


def plan_of(inventory: Inventory, *profiles: ServiceProfile, release: str = "0.32.0") -> Plan:
    """What the loader makes of the profiles: every replica by itself."""
    return planned(inventory, *(replica for each in profiles for replica in each.as_replicas()), release=release)


def where(plan: Plan) -> dict[str, tuple[str, tuple[int, ...]]]:
    assert plan.is_feasible, plan.rejections
    return {each.service: (each.host, each.gpu_indices) for each in plan.placements}


def test_replicas_have_names_ports_and_gpus_of_their_own() -> None:
    plan = plan_of(cards(3), replace(service("mini", SMALL), replicas=3, port=9000))
    assert where(plan) == {"mini-1": ("alpha", (0,)), "mini-2": ("alpha", (1,)), "mini-3": ("alpha", (2,))}
    assert [placement.port for placement in plan.placements] == [9000, 9001, 9002]


def test_replicas_share_their_pins_among_them() -> None:
    plan = plan_of(cards(4), replace(service("mini", SMALL), replicas=2, gpus=(1, 3)))
    assert where(plan) == {"mini-1": ("alpha", (1,)), "mini-2": ("alpha", (3,))}


def test_replicas_that_want_hosts_of_their_own_get_them() -> None:
    mini = replace(service("mini", SMALL), replicas=2, spread=Level.HOST)
    assert {host for host, _ in where(plan_of(two_hosts(2), mini)).values()} == {"alpha", "beta"}


def test_the_same_index_on_every_host_is_a_pin_for_replicas_on_hosts() -> None:
    mini = replace(service("mini", SMALL), replicas=2, spread=Level.HOST, gpus=(1,))
    assert where(plan_of(two_hosts(2), mini)) == {"mini-1": ("alpha", (1,)), "mini-2": ("beta", (1,))}


def test_more_replicas_than_hosts_are_refused_at_their_number_and_every_repair_is_offered_in_its_words() -> None:
    (rejection,) = plan_of(cards(2), replace(service("mini", SMALL), replicas=2, spread=Level.HOST)).rejections
    assert rejection.message == "`mini-1` and `mini-2` cannot coexist on GPU 0 and GPU 1"
    assert rejection.blame == ("replicas",)
    assert rejection.notes[-1] == "`mini-1` and `mini-2` are replicas: each on a host of its own"
    assert rejection.help[:2] == ("set `spread: gpu` for `mini`", "set `replicas: 1` for `mini`")


def test_a_service_keeps_away_from_all_replicas_of_another() -> None:
    apart = replace(service("micro", SMALL), apart_from=Neighbours(gpu=("mini",)))
    mini = replace(service("mini", SMALL), replicas=2)
    places = where(plan_of(cards(3), mini, apart))
    assert len({gpus for _, gpus in places.values()}) == 3
    (rejection,) = plan_of(cards(2), mini, apart).rejections
    assert rejection.blame == ("apart-from", "gpu", 0)
    assert rejection.help[:2] == (
        "set `replicas: 1` for `mini`",
        "take `mini` out of `gpu` under `apart-from` of `micro`",
    )


def test_services_that_stay_together_are_on_one_gpu_though_two_are_free() -> None:
    beside = replace(service("micro", SMALL), together_with=Neighbours(gpu=("mini",)))
    assert where(plan_of(cards(2), service("mini", SMALL), beside)) == {
        "mini": ("alpha", (0,)),
        "micro": ("alpha", (0,)),
    }


def test_replicas_that_stay_together_go_in_pairs() -> None:
    beside = replace(service("micro", SMALL), replicas=2, together_with=Neighbours(gpu=("mini",)))
    places = where(plan_of(cards(4), replace(service("mini", SMALL), replicas=2), beside))
    assert places["micro-1"] == places["mini-1"]
    assert places["micro-2"] == places["mini-2"]
    assert places["micro-1"] != places["micro-2"]


def test_services_apart_on_hosts_are_on_two_hosts() -> None:
    apart = replace(service("b", SMALL), apart_from=Neighbours(host=("a",)))
    places = where(plan_of(two_hosts(1), service("a", SMALL), apart))
    assert places["a"][0] != places["b"][0]


@pytest.mark.parametrize(
    ("count", "chosen", "reason"),
    [
        (4, 2, "the fewest GPUs that do: it does not fit with 1 (short by "),
        (1, None, ""),
    ],
)
def test_the_smallest_tensor_parallel_size_that_fits_is_chosen(count: int, chosen: int | None, reason: str) -> None:
    plan = plan_of(cards(count), service("big", LARGE, tensor_parallel_size="auto", kv_cache_dtype="fp8"))
    if chosen is None:
        assert plan.rejections[0].code == "E506"
        return
    placement = plan.placement("big")
    assert placement.granted["tensor-parallel-size"] == chosen
    assert placement.reductions[0].asked == "auto"
    assert placement.reductions[0].reason.startswith(reason)


def test_a_chosen_size_gives_way_to_one_gpu_more_where_others_need_the_place() -> None:
    big = service("big", LARGE, tensor_parallel_size="auto", kv_cache_dtype="fp8", max_model_len=8192)
    alone = plan_of(cards(3), big).placement("big")
    assert (alone.granted["tensor-parallel-size"], alone.reductions[0].reason) == (1, "the fewest GPUs that do")
    minis = replace(service("mini", SMALL, max_model_len=8192), replicas=3)
    beside = plan_of(cards(3), big, minis).placement("big")
    assert beside.granted["tensor-parallel-size"] == 2
    assert beside.reductions[0].reason == "the fewest GPUs that do: with 1 somebody would have no place"


def test_pins_are_those_that_a_chosen_size_may_take() -> None:
    plan = plan_of(cards(4), replace(service("big", LARGE, tensor_parallel_size="auto"), gpus=(1, 2)))
    assert where(plan) == {"big": ("alpha", (1, 2))}


def fixed_cache(placement: Placement) -> object:
    return placement.granted.get("kv-cache-memory-bytes")


def test_co_tenants_get_a_cache_that_surely_fits_and_holds_what_is_required() -> None:
    plan = plan_of(cards(1), service("a", SMALL), service("b", SMALL))
    for placement in plan.placements:
        (worker,) = placement.workers
        low, expected, high = worker.prediction.kv_tokens
        assert low == expected == high
        assert fixed_cache(placement) == worker.footprint.fixed_kv_bytes
        assert worker.footprint.kv_required_bytes <= (worker.footprint.fixed_kv_bytes or 0)
        assert (worker.footprint.fixed_kv_bytes or 0) % worker.footprint.kv.block_bytes == 0
        assert placement.reductions[-1].flag == "kv-cache-memory-bytes"
        assert placement.reductions[-1].asked is None


def test_who_is_alone_on_its_gpu_and_what_a_release_does_not_know_get_none() -> None:
    assert [fixed_cache(each) for each in plan_of(cards(2), service("a", SMALL), service("b", SMALL)).placements] == [
        None,
        None,
    ]
    old = plan_of(cards(1), *(service(name, SMALL, max_model_len=4096) for name in "ab"), release="0.10.1")
    assert [fixed_cache(each) for each in old.placements] == [None, None]


def test_a_fixed_cache_of_the_user_wins() -> None:
    mine = service("a", SMALL, kv_cache_memory_bytes=6 * GIB)
    plan = plan_of(cards(1), mine, service("b", SMALL))
    assert fixed_cache(plan.placement("a")) == 6 * GIB
    assert fixed_cache(plan.placement("b")) is not None


def _random_profiles(random: Random) -> tuple[ServiceProfile, ...]:
    names = [f"s{number}" for number in range(random.randint(1, 3))]
    return tuple(
        replace(
            service(name, SMALL, max_model_len=random.choice([4096, 16384])),
            replicas=random.randint(1, 2),
            apart_from=Neighbours(gpu=tuple(each for each in names if each != name and random.random() < 0.3)),
        )
        for name in names
    )


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_planned_claims_no_more_than_is_free_keeps_wishes_and_does_not_hang_on_orders(seed: int) -> None:
    random = Random(seed)
    profiles = _random_profiles(random)
    inventory = cards(random.randint(1, 4))
    plan = plan_of(inventory, *profiles)
    again = plan_of(inventory, *random.sample(profiles, len(profiles)))
    assert plan.is_feasible == again.is_feasible
    claimed: dict[str, int] = {}
    for placement in plan.placements:
        for worker in placement.workers:
            claim = claim_bytes(worker.footprint, placement.utilization)
            claimed[worker.gpu_uuid] = claimed.get(worker.gpu_uuid, 0) + claim
    assert all(claim <= inventory.gpu(uuid).free_bytes for uuid, claim in claimed.items())
    services = {replica.name: profile for profile in profiles for replica in profile.as_replicas()}
    for one, other in combinations(plan.placements, 2):
        mine, its = services[one.service], services[other.service]
        if mine is its or its.name in mine.apart_from.gpu or mine.name in its.apart_from.gpu:
            assert not set(one.gpu_uuids) & set(other.gpu_uuids)
