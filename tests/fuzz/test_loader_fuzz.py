"""Thousands of mutated profiles through the whole loader: never an exception, and every place inside its text."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from orchestrator.cli.views.diagnostics import render_findings
from orchestrator.config.join import join
from orchestrator.config.load import load_deployment, load_service, outline_of
from orchestrator.config.yaml_tree import parse
from orchestrator.domain.diagnostics import Report

CONFIGS = Path(__file__).parents[2] / "configs"
SEEDS = [file.read_text(encoding="utf-8") for file in sorted(CONFIGS.glob("*.yaml"))]
SEEDS.append("a: &x {b: [1, \"q\\n\", 'z'], c: *x}\nd: |\n  text\n  more\ne: >-\n  folded\n? k\n: v\nvllm: {f: *x}\n")
PIECES = [
    *" \n\t:-?[]{},#&*!|>'\"%@`~\\0a.",
    *("\r\n", "\r", "\0", "\ufeff", "\x85", "\u2028", "é", "😀", "日本", "\ud800", "\x1b[31m"),
    *(": ", "- ", "? ", "<<: ", "--- ", "...\n", "|2\n", ">-\n", "&a ", "*a ", "!!python/object:x ", "%YAML 9.9\n"),
    *("010", "1:30", "yes", "1_000", ".inf", "1e400", "9" * 400, "[[[[[[[[", "{{{{{{{{", '"\\xff"', '"\\UFFFFFFFF"'),
]
ROUNDS = 8000


def mutated(random: Random) -> str:
    text = random.choice(SEEDS)
    for _ in range(random.randint(1, 5)):
        place = random.randrange(len(text) + 1)
        match random.randrange(4):
            case 0:
                text = text[:place] + random.choice(PIECES) + text[place:]
            case 1:
                text = text[:place] + text[place + random.randint(1, 12) :]
            case 2:
                other = random.choice(SEEDS)
                start = random.randrange(len(other))
                text = text[:place] + other[start : start + random.randint(1, 80)] + text[place:]
            case _:
                text = text[:place]
    return text


def check(text: str) -> None:
    document = parse(text, "f")
    report = Report()
    outline = outline_of(document)
    service = load_service(document, report, outline)
    assert (service is None) == report.has_errors
    of_deployment = Report()
    file = load_deployment(document, of_deployment)
    assert (file is None) == of_deployment.has_errors
    if file is not None:
        join(file, [service] if service else [], of_deployment)
    report.extend(of_deployment)
    lines = text.split("\n")
    for finding in report:
        span = finding.span
        assert span is not None
        assert 1 <= span.line <= span.end_line <= len(lines)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1
        assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
    for view in ("full", "concise", "json", "github"):
        render_findings(report.in_order(), {"f": text}, view).encode("utf-8")


@pytest.mark.parametrize("part", range(4))
def test_no_mutated_profile_makes_the_loader_stumble(part: int) -> None:
    random = Random(part)
    for number in range(ROUNDS // 4):
        text = mutated(random)
        try:
            check(text)
        except Exception as error:
            pytest.fail(f"part {part}, round {number}: {error!r} for {text!r}")
