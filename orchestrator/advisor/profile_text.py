"""The service file to write for a fit: short, commented, and accepted by `orchestrate validate`."""

from __future__ import annotations

import json
import re

from orchestrator.advisor.fitting import Fit, Question, flags_for
from orchestrator.domain.profile import FlagValue

_PLAIN = re.compile(r"(?:[A-Za-z]|~?/)[A-Za-z0-9_./-]*[A-Za-z0-9_/]", re.ASCII)
_NO_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some reader of YAML takes for a truth value or for nothing."""

_LONGEST_NAME = 63


def profile_text(fit: Fit, question: Question) -> str:
    """A service file for the fit; the utilization is what that card can start, and the planner's ceiling."""
    flags = {**flags_for(fit.form, fit.group, question), "gpu-memory-utilization": fit.utilization}
    asked = question.full_length_requests
    lines = [
        f"service: {_scalar(service_name(fit.form.facts.model))}",
        f"model: {_scalar(fit.form.facts.model)}",
        *(["require:", f"  full-length-requests: {asked:g}"] if asked != 1 else []),
        "vllm:",
        *(f"  {name}: {_value(value)}" for name, value in flags.items()),
    ]
    return "\n".join(lines) + "\n"


def service_name(model: str) -> str:
    """A model's own name as a service may be called: `qwen2-5-14b-instruct-awq`."""
    words = re.sub(r"[^a-z0-9]+", "-", model.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return words[:_LONGEST_NAME].strip("-") or "model"


def _scalar(text: str) -> str:
    """Plain where every YAML reader takes it for a string, else in double quotes."""
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _NO_TEXT
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _value(value: FlagValue) -> str:
    """JSON is YAML, too, whatever the value holds; plain words are left as they are."""
    return _scalar(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
