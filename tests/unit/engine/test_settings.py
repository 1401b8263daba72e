from __future__ import annotations

import pytest

from orchestrator.catalog.models import find_model
from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB
from orchestrator.engine import flag_values
from orchestrator.engine.graph_sizes import CudaGraphs
from orchestrator.engine.memory_rules import Sampler, memory_rules
from orchestrator.engine.parallelism import pipeline_stages
from orchestrator.engine.settings import EngineSettings, resolve_settings


def gpu(capability: tuple[int, int] | None = (8, 9)) -> Gpu:
    return Gpu(index=0, uuid="u", name="card", total_bytes=24 * GIB, free_bytes=24 * GIB, compute_capability=capability)


def facts(model: str = "Qwen/Qwen3-8B") -> ModelFacts:
    found = find_model(model)
    assert found is not None
    return found


def settings(
    vllm: dict[str, FlagValue] | None = None,
    release: str = "0.32.0",
    model: str = "Qwen/Qwen3-8B",
    card: Gpu | None = None,
) -> EngineSettings:
    return resolve_settings(vllm=vllm or {}, release=Release.of(release), facts=facts(model), gpu=card or gpu())


def test_silence_gives_the_defaults_of_the_release() -> None:
    assert settings() == EngineSettings(
        release=Release.of("0.32.0"),
        rules=memory_rules(Release.of("0.32.0")),
        tensor_parallel_size=1,
        pipeline_parallel_size=1,
        gpu_memory_utilization=0.92,
        max_model_len=40960,
        auto_max_model_len=False,
        dtype="bfloat16",
        kv_cache_dtype="bfloat16",
        block_size=16,
        max_num_batched_tokens=2048,
        max_num_seqs=256,
        enable_chunked_prefill=True,
        enable_prefix_caching=True,
        tokens_follow_length=False,
        sampler_in_profile=True,
        enforce_eager=False,
        graphs=settings().graphs,
        kv_cache_memory_bytes=None,
        hybrid_kv_cache=True,
        online_quantization=None,
        loads_vision=True,
        profiles_vision=True,
        sampler=Sampler.FLASHINFER,
        loads_draft_layers=False,
        uses_v2_runner=True,
        batches_in_flight=2,
        rope_positions=40960,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (8192, 8192),
        ("32k", 32000),
        ("32K", 32768),
        ("0.5m", 500000),
        ("nonsense", 40960),
        ("8192", 40960),
        (True, 40960),
    ],
)
def test_a_length_may_carry_a_suffix(value: FlagValue, expected: int) -> None:
    assert settings({"max-model-len": value}).max_model_len == expected


@pytest.mark.parametrize("value", ["auto", -1])
def test_an_automatic_length_exists_from_0_14_0(value: FlagValue) -> None:
    new, old = (settings({"max-model-len": value}, release) for release in ("0.14.0", "0.13.0"))
    assert (new.max_model_len, new.auto_max_model_len) == (40960, True)
    assert (old.max_model_len, old.auto_max_model_len) == (40960, False)


def test_yarn_stretches_the_derived_length() -> None:
    rope: FlagValue = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    assert settings({"rope-scaling": rope}).max_model_len == 131072


@pytest.mark.parametrize("value", [0, -1, 1.5, "much", None, True, [0.5], float("nan")])
def test_a_utilization_that_makes_no_sense_counts_as_not_given(value: FlagValue) -> None:
    assert settings({"gpu-memory-utilization": value}).gpu_memory_utilization == 0.92


def test_keys_may_be_spelt_with_underscores() -> None:
    assert settings({"tensor_parallel_size": 2}).tensor_parallel_size == 2


@pytest.mark.parametrize(
    ("model", "capability", "flag", "expected"),
    [
        ("Qwen/Qwen3-8B", (8, 9), None, "bfloat16"),
        ("Qwen/Qwen3-8B", (7, 5), None, "float16"),
        ("Qwen/Qwen3-8B", None, "auto", "bfloat16"),
        ("Qwen/Qwen3-8B", (8, 9), "half", "float16"),
        ("Qwen/Qwen3-8B", (8, 9), "float", "float32"),
        ("google/gemma-2-9b", (8, 9), None, "float16"),
    ],
)
def test_the_dtype_follows_flag_checkpoint_and_card(
    model: str, capability: tuple[int, int] | None, flag: FlagValue, expected: str
) -> None:
    resolved = settings({"dtype": flag} if flag else {}, model=model, card=gpu(capability))
    assert resolved.dtype == resolved.kv_cache_dtype == expected


def test_a_kv_cache_dtype_is_kept_as_written() -> None:
    assert settings({"kv-cache-dtype": "fp8"}).kv_cache_dtype == "fp8"


def test_v0_batches_grow_with_the_length_until_it_is_chunked() -> None:
    short, long = (settings({"max-model-len": length}, "0.7.3") for length in (8192, 40000))
    assert (short.max_num_batched_tokens, short.tokens_follow_length, short.sampler_in_profile) == (8192, True, True)
    assert (long.max_num_batched_tokens, long.tokens_follow_length, long.sampler_in_profile) == (2048, False, False)


def test_without_chunked_prefill_a_batch_holds_a_whole_request() -> None:
    resolved = settings({"enable-chunked-prefill": False, "max-model-len": 16384})
    assert (resolved.max_num_batched_tokens, resolved.tokens_follow_length) == (16384, True)


def test_throughput_mode_doubles_both_batch_defaults_from_0_17_0() -> None:
    flags: dict[str, FlagValue] = {"performance-mode": "throughput"}
    sizes = [
        (resolved.max_num_batched_tokens, resolved.max_num_seqs)
        for resolved in (settings(flags, "0.16.0"), settings(flags, "0.17.0"))
    ]
    assert sizes == [(2048, 256), (4096, 512)]


def test_few_short_requests_limit_the_batch_from_0_11_1() -> None:
    flags: dict[str, FlagValue] = {"max-num-seqs": 2, "max-model-len": 512}
    assert [settings(flags, release).max_num_batched_tokens for release in ("0.11.0", "0.11.1")] == [2048, 1024]


def test_requests_never_exceed_the_tokens_of_a_batch() -> None:
    assert settings({"max-num-batched-tokens": 64}).max_num_seqs == 64


def test_fixed_kv_bytes_exist_from_0_10_2() -> None:
    sizes = [
        settings({"kv-cache-memory-bytes": "4G"}, release).kv_cache_memory_bytes for release in ("0.10.1", "0.10.2")
    ]
    assert sizes == [None, 4 * GIB]


def test_recurrent_layers_have_defaults_of_their_own() -> None:
    assert settings(model="Qwen/Qwen3.5-9B").enable_prefix_caching is True
    assert settings(model="Qwen/Qwen3.5-9B", release="0.25.1").enable_prefix_caching is False
    assert settings({"enable-prefix-caching": False}, model="Qwen/Qwen3.5-9B").enable_prefix_caching is False
    asked: dict[str, FlagValue] = {"enable-prefix-caching": True}
    assert settings(asked, model="Qwen/Qwen3.5-9B", release="0.25.1").enable_prefix_caching is True


def test_quantising_while_loading_is_only_for_unquantised_checkpoints() -> None:
    assert settings({"quantization": "fp8"}).online_quantization == "fp8"
    assert settings({"quantization": "awq"}, model="Qwen/Qwen3-8B-AWQ").online_quantization is None


def test_draft_layers_are_loaded_for_speculation_with_them() -> None:
    assert settings({"speculative-config": '{"method": "qwen3_next_mtp"}'}).loads_draft_layers is True
    assert settings({"speculative-config": {"method": "ngram"}}).loads_draft_layers is False


@pytest.mark.parametrize(
    ("release", "flags", "pieces", "full", "largest"),
    [
        ("0.7.3", {}, 35, 0, 256),
        ("0.9.2", {}, 67, 0, 512),
        ("0.10.2", {"max-num-seqs": 16}, 7, 0, 32),
        ("0.32.0", {}, 51, 35, 512),
        ("0.32.0", {"max-num-seqs": 32}, 11, 7, 64),
        ("0.32.0", {"max-num-batched-tokens": 100, "max-num-seqs": 256}, 15, 15, 96),
        ("0.32.0", {"max-cudagraph-capture-size": 8}, 4, 4, 8),
        ("0.32.0", {"cudagraph-capture-sizes": [1, 8]}, 2, 2, 8),
        ("0.32.0", {"cudagraph-capture-sizes": [1, 8], "enable-lora": True}, 4, 4, 8),
        ("0.32.0", {"cudagraph-capture-sizes": [8], "enable-lora": True, "specialize-active-lora": True}, 2, 2, 8),
        ("0.32.0", {"cudagraph-capture-sizes": [8]}, 1, 1, 8),
        ("0.9.2", {"cuda-graph-sizes": [16]}, 5, 0, 16),
        ("0.9.2", {"cuda-graph-sizes": [4, 16]}, 2, 0, 16),
        ("0.32.0", {"compilation-config": {"cudagraph_capture_sizes": [1, 2]}}, 2, 2, 2),
        ("0.32.0", {"compilation-config": {"cudagraph_mode": "PIECEWISE"}}, 51, 0, 512),
        ("0.32.0", {"compilation-config": {"cudagraph_mode": "FULL_DECODE_ONLY"}}, 0, 35, 512),
    ],
)
def test_graph_sizes_follow_release_and_flags(
    release: str, flags: dict[str, FlagValue], pieces: int, full: int, largest: int
) -> None:
    graphs = settings(flags, release).graphs
    assert (graphs.piecewise, graphs.full, max(graphs.sizes)) == (pieces, full, largest)
    assert graphs.count == pieces + full


def test_large_blackwell_cards_capture_up_to_1024_from_0_28_0() -> None:
    flags: dict[str, FlagValue] = {"max-num-seqs": 1024}
    largest = [max(settings(flags, release, card=gpu((10, 0))).graphs.sizes) for release in ("0.27.0", "0.28.0")]
    assert largest == [512, 1024]


@pytest.mark.parametrize(
    "flags",
    [
        {"enforce-eager": True},
        {"optimization-level": 0},
        {"compilation-config": {"cudagraph_mode": "NONE"}},
        {"compilation-config": '{"level": 0}'},
    ],
)
def test_eager_execution_captures_no_graphs(flags: dict[str, FlagValue]) -> None:
    assert settings(flags).graphs == CudaGraphs()


NO_NUMBERS: list[FlagValue] = [True, None, "7", 1.5, [1], {"a": 1}]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_whole_number_counts_as_not_given(value: FlagValue) -> None:
    assert flag_values.integer({"x": value}, "x") is None
    assert flag_values.positive_integer({"x": value}, "x") is None


def test_values_are_looked_at_by_type() -> None:
    flags: dict[str, FlagValue] = {
        "n": -1,
        "half": 0.5,
        "many": 2.0,
        "word": "w",
        "none": "",
        "on": True,
        "map": {"a": 1},
    }
    assert (flag_values.integer(flags, "n"), flag_values.positive_integer(flags, "n")) == (-1, None)
    assert [flag_values.number(flags, name) for name in ("n", "half", "many", "on")] == [None, 0.5, 2.0, None]
    assert [flag_values.fraction(flags, name) for name in ("half", "many", "word", "gone")] == [0.5, None, None, None]
    assert [flag_values.text(flags, name) for name in ("word", "none", "n")] == ["w", None, None]
    assert [flag_values.switch(flags, name) for name in ("on", "n", "word")] == [True, None, None]
    assert (flag_values.mapping(flags, "map"), flag_values.mapping(flags, "word")) == ({"a": 1}, {})


def test_lists_of_numbers_are_sorted_and_one_number_is_a_list() -> None:
    values: list[FlagValue] = [[8, 2, 8, "x", -1], 16, True, None, "4"]
    assert [flag_values.positive_integers({"x": value}, "x") for value in values] == [(2, 8), (16,), (), (), ()]


@pytest.mark.parametrize(
    ("release", "flags", "batches"),
    [
        ("0.25.1", {}, 1),
        ("0.32.0", {}, 2),
        ("0.32.0", {"async-scheduling": False}, 1),
        ("0.32.0", {"pipeline-parallel-size": 4}, 5),
        ("0.26.0", {"pipeline-parallel-size": 4}, 5),
        ("0.32.0", {"pipeline-parallel-size": 4, "async-scheduling": False}, 4),
        ("0.32.0", {"speculative-config": {"method": "ngram"}}, 1),
        ("0.32.0", {"speculative-config": {"method": "eagle3"}}, 2),
        ("0.32.0", {"speculative-config": {"model": "some/draft"}}, 2),
    ],
)
def test_batches_in_flight_follow_release_stages_and_scheduling(
    release: str, flags: dict[str, FlagValue], batches: int
) -> None:
    assert settings(flags, release).batches_in_flight == batches


def test_the_first_runner_fills_a_pipeline_and_no_more() -> None:
    stages: dict[str, FlagValue] = {"pipeline-parallel-size": 4}
    assert settings(stages, "0.26.0", model="Qwen/Qwen3-30B-A3B").batches_in_flight == 4


@pytest.mark.parametrize(
    ("layers", "stages", "sizes"),
    [(36, 1, (36,)), (36, 2, (18, 18)), (61, 2, (31, 30)), (62, 4, (15, 16, 16, 15)), (27, 4, (7, 7, 7, 6))],
)
def test_left_over_layers_go_to_the_stages_before_the_last(layers: int, stages: int, sizes: tuple[int, ...]) -> None:
    assert pipeline_stages(layers, stages) == sizes


@pytest.mark.parametrize(
    ("release", "capability", "dtype", "size"),
    [
        ("0.7.0", (9, 0), "auto", 16),
        ("0.8.5", (9, 0), "auto", 64),
        ("0.32.0", (9, 0), "auto", 16),
        ("0.32.0", (9, 0), "fp8", 64),
        ("0.11.0", (10, 0), "auto", 128),
        ("0.32.0", (10, 0), "auto", 32),
        ("0.32.0", (8, 9), "auto", 16),
        ("0.17.0", None, "auto", 64),
    ],
)
def test_blocks_of_latent_vectors_have_the_size_that_kernels_need(
    release: str, capability: tuple[int, int] | None, dtype: str, size: int
) -> None:
    flags: dict[str, FlagValue] = {"kv-cache-dtype": dtype}
    model = "deepseek-ai/DeepSeek-V2-Lite"
    assert settings(flags, release, model, gpu(capability)).block_size == size
    assert settings({"block-size": 256}, release, model, gpu(capability)).block_size == 256


def test_what_takes_memory_beside_the_model_is_read() -> None:
    flags: dict[str, FlagValue] = {
        "enable-lora": True,
        "max-loras": 4,
        "max-lora-rank": 64,
        "cpu-offload-gb": 1.5,
        "num-gpu-blocks-override": 512,
        "data-parallel-size": 2,
        "enable-expert-parallel": True,
        "decode-context-parallel-size": 2,
        "mamba-ssm-cache-dtype": "float32",
        "mamba-cache-dtype": "float16",
        "spec-tokens": 3,
    }
    found = settings(flags)
    assert (found.lora_slots, found.max_lora_rank, found.cpu_offload_bytes) == (4, 64, GIB + GIB // 2)
    assert (found.num_gpu_blocks_override, found.data_parallel_size, found.expert_parallel) == (512, 2, True)
    assert (found.decode_context_parallel_size, found.speculative_tokens) == (2, 3)
    assert (found.state_dtype, found.convolution_dtype) == ("float32", "float16")
    assert settings({"max-loras": 4}).lora_slots == 0


@pytest.mark.parametrize(
    ("release", "capability", "vllm", "environment", "whose"),
    [
        ("0.9.2", (7, 5), {}, {}, "0.7.3"),
        ("0.9.2", (8, 6), {}, {}, "0.9.2"),
        ("0.9.2", (8, 9), {"kv-cache-dtype": "fp8"}, {}, "0.7.3"),
        ("0.9.2", (9, 0), {"kv-cache-dtype": "fp8"}, {}, "0.9.2"),
        ("0.9.2", (9, 0), {}, {"VLLM_USE_V1": "0"}, "0.7.3"),
        ("0.9.2", (7, 5), {}, {"VLLM_USE_V1": "1"}, "0.9.2"),
        ("0.9.2", None, {}, {}, "0.9.2"),
        ("0.11.0", (7, 5), {}, {"VLLM_USE_V1": "0"}, "0.11.0"),
        ("0.7.2", (7, 5), {}, {}, "0.7.2"),
    ],
)
def test_the_v0_engine_takes_what_v1_could_not_while_both_were_there(
    release: str,
    capability: tuple[int, int] | None,
    vllm: dict[str, FlagValue],
    environment: dict[str, str],
    whose: str,
) -> None:
    resolved = resolve_settings(
        vllm=vllm,
        release=Release.of(release),
        facts=facts("Qwen/Qwen3-8B"),
        gpu=gpu(capability),
        environment=environment,
    )
    assert resolved.release == Release.of(whose)


@pytest.mark.parametrize(
    ("release", "has_flashinfer", "sampler"),
    [
        ("0.10.2", True, Sampler.FLASHINFER_IF_INSTALLED),
        ("0.11.0", False, Sampler.SORT),
        ("0.11.1", True, Sampler.SORT),
        ("0.33.0", False, Sampler.FLASHINFER),
    ],
)
def test_the_image_has_flashinfer_and_other_installations_may(
    release: str, has_flashinfer: bool, sampler: Sampler
) -> None:
    resolved = resolve_settings(
        vllm={}, release=Release.of(release), facts=facts("Qwen/Qwen3-8B"), gpu=gpu(), has_flashinfer=has_flashinfer
    )
    assert resolved.sampler is sampler
