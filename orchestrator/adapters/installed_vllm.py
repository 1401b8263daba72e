"""The door to a vLLM that is installed somewhere: its own interpreter is asked for the flags of its parser."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

_WITHIN_SECONDS = 300.0
_MOST_LINES = 8
_BOOTSTRAP = """\
import importlib.util, sys
spec = importlib.util.spec_from_file_location(
    "orchestrator", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]])
package = sys.modules["orchestrator"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from orchestrator.adapters.parser_dump import main
main()
"""
"""Makes this package importable there and nothing that is installed beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedParser:
    """What an installed vLLM says of itself: its version as written, and its flags as flags.json writes them."""

    version: str
    flags: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrecorded:
    """Why there is no answer, and the last that the other interpreter said."""

    why: str
    said: str = ""


def record_parser(python: str | Path) -> RecordedParser | Unrecorded:
    """The flags of the vLLM that this interpreter can import."""
    package = str(files("orchestrator"))
    try:
        done = subprocess.run(
            [str(python), "-c", _BOOTSTRAP, package],
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN_SECONDS,
            env=_environment(),
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        return Unrecorded(why=f"`{python}` cannot be run: {error.strerror or error}")
    except subprocess.TimeoutExpired:
        return Unrecorded(why=f"`{python}` gave no answer within {_WITHIN_SECONDS:.0f} s")
    said = "\n".join(done.stderr.strip().splitlines()[-_MOST_LINES:])
    if done.returncode:
        return Unrecorded(why=f"`{python}` could not show its `vllm serve` (exit code {done.returncode})", said=said)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return Unrecorded(why=f"`{python}` answered what is not JSON", said=said)
    return RecordedParser(version=answer["version"], flags=answer["flags"])


def _environment() -> dict[str, str]:
    """Quiet, offline, and without settings that change what vLLM takes for its defaults."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VLLM_")}
    return {**kept, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
