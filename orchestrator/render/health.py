"""How Compose learns that a service is ready: a probe that needs only the image's Python, and how long it may take."""

from __future__ import annotations

from orchestrator.engine.images import HEALTH_PATH

_ENGINE_START_SECONDS = 600
"""Import, profile run, torch.compile and graph capture: up to a few minutes are on record, doubled."""

_DOWNLOAD_BYTES_PER_SECOND = 25_000_000
"""The first start fetches the checkpoint; a line of 200 Mbit/s is slower than any disk."""

_PROBE_TIMEOUT_SECONDS = 5


def start_period_seconds(checkpoint_bytes: int) -> int:
    """How long a first start may take, in whole minutes given as seconds: engine start plus fetching the checkpoint.

    A long period costs nothing: the first good answer ends it, and an engine that dies ends its container.
    """
    seconds = _ENGINE_START_SECONDS + checkpoint_bytes / _DOWNLOAD_BYTES_PER_SECOND
    return -int(-seconds // 60) * 60


def healthcheck(*, port: int, encrypted: bool, checkpoint_bytes: int) -> dict[str, object]:
    """The `healthcheck` of a service whose API server listens on `port` inside the container (with TLS: `encrypted`).

    No curl: the image need not have one. No proxy: `http.client` knows none, whatever the environment says.
    """
    return {
        "test": ["CMD", "python3", "-c", _probe(port, encrypted=encrypted)],
        "interval": "10s",
        "timeout": "10s",
        "retries": 6,
        "start_period": f"{start_period_seconds(checkpoint_bytes)}s",
    }


def _probe(port: int, *, encrypted: bool) -> str:
    if encrypted:  # the certificate names the public host, not 127.0.0.1
        connection = (
            f"import http.client, ssl; c = http.client.HTTPSConnection('127.0.0.1', {port}, "
            f"timeout={_PROBE_TIMEOUT_SECONDS}, context=ssl._create_unverified_context())"
        )
    else:
        connection = (
            f"import http.client; c = http.client.HTTPConnection('127.0.0.1', {port}, timeout={_PROBE_TIMEOUT_SECONDS})"
        )
    return f"{connection}; c.request('GET', '{HEALTH_PATH}'); raise SystemExit(c.getresponse().status != 200)"
