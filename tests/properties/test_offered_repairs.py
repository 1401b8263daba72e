"""Every repair that a refusal offers is taken at its word: read, applied, planned again, and it holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.catalog.models import find_model
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Plan
from orchestrator.domain.profile import Deployment, FlagValue, ServiceProfile, Sharing
from orchestrator.domain.release import Release
from orchestrator.planner import plan
from orchestrator.planner.flag_keys import with_values

RELEASES = ("0.11.2", "0.32.0")
BOXES = ("1xRTX3090", "2xRTX3090", "1xT4", "2xL4", "4xH100-PCIe", "1xL40S", "2xRTX4090+1xL4")
MODELS = (
    "Qwen/Qwen3-8B",
    "Qwen/Qwen3-32B",
    "Qwen/Qwen3-1.7B-FP8",
    "Qwen/Qwen2.5-14B-Instruct",
    "Qwen/Qwen3-235B-A22B",
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.1-70B-Instruct",
)

State = tuple[dict[str, ServiceProfile], str]
"""The services by name, and the box."""


@st.composite
def _services(draw: st.DrawFn) -> tuple[ServiceProfile, ...]:
    return tuple(draw(_service(f"s{number}")) for number in range(draw(st.integers(1, 3))))


@st.composite
def _service(draw: st.DrawFn, name: str) -> ServiceProfile:
    flags: dict[str, st.SearchStrategy[FlagValue]] = {
        draw(st.sampled_from(["max-model-len", "max_model_len"])): st.sampled_from([2048, 8192, 16384, 32768, 40960]),
        "gpu_memory_utilization": st.sampled_from([0.3, 0.6, 0.9, 0.99]),
        "kv-cache-memory-bytes": st.sampled_from([10**8, 10**9, 4 * 10**10]),
        "num-gpu-blocks-override": st.sampled_from([10, 100_000]),
    }
    likely = list(flags)[: 2 if draw(st.booleans()) else 4]
    written = draw(st.lists(st.sampled_from(likely), unique=True, max_size=2))
    return ServiceProfile(
        name=name,
        model=draw(st.sampled_from(MODELS)),
        vllm={key: draw(flags[key]) for key in written},
        gpus=draw(st.sampled_from([None, None, None, (0,)])),
        sharing=draw(st.sampled_from([Sharing.SHARED, Sharing.SHARED, Sharing.EXCLUSIVE])),
        priority=draw(st.integers(0, 1)),
    )


def _planned(state: State, release: str) -> Plan:
    services, box = state
    inventory = inventory_from_short_form(box)
    assert isinstance(inventory, Inventory)
    deployment = Deployment(
        project="test",
        release=Release.of(release),
        image=f"vllm/vllm-openai:v{release}",
        services=tuple(services.values()),
    )
    facts = {name: find_model(service.model) for name, service in services.items()}
    known = {name: each for name, each in facts.items() if each is not None}
    assert len(known) == len(facts)
    return plan(deployment=deployment, facts=known, inventory=inventory)


def _with(state: State, name: str, **flags: FlagValue) -> State:
    services, box = state
    values = {key.replace("_", "-"): value for key, value in flags.items()}
    vllm = with_values(services[name].vllm, values, Release.of(RELEASES[0]))
    return {**services, name: replace(services[name], vllm=vllm)}, box


def _share(state: State, name: str) -> State:
    return {**state[0], name: replace(state[0][name], sharing=Sharing.SHARED)}, state[1]


def _unpin(state: State, *names: str) -> State:
    freed = {name: replace(state[0][name], gpus=None) for name in names}
    return {**state[0], **freed}, state[1]


def _widen(state: State, size: str, name: str, freed: str | None) -> State:
    wider = _with(state, name, tensor_parallel_size=int(size))
    return wider if freed is None else _unpin(wider, name)


def _shorten(state: State, names: str, length: str) -> State:
    for name in re.findall(r"`(\w+)`", names):
        state = _with(state, name, max_model_len=int(length))
    return state


def _take_form(state: State, model: str, name: str, length: str | None) -> State:
    taken = ({**state[0], name: replace(state[0][name], model=model)}, state[1])
    return taken if length is None else _with(taken, name, max_model_len=int(length))


def _move(state: State, *said: str) -> State:
    name, alone, pins, box, size = said
    services = {name: state[0][name]} if alone is not None else state[0]
    moved = (services, box) if pins is None else _unpin((services, box), *services)
    return moved if size is None else _with(moved, name, tensor_parallel_size=int(size))


def _without(state: State, names: str, *, all_of_them: bool) -> State:
    listed = re.findall(r"`(\w+)`", names)
    gone = listed if all_of_them else listed[-1:]
    return {name: service for name, service in state[0].items() if name not in gone}, state[1]


READINGS: tuple[tuple[str, Callable[..., State]], ...] = (
    (r"set `sharing: shared` for `(\w+)`", _share),
    (
        r"raise `\S+` of `(\w+)` to ([\d.]+) or more",
        lambda state, name, level: _with(state, name, gpu_memory_utilization=float(level)),
    ),
    (
        r"raise `\S+` of `(\w+)` to ([\d.]+) or more, and lower `\S+` from \d+ to (\d+), or less",
        lambda state, name, level, length: _with(
            state, name, gpu_memory_utilization=float(level), max_model_len=int(length)
        ),
    ),
    (
        r"write `(\S+): (\d+)` or (?:more|less) for `(\w+)`",
        lambda state, key, value, name: _with(state, name, **{key: int(value)}),
    ),
    (r"leave `gpus:` of `(\w+)` out: there is room for it without", _unpin),
    (r"set `tensor-parallel-size: (\d+)` for `(\w+)`( and leave its `gpus:` out)?", _widen),
    (
        r"set `kv-cache-dtype: fp8` for `(\w+)`: half the bytes per token",
        lambda state, name: _with(state, name, kv_cache_dtype="fp8"),
    ),
    (r"lower `\S+` of (.*) from \d+ to (\d+)(?: each)?, or less", _shorten),
    (r"take `model: (\S+)` for `(\w+)`, the same model quantised(?:, with `\S+` at most (\d+))?", _take_form),
    (
        r"(?:`(\w+)`|all \d services together)( alone)? would start(, with `gpus:` left out,)? on `(\S+)`"
        r"(?: with `tensor-parallel-size: (\d+)`)?, the smallest known box that takes (?:it|them)(?:; .*)?",
        _move,
    ),
    (
        r"leave out ((?:either|any one) of .*) \(.*",
        lambda state, names: _without(state, names, all_of_them=False),
    ),
    (r"leave out (`\w+` \(.*): .*", lambda state, names: _without(state, names, all_of_them=True)),
)

FIRST_STEP = r"leave `\S+` of `\w+` out, or write \d+ or more: less is enough on no GPU"
"""Help that is not enough by itself, and does not say that it is."""


def _applied(line: str, state: State) -> State | None:
    for pattern, apply in READINGS:
        found = re.fullmatch(pattern, line)
        if found is not None:
            return apply(state, *found.groups())
    assert re.fullmatch(FIRST_STEP, line), line
    return None


@settings(max_examples=60, deadline=None)
@given(_services(), st.sampled_from(BOXES), st.sampled_from(RELEASES))
def test_every_repair_of_a_sole_finding_of_the_planner_leads_to_a_plan(
    services: tuple[ServiceProfile, ...], box: str, release: str
) -> None:
    state: State = ({service.name: service for service in services}, box)
    rejections = _planned(state, release).rejections
    if len(rejections) != 1 or not rejections[0].code.startswith("E5"):
        return
    for line in rejections[0].help:
        repaired = _applied(line, state)
        if repaired is not None:
            assert _planned(repaired, release).is_feasible, (line, rejections[0])
