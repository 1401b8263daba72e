"""The Hugging Face cache on this machine: where it lies and which snapshots of a model it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_MOST_REF_BYTES = 200


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Where models are cached: HF_HUB_CACHE, else `hub` under HF_HOME, else under the user's cache directory."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environment.get(name):
            return Path(environment[name]).expanduser()
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]).expanduser() / "hub"
    caches = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "huggingface" / "hub"


def cached_snapshot(cache: Path, model: str, revision: str | None) -> tuple[Path, str] | None:
    """The directory and the commit of a cached model at a branch, tag or commit (`main` unless said).

    None when that revision is not in the cache; whether all its files are there is not checked.
    """
    home = cache / ("models--" + model.replace("/", "--"))
    asked = revision or "main"
    commit = asked if _COMMIT.fullmatch(asked) else _commit_of(home, asked)
    if commit is None:
        return None
    snapshot = home / "snapshots" / commit
    try:
        return (snapshot, commit) if snapshot.is_dir() else None
    except OSError:
        return None


def _commit_of(home: Path, name: str) -> str | None:
    """The commit that a branch or tag stood for when it was downloaded."""
    if ".." in name.split("/") or name.startswith("/"):
        return None
    try:
        with (home / "refs" / name).open("rb") as file:
            text = file.read(_MOST_REF_BYTES).decode("ascii", "replace").strip()
    except (OSError, ValueError):
        return None
    return text if _COMMIT.fullmatch(text) else None
