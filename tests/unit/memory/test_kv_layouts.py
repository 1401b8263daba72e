from __future__ import annotations

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, ModelFacts, RecurrentState
from orchestrator.domain.plan import KvCacheLayout, KvGroup
from orchestrator.domain.units import GIB
from orchestrator.memory.cached_layers import head_bytes, state_bytes
from orchestrator.memory.kv_cache import kv_layout
from orchestrator.memory.prediction import logged_tokens
from tests.unit.memory.memory_samples import (
    ADA_24,
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
        dtype: kv_layout(
            settings_for(facts, tensor_parallel_size=8, kv_cache_dtype=dtype, block_size=64), facts.config
        ).block_bytes
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


def small_hybrid(latent_rank: int, kv_heads: int) -> ModelFacts:
    """The hybrid of 12 layers that the mission names: two of three layers see a window of 256 tokens, the third MLA."""
    config = parse_config(
        {
            "architectures": ["HybridForCausalLM"],
            "model_type": "hybrid",
            "torch_dtype": "bfloat16",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 12,
            "num_attention_heads": 16,
            "num_key_value_heads": kv_heads,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 4,
            "sliding_window": 256,
            "kv_lora_rank": latent_rank,
            "qk_rope_head_dim": 32,
            "qk_nope_head_dim": 64,
            "vocab_size": 50257,
            "max_position_embeddings": 8192,
        }
    )
    assert isinstance(config, ModelConfig)
    return facts_with(config)


def test_a_hybrid_of_windows_and_latent_vectors_has_a_group_for_each_where_pages_come_out_even() -> None:
    facts = small_hybrid(latent_rank=224, kv_heads=4)
    layout = kv_layout(settings_for(facts, ADA_24, "0.32.0", max_num_batched_tokens=2048), facts.config)
    assert layout == KvCacheLayout(
        block_bytes=4 * 16 * 2 * 4 * 64 * 2,
        groups=(
            KvGroup(block_tokens=16, count=2, token_cap=255 + 2 * 2048, extra_blocks=1),
            KvGroup(block_tokens=32),
        ),
        reserved_blocks=1,
        source="8 layers x 1,024 bytes a token within 256 tokens, 4 layers x 512 bytes a token (bfloat16),"
        " blocks of 16 tokens",
    )


def test_a_hybrid_whose_latent_pages_cannot_be_padded_stores_windows_whole() -> None:
    facts = small_hybrid(latent_rank=256, kv_heads=16)
    layout = kv_layout(settings_for(facts, ADA_24, "0.32.0"), facts.config)
    assert layout.groups == (KvGroup(block_tokens=16),)
    assert layout.block_bytes == 16 * (8 * 2 * 16 * 64 * 2 + 4 * (256 + 32) * 2)


def test_windows_with_smaller_pages_than_the_latent_ones_are_padded() -> None:
    facts = small_hybrid(latent_rank=256, kv_heads=1)
    layout = kv_layout(settings_for(facts, ADA_24, "0.32.0"), facts.config)
    assert layout.block_bytes == 16 * 4 * (256 + 32) * 2
    assert [(group.block_tokens, group.count) for group in layout.groups] == [(16, 2), (16, 1)]


def llama4_style() -> ModelFacts:
    config = parse_config(
        {
            "architectures": ["Llama4ForCausalLM"],
            "model_type": "llama4_text",
            "hidden_size": 5120,
            "intermediate_size": 8192,
            "num_hidden_layers": 48,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "attention_chunk_size": 8192,
            "vocab_size": 202048,
            "max_position_embeddings": 1048576,
        }
    )
    assert isinstance(config, ModelConfig)
    return facts_with(config)


@pytest.mark.parametrize(
    ("release", "groups"),
    [
        ("0.9.1", (KvGroup(block_tokens=16),)),
        ("0.10.0", (KvGroup(block_tokens=16, count=3, token_cap=8192 + 2048), KvGroup(block_tokens=16))),
        ("0.10.1", (KvGroup(block_tokens=16),)),
        ("0.13.0", (KvGroup(block_tokens=16, count=3, token_cap=8192 + 2048), KvGroup(block_tokens=16))),
        ("0.32.0", (KvGroup(block_tokens=16, count=3, token_cap=8192 + 2 * 2048), KvGroup(block_tokens=16))),
    ],
)
def test_chunks_are_given_back_in_the_releases_that_do_so(release: str, groups: tuple[KvGroup, ...]) -> None:
    facts = llama4_style()
    assert kv_layout(settings_for(facts, ADA_24, release), facts.config).groups == groups


@pytest.mark.parametrize(
    ("release", "cap"),
    [("0.7.3", None), ("0.8.5", 4095 + 2048), ("0.25.1", 4095 + 2048), ("0.26.0", 4095 + 4096)],
)
def test_a_model_of_windows_alone_keeps_them_from_the_first_v1_engine_on(release: str, cap: int | None) -> None:
    facts = facts_with(config_of(sliding(8, window=4096)))
    flags: Flags = {"max_num_batched_tokens": 2048}
    [group] = kv_layout(settings_for(facts, ADA_24, release, **flags), facts.config).groups
    assert group.token_cap == cap


def test_layers_with_heads_of_different_sizes_share_one_group_when_all_see_everything() -> None:
    wide = LayerGroup(kind=LayerKind.FULL_ATTENTION, count=2, num_kv_heads=4, head_size=256)
    facts = facts_with(config_of(full(6), wide))
    layout = kv_layout(settings_for(facts), facts.config)
    assert layout.groups == (KvGroup(block_tokens=16),)
    assert layout.block_bytes == 16 * (6 * 2 * 4 * 128 * 2 + 2 * 2 * 4 * 256 * 2)


def test_stages_share_the_groups_of_the_whole_model() -> None:
    facts = facts_with(config_of(full(4), sliding(20)))
    layout = kv_layout(settings_for(facts, pipeline_parallel_size=2), facts.config)
    assert [group.count for group in layout.groups] == [1, 5]
    assert layout.block_bytes == 16 * 2 * 2 * 4 * 128 * 2


def test_own_draft_layers_join_the_layers_that_see_everything() -> None:
    facts = facts_of("Qwen/Qwen3-Next-80B-A3B-Instruct")
    guessing: Flags = {"speculative_config": {"method": "qwen3_next_mtp", "num_speculative_tokens": 2}}
    plain, drafted = (kv_layout(settings_for(facts, H100, **flags), facts.config) for flags in (Flags(), guessing))
    assert sorted(group.count for group in plain.groups) == [1, 3]
    assert sorted(group.count for group in drafted.groups) == [1, 3]
    assert [group.extra_blocks for group in drafted.groups if group.token_cap == 0] == [4]
    assert drafted.block_bytes * 12 > plain.block_bytes * 13


def test_a_number_of_blocks_takes_the_place_of_the_memory_that_is_left() -> None:
    fp = footprint_of(facts_with(config_of(full(8))), num_gpu_blocks_override=1000, max_model_len=4096)
    assert fp.fixed_kv_bytes == 1000 * fp.kv.block_bytes
    assert logged_tokens(fp, fp.fixed_kv_bytes) == 16_000


def test_context_parallel_ranks_share_the_tokens_of_a_request() -> None:
    latent = LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=4, latent_size=576)
    facts = facts_with(config_of(latent))
    layout = kv_layout(settings_for(facts, tensor_parallel_size=8, decode_context_parallel_size=8), facts.config)
    assert layout.groups == (KvGroup(block_tokens=128),)


def test_dtypes_of_recurrent_states_can_be_chosen() -> None:
    recurrent = LayerGroup(kind=LayerKind.LINEAR_ATTENTION, count=8, recurrent=DELTANET)
    facts = facts_with(config_of(recurrent))
    sizes = [
        kv_layout(settings_for(facts, **flags), facts.config).block_bytes // 8
        for flags in (Flags(), Flags(mamba_ssm_cache_dtype="bfloat16"), Flags(mamba_cache_dtype="float32"))
    ]
    convolution, state = 10240 * 3, 48 * 128 * 128
    assert sizes == [2 * convolution + 4 * state, 2 * convolution + 2 * state, 4 * convolution + 4 * state]


def test_hybrids_of_latent_and_recurrent_layers_have_blocks_of_whole_128_tokens() -> None:
    recurrent = LayerGroup(kind=LayerKind.LINEAR_ATTENTION, count=20, recurrent=DELTANET)
    latent = LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=7, latent_size=576)
    facts = facts_with(config_of(recurrent, latent))
    layout = kv_layout(settings_for(facts), facts.config)
    assert {group.block_tokens for group in layout.groups} == {-(-3_207_168 // 1152 // 128) * 128}
