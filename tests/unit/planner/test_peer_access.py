"""Tensor-parallel pairs of cards that cannot read each other's memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Rejection
from tests.unit.planner.planner_samples import LARGE, cards, gpu, planned, rig, service


def found(inventory: Inventory, release: str = "0.32.0", **changes: Any) -> list[Rejection]:
    asked = service("a", LARGE, **{"tensor_parallel_size": 2, "max_model_len": 8192, **changes})
    plan = planned(inventory, asked, release=release)
    assert plan.is_feasible
    return [each for each in plan.warnings if each.code == "W506"]


def test_a_pair_of_geforce_cards_goes_by_the_drivers_word() -> None:
    assert found(cards(2)) == [
        Rejection(
            code="W506",
            service="a",
            message="GPU 0 and GPU 1 cannot read each other's memory, and `a` may try",
            blame=("vllm", "tensor-parallel-size"),
            notes=(
                "stock drivers have no peer-to-peer access between GeForce cards; vLLM 0.32.0 believes what the driver"
                " says and does not try it: where that is wrong, the service hangs or answers nonsense",
            ),
            help=(
                "write `disable-custom-all-reduce: true` under `vllm:`; without peer-to-peer access it costs nothing",
                'should NCCL hang as well, write `NCCL_P2P_DISABLE: "1"` under `environment:`',
            ),
        )
    ]


@pytest.mark.parametrize(("release", "warnings"), [("0.9.2", 0), ("0.10.0", 0), ("0.10.1", 1), ("0.33.0", 1)])
def test_releases_before_0_10_1_try_it_themselves(release: str, warnings: int) -> None:
    assert len(found(cards(2), release)) == warnings


@pytest.mark.parametrize(
    "changes",
    [
        {"disable_custom_all_reduce": True},
        {"environment": {"VLLM_SKIP_P2P_CHECK": "0"}},
        {"tensor_parallel_size": 1, "pipeline_parallel_size": 2},
    ],
)
def test_who_switched_it_off_lets_vllm_try_or_has_no_pair_hears_nothing(changes: dict[str, Any]) -> None:
    assert found(cards(2), **changes) == []


def test_each_pipeline_stage_is_a_pair_of_its_own() -> None:
    (warning,) = found(rig(*(gpu(place) for place in range(4)), near=((0, 1),)), pipeline_parallel_size=2)
    assert warning.message.startswith("GPU 2 and GPU 3 ")


def test_more_than_two_cards_over_pcie_are_left_to_vllm() -> None:
    assert found(cards(4), tensor_parallel_size=4) == []


@pytest.mark.parametrize(
    ("name", "capability", "warnings"),
    [
        ("NVIDIA GeForce RTX 5090", (12, 0), 1),
        ("RTX 4090", (8, 9), 1),
        ("NVIDIA GeForce RTX 5090 of tomorrow", (12, 0), 1),
        ("NVIDIA GeForce RTX 3090", (8, 6), 0),
        ("NVIDIA L4", (8, 9), 0),
    ],
)
def test_only_geforce_cards_from_ada_on_are_known_to_have_none(
    name: str, capability: tuple[int, int], warnings: int
) -> None:
    pair = (gpu(place, name=name, compute_capability=capability) for place in range(2))
    assert len(found(rig(*pair))) == warnings


def test_a_known_nvlink_or_no_known_link_at_all() -> None:
    assert found(rig(gpu(0), gpu(1), near=((0, 1),))) == []
    inventory = cards(2)
    unknown = replace(inventory, hosts=(replace(inventory.hosts[0], links=()),))
    assert len(found(unknown)) == 1
