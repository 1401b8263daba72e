"""The layout of the KV cache: bytes per block, groups of layers, blocks that a request takes.

Follows vLLM's own grouping (`v1/kv_cache_interface.py`, `v1/core/kv_cache_utils.py`, from 0.26
`v1/core/kv_cache_planning.py`, and for recurrent states `platforms/interface.py` and `mamba_utils.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, RecurrentState
from orchestrator.domain.plan import KvCacheLayout, KvGroup
from orchestrator.engine.memory_rules import MemoryRules, memory_rules
from orchestrator.engine.settings import EngineSettings

_SIXTEEN_BITS = 2.0
_ELEMENT_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "nvfp4": 0.5625}
_BYTES_PER_TOKEN_OF_LATENT = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}
_SCALE_BYTES_PER_HEAD = 4
_UNEVEN_GROUPS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    """Layers that remember alike; on one rank one layer takes `token_bytes` a token and `state_bytes` a request."""

    kind: LayerKind
    layers: int
    token_bytes: int = 0
    state_bytes: int = 0
    window: int | None = None


def kv_layout(settings: EngineSettings, config: ModelConfig) -> KvCacheLayout:
    """The pool of one rank; with pipeline stages that of the stage with the most layers."""
    rules = memory_rules(settings.release)
    specs = _specs(settings, config)
    block_tokens = _block_tokens(specs, settings)
    page_bytes = max(max(spec.token_bytes * block_tokens, spec.state_bytes) for spec in specs)
    layers_per_group = _layers_per_group(specs)
    groups = tuple(
        KvGroup(
            block_tokens=_tokens_in_page(spec, page_bytes, block_tokens),
            count=-(-spec.layers // layers_per_group),
            token_cap=_token_cap(spec, settings, rules),
            extra_blocks=_extra_blocks(spec, settings),
        )
        for spec in specs
    )
    return KvCacheLayout(
        block_bytes=page_bytes * layers_per_group,
        groups=groups,
        reserved_blocks=1 if rules.null_block_in_fit_check else 0,
        source=_source(specs, settings, block_tokens),
    )


def _specs(settings: EngineSettings, config: ModelConfig) -> tuple[_Spec, ...]:
    counted: dict[_Spec, int] = {}
    for group in config.layers:
        spec = _spec(group, settings, config)
        counted[spec] = counted.get(spec, 0) + group.count
    stages = settings.pipeline_parallel_size
    return tuple(
        _Spec(
            kind=spec.kind,
            layers=max(1, -(-layers // stages)),
            token_bytes=spec.token_bytes,
            state_bytes=spec.state_bytes,
            window=spec.window,
        )
        for spec, layers in counted.items()
    )


def _spec(group: LayerGroup, settings: EngineSettings, config: ModelConfig) -> _Spec:
    ranks = settings.tensor_parallel_size
    if group.kind is LayerKind.LINEAR_ATTENTION and group.recurrent is not None:
        return _Spec(kind=group.kind, layers=0, state_bytes=state_bytes(group.recurrent, ranks, config.dtype))
    if group.kind is LayerKind.LATENT_ATTENTION:
        return _Spec(kind=group.kind, layers=0, token_bytes=_latent_bytes(group.latent_size, settings.kv_cache_dtype))
    heads = max(1, (group.num_kv_heads or config.num_kv_heads) // ranks)
    head_size = group.head_size or config.head_dim
    windowed = group.window is not None and settings.hybrid_kv_cache
    return _Spec(
        kind=group.kind if windowed else LayerKind.FULL_ATTENTION,
        layers=0,
        token_bytes=int(2 * heads * head_bytes(head_size, settings.kv_cache_dtype)),
        window=group.window if windowed else None,
    )


def head_bytes(head_size: int, kv_cache_dtype: str) -> float:
    """Bytes of one key (or value) vector of one head; a dtype that is not known is priced at 16 bits an element."""
    if kv_cache_dtype.endswith("_per_token_head"):
        return head_size + _SCALE_BYTES_PER_HEAD
    if kv_cache_dtype.startswith("fp8"):
        return head_size
    return head_size * _ELEMENT_BYTES.get(kv_cache_dtype, _SIXTEEN_BITS)


def _latent_bytes(latent_size: int, kv_cache_dtype: str) -> int:
    whole = _BYTES_PER_TOKEN_OF_LATENT.get(kv_cache_dtype)
    return whole if whole is not None else int(head_bytes(latent_size, kv_cache_dtype))


def state_bytes(state: RecurrentState, ranks: int, dtype: str) -> int:
    """Bytes of the convolution and recurrent state of one Gated DeltaNet layer, for one request on one rank."""
    keys, values = state.num_key_heads * state.key_head_dim, state.num_value_heads * state.value_head_dim
    convolution = (2 * keys + values) // ranks * (state.conv_kernel - 1)
    recurrent = -(-state.num_value_heads // ranks) * state.value_head_dim * state.key_head_dim
    return int(convolution * _ELEMENT_BYTES.get(dtype, _SIXTEEN_BITS)) + recurrent * state.state_dtype_bytes


def _block_tokens(specs: tuple[_Spec, ...], settings: EngineSettings) -> int:
    """The block of the attention layers, enlarged until its page holds the largest recurrent state."""
    state = max(spec.state_bytes for spec in specs)
    per_token = max(spec.token_bytes for spec in specs)
    unit = settings.block_size
    return unit * max(1, -(-state // (unit * per_token))) if per_token else unit


def _layers_per_group(specs: tuple[_Spec, ...]) -> int:
    counts = [spec.layers for spec in specs]
    smallest, largest = min(counts), max(counts)
    return largest if largest < _UNEVEN_GROUPS * smallest else smallest


def _tokens_in_page(spec: _Spec, page_bytes: int, block_tokens: int) -> int:
    """Layers with smaller tokens put more of them in a page when that comes out even, else the page is padded."""
    own = spec.token_bytes * block_tokens
    return block_tokens * (page_bytes // own) if own and page_bytes % own == 0 else block_tokens


def _token_cap(spec: _Spec, settings: EngineSettings, rules: MemoryRules) -> int | None:
    if spec.state_bytes:
        return 0
    if spec.window is None:
        return None
    in_flight = settings.max_num_batched_tokens * max(rules.batches_in_flight, settings.pipeline_parallel_size)
    return spec.window + in_flight - (1 if spec.kind is LayerKind.SLIDING_ATTENTION else 0)


def _extra_blocks(spec: _Spec, settings: EngineSettings) -> int:
    if spec.state_bytes:
        return 2 if settings.enable_prefix_caching else 1
    return 1 if spec.kind is LayerKind.SLIDING_ATTENTION else 0


def _source(specs: tuple[_Spec, ...], settings: EngineSettings, block_tokens: int) -> str:
    words = []
    for spec in specs:
        if spec.state_bytes:
            words.append(f"{spec.layers} recurrent layers x {spec.state_bytes:,} bytes a request")
        else:
            window = f" within {spec.window:,} tokens" if spec.window is not None else ""
            words.append(f"{spec.layers} layers x {spec.token_bytes:,} bytes a token{window}")
    return f"{', '.join(words)} ({settings.kv_cache_dtype}), blocks of {block_tokens:,} tokens"
