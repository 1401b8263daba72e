"""Start order along shared GPUs, and ports."""

from __future__ import annotations

from orchestrator.planner.ports import hand_out_ports
from orchestrator.planner.start_order import Starter, start_after, start_row
from tests.unit.planner.planner_samples import deployment, service


def test_the_largest_claim_starts_first_and_equals_go_by_name() -> None:
    starters = (
        Starter(name="b", claims={0: 5}),
        Starter(name="a", claims={0: 5}),
        Starter(name="c", claims={0: 9}),
    )
    assert start_row(starters) == ("c", "a", "b")
    assert start_after(starters) == {"c": (), "a": ("c",), "b": ("a",)}


def test_a_group_waits_for_everybody_on_its_gpus_and_there_is_no_circle() -> None:
    starters = (
        Starter(name="pair", claims={0: 3, 1: 3}),
        Starter(name="left", claims={0: 9}),
        Starter(name="right", claims={1: 2}),
        Starter(name="far", claims={2: 4}),
    )
    assert start_after(starters) == {"left": (), "far": (), "pair": ("left",), "right": ("pair",)}


def test_a_service_on_two_gpus_waits_for_its_neighbour_there_once() -> None:
    starters = (Starter(name="a", claims={0: 9, 1: 9}), Starter(name="b", claims={0: 1, 1: 1}))
    assert start_after(starters) == {"a": (), "b": ("a",)}


def test_ports_are_given_out_in_the_order_of_the_file_around_those_that_are_taken() -> None:
    ports, rejections = hand_out_ports(
        deployment(service("a"), service("b", port=8001), service("c"), service("d", port=9000))
    )
    assert ports == {"a": 8002, "b": 8001, "c": 8003, "d": 9000}
    assert rejections == ()


def test_a_port_asked_for_twice_is_refused_at_the_second() -> None:
    _, (rejection,) = hand_out_ports(deployment(service("a", port=9000), service("b", port=9000)))
    assert (rejection.code, rejection.service, rejection.others, rejection.blame) == ("E511", "b", ("a",), ("port",))


def test_a_row_of_ports_ends_at_65535() -> None:
    ports, (rejection,) = hand_out_ports(deployment(service("a"), service("b"), service("c"), first_port=65535))
    assert ports == {"a": 65535}
    assert (rejection.code, rejection.service) == ("E512", "b")
