"""Whether a model can be divided by the tensor-parallel-size that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.domain.model_config import LayerKind, ModelConfig, Quantization
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.problems import FlagProblem

_GROUPED = ("awq", "awq_marlin", "auto_awq", "gptq", "gptq_marlin", "auto_gptq", "compressed-tensors")

_VOCABULARY_UNIT = 64
"""vLLM pads the vocabulary to a multiple of this before it divides it."""

_WHOLE_EXPERTS = ("or keep experts whole with `enable-expert-parallel: true`",)


def check_sharding(*, vllm: Mapping[str, FlagValue], release: Release, config: ModelConfig) -> tuple[FlagProblem, ...]:
    """Findings about heads, layer widths and quantisation groups against tensor-parallel-size."""
    flags = canonical_flags(vllm, release)
    size = flags.get("tensor-parallel-size", 1)
    if isinstance(size, bool) or not isinstance(size, int) or size < 2:
        return ()
    is_expert_parallel = flags.get("enable-expert-parallel") is True
    widths = dict(_sharded_widths(config, is_expert_parallel=is_expert_parallel))
    found = tuple(_misfits(size, config, widths))
    key = next((key for key in vllm if key.replace("_", "-") == "tensor-parallel-size"), "tensor-parallel-size")
    largest = _largest_size(size, config, widths)
    return tuple(
        FlagProblem(
            code=code,
            flag=key,
            on_value=True,
            message=f"this model cannot be divided by `{key}` {size}: {why}",
            label=why,
            notes=(f"asked: {size}, largest that works below: {largest}",),
            help=(f"write `{key}: {largest}`", *(_WHOLE_EXPERTS if why.startswith("experts") else ())),
        )
        for code, why in found
    )


def _largest_size(size: int, config: ModelConfig, widths: Mapping[str, int]) -> int:
    """The largest smaller size without a finding; 1 always works."""
    smaller = (each for each in range(min(size - 1, config.num_attention_heads), 1, -1))
    return next((each for each in smaller if not any(_misfits(each, config, widths))), 1)


def _misfits(size: int, config: ModelConfig, widths: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    yield from _heads(size, config)
    yield from _vocabulary(size, config)
    yield from _widths(size, widths)
    yield from _groups(size, widths, config)


def _sharded_widths(config: ModelConfig, *, is_expert_parallel: bool) -> Iterator[tuple[str, int]]:
    """Widths of the inner side of the layers that are split by rows, by name, in elements."""
    moe = config.moe
    if moe is None:
        yield "intermediate size", config.intermediate_size
    else:
        if not is_expert_parallel:
            yield "experts' intermediate size", moe.intermediate_size
        if moe.shared_intermediate_size:
            yield "shared experts' intermediate size", moe.shared_intermediate_size
    if not any(group.kind is LayerKind.LATENT_ATTENTION for group in config.layers):
        yield "attention width", config.num_attention_heads * config.head_dim


def _heads(size: int, config: ModelConfig) -> Iterator[tuple[str, str]]:
    heads, kv_heads = config.num_attention_heads, config.num_kv_heads
    is_latent = any(group.kind is LayerKind.LATENT_ATTENTION for group in config.layers)
    if heads % size:
        yield "E224", f"{heads} attention heads"
    elif not is_latent and kv_heads and kv_heads % size and size % kv_heads:
        yield "E224", f"{kv_heads} key-value heads"


def _vocabulary(size: int, config: ModelConfig) -> Iterator[tuple[str, str]]:
    padded = -(-config.vocab_size // _VOCABULARY_UNIT) * _VOCABULARY_UNIT
    if padded % size:
        yield "E225", f"vocabulary of {padded} (padded to a multiple of {_VOCABULARY_UNIT})"


def _widths(size: int, widths: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for name, width in widths.items():
        if width % size and name != "attention width":
            yield "E225", f"{name} {width}"


def _groups(size: int, widths: Mapping[str, int], config: ModelConfig) -> Iterator[tuple[str, str]]:
    group = _group_size(config.quantization)
    if group is None:
        return
    for name, width in widths.items():
        if width % size == 0 and width // size % group:
            yield "E226", f"{name} {width} / {size} = {width // size} splits quantisation groups of {group}"


def _group_size(quantization: Quantization | None) -> int | None:
    """Elements that must stay together in a row of weights; None when nothing must."""
    if quantization is None:
        return None
    if quantization.block_size is not None:
        return max(quantization.block_size)
    is_grouped = quantization.method in _GROUPED and (quantization.group_size or 0) > 0
    return quantization.group_size if is_grouped else None
