"""A Hugging Face hub on loopback: models in a directory, range requests, tokens, gates and failures on demand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "c" * 40


@dataclass(slots=True)
class Hub:
    """`models` maps ids to directories; `status` answers everything with that status; `silent` never answers."""

    models: dict[str, Path] = field(default_factory=dict)
    gated: frozenset[str] = frozenset()
    status: int | None = None
    silent: bool = False
    honours_ranges: bool = True
    says_length: bool = True
    api_answer: bytes | None = None
    endpoint: str = ""
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    sent_bytes: int = 0
    release: threading.Event = field(default_factory=threading.Event)


_API = re.compile(r"/api/models/(?P<id>[^/?]+/[^/?]+)(?:/revision/(?P<revision>[^?]+))?(?:\?.*)?")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>[^?]+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        hub = self.hub
        hub.requests.append((self.path, self.headers.get("range"), self.headers.get("authorization")))
        if hub.silent:
            hub.release.wait(10)
            return
        if hub.status is not None:
            self._error(hub.status, None)
            return
        api, file = _API.fullmatch(self.path), _FILE.fullmatch(self.path)
        found = api or file
        directory = hub.models.get(found["id"]) if found else None
        if found is None or directory is None:
            self._error(404, "RepoNotFound")
        elif (found["revision"] or "main") not in {"main", COMMIT}:
            self._error(404, "RevisionNotFound")
        elif api:
            self._model(found["id"], directory)
        elif found["id"] in hub.gated and self.headers.get("authorization") != "Bearer hf_right":
            self._error(403, "GatedRepo")
        else:
            self._file(directory / unquote(found["name"]))

    def _model(self, model: str, directory: Path) -> None:
        names = sorted(path.name for path in directory.iterdir())
        answer = {"id": model, "modelId": model, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
        self._send(200, self.hub.api_answer or json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._error(404, "EntryNotFound")
            return
        size = path.stat().st_size
        asked = _RANGE.fullmatch(self.headers.get("range") or "")
        with path.open("rb") as file:
            if asked is None or not self.hub.honours_ranges:
                self._send(200, file.read(1024 * 1024), {}, length=size)
                return
            begin, end = int(asked[1]), min(int(asked[2]), size - 1)
            file.seek(begin)
            content_range = f"bytes {begin}-{end}/{size}" if self.hub.says_length else f"bytes {begin}-{end}/*"
            self._send(206, file.read(end - begin + 1), {"Content-Range": content_range}, chunked=True)

    def _error(self, status: int, code: str | None) -> None:
        self._send(status, b"{}", {"X-Error-Code": code} if code else {})

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], *, length: int | None = None, chunked: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not chunked:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.hub.sent_bytes += len(body)
        try:
            self.wfile.write(body)
        except OSError:
            """The client read what it wanted and left."""


@contextmanager
def running_hub(hub: Hub) -> Iterator[Hub]:
    """Serve `hub` on a free port of loopback."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        hub.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
