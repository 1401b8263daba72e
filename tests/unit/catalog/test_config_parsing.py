"""config.json of all kinds of decoders is normalised; what is wrong is named."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import (
    LayerGroup,
    LayerKind,
    MixtureOfExperts,
    ModelConfig,
    Quantization,
    RecurrentState,
)

LLAMA: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "bfloat16",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}


def parsed(**changes: object) -> ModelConfig:
    config = parse_config(LLAMA | changes)
    assert isinstance(config, ModelConfig), config
    return config


def refused(**changes: object) -> Diagnostic:
    finding = parse_config(LLAMA | changes)
    assert isinstance(finding, Diagnostic), finding
    return finding


def full(count: int, heads: int = 2, size: int = 8) -> LayerGroup:
    return LayerGroup(kind=LayerKind.FULL_ATTENTION, count=count, num_kv_heads=heads, head_size=size)


def sliding(count: int, window: int) -> LayerGroup:
    return LayerGroup(kind=LayerKind.SLIDING_ATTENTION, count=count, num_kv_heads=2, head_size=8, window=window)


def test_a_dense_decoder_whole() -> None:
    assert parsed() == ModelConfig(
        architecture="LlamaForCausalLM",
        model_type="llama",
        dtype="bfloat16",
        hidden_size=64,
        intermediate_size=128,
        num_layers=4,
        num_attention_heads=8,
        num_kv_heads=2,
        head_dim=8,
        vocab_size=100,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        layers=(full(4),),
        rope_theta=10000.0,
        rotary_elements=8,
    )


@pytest.mark.parametrize(
    ("changes", "elements"),
    [
        ({}, 8),
        ({"partial_rotary_factor": 0.5}, 4),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}}, 2),
        ({"rope_local_base_freq": 10000.0}, 16),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}, 32),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1.0}, "sliding_attention": {"rope_theta": 2.0}}}, 16),
        ({"kv_lora_rank": 32, "qk_rope_head_dim": 6, "qk_nope_head_dim": 10}, 6),
    ],
)
def test_tables_of_rope_hold_a_head_per_position(changes: dict[str, object], elements: int) -> None:
    config = parsed(**changes)
    assert isinstance(config, ModelConfig)
    assert config.rotary_elements == elements


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 0),
        ({"num_nextn_predict_layers": 1}, 1),
        ({"mtp_num_hidden_layers": 2}, 2),
        ({"model_type": "qwen3_next"}, 1),
    ],
)
def test_draft_layers_are_counted_apart(changes: dict[str, object], count: int) -> None:
    state = {f"linear_{name}": 2 for name in
             ("num_key_heads", "num_value_heads", "key_head_dim", "value_head_dim", "conv_kernel_dim")}  # fmt: skip
    config = parsed(**state, **changes)
    assert isinstance(config, ModelConfig)
    assert config.draft_layers == count


def test_without_kv_heads_every_head_has_its_own() -> None:
    assert parsed(num_key_value_heads=None).layers == (full(4, heads=8),)


def test_gpt2_and_chatglm_spell_their_fields_otherwise() -> None:
    gpt2 = parse_config(
        {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4,
         "vocab_size": 10, "n_positions": 32, "torch_dtype": "float32"}
    )  # fmt: skip
    assert isinstance(gpt2, ModelConfig)
    assert (gpt2.intermediate_size, gpt2.tie_word_embeddings, gpt2.num_kv_heads, gpt2.dtype) == (
        256,
        True,
        4,
        "float32",
    )
    chatglm = parse_config(
        {"architectures": ["ChatGLMModel"], "model_type": "chatglm", "hidden_size": 64, "num_layers": 2,
         "num_attention_heads": 8, "multi_query_attention": True, "multi_query_group_num": 2, "kv_channels": 8,
         "ffn_hidden_size": 96, "padded_vocab_size": 20, "seq_length": 64}
    )  # fmt: skip
    assert isinstance(chatglm, ModelConfig)
    assert (chatglm.num_kv_heads, chatglm.head_dim, chatglm.vocab_size, chatglm.dtype) == (2, 8, 20, "bfloat16")


@pytest.mark.parametrize(
    ("dtype", "word"),
    [("torch.float16", "float16"), ("half", "float16"), ("float", "float32"), ("auto", "bfloat16"), (None, "bfloat16")],
)
def test_dtypes_are_spelt_one_way(dtype: str | None, word: str) -> None:
    assert parsed(dtype=dtype).dtype == word


def test_latent_attention_keeps_one_vector_per_token() -> None:
    config = parsed(kv_lora_rank=32, qk_rope_head_dim=16, qk_nope_head_dim=8, v_head_dim=8, num_key_value_heads=8)
    assert config.layers == (
        LayerGroup(
            kind=LayerKind.LATENT_ATTENTION, count=4, num_kv_heads=1, head_size=48, latent_size=48, expanded_size=16
        ),
    )
    assert (config.num_kv_heads, config.head_dim) == (1, 24)


def test_layer_types_are_counted_by_kind() -> None:
    kinds = ["sliding_attention", "full_attention", "sliding_attention", "chunked_attention", "full_attention"]
    config = parsed(layer_types=kinds, sliding_window=64, attention_chunk_size=128)
    chunked = LayerGroup(kind=LayerKind.CHUNKED_ATTENTION, count=1, num_kv_heads=2, head_size=8, window=128)
    assert config.layers == (sliding(2, 64), full(1), chunked)


@pytest.mark.parametrize(
    ("family", "fields", "groups"),
    [
        ("gemma2", {"sliding_window": 64}, (sliding(2, 64), full(2))),
        ("gemma3_text", {"sliding_window": 64, "sliding_window_pattern": 2}, (sliding(2, 64), full(2))),
        ("gemma3_text", {"sliding_window": 64}, (sliding(4, 64),)),
        ("cohere2", {"sliding_window": 64}, (sliding(3, 64), full(1))),
        ("mistral", {"sliding_window": 64}, (sliding(4, 64),)),
        ("mistral", {"sliding_window": 2048}, (sliding(4, 2048),)),
        ("mistral", {"sliding_window": None}, (full(4),)),
        ("phi3", {"sliding_window": 64, "use_sliding_window": False}, (full(4),)),
        (
            "qwen2",
            {"sliding_window": 64, "max_window_layers": 3, "use_sliding_window": True},
            (full(3), sliding(1, 64)),
        ),
        ("qwen2", {"sliding_window": 64, "max_window_layers": 3}, (full(4),)),
    ],
)
def test_families_have_their_own_windows(
    family: str, fields: Mapping[str, object], groups: tuple[LayerGroup, ...]
) -> None:
    assert parsed(model_type=family, **fields).layers == groups


def test_llama4_attends_to_all_where_it_has_no_rope() -> None:
    chunked = LayerGroup(kind=LayerKind.CHUNKED_ATTENTION, count=3, num_kv_heads=2, head_size=8, window=64)
    assert parsed(model_type="llama4_text", attention_chunk_size=64).layers == (chunked, full(1))
    marked = parsed(model_type="llama4_text", attention_chunk_size=64, no_rope_layers=[1, 1, 1, 0])
    assert marked.layers == (chunked, full(1))


DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_conv_kernel_dim": 4,
}


@pytest.mark.parametrize(("state_dtype", "state_bytes"), [("float32", 4), (None, 2), ("bfloat16", 2)])
def test_gated_delta_net_keeps_a_state(state_dtype: str | None, state_bytes: int) -> None:
    config = parsed(model_type="qwen3_next", mamba_ssm_dtype=state_dtype, **DELTA)
    state = RecurrentState(
        num_key_heads=2,
        num_value_heads=4,
        key_head_dim=8,
        value_head_dim=8,
        conv_kernel=4,
        state_dtype_bytes=state_bytes,
    )
    assert config.layers == (LayerGroup(kind=LayerKind.LINEAR_ATTENTION, count=3, recurrent=state), full(1))


def test_experts_are_read_in_each_spelling() -> None:
    assert parsed(num_local_experts=8, num_experts_per_tok=2).moe == MixtureOfExperts(
        num_experts=8, experts_per_token=2, intermediate_size=128
    )
    deepseek = parsed(n_routed_experts=16, num_experts_per_tok=4, moe_intermediate_size=32, n_shared_experts=2)
    assert deepseek.moe == MixtureOfExperts(
        num_experts=16, experts_per_token=4, intermediate_size=32, shared_intermediate_size=64
    )
    qwen = parsed(
        num_experts=16, num_experts_per_tok=4, moe_intermediate_size=32, shared_expert_intermediate_size=48,
        intermediate_size=None,
    )  # fmt: skip
    assert qwen.moe is not None
    assert (qwen.moe.shared_intermediate_size, qwen.intermediate_size) == (48, 32)
    assert parsed(num_experts=0).moe is None


@pytest.mark.parametrize(
    ("stated", "quantization"),
    [
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
            Quantization(method="awq", bits=4, group_size=128, zero_point=True),
        ),
        (
            {"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": False},
            Quantization(method="gptq", bits=8, zero_point=True),
        ),
        (
            {"quant_method": "fp8", "weight_block_size": [128, 128]},
            Quantization(method="fp8", bits=8, block_size=(128, 128)),
        ),
        ({"quant_method": "mxfp4"}, Quantization(method="mxfp4", bits=4)),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Quantization(method="bitsandbytes", bits=4)),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, Quantization(method="bitsandbytes", bits=8)),
        ({"quant_method": "compressed_tensors"}, Quantization(method="compressed-tensors")),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "symmetric": True}}},
            },
            Quantization(method="compressed-tensors", bits=8, zero_point=False, is_float=True, scheme="fp8"),
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32, "symmetric": False}}},
            },
            Quantization(method="compressed-tensors", bits=4, group_size=32, zero_point=True, scheme="wNa16"),
        ),
        *[
            (
                {
                    "quant_method": "compressed-tensors",
                    "config_groups": {"group_0": {"weights": weights, "input_activations": inputs}},
                },
                Quantization(
                    method="compressed-tensors",
                    bits=bits,
                    group_size=group,
                    zero_point=False,
                    is_float=weights["type"] == "float",
                    scheme=scheme,
                ),
            )
            for bits, group, kind, inputs, scheme in (
                (4, 16, "float", {"num_bits": 4, "type": "float"}, "nvfp4"),
                (4, 16, "float", None, "nvfp4"),
                (4, 32, "float", None, "mxfp4"),
                (8, 32, "float", {"num_bits": 8, "type": "float"}, "mxfp8"),
                (8, None, "float", None, "fp8"),
                (8, None, "int", {"num_bits": 8, "type": "int"}, "w8a8_int8"),
                (4, 128, "int", {"num_bits": 8, "type": "float"}, "w4a8_fp8"),
                (4, 128, "int", {"num_bits": 4, "type": "int"}, None),
            )
            if (weights := {"num_bits": bits, "type": kind, "group_size": group})
        ],
        (
            {"quant_algo": "nvfp4", "group_size": 16, "quant_method": "modelopt"},
            Quantization(method="modelopt_fp4", bits=4, group_size=16),
        ),
        ({"quantization": {"quant_algo": "FP8"}}, Quantization(method="modelopt", bits=8)),
        ({"quantization": {"quant_algo": "W4A8_AWQ"}}, Quantization(method="modelopt")),
        ({"quant_method": "HQQ"}, Quantization(method="hqq")),
    ],
)
def test_a_quantisation_is_told_in_vllms_words(stated: object, quantization: Quantization) -> None:
    assert parsed(quantization_config=stated).quantization == quantization


def test_older_checkpoints_call_it_compression_config() -> None:
    assert parsed(compression_config={"quant_method": "fp8"}).quantization == Quantization(method="fp8", bits=8)


def test_rope_is_read_from_wherever_it_stands() -> None:
    old = parsed(rope_scaling={"type": "yarn", "factor": 4.0}, original_max_position_embeddings=4096)
    assert old.rope_parameters == {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
    new = parsed(rope_theta=None, rope_parameters={"rope_type": "default", "rope_theta": 5e6})
    assert (new.rope_theta, new.rope_parameters) == (5e6, {"rope_type": "default", "rope_theta": 5e6})
    layered = parsed(rope_theta=None, rope_parameters={"full_attention": {"rope_theta": 1e6}})
    assert layered.rope_theta == 1e6
    assert parsed(rope_theta=None).rope_theta is None


def test_a_nested_text_model_inherits_from_the_whole() -> None:
    text = {key: value for key, value in LLAMA.items() if key not in {"architectures", "dtype", "tie_word_embeddings"}}
    config = parse_config(
        {"architectures": ["X"], "model_type": "x", "torch_dtype": "float16", "tie_word_embeddings": True,
         "text_config": text, "vision_config": {}, "quantization_config": {"quant_method": "fp8"}}
    )  # fmt: skip
    assert isinstance(config, ModelConfig)
    assert (config.architecture, config.model_type, config.dtype) == ("X", "x", "float16")
    assert (config.tie_word_embeddings, config.is_multimodal) == (True, True)
    assert config.quantization == Quantization(method="fp8", bits=8)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hidden_size": None}, "`hidden_size` is missing"),
        ({"hidden_size": "64"}, "`hidden_size` is '64', not a whole number"),
        ({"hidden_size": True}, "`hidden_size` is True, not a whole number"),
        ({"hidden_size": 6.5}, "`hidden_size` is 6.5, not a whole number"),
        ({"hidden_size": float("inf")}, "`hidden_size` is inf, not a whole number"),
        ({"hidden_size": 0}, "`hidden_size` is 0, not a number from 1 to 10000000000"),
        ({"hidden_size": 10**30}, "`hidden_size` is a very large number, not a number from 1 to 10000000000"),
        ({"hidden_size": 4}, "`hidden_size` is less than `num_attention_heads`"),
        ({"num_hidden_layers": 10**9}, "`num_hidden_layers` is 1000000000, not a number from 1 to 4096"),
        ({"vocab_size": [1]}, "`vocab_size` is a list, not a whole number"),
        ({"vocab_size": {}}, "`vocab_size` is an object, not a whole number"),
        ({"vocab_size": "x" * 50}, f"`vocab_size` is '{'x' * 40}…', not a whole number"),
        ({"architectures": None}, "`architectures` is missing"),
        ({"architectures": "Llama"}, "`architectures` is 'Llama', not a list of texts"),
        ({"dtype": "int8"}, "`torch_dtype` is `int8`, not one of bfloat16, float16, float32"),
        ({"dtype": 7}, "`dtype` is 7, not a text"),
        ({"tie_word_embeddings": "no"}, "`tie_word_embeddings` is 'no', not true or false"),
        ({"rope_theta": "big"}, "`rope_theta` is 'big', not a number"),
        ({"rope_scaling": "yarn"}, "`rope_scaling` is 'yarn', not an object"),
        ({"text_config": 7}, "`text_config` is 7, not an object"),
        ({"text_config": {"hidden_size": "a"}}, "`text_config.hidden_size` is 'a', not a whole number"),
        ({"layer_types": ["full_attention"]}, "`layer_types` names 1 layers, `num_hidden_layers` 4"),
        ({"layer_types": ["retention"] * 4}, "`layer_types` names a kind of layer that is not known, `retention`"),
        ({"layer_types": ["sliding_attention"] * 4}, "`sliding_window` is missing"),
        ({"no_rope_layers": "x", "model_type": "llama4"}, "`no_rope_layers` is 'x', not a list of whole numbers"),
        ({"quantization_config": {}}, "`quantization_config.quant_method` is missing"),
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [1]}},
            "`quantization_config.weight_block_size` is not a pair of sizes",
        ),
        ({"num_experts": 4}, "`num_experts_per_tok` is missing"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], problem: str) -> None:
    finding = refused(**changes)
    assert (finding.code, finding.message) == ("E301", f"config.json cannot be used: {problem}")


def test_all_wrong_fields_are_named_at_once() -> None:
    finding = refused(vocab_size=None, num_attention_heads=-1)
    assert finding.message.endswith("`num_attention_heads` is -1, not a number from 1 to 10000000000")
    assert finding.notes == ("`vocab_size` is missing",)


@pytest.mark.parametrize(
    ("changes", "message", "note"),
    [
        ({"is_encoder_decoder": True}, "an encoder-decoder model", "`is_encoder_decoder` says so"),
        (
            {"compress_ratios": [0, 4]},
            "a model with layers whose memory is not modelled",
            "`compress_ratios` says so",
        ),
    ],
)
def test_what_cannot_be_sized_is_refused(changes: dict[str, object], message: str, note: str) -> None:
    finding = refused(**changes)
    assert (finding.code, finding.message, finding.notes) == ("E302", f"config.json describes {message}", (note,))


def test_a_config_that_is_refused_has_no_tensors() -> None:
    assert tensors_from_config({}) == ()
