"""The flags of a record in the words of a profile: its fields, and what its free text says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.startup import StartupInputs

_DRAFT_TOKENS = re.compile(r"\bmtp\b\D{0,3}(\d+)", re.IGNORECASE)
_ADAPTER_SLOTS = re.compile(r"\bLoRA\b\D{0,5}(\d+) slots?", re.IGNORECASE)
_ADAPTERS = re.compile(r"\bLoRA\b", re.IGNORECASE)
_IMAGE = re.compile(r"\bimage\b|\bdocker\b|vllm/vllm-openai", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_DASHES = re.compile(r"(?<!\S)(?<!\bno )(--?[A-Za-z][\w.-]*)(?:[= ]+(?!-{1,2}[A-Za-z])('[^']*'|\"[^\"]*\"|[^\s,;]+))?")
_SHORT = {"tp": "tensor-parallel-size", "pp": "pipeline-parallel-size", "dp": "data-parallel-size"}
_WITHOUT_VALUE = ("enable-", "disable-", "no-", "enforce-", "trust-", "language-model-only", "specialize-")
_ONLINE = re.compile(r"^(fp8|bitsandbytes|mxfp8|experts_int8)\b")
_CHECKPOINT_DTYPES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


def recorded_flags(inputs: StartupInputs, facts: ModelFacts) -> Mapping[str, FlagValue]:
    """What was passed to the engine; what is not said counts as not passed.

    A quantisation of an unquantised checkpoint is one that the engine does while loading; that of a quantised
    checkpoint is what the checkpoint says anyway.
    """
    flags: dict[str, FlagValue] = dict(_written(inputs.other_flags))
    flags.update(_told(inputs.other_flags))
    flags.update({name: value for name, value in _fields(inputs) if value is not None})
    if facts.config.quantization is None and inputs.quantization is not None:
        online = _ONLINE.match(inputs.quantization)
        if online is not None:
            flags["quantization"] = online[1]
    return flags


def names_an_image(other_flags: str) -> bool:
    """Whether a record says that vLLM ran from a container image."""
    return _IMAGE.search(other_flags) is not None


def _fields(inputs: StartupInputs) -> Iterator[tuple[str, FlagValue]]:
    yield "tensor-parallel-size", inputs.tensor_parallel_size
    yield "pipeline-parallel-size", inputs.pipeline_parallel_size
    yield "data-parallel-size", inputs.data_parallel_size
    yield "gpu-memory-utilization", inputs.gpu_memory_utilization
    yield "max-model-len", inputs.max_model_len
    yield "max-num-seqs", inputs.max_num_seqs
    yield "max-num-batched-tokens", inputs.max_num_batched_tokens
    yield "enforce-eager", inputs.enforce_eager
    yield "block-size", inputs.block_size
    yield "dtype", _CHECKPOINT_DTYPES.get(inputs.dtype or "", inputs.dtype)
    yield "kv-cache-dtype", inputs.kv_cache_dtype


def _written(text: str) -> Iterator[tuple[str, FlagValue]]:
    """Flags that stand in the text as on a command line."""
    for dashed, value in _DASHES.findall(text):
        name = dashed.lstrip("-").replace("_", "-")
        if not dashed.startswith("--") and name not in _SHORT:
            continue
        yield _SHORT.get(name, name), True if not value or name.startswith(_WITHOUT_VALUE) else _plain(value)


def _plain(value: str) -> FlagValue:
    words = shlex.split(value) if value[0] in "'\"" and value[-1] == value[0] else [value]
    text = words[0] if words else ""
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _told(text: str) -> Iterator[tuple[str, FlagValue]]:
    """What is told in words: adapters and their slots, draft tokens."""
    drafts = _DRAFT_TOKENS.search(text)
    if drafts is not None:
        yield "speculative-config", {"method": "mtp", "num_speculative_tokens": int(drafts[1])}
    if _ADAPTERS.search(text):
        slots = _ADAPTER_SLOTS.search(text)
        yield "enable-lora", True
        if slots is not None:
            yield "max-loras", int(slots[1])
