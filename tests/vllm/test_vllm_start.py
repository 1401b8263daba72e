"""A real start on the CPU, with the command line that we render."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model_config import ModelConfig, ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import MIB
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.settings import resolve_settings
from orchestrator.memory.kv_cache import kv_layout
from tests.vllm.model_directories import add_tokenizer, qwen3, write_model
from tests.vllm.server_process import free_port, members, running_server

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
VOCABULARY = 512
LOGGED = re.compile(r"KV cache size: ([\d,]+) tokens, Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x")
VLLM: dict[str, FlagValue] = {
    "max-model-len": 2048,
    "max-num-seqs": 4,
    "kv-cache-memory-bytes": 100 * MIB + 12345,
    "block-size": 32,
    "enforce-eager": True,
}


def _expected_log(facts: ModelFacts) -> tuple[str, str, str]:
    inventory = inventory_from_short_form("1xRTX4090")
    assert isinstance(inventory, Inventory)
    settings = resolve_settings(vllm=VLLM, release=RELEASE, facts=facts, gpu=next(inventory.gpus()))
    layout = kv_layout(settings, facts.config)
    assert settings.kv_cache_memory_bytes is not None
    concurrency = layout.blocks_in(settings.kv_cache_memory_bytes) / layout.blocks_for(settings.max_model_len)
    return f"{int(concurrency * settings.max_model_len):,}", f"{settings.max_model_len:,}", f"{concurrency:.2f}"


def test_our_command_line_starts_a_real_vllm_that_answers_and_has_the_cache_we_predict(
    vllm_python: Path, tmp_path: Path
) -> None:
    shape = qwen3(layers=2, heads=4, kv_heads=2, head_dim=32, hidden=128, vocabulary=VOCABULARY)
    directory = write_model(tmp_path, shape)
    add_tokenizer(directory, VOCABULARY)
    config = parse_config(shape)
    assert isinstance(config, ModelConfig)
    facts = ModelFacts(model=str(directory), config=config, weights={}, provenance="made up")
    port = free_port()
    ours = serve_arguments(
        model=str(directory), revision=None, served_name="tiny", vllm=VLLM, release=RELEASE, facts=facts, port=port
    )
    on_this_machine = ("--load-format", "dummy", "--host", "127.0.0.1")
    with running_server(vllm_python, (*ours, *on_this_machine), port=port, directory=tmp_path) as server:
        server.wait_until_healthy()
        [served] = server.get("/v1/models")["data"]
        assert (served["id"], served["max_model_len"]) == ("tiny", 2048)
        asked = {"model": "tiny", "prompt": "hello", "max_tokens": 8, "temperature": 0, "ignore_eos": True}
        assert server.post("/v1/completions", asked)["usage"]["completion_tokens"] == 8
        logged = LOGGED.search(server.log())
        assert logged is not None
        assert logged.groups() == _expected_log(facts)
    assert members(server.process.pid) == []
