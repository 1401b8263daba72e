"""Checkpoints for tests: safetensors files with right headers whose payload is a hole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]

_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "I64": 8, "F8_E4M3": 1, "U8": 1}

TINY_CONFIG: dict[str, object] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "torch_dtype": "bfloat16",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "vocab_size": 32,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}

TINY_TENSORS: Shapes = {
    "model.embed_tokens.weight": ("BF16", (32, 8)),
    "model.layers.0.self_attn.q_proj.weight": ("BF16", (8, 8)),
    "model.layers.0.self_attn.k_proj.weight": ("BF16", (4, 8)),
    "model.layers.0.self_attn.v_proj.weight": ("BF16", (4, 8)),
    "model.layers.0.self_attn.o_proj.weight": ("BF16", (8, 8)),
    "model.layers.0.self_attn.q_norm.weight": ("BF16", (4,)),
    "model.layers.0.self_attn.k_norm.weight": ("BF16", (4,)),
    "model.layers.0.mlp.gate_proj.weight": ("BF16", (16, 8)),
    "model.layers.0.mlp.up_proj.weight": ("BF16", (16, 8)),
    "model.layers.0.mlp.down_proj.weight": ("BF16", (8, 16)),
    "model.layers.0.input_layernorm.weight": ("BF16", (8,)),
    "model.layers.0.post_attention_layernorm.weight": ("BF16", (8,)),
    "model.norm.weight": ("BF16", (8,)),
    "lm_head.weight": ("BF16", (32, 8)),
}

TINY_WEIGHTS = {"embedding": 512, "lm_head": 512, "linear": 1152, "replicated": 64}


def header_of(shapes: Shapes) -> tuple[bytes, int]:
    """The header and how many bytes of data it announces."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape) in shapes.items():
        size = _BYTES[dtype]
        for side in shape:
            size *= side
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    return json.dumps(entries).encode(), offset


def write_safetensors(path: Path, shapes: Shapes) -> int:
    """Write a file whose data is a hole; the bytes of its data come back."""
    header, data_bytes = header_of(shapes)
    return write_raw(path, header, data_bytes)


def write_raw(path: Path, header: bytes, data_bytes: int, *, claimed_length: int | None = None) -> int:
    length = len(header) if claimed_length is None else claimed_length
    with path.open("wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.write(header)
        file.truncate(8 + len(header) + data_bytes)
    return data_bytes


def write_config(directory: Path, config: Mapping[str, object] = TINY_CONFIG) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def write_tiny_model(directory: Path) -> Path:
    """One file, without an index."""
    write_config(directory)
    write_safetensors(directory / "model.safetensors", TINY_TENSORS)
    return directory


def write_sharded_model(directory: Path) -> Path:
    """Two files and an index, and the same weights once more under Mistral's names, as some publishers do."""
    write_config(directory)
    names = list(TINY_TENSORS)
    weight_map: dict[str, str] = {}
    for number, part in enumerate((names[:5], names[5:]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        write_safetensors(directory / file, {name: TINY_TENSORS[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    write_safetensors(directory / "consolidated.safetensors", {"tok_embeddings.weight": ("BF16", (32, 8))})
    return directory
