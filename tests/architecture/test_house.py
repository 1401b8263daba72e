"""The rules of the house, as tests: floors, doors, sizes, signs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.manual.codes import explanations

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ROOT / "orchestrator"
BELOW_FLOOR_FOUR = (
    "domain",
    "engine",
    "catalog",
    "manual",
    "config",
    "memory",
    "render",
    "planner",
    "advisor",
    "scoring",
)
MODULES = sorted(HOUSE.rglob("*.py"))
PURE_MODULES = [path for path in MODULES if path.relative_to(HOUSE).parts[0] in BELOW_FLOOR_FOUR]
EFFECTFUL_BUILTINS = {"open", "input", "print", "exec", "eval", "breakpoint", "__import__"}


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_down_never_up_never_sideways() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint_imports], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", PURE_MODULES, ids=_named)
def test_below_floor_four_nothing_calls_a_builtin_that_touches_the_world(path: Path) -> None:
    calls = [
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert EFFECTFUL_BUILTINS.isdisjoint(calls)


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_a_module_opens_with_a_sentence_and_is_one_room(path: Path) -> None:
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert docstring.strip(), "no sign on the door"
    assert len(text.splitlines()) <= 400, "two rooms behind one door"


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_no_function_is_longer_than_a_page(path: Path) -> None:
    too_long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None and node.end_lineno - node.lineno >= 60
    }
    assert too_long == {}


def test_every_code_of_a_finding_is_explained_and_every_explained_code_is_used() -> None:
    code = re.compile(r'"([EWN][1-6]\d\d)"')
    used = {match for path in MODULES for match in code.findall(path.read_text())}
    assert used == set(explanations())


def test_the_product_names_no_folder_that_only_its_makers_have() -> None:
    forbidden = ("../" + "shared", "/" + "work/")
    for path in [*MODULES, *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        text = path.read_text()
        assert not any(word in text for word in forbidden), path
