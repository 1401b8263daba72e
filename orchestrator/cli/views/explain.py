"""Codes of findings as text for people, as a list and one by one, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from orchestrator.cli.views.diagnostics import visible
from orchestrator.cli.views.paper import Page
from orchestrator.manual.codes import KINDS, Explanation, Hundred

JSON_VERSION = 1

_OF = {
    "service": "in a service file",
    "deployment": "in the deployment file",
    "inventory": "an inventory file",
    "gpus": "`gpus` of a host in an inventory file",
    "records": "a line of recorded start-ups",
    "config.json": "the config.json of a model",
    "command": "a command",
}


def codes_text(hundreds: Sequence[Hundred], *, width: int, color: bool = False) -> str:
    """All codes, a line or two each."""
    page = Page(width, color)
    for hundred in hundreds:
        page.line(page.bold(f"{hundred.digit}xx: {hundred.title}"))
        for each in hundred.explanations:
            page.hanging(f"  {each.code}  ", each.means)
        page.line()
    page.line("Next: `orchestrate explain E201` explains one of them, with examples.")
    return page.text()


def explanations_text(explanations: Sequence[Explanation], *, width: int, color: bool = False) -> str:
    """Explanations one after the other, an empty line between them."""
    page = Page(width, color)
    for number, each in enumerate(explanations):
        if number:
            page.line()
        _explain(each, page)
    return page.text()


def _explain(each: Explanation, page: Page) -> None:
    page.hanging(f"{each.severity}[{each.code}]: ", each.means, bold=True)
    page.hanging("  why   ", each.why)
    page.hanging("  do    ", each.do)
    if each.unshown:
        page.hanging("        ", f"No example: {each.unshown}.")
        return
    page.line()
    page.hanging("  bad   ", _where(each))
    page.literal(_shown(each.bad), indent=8)
    page.line()
    page.line("  good")
    page.literal(_shown(each.good), indent=8)


def _where(each: Explanation) -> str:
    command = f", for `orchestrate {each.command}`" if each.command else ""
    if each.of in ("command", "records", "config.json"):
        return _OF[each.of] + command
    gpus = f", on {each.gpus}" if each.gpus else ""
    return f"{_OF[each.of]}, vLLM {each.release}{gpus}{command}"


def _shown(example: str) -> Iterator[str]:
    """Lines as they can be printed: what is invisible as escapes."""
    return (visible(line) for line in example.removesuffix("\n").split("\n"))


def explanations_json(explanations: Sequence[Explanation]) -> str:
    """For programs: every field is always there."""
    codes = [{**asdict(each), "severity": each.severity.value, "file": KINDS[each.of]} for each in explanations]
    return json.dumps({"version": JSON_VERSION, "codes": codes}, indent=2, ensure_ascii=True) + "\n"
