"""Checks a tree against the table of keys and words every disagreement as a finding at its place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.config.checks_of_text import CUSTOM_ERROR
from orchestrator.config.scalars import resolve
from orchestrator.config.secret_shapes import masked
from orchestrator.config.table import Section
from orchestrator.config.tree_values import as_value, child, clipped, described
from orchestrator.config.yaml_nodes import BrokenNode, MappingNode, Node, Place, ScalarNode
from orchestrator.domain.diagnostics import Diagnostic, Fix, Span, TextEdit
from orchestrator.domain.profile import KeyPath

AnySection = TypeVar("AnySection", bound=Section)
ForeignKeyHelp = Callable[[KeyPath], str | None]
"""Where a key that is unknown at its place belongs, when that is known."""
Hint = Callable[[KeyPath, str], str | None]
"""What to write instead of a text that does not fit at a place, where something better than an example is known."""
_CLEAR = 0.88
"""How much alike (of 1) a wrong key and the nearest one must be so that nothing else can be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """One disagreement: pydantic's kind and context, joined to the tree."""

    kind: str
    context: Mapping[str, Any]
    path: KeyPath
    key_place: Place | None
    node: Node
    is_on_key: bool
    file: str

    @property
    def name(self) -> str:
        """The key to blame as the user would say it: `require.full-length-requests`, `gpus`."""
        words = [str(part) for part in self.path if isinstance(part, str)]
        return clipped(".".join(words))

    def span(self) -> Span:
        place = self.key_place if self.is_on_key and self.key_place else self.node.place
        return place.span(self.file)


def check_structure(
    root: MappingNode, file: str, table: type[AnySection], *, belongs: ForeignKeyHelp, hint: Hint
) -> tuple[AnySection | None, list[Diagnostic]]:
    """The section that the tree spells, or None with at least one finding unless a broken value is to blame."""
    try:
        return table.model_validate(as_value(root)), []
    except ValidationError as error:
        problems = (_located(each, root, file) for each in error.errors(include_url=False, include_input=False))
        found = (problem for problem in problems if problem is not None)
        return None, [_with_hint(_finding(problem, table, belongs), problem, hint) for problem in found]


def _with_hint(finding: Diagnostic, problem: _Problem, hint: Hint) -> Diagnostic:
    if problem.is_on_key or problem.kind == "missing" or not isinstance(problem.node, ScalarNode):
        return finding
    better = hint(problem.path, problem.node.text)
    return replace(finding, help=(better,)) if better else finding


def _located(error: Mapping[str, Any], root: MappingNode, file: str) -> _Problem | None:
    """The problem with its node; None when the value is broken, which was said already."""
    node: Node = root
    key_place: Place | None = None
    path: KeyPath = ()
    loc: tuple[str | int, ...] = error["loc"]
    for part in loc:
        step = child(node, part)
        if step is not None:
            key_place, node = step[0] or key_place, step[1]
            path = (*path, part)
    is_on_key = error["type"] == "extra_forbidden" or loc[-1:] == ("[key]",)
    if error["type"] == "missing":
        path = (*path, loc[-1])
    elif isinstance(node, BrokenNode) and not is_on_key:
        return None
    context = error.get("ctx", {})
    return _Problem(
        kind=error["type"], context=context, path=path, key_place=key_place, node=node, is_on_key=is_on_key, file=file
    )


def _finding(problem: _Problem, table: type[Section], belongs: ForeignKeyHelp) -> Diagnostic:
    if problem.kind == "extra_forbidden":
        return _unknown_key(problem, table, belongs)
    if problem.kind == "missing":
        return _missing_key(problem, table)
    if problem.path[:1] == ("secrets",) and len(problem.path) > 1:
        return _bad_secret_name(problem)
    if problem.is_on_key:
        return _bad_key(problem)
    if problem.kind in _WANTED_TYPES:
        return _wrong_type(problem, _WANTED_TYPES[problem.kind], table)
    return _not_allowed(problem, table)


def _unknown_key(problem: _Problem, table: type[Section], belongs: ForeignKeyHelp) -> Diagnostic:
    key = str(problem.path[-1])
    allowed = sorted(_keys_at(table, problem.path[:-1]))
    near = difflib.get_close_matches(key.replace("_", "-").lower(), allowed, n=1, cutoff=0.6)
    place = belongs(problem.path)
    if place:
        help_ = place
    elif near:
        help_ = f"did you mean `{near[0]}`?"
    else:
        help_ = f"allowed here: {', '.join(f'`{name}`' for name in allowed)}"
    return Diagnostic(
        code="E102",
        message=f"unknown key `{clipped(key)}`",
        span=problem.span(),
        label="no such key here",
        help=(help_,),
        fix=_instead(problem.span(), near[0], help_) if near and not place and is_clear(key, near[0]) else None,
    )


def is_clear(written: str, meant: str) -> bool:
    """Whether a word that is the nearest one can be the only one that was meant."""
    plain = written.replace("_", "-").lower()
    return difflib.SequenceMatcher(None, meant, plain).ratio() >= _CLEAR


def _instead(span: Span, text: str, title: str) -> Fix:
    return Fix(title=title, edits=(TextEdit(span=span, text=text),))


def _missing_key(problem: _Problem, table: type[Section]) -> Diagnostic:
    key = str(problem.path[-1])
    place = problem.key_place
    if place is None and isinstance(problem.node, MappingNode):
        first = next(iter(problem.node.entries.values()), None)
        place = first.key_place if first else problem.node.place
    field = field_at(table, problem.path)
    written = f"{key}: {_example(field)}"
    return Diagnostic(
        code="E104",
        message=f"the key `{key}` is missing",
        span=(place or problem.node.place).span(problem.file),
        help=(f"write `{written}`",),
    )


def _bad_secret_name(problem: _Problem) -> Diagnostic:
    """Never shows what was written: it may be the secret."""
    return Diagnostic(
        code="E137",
        message=f"`{problem.name}` wants the name of an environment variable in capitals, never the secret itself",
        span=problem.span(),
        hidden=(problem.node.place.span(problem.file),),
        help=("put the secret in an environment variable, and write the variable's name here, such as `HF_TOKEN`",),
    )


def _bad_key(problem: _Problem) -> Diagnostic:
    wanted = problem.context.get("wanted", "another name")
    message = f"`{clipped(str(problem.path[-1]))}` is no name for a key of `{problem.path[0]}`"
    return Diagnostic(code="E106", message=message, span=problem.span(), label=f"wants {wanted}", help=("rename it",))


_WANTED_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def _wrong_type(problem: _Problem, wanted: str, table: type[Section]) -> Diagnostic:
    written = described(problem.node)
    return Diagnostic(
        code="E105",
        message=f"`{problem.name}` wants {wanted}, not {written}",
        span=problem.span(),
        label=f"wants {wanted}",
        help=(_help_for_type(problem, wanted, table),),
        fix=_fix_for_type(problem.node, wanted, problem.span()),
    )


def _fix_for_type(node: Node, wanted: str, span: Span) -> Fix | None:
    """Quotes around what shall be text, none around what shall be a number."""
    if not isinstance(node, ScalarNode) or node.value is None or not _is_bare(node):
        return None
    if wanted == "text" and node.is_plain:
        return _instead(span, f'"{node.text}"', "put it in quotes")
    is_number = wanted == "a number" or node.text.lstrip("-").isdecimal()
    if wanted in ("a number", "a whole number") and not node.is_plain and is_number and _is_plain_number(node.text):
        return _instead(span, node.text, "remove the quotes")
    return None


def _is_bare(node: ScalarNode) -> bool:
    """Whether the scalar stands there as its text alone, in quotes or not: no anchor, no escapes, on one line."""
    line, column, end_line, end_column = node.place
    return line == end_line and end_column - column == len(node.text) + (0 if node.is_plain else 2)


def _is_plain_number(text: str) -> bool:
    value = resolve(text)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _help_for_type(problem: _Problem, wanted: str, table: type[Section]) -> str:
    node = problem.node
    if isinstance(node, ScalarNode):
        if node.value is None and problem.path:
            return f"write {wanted}, or remove the key"
        if wanted == "text" and not isinstance(node.value, str):
            return f'put it in quotes: `"{clipped(node.text)}"`'
        if not node.is_plain and _is_number(node.text):
            return f"remove the quotes: `{clipped(node.text)}`"
    field = field_at(table, problem.path)
    return f"write it like `{_last_key(problem)}: {_example(field)}`" if field and field.examples else f"write {wanted}"


def _last_key(problem: _Problem) -> str:
    return next((part for part in reversed(problem.path) if isinstance(part, str)), "")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "{} or less"),
}


def _not_allowed(problem: _Problem, table: type[Section]) -> Diagnostic:
    wanted, help_ = _wanted(problem, table)
    code = "E135" if problem.path == ("services",) else "E106"
    return Diagnostic(
        code=code,
        message=f"`{problem.name}` wants {wanted}, not {described(problem.node)}",
        span=problem.span(),
        label=f"wants {wanted}",
        help=(help_,) if help_ else (),
        fix=_fix_for_choice(problem),
    )


def _fix_for_choice(problem: _Problem) -> Fix | None:
    """The choice that differs from what was written in capitals only."""
    node = problem.node
    if problem.kind != "literal_error" or not isinstance(node, ScalarNode) or not _is_bare(node):
        return None
    word = node.text.lower()
    is_choice = f"'{word}'" in problem.context["expected"]
    return _instead(problem.span(), word, f"write `{word}`") if is_choice else None


def _wanted(problem: _Problem, table: type[Section]) -> tuple[str, str]:
    context = problem.context
    field = field_at(table, problem.path)
    example = f"write it like `{_last_key(problem)}: {_example(field)}`" if field and field.examples else ""
    if problem.kind == CUSTOM_ERROR:
        return context["wanted"], context["help"] or example
    if problem.kind in _BOUNDS:
        name, words = _BOUNDS[problem.kind]
        return words.format(_plain_number(context[name])), example
    if problem.kind == "literal_error":
        return _choice(problem, context["expected"], example)
    return "at least one entry", example


def _plain_number(bound: float) -> str:
    return f"{int(bound)}" if bound < 100_000 else f"{int(bound):,}"


def _choice(problem: _Problem, expected: str, example: str) -> tuple[str, str]:
    choices = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    wanted = " or ".join(f"`{choice}`" for choice in choices)
    if problem.path == ("gpus",):
        return "`auto` or a list of GPUs", "write `gpus: [0, 1]`, or `gpus: auto`"
    text = problem.node.text.lower() if isinstance(problem.node, ScalarNode) else ""
    near = difflib.get_close_matches(text, choices, n=1, cutoff=0.5)
    return wanted, f"did you mean `{near[0]}`?" if near else example


def _section_at(table: type[Section], path: Iterable[str | int]) -> type[Section] | None:
    section: type[Section] | None = table
    for part in path:
        field = fields_of(section).get(str(part)) if section else None
        section = section_of(field) if field else None
    return section


def section_of(field: Any) -> type[Section] | None:
    """The section that a field holds; None when it holds a value."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def fields_of(section: type[Section]) -> dict[str, Any]:
    """The fields of a section by the keys that users write."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def keys_of(section: type[Section]) -> frozenset[str]:
    """The keys of a section, as users write them."""
    return frozenset(fields_of(section))


def _keys_at(table: type[Section], path: KeyPath) -> Iterable[str]:
    section = _section_at(table, path)
    return fields_of(section) if section else ()


def field_at(table: type[Section], path: KeyPath) -> Any | None:
    """The field of the table that a path leads to; None where it leads to none."""
    names = [part for part in path if isinstance(part, str)]
    section = _section_at(table, names[:-1])
    return fields_of(section).get(names[-1]) if section and names else None


def _example(field: Any) -> str:
    """The field's example as flow-style YAML."""
    return flow_style(field.examples[0])


def flow_style(value: object) -> str:
    """A value of the table on one line of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(flow_style(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow_style(item)}' for key, item in value.items())}}}"
    if isinstance(value, str) and value.isdigit():
        return f'"{value}"'
    return masked(str(value))
