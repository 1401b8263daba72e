"""Mixes of layers that no model class of a CPU build has, put to vLLM's planner in plain words."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from orchestrator.catalog.gpus import inventory_from_short_form
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, ModelFacts, RecurrentState
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.settings import EngineSettings, resolve_settings
from orchestrator.memory.cached_layers import LayerSpec, layer_specs
from orchestrator.memory.kv_cache import kv_layout
from tests.vllm.cache_cases import RELEASE, ours, sizes_around, theirs
from tests.vllm.model_directories import WriteModel, qwen3
from tests.vllm.oracle_process import Answer, Oracle

pytestmark = pytest.mark.vllm

WORDS = {
    LayerKind.FULL_ATTENTION: "full",
    LayerKind.SLIDING_ATTENTION: "sliding",
    LayerKind.CHUNKED_ATTENTION: "chunked",
    LayerKind.LATENT_ATTENTION: "latent",
    LayerKind.LINEAR_ATTENTION: "recurrent",
}
STATE = RecurrentState(num_key_heads=16, num_value_heads=32, key_head_dim=128, value_head_dim=128, conv_kernel=4)


def attention(kind: LayerKind, count: int, *, heads: int = 8, size: int = 128, window: int | None = None) -> LayerGroup:
    return LayerGroup(kind=kind, count=count, num_kv_heads=heads, head_size=size, window=window)


def latent(count: int, size: int) -> LayerGroup:
    return LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=count, num_kv_heads=1, head_size=size, latent_size=size)


def index(count: int) -> LayerGroup:
    """128 elements of 8 bits and a scale; to the planner 66 elements of 16 bits."""
    return LayerGroup(kind=LayerKind.LATENT_ATTENTION, count=count, num_kv_heads=1, head_size=66, index_bytes=132)


def recurrent(count: int) -> LayerGroup:
    return LayerGroup(kind=LayerKind.LINEAR_ATTENTION, count=count, recurrent=STATE)


def model_of(*layers: LayerGroup, draft_layers: int = 0) -> ModelConfig:
    return ModelConfig(
        architecture="LlamaForCausalLM",
        model_type="llama",
        dtype="bfloat16",
        hidden_size=1024,
        intermediate_size=4096,
        num_layers=sum(group.count for group in layers),
        num_attention_heads=16,
        num_kv_heads=8,
        head_dim=128,
        vocab_size=50257,
        max_position_embeddings=131072,
        tie_word_embeddings=False,
        layers=layers,
        draft_layers=draft_layers,
    )


def settled(config: ModelConfig, vllm: Mapping[str, FlagValue]) -> EngineSettings:
    inventory = inventory_from_short_form("1xRTX4090")
    assert isinstance(inventory, Inventory)
    facts = ModelFacts(model="m", config=config, weights={}, provenance="made up")
    return resolve_settings(vllm=vllm, release=RELEASE, facts=facts, gpu=next(inventory.gpus()))


def in_words(settings: EngineSettings, config: ModelConfig, block_tokens: int, page_bytes: int) -> list[Answer]:
    """The layers, kinds dealt out evenly over the depth of the model, as layers of a hybrid are."""
    ranked: list[tuple[float, Answer]] = []
    for group, spec in zip(config.layers, layer_specs(settings, config), strict=True):
        words: Answer = {
            "kind": WORDS[group.kind],
            "kv_heads": max(1, group.num_kv_heads // settings.tensor_parallel_size),
            "head_size": group.head_size,
            "dtype": "bfloat16",
            "window": group.window,
            "state_bytes": spec.state_bytes,
            "page_bytes": page_bytes,
            "speculative_tokens": settings.speculative_tokens,
        }
        ranked += [((place + 0.5) / spec.layers, words) for place in range(group.count)]
        ranked += [(2.0, words)] * (spec.layers - group.count)  # draft layers come last
    return [words for _, words in sorted(ranked, key=lambda pair: pair[0])]


def asked(directory: str, settings: EngineSettings, config: ModelConfig, sizes: tuple[int, ...]) -> Answer:
    layout = kv_layout(settings, config)
    block_tokens = min(group.block_tokens for group in layout.groups)
    pages = [spec.page_bytes(block_tokens) for spec in layer_specs(settings, config)]
    return {
        "ask": "layers",
        "argv": [directory],
        "in_flight_batches": 2,
        "max_model_len": settings.max_model_len,
        "max_num_batched_tokens": settings.max_num_batched_tokens * settings.batches_in_flight // 2,
        "block_size": block_tokens,
        "stages": 1,
        "stored_whole": not settings.hybrid_kv_cache,
        "state_mode": "align" if settings.enable_prefix_caching else "none",
        "layers": in_words(settings, config, block_tokens, max(pages)),
        "available_bytes": sizes,
    }


def differences(
    config: ModelConfig, vllm: Mapping[str, FlagValue], oracle: Oracle, model_directory: WriteModel
) -> Iterator[object]:
    settings = settled(config, {"max-model-len": 20000, "max-num-batched-tokens": 2048, **vllm})
    layout = kv_layout(settings, config)
    sizes = sizes_around(layout, settings.max_model_len)
    [answer] = oracle.ask([asked(model_directory(qwen3(layers=1)), settings, config, sizes)])
    assert answer["ok"], answer
    for size, plan in zip(sizes, answer["plans"], strict=True):
        here, there = ours(layout, settings, size), theirs(plan)
        if here != there:
            yield config.layers, dict(vllm), size, here, there, plan.get("groups")


SLIDING, CHUNKED, FULL = LayerKind.SLIDING_ATTENTION, LayerKind.CHUNKED_ATTENTION, LayerKind.FULL_ATTENTION

MIXES = {
    "the small hybrid, windows and latent vectors": model_of(
        attention(SLIDING, 8, heads=4, size=64, window=256), latent(4, 256)
    ),
    "the small hybrid, latent pages that cannot be padded": model_of(
        attention(SLIDING, 8, heads=16, size=64, window=256), latent(4, 288)
    ),
    "the small hybrid, windows that are padded": model_of(
        attention(SLIDING, 8, heads=1, size=64, window=256), latent(4, 288)
    ),
    "chunked local attention": model_of(attention(CHUNKED, 36, window=8192), attention(FULL, 12)),
    "chunks longer than requests": model_of(attention(CHUNKED, 9, window=65536), attention(FULL, 3)),
    "heads of two sizes, all full": model_of(attention(FULL, 6), attention(FULL, 2, size=256)),
    "windows with larger heads": model_of(attention(SLIDING, 10, size=256, window=512), attention(FULL, 5)),
    "windows of two lengths": model_of(attention(SLIDING, 4, window=512), attention(SLIDING, 4, window=1024)),
    "nearly even counts": model_of(attention(SLIDING, 12, window=128), attention(FULL, 13)),
    "recurrent layers": model_of(recurrent(36), attention(FULL, 12, heads=2, size=256)),
    "recurrent layers and latent vectors": model_of(recurrent(20), latent(7, 576)),
    "latent vectors and their index": model_of(latent(61, 576), index(61)),
    "latent vectors, few layers with an index": model_of(latent(78, 576), index(21)),
}


@pytest.mark.parametrize("name", MIXES)
def test_the_cache_of_a_mix_is_the_one_that_vllm_plans(name: str, oracle: Oracle, model_directory: WriteModel) -> None:
    assert list(differences(MIXES[name], {}, oracle, model_directory)) == []


@pytest.mark.parametrize("name", ["chunked local attention", "nearly even counts", "heads of two sizes, all full"])
def test_a_mix_can_be_stored_whole(name: str, oracle: Oracle, model_directory: WriteModel) -> None:
    flags: dict[str, FlagValue] = {"disable-hybrid-kv-cache-manager": True}
    assert list(differences(MIXES[name], flags, oracle, model_directory)) == []


@pytest.mark.parametrize("ranks", [2, 8, 16])
@pytest.mark.parametrize("name", ["chunked local attention", "windows with larger heads", "windows of two lengths"])
def test_ranks_divide_the_heads_of_a_mix(name: str, ranks: int, oracle: Oracle, model_directory: WriteModel) -> None:
    assert list(differences(MIXES[name], {"tensor-parallel-size": ranks}, oracle, model_directory)) == []


@pytest.mark.parametrize("guessed", [1, 3])
def test_draft_layers_and_guessed_tokens_take_their_part(
    guessed: int, oracle: Oracle, model_directory: WriteModel
) -> None:
    flags: dict[str, FlagValue] = {"speculative-config": {"method": "mtp", "num_speculative_tokens": guessed}}
    for layers in ((recurrent(36), attention(FULL, 12, heads=2, size=256)), (latent(27, 576),)):
        config = model_of(*layers, draft_layers=1)
        assert list(differences(config, flags, oracle, model_directory)) == []


@pytest.mark.parametrize("stages", [2, 3, 4])
def test_pipeline_stages_share_one_plan(stages: int, oracle: Oracle, model_directory: WriteModel) -> None:
    """The planner sees every stage; a window stays open for the batches of the first runner and of the second."""
    mixes = (
        model_of(attention(FULL, 36)),
        model_of(attention(FULL, 31)),
        model_of(attention(SLIDING, 24, window=1024), attention(FULL, 24)),
        model_of(attention(CHUNKED, 36, window=8192), attention(FULL, 12)),
    )
    for config in mixes:
        settings = settled(config, {"max-model-len": 20000, "max-num-batched-tokens": 2048 * stages})
        priced = replace(settings, pipeline_parallel_size=stages, batches_in_flight=stages)
        layout = kv_layout(priced, config)
        sizes = sizes_around(layout, priced.max_model_len)
        request = {**asked(model_directory(qwen3(layers=1)), priced, config, sizes), "stages": stages}
        request["max_num_batched_tokens"] = priced.max_num_batched_tokens
        request["argv"] = [*request["argv"], "--max-num-seqs", str(100 + stages)]
        [answer] = oracle.ask([request])
        assert answer["ok"], answer
        is_even = config.num_layers % stages == 0
        here = [ours(layout, priced, size) for size in sizes]
        there = [theirs(plan) for plan in answer["plans"]]
        assert [_told(each, is_even=is_even) for each in here] == [_told(each, is_even=is_even) for each in there]


def _told(answer: Answer, *, is_even: bool) -> Answer:
    """Of a length that would fit, vLLM tells the one of the first stage that is too small; ours holds for all."""
    return {name: value for name, value in answer.items() if is_even or name != "longest"}


@pytest.mark.parametrize("seed", range(6))
def test_made_up_mixes_are_planned_as_vllm_plans_them(seed: int, oracle: Oracle, model_directory: WriteModel) -> None:
    chance = random.Random(seed)
    found: list[object] = []
    for _ in range(20):
        kind, count = chance.choice((SLIDING, CHUNKED)), chance.randint(1, 30)
        local = attention(
            kind, count, heads=chance.choice((1, 2, 4)), size=chance.choice((64, 128)), window=chance.randint(16, 9000)
        )
        whole = chance.choice(
            (attention(FULL, chance.randint(1, 30), heads=chance.choice((1, 2, 4))), latent(chance.randint(1, 9), 576))
        )
        if whole.kind is LayerKind.LATENT_ATTENTION and kind is CHUNKED:
            continue  # vLLM refuses pages that do not come out even there
        flags: dict[str, FlagValue] = {
            "max-model-len": chance.randint(1, 90000),
            "max-num-batched-tokens": chance.randint(256, 9000),
            "block-size": 16 * chance.randint(1, 8),
        }
        found += differences(model_of(local, whole), flags, oracle, model_directory)
    assert found == []


def test_a_spec_knows_its_page() -> None:
    assert LayerSpec(kind=FULL, layers=1, token_bytes=10).page_bytes(16) == 160
    assert LayerSpec(kind=LayerKind.LINEAR_ATTENTION, layers=1, state_bytes=99).page_bytes(16) == 99
