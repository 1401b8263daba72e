"""How long the whole table of `orchestrate fit` takes: measured, never asserted."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from orchestrator.advisor.fitting import Question
from orchestrator.advisor.table import fit_table
from orchestrator.catalog.models import find_model, forms_of
from orchestrator.engine.releases import NEWEST


def test_eight_forms_on_every_card_of_the_catalogue(benchmark: BenchmarkFixture) -> None:
    """Groups of up to 8 of each card where a single one is too small."""
    large, small = find_model("meta-llama/Llama-3.3-70B-Instruct"), find_model("meta-llama/Llama-3.1-8B-Instruct")
    assert large is not None
    assert small is not None
    forms = (large, *forms_of(large), small, *forms_of(small))[:8]
    assert len(forms) == 8
    table = benchmark(lambda: fit_table(forms, Question(release=NEWEST)))
    assert len(table.forms) == 8
