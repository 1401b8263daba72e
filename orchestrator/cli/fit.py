"""`orchestrate fit`: which form of a model fits which card, how far its context reaches, at what price."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import OfflineOption
from orchestrator.cli.release_option import read_release_option
from orchestrator.cli.terminal import (
    colour_wanted,
    emit,
    emit_document,
    print_findings,
    unicode_wanted,
    width_of_terminal,
)
from orchestrator.domain.diagnostics import Diagnostic, Report

if TYPE_CHECKING:
    from orchestrator.advisor.cards import CardGroup
    from orchestrator.advisor.fitting import Question
    from orchestrator.domain.model_config import ModelFacts

_NO_GPU = "cpu"


def fit(
    model: Annotated[str, typer.Argument(help="A hub id, or a directory with a config.json and *.safetensors.")],
    gpu: Annotated[
        list[str] | None,
        typer.Option("--gpu", metavar="CARD", help="A card (`T4`), a group (`2xRTX4090`) or `cpu`; may be repeated."),
    ] = None,
    max_model_len: Annotated[
        int | None,
        typer.Option(
            "--max-model-len", metavar="N", min=1, help="Tokens of a request; by default 8192 or the model's."
        ),
    ] = None,
    requests: Annotated[
        float, typer.Option("--requests", metavar="N", min=1, max=100_000, help="Requests of that length at once.")
    ] = 1.0,
    flags: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FLAG=VALUE", help="A flag of `vllm serve`, such as `kv-cache-dtype=fp8`; repeatable."
        ),
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", metavar="RELEASE", help="A vLLM release; the newest known by default.")
    ] = None,
    host_ram: Annotated[
        float | None,
        typer.Option("--host-ram", metavar="GIB", min=0.1, max=1e6, help="RAM of the host without a GPU, in GiB."),
    ] = None,
    host_bandwidth: Annotated[
        float | None,
        typer.Option(
            "--host-bandwidth", metavar="GB/S", min=0.1, max=1e6, help="What its memory reads, in 10^9 bytes a second."
        ),
    ] = None,
    all_cards: Annotated[bool, typer.Option("--all", help="Every card of the catalogue in detail.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything that was computed as JSON.")] = False,
    offline: OfflineOption = False,
) -> None:
    """Show which form of a model fits which card, and what to write."""
    from orchestrator.advisor.fitting import Question
    from orchestrator.cli.flag_options import read_flags
    from orchestrator.engine.releases import NEWEST

    report = Report()
    sources: dict[str, str] = {}
    pinned = read_release_option(release) or NEWEST
    question = Question(
        release=pinned,
        max_model_len=max_model_len,
        full_length_requests=requests,
        flags=read_flags(flags or [], pinned, report, sources),
    )
    forms = _forms(model, question, offline=offline, report=report)
    wanted = _wanted(gpu or [], report)
    print_findings(report, sources)
    if report.has_errors:
        raise typer.Exit(ExitCode.FINDINGS)
    host = _Host(ram_gib=host_ram, gigabytes_per_second=host_bandwidth)
    answer = _answer(forms, question, wanted, host, all_cards=all_cards, as_json=as_json)
    (emit_document if as_json else emit)(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What `--gpu` named: `groups` is None when every card is meant."""

    groups: tuple[CardGroup, ...] | None
    cpu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    ram_gib: float | None
    gigabytes_per_second: float | None


def _forms(model: str, question: Question, *, offline: bool, report: Report) -> tuple[ModelFacts, ...]:
    """The model as named, and its other forms in the catalogue; a directory stands for itself."""
    from orchestrator.adapters.model_source import find_model_facts, names_a_directory
    from orchestrator.advisor.fitting import check_question
    from orchestrator.catalog.models import forms_of
    from orchestrator.cli.views.fit_options import as_options

    here = Path()
    facts = find_model_facts(model, None, offline=offline, base_directory=here)
    if isinstance(facts, Diagnostic):
        report.add(facts)
        return ()
    for problem in check_question(facts, question):
        help_ = tuple(as_options(line) for line in problem.help)
        report.add(Diagnostic(code=problem.code, message=problem.message, notes=problem.notes, help=help_))
    return (facts,) if names_a_directory(model, here) else (facts, *forms_of(facts))


def _wanted(names: list[str], report: Report) -> _Wanted:
    from orchestrator.advisor.cards import card_group

    found = [card_group(name) for name in dict.fromkeys(names) if name.lower() != _NO_GPU]
    report.extend(each for each in found if isinstance(each, Diagnostic))
    groups = tuple(dict.fromkeys(each for each in found if not isinstance(each, Diagnostic)))
    return _Wanted(groups=groups if names else None, cpu=not names or any(name.lower() == _NO_GPU for name in names))


def _answer(
    forms: tuple[ModelFacts, ...], question: Question, wanted: _Wanted, host: _Host, *, all_cards: bool, as_json: bool
) -> str:
    from orchestrator.advisor.host import bandwidth_of, host_table
    from orchestrator.advisor.table import fit_table
    from orchestrator.domain.units import gib

    only_cpu = wanted.cpu and wanted.groups == ()
    table = None if only_cpu else fit_table(forms, question, wanted.groups)
    ram_bytes = None if host.ram_gib is None else gib(host.ram_gib)
    bandwidth = bandwidth_of(host.gigabytes_per_second)
    without_gpu = host_table(forms, question, bandwidth=bandwidth, ram_bytes=ram_bytes) if wanted.cpu else None
    if as_json:
        from orchestrator.cli.views.fit_json import render_fit_json

        return render_fit_json(table, without_gpu)
    from orchestrator.cli.views.fit import Page, render_fit

    page = Page(width=width_of_terminal(), unicode=unicode_wanted(), color=colour_wanted(), all_cards=all_cards)
    return render_fit(table, without_gpu, page, chosen_cards=wanted.groups is not None)
