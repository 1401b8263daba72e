"""The same profile under two releases: what each service gains or loses, and which of their rules is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Placement, Plan, Term, WorkerPlan
from orchestrator.domain.units import MIB, as_gib
from orchestrator.engine.memory_rules import MemoryRules, memory_rules

_WORTH_A_WORD = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One service before and after: its tightest worker in each (None: it has no place there), and the reasons."""

    service: str
    before: WorkerPlan | None
    after: WorkerPlan | None
    reasons: tuple[str, ...] = ()


def compare(before: Plan, after: Plan) -> tuple[Difference, ...]:
    """Every service of two plans of the same project on the same GPUs that was placed or refused in either."""
    plans = (before, after)
    old, new = ({each.service: each for each in plan.placements} for plan in plans)
    refused = (name for plan in plans for each in plan.rejections for name in (each.service, *each.others))
    names = dict.fromkeys([*old, *new, *refused])
    return tuple(_difference(name, old.get(name), new.get(name), plans) for name in names)


def _difference(name: str, old: Placement | None, new: Placement | None, plans: tuple[Plan, Plan]) -> Difference:
    before = old.weakest if old else None
    after = new.weakest if new else None
    if old is None or new is None or before is None or after is None:
        missing = [plan for plan, worker in zip(plans, (before, after), strict=True) if worker is None]
        refusals = (each for plan in missing for each in plan.rejections if name in (each.service, *each.others))
        messages = dict.fromkeys(each.message for each in refusals)
        return Difference(service=name, before=before, after=after, reasons=tuple(messages))
    rules = memory_rules(plans[0].release), memory_rules(plans[1].release)
    reasons = [
        *_about_budget(old, new, before, after, rules),
        *_about_terms(before, after, rules, plans[1].inventory),
        *_about_blocks(before, after),
        *_about_rules(rules),
    ]
    return Difference(service=name, before=before, after=after, reasons=tuple(reasons))


Rules = tuple[MemoryRules, MemoryRules]


def _about_budget(old: Placement, new: Placement, before: WorkerPlan, after: WorkerPlan, rules: Rules) -> Iterator[str]:
    if abs(after.budget_bytes - before.budget_bytes) < _WORTH_A_WORD:
        return
    defaults = tuple(each.default_utilization for each in rules)
    is_default = (old.utilization, new.utilization) == defaults and defaults[0] != defaults[1]
    why = ": another default" if is_default else ""
    share = f"{old.utilization:g} -> {new.utilization:g} of the card" + why
    yield f"budget {_gib(before.budget_bytes)} -> {_gib(after.budget_bytes)} GiB ({share})"


def _about_terms(before: WorkerPlan, after: WorkerPlan, rules: Rules, inventory: Inventory) -> Iterator[str]:
    for term in Term:
        old, new = _sizes(before, term), _sizes(after, term)
        why = _why_activation(rules, after, inventory) if term is Term.ACTIVATION else ""
        yield from _about_term(term, old, new, why)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What is expected of a term within the budget and on top of it, in bytes."""

    inside: int
    outside: int

    @property
    def whole(self) -> int:
        return self.inside + self.outside


def _sizes(worker: WorkerPlan, term: Term) -> _Sizes:
    parts = [each for each in worker.footprint.terms if each.term is term]
    inside, outside = (sum(each.size.expected for each in parts if each.in_budget is is_in) for is_in in (True, False))
    return _Sizes(inside, outside)


def _about_term(term: Term, old: _Sizes, new: _Sizes, why: str) -> Iterator[str]:
    inside, outside = new.inside - old.inside, new.outside - old.outside
    if inside * outside < 0 and abs(inside + outside) < max(abs(inside), abs(outside)) / 2:
        where = "inside" if inside > 0 else "outside"
        yield f"{term.value}: {where} the budget now, {_gib(old.whole)} -> {_gib(new.whole)} GiB"
        return
    if abs(inside) >= _WORTH_A_WORD:
        yield f"{term.value} in the budget {_gib(old.inside)} -> {_gib(new.inside)} GiB{why}"
    if abs(outside) >= _WORTH_A_WORD:
        yield f"{term.value} on top of the budget {_gib(old.outside)} -> {_gib(new.outside)} GiB"


def _why_activation(rules: Rules, worker: WorkerPlan, inventory: Inventory) -> str:
    gpu = next(each for each in inventory.gpus() if each.uuid == worker.gpu_uuid)
    tiers = [each.batch_tier(gpu) for each in rules]
    causes = []
    if not rules[0].v1_engine and rules[1].v1_engine:
        causes.append("the V1 engine profiles one batch")
    if tiers[0].max_num_batched_tokens != tiers[1].max_num_batched_tokens:
        tokens = " -> ".join(f"{each.max_num_batched_tokens:,}" for each in tiers)
        causes.append(f"tokens in a batch unless written {tokens}")
    if rules[0].sampler is not rules[1].sampler:
        causes.append(f"sampler {rules[0].sampler.value} -> {rules[1].sampler.value}")
    return f" ({'; '.join(causes)})" if causes else ""


def _about_blocks(before: WorkerPlan, after: WorkerPlan) -> Iterator[str]:
    old, new = (worker.footprint.kv.bytes_for(worker.footprint.max_model_len) for worker in (before, after))
    same_length = before.footprint.max_model_len == after.footprint.max_model_len
    if same_length and abs(new - old) >= _WORTH_A_WORD:
        yield f"one request of full length takes {_gib(old)} -> {_gib(new)} GiB of KV cache"


_RULES: tuple[tuple[str, str, str], ...] = (
    (
        "startup_free_check",
        "the start is refused unless the whole budget is free",
        "the start is no longer refused when less than the budget is free",
    ),
    (
        "device_wide",
        "memory of other processes is charged to this service",
        "memory of other processes is no longer charged to this service",
    ),
)
"""Rules that decide without changing a term: what to say when they begin and when they end."""


def _about_rules(rules: Rules) -> Iterator[str]:
    for name, begins, ends in _RULES:
        old, new = (bool(getattr(each, name)) for each in rules)
        if old is not new:
            yield begins if new else ends


def _gib(size: int) -> str:
    return f"{as_gib(size):.2f}"
