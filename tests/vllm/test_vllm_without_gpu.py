"""A host without a GPU: the command that `fit` offers, run by the real vLLM."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from orchestrator.adapters.checkpoint_directory import read_checkpoint_directory
from orchestrator.advisor.fitting import Question
from orchestrator.advisor.host import ASSUMED_BANDWIDTH, host_table
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.release import Release
from tests.vllm.model_directories import add_tokenizer, qwen3, write_model
from tests.vllm.server_process import free_port, members, running_server

pytestmark = pytest.mark.vllm

VOCABULARY = 512
LOGGED = re.compile(r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x")


def test_the_command_for_a_host_without_a_gpu_starts_and_its_cache_holds_one_request(
    vllm_python: Path, tmp_path: Path
) -> None:
    shape = qwen3(layers=2, heads=4, kv_heads=2, head_dim=32, hidden=128, vocabulary=VOCABULARY)
    directory = write_model(tmp_path, shape)
    add_tokenizer(directory, VOCABULARY)
    facts = read_checkpoint_directory(directory, str(directory))
    assert isinstance(facts, ModelFacts)
    question = Question(release=Release.of("0.32.0"), full_length_requests=3)
    [answer] = host_table([facts], question, bandwidth=ASSUMED_BANDWIDTH, ram_bytes=None).answers
    program, verb, *argv = shlex.split(answer.command)
    assert (program, verb) == ("vllm", "serve")
    port = free_port()
    here = ("--port", str(port), "--load-format", "dummy", "--served-model-name", "tiny", "--enforce-eager")
    with running_server(vllm_python, (*argv, *here), port=port, directory=tmp_path) as server:
        server.wait_until_healthy()
        asked = {"model": "tiny", "prompt": "hello", "max_tokens": 4, "temperature": 0, "ignore_eos": True}
        assert server.post("/v1/completions", asked)["usage"]["completion_tokens"] == 4
        logged = LOGGED.search(server.log())
        assert logged is not None
        assert logged.groups() == ("8,192", "3.02")  # 3 x 64 blocks of 128 tokens, and the block that is never used
    assert members(server.process.pid) == []
