"""Why a service fits nowhere or a set of services cannot coexist, counted by reason, with the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import KeyPath
from orchestrator.engine.problems import FlagProblem
from orchestrator.memory.prediction import predict
from orchestrator.planner.candidacy import Candidacy, Ground, Obstacle, Refusal
from orchestrator.planner.problem import LEVELS
from orchestrator.planner.repairs import least_important
from orchestrator.planner.seats import gib_text, listed, occupants

_BLAMES: dict[Obstacle, KeyPath] = {
    Obstacle.TOO_SMALL: ("vllm", "max-model-len"),
    Obstacle.IN_USE: ("gpus",),
    Obstacle.CEILING: ("vllm", "gpu-memory-utilization"),
    Obstacle.FIXED_KV: ("vllm", "kv-cache-memory-bytes"),
    Obstacle.MIG_SLICE: ("vllm", "tensor-parallel-size"),
    Obstacle.INCOMPATIBLE: ("model",),
}


def nowhere(ground: Ground, candidacy: Candidacy) -> tuple[Rejection, ...]:
    """Why one service could not run here even if it were alone (E501 to E506, E510, or the code of the flag)."""
    if candidacy.rejections:
        return candidacy.rejections
    if candidacy.too_many_sets:
        return (_too_many_sets(candidacy),)
    problems = [refusal.problem for refusal in candidacy.refusals if refusal.problem is not None]
    if problems and len(problems) == len(candidacy.allowed):
        return tuple(_about_flag(candidacy, problem) for problem in dict.fromkeys(problems))
    if _most_on_one_host(ground, candidacy) < candidacy.world_size:
        return (_too_few_gpus(ground, candidacy),)
    return (_no_room(ground, candidacy),)


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
        blame=("vllm", "tensor-parallel-size"),
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
        blame=("vllm", problem.flag, *problem.path) if problem.flag else ("model",),
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
        blame=_blame(candidacy, nearest),
        asked_bytes=None if size is None else size.needed_bytes,
        available_bytes=None if nearest is None or size is None else _available(ground, candidacy, nearest),
        notes=(*_counts(ground, candidacy), *_terms(candidacy, nearest)),
    )


def _blame(candidacy: Candidacy, nearest: Refusal | None) -> KeyPath:
    """The key to change: the model where a card is too small for it whatever the length."""
    if nearest is None:
        return ("gpus",)
    size = candidacy.sizes.get(nearest.place)
    hopeless = size is not None and nearest.missing_bytes >= size.footprint.kv_required_bytes
    return ("model",) if hopeless and nearest.obstacle is Obstacle.TOO_SMALL else _BLAMES[nearest.obstacle]


def _available(ground: Ground, candidacy: Candidacy, refusal: Refusal) -> int:
    """What the worker could have had on that GPU."""
    return max(0, candidacy.sizes[refusal.place].needed_bytes - refusal.missing_bytes)


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
        yield f"{len(group)} of {len(candidacy.allowed)} {obstacle.value}{short} ({labels}){cause}"
        for refusal in group:
            seat = ground.seats[refusal.place]
            if obstacle is Obstacle.IN_USE and occupants(seat.gpu):
                yield f"on {seat.label}: {occupants(seat.gpu)}"


def _terms(candidacy: Candidacy, nearest: Refusal | None) -> Iterator[str]:
    """The sum of one worker, on the safe side."""
    size = None if nearest is None else candidacy.sizes.get(nearest.place)
    if size is None:
        return
    priced = size.footprint
    sums: dict[str, int] = {}
    for term in priced.terms:
        sums[term.term.value] = sums.get(term.term.value, 0) + term.size.high
    parts = [f"{gib_text(size_bytes)} {name}" for name, size_bytes in sums.items()]
    kv_bytes = priced.fixed_kv_bytes or priced.kv_required_bytes
    yield f"one worker: {', '.join(parts)}, {gib_text(kv_bytes)} KV cache for {priced.max_model_len:,} tokens"


def too_close(ground: Ground, candidacy: Candidacy) -> Rejection:
    """E507: the service fits if every uncertain number turns out well, and only then."""
    place = min(candidacy.sizes, key=lambda each: (candidacy.sizes[each].needed_bytes, each))
    size, seat = candidacy.sizes[place], ground.seats[place]
    level = max(1, min(size.asked, size.largest(seat.gpu.free_bytes)))
    kv_cache = predict(size.footprint, level / LEVELS, seat.gpu.free_bytes).kv_cache
    return Rejection(
        code="E507",
        service=candidacy.name,
        message=f"too close to call: whether `{candidacy.name}` starts with `max-model-len`"
        f" {size.footprint.max_model_len}",
        blame=("vllm", "max-model-len"),
        notes=(
            f"{gib_text(size.footprint.kv_required_bytes)} of KV cache are needed on {seat.label}, and"
            f" {gib_text(max(0, kv_cache.low))} to {gib_text(max(0, kv_cache.high))} will be there with utilization"
            f" {level / LEVELS:g}",
        ),
    )


def cannot_coexist(ground: Ground, conflict: tuple[Candidacy, ...], *, close: bool) -> Rejection:
    """E508 (E507 when the optimistic end of the intervals would do): a minimal set; each smaller one fits."""
    names = [f"`{each.name}`" for each in conflict]
    places = sorted({place for each in conflict for option in each.options for place in option.gpus})
    culprit = least_important(conflict)
    row = listed(names)
    smaller = "" if len(names) < 3 else f"; any {_number(len(names) - 1)} of them can"
    start = "too close to call: whether " + row + " fit together" if close else row + " cannot coexist"
    taken_alone = any(each.alone for each in conflict)
    blame: KeyPath = ("gpus",) if taken_alone else ("vllm", "max-model-len")
    return Rejection(
        code="E507" if close else "E508",
        service=culprit.name,
        message=f"{start} on {listed(ground.seats[place].label for place in places)}{smaller}",
        blame=("sharing",) if culprit.alone else blame,
        others=tuple(each.name for each in conflict if each is not culprit),
        asked_bytes=None if taken_alone else sum(each.tenant().weight for each in conflict),
        available_bytes=None if taken_alone else sum(ground.seats[place].gpu.free_bytes for place in places),
        notes=tuple(_wants(ground, each) for each in conflict),
    )


def _number(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[count] if count < len(words) else str(count)


def _wants(ground: Ground, candidacy: Candidacy) -> str:
    """What one of a conflicting set needs at least, and where it may go."""
    least = min(candidacy.options, key=lambda option: sum(option.claims(option.least)))
    each = gib_text(max(least.claims(least.least)))
    gpus = sorted({place for option in candidacy.options for place in option.gpus})
    row = listed((ground.seats[place].label for place in gpus), "and" if len(gpus) == candidacy.world_size else "or")
    alone = ", nobody beside it" if candidacy.alone else ""
    per_gpu = f" on each of {candidacy.world_size} GPUs" if candidacy.world_size > 1 else ""
    return f"`{candidacy.name}` needs {each}{per_gpu}{alone}: {row}"


def gave_up(candidacies: tuple[Candidacy, ...]) -> Rejection:
    """E509: the search stopped before it had an answer; not a claim that there is none."""
    return Rejection(
        code="E509",
        service=candidacies[0].name,
        message="the search for a placement was given up before there was an answer",
        blame=("gpus",),
        others=tuple(each.name for each in candidacies[1:]),
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
