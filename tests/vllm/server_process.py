"""A real `vllm serve` on loopback: started, watched until it is healthy, and stopped with all it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.vllm.oracle_process import environment

HEALTHY_WITHIN_SECONDS = 120.0
STOPPED_WITHIN_SECONDS = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """What tests may ask of a running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, said: Path) -> None:
        self.process = process
        self._address = f"http://127.0.0.1:{port}"
        self._said = said

    def log(self) -> str:
        return self._said.read_text(errors="replace")

    def get(self, path: str) -> Any:
        return self._answer(urllib.request.Request(self._address + path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        return self._answer(urllib.request.Request(self._address + path, json.dumps(body).encode(), headers))

    def wait_until_healthy(self) -> None:
        """Raises with the end of the log when the server ends or the time is over."""
        deadline, between = time.monotonic() + HEALTHY_WITHIN_SECONDS, threading.Event()
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                self.get("/health")
                return
            between.wait(0.5)
        raise AssertionError(
            f"vllm serve did not become healthy (exit code {self.process.poll()}): {self.log()[-3000:]}"
        )

    def _answer(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=60) as response:
            body = response.read()
        return json.loads(body) if body else None


@contextmanager
def running_server(python: Path, argv: Sequence[str], *, port: int, directory: Path) -> Iterator[Server]:
    """Runs `vllm serve ARGV` in a session of its own and ends that session, and nothing else."""
    said = directory / "server.log"
    caches = {"VLLM_CACHE_ROOT": str(directory / "cache"), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with said.open("wb") as log:
        process = subprocess.Popen(
            [str(python.with_name("vllm")), "serve", *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environment(), **caches},
            cwd=directory,
            start_new_session=True,
        )
    try:
        yield Server(process, port, said)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOPPED_WITHIN_SECONDS)
    for pid in members(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(STOPPED_WITHIN_SECONDS)


def members(session: int) -> list[int]:
    """The processes of a session that still run (zombies do not)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of_session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(of_session) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found
