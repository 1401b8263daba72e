"""Properties of the memory model over made-up models, cards and releases."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import LayerGroup, LayerKind, ModelConfig, ModelFacts, WeightPart
from orchestrator.domain.plan import Footprint, Verdict
from orchestrator.domain.profile import FlagValue, Requirements
from orchestrator.domain.units import GIB
from orchestrator.engine.releases import KNOWN_RELEASES
from orchestrator.engine.settings import resolve_settings
from orchestrator.memory.footprint import footprint
from orchestrator.memory.prediction import (
    GRID,
    budget_bytes,
    claim_bytes,
    largest_utilization,
    predict,
    smallest_utilization,
)

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**15),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["32k", "4G", "auto", "-1", "{}", '{"method": "mtp"}', "fp8"]),
    st.lists(st.integers(-1, 600), max_size=3),
    st.dictionaries(st.sampled_from(["method", "level", "cudagraph_mode"]), st.text(max_size=4), max_size=2),
)
odd_flags = st.dictionaries(
    st.sampled_from(
        [
            "max-model-len", "gpu-memory-utilization", "max-num-seqs", "max-num-batched-tokens", "block-size", "dtype",
            "kv-cache-dtype", "kv-cache-memory-bytes", "compilation-config", "cudagraph-capture-sizes",
            "speculative-config", "enable-prefix-caching", "tensor-parallel-size", "quantization", "enforce-eager",
        ]
    ),
    odd_values,
    max_size=4,
)  # fmt: skip


@st.composite
def models(draw: st.DrawFn) -> ModelFacts:
    full = LayerGroup(kind=LayerKind.FULL_ATTENTION, count=draw(st.integers(1, 40)), num_kv_heads=8, head_size=128)
    window = draw(st.sampled_from([None, 128, 4096]))
    slid = LayerGroup(kind=LayerKind.SLIDING_ATTENTION, count=8, num_kv_heads=8, head_size=128, window=window)
    layers = (full,) if window is None else (full, slid)
    config = ModelConfig(
        architecture="LlamaForCausalLM", model_type="llama", dtype=draw(st.sampled_from(["bfloat16", "float32"])),
        hidden_size=4096, intermediate_size=12288, num_layers=sum(group.count for group in layers),
        num_attention_heads=32, num_kv_heads=8, head_dim=128, vocab_size=draw(st.integers(1000, 260000)),
        max_position_embeddings=draw(st.sampled_from([2048, 40960, 131072])), tie_word_embeddings=draw(st.booleans()),
        layers=layers,
    )  # fmt: skip
    weights = {part: draw(st.integers(0, 8 * GIB)) for part in (WeightPart.LINEAR, WeightPart.EMBEDDING)}
    return ModelFacts(model="made/up", config=config, weights=weights, provenance="made up")


cards = st.builds(
    lambda total, capability: Gpu(
        index=0, uuid="u", name="card", total_bytes=total, free_bytes=total, compute_capability=capability
    ),
    st.integers(6 * GIB, 200 * GIB),
    st.sampled_from([None, (7, 5), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)]),
)


@st.composite
def footprints(draw: st.DrawFn, flags: st.SearchStrategy[dict[str, FlagValue]]) -> Footprint:
    facts, gpu, release = draw(models()), draw(cards), draw(st.sampled_from(KNOWN_RELEASES))
    resolved = resolve_settings(vllm=draw(flags), release=release, facts=facts, gpu=gpu)
    wanted = Requirements(full_length_requests=draw(st.floats(0, 8)))
    return footprint(settings=resolved, facts=facts, gpu=gpu, requirements=wanted)


plain_flags: st.SearchStrategy[dict[str, FlagValue]] = st.fixed_dictionaries(
    {"max-model-len": st.integers(1, 200_000), "tensor-parallel-size": st.sampled_from([1, 2, 4])}
)


@given(footprints(odd_flags))
@settings(max_examples=80, deadline=None)
def test_odd_values_never_raise_and_terms_are_never_negative(fp: Footprint) -> None:
    assert all(term.size.low >= 0 for term in fp.terms)
    assert all(term.source for term in fp.terms)
    predict(fp, 0.9, fp.cuda_total.expected)


@given(footprints(plain_flags), st.integers(0, 200 * GIB))
@settings(max_examples=60, deadline=None)
def test_the_largest_utilization_fits_and_the_next_step_does_not(fp: Footprint, available: int) -> None:
    largest = largest_utilization(fp, available)
    assert largest == 0 or claim_bytes(fp, largest) <= available
    step = round(largest * GRID) + 1
    if step <= GRID:
        after = step / GRID
        overhead = budget_bytes(fp, after).low + fp.outside.high
        assert claim_bytes(fp, after) > available or overhead > fp.cuda_total.low


@given(footprints(plain_flags))
@settings(max_examples=60, deadline=None)
def test_the_smallest_utilization_surely_starts_on_a_card_with_room(fp: Footprint) -> None:
    least = smallest_utilization(fp)
    if least is not None and least <= largest_utilization(fp, fp.cuda_total.low):
        prediction = predict(fp, least, fp.cuda_total.high)
        assert prediction.verdict is Verdict.STARTS
        assert prediction.kv_cache.low >= fp.kv_required_bytes


@given(footprints(plain_flags), st.integers(1, GRID))
@settings(max_examples=80, deadline=None)
def test_the_longest_length_fits_and_a_block_more_does_not(fp: Footprint, step: int) -> None:
    prediction = predict(fp, step / GRID, fp.cuda_total.low)
    longest = prediction.longest_model_len
    if longest:
        assert fp.kv.bytes_for(longest) <= prediction.kv_cache.low
        if fp.longest_priced_len is None:
            assert fp.kv.bytes_for(longest + 1) > prediction.kv_cache.low


@given(footprints(plain_flags), st.integers(1, GRID - 1), st.integers(0, 200 * GIB))
@settings(max_examples=60, deadline=None)
def test_more_utilization_never_means_less_kv_cache(fp: Footprint, step: int, free: int) -> None:
    less, more = (predict(fp, each / GRID, free).kv_cache for each in (step, step + 1))
    assert less.low <= more.low
    assert less.high <= more.high


@given(footprints(plain_flags), st.integers(1, GRID), st.integers(0, 200 * GIB))
@settings(max_examples=60, deadline=None)
def test_ranges_of_a_prediction_are_in_order(fp: Footprint, step: int, free: int) -> None:
    prediction = predict(fp, step / GRID, free)
    assert list(prediction.kv_tokens) == sorted(prediction.kv_tokens)
    assert list(prediction.concurrency) == sorted(prediction.concurrency)
    assert (prediction.verdict is Verdict.STARTS) is (prediction.reason == "")
