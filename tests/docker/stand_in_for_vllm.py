#!/usr/bin/python3
"""Stands in for `vllm serve` in a container: answers /health, and tells at /seen what its container gave it."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def what_was_given() -> dict[str, object]:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    token = os.environ.get("HF_TOKEN_PATH")
    return {
        "argv": sys.argv[1:],
        "environment": dict(os.environ),
        "capabilities": status["CapBnd"],
        "no_new_privileges": status["NoNewPrivs"],
        "hf_token": Path(token).read_text() if token else None,
        "shared_memory": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
        "caches_are_writable": [os.access(path, os.W_OK) for path in sorted(Path("/root/.cache").iterdir())],
    }


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(what_was_given() if self.path == "/seen" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def port_asked_for(argv: list[str]) -> int:
    words = " ".join(argv).replace("--port=", "--port ").split()
    return int(words[words.index("--port") + 1])


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", port_asked_for(sys.argv)), Answers).serve_forever()
