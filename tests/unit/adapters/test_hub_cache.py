"""The Hugging Face cache is found and read as huggingface_hub lays it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.adapters.hub_cache import cache_directory, cached_snapshot

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    home = tmp_path / "models--org--name"
    (home / "snapshots" / COMMIT).mkdir(parents=True)
    (home / "refs" / "pr").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT + "\n")
    (home / "refs" / "pr" / "7").write_text(COMMIT)
    (home / "refs" / "gone").write_text("f" * 40)
    (home / "refs" / "odd").write_bytes(b"\xff" * 1000)
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/c", "HF_HOME": "/b"}, "/c"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/d"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({"HF_HUB_CACHE": "", "HF_HOME": ""}, str(Path("~/.cache/huggingface/hub").expanduser())),
    ],
)
def test_the_environment_says_where_the_cache_is(environment: dict[str, str], directory: str) -> None:
    assert cache_directory(environment) == Path(directory)


@pytest.mark.parametrize("revision", [None, "main", "pr/7", COMMIT])
def test_a_revision_is_followed_to_its_snapshot(cache: Path, revision: str | None) -> None:
    assert cached_snapshot(cache, "org/name", revision) == (
        cache / "models--org--name" / "snapshots" / COMMIT,
        COMMIT,
    )


@pytest.mark.parametrize("revision", ["v1", "gone", "odd", "e" * 40, "../refs/main", "/etc/passwd", "a\0b", "a" * 5000])
def test_a_revision_that_is_not_cached_is_none(cache: Path, revision: str) -> None:
    assert cached_snapshot(cache, "org/name", revision) is None


def test_a_model_that_is_not_cached_is_none(cache: Path) -> None:
    assert cached_snapshot(cache, "org/other", None) is None
    assert cached_snapshot(cache, "o" * 5000, "c" * 40) is None
