"""How a release's environment variables get into the package data: its `envs.py` is read, never run, and merged.

Every getter in the dictionary `environment_variables` is followed from the place where it reads the variable outwards:
`int(...)`, `bool(int(...))`, a comparison with words, a list of choices. What is not understood counts as text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.domain.release import Release
from orchestrator.engine.environment import Takes, Variable, spec_of_variable
from orchestrator.engine.release_rows import merge_rows, rows_text

PREFIX = "VLLM_"
_ELSEWHERE = re.compile(r"os\.(?:environ\.get\(|environ\[|getenv\()\s*[\"'](VLLM_[A-Z0-9_]+)[\"']")
_CONVERTERS = {
    "int": Takes.INTEGER,
    "maybe_convert_int": Takes.INTEGER,
    "float": Takes.NUMBER,
    "maybe_convert_bool": Takes.SWITCH,
}
_CHOOSERS = {
    "env_with_choices": Takes.CHOICE,
    "env_list_with_choices": Takes.CHOICES,
    "env_set_with_choices": Takes.CHOICES,
}


def recorded_variables(envs: str, elsewhere: Iterable[str] = ()) -> tuple[Variable, ...]:
    """Every `VLLM_...` variable of a release by name, from the text of its `envs.py` and those of its other modules,
    which read a few variables on their own (those count as text)."""
    tree = ast.parse(envs)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    listed = {name: _recorded(name, getter, functions) for name, getter in _getters(tree)}
    others = {name for text in elsewhere for name in _ELSEWHERE.findall(text)}
    found = {name: Variable(name=name, takes=Takes.TEXT) for name in others} | listed
    return tuple(found[name] for name in sorted(found) if name.startswith(PREFIX))


def merge_variables(document: Mapping[str, Any], release: Release, variables: Iterable[Variable]) -> dict[str, Any]:
    """`environment.json` with one more release, which must be newer than those in it (ValueError otherwise)."""
    return merge_rows(document, release, {each.name: spec_of_variable(each) for each in variables}, rows="variables")


def variables_text(document: Mapping[str, Any]) -> str:
    """`environment.json` as text, one variable per line."""
    return rows_text(document, rows="variables")


def _getters(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id="environment_variables"), value=value):
                yield from _entries(value)
            case ast.Assign(targets=[ast.Name(id="environment_variables")], value=value):
                yield from _entries(value)


def _entries(value: ast.expr | None) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(value, ast.Dict):
        for key, getter in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, getter


def _recorded(name: str, getter: ast.expr, functions: Mapping[str, ast.FunctionDef]) -> Variable:
    if isinstance(getter, ast.Call) and isinstance(getter.func, ast.Name) and getter.func.id in _CHOOSERS:
        return _chosen(name, getter, _CHOOSERS[getter.func.id])
    body = functions.get(getter.id, getter) if isinstance(getter, ast.Name) else getter
    parents = {child: node for node in ast.walk(body) for child in ast.iter_child_nodes(node)}
    reads = [node for node in ast.walk(body) if _reads(node, name)]
    judged = [_judged(name, read, parents) for read in reads]
    plain = Variable(name=name, takes=Takes.TEXT, default=next((each.default for each in judged), None))
    return next((each for each in judged if each.takes is not Takes.TEXT), plain)


def _chosen(name: str, call: ast.Call, takes: Takes) -> Variable:
    """`env_with_choices(name, default, [..], case_sensitive=...)`; choices that are computed are not known."""
    said = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    placed = zip(("env_name", "default", "choices", "case_sensitive"), call.args, strict=False)
    given = {**dict(placed), **said}
    default, words, flag = given.get("default"), _texts(given.get("choices")), given.get("case_sensitive")
    if not words:
        return Variable(name=name, takes=Takes.TEXT, default=_text(default))
    loose = isinstance(flag, ast.Constant) and flag.value is False
    lowered = tuple(word.lower() for word in words) if loose else words
    return Variable(name=name, takes=takes, words=lowered, loose=loose, default=_text(default))


def _reads(node: ast.AST, name: str) -> bool:
    """`os.getenv(name, ...)`, `os.environ.get(name, ...)` or `os.environ[name]`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.getenv", "os.environ.get") and node.args:
        return _text(node.args[0]) == name
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ" and _text(node.slice) == name


def _judged(name: str, read: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Variable:
    """What the getter does with the text that it reads, from the inside out."""
    default = _text(read.args[1]) if isinstance(read, ast.Call) and len(read.args) > 1 else None
    loose, node = False, read
    while (outer := parents.get(node)) is not None:
        if isinstance(outer, ast.Call) and isinstance(outer.func, ast.Name) and node in outer.args:
            takes = _CONVERTERS.get(outer.func.id, Takes.TEXT)
            above = parents.get(outer)
            is_bool = isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func.id == "bool"
            switch = takes is Takes.INTEGER and is_bool
            return Variable(name=name, takes=Takes.SWITCH if switch else takes, default=default)
        if isinstance(outer, ast.Compare):
            return _compared(name, outer, default, loose=loose)
        if isinstance(outer, ast.Attribute):
            loose = loose or outer.attr == "lower"
        elif not (isinstance(outer, ast.BoolOp) or (isinstance(outer, ast.Call) and node is outer.func)):
            break
        node = outer
    return Variable(name=name, takes=Takes.TEXT, default=default)


def _compared(name: str, comparison: ast.Compare, default: str | None, *, loose: bool) -> Variable:
    """`== "1"` and `in ("1", "true")` say yes to these words alone."""
    operator, right = comparison.ops[0], comparison.comparators[0]
    words = _texts(right) if isinstance(operator, ast.In) else ()
    if isinstance(operator, ast.Eq) and (word := _text(right)) is not None:
        words = (word,)
    if not words:
        return Variable(name=name, takes=Takes.TEXT, default=default)
    return Variable(name=name, takes=Takes.WORDS, words=words, loose=loose, default=default)


def _text(node: ast.expr | None) -> str | None:
    """A constant that the environment could hold."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return None
    return str(node.value) if isinstance(node.value, str | int | float) else None


def _texts(node: ast.expr | None) -> tuple[str, ...]:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []
    found = [_text(part) for part in parts]
    return tuple(each for each in found if each is not None) if None not in found else ()
