"""Small records for tests of the scores."""

from __future__ import annotations

from orchestrator.catalog.models import find_model
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.startup import Outcome, StartupFigures, StartupInputs, StartupRecord


def facts(model: str) -> ModelFacts:
    found = find_model(model)
    assert found is not None
    return found


def known(model: str) -> ModelFacts | None:
    return find_model(model)


def inputs(**more: object) -> StartupInputs:
    """Qwen3-8B on one H100 with vLLM 0.19.0."""
    fields = {
        "model": "Qwen/Qwen3-8B",
        "release": "0.19.0",
        "gpu": "H100 80GB",
        "gpu_total_gib": 79.19,
        "gpu_memory_utilization": 0.95,
        "max_model_len": 8192,
        **more,
    }
    return StartupInputs(**fields)  # type: ignore[arg-type]


def record(
    record_id: str = "one",
    *,
    outcome: Outcome = Outcome.STARTED,
    source: str = "here",
    asked: dict[str, object] | None = None,
    **figures: object,
) -> StartupRecord:
    return StartupRecord(
        id=record_id,
        line=1,
        source=source,
        source_group=source,
        inputs=inputs(**(asked or {})),
        figures=StartupFigures(outcome=outcome, **figures),  # type: ignore[arg-type]
    )
