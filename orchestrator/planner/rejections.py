"""Why a service fits nowhere or a set of services cannot coexist, counted by reason, with the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import KeyPath
from orchestrator.engine.problems import FlagProblem
from orchestrator.memory.prediction import predict
from orchestrator.planner.candidacy import Candidacy, Ground, Obstacle, Refusal, under_ceiling, widest_dimension
from orchestrator.planner.flag_keys import with_values
from orchestrator.planner.host_room import ram_bytes, ram_flag, ram_repairs
from orchestrator.planner.problem import LEVELS, Option
from orchestrator.planner.seats import gib_text, gib_texts_that_add_up, listed, occupants
from orchestrator.planner.sizing import Leaning, Size

_BLAMES: dict[Obstacle, KeyPath] = {
    Obstacle.TOO_SMALL: ("vllm", "max-model-len"),
    Obstacle.IN_USE: ("gpus",),
    Obstacle.CEILING: ("vllm", "gpu-memory-utilization"),
    Obstacle.MIG_SLICE: ("vllm", "tensor-parallel-size"),
    Obstacle.INCOMPATIBLE: ("model",),
}


_MOST_OTHERS = 20
"""Services that a finding names beside the first."""


def nowhere(ground: Ground, candidacy: Candidacy) -> tuple[Rejection, ...]:
    """Why one service could not run here even if it were alone (E501 to E506, E510, or the code of the flag)."""
    if candidacy.rejections:
        return candidacy.rejections
    if len(candidacy.widths) > 1:
        return tuple(_of_the_largest(candidacy, each) for each in nowhere(ground, replace(candidacy, widths=())))
    if candidacy.too_many_sets:
        return (_too_many_sets(candidacy),)
    problems = [refusal.problem for refusal in candidacy.refusals if refusal.problem is not None]
    if problems and len(problems) == len(candidacy.allowed):
        return tuple(_about_flag(candidacy, problem) for problem in dict.fromkeys(problems))
    if _most_on_one_host(ground, candidacy) < candidacy.world_size:
        return (_too_few_gpus(ground, candidacy),)
    return (_no_room(ground, _seen_under_ceiling(ground, candidacy)),)


def _of_the_largest(candidacy: Candidacy, rejection: Rejection) -> Rejection:
    """Says of which tensor-parallel-size the reasons are, where the planner was to choose it."""
    tried = listed(str(each.tensor_parallel_size) for each in candidacy.widths)
    note = f"`tensor-parallel-size: auto` was tried as {tried}; the numbers are those of the last"
    return replace(rejection, notes=(note, *rejection.notes))


def _seen_under_ceiling(ground: Ground, candidacy: Candidacy) -> Candidacy:
    """The refusals with the ceiling to blame where the service might start (with luck) if there were no ceiling."""
    flags = with_values(candidacy.profile.vllm, {"gpu-memory-utilization": 1.0}, ground.release)
    lifted = ground.assess(replace(candidacy.profile, vllm=flags), candidacy.facts, Leaning.OPTIMISTIC)
    hopeful = frozenset[int]().union(*(option.reach for option in lifted.options))

    def seen(refusal: Refusal) -> Refusal:
        size = candidacy.sizes.get(refusal.place)
        if size is None or size.least is None or refusal.place not in hopeful or size.asked >= size.least:
            return refusal
        return under_ceiling(size, refusal.place)

    return replace(candidacy, refusals=tuple(seen(refusal) for refusal in candidacy.refusals))


def _most_on_one_host(ground: Ground, candidacy: Candidacy) -> int:
    hosts = [ground.seats[place].host.name for place in candidacy.allowed]
    return max((hosts.count(name) for name in set(hosts)), default=0)


def _too_few_gpus(ground: Ground, candidacy: Candidacy) -> Rejection:
    most, size = _most_on_one_host(ground, candidacy), candidacy.world_size
    return Rejection(
        code="E505",
        service=candidacy.name,
        message=f"`{candidacy.name}` takes {size} GPU{'s' if size > 1 else ''} of one host, and there"
        f" {'is' if most == 1 else 'are'} {most}",
        blame=("vllm", widest_dimension(candidacy.profile, ground.release)),
        notes=("one GPU per worker: tensor, pipeline and data parallel sizes are multiplied",),
        help=(f"plan on a host with {size} GPU{'s' if size > 1 else ''} or more",),
    )


def _too_many_sets(candidacy: Candidacy) -> Rejection:
    return Rejection(
        code="E510",
        service=candidacy.name,
        message=f"`{candidacy.name}` could take {candidacy.too_many_sets:,} sets of GPUs, too many to look at",
        blame=("gpus",),
        notes=("nothing is said about whether it fits",),
        help=(f"name its {candidacy.world_size} GPUs under `gpus:`",),
    )


def _about_flag(candidacy: Candidacy, problem: FlagProblem) -> Rejection:
    return Rejection(
        code=problem.code,
        service=candidacy.name,
        message=problem.message,
        blame=problem.key_path or ("model",),
        notes=problem.notes,
        help=problem.help,
    )


def _no_room(ground: Ground, candidacy: Candidacy) -> Rejection:
    """No GPU, or no set of them, has the memory."""
    nearest = min(
        (refusal for refusal in candidacy.refusals if refusal.problem is None),
        key=lambda refusal: (refusal.missing_bytes, refusal.place),
        default=None,
    )
    fit, all_of = len(candidacy.allowed) - len(candidacy.refusals), len(candidacy.allowed)
    pinned = candidacy.profile.gpus is not None
    where = f"{fit} of the {all_of} GPUs it is pinned to" if pinned else f"{fit} of {all_of} GPUs"
    what = f"can take one of its {candidacy.world_size} workers" if candidacy.world_size > 1 else "can take it"
    short_message = f"`{candidacy.name}` does not fit on {ground.seats[candidacy.allowed[0]].label}"
    size = None if nearest is None else candidacy.sizes.get(nearest.place)
    return Rejection(
        code="E506",
        service=candidacy.name,
        message=short_message if all_of == 1 else f"`{candidacy.name}` does not fit: {where} {what}",
        blame=_blame(ground, candidacy, nearest),
        asked_bytes=None if size is None else _asked(size, nearest),
        available_bytes=None if nearest is None or size is None else _available(size, nearest),
        notes=(*_counts(ground, candidacy), *_terms(candidacy, nearest)),
        help=tuple(_less_in_ram(ground, candidacy, nearest)),
    )


def _less_in_ram(ground: Ground, candidacy: Candidacy, nearest: Refusal | None) -> Iterator[str]:
    if nearest is not None and nearest.obstacle is Obstacle.HOST_RAM:
        profile, workers = candidacy.profile, candidacy.world_size
        needed = ram_bytes(profile, workers, ground.release)
        yield from ram_repairs(profile, workers, nearest.missing_bytes, needed, release=ground.release)


def _blame(ground: Ground, candidacy: Candidacy, nearest: Refusal | None) -> KeyPath:
    """The key to change: the model where a card is too small for it whatever the length."""
    if nearest is None:
        return ("gpus",)
    if nearest.obstacle is Obstacle.HOST_RAM:
        return ("vllm", ram_flag(candidacy.profile, ground.release))
    size = candidacy.sizes.get(nearest.place)
    if size is not None and size.footprint.fixed_kv_bytes is not None and _is_fixed_wrong(size, nearest):
        return ("vllm", size.fixed_by)
    hopeless = size is not None and nearest.missing_bytes >= size.footprint.kv_required_bytes
    return ("model",) if hopeless and nearest.obstacle is Obstacle.TOO_SMALL else _BLAMES[nearest.obstacle]


def _is_fixed_wrong(size: Size, refusal: Refusal) -> bool:
    """The KV cache was fixed at too little, or at so much more than is required that the GPU has no room for it."""
    too_much = (size.footprint.fixed_kv_bytes or 0) - size.footprint.kv_required_bytes
    return refusal.obstacle is Obstacle.FIXED_KV or too_much >= refusal.missing_bytes


def _asked(size: Size, refusal: Refusal | None) -> int:
    """Bytes of the GPU, or of KV cache where that was fixed at too little."""
    is_fixed = refusal is not None and refusal.obstacle is Obstacle.FIXED_KV
    return size.footprint.kv_required_bytes if is_fixed else size.needed_bytes


def _available(size: Size, refusal: Refusal) -> int:
    """What the worker could have had on that GPU."""
    return max(0, _asked(size, refusal) - refusal.missing_bytes)


def _counts(ground: Ground, candidacy: Candidacy) -> Iterator[str]:
    """Refused GPUs by reason, each group with its shortest miss and who is in the way."""
    if len(candidacy.allowed) - len(candidacy.refusals) >= candidacy.world_size:
        yield "all workers of a group get one `gpu-memory-utilization`, and none suits all GPUs of any group"
    for obstacle in Obstacle:
        group = [refusal for refusal in candidacy.refusals if refusal.obstacle is obstacle]
        if not group:
            continue
        missing = min(refusal.missing_bytes for refusal in group)
        short = f", short by {gib_text(missing)}" + (" at least" if len(group) > 1 else "") if missing else ""
        labels = listed(ground.seats[refusal.place].label for refusal in group)
        cause = next((f": {refusal.problem.message}" for refusal in group if refusal.problem is not None), "")
        under = f" under `{candidacy.sizes[group[0].place].fixed_by}`" if obstacle is Obstacle.FIXED_KV else ""
        if obstacle is Obstacle.CEILING:
            under = f" of {candidacy.sizes[group[0].place].settings.gpu_memory_utilization:g}"
        yield f"{len(group)} of {len(candidacy.allowed)} {obstacle.value}{under}{short} ({labels}){cause}"
        for refusal in group:
            seat = ground.seats[refusal.place]
            if obstacle is Obstacle.IN_USE and occupants(seat.gpu):
                yield f"on {seat.label}: {occupants(seat.gpu)}"


def _terms(candidacy: Candidacy, nearest: Refusal | None) -> Iterator[str]:
    """The sum of one worker; it adds up to what is asked for, with what being sure takes as a term of its own."""
    size = None if nearest is None else candidacy.sizes.get(nearest.place)
    if size is None or nearest is None:
        return
    priced = size.footprint
    if nearest.obstacle is Obstacle.FIXED_KV:
        yield (
            f"KV cache: {priced.max_model_len:,} tokens need {gib_text(priced.kv_required_bytes)}, and"
            f" `{size.fixed_by}` gives {gib_text(priced.fixed_kv_bytes or 0)}"
        )
        return
    sums: dict[str, int] = {}
    for term in priced.terms:
        sums[term.term.value] = sums.get(term.term.value, 0) + term.size.expected
    sums[f"KV cache for {priced.max_model_len:,} tokens"] = priced.fixed_kv_bytes or priced.kv_required_bytes
    rest = size.needed_bytes - sum(sums.values())
    if rest > 0:
        sums["to be sure, for what may be larger"] = rest
    texts = gib_texts_that_add_up(tuple(sums.values()))
    yield f"one worker: {', '.join(f'{text} {name}' for text, name in zip(texts, sums, strict=True))}"


def too_close(ground: Ground, candidacy: Candidacy) -> Rejection:
    """E507: the service fits if every uncertain number turns out well, and only then."""
    hopeful = ground.assess(candidacy.profile, candidacy.facts, Leaning.OPTIMISTIC)
    option = min(hopeful.options, key=lambda option: (sum(option.claims(option.least)), option.gpus))
    length = candidacy.sizes[option.gpus[0]].footprint.max_model_len
    return Rejection(
        code="E507",
        service=candidacy.name,
        message=f"too close to call: whether `{candidacy.name}` starts with `max-model-len` {length}",
        blame=("vllm", "max-model-len"),
        notes=tuple(_doubts(ground, candidacy, hopeful, option)),
    )


def _doubts(ground: Ground, candidacy: Candidacy, hopeful: Candidacy, option: Option) -> Iterator[str]:
    """What is needed and what will be there at either end, on each GPU of a group where the two ends disagree.

    A higher utilization may start at the friendly end; both ends are shown with theirs.
    """
    sizes = {place: candidacy.sizes[place] for place in option.gpus}
    level = min(min(size.asked, size.largest(ground.seats[place].gpu.free_bytes)) for place, size in sizes.items())
    for place, size in sizes.items():
        seat, needed = ground.seats[place], size.footprint.kv_required_bytes
        if size.footprint.fixed_kv_bytes is not None:
            yield (
                f"{gib_text(hopeful.sizes[place].needed_bytes)} to {gib_text(size.needed_bytes)} are needed on"
                f" {seat.label}, and {gib_text(seat.gpu.free_bytes)} are free"
            )
            continue
        least = max(0, predict(size.footprint, level / LEVELS, seat.gpu.free_bytes).kv_cache.low)
        best = hopeful.sizes[place].footprint
        most = predict(best, option.ceiling / LEVELS, seat.gpu.free_bytes).kv_cache.high
        if least < needed:
            low, high = level / LEVELS, option.ceiling / LEVELS
            there = (
                f"{gib_text(least)} (utilization {low:g}) to {gib_text(most)} (utilization {high:g}) will be there"
                if low < high
                else f"{gib_text(least)} to {gib_text(most)} will be there with utilization {low:g}"
            )
            yield f"{gib_text(needed)} of KV cache are needed on {seat.label}, and {there}"


def gave_up(candidacies: tuple[Candidacy, ...]) -> Rejection:
    """E509: the search stopped before it had an answer; not a claim that there is none."""
    return Rejection(
        code="E509",
        service=candidacies[0].name,
        message="the search for a placement was given up before there was an answer",
        blame=("gpus",),
        others=tuple(each.name for each in candidacies[1:_MOST_OTHERS]),
        notes=("nothing is said about whether the services fit",),
        help=("pin some services to GPUs with `gpus:`: every pin makes the search shorter",),
    )


def does_not_start(service: str, reason: str) -> Rejection:
    """E513: the placement holds, but this release would not start the service beside what others hold."""
    return Rejection(
        code="E513",
        service=service,
        message=f"`{service}` would not start on its GPU as it is now",
        blame=("vllm", "gpu-memory-utilization"),
        notes=(reason,),
        help=(
            "free the memory that others hold on the GPU, or take a release that charges only its own memory"
            " (0.9.1 or newer)",
        ),
    )
