"""Findings as text: whole outputs of every view."""

from __future__ import annotations

import json

import pytest

from orchestrator.cli.views.diagnostics import render_findings, summary, visible
from orchestrator.domain.diagnostics import Diagnostic, Severity, Span

SOURCE = "service: mini\n" * 11 + "    gpu-memory-utilisation: 0.2\n"
FINDING = Diagnostic(
    code="E102",
    message="unknown key `gpu-memory-utilisation`",
    span=Span(file="configs/bad.yaml", line=12, column=5, end_line=12, end_column=27),
    label="no such key here",
    help=("did you mean `gpu-memory-utilization`?",),
)
MORE = "Learn more: `orchestrate explain E1`\n"


def at(line: int, column: int, end_column: int, **more: object) -> Diagnostic:
    span = Span(file="f", line=line, column=column, end_line=line, end_column=end_column)
    return Diagnostic(code="E1", message="m", span=span, **more)  # type: ignore[arg-type]


def full(finding: Diagnostic, source: str, *, color: bool = False) -> str:
    assert finding.span is not None
    return render_findings([finding], {finding.span.file: source}, "full", color=color)


def test_the_full_view_shows_the_line_with_a_caret() -> None:
    assert full(FINDING, SOURCE) == (
        """\
error[E102]: unknown key `gpu-memory-utilisation`
  --> configs/bad.yaml:12:5
   |
12 |     gpu-memory-utilisation: 0.2
   |     ^^^^^^^^^^^^^^^^^^^^^^ no such key here
   = help: did you mean `gpu-memory-utilization`?

Learn more: `orchestrate explain E102`
"""
    )


def test_colour_is_put_on_the_severity_and_the_caret_and_the_last_line_is_dim() -> None:
    text = full(at(1, 1, 2, severity=Severity.WARNING, notes=("n",)), "abc", color=True)

    assert text == (
        "\x1b[1;33mwarning[E1]\x1b[0m: m\n --> f:1:1\n  |\n1 | abc\n  | \x1b[1;33m^\x1b[0m\n  = note: n\n\n"
        "\x1b[2mLearn more: `orchestrate explain E1`\x1b[0m\n"
    )


def test_tabs_and_wide_characters_keep_the_caret_under_the_right_place() -> None:
    shown = full(at(1, 8, 9), "\t日本é\u0301: 値 x").splitlines()

    assert shown[3] == "1 |     日本é\u0301: 値 x"
    assert shown[4] == f"  | {' ' * 11}^^"


def test_a_long_line_is_clipped_around_the_caret() -> None:
    line = "a" * 300 + "BAD" + "b" * 300
    shown = full(at(1, 301, 304), line).splitlines()

    assert shown[3] == f"1 | …{'a' * 36}BAD{'b' * 71}…"
    assert shown[4] == f"  | {' ' * 37}^^^"


def test_a_caret_over_a_long_value_ends_with_the_clipped_line() -> None:
    shown = full(at(1, 5, 4000), "a: '" + "x" * 5000).splitlines()

    assert shown[3] == f"1 | a: '{'x' * 106}…"
    assert shown[4] == f"  |     {'^' * 106}"


def test_a_finding_over_several_lines_shows_the_first() -> None:
    span = Span(file="f", line=1, column=4, end_line=3, end_column=2)
    finding = Diagnostic(code="E1", message="m", span=span)

    assert full(finding, "a: [\n 1\n]\n") == "error[E1]: m\n --> f:1:4\n  |\n1 | a: [\n  |    ^\n\n" + MORE


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Diagnostic(code="E1", message="m"), "error[E1]: m\n\n"),
        (Diagnostic(code="E1", message="m", span=Span(file="f"), help=("h",)), "error[E1]: m\n --> f\n  = help: h\n\n"),
        (at(99, 1, 1), "error[E1]: m\n --> f:99:1\n\n"),
        (at(2, 9, 9), "error[E1]: m\n --> f:2:9\n  |\n2 |\n  | ^\n\n"),
    ],
)
def test_a_place_that_has_no_line_is_shown_without_one(finding: Diagnostic, text: str) -> None:
    assert render_findings([finding], {"f": "first\r\n"}, "full") == text + MORE


def test_the_last_line_names_the_first_codes_that_are_more_than_notes() -> None:
    severities = [Severity.NOTE, Severity.WARNING, Severity.ERROR, Severity.ERROR, Severity.WARNING, Severity.ERROR]
    findings = [Diagnostic(code=f"X{n // 4}{n}", message="m", severity=each) for n, each in enumerate(severities)]

    assert render_findings([*findings[:3], *findings], {}, "full").splitlines()[-1] == (
        "Learn more: `orchestrate explain X01 X02 X03`"
    )
    assert render_findings(findings[:1], {}, "full") == "note[X00]: m\n\n"


def test_a_line_without_its_carriage_return_is_shown() -> None:
    assert "1 | a: yes\n" in full(at(1, 4, 7), "a: yes\r\nb: 1\r\n")


def test_control_characters_are_escaped_in_every_view() -> None:
    nasty = "\x1b[2J\u202e\u2028\U000e0001\ud800"
    span = Span(file=f"f{nasty}", line=1, column=1, end_line=1, end_column=2)
    finding = Diagnostic(code="E1", message=nasty, span=span, label=nasty, notes=(nasty,), help=(nasty,))
    escaped = "\\x1b[2J\\u202e\\u2028\\U000e0001\\ud800"

    assert visible(nasty) == escaped
    for view in ("full", "concise", "github"):
        text = render_findings([finding], {span.file: nasty}, view)
        assert text.replace("\n", "").isprintable()
        assert escaped in text
    assert json.loads(render_findings([finding], {}, "json"))["findings"][0]["message"] == escaped


def test_what_looks_like_a_secret_is_masked_in_every_view() -> None:
    secret = "hf_abcdefghijklmnop"
    finding = at(1, 1, 2, label=secret, notes=(secret,), help=(secret,))

    for view in ("full", "concise", "json", "github"):
        assert secret not in render_findings([finding], {"f": f"key: {secret}\n"}, view)


def test_what_a_finding_hides_is_hidden_from_all_findings_of_the_file() -> None:
    hidden = Span(file="f", line=2, column=4, end_line=3, end_column=4)
    hiding = at(2, 1, 2, hidden=(hidden,))

    text = render_findings([at(3, 1, 3), hiding], {"f": "a: 1\nb: swordfish\n  fish\n"}, "full")

    assert "2 | b: *********\n" in text
    assert "3 | ***ish\n" in text


def test_the_concise_view_has_one_line_per_finding() -> None:
    findings = [FINDING, Diagnostic(code="W1", message="m", severity=Severity.WARNING)]

    assert render_findings(findings, {}, "concise") == (
        "configs/bad.yaml:12:5: error[E102] unknown key `gpu-memory-utilisation`\nwarning[W1] m\n"
    )


def test_the_github_view_escapes_what_the_command_needs() -> None:
    finding = Diagnostic(
        code="E1",
        message="100% wrong",
        span=Span(file="a,b:c%.yaml", line=1, column=2, end_line=3, end_column=4),
        label="here",
        notes=("n: 1, 2",),
        help=("h",),
    )
    note = Diagnostic(code="N1", message="m", severity=Severity.NOTE)

    assert render_findings([finding, note], {}, "github") == (
        "::error file=a%2Cb%3Ac%25.yaml,line=1,col=2,endLine=3,endColumn=4,title=E1::"
        "100%25 wrong%0Ahere%0Anote: n: 1, 2%0Ahelp: h\n"
        "::notice title=N1::m\n"
    )


def test_the_json_view_is_complete() -> None:
    text = render_findings([FINDING, Diagnostic(code="N1", message="é", severity=Severity.NOTE)], {"f": ""}, "json")

    assert text.isascii()
    assert json.loads(text) == {
        "version": 1,
        "summary": {"errors": 1, "warnings": 0, "notes": 1, "files": 1},
        "findings": [
            {
                "code": "E102",
                "severity": "error",
                "message": "unknown key `gpu-memory-utilisation`",
                "file": "configs/bad.yaml",
                "line": 12,
                "column": 5,
                "end_line": 12,
                "end_column": 27,
                "label": "no such key here",
                "notes": [],
                "help": ["did you mean `gpu-memory-utilization`?"],
                "fix": None,
            },
            {
                "code": "N1",
                "severity": "note",
                "message": "é",
                "file": None,
                "line": None,
                "column": None,
                "end_line": None,
                "end_column": None,
                "label": "",
                "notes": [],
                "help": [],
                "fix": None,
            },
        ],
    }


def test_no_findings_are_no_text() -> None:
    assert [render_findings([], {}, view) for view in ("full", "concise", "github")] == ["", "", ""]


@pytest.mark.parametrize(
    ("severities", "files", "line"),
    [
        ([], 3, "no findings in 3 files"),
        ([Severity.ERROR, Severity.WARNING, Severity.ERROR], 3, "2 errors, 1 warning in 3 files"),
        ([Severity.NOTE], 1, "1 note in 1 file"),
        ([Severity.WARNING] * 1200, 1000, "1,200 warnings in 1,000 files"),
    ],
)
def test_the_summary_counts(severities: list[Severity], files: int, line: str) -> None:
    assert summary([Diagnostic(code="x", message="m", severity=each) for each in severities], files) == line
