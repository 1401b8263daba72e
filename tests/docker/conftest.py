"""A real Docker Engine with Compose v2, or a reason why not; one image for the whole session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.docker.engine_image import import_image

IMAGE = f"orchestrate-stand-in:{os.getpid()}"  # test processes side by side have one each


def _what_is_missing(*, engine: bool) -> str | None:
    if shutil.which("docker") is None:
        return "there is no `docker` here"
    compose = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if compose.returncode != 0:
        return "docker has no Compose v2 here"
    if engine and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        return "no Docker Engine answers here"
    return None


def _need(missing: str | None) -> None:
    if missing is None:
        return
    reason = f"{missing}; `.ci/docker` installs and starts one on Debian"
    if os.environ.get("ORCHESTRATE_REQUIRE_DOCKER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def compose() -> None:
    """Compose v2 can be run."""
    _need(_what_is_missing(engine=False))


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The name of an image whose `vllm` is the stand-in; a Docker Engine answers."""
    _need(_what_is_missing(engine=True))
    import_image(IMAGE)
    yield IMAGE
    subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True, check=True)
