"""Changes that make an impossible plan possible: each is planned again before it is offered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from orchestrator.catalog.models import forms_of
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.profile import FlagValue, ServiceProfile, Sharing
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.sharding_checks import check_sharding
from orchestrator.planner.candidacy import Candidacy, Ground
from orchestrator.planner.company import Company, Repair, tried
from orchestrator.planner.flag_keys import shown_key, with_values
from orchestrator.planner.problem import LEVELS
from orchestrator.planner.seats import listed
from orchestrator.planner.wish_repairs import fewer_replicas, one_wish_less, spread_over_gpus

UTILIZATION, LENGTH, TENSOR_PARALLEL = "gpu-memory-utilization", "max-model-len", "tensor-parallel-size"

_SHORTEST_WORTH_OFFERING = 1024
_EIGHT_BIT = "fp8"
_MOST_WORKERS = 16


def repairs_for(candidacy: Candidacy, company: Company) -> Iterator[Repair]:
    """Repairs of one service that let it and its company fit, the mildest first."""
    attempts = (
        _shared,
        spread_over_gpus,
        one_wish_less,
        _higher_ceiling,
        _fixed_cache,
        anywhere,
        _wider,
        _eight_bit_cache,
        _higher_and_shorter,
        _shorter,
        _other_form,
        fewer_replicas,
    )
    for attempt in attempts:
        repair = attempt(candidacy, company)
        if repair is not None:
            yield repair


def _changed(candidacy: Candidacy, company: Company, **values: FlagValue) -> Candidacy:
    """The service with flags set, by their names with underscores."""
    flags = {name.replace("_", "-"): value for name, value in values.items()}
    return company.ground.assess(_with_flags(candidacy.profile, company.ground, flags), candidacy.facts)


def _with_flags(profile: ServiceProfile, ground: Ground, values: Mapping[str, FlagValue]) -> ServiceProfile:
    return replace(profile, vllm=with_values(profile.vllm, values, ground.release))


def _key(candidacy: Candidacy, company: Company, name: str) -> str:
    return shown_key(candidacy.profile.vllm, name, company.ground.release)


def _shared(candidacy: Candidacy, company: Company) -> Repair | None:
    if candidacy.profile.sharing is not Sharing.EXCLUSIVE:
        return None
    profile = replace(candidacy.profile, sharing=Sharing.SHARED)
    return tried(candidacy, company, profile, f"set `sharing: shared` for `{candidacy.name}`")


def _higher_ceiling(candidacy: Candidacy, company: Company) -> Repair | None:
    """The least ceiling that is enough."""
    if not any(size.least is not None and size.asked < size.least for size in candidacy.sizes.values()):
        return None
    found = _least_ceiling(candidacy, company)
    if found is None:
        return None
    level, changed = found
    key = _key(candidacy, company, UTILIZATION)
    return Repair(text=f"raise `{key}` of `{candidacy.name}` to {level / LEVELS:g} or more", repaired=(changed,))


def _least_ceiling(candidacy: Candidacy, company: Company) -> tuple[int, Candidacy] | None:
    """The least level of `gpu-memory-utilization` with which everybody fits, and the service with it."""
    low, high = 0, LEVELS
    best = _changed(candidacy, company, gpu_memory_utilization=1.0)
    if not company.fits_with(best):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        changed = _changed(candidacy, company, gpu_memory_utilization=middle / LEVELS)
        if company.fits_with(changed):
            high, best = middle, changed
        else:
            low = middle
    return high, best


def _fixed_cache(candidacy: Candidacy, company: Company) -> Repair | None:
    """A fixed KV cache of the size that is required, or, where there is more than the GPU has, the most that fits."""
    size = max(candidacy.sizes.values(), key=lambda each: each.footprint.kv_required_bytes, default=None)
    fixed = None if size is None else size.footprint.fixed_kv_bytes
    if size is None or fixed is None:
        return None
    priced, name = size.footprint, size.fixed_by
    unit = size.fixed_unit
    low, high = -(-priced.kv_required_bytes // unit), fixed // unit
    is_too_small = high < low
    best = _changed(candidacy, company, **{name: low})
    if not company.fits_with(best):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        changed = _changed(candidacy, company, **{name: middle})
        low, high, best = (middle, high, changed) if company.fits_with(changed) else (low, middle, best)
    which = "more" if is_too_small else "less"
    key = _key(candidacy, company, name)
    return Repair(text=f"write `{key}: {low}` or {which} for `{candidacy.name}`", repaired=(best,))


def least_fixed_cache(candidacy: Candidacy, company: Company) -> Repair | None:
    """What a fixed KV cache must be changed to before anything else can help; it is not enough by itself."""
    short = [size for size in candidacy.sizes.values() if size.fixed_is_short]
    if not short:
        return None
    size = max(short, key=lambda each: each.footprint.kv_required_bytes)
    least = -(-size.footprint.kv_required_bytes // size.fixed_unit)
    key = _key(candidacy, company, size.fixed_by)
    return Repair(text=f"leave `{key}` of `{candidacy.name}` out, or write {least} or more: less is enough on no GPU")


def _wider(candidacy: Candidacy, company: Company) -> Repair | None:
    """The smallest tensor-parallel-size on equal cards of one host that is allowed and enough."""
    flags = canonical_flags(candidacy.profile.vllm, company.ground.release)
    written = flags.get(TENSOR_PARALLEL, 1)
    for size in range(1, min(_MOST_WORKERS, _most_equal_cards(company.ground)) + 1):
        profile = _with_flags(candidacy.profile, company.ground, {TENSOR_PARALLEL: size})
        config = candidacy.facts.config
        if size == written or check_sharding(vllm=profile.vllm, release=company.ground.release, config=config):
            continue
        freed = candidacy.profile.gpus is not None and len(candidacy.profile.gpus) < size
        text = f"set `{_key(candidacy, company, TENSOR_PARALLEL)}: {size}` for `{candidacy.name}`"
        profile = replace(profile, gpus=None) if freed else profile
        repair = tried(candidacy, company, profile, text + (" and leave its `gpus:` out" if freed else ""))
        if repair is not None:
            return repair
    return None


def _most_equal_cards(ground: Ground) -> int:
    row = [(seat.host.name, seat.gpu.name, seat.gpu.total_bytes) for seat in ground.seats if seat.gpu.is_assignable]
    return max((row.count(each) for each in set(row)), default=0)


def _eight_bit_cache(candidacy: Candidacy, company: Company) -> Repair | None:
    sixteen_bit = {"auto", "bfloat16", "float16", None}
    if canonical_flags(candidacy.profile.vllm, company.ground.release).get("kv-cache-dtype") not in sixteen_bit:
        return None
    profile = _with_flags(candidacy.profile, company.ground, {"kv-cache-dtype": _EIGHT_BIT})
    key = _key(candidacy, company, "kv-cache-dtype")
    text = f"set `{key}: {_EIGHT_BIT}` for `{candidacy.name}`: half the bytes per token"
    return tried(candidacy, company, profile, text)


def _shorter(candidacy: Candidacy, company: Company) -> Repair | None:
    """The greatest max-model-len with which everybody fits, to the token."""
    return shorter_together((candidacy,), company)


def _higher_and_shorter(candidacy: Candidacy, company: Company) -> Repair | None:
    """A greater max-model-len than under the ceiling that counts now, with the least ceiling that it takes."""
    if not any(size.asked < LEVELS for size in candidacy.sizes.values()):
        return None
    lifted = _changed(candidacy, company, gpu_memory_utilization=1.0)
    if company.fits_with(lifted):
        return None
    length = _longest((lifted,), company)
    if length is None or length >= _length(candidacy) or length <= (_longest((candidacy,), company) or 0):
        return None
    cut = _changed(candidacy, company, max_model_len=length)
    found = _least_ceiling(cut, company)
    if found is None:
        return None
    level, changed = found
    utilization, max_model_len = (_key(candidacy, company, name) for name in (UTILIZATION, LENGTH))
    text = (
        f"raise `{utilization}` of `{candidacy.name}` to {level / LEVELS:g} or more, and lower `{max_model_len}` from"
        f" {_length(candidacy)} to {length}, or less"
    )
    return Repair(text=text, repaired=(changed,))


def shorter_together(members: tuple[Candidacy, ...], company: Company) -> Repair | None:
    """The greatest common max-model-len of some services with which everybody fits, to the token."""
    length = _longest(members, company)
    if length is None:
        return None
    longest = max(_length(each) for each in members)
    names = listed([f"`{each.name}`" for each in members if _length(each) > length])
    each_word = " each" if len(members) > 1 else ""
    keys = {_key(each, company, LENGTH) for each in members}
    key = keys.pop() if len(keys) == 1 else LENGTH
    return Repair(
        text=f"lower `{key}` of {names} from {longest} to {length}{each_word}, or less",
        repaired=_cut(members, length, company),
    )


def _longest(members: tuple[Candidacy, ...], company: Company) -> int | None:
    """The greatest common max-model-len below the present one with which everybody fits; None where none is."""
    low, high = _SHORTEST_WORTH_OFFERING, max((_length(each) for each in members), default=0)
    if low >= high or not company.fits_with(*_cut(members, low, company)):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if company.fits_with(*_cut(members, middle, company)) else (low, middle)
    return low


def _length(candidacy: Candidacy) -> int:
    """max-model-len in tokens as it would be without a repair; 0 where no GPU was priced."""
    return max((size.settings.max_model_len for size in candidacy.sizes.values()), default=0)


def _cut(members: tuple[Candidacy, ...], length: int, company: Company) -> tuple[Candidacy, ...]:
    return tuple(_changed(each, company, max_model_len=length) if _length(each) > length else each for each in members)


def _other_form(candidacy: Candidacy, company: Company) -> Repair | None:
    """The same model quantised: the form that allows the longest max-model-len, among equals the most bytes."""
    best: tuple[tuple[int, int], Repair] | None = None
    for form in forms_of(candidacy.facts):
        if form.config.quantization is None or form.checkpoint_bytes >= candidacy.facts.checkpoint_bytes:
            continue
        repair = _in_form(candidacy, company, form)
        if repair is None:
            continue
        worth = (max(_length(each) for each in repair.repaired), form.checkpoint_bytes)
        if best is None or worth > best[0]:
            best = (worth, repair)
    return None if best is None else best[1]


def _in_form(candidacy: Candidacy, company: Company, form: ModelFacts) -> Repair | None:
    profile = replace(candidacy.profile, model=form.model, revision=None)
    whole = company.ground.assess(profile, form)
    text = f"take `model: {form.model}` for `{candidacy.name}`, the same model quantised"
    text += ", without its `revision:`" if candidacy.profile.revision is not None else ""
    if company.fits_with(whole):
        return Repair(text=text, repaired=(whole,), keeps_model=False)
    length = _longest((whole,), company)
    if length is None:
        return None
    key = _key(candidacy, company, LENGTH)
    text += f", with `{key}` at most {length}"
    return Repair(text=text, repaired=_cut((whole,), length, company), keeps_model=False)


def anywhere(candidacy: Candidacy, company: Company) -> Repair | None:
    """The service without its pins."""
    if candidacy.profile.gpus is None:
        return None
    profile = replace(candidacy.profile, gpus=None)
    text = f"leave `gpus:` of `{candidacy.name}` out: there is room for it without"
    return tried(candidacy, company, profile, text)


def anywhere_together(conflict: tuple[Candidacy, ...], company: Company) -> Repair | None:
    """Several services without their pins, those that matter least first and as few as it takes."""
    pinned = [each for each in reversed(conflict) if each.profile.gpus is not None]
    pinned.sort(key=lambda each: each.profile.priority)
    free = {each.name: company.ground.assess(replace(each.profile, gpus=None), each.facts) for each in pinned}
    low, high = 2, len(pinned)
    while low < high:
        middle = (low + high) // 2
        if company.fits_with(*_unpinned(conflict, pinned[:middle], free)):
            high = middle
        else:
            low = middle + 1
    repaired = _unpinned(conflict, pinned[:low], free)
    if high < 2 or not company.fits_with(*repaired):
        return None
    names = listed([f"`{each.name}`" for each in conflict if each in pinned[:low]])
    return Repair(text=f"leave `gpus:` of {names} out: there is room for them without", repaired=repaired)


def _unpinned(
    conflict: tuple[Candidacy, ...], chosen: list[Candidacy], free: Mapping[str, Candidacy]
) -> tuple[Candidacy, ...]:
    names = {each.name for each in chosen}
    return tuple(free[each.name] if each.name in names else each for each in conflict)
