"""What one layer keeps of the past on one rank: bytes per token or per request."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, RecurrentState
from orchestrator.engine.settings import EngineSettings

_SIXTEEN_BITS = 2.0
_ELEMENT_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "nvfp4": 0.5625}
_BYTES_PER_TOKEN_OF_LATENT = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}
_SCALE_BYTES_PER_HEAD = 4
_WHOLE = (LayerKind.FULL_ATTENTION, LayerKind.LATENT_ATTENTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """`layers` of the whole model that remember alike; one of them takes `token_bytes` a token or `state_bytes` a
    request on one rank. `window` is in tokens. `checkpoint_blocks` are more states that prefix caching keeps.
    """

    kind: LayerKind
    layers: int
    token_bytes: int = 0
    state_bytes: int = 0
    window: int | None = None
    checkpoint_blocks: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every token of a request is kept."""
        return self.kind in _WHOLE

    def page_bytes(self, block_tokens: int) -> int:
        """Bytes of one block of one layer."""
        return max(self.token_bytes * block_tokens, self.state_bytes)

    def on_largest_stage(self, settings: EngineSettings) -> int:
        """Layers on the pipeline stage with the most of them, with the kinds evenly mixed."""
        return max(1, -(-self.layers // settings.pipeline_parallel_size))

    def stored_whole(self) -> LayerSpec:
        """The same layers with the window forgotten."""
        return self if self.window is None else replace(self, kind=LayerKind.FULL_ATTENTION, window=None)


def layer_specs(settings: EngineSettings, config: ModelConfig) -> tuple[LayerSpec, ...]:
    """The layers by what they keep, in the order of the config, with the draft layers that speculation adds."""
    counted: dict[LayerSpec, int] = {}
    for group in config.layers:
        spec = _spec(group, settings, config)
        counted[spec] = counted.get(spec, 0) + group.count
    if settings.loads_draft_layers and config.draft_layers and counted:
        for spec in _kept_by_draft_layers(tuple(counted)):
            counted[spec] += config.draft_layers
    return tuple(replace(spec, layers=layers) for spec, layers in counted.items())


def _kept_by_draft_layers(specs: tuple[LayerSpec, ...]) -> tuple[LayerSpec, ...]:
    """A draft layer attends to the whole past like the model's own: with its index, where attention is sparse."""
    latent = tuple(spec for spec in specs if spec.kind is LayerKind.LATENT_ATTENTION)
    return latent or (next((spec for spec in specs if spec.is_whole), specs[0]),)


def _spec(group: LayerGroup, settings: EngineSettings, config: ModelConfig) -> LayerSpec:
    if group.kind is LayerKind.LINEAR_ATTENTION and group.recurrent is not None:
        return LayerSpec(
            kind=group.kind,
            layers=0,
            state_bytes=_request_bytes(group.recurrent, settings, config),
            checkpoint_blocks=group.recurrent.checkpoint_blocks,
        )
    if group.kind is LayerKind.LATENT_ATTENTION:
        size = group.index_bytes or _latent_bytes(group.latent_size, settings.kv_cache_dtype)
        return LayerSpec(kind=group.kind, layers=0, token_bytes=size)
    return LayerSpec(
        kind=group.kind if group.window is not None else LayerKind.FULL_ATTENTION,
        layers=0,
        token_bytes=_heads_bytes(group, settings, config),
        window=group.window,
    )


def _heads_bytes(group: LayerGroup, settings: EngineSettings, config: ModelConfig) -> int:
    """Bytes of the keys and values of one token on one rank; heads are repeated where there are fewer than ranks."""
    heads = max(1, (group.num_kv_heads or config.num_kv_heads) // settings.tensor_parallel_size)
    keys = group.head_size or config.head_dim
    values = group.value_head_size or keys
    return int(heads * (head_bytes(keys, settings.kv_cache_dtype) + head_bytes(values, settings.kv_cache_dtype)))


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


def _request_bytes(state: RecurrentState, settings: EngineSettings, config: ModelConfig) -> int:
    chosen = _ELEMENT_BYTES.get(settings.state_dtype or "")
    return state_bytes(
        state if chosen is None else replace(state, state_dtype_bytes=int(chosen)),
        settings.tensor_parallel_size,
        settings.convolution_dtype or config.dtype,
        settings.speculative_tokens,
    )


def state_bytes(state: RecurrentState, ranks: int, dtype: str, speculative_tokens: int = 0) -> int:
    """Bytes of the convolution and recurrent state of one layer, for one request on one rank. Groups that ranks do not
    divide are repeated: one for each rank.
    """
    groups = state.num_key_heads if state.num_key_heads % ranks == 0 else ranks
    keys, values = groups * state.key_head_dim, state.num_value_heads * state.value_head_dim
    convolution = (2 * keys + values) // ranks * (state.conv_kernel - 1 + speculative_tokens)
    recurrent = -(-state.num_value_heads // ranks) * state.value_head_dim * state.key_head_dim
    return int(convolution * _ELEMENT_BYTES.get(dtype, _SIXTEEN_BITS)) + recurrent * state.state_dtype_bytes
