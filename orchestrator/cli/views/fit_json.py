"""What fits where, as programs read it: complete, stable, whole bytes; `orchestrate-fit` is the format's version."""

from __future__ import annotations

import json
from collections.abc import Iterable

from orchestrator.advisor.fitting import Fit, Form, Question
from orchestrator.advisor.host import EXAMPLE_TOKENS, HostAnswer, HostTable
from orchestrator.advisor.profile_text import profile_text
from orchestrator.advisor.recommendation import change_to_four_bit, recommend
from orchestrator.advisor.table import Answer, FitTable
from orchestrator.domain.plan import Prediction
from orchestrator.domain.units import ByteRange
from orchestrator.engine.problems import FlagProblem

FORMAT_VERSION = 1


def render_fit_json(table: FitTable | None, host: HostTable | None) -> str:
    """One JSON document; `cards` and `recommendations` are empty when only a host without a GPU was asked about."""
    answered = table if table is not None else host
    forms = table.forms if table is not None else tuple(answer.form for answer in host.answers) if host else ()
    document = {
        "orchestrate-fit": FORMAT_VERSION,
        "model": None if answered is None else answered.asked.facts.model,
        "question": None if answered is None else _question(answered.question),
        "forms": [_form(form) for form in forms],
        "cards": [] if table is None else [_answer(answer) for answer in table.answers],
        "recommendations": [] if table is None else _recommendations(table),
        "change_to_4_bit": None if table is None else _change(table),
        "without_gpu": None if host is None else _host(host),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _question(question: Question) -> dict[str, object]:
    return {
        "vllm_release": str(question.release),
        "max_model_len": question.max_model_len,
        "full_length_requests": question.full_length_requests,
        "flags": dict(question.flags),
    }


def _form(form: Form) -> dict[str, object]:
    return {
        "model": form.facts.model,
        "precision": form.precision.label,
        "bits": form.precision.bits,
        "checkpoint_bytes": form.facts.checkpoint_bytes,
        "exact": form.facts.exact,
        "provenance": form.facts.provenance,
        "max_model_len": form.length,
        "own_max_model_len": form.own_length,
    }


def _answer(answer: Answer) -> dict[str, object]:
    """One form on one kind of card: `fewest_cards` is null when no group that was tried takes it."""
    card = answer.card
    return {
        "model": answer.form.facts.model,
        "card": card.name,
        "card_bytes": card.total_bytes,
        "compute_capability": list(card.compute_capability),
        "usd_per_hour": card.usd_per_hour,
        "price_source": card.provenance.get("usd_per_hour"),
        "fewest_cards": None if answer.fit is None else answer.fit.group.count,
        "tried": [_fit(fit) for fit in answer.tried],
    }


def _fit(fit: Fit) -> dict[str, object]:
    return {
        "cards": fit.group.count,
        "verdict": fit.verdict.value,
        "reason": fit.reason,
        "help": list(fit.help),
        "findings": [_problem(problem) for problem in fit.problems],
        "usd_per_hour": fit.group.usd_per_hour,
        "gpu_memory_utilization": fit.utilization,
        "needed_bytes": fit.needed_bytes,
        "margin_bytes": fit.margin_bytes,
        "longest_max_model_len": fit.longest_model_len,
        "longest_by_memory": fit.memory_len,
        "terms": _terms(fit),
        "prediction": None if fit.prediction is None else _prediction(fit.prediction),
    }


def _problem(problem: FlagProblem) -> dict[str, object]:
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "message": problem.message,
        "notes": list(problem.notes),
        "help": list(problem.help),
    }


def _terms(fit: Fit) -> list[dict[str, object]]:
    if fit.footprint is None:
        return []
    return [
        {"term": term.term.value, "in_budget": term.in_budget, "bytes": _range(term.size), "source": term.source}
        for term in fit.footprint.terms
    ]


def _prediction(prediction: Prediction) -> dict[str, object]:
    return {
        "kv_cache_bytes": _range(prediction.kv_cache),
        "kv_tokens": _interval(prediction.kv_tokens),
        "full_length_requests": _interval(prediction.concurrency),
    }


def _recommendations(table: FitTable) -> list[dict[str, object]]:
    return [
        {
            "purpose": each.purpose.value,
            "model": each.fit.form.facts.model,
            "card": each.fit.group.card.name,
            "cards": each.fit.group.count,
            "usd_per_hour": each.fit.group.usd_per_hour,
            "longest_max_model_len": each.fit.longest_model_len,
            "profile": profile_text(each.fit, table.question),
        }
        for each in recommend(table)
    ]


def _change(table: FitTable) -> dict[str, str] | None:
    change = change_to_four_bit(table)
    return None if change is None else {"before": change.before, "after": change.after}


def _host(host: HostTable) -> dict[str, object]:
    bandwidth = host.bandwidth
    return {
        "bandwidth_bytes_per_second": _interval((bandwidth.low, bandwidth.expected, bandwidth.high)),
        "bandwidth_source": bandwidth.source,
        "ram_bytes": host.ram_bytes,
        "forms": [_host_answer(answer) for answer in host.answers],
        "faster": [{"factor": each.factor, "what": each.what} for each in host.speed_ups],
    }


def _host_answer(answer: HostAnswer) -> dict[str, object]:
    priced, rates = answer.footprint, answer.tokens_per_second
    return {
        "model": answer.form.facts.model,
        "runs": answer.runs,
        "reason": answer.refusal.reason if answer.refusal is not None else "",
        "help": answer.refusal.help if answer.refusal is not None else "",
        "unquantised_ram_bytes": None if answer.unquantised is None else _range(answer.unquantised.ram),
        "verdict": None if answer.verdict is None else answer.verdict.value,
        "ram_bytes": None if priced is None else _range(priced.ram),
        "terms": []
        if priced is None
        else [{"term": each.name, "bytes": _range(each.size), "source": each.source} for each in priced.terms],
        "read_per_token_bytes": None if priced is None else priced.read_per_token_bytes,
        "tokens_per_second": None if rates is None else _interval(rates),
        f"seconds_for_{EXAMPLE_TOKENS}_tokens": None if rates is None else _seconds(rates),
        "notes": list(answer.notes),
        "command": answer.command,
    }


def _seconds(rates: tuple[float, float, float]) -> dict[str, float]:
    low, expected, high = rates
    return _interval((EXAMPLE_TOKENS / high, EXAMPLE_TOKENS / expected, EXAMPLE_TOKENS / low))


def _range(size: ByteRange) -> dict[str, int]:
    return {"low": size.low, "expected": size.expected, "high": size.high}


def _interval(values: Iterable[float]) -> dict[str, float]:
    low, expected, high = values
    return {"low": low, "expected": expected, "high": high}
