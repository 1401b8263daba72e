"""What each service is granted: flags to render, every reduction with its reason, what each worker will report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.domain.plan import Placement, Reduction, WorkerPlan
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.automatic import AUTO
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.memory.prediction import budget_bytes, predict, sure_kv_bytes
from orchestrator.planner.candidacy import Candidacy, Ground
from orchestrator.planner.flag_keys import with_values
from orchestrator.planner.problem import LEVELS, Option, Solution
from orchestrator.planner.seats import Seat, gib_text, listed
from orchestrator.planner.sizing import Size, size_on
from orchestrator.planner.start_order import Starter, start_after, start_row

UTILIZATION, LENGTH, TENSOR_PARALLEL = "gpu-memory-utilization", "max-model-len", "tensor-parallel-size"
KV_CACHE = "kv-cache-memory-bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One service of a solution: its GPUs, its level, what it claims on each GPU."""

    candidacy: Candidacy
    option: Option
    level: int
    port: int
    width: tuple[Reduction, ...] = ()

    @property
    def utilization(self) -> float:
        return self.level / LEVELS

    @property
    def claims(self) -> dict[int, int]:
        return dict(zip(self.option.gpus, self.option.claims(self.level), strict=True))


def placements_of(
    ground: Ground, candidacies: tuple[Candidacy, ...], solution: Solution, ports: Mapping[str, int]
) -> tuple[Placement, ...]:
    """Placements in the order of the services; each is predicted as it starts, after those that start before it."""
    grants = tuple(
        Grant(
            candidacy=candidacy.settled(option),
            option=option,
            level=level,
            port=ports[candidacy.name],
            width=tuple(_chosen_width(candidacy, option)),
        )
        for candidacy, option, level in zip(candidacies, solution.options, solution.levels, strict=True)
    )
    starters = tuple(Starter(name=grant.candidacy.name, claims=grant.claims) for grant in grants)
    after = start_after(starters)
    free_before = _free_before(ground, starters)
    return tuple(
        replace(
            _placement(ground, grant, grants, free_before[grant.candidacy.name]),
            start_after=after[grant.candidacy.name],
        )
        for grant in grants
    )


def _chosen_width(candidacy: Candidacy, option: Option) -> Iterator[Reduction]:
    """The tensor-parallel-size that was chosen, and what is wrong with the smaller ones."""
    if not candidacy.widths:
        return
    smaller = [each for each in candidacy.widths if each.world_size < len(option.gpus)]
    alone = [f"{each.tensor_parallel_size}{_shortage(each)}" for each in smaller if not each.options]
    beside = [str(each.tensor_parallel_size) for each in smaller if each.options]
    reasons = [f"it does not fit with {listed(alone, 'or')}"] if alone else []
    reasons += [f"with {listed(beside, 'or')} somebody would have no place"] if beside else []
    yield Reduction(
        flag=TENSOR_PARALLEL,
        asked=AUTO,
        granted=candidacy.settled(option).tensor_parallel_size,
        reason="the fewest GPUs that do" + (f": {'; '.join(reasons)}" if reasons else ""),
    )


def _shortage(candidacy: Candidacy) -> str:
    missing = min((each.missing_bytes for each in candidacy.refusals if each.missing_bytes), default=0)
    return f" (short by {gib_text(missing)} a GPU)" if missing else ""


def _free_before(ground: Ground, starters: tuple[Starter, ...]) -> dict[str, dict[int, int]]:
    """For each service what is free on its GPUs just before it starts, if those before it take all they may."""
    left = {place: seat.gpu.free_bytes for place, seat in enumerate(ground.seats)}
    by_name = {each.name: each for each in starters}
    result = {}
    for name in start_row(starters):
        claims = by_name[name].claims
        result[name] = {place: left[place] for place in claims}
        for place, claim in claims.items():
            left[place] -= claim
    return result


def _placement(ground: Ground, grant: Grant, grants: tuple[Grant, ...], free: Mapping[int, int]) -> Placement:
    candidacy = grant.candidacy
    seats = tuple(ground.seats[place] for place in grant.option.gpus)
    flags, length = _granted_length(ground, grant, free)
    settings = candidacy.sizes[grant.option.gpus[0]].settings
    flags = with_values(
        flags,
        {UTILIZATION: grant.utilization, TENSOR_PARALLEL: settings.tensor_parallel_size},
        ground.release,
    )
    flags, cache = _granted_cache(ground, grant, grants, flags)
    sized = replace(candidacy, profile=replace(candidacy.profile, vllm=flags))
    return Placement(
        service=candidacy.name,
        gpu_uuids=tuple(seat.gpu.uuid for seat in seats),
        gpu_indices=tuple(seat.gpu.index for seat in seats),
        host=seats[0].host.name,
        port=grant.port,
        utilization=grant.utilization,
        granted=flags,
        reductions=(*grant.width, *_utilization_reduction(ground, grant, grants), *length, *cache),
        workers=tuple(_worker(ground, sized, grant, place, free[place]) for place in grant.option.gpus),
    )


def _worker(ground: Ground, sized: Candidacy, grant: Grant, place: int, free_bytes: int) -> WorkerPlan:
    seat = ground.seats[place]
    priced = size_on(seat, sized.profile, sized.facts, ground.release).footprint
    return WorkerPlan(
        gpu_uuid=seat.gpu.uuid,
        budget_bytes=budget_bytes(priced, grant.utilization).expected,
        footprint=priced,
        prediction=predict(priced, grant.utilization, free_bytes),
    )


def _granted_length(
    ground: Ground, grant: Grant, free: Mapping[int, int]
) -> tuple[dict[str, FlagValue], tuple[Reduction, ...]]:
    """The flags with max-model-len as a number; where vLLM was to choose it, the length that surely fits."""
    candidacy = grant.candidacy
    settings = candidacy.sizes[grant.option.gpus[0]].settings
    vllm = dict(candidacy.profile.vllm)
    if not settings.auto_max_model_len:
        return with_values(vllm, {LENGTH: settings.max_model_len}, ground.release), ()
    lengths = {
        place: predict(candidacy.sizes[place].footprint, grant.utilization, free[place]).longest_model_len
        for place in grant.option.gpus
    }
    weakest = min(grant.option.gpus, key=lambda place: lengths[place])
    length = min(lengths[weakest], settings.max_model_len)
    whole = length == settings.max_model_len
    reduction = Reduction(
        flag=LENGTH,
        asked=canonical_flags(vllm, ground.release).get(LENGTH),
        granted=length,
        reason=f"the model's whole {length:,} tokens surely fit"
        if whole
        else f"of the model's {settings.max_model_len:,} tokens that many surely fit into the KV cache on"
        f" {ground.seats[weakest].label}",
    )
    return with_values(vllm, {LENGTH: length}, ground.release), (reduction,)


def _granted_cache(
    ground: Ground, grant: Grant, grants: tuple[Grant, ...], flags: dict[str, FlagValue]
) -> tuple[dict[str, FlagValue], tuple[Reduction, ...]]:
    """The flags with a KV cache of fixed size for a service that shares a GPU, where the release can fix it.

    vLLM then neither books what neighbours do while it profiles, nor finds more or less than was promised. It is what
    surely is left of the budget, in whole blocks: the claim on the GPU stays what it was, and so does all that the
    level was chosen for.
    """
    sizes = {place: grant.candidacy.sizes[place] for place in grant.option.gpus}
    others = _co_tenants(grant, grants)
    can = all(memory_rules(size.settings.release).fixed_kv_bytes for size in sizes.values())
    if not others or not can or any(size.footprint.fixed_kv_bytes is not None for size in sizes.values()):
        return flags, ()
    profile = replace(grant.candidacy.profile, vllm=flags)
    priced = [size_on(ground.seats[place], profile, grant.candidacy.facts, ground.release).footprint for place in sizes]
    fixed = min(sure_kv_bytes(each, grant.utilization) for each in priced)
    if fixed < max(each.kv_required_bytes for each in priced):
        return flags, ()
    names = listed(f"`{name}`" for name in others)
    reason = (
        f"{gib_text(fixed)}, beside {names} on a GPU: the KV cache then is what was promised, whatever they do while it"
        " starts"
    )
    granted = with_values(flags, {KV_CACHE: fixed}, ground.release)
    return granted, (Reduction(flag=KV_CACHE, asked=None, granted=fixed, reason=reason),)


def _co_tenants(grant: Grant, grants: tuple[Grant, ...]) -> tuple[str, ...]:
    gpus = set(grant.option.gpus)
    return tuple(each.candidacy.name for each in grants if each is not grant and gpus & set(each.option.gpus))


def _utilization_reduction(ground: Ground, grant: Grant, grants: tuple[Grant, ...]) -> Iterator[Reduction]:
    settings = grant.candidacy.sizes[grant.option.gpus[0]].settings
    if grant.utilization >= settings.gpu_memory_utilization:
        return
    written = UTILIZATION in canonical_flags(grant.candidacy.profile.vllm, ground.release)
    reasons = list(_utilization_reasons(ground, grant, grants))
    if not written:
        reasons.insert(0, f"{settings.gpu_memory_utilization:g} is the default of vLLM {ground.release}")
    yield Reduction(
        flag=UTILIZATION,
        asked=settings.gpu_memory_utilization,
        granted=grant.utilization,
        reason="; ".join(reasons),
    )


def _utilization_reasons(ground: Ground, grant: Grant, grants: tuple[Grant, ...]) -> Iterator[str]:
    sizes = {place: grant.candidacy.sizes[place] for place in grant.option.gpus}
    asked = min(size.asked for size in sizes.values())
    if any(size.settled is not None for size in sizes.values()):
        yield "`kv-cache-memory-bytes` sets the KV cache, and the start-up check needs no more than this"
        return
    tightest = min(sizes, key=lambda place: sizes[place].largest(ground.seats[place].gpu.free_bytes))
    largest = sizes[tightest].largest(ground.seats[tightest].gpu.free_bytes)
    if largest < asked:
        yield _card_reason(ground.seats[tightest], sizes[tightest], largest)
    if grant.level < min(asked, largest):
        yield from _co_tenant_reasons(ground, grant, grants)
    if grant.level == asked:
        yield f"shares are granted in steps of {1 / LEVELS:g}"


def _card_reason(seat: Seat, size: Size, largest: int) -> str:
    outside = size.footprint.outside.high
    in_use = seat.gpu.free_bytes < size.footprint.cuda_total.low
    free = f" and {gib_text(seat.gpu.free_bytes)} are free" if in_use else ""
    return (
        f"{seat.label}: CUDA's total is {gib_text(size.footprint.cuda_total.expected)}{free}, context and what else is"
        f" outside the budget take up to {gib_text(outside)}: at most {largest / LEVELS:g} surely starts"
    )


def _co_tenant_reasons(ground: Ground, grant: Grant, grants: tuple[Grant, ...]) -> Iterator[str]:
    for place in grant.option.gpus:
        others = [each for each in grants if each is not grant and place in each.option.gpus]
        if others:
            taken = listed(f"`{each.candidacy.name}` takes up to {gib_text(each.claims[place])}" for each in others)
            yield f"{taken} of the {gib_text(ground.seats[place].gpu.free_bytes)} free on {ground.seats[place].label}"
