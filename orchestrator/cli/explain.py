"""`orchestrate explain`: what a finding means, why it is one, and an example on both sides of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.terminal import colour_wanted, emit, emit_document, width_of_terminal

if TYPE_CHECKING:
    from orchestrator.manual.codes import Explanation


def explain(
    codes: Annotated[list[str] | None, typer.Argument(metavar="CODE", help="Such as E201; none: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: every field of every code.")] = False,
) -> None:
    """Explain findings by their codes: what they mean, why, and what to write instead."""
    from orchestrator.cli.views.explain import codes_text, explanations_json, explanations_text
    from orchestrator.manual.codes import explanations, hundreds

    asked = [_explanation(code) for code in dict.fromkeys(code.strip().upper() for code in codes or ())]
    if as_json:
        emit_document(explanations_json(asked or list(explanations().values())))
    elif asked:
        emit(explanations_text(asked, width=width_of_terminal(), color=colour_wanted()))
    else:
        emit(codes_text(hundreds(), width=width_of_terminal(), color=colour_wanted()))


def _explanation(code: str) -> Explanation:
    from orchestrator.domain.diagnostics import repeated
    from orchestrator.manual.codes import explanations, nearest_code

    found = explanations().get(code)
    if found is None:
        near = nearest_code(code)
        offer = f"did you mean {near}?" if near else "`orchestrate explain` lists all codes"
        raise typer.BadParameter(f"no finding has the code {repeated(code, 60)!r}; {offer}", param_hint="'CODE'")
    return found
