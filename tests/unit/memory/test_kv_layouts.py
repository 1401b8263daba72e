from __future__ import annotations

import pytest

from orchestrator.domain.model_config import LayerGroup, LayerKind, RecurrentState
from orchestrator.domain.plan import KvCacheLayout, KvGroup
from orchestrator.domain.units import GIB
from orchestrator.memory.kv_cache import head_bytes, kv_layout, state_bytes
from orchestrator.memory.prediction import logged_tokens
from tests.unit.memory.memory_samples import (
    BLACKWELL,
    H100,
    Flags,
    config_of,
    facts_of,
    facts_with,
    footprint_of,
    full,
    settings_for,
    sliding,
)

DELTANET = RecurrentState(num_key_heads=16, num_value_heads=48, key_head_dim=128, value_head_dim=128, conv_kernel=4)


def windowed(kind: LayerKind, heads: int) -> LayerGroup:
    return LayerGroup(kind=kind, count=4, num_kv_heads=heads, head_size=128, window=1024)


def test_plain_grouped_query_attention_is_one_group_of_16_token_blocks() -> None:
    facts = facts_with(config_of(full(8)))
    assert kv_layout(settings_for(facts), facts.config) == KvCacheLayout(
        block_bytes=16 * 8 * 2 * 4 * 128 * 2,
        groups=(KvGroup(block_tokens=16),),
        reserved_blocks=1,
        source="8 layers x 2,048 bytes a token (bfloat16), blocks of 16 tokens",
    )


def test_the_null_block_counts_from_0_29_0() -> None:
    facts = facts_with(config_of(full(8)))
    reserved = [kv_layout(settings_for(facts, release=r), facts.config).reserved_blocks for r in ("0.28.0", "0.29.0")]
    assert reserved == [0, 1]


@pytest.mark.parametrize(("ranks", "heads"), [(1, 4), (2, 2), (4, 1), (8, 1)])
def test_kv_heads_are_divided_among_ranks_but_never_below_one(ranks: int, heads: int) -> None:
    facts = facts_with(config_of(full(8)))
    layout = kv_layout(settings_for(facts, tensor_parallel_size=ranks), facts.config)
    assert layout.block_bytes == 16 * 8 * 2 * heads * 128 * 2


def test_pipeline_stages_hold_the_layers_of_the_largest_stage() -> None:
    facts = facts_with(config_of(full(9)))
    layout = kv_layout(settings_for(facts, pipeline_parallel_size=2), facts.config)
    assert layout.block_bytes == 16 * 5 * 2 * 4 * 128 * 2


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("bfloat16", 256.0),
        ("float32", 512.0),
        ("fp8", 128.0),
        ("fp8_e5m2", 128.0),
        ("fp8_per_token_head", 132.0),
        ("int8_per_token_head", 132.0),
        ("nvfp4", 72.0),
        ("something-new", 256.0),
    ],
)
def test_bytes_of_a_head_of_128_by_dtype(dtype: str, size: float) -> None:
    assert head_bytes(128, dtype) == size


def test_gpt_oss_20b_pairs_full_and_sliding_layers_in_two_groups() -> None:
    facts = facts_of("openai/gpt-oss-20b")
    layout = kv_layout(settings_for(facts, H100, "0.10.2", max_num_batched_tokens=2048), facts.config)
    assert layout.block_bytes == 393_216
    assert sorted(layout.groups, key=lambda group: group.extra_blocks) == [
        KvGroup(block_tokens=16),
        KvGroup(block_tokens=16, token_cap=127 + 2048, extra_blocks=1),
    ]


def test_a_recorded_gpt_oss_120b_on_4_ranks_admits_284_requests_of_16384_tokens() -> None:
    flags: Flags = {"max_model_len": 16384, "tensor_parallel_size": 4, "max_num_batched_tokens": 2048}
    fp = footprint_of(facts_of("openai/gpt-oss-120b"), H100, "0.10.1.1", **flags)
    kv_bytes = round(45.32 * GIB)
    assert fp.kv.blocks_in(kv_bytes) / fp.kv.blocks_for(16384) == pytest.approx(284.25, abs=0.05)
    assert logged_tokens(fp, kv_bytes) == pytest.approx(2_640_144, rel=0.0001)


def test_sliding_layers_count_as_full_ones_without_the_hybrid_allocator() -> None:
    facts = facts_with(config_of(full(4), sliding(4)))
    for settings in (settings_for(facts, release="0.8.5"), settings_for(facts, disable_hybrid_kv_cache_manager=True)):
        assert kv_layout(settings, facts.config).groups == (KvGroup(block_tokens=16),)


def test_uneven_layer_counts_are_padded_into_groups_of_the_smaller_kind() -> None:
    facts = facts_with(config_of(full(4), sliding(20)))
    layout = kv_layout(settings_for(facts, release="0.20.0"), facts.config)
    assert layout.block_bytes == 16 * 4 * 2 * 4 * 128 * 2
    assert [group.count for group in layout.groups] == [1, 5]


def test_nearly_even_layer_counts_share_one_padded_group_size() -> None:
    facts = facts_with(config_of(full(5), sliding(6)))
    layout = kv_layout(settings_for(facts, release="0.20.0"), facts.config)
    assert layout.block_bytes == 16 * 6 * 2 * 4 * 128 * 2
    assert [group.count for group in layout.groups] == [1, 1]


def test_layers_with_smaller_tokens_put_more_of_them_in_a_page() -> None:
    facts = facts_with(config_of(full(4), windowed(LayerKind.CHUNKED_ATTENTION, heads=2)))
    layout = kv_layout(settings_for(facts, release="0.20.0", max_num_batched_tokens=2048), facts.config)
    assert layout.groups == (KvGroup(block_tokens=16), KvGroup(block_tokens=32, token_cap=1024 + 2048))


def test_layers_whose_tokens_do_not_divide_the_page_are_padded() -> None:
    facts = facts_with(config_of(full(4), windowed(LayerKind.SLIDING_ATTENTION, heads=3)))
    layout = kv_layout(settings_for(facts, release="0.20.0", max_num_batched_tokens=2048), facts.config)
    assert layout.groups[1].block_tokens == 16


def test_latent_attention_is_stored_whole_on_every_rank() -> None:
    latent = LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=27, latent_size=576)
    facts = facts_with(config_of(latent))
    by_dtype = {
        dtype: kv_layout(settings_for(facts, tensor_parallel_size=8, kv_cache_dtype=dtype), facts.config).block_bytes
        for dtype in ("auto", "fp8", "fp8_ds_mla")
    }
    assert by_dtype == {"auto": 64 * 27 * 1152, "fp8": 64 * 27 * 576, "fp8_ds_mla": 64 * 27 * 656}


def test_the_state_of_a_gated_deltanet_layer_has_a_known_size() -> None:
    assert state_bytes(DELTANET, 1, "bfloat16") == 3_207_168


def test_the_attention_block_grows_until_its_page_holds_the_state() -> None:
    recurrent = LayerGroup(kind=LayerKind.LINEAR_ATTENTION, count=48, recurrent=DELTANET)
    config = config_of(LayerGroup(kind=LayerKind.FULL_ATTENTION, count=16, num_kv_heads=4, head_size=256), recurrent)
    facts = facts_with(config)
    layout = kv_layout(settings_for(facts, release="0.25.1", kv_cache_dtype="fp8"), config)
    assert layout == KvCacheLayout(
        block_bytes=16 * 1568 * 2048,
        groups=(
            KvGroup(block_tokens=1568),
            KvGroup(block_tokens=1568, count=3, token_cap=0, extra_blocks=1),
        ),
        source="16 layers x 2,048 bytes a token, 48 recurrent layers x 3,207,168 bytes a request (fp8),"
        " blocks of 1,568 tokens",
    )


def test_prefix_caching_keeps_a_second_state_per_request() -> None:
    """Recorded in issue 1995 of talos-argocd-proxmox: 4.99 GiB on each of 2 ranks, 302,921 tokens."""
    recurrent = LayerGroup(kind=LayerKind.LINEAR_ATTENTION, count=48, recurrent=DELTANET)
    config = config_of(LayerGroup(kind=LayerKind.FULL_ATTENTION, count=16, num_kv_heads=4, head_size=256), recurrent)
    flags: Flags = {"kv_cache_dtype": "fp8", "enable_prefix_caching": True, "tensor_parallel_size": 2}
    fp = footprint_of(facts_with(config), BLACKWELL, "0.28.0", max_model_len=131072, **flags)
    assert logged_tokens(fp, round(4.99 * GIB)) == 302_921


def test_a_model_of_recurrent_layers_alone_needs_one_state_a_request() -> None:
    recurrent = LayerGroup(kind=LayerKind.LINEAR_ATTENTION, count=8, recurrent=DELTANET)
    facts = facts_with(config_of(recurrent))
    layout = kv_layout(settings_for(facts), facts.config)
    assert layout.block_bytes == 8 * 3_207_168
    assert layout.blocks_for(1) == layout.blocks_for(1_000_000) == 1


def test_a_mix_of_sliding_and_latent_layers_can_be_priced() -> None:
    latent = LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=4, latent_size=576)
    facts = facts_with(config_of(latent, sliding(8, window=256)))
    layout = kv_layout(settings_for(facts, release="0.20.0", max_num_batched_tokens=2048), facts.config)
    assert [group.count for group in layout.groups] == [1, 2]
    assert layout.blocks_for(100_000) > layout.blocks_for(10_000) > 0
