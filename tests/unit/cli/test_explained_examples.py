"""Every example of the table of codes through the real commands: the bad one has its finding, the good one has not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.domain.failures import OutsideFailure
from orchestrator.manual.codes import KINDS, Explanation, explanations

SHOWN = [each for each in explanations().values() if not each.unshown]
FRAMES = {
    "mini.yaml": {"service": "mini", "model": "Qwen/Qwen3-8B-AWQ"},
    "deployment.yaml": {"project": "example", "vllm-release": "{release}", "services": "[mini.yaml]"},
}
"""The keys that an example leaves out, because they do not matter to it."""

GPUS = '{{"orchestrate-inventory": 1, "source": "a box", "hosts": [{{"name": "box", "gpus": {}}}]}}'
SMALL = "service: mini\nmodel: Qwen/Qwen3-8B-AWQ\nvllm: {max-model-len: 8192}\n"
FOUND = re.compile(r"^(?:error|warning|note)\[([EWN]\d{3})\]", re.MULTILINE)


def _files(each: Explanation, text: str) -> dict[str, str]:
    """The texts of an example by file name, with the keys that it leaves out."""
    first, *others = re.split(r"^# (\S+\.(?:yaml|json))\n", text, flags=re.MULTILINE)
    files = dict(zip(others[::2], others[1::2], strict=True))
    if first:
        files[KINDS[each.of]] = first if each.whole else _framed(KINDS[each.of], first, each)
    if each.of == "gpus":
        files["inventory.json"] = GPUS.format(files["inventory.json"])
    if each.of == "config.json":
        files.setdefault("mini.yaml", "service: mini\nmodel: ./model\n")
    if not any(re.search("^\ufeff?service:", content, re.MULTILINE) for content in files.values()) and not each.whole:
        files["mini.yaml"] = SMALL
    if first and "deployment.yaml" not in files:
        files["deployment.yaml"] = _framed("deployment.yaml", "", each)
    return files


def _framed(name: str, text: str, each: Explanation) -> str:
    missing = {
        key: value for key, value in FRAMES.get(name, {}).items() if not re.search(f"^\ufeff?{key}:", text, re.M)
    }
    frame = "".join(f"{key}: {value.format(release=each.release)}\n" for key, value in missing.items())
    return text + frame if text.startswith("\ufeff") else frame + text


def _command(each: Explanation, text: str, files: dict[str, str]) -> list[str]:
    if each.of == "command":
        return shlex.split(text)[1:]
    if each.of == "records":
        return ["accuracy", "records.jsonl", "--offline"]
    directory = "configs" if any(name.startswith("configs/") for name in files) else "."
    gpus = "inventory.json" if "inventory.json" in files else each.gpus
    if not gpus and each.of != "config.json":
        return ["validate", directory]
    planned = [each.command or "plan", directory, "--inventory", gpus or "1xRTX4090", "--offline"]
    return [*planned, "--stdout"] if each.command == "render" else planned


def _codes(each: Explanation, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    files = _files(each, text)
    if each.of == "command":
        files = {"configs/mini.yaml": SMALL, "configs/deployment.yaml": _framed("deployment.yaml", "", each)}
        files["configs/inventories/box.json"] = "{}"
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    monkeypatch.chdir(directory)
    result = CliRunner().invoke(app, _command(each, text, files))
    if isinstance(result.exception, OutsideFailure):
        return {result.exception.finding.code}
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return set(FOUND.findall(result.stdout + result.stderr))


@pytest.mark.parametrize("each", SHOWN, ids=lambda each: each.code)
def test_the_bad_example_has_the_finding(each: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert each.code in _codes(each, each.bad, tmp_path, monkeypatch)


@pytest.mark.parametrize("each", SHOWN, ids=lambda each: each.code)
def test_the_good_example_has_no_error(each: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = _codes(each, each.good, tmp_path, monkeypatch)
    of_missing_weights = {"E304", "E305"} if each.of == "config.json" else set()
    assert each.code not in codes
    assert {code for code in codes if code.startswith("E")} <= of_missing_weights
