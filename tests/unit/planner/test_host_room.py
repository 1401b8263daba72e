"""RAM and disk of hosts: judged where they are known, with numbers, and the repair works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.units import GIB
from tests.unit.planner.planner_samples import SMALL, cards, planned, service


def with_room(inventory: Inventory, **room: Any) -> Inventory:
    return replace(inventory, hosts=tuple(replace(host, **room) for host in inventory.hosts))


def test_a_service_that_keeps_more_in_ram_than_there_is_fits_on_no_gpu_of_that_host() -> None:
    greedy = service("a", SMALL, kv_offloading_size=64)
    (rejection,) = planned(with_room(cards(2), ram_bytes=32 * GIB), greedy).rejections
    assert (rejection.code, rejection.blame) == ("E506", ("vllm", "kv-offloading-size"))
    assert rejection.notes[0] == ("2 of 2 on a host with too little RAM, short by 33.00 GiB at least (GPU 0 and GPU 1)")
    assert rejection.help == (
        "lower `kv-offloading-size` of `a` to 31 or less",
        "plan on a host with 65 GiB of RAM or more",
    )
    assert planned(with_room(cards(2), ram_bytes=32 * GIB), service("a", SMALL, kv_offloading_size=31)).is_feasible


def test_services_that_keep_too_much_in_ram_together_are_refused_and_the_lower_value_is_enough() -> None:
    inventory = with_room(cards(2), ram_bytes=32 * GIB)
    one, other = (service(name, SMALL, kv_offloading_size=20) for name in "ab")
    (rejection,) = planned(inventory, one, other).rejections
    assert rejection.code == "E514"
    assert rejection.message == "the services on `alpha` keep 42.00 GiB in RAM, and it has 32.00 GiB"
    assert rejection.notes == ("at least: `a` 21.00 GiB and `b` 21.00 GiB",)
    assert rejection.help == (
        "lower `kv-offloading-size` of `b` to 10 or less",
        "plan on a host with 42 GiB of RAM or more",
    )
    assert planned(inventory, one, service("b", SMALL, kv_offloading_size=10)).is_feasible


def test_what_is_not_known_of_a_host_is_not_judged() -> None:
    assert planned(cards(1), service("a", SMALL, kv_offloading_size=4096)).is_feasible


def test_weights_that_may_not_fit_on_the_disk_are_a_warning() -> None:
    plan = planned(with_room(cards(2), disk_free_bytes=GIB), service("a", SMALL), service("b", SMALL))
    (warning,) = (each for each in plan.warnings if each.code == "W507")
    assert plan.is_feasible
    assert warning.message.startswith("the models on `alpha` are 2.")
    assert warning.message.endswith(" GiB to download, and 1.00 GiB of its disk are free")
