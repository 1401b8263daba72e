"""Our findings about flags against each other and against the checkpoint, beside what vLLM itself refuses."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.domain.model_config import ModelConfig, ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.checks import check_flags
from orchestrator.engine.compatibility import check_model
from orchestrator.engine.quantization_methods import NEEDS_QUANTIZED_WEIGHTS, QUANTIZATION_METHODS
from tests.vllm.model_directories import WriteModel, qwen3
from tests.vllm.oracle_process import Answer, Oracle

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
CHECKPOINTS: Mapping[str, dict[str, object] | None] = {
    "plain": None,
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
    "fp8": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {}},
}
"""AWQ is missing, because the CPU build has rules of its own for it; so is ModelOpt, which wins over every word."""


def _config(checkpoint: str) -> dict[str, object]:
    stated = CHECKPOINTS[checkpoint]
    return {**qwen3(layers=2), **({"quantization_config": stated} if stated else {})}


def _facts(raw: dict[str, object]) -> ModelFacts:
    config = parse_config(raw)
    assert isinstance(config, ModelConfig)
    return ModelFacts(model="m", config=config, weights={}, provenance="made up")


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_each_word_for_quantization_is_refused_by_both_or_neither(
    oracle: Oracle, model_directory: WriteModel, checkpoint: str
) -> None:
    raw = _config(checkpoint)
    directory, facts = model_directory(raw), _facts(raw)
    words = sorted({*QUANTIZATION_METHODS, "awq_marlin2"})
    answers = oracle.ask([{"ask": "model", "argv": [directory, "--quantization", word]} for word in words])
    refused_later = NEEDS_QUANTIZED_WEIGHTS if checkpoint == "plain" else frozenset()

    assert [
        (word, answer.get("error"))
        for word, answer in zip(words, answers, strict=True)
        if word not in refused_later and _is_refused({"quantization": word}, facts) == answer["ok"]
    ] == []


def _is_refused(vllm: Mapping[str, FlagValue], facts: ModelFacts) -> bool:
    found = (*check_flags(vllm, RELEASE), *check_model(vllm=vllm, release=RELEASE, facts=facts))
    return any(problem.is_error for problem in found)


PAIRS: tuple[dict[str, FlagValue], ...] = (
    {"enable-auto-tool-choice": True},
    {"enable-auto-tool-choice": True, "tool-call-parser": "hermes"},
    {"enable-log-outputs": True},
    {"enable-log-outputs": True, "enable-log-requests": True},
    {"enable-per-request-metrics": True},
    {"enable-per-request-metrics": True, "disable-log-stats": True},
    {"chat-template": "{{ messages }}"},
    {"numa-bind-nodes": [0]},
    {"enable-elastic-ep": True},
    {"attention-backend": "CPU_ATTN", "attention-config": {"backend": "CPU_ATTN"}},
    {"max-cudagraph-capture-size": 8, "compilation-config": {"max_cudagraph_capture_size": 8}},
    {"cudagraph-capture-sizes": [1, 2], "compilation-config": {"cudagraph_capture_sizes": [1, 2]}},
    {"max-num-batched-tokens": 16, "max-num-seqs": 32},
    {"max-num-batched-tokens": 32, "max-num-seqs": 32},
    {"max-num-batched-tokens": 1024, "max-model-len": 4096, "enable-chunked-prefill": False},
    {"max-num-batched-tokens": 1024, "max-model-len": 4096, "enable-chunked-prefill": True},
    {"max-model-len": 4096, "long-prefill-token-threshold": 5000},
    {"max-model-len": 4096, "long-prefill-token-threshold": 4096},
    {"max-num-seqs": 4, "max-num-active-seqs": 8},
    {"max-num-seqs": 8, "max-num-active-seqs": 8},
    {"enable-lora": True, "max-loras": 4, "max-cpu-loras": 2},
    {"enable-lora": True, "max-loras": 4, "max-cpu-loras": 4},
    {"per-request-spec-decode-metrics": "summary"},
    {"per-request-spec-decode-metrics": "none"},
    {"dtype": "float32"},
)


def test_flags_together_are_refused_by_both_or_neither(oracle: Oracle, model_directory: WriteModel) -> None:
    raw = _config("plain")
    directory, facts = model_directory(raw), _facts(raw)
    answers = oracle.ask([_whole(directory, vllm, facts) for vllm in PAIRS])

    assert [
        (vllm, answer.get("error"))
        for vllm, answer in zip(PAIRS, answers, strict=True)
        if _is_refused(vllm, facts) == answer["ok"]
    ] == []


def _whole(directory: str, vllm: Mapping[str, FlagValue], facts: ModelFacts) -> Mapping[str, object]:
    argv = serve_arguments(
        model=directory,
        revision=None,
        served_name="m",
        vllm=_with_short_context(vllm),
        release=RELEASE,
        facts=facts,
        port=8000,
    )
    return {"ask": "cache", "argv": list(argv), "available_bytes": [10**10], "in_flight_batches": 1}


def _with_short_context(vllm: Mapping[str, FlagValue]) -> Mapping[str, FlagValue]:
    return vllm if "max-model-len" in vllm else {**vllm, "max-model-len": 4096}


def test_float32_is_refused_for_gptq_weights_by_both(oracle: Oracle, model_directory: WriteModel) -> None:
    raw = _config("gptq")
    vllm: dict[str, FlagValue] = {"dtype": "float32"}
    (answer,) = oracle.ask([_whole(model_directory(raw), vllm, _facts(raw))])

    assert _is_refused(vllm, _facts(raw))
    assert _says(answer, "is not supported for quantization method")


def _says(answer: Answer, words: str) -> bool:
    return not answer["ok"] and words in str(answer["error"])
