"""What must hold for every plan, on random deployments of real models."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Plan, Verdict
from orchestrator.domain.profile import ServiceProfile, Sharing
from orchestrator.domain.units import GIB
from orchestrator.memory.prediction import claim_bytes
from tests.unit.planner.planner_samples import LARGE, MIDDLE, SMALL, display, gpu, planned, rig, service

seeds = st.integers(min_value=0, max_value=1_000_000)


def random_inventory(random: Random) -> Inventory:
    gpus = []
    for index in range(random.randint(1, 4)):
        size = random.choice((12, 16, 24, 24))
        used = random.choice((0.0, 0.0, 1.5, 5.0))
        whole = {"total_bytes": size * GIB, "cuda_total_bytes": int((size - 0.4) * GIB)}
        free = display(used) if used else {}
        gpus.append(gpu(index, **{**free, **whole, "free_bytes": int((size - 0.4 - used) * GIB)}))
    near = ((0, 1),) if random.random() < 0.5 else ()
    return rig(*gpus, near=near)


def random_services(random: Random) -> tuple[ServiceProfile, ...]:
    services = []
    for number in range(random.randint(1, 4)):
        model = random.choice((SMALL, SMALL, MIDDLE, LARGE))
        services.append(
            service(
                f"s{number}",
                model,
                sharing=random.choice((Sharing.SHARED, Sharing.SHARED, Sharing.EXCLUSIVE)),
                priority=random.randint(0, 3),
                vllm={
                    "tensor-parallel-size": 2 if model == LARGE else random.choice((1, 1, 1, 2)),
                    "max-model-len": random.choice((2048, 8192, 16384, 40960, "auto")),
                    "gpu-memory-utilization": random.choice((0.3, 0.5, 0.9, 0.99)),
                },
            )
        )
    return tuple(services)


def random_case(seed: int) -> tuple[Inventory, tuple[ServiceProfile, ...]]:
    random = Random(seed)
    return random_inventory(random), random_services(random)


def assert_holds(plan: Plan, services: tuple[ServiceProfile, ...]) -> None:
    assert [placement.service for placement in plan.placements] == [each.name for each in services]
    for card in plan.inventory.gpus():
        here = [placement for placement in plan.placements if card.uuid in placement.gpu_uuids]
        workers = [
            (placement, worker) for placement in here for worker in placement.workers if worker.gpu_uuid == card.uuid
        ]
        claims = sum(claim_bytes(worker.footprint, placement.utilization) for placement, worker in workers)
        assert claims <= card.free_bytes
        exclusive = [each.name for each in services if each.sharing is Sharing.EXCLUSIVE]
        assert len(here) <= 1 or not any(placement.service in exclusive for placement in here)
        assert sum(1 for placement in here if not set(placement.start_after) & {each.service for each in here}) <= 1
    for placement in plan.placements:
        asked = next(each for each in services if each.name == placement.service).vllm["gpu-memory-utilization"]
        assert isinstance(asked, float)
        assert 0 < placement.utilization <= asked
        assert placement.granted["gpu-memory-utilization"] == placement.utilization
        assert (placement.utilization < asked) == any(
            each.flag == "gpu-memory-utilization" for each in placement.reductions
        )
        assert all(worker.prediction.verdict is Verdict.STARTS for worker in placement.workers)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_everything_is_placed_within_what_is_free_or_refused_with_a_reason(seed: int) -> None:
    inventory, services = random_case(seed)
    plan = planned(inventory, *services)
    if plan.is_feasible:
        assert_holds(plan, services)
        return
    assert plan.placements == ()
    for rejection in plan.rejections:
        assert rejection.code.startswith("E")
        assert rejection.message
        assert rejection.blame
        assert {rejection.service, *rejection.others} <= {each.name for each in services}


@settings(max_examples=40, deadline=None)
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_gpus_in_the_inventory_does_not_matter(seed: int, random: Random) -> None:
    inventory, services = random_case(seed)
    (host,) = inventory.hosts
    shuffled = list(host.gpus)
    random.shuffle(shuffled)
    turned = replace(inventory, hosts=(replace(host, gpus=tuple(shuffled)),))
    one, other = planned(inventory, *services), planned(turned, *services)
    assert (one.placements, one.rejections, one.warnings) == (other.placements, other.rejections, other.warnings)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_neither_another_gpu_nor_a_service_less_makes_it_impossible(seed: int) -> None:
    inventory, services = random_case(seed)
    if not planned(inventory, *services).is_feasible:
        return
    (host,) = inventory.hosts
    assert planned(rig(*host.gpus, gpu(9)), *services).is_feasible
    for left_out in services:
        assert planned(inventory, *(each for each in services if each is not left_out)).is_feasible


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_the_services_of_a_conflict_fit_when_any_one_of_them_is_left_out(seed: int) -> None:
    inventory, services = random_case(seed)
    for rejection in planned(inventory, *services).rejections:
        names = {rejection.service, *rejection.others}
        if len(names) == 1:
            continue
        conflict = [each for each in services if each.name in names]
        assert not planned(inventory, *conflict).is_feasible
        for left_out in conflict:
            assert planned(inventory, *(each for each in conflict if each is not left_out)).is_feasible
