"""The real vLLM for a session of tests, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm import oracle_process
from tests.vllm.model_directories import WriteModel, write_model


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The interpreter that has vLLM. Where there is none, tests are skipped, or fail if CI requires them."""
    python = oracle_process.interpreter()
    if python.is_file():
        return python
    reason = f"no vLLM at {python}: run .ci/vllm, or set {oracle_process.INTERPRETER}"
    if oracle_process.is_required():
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def oracle(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[oracle_process.Oracle]:
    with oracle_process.running_oracle(vllm_python, tmp_path_factory.mktemp("oracle")) as process:
        yield process


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> WriteModel:
    """Writes a config.json and gives the directory's path, the same one for the same configuration."""
    return lambda config: str(write_model(tmp_path_factory.getbasetemp() / "models", config))
