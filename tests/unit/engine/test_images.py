"""Images: names, architectures, shared memory."""

from __future__ import annotations

import pytest

from orchestrator.engine.images import default_image, image_build, is_compiled_for
from tests.unit.engine.engine_samples import release


def test_the_default_image_is_named_after_the_release() -> None:
    assert default_image(release("0.32.0")) == "vllm/vllm-openai:v0.32.0"


@pytest.mark.parametrize(
    ("pinned", "cuda", "runs", "does_not_run"),
    [
        ("0.5.0", (12, 4), [(7, 0), (9, 0)], [(10, 0)]),
        ("0.8.5", (12, 4), [(7, 0), (7, 5), (8, 6), (8, 9), (9, 0)], [(6, 1), (10, 0), (12, 0)]),
        ("0.9.1", (12, 8), [(7, 0), (8, 6), (10, 0)], [(12, 0)]),
        ("0.9.2", (12, 8), [(7, 0), (8, 6), (10, 3), (12, 0)], [(11, 0)]),
        ("0.11.1", (12, 9), [(7, 0), (12, 1)], [(6, 0)]),
        ("0.33.0", (13, 0), [(7, 5), (8, 6), (8, 7), (11, 0), (12, 0)], [(7, 0), (7, 2)]),
    ],
)
def test_kernels_run_where_they_were_compiled_for(
    pinned: str, cuda: tuple[int, int], runs: list[tuple[int, int]], does_not_run: list[tuple[int, int]]
) -> None:
    build = image_build(release(pinned))
    assert build.cuda == cuda
    assert all(is_compiled_for(build, capability) for capability in runs)
    assert not any(is_compiled_for(build, capability) for capability in does_not_run)
