"""Models without weights: config.json files, as published or made up, in directories that vLLM can read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

WriteModel = Callable[[Mapping[str, object]], str]
"""Writes a configuration and gives its directory."""


def write_model(parent: Path, config: Mapping[str, object]) -> Path:
    """A directory named after its content, so that the same configuration is written once."""
    text = json.dumps(config, indent=1, sort_keys=True)
    directory = parent / hashlib.sha256(text.encode()).hexdigest()[:16]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(text)
    return directory


def qwen3(
    *,
    layers: int,
    heads: int = 32,
    kv_heads: int = 8,
    head_dim: int = 128,
    hidden: int = 4096,
    longest: int = 40960,
    vocabulary: int = 151936,
) -> dict[str, object]:
    """A dense Qwen3 of any shape: every layer attends to the whole past."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "torch_dtype": "bfloat16",
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "vocab_size": vocabulary,
        "max_position_embeddings": longest,
        "rope_theta": 1000000,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
        "attention_bias": False,
        "rms_norm_eps": 1e-6,
    }


def gemma3(
    *, layers: int, heads: int = 8, kv_heads: int = 4, head_dim: int = 256, window: int = 1024, full_every: int = 6
) -> dict[str, object]:
    """A Gemma 3: of every `full_every` layers the last attends to everything, the others to a window."""
    kinds = ["full_attention" if (i + 1) % full_every == 0 else "sliding_attention" for i in range(layers)]
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "torch_dtype": "bfloat16",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "vocab_size": 262144,
        "max_position_embeddings": 131072,
        "query_pre_attn_scalar": 256,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "sliding_window": window,
        "sliding_window_pattern": full_every,
        "layer_types": kinds,
        "tie_word_embeddings": True,
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "rms_norm_eps": 1e-6,
    }


def add_tokenizer(directory: Path, vocabulary: int) -> None:
    """A tokenizer of single bytes, with enough unused words to fill the vocabulary."""
    letters = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    stand_ins = {byte: chr(256 + place) for place, byte in enumerate(b for b in range(256) if b not in letters)}
    words = [stand_ins.get(byte, chr(byte)) for byte in range(256)]
    words += [f"<unused{place}>" for place in range(vocabulary - len(words) - 1)]
    bytes_as_letters = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"id": vocabulary - 1, "content": "<end>", "special": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {**end, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False},
        ],
        "pre_tokenizer": bytes_as_letters,
        "decoder": bytes_as_letters,
        "model": {"type": "BPE", "vocab": {word: place for place, word in enumerate(words)}, "merges": []},
    }
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>"})
    )
