"""The oracle as a process: the real vLLM behind a pipe, found, started, asked and stopped."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("oracle.py")
INTERPRETER = "ORCHESTRATE_VLLM_PYTHON"
REQUIRED = "ORCHESTRATE_REQUIRE_VLLM"
ANSWER_WITHIN_SECONDS = 240.0

Request = Mapping[str, Any]
Answer = dict[str, Any]


def interpreter() -> Path:
    """The Python that has vLLM: named by the environment, else where `.ci/vllm` puts it."""
    return Path(os.environ.get(INTERPRETER) or REPOSITORY / ".venv-vllm" / "bin" / "python")


def is_required() -> bool:
    return os.environ.get(REQUIRED) == "1"


def environment() -> dict[str, str]:
    """The environment of everything that runs vLLM here: offline, quiet, and nothing of this process's Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VLLM_", "COV_"))}
    return {**kept, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_COLOR": "0"}


class Oracle:
    """Answers come in the order of the requests; a process that dies or stalls is a failure with its last words."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self._process = process
        self._said = said
        self._unread = b""

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """One answer per request, each within the time limit."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        if self._process.stdin is None:
            raise RuntimeError("the oracle was started without a pipe")
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer: Answer = json.loads(self._line(request))
        return answer

    def _line(self, request: Request) -> bytes:
        if self._process.stdout is None:
            raise RuntimeError("the oracle was started without a pipe")
        deadline = time.monotonic() + ANSWER_WITHIN_SECONDS
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not ready.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"no answer to {request}: {self._last_words()}")
                read = os.read(self._process.stdout.fileno(), 1 << 16)
                if not read:
                    raise RuntimeError(f"the oracle ended at {request}: {self._last_words()}")
                self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _last_words(self) -> str:
        return self._said.read_text(errors="replace")[-2000:]


@contextmanager
def running_oracle(python: Path, directory: Path) -> Iterator[Oracle]:
    """Starts the oracle with its log in `directory`; ends it, and only it."""
    said = directory / "oracle.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [str(python), str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
            cwd=directory,
        )
    try:
        yield Oracle(process, said)
    finally:
        process.kill()
        process.communicate()
