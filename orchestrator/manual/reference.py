"""docs/codes.md: the page of all codes, written from the table of codes."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.manual.codes import Hundred, hundreds

_INTRODUCTION = """\
# Codes of findings

Every finding that `orchestrate` prints carries a code. Errors start with `E`, warnings with `W`, notes with `N`.
`orchestrate explain E201` says more about each: why, and an example that has the finding beside one that has not. This
page is written from the same table.
"""


def render_codes() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *(line for each in hundreds() for line in _section(each))])


def _section(hundred: Hundred) -> Iterator[str]:
    yield f"## {hundred.digit}xx: {hundred.title}\n"
    yield "| code | what it means | what to do |"
    yield "| --- | --- | --- |"
    for each in hundred.explanations:
        yield f"| `{each.code}` | {_cell(each.means)} | {_cell(each.do)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
