"""Which layers keep what of the past, read from the spellings of many families."""

from __future__ import annotations

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import LayerGroup, LayerKind, RecurrentState
from tests.vllm import mixed_models as models

FULL, SLIDING, RECURRENT = LayerKind.FULL_ATTENTION, LayerKind.SLIDING_ATTENTION, LayerKind.LINEAR_ATTENTION


def groups(config: models.Config) -> tuple[LayerGroup, ...]:
    parsed = parse_config(config)
    assert not isinstance(parsed, Diagnostic), parsed
    return parsed.layers


def state(heads: int, size: int, keys: int, key_size: int, kernel: int, **more: int) -> RecurrentState:
    return RecurrentState(
        num_key_heads=keys,
        num_value_heads=heads,
        key_head_dim=key_size,
        value_head_dim=size,
        conv_kernel=kernel,
        **{"state_dtype_bytes": 2, **more},
    )


RECURRENT_LAYERS = {
    "letters; MLPs are layers of their own": (
        models.nemotron_h(),
        [(RECURRENT, 8), (FULL, 2)],
        state(32, 64, 8, 128, 4, state_dtype_bytes=4, checkpoint_blocks=1),
    ),
    "words": (models.granite_hybrid(), [(RECURRENT, 18), (FULL, 2)], state(32, 64, 1, 128, 4, checkpoint_blocks=1)),
    "both in every layer": (
        models.falcon_h1(),
        [(RECURRENT, 12), (FULL, 12)],
        state(32, 64, 1, 128, 4, checkpoint_blocks=1),
    ),
    "a period": (models.jamba(), [(RECURRENT, 14), (FULL, 2)], state(2048, 1, 0, 16, 4)),
    "a convolution alone": (models.lfm2(), [(RECURRENT, 10), (FULL, 6)], state(1024, 1, 0, 0, 3)),
    "numbers that count from 1": (
        models.kimi_linear(),
        [(RECURRENT, 9), (LayerKind.LATENT_ATTENTION, 3)],
        state(16, 128, 16, 128, 4, state_dtype_bytes=4),
    ),
    "as in Qwen3-Next": (models.olmo_hybrid(), [(RECURRENT, 12), (FULL, 4)], state(16, 192, 8, 96, 4)),
}


@pytest.mark.parametrize("name", RECURRENT_LAYERS)
def test_recurrent_layers_are_read_in_each_spelling(name: str) -> None:
    config, kinds, kept = RECURRENT_LAYERS[name]
    found = groups(config)
    assert [(group.kind, group.count) for group in found] == kinds
    assert [group.recurrent for group in found if group.kind is RECURRENT] == [kept]


def test_heads_may_differ_between_windows_and_the_rest() -> None:
    assert groups(models.gemma4(layers=12)) == (
        LayerGroup(kind=SLIDING, count=10, num_kv_heads=8, head_size=256, window=1024),
        LayerGroup(kind=FULL, count=2, num_kv_heads=2, head_size=512),
    )
    assert groups(models.mimo_v2(layers=12)) == (
        LayerGroup(kind=FULL, count=3, num_kv_heads=4, head_size=192, value_head_size=128),
        LayerGroup(kind=SLIDING, count=9, num_kv_heads=8, head_size=192, value_head_size=128, window=128),
    )


def test_heads_of_another_setting_belong_to_its_kind_of_layer() -> None:
    step = {
        **models.gemma4(layers=12),
        "global_head_dim": None,
        "attention_other_setting": {"attention_type": "sliding_attention", "num_attention_groups": 4, "head_dim": 64},
    }
    assert [(group.num_kv_heads, group.head_size) for group in groups(step)] == [(4, 64), (8, 256)]


def test_layers_that_share_keep_nothing() -> None:
    assert [(group.kind, group.count) for group in groups(models.gemma3n(30, 10))] == [(SLIDING, 16), (FULL, 4)]
    by_default = {key: value for key, value in models.gemma3n(30).items() if key != "num_kv_shared_layers"}
    assert sum(group.count for group in groups(by_default)) == 15


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 12),
        ({"index_topk_freq": 4, "index_skip_topk_offset": 3}, 5),
        ({"index_topk_pattern": "FSSFSSFSSFSS"}, 4),
    ],
)
def test_sparse_attention_keeps_an_index_where_layers_search(fields: dict[str, object], count: int) -> None:
    sparse = {
        **models.kimi_linear(12),
        "model_type": "deepseek_v32",
        "layer_types": ["full_attention"] * 12,
        "index_topk": 2048,
        "index_head_dim": 128,
        **fields,
    }
    latent, index = groups(sparse)
    assert (latent.count, latent.latent_size) == (12, 576)
    assert (index.kind, index.count, index.index_bytes) == (LayerKind.LATENT_ATTENTION, count, 132)
