"""Properties of changes and saved plans: nothing is lost, every recreation has a cause, no step asks for too much."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.config.saved_plan_file import parse_saved_plan, saved_plan_text
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.operations import Action, Changes, OperationKind, applied
from orchestrator.domain.profile import Deployment
from orchestrator.domain.saved_plan import ComposeFile, SavedPlan, SavedService
from orchestrator.planner import plan
from orchestrator.planner.reconcile import reconcile
from orchestrator.planner.saving import current_gpus, saved_plan
from tests.unit.planner.planner_samples import MIDDLE, SMALL, cards, deployment, facts_for, service

seeds = st.integers(0, 2**32 - 1)


def random_project(random: Random) -> tuple[Deployment, Inventory]:
    """Small services on four cards, which nearly always fit; they bear the same names in all projects."""
    numbers = random.sample(range(5), random.randint(1, 4))
    services = tuple(
        service(
            f"s{number}",
            random.choice((SMALL, SMALL, MIDDLE)),
            gpus=random.choice((None, None, (0,), (1,))),
            port=random.choice((None, None, 9000 + number, 9001 + number)),
            vllm={
                "max-model-len": random.choice((2048, 8192, 16384)),
                "gpu-memory-utilization": random.choice((0.3, 0.45, 0.99)),
                "tensor-parallel-size": 1,
            },
        )
        for number in numbers
    )
    project = deployment(*services, release=random.choice(("0.32.0", "0.32.0", "0.31.0")))
    return project, cards(random.choice((3, 4)))


def plan_of(project: Deployment, inventory: Inventory, current: SavedPlan | None = None) -> SavedPlan | None:
    """The plan to keep, or None where there is none."""
    facts = facts_for(*project.services)
    planned = plan(deployment=project, facts=facts, inventory=inventory, current=current_gpus(current))
    return saved_plan(planned, deployment=project, facts=facts) if planned.is_feasible else None


@cache
def states() -> tuple[SavedPlan, ...]:
    """Plans that hold, made once: planning takes long, comparing does not."""
    random = Random(5)
    found = [plan_of(*random_project(random)) for _ in range(40)]
    return tuple(each for each in found if each is not None)


pairs = st.tuples(*[st.integers(0, 2**16).map(lambda number: states()[number % len(states())])] * 2)


def claims(services: list[SavedService]) -> Counter[str]:
    return Counter({uuid: sum(_claims(services, uuid)) for each in services for uuid in each.gpu_uuids})


def _claims(services: list[SavedService], uuid: str) -> list[int]:
    return [worker.claim_bytes for each in services for worker in each.workers if worker.gpu_uuid == uuid]


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_the_operations_lead_from_the_old_state_to_the_new_one(pair: tuple[SavedPlan, SavedPlan]) -> None:
    old, new = pair
    operations = reconcile(old, new).operations
    assert applied(old, operations) == {service.name: service for service in new.services}
    assert len(operations) == len({service.name for state in (old, new) for service in state.services})
    assert applied(None, reconcile(None, new).operations) == {service.name: service for service in new.services}


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_recreated_is_what_has_another_configuration_and_a_cause(pair: tuple[SavedPlan, SavedPlan]) -> None:
    old, new = pair
    for operation in reconcile(old, new).operations:
        before, after = operation.before, operation.after
        if before is None or after is None:
            assert operation.kind is (OperationKind.CREATE if before is None else OperationKind.REMOVE)
            continue
        recreated = operation.kind is OperationKind.RECREATE
        assert recreated is (before.config_hash != after.config_hash)
        assert bool(operation.causes) is operation.is_change
        assert all(cause.before != cause.after for cause in operation.causes)


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_no_step_takes_more_than_there_was_or_will_be_and_nobody_is_stopped_in_vain(
    pair: tuple[SavedPlan, SavedPlan],
) -> None:
    old, new = pair
    changes = reconcile(old, new)
    running = {service.name: service for service in old.services}
    most = claims(list(old.services)) | claims(list(new.services))
    started = [step.service for step in changes.steps if step.action is not Action.STOP]
    stopped = [step.service for step in changes.steps if step.action is not Action.START and step.service in running]
    for step in changes.steps:
        if step.action is not Action.START:
            del running[step.service]
        if step.action is not Action.STOP:
            after = new.service(step.service)
            assert after is not None
            assert set(after.start_after) <= running.keys()
            assert after.port not in {each.port for each in running.values()}
            running[step.service] = after
        assert all(size <= most[uuid] for uuid, size in claims(list(running.values())).items())
    of_kind = _names_by_kind(changes)
    assert sorted(started) == sorted([*of_kind[OperationKind.CREATE], *of_kind[OperationKind.RECREATE]])
    assert sorted(stopped) == sorted([*of_kind[OperationKind.REMOVE], *of_kind[OperationKind.RECREATE]])


def _names_by_kind(changes: Changes) -> dict[OperationKind, list[str]]:
    return {kind: [each.service for each in changes.operations if each.kind is kind] for kind in OperationKind}


@settings(max_examples=60, deadline=None)
@given(pairs, st.booleans())
def test_a_saved_plan_comes_back_as_it_was_and_against_itself_only_keeps(
    pair: tuple[SavedPlan, SavedPlan], is_lock: bool
) -> None:
    state, _ = pair
    if is_lock:
        state = replace(state, compose=ComposeFile.of("compose.yaml", "é"), image_digest="sha256:1")
    text = saved_plan_text(state)
    back = parse_saved_plan(text, "p.json", project="test")
    assert back == state
    assert text.isascii()
    changes = reconcile(back, state, compose_sha256=ComposeFile.of("", "é").sha256)
    assert changes.is_empty
    assert {each.kind for each in changes.operations} == {OperationKind.KEEP}
    assert saved_plan_text(back) == text


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_planned_again_where_it_runs_a_project_stays_as_it_is(seed: int) -> None:
    project, inventory = random_project(Random(seed))
    before = plan_of(project, inventory)
    assume(before is not None)
    assert plan_of(project, inventory, before) == before


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_with_places_and_never_raises(data: st.DataObject) -> None:
    text = saved_plan_text(states()[0])
    at = data.draw(st.integers(0, len(text)))
    damage = data.draw(st.sampled_from(["", "{", "]", ",", '"', "null", "-1", "1e999", "\\", "\x00", "é", "\n", "[]"]))
    cut = data.draw(st.integers(0, 40))
    answer = parse_saved_plan(text[:at] + damage + text[at + cut :], "p.json", project="test")
    if isinstance(answer, tuple):
        assert answer
        assert all(finding.span is not None and finding.span.line >= 1 for finding in answer)
