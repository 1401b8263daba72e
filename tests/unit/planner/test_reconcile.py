"""What would change: kinds of operations, every cause under the user's key, the order, what drifted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.operations import Drift, DriftKind, OperationKind, applied
from orchestrator.domain.profile import Caches, Deployment, FlagValue, Ports, Secrets, ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.domain.saved_plan import ComposeFile, SavedPlan, config_hash
from orchestrator.domain.units import GIB
from orchestrator.planner import plan
from orchestrator.planner.reconcile import reconcile
from orchestrator.planner.saving import with_what_was_known
from tests.unit.planner.planner_samples import LARGE, MIDDLE, SMALL, cards, deployment, facts_for, gpu, rig, service
from tests.unit.planner.saved_samples import saved, steps, told

ONE = service("mini", max_model_len=8192, gpus=(0,), gpu_memory_utilization=0.5)


def test_against_nothing_everything_is_new() -> None:
    changes = reconcile(None, saved(cards(1), ONE))
    assert (told(changes), steps(changes)) == (["create mini"], ["start mini"])


def test_against_itself_everything_is_kept() -> None:
    plan = saved(cards(2), ONE, service("other", gpus=(1,)))
    changes = reconcile(plan, plan)
    assert told(changes) == ["keep mini", "keep other"]
    assert (changes.steps, changes.drift, changes.is_empty) == ((), (), True)


def test_services_that_are_new_and_services_that_are_gone() -> None:
    changes = reconcile(saved(cards(1), ONE), saved(cards(1), replace(ONE, name="other")))
    assert told(changes) == ["create other", "remove mini"]
    assert steps(changes) == ["stop mini", "start other"]


@pytest.mark.parametrize(
    ("flags", "causes"),
    [
        ({"max-model-len": 32768}, "max-model-len 8192 -> 32768"),
        ({"max_model_len": 16384}, "max_model_len 8192 -> 16384"),
        ({"max-num-seqs": 16}, "max-num-seqs None -> 16"),
        ({"enable-prefix-caching": False}, "enable-prefix-caching None -> False"),
        ({"gpu-memory-utilization": 0.6}, "gpu-memory-utilization 0.5 -> 0.6"),
        ({"max-num-seqs": 16, "max-model-len": 4096}, "max-model-len 8192 -> 4096, max-num-seqs None -> 16"),
    ],
)
def test_a_changed_flag_is_named_by_the_key_that_the_user_wrote(flags: dict[str, Any], causes: str) -> None:
    written = {"max-model-len": 8192, "gpu-memory-utilization": 0.5, **flags}
    if "max_model_len" in flags:
        del written["max-model-len"]
    changes = reconcile(saved(cards(1), ONE), saved(cards(1), replace(ONE, vllm=written)))
    assert told(changes) == [f"recreate mini: {causes}"]


def test_of_a_mapping_only_the_entries_that_differ_are_named() -> None:
    yarn: dict[str, FlagValue] = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32768}
    before, after = (
        saved(cards(1), replace(ONE, vllm={**ONE.vllm, "max-model-len": 65536, "rope-scaling": {**yarn, **more}}))
        for more in ({}, {"factor": 4.0})
    )
    assert told(reconcile(before, after)) == ["recreate mini: rope-scaling.factor 2.0 -> 4.0"]


def test_another_spelling_of_the_same_is_no_change() -> None:
    other: dict[str, FlagValue] = {"max_model_len": "8k", "gpu-memory-utilization": 0.5}
    spelt = saved(cards(1), replace(ONE, vllm={**other, "max_model_len": 8192}))
    assert told(reconcile(saved(cards(1), ONE), spelt)) == ["keep mini"]


CHANGES_OF_A_SERVICE: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": "Qwen/Qwen3-0.6B"}, f"model {SMALL} -> Qwen/Qwen3-0.6B"),
    "revision": ({"revision": "main"}, "revision None -> main"),
    "port": ({"port": 9000}, "port 8001 -> 9000"),
    "environment": ({"environment": {"DEBUG": "1"}}, "environment.DEBUG None -> 1"),
    "gpus": ({"gpus": (1,)}, "gpus [0] -> [1]"),
}


@pytest.mark.parametrize("key", CHANGES_OF_A_SERVICE)
def test_a_changed_service_is_recreated_with_the_cause(key: str) -> None:
    change, cause = CHANGES_OF_A_SERVICE[key]
    changes = reconcile(saved(cards(2), ONE), saved(cards(2), replace(ONE, **change)))
    assert told(changes) == [f"recreate mini: {cause}"]


CHANGES_OF_A_DEPLOYMENT: dict[str, tuple[dict[str, Any], str]] = {
    "release": ({"release": Release.of("0.32.1")}, "vllm-release 0.32.0 -> 0.32.1"),
    "image": ({"image": "mirror/vllm:v0.32.0"}, "image vllm/vllm-openai:v0.32.0 -> mirror/vllm:v0.32.0"),
    "address": ({"ports": Ports(address="::1")}, "ports.address 127.0.0.1 -> [::1]"),
    "cache": ({"caches": Caches(huggingface="/big")}, "caches.huggingface huggingface-cache -> /big"),
    "api key": ({"secrets": Secrets(api_key="KEY")}, "secrets.api-key VLLM_API_KEY -> KEY"),
    "no api key": ({"secrets": Secrets(api_key=None)}, "secrets.api-key VLLM_API_KEY -> None"),
}


@pytest.mark.parametrize("key", CHANGES_OF_A_DEPLOYMENT)
def test_a_changed_deployment_recreates_its_services_with_the_cause(key: str) -> None:
    change, cause = CHANGES_OF_A_DEPLOYMENT[key]
    project = deployment(ONE)
    changed: Deployment = replace(project, **change)
    assert told(reconcile(saved(cards(1), of=project), saved(cards(1), of=changed))) == [f"recreate mini: {cause}"]


def test_a_token_that_is_no_longer_wanted_is_named_by_its_key() -> None:
    project = deployment(ONE)
    without = replace(project, secrets=Secrets(hf_token=None))
    (operation,) = reconcile(saved(cards(1), of=project), saved(cards(1), of=without)).operations
    assert {cause.key for cause in operation.causes} == {"secrets.hf-token"}


def test_what_a_newer_orchestrate_renders_otherwise_is_a_cause_too() -> None:
    new = saved(cards(1), ONE)
    (mini,) = new.services
    older = {**mini.configuration, "stop_grace_period": "10s"}
    old = replace(new, services=(replace(mini, configuration=older, config_hash=config_hash(older)),))
    assert told(reconcile(old, new)) == ["recreate mini: compose: stop_grace_period 10s -> 30s"]


def test_what_only_follows_from_other_causes_is_named_when_nothing_else_is() -> None:
    new = saved(cards(1), ONE)
    (mini,) = new.services
    older = {**mini.configuration, "command": ["other"]}
    old = replace(new, services=(replace(mini, configuration=older, config_hash=config_hash(older)),))
    (operation,) = reconcile(old, new).operations
    assert [(cause.key, cause.before) for cause in operation.causes] == [("compose: command", ["other"])]


def test_another_start_order_is_done_in_place() -> None:
    first, second = (replace(ONE, name=name) for name in ("first", "second"))
    new = saved(cards(1), replace(first, vllm={**ONE.vllm, "gpu-memory-utilization": 0.3}), second)
    waiting = next(each for each in new.services if each.start_after)
    free = {key: value for key, value in waiting.configuration.items() if key != "depends_on"}
    old = replace(
        new,
        services=tuple(replace(each, configuration=free) if each is waiting else each for each in new.services),
    )
    changes = reconcile(old, new)
    assert told(changes)[0] == "update first: start order at once -> after second"
    assert (changes.steps, changes.is_empty) == ((), False)


def test_a_better_prediction_recreates_nothing() -> None:
    new = saved(cards(1), ONE)
    (mini,) = new.services
    (worker,) = mini.workers
    old = replace(new, services=(replace(mini, workers=(replace(worker, kv_tokens=(1, 2, 3)),)),))
    changes = reconcile(old, new)
    assert (told(changes), changes.is_empty) == (["keep mini"], True)
    assert applied(old, changes.operations) == {"mini": mini}


def test_what_is_granted_and_what_was_asked_for_are_both_kept() -> None:
    greedy = replace(ONE, vllm={**ONE.vllm, "gpu-memory-utilization": 0.99})
    (operation,) = reconcile(saved(cards(1), ONE), saved(cards(1), greedy)).operations
    (cause,) = operation.causes
    assert (cause.key, cause.before, cause.asked) == ("gpu-memory-utilization", 0.5, 0.99)
    assert cause.after != 0.99


# The order


def test_each_co_tenant_is_replaced_by_itself_where_the_memory_allows() -> None:
    one, other = (replace(ONE, name=name, vllm={**ONE.vllm, "gpu-memory-utilization": 0.3}) for name in ("a", "b"))
    before = deployment(one, other)
    changes = reconcile(saved(cards(1), of=before), saved(cards(1), of=replace(before, image="mirror/vllm:v0.32.0")))
    assert steps(changes) == ["replace a", "replace b"]


def test_whoever_shrinks_makes_room_before_the_other_grows() -> None:
    def shares(one: float, other: float) -> SavedPlan:
        return saved(
            cards(1),
            *(
                replace(ONE, name=name, vllm={**ONE.vllm, "gpu-memory-utilization": share})
                for name, share in (("a", one), ("b", other))
            ),
        )

    assert steps(reconcile(shares(0.3, 0.6), shares(0.6, 0.3))) == ["replace b", "replace a"]


def test_services_that_swap_their_gpus_are_both_stopped_first() -> None:
    def on(one: int, other: int) -> SavedPlan:
        big = {"gpu-memory-utilization": 0.9, "max-model-len": 8192}
        return saved(
            cards(2),
            service("a", MIDDLE, gpus=(one,), vllm=big),
            service("b", MIDDLE, gpus=(other,), vllm=big),
        )

    assert steps(reconcile(on(0, 1), on(1, 0))) == ["stop b", "replace a", "start b"]


def test_who_takes_the_port_of_another_waits_until_it_is_free() -> None:
    before = saved(cards(2), replace(ONE, port=9001), replace(ONE, name="other", gpus=(1,), port=9002))
    after = saved(cards(2), replace(ONE, port=9002), replace(ONE, name="other", gpus=(1,), port=9003))
    assert steps(reconcile(before, after)) == ["replace other", "replace mini"]


def test_nobody_starts_beside_one_who_is_about_to_leave_the_gpu() -> None:
    """The newcomer may have been promised the GPU for itself."""

    def share(name: str, index: int, port: int, of: float) -> ServiceProfile:
        vllm: dict[str, FlagValue] = {**ONE.vllm, "gpu-memory-utilization": of}
        return replace(ONE, name=name, gpus=(index,), port=port, vllm=vllm)

    before = saved(cards(2), share("a", 0, 9001, 0.3), share("c", 0, 9003, 0.6))
    changes = reconcile(before, saved(cards(2), share("b", 0, 9002, 0.3), share("a", 1, 9001, 0.3)))
    assert steps(changes) == ["stop c", "replace a", "start b"]


def test_what_goes_is_stopped_before_anything_starts() -> None:
    pair = service("big", LARGE, gpus=(0, 1), tensor_parallel_size=2, max_model_len=8192, kv_cache_dtype="fp8")
    changes = reconcile(saved(cards(2), pair), saved(cards(2), ONE, replace(ONE, name="other", gpus=(1,))))
    assert steps(changes) == ["stop big", "start mini", "start other"]


# What drifted


def _drift(change: Callable[[SavedPlan], SavedPlan], sha256: str | None = None) -> list[Drift]:
    old = change(saved(cards(2), ONE))
    return list(reconcile(old, saved(cards(2), ONE), compose_sha256=sha256).drift)


def _with_gpu(plan: SavedPlan, position: int, **changes: Any) -> SavedPlan:
    (host,) = plan.hosts
    gpus = tuple(replace(each, **changes) if at == position else each for at, each in enumerate(host.gpus))
    services = plan.services
    if "uuid" in changes and position == 0:
        (mini,) = services
        services = (replace(mini, workers=(replace(mini.workers[0], gpu_uuid=changes["uuid"]),)),)
    return replace(plan, hosts=(replace(host, gpus=gpus),), services=services)


NAME = "NVIDIA GeForce RTX 4090"


def test_another_card_in_its_place_is_named_with_who_used_it() -> None:
    assert _drift(lambda plan: _with_gpu(plan, 0, uuid="GPU-9", name="Tesla T4")) == [
        Drift(
            kind=DriftKind.GPU_REPLACED,
            subject="GPU 0",
            before="Tesla T4 (GPU-9)",
            after=f"{NAME} (GPU-0)",
            services=("mini",),
        )
    ]


def test_a_gpu_that_is_gone_and_one_that_is_new_elsewhere() -> None:
    assert _drift(lambda plan: _with_gpu(plan, 1, uuid="GPU-9", index=7)) == [
        Drift(kind=DriftKind.GPU_GONE, subject="GPU 7", before=f"{NAME} (GPU-9)", after=""),
        Drift(kind=DriftKind.GPU_NEW, subject="GPU 1", before="", after=f"{NAME} (GPU-1)"),
    ]


def test_memory_number_and_driver() -> None:
    def change(plan: SavedPlan) -> SavedPlan:
        changed = _with_gpu(_with_gpu(plan, 0, total_bytes=23 * GIB), 1, index=4)
        (host,) = changed.hosts
        return replace(changed, hosts=(replace(host, driver_version="1", cuda_version="2"),))

    old, new = change(saved(cards(2), ONE)), saved(cards(2), ONE)
    now = replace(new, hosts=(replace(new.hosts[0], driver_version="3", cuda_version="4"),))
    assert [(each.kind, each.subject, each.before, each.after) for each in reconcile(old, now).drift] == [
        (DriftKind.DRIVER, "alpha", "1", "3"),
        (DriftKind.CUDA, "alpha", "2", "4"),
        (DriftKind.GPU_MEMORY, "GPU 0", "23.00 GiB", "24.00 GiB"),
        (DriftKind.GPU_RENUMBERED, "GPU-1", "GPU 4", "GPU 1"),
    ]


def test_hosts_that_come_and_go_and_examples() -> None:
    assert [each.kind for each in _drift(lambda plan: replace(plan, hosts=(replace(plan.hosts[0], name="beta"),)))] == [
        DriftKind.HOST_GONE,
        DriftKind.HOST_NEW,
    ]
    assert [each.kind for each in _drift(lambda plan: replace(plan, is_example=True))] == [DriftKind.EXAMPLE]


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        (ComposeFile.of("compose.yaml", "text").sha256, []),
        ("0" * 64, [DriftKind.COMPOSE_EDITED]),
        (None, [DriftKind.COMPOSE_GONE]),
    ],
)
def test_a_compose_file_that_is_not_as_it_was_written_is_a_change(found: str | None, kinds: list[DriftKind]) -> None:
    new = saved(cards(1), ONE)
    old = replace(new, compose=ComposeFile.of("compose.yaml", "text"))
    changes = reconcile(old, new, compose_sha256=found)
    assert [each.kind for each in changes.drift] == kinds
    assert changes.is_empty is (kinds == [])
    assert changes.count(OperationKind.KEEP) == 1


def test_a_model_that_was_published_anew_is_told_and_recreates_nothing() -> None:
    facts = facts_for(ONE)
    before, after = (
        saved(cards(1), ONE, facts={"mini": replace(facts["mini"], revision=commit)}) for commit in ("aaa", "bbb")
    )
    changes = reconcile(before, after)
    assert told(changes) == ["keep mini"]
    assert [(each.kind, each.before, each.after) for each in changes.drift] == [(DriftKind.MODEL_MOVED, "aaa", "bbb")]


def test_digest_and_commits_are_remembered_as_long_as_they_are_of_the_same() -> None:
    unknown = {"mini": replace(facts_for(ONE)["mini"], revision=None)}
    new = saved(cards(1), ONE, facts=unknown)
    old = replace(new, image_digest="sha256:1", services=(replace(new.services[0], commit="aaa"),))
    known = with_what_was_known(new, old)
    assert (known.image_digest, known.services[0].commit) == ("sha256:1", "aaa")
    moved = with_what_was_known(new, replace(old, image="other", services=(replace(old.services[0], revision="x"),)))
    assert (moved.image_digest, moved.services[0].commit) == (None, None)
    assert with_what_was_known(new, None) is new


def test_what_is_free_now_is_no_part_of_what_is_kept() -> None:
    assert saved(rig(gpu(0)), ONE) == saved(rig(gpu(0, free_bytes=int(23.5 * GIB))), ONE)


def _planned_where_it_runs(inventory: Inventory, current: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    services = (service("mini", max_model_len=8192), service("other", max_model_len=8192))
    found = plan(deployment=deployment(*services), facts=facts_for(*services), inventory=inventory, current=current)
    return {each.service: each.gpu_uuids for each in found.placements}


def test_what_runs_stays_where_it_runs_although_other_gpus_would_do() -> None:
    fresh = _planned_where_it_runs(cards(3), {})
    running = {"mini": ("GPU-2",), "other": ("GPU-1",)}
    assert fresh != running
    assert _planned_where_it_runs(cards(3), running) == running


def test_whoever_has_lost_a_gpu_is_placed_anew_and_the_others_stay() -> None:
    placed = _planned_where_it_runs(cards(3), {"mini": ("GPU-9",), "other": ("GPU-1",), "gone": ("GPU-0",)})
    assert placed["other"] == ("GPU-1",)
    assert placed["mini"] in {("GPU-0",), ("GPU-2",)}
