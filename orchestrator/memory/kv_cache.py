"""The layout of the KV cache: bytes per block, groups of layers, blocks that a request takes.

Follows vLLM's own grouping (`v1/kv_cache_interface.py`, `v1/core/kv_cache_utils.py`, from 0.26
`v1/core/kv_cache_planning.py`, and for recurrent states `platforms/interface.py` and `mamba_utils.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.domain.model_config import LayerKind, ModelConfig
from orchestrator.domain.plan import KvCacheLayout, KvGroup
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.cached_layers import LayerSpec, layer_specs

_UNEVEN_GROUPS = 1.5
_LATENT_ALIGNMENT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grouping:
    """How many groups each spec is split into, and the bytes of one block of the pool on the largest stage."""

    counts: tuple[int, ...]
    block_bytes: int
    block_tokens: tuple[int, ...]


def kv_layout(settings: EngineSettings, config: ModelConfig) -> KvCacheLayout:
    """The pool of one rank; with pipeline stages that of the stage with the most layers."""
    specs = _as_managed(layer_specs(settings, config), settings)
    block_tokens = _block_tokens(specs, settings)
    if not _is_one_kind(specs):
        specs = _with_equal_pages_possible(specs, block_tokens)
    grouping = (
        _in_one_group(specs, block_tokens, settings) if _is_one_kind(specs) else _groups(specs, block_tokens, settings)
    )
    groups = tuple(
        KvGroup(
            block_tokens=tokens * _context_shards(spec, settings),
            count=count,
            token_cap=_token_cap(spec, settings),
            extra_blocks=_extra_blocks(spec, settings),
        )
        for spec, count, tokens in zip(specs, grouping.counts, grouping.block_tokens, strict=False)
    )
    return KvCacheLayout(
        block_bytes=grouping.block_bytes,
        groups=groups,
        reserved_blocks=1 if memory_rules(settings.release).null_block_in_fit_check else 0,
        source=_source(specs, settings, block_tokens),
    )


def _as_managed(specs: tuple[LayerSpec, ...], settings: EngineSettings) -> tuple[LayerSpec, ...]:
    """Without the hybrid allocator, windows beside full attention are stored whole; the V0 engine stores all whole."""
    if settings.hybrid_kv_cache:
        return specs
    if memory_rules(settings.release).v1_engine and not any(spec.is_whole for spec in specs):
        return specs
    return _merged(spec.stored_whole() for spec in specs)


def _merged(specs: Iterable[LayerSpec]) -> tuple[LayerSpec, ...]:
    """Layers that remember alike become one spec, in the order in which they first appear."""
    counted: dict[LayerSpec, int] = {}
    for spec in specs:
        kind = replace(spec, layers=0)
        counted[kind] = counted.get(kind, 0) + spec.layers
    return tuple(replace(kind, layers=layers) for kind, layers in counted.items())


def _is_one_kind(specs: tuple[LayerSpec, ...]) -> bool:
    """Whether all layers need the same number of tokens: then they share one group, whatever their sizes are."""
    return (
        all(spec.is_whole for spec in specs) or len({(spec.kind, spec.window, spec.state_bytes) for spec in specs}) == 1
    )


def _with_equal_pages_possible(specs: tuple[LayerSpec, ...], block_tokens: int) -> tuple[LayerSpec, ...]:
    """Pages of a latent cache are never padded: where that would be needed, windows are stored whole instead."""
    page = max(spec.page_bytes(block_tokens) for spec in specs)
    latent_fits = all(
        page % spec.page_bytes(block_tokens) == 0 for spec in specs if spec.kind is LayerKind.LATENT_ATTENTION
    )
    return specs if latent_fits else _merged(spec.stored_whole() for spec in specs)


def _in_one_group(specs: tuple[LayerSpec, ...], block_tokens: int, settings: EngineSettings) -> _Grouping:
    pages = (spec.on_largest_stage(settings) * spec.page_bytes(block_tokens) for spec in specs)
    return _Grouping(counts=(1,), block_bytes=sum(pages), block_tokens=(block_tokens,))


def _groups(specs: tuple[LayerSpec, ...], block_tokens: int, settings: EngineSettings) -> _Grouping:
    """Groups of equally many layers with equal pages: smaller pages hold more tokens where that comes out even, else
    they are padded. Stages share the groups of the whole model.
    """
    page_bytes = max(spec.page_bytes(block_tokens) for spec in specs)
    layers_per_group = _layers_per_group(specs)
    counts = tuple(-(-spec.layers // layers_per_group) for spec in specs)
    widest = max(-(-spec.on_largest_stage(settings) // count) for spec, count in zip(specs, counts, strict=True))
    return _Grouping(
        counts=counts,
        block_bytes=page_bytes * widest,
        block_tokens=tuple(_tokens_in_page(spec, page_bytes, block_tokens) for spec in specs),
    )


def _block_tokens(specs: tuple[LayerSpec, ...], settings: EngineSettings) -> int:
    """The block of the attention layers, enlarged until its page holds the largest recurrent state."""
    state = max(spec.state_bytes for spec in specs)
    per_token = max(spec.token_bytes for spec in specs)
    unit = settings.block_size
    if not state or not per_token:
        return unit
    if any(spec.kind is LayerKind.LATENT_ATTENTION for spec in specs):
        unit = max(unit, _LATENT_ALIGNMENT)
    return unit * max(1, -(-state // (unit * per_token)))


def _layers_per_group(specs: tuple[LayerSpec, ...]) -> int:
    counts = [spec.layers for spec in specs]
    smallest, largest = min(counts), max(counts)
    return largest if largest < _UNEVEN_GROUPS * smallest else smallest


def _tokens_in_page(spec: LayerSpec, page_bytes: int, block_tokens: int) -> int:
    own = spec.token_bytes * block_tokens
    return block_tokens * (page_bytes // own) if own and page_bytes % own == 0 else block_tokens


def _context_shards(spec: LayerSpec, settings: EngineSettings) -> int:
    """Ranks that the tokens of a request are spread over (decode context parallelism)."""
    return settings.decode_context_parallel_size if spec.is_whole else 1


def _token_cap(spec: LayerSpec, settings: EngineSettings) -> int | None:
    if spec.state_bytes:
        return 0
    if spec.window is None:
        return None
    in_flight = settings.max_num_batched_tokens * settings.batches_in_flight
    return spec.window + in_flight - (1 if spec.kind is LayerKind.SLIDING_ATTENTION else 0)


def _extra_blocks(spec: LayerSpec, settings: EngineSettings) -> int:
    """A state per request, one more for prefix caching, one per guessed token; a window may start within a block."""
    if spec.state_bytes:
        cached = 1 + spec.checkpoint_blocks if settings.enable_prefix_caching else 0
        return 1 + cached + settings.speculative_tokens
    return 1 if spec.kind is LayerKind.SLIDING_ATTENTION else 0


def _source(specs: tuple[LayerSpec, ...], settings: EngineSettings, block_tokens: int) -> str:
    words = []
    for spec in specs:
        layers = spec.on_largest_stage(settings)
        if spec.state_bytes:
            words.append(f"{layers} recurrent layers x {spec.state_bytes:,} bytes a request")
        else:
            window = f" within {spec.window:,} tokens" if spec.window is not None else ""
            words.append(f"{layers} layers x {spec.token_bytes:,} bytes a token{window}")
    return f"{', '.join(words)} ({settings.kv_cache_dtype}), blocks of {block_tokens:,} tokens"
