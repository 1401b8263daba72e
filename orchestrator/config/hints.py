"""What to write instead of a value that does not fit, made of what was written."""

from __future__ import annotations

import difflib
import re

from orchestrator.config.checks_of_text import GPU
from orchestrator.domain.profile import KeyPath
from orchestrator.engine.releases import KNOWN_RELEASES, NEWEST

_SERIES = re.compile(r"v?(\d{1,6}\.\d{1,6})(?!\d)", re.ASCII)
_MOST_OFFERED = 3


def hint_for_service(path: KeyPath, written: str) -> str | None:
    """Better help than an example for a key of a service file, where there is one."""
    if path != ("gpus",):
        return None
    gpus = [int(word) if word.isdecimal() else word for word in re.split(r"[\s,]+", written.strip(" []"))]
    return f"write `gpus: [{', '.join(str(gpu) for gpu in gpus)}]`" if all(GPU.fits(gpu) for gpu in gpus) else None


def hint_for_deployment(path: KeyPath, written: str) -> str | None:
    """Better help than an example for a key of a deployment file, where there is one."""
    return f"write a release in full, such as {_releases_near(written)}" if path == ("vllm-release",) else None


def _releases_near(written: str) -> str:
    """The newest releases of the series that was meant (`0.8`, `v0.8`, `0.8.x`), else the newest of all."""
    known = [release.text for release in reversed(KNOWN_RELEASES)]
    match = _SERIES.match(written.strip())
    series = [text for text in known if match is not None and text.startswith(f"{match[1]}.")]
    alike = difflib.get_close_matches(written.strip().removeprefix("v"), series, n=_MOST_OFFERED, cutoff=0.8)
    offered = alike or series or [NEWEST.text]
    *front, last = (f"`{text}`" for text in offered[:_MOST_OFFERED])
    return f"{', '.join(front)} or {last}" if front else last
