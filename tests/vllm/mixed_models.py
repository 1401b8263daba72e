"""Configurations of small models whose layers differ in what they keep: recurrent layers, heads of several sizes."""

from __future__ import annotations

from collections.abc import Mapping

Config = Mapping[str, object]


def _text(architecture: str, model_type: str, **fields: object) -> dict[str, object]:
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "torch_dtype": "bfloat16",
        "hidden_size": 1024,
        "intermediate_size": 2048,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "vocab_size": 50304,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        **fields,
    }


_MAMBA2: Mapping[str, object] = {
    "mamba_n_heads": 32,
    "mamba_d_head": 64,
    "mamba_n_groups": 1,
    "mamba_d_state": 128,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_chunk_size": 256,
}


def nemotron_h(pattern: str = "M-M-M-MM-M*-M-M*-", groups: int = 8) -> Config:
    return _text(
        "NemotronHForCausalLM",
        "nemotron_h",
        num_hidden_layers=len(pattern),
        hybrid_override_pattern=pattern,
        head_dim=128,
        mamba_num_heads=32,
        mamba_head_dim=64,
        n_groups=groups,
        ssm_state_size=128,
        conv_kernel=4,
        expand=2,
        chunk_size=128,
        layer_norm_epsilon=1e-5,
        mlp_hidden_act="relu2",
    )


def granite_hybrid() -> Config:
    words = (["mamba"] * 5 + ["attention"] + ["mamba"] * 4) * 2
    return _text(
        "GraniteMoeHybridForCausalLM",
        "granitemoehybrid",
        num_hidden_layers=len(words),
        layer_types=words,
        num_local_experts=8,
        num_experts_per_tok=2,
        shared_intermediate_size=1024,
        position_embedding_type="nope",
        **_MAMBA2,
    )


def falcon_h1() -> Config:
    return _text("FalconH1ForCausalLM", "falcon_h1", num_hidden_layers=12, head_dim=64, mamba_d_ssm=2048, **_MAMBA2)


def jamba() -> Config:
    return _text(
        "JambaForCausalLM",
        "jamba",
        num_hidden_layers=16,
        attn_layer_period=8,
        attn_layer_offset=4,
        expert_layer_period=2,
        expert_layer_offset=1,
        num_experts=4,
        num_experts_per_tok=2,
        mamba_d_state=16,
        mamba_d_conv=4,
        mamba_expand=2,
        mamba_dt_rank=64,
    )


def lfm2() -> Config:
    attends = {2, 5, 8, 10, 12, 14}
    words = ["full_attention" if number in attends else "conv" for number in range(16)]
    return _text(
        "Lfm2ForCausalLM",
        "lfm2",
        num_hidden_layers=16,
        layer_types=words,
        conv_L_cache=3,
        conv_bias=False,
        conv_dim=1024,
        block_dim=1024,
        block_multiple_of=256,
        block_ffn_dim_multiplier=1.0,
        block_auto_adjust_ff_dim=False,
        block_ff_dim=2048,
        norm_eps=1e-5,
        rope_theta=1000000.0,
    )


def olmo_hybrid() -> Config:
    words = (["linear_attention"] * 3 + ["full_attention"]) * 4
    return _text(
        "OlmoHybridForCausalLM",
        "olmo_hybrid",
        num_hidden_layers=len(words),
        layer_types=words,
        linear_num_key_heads=8,
        linear_num_value_heads=16,
        linear_key_head_dim=96,
        linear_value_head_dim=192,
        linear_conv_kernel_dim=4,
    )


def gemma4(*, layers: int = 12, shared: int = 0, k_eq_v: bool = True) -> Config:
    kinds = ["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(layers)]
    return _text(
        "Gemma4ForCausalLM",
        "gemma4_text",
        num_hidden_layers=layers,
        layer_types=kinds,
        head_dim=256,
        global_head_dim=512,
        num_key_value_heads=8,
        num_global_key_value_heads=2 if k_eq_v else None,
        attention_k_eq_v=k_eq_v,
        num_kv_shared_layers=shared,
        sliding_window=1024,
        hidden_size_per_layer_input=0,
        hidden_activation="gelu_pytorch_tanh",
        tie_word_embeddings=True,
    )


def gemma3n(layers: int = 30, shared: int = 10) -> Config:
    kinds = ["full_attention" if (i + 1) % 5 == 0 else "sliding_attention" for i in range(layers)]
    return _text(
        "Gemma3nForCausalLM",
        "gemma3n_text",
        num_hidden_layers=layers,
        layer_types=kinds,
        intermediate_size=[2048] * layers,
        activation_sparsity_pattern=[0.0] * layers,
        head_dim=256,
        num_attention_heads=8,
        num_key_value_heads=2,
        num_kv_shared_layers=shared,
        sliding_window=512,
        hidden_size_per_layer_input=256,
        vocab_size_per_layer_input=50304,
        hidden_activation="gelu_pytorch_tanh",
        laurel_rank=64,
        tie_word_embeddings=True,
    )


def mimo_v2(layers: int = 12) -> Config:
    return _text(
        "MiMoV2FlashForCausalLM",
        "mimo_v2_flash",
        num_hidden_layers=layers,
        head_dim=192,
        v_head_dim=128,
        swa_num_attention_heads=16,
        swa_num_key_value_heads=8,
        swa_head_dim=192,
        swa_v_head_dim=128,
        hybrid_layer_pattern=[0 if i == 0 or i % 6 == 5 else 1 for i in range(layers)],
        moe_layer_freq=[0] * layers,
        sliding_window=128,
        sliding_window_size=128,
        attention_chunk_size=128,
        partial_rotary_factor=0.334,
        rope_theta=5000000,
        swa_rope_theta=10000,
        n_routed_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=512,
        layernorm_epsilon=1e-5,
        attention_bias=False,
        add_swa_attention_sink_bias=True,
        add_full_attention_sink_bias=False,
    )


def kimi_linear(layers: int = 12) -> Config:
    full = [number for number in range(1, layers + 1) if number % 4 == 0]
    return _text(
        "KimiLinearForCausalLM",
        "kimi_linear",
        num_hidden_layers=layers,
        kv_lora_rank=512,
        q_lora_rank=None,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        mla_use_nope=True,
        num_key_value_heads=16,
        linear_attn_config={
            "num_heads": 16,
            "head_dim": 128,
            "short_conv_kernel_size": 4,
            "full_attn_layers": full,
            "kda_layers": [number for number in range(1, layers + 1) if number not in full],
        },
    )
