"""`orchestrate accuracy`: how right the memory model is on recorded start-ups."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import OfflineOption
from orchestrator.cli.terminal import emit, emit_document, print_findings, width_of_terminal
from orchestrator.domain.diagnostics import Diagnostic, Report
from orchestrator.domain.failures import OutsideFailure

if TYPE_CHECKING:
    from orchestrator.domain.model_config import ModelFacts
    from orchestrator.domain.startup import StartupRecord
    from orchestrator.scoring.report import AccuracyReport, FindModel

_MOST_BYTES = 64 * 1024 * 1024


def accuracy(
    records: Annotated[
        str, typer.Argument(metavar="RECORDS.jsonl", help="Recorded start-ups, one JSON object a line.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print prediction and interval of each record, or why there is none.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page `docs/accuracy.md`.")] = False,
    cross_validate: Annotated[
        bool,
        typer.Option("--cross-validate", help="Fit the constants again for each source, without that source."),
    ] = False,
    offline: OfflineOption = False,
) -> None:
    """Score the memory model against recorded start-ups: per term, GPU and release, the worst cases first."""
    report = Report()
    read = _read_records(records, report)
    if read is None:
        raise typer.Exit(ExitCode.FINDINGS)
    found, sources = read
    find_model = _model_finder(Path(records).parent, report, offline=offline)
    plain, held_out = _reports(found, find_model, cross_validate=cross_validate or markdown)
    if markdown and held_out is not None:
        view = _page(found, find_model, plain, held_out)
    else:
        view = _view(held_out if cross_validate and held_out is not None else plain, as_json=as_json)
    (emit_document if as_json or markdown else emit)(view)
    print_findings(report, sources)
    if report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)


def _read_records(path: str, report: Report) -> tuple[tuple[StartupRecord, ...], Mapping[str, str]] | None:
    from orchestrator.adapters.files import read_text
    from orchestrator.config.startup_records import parse_startup_records

    text = read_text(path, max_bytes=_MOST_BYTES, wanted="a file of recorded start-ups")
    if isinstance(text, Diagnostic):
        report.add(text)
        print_findings(report, {})
        return None
    records, findings = parse_startup_records(text, path)
    report.extend(findings)
    return records, {path: text}


def _model_finder(base_directory: Path, report: Report, *, offline: bool) -> FindModel:
    """Looks a model up by what a record calls it, once: the names that it may have, best first.

    A hub that fails is reported once and not asked again: the other records are scored without it.
    """
    from orchestrator.adapters.model_source import find_model_facts
    from orchestrator.scoring.record_model import model_candidates

    failures: list[OutsideFailure] = []

    def look_up(name: str) -> ModelFacts | Diagnostic:
        try:
            return find_model_facts(name, None, offline=offline or bool(failures), base_directory=base_directory)
        except OutsideFailure as failure:
            failures.append(failure)
            report.add(failure.finding)
            return failure.finding

    @cache
    def find(written: str) -> ModelFacts | None:
        found = (look_up(name) for name in model_candidates(written))
        return next((facts for facts in found if not isinstance(facts, Diagnostic)), None)

    return find


def _reports(
    records: tuple[StartupRecord, ...], find_model: FindModel, *, cross_validate: bool
) -> tuple[AccuracyReport, AccuracyReport | None]:
    from orchestrator.scoring.calibration import constants_without_each_source
    from orchestrator.scoring.report import accuracy_report

    plain = accuracy_report(records, find_model)
    if not cross_validate:
        return plain, None
    constants = constants_without_each_source(records, find_model)
    return plain, accuracy_report(records, find_model, constants)


def _page(
    records: tuple[StartupRecord, ...], find_model: FindModel, plain: AccuracyReport, held_out: AccuracyReport
) -> str:
    from orchestrator.cli.views.accuracy_page import accuracy_page
    from orchestrator.scoring.calibration import fit, samples

    return accuracy_page(plain, held_out, fit(samples(records, find_model)))


def _view(report: AccuracyReport, *, as_json: bool) -> str:
    if as_json:
        from orchestrator.cli.views.accuracy_json import accuracy_json

        return accuracy_json(report)
    from orchestrator.cli.views.accuracy import accuracy_text

    return accuracy_text(report, width=width_of_terminal())
