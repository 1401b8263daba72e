"""Recording a release: an installed vLLM (a stand-in here) is asked under an interpreter without our libraries."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from orchestrator.cli.record_release import main
from orchestrator.engine.flag_recording import document_text, releases_text
from orchestrator.engine.releases import NEWEST
from tests.unit.engine.engine_samples import package_data

PARSER = "from argparse import ArgumentParser as FlexibleArgumentParser\n"
SERVE = """\
import argparse
class ServeSubcommand:
    def subparser_init(self, subparsers):
        parser = subparsers.add_parser("serve")
        parser.add_argument("model_tag", nargs="?")
        parser.add_argument("--seed", type=int, default={seed})
        parser.add_argument("--enable-lora", action=argparse.BooleanOptionalAction, default=False)
        parser.add_argument("--brand-new", choices=["a", "b"], default="a", help="It is new.")
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The package data, of which only `seed` and `enable-lora` are left, and `old-one`, which the next one lost."""
    document = package_data()
    flags = {name: document["flags"][name] for name in ("enable-lora", "seed")}
    flags["old-one"] = [["0.6.0", NEWEST.text, {"k": "string"}]]
    (tmp_path / "flags.json").write_text(document_text({"provenance": "a test", "flags": flags}))
    (tmp_path / "releases.json").write_text(releases_text(document["releases"]))
    return tmp_path


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter with nothing but the standard library and what lies beside it."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/installed exec {sys.executable} -S "$@"\n')
    script.chmod(0o755)
    return script


def _install(tmp_path: Path, version: str, serve: str = SERVE.format(seed=0)) -> None:
    package = tmp_path / "installed" / "vllm"
    for folder in ("utils", "entrypoints/cli"):
        (package / folder).mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(f"__version__ = {version!r}\nprint('INFO: hello from vLLM')\n")
    (package / "utils" / "argparse_utils.py").write_text(
        "from argparse import ArgumentParser as FlexibleArgumentParser\n"
    )
    (package / "entrypoints" / "cli" / "serve.py").write_text(serve)


def _lines(directory: Path) -> list[str]:
    """A flag a line, without the commas between them."""
    return [line.removesuffix(",") for line in (directory / "flags.json").read_text().splitlines()]


def test_a_newer_release_is_dumped_and_merged_and_the_difference_is_told(
    directory: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _lines(directory)
    _install(directory, "0.99.0+cpu")

    assert main([str(python)], directory) == 0

    assert capsys.readouterr().out == (
        f"vLLM 0.99.0: 3 flags. Against {NEWEST}:\n"
        "  added: brand-new\n"
        "  removed: old-one\n"
        "  changed: enable-lora\n"
        "Next: read the difference of engine/flags.json, and follow `Add a vLLM release` in orchestrator/README.md.\n"
    )
    assert json.loads((directory / "releases.json").read_text())[-2:] == [NEWEST.text, "0.99.0"]
    new, longer, same = (line for line in _lines(directory) if line not in before)
    assert new == '"brand-new": [["0.99.0","0.99.0",{"c":["a","b"],"d":"a","k":"string"}]]'
    assert longer.startswith('"enable-lora": ')
    assert longer.endswith(
        f'"{NEWEST}",{{"d":null,"f":"--disable-lora","k":"switch","n":["disable-lora","no-enable-lora"]}}],'
        '["0.99.0","0.99.0",{"f":"--no-enable-lora","k":"switch","n":["no-enable-lora"]}]]'
    )
    assert same.startswith('"seed": ')
    assert same.endswith('["0.12.0","0.99.0",{"d":0,"k":"integer"}]]')


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("0.20.0", "vLLM 0.20.0 is recorded already; only a release newer than"),
        (NEWEST.text, f"vLLM {NEWEST} is recorded already; only a release newer than {NEWEST} can be added"),
        ("0.20.7", "vLLM 0.20.7 lies between recorded releases; only a release newer than"),
        ("0.99.1.dev3", "vLLM 0.99.1.dev3 is not a release"),
    ],
)
def test_what_cannot_be_appended_is_refused_and_nothing_is_written(
    version: str, words: str, directory: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (directory / "flags.json").read_bytes()
    _install(directory, version)

    assert main([str(python)], directory) == 1

    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()[0].startswith(f"error: {words}")) == ("", True)
    assert len(said.err.splitlines()) == 2
    assert (directory / "flags.json").read_bytes() == before


def test_an_interpreter_without_vllm_says_its_own_last_words(
    directory: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(python)], directory) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"error: `{python}` could not show its `vllm serve` (exit code 1)\n")
    assert said.endswith("  ModuleNotFoundError: No module named 'vllm'\n")


def test_a_parser_that_cannot_be_found_says_where_it_was_looked_for(
    directory: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _install(directory, "0.99.0")
    (directory / "installed" / "vllm" / "utils" / "argparse_utils.py").unlink()
    assert main([str(python)], directory) == 3
    assert capsys.readouterr().err.endswith(
        "ImportError: no FlexibleArgumentParser in vllm.utils.argparse_utils or vllm.utils\n"
    )


def test_what_is_no_interpreter_is_said(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(directory / "nowhere")], directory) == 3
    assert capsys.readouterr().err == f"error: `{directory}/nowhere` cannot be run: No such file or directory\n"
    talker = directory / "talker"
    talker.write_text("#!/bin/sh\necho hello\n")
    talker.chmod(0o755)
    assert main([str(talker)], directory) == 3
    assert capsys.readouterr().err == f"error: `{talker}` answered what is not JSON\n"
