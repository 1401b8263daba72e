"""Names of tensors tell what vLLM does with them; headers and matrices tell their bytes."""

from __future__ import annotations

import json

import pytest

from orchestrator.catalog.checkpoint import part_of, weights_from_tensors
from orchestrator.catalog.models import find_model
from orchestrator.catalog.quantized_storage import Storage
from orchestrator.catalog.safetensors import StoredTensor, header_length, read_header
from orchestrator.domain.model_config import Quantization, WeightPart


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.embed_tokens.weight", WeightPart.EMBEDDING),
        ("model.language_model.embed_tokens.weight", WeightPart.EMBEDDING),
        ("transformer.wte.weight", WeightPart.EMBEDDING),
        ("transformer.embedding.word_embeddings.weight", WeightPart.EMBEDDING),
        ("lm_head.weight", WeightPart.LM_HEAD),
        ("lm_head.bias", WeightPart.REPLICATED),
        ("transformer.output_layer.weight", WeightPart.LM_HEAD),
        ("output.weight", WeightPart.LM_HEAD),
        ("model.layers.0.self_attn.q_proj.weight", WeightPart.LINEAR),
        ("model.layers.0.self_attn.q_proj.qweight", WeightPart.LINEAR),
        ("model.layers.0.self_attn.q_proj.weight_scale_inv", WeightPart.LINEAR),
        ("model.layers.0.self_attn.q_proj.bias", WeightPart.REPLICATED),
        ("model.layers.0.self_attn.q_norm.weight", WeightPart.REPLICATED),
        ("model.layers.0.input_layernorm.weight", WeightPart.REPLICATED),
        ("h.0.ln_1.weight", WeightPart.REPLICATED),
        ("model.norm.weight", WeightPart.REPLICATED),
        ("model.layers.0.mlp.gate.weight", WeightPart.REPLICATED),
        ("model.layers.0.mlp.gate.e_score_correction_bias", WeightPart.REPLICATED),
        ("model.layers.0.mlp.gate_proj.weight", WeightPart.LINEAR),
        ("model.layers.0.mlp.experts.7.gate_proj.weight", WeightPart.EXPERTS),
        ("model.layers.0.block_sparse_moe.experts.7.w1.weight", WeightPart.EXPERTS),
        ("model.layers.0.mlp.experts.gate_up_proj_blocks", WeightPart.EXPERTS),
        ("model.layers.0.mlp.experts.gate_up_proj_bias", WeightPart.REPLICATED),
        ("model.layers.0.mlp.shared_experts.up_proj.weight", WeightPart.LINEAR),
        ("model.layers.0.mlp.shared_expert_gate.weight", WeightPart.REPLICATED),
        ("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", WeightPart.REPLICATED),
        ("model.layers.0.linear_attn.conv1d.weight", WeightPart.REPLICATED),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", WeightPart.UNLOADED),
        ("h.0.attn.bias", WeightPart.UNLOADED),
        ("h.0.attn.c_attn.bias", WeightPart.REPLICATED),
        ("mtp.layers.0.mlp.experts.0.up_proj.weight", WeightPart.MTP),
        ("model.layers.4.embed_tokens.weight", WeightPart.MTP),
        ("model.visual.blocks.0.attn.qkv.weight", WeightPart.VISION),
        ("vision_tower.transformer.layers.9.attention.q_proj.weight", WeightPart.VISION),
        ("multi_modal_projector.linear_1.weight", WeightPart.VISION),
    ],
)
def test_a_name_tells_the_part(name: str, part: WeightPart) -> None:
    assert part_of(name, num_layers=4) is part


def test_duplicates_and_files_that_are_not_loaded_count_as_unloaded() -> None:
    facts = find_model("Qwen/Qwen3-8B")
    assert facts is not None
    tensors = (
        StoredTensor(name="lm_head.weight", size_bytes=5),
        StoredTensor(name="lm_head.weight", size_bytes=5),
        StoredTensor(name="tok_embeddings.weight", size_bytes=3, is_loaded=False),
    )
    assert weights_from_tensors(tensors, facts.config) == {WeightPart.LM_HEAD: 5, WeightPart.UNLOADED: 8}


def header(**tensors: object) -> bytes:
    return json.dumps(tensors).encode()


def tensor(begin: int, end: int, dtype: str = "U8", shape: object = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def test_a_header_lists_its_tensors_by_place() -> None:
    text = header(__metadata__={"format": "pt"}, b=tensor(4, 8, "BF16", [2]), a=tensor(0, 4), c=tensor(8, 8, "X9"))
    assert read_header(text, 8) == (
        StoredTensor(name="a", size_bytes=4),
        StoredTensor(name="b", size_bytes=4),
        StoredTensor(name="c", size_bytes=0),
    )
    assert read_header(b"{}", None) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\xff", "its header is not JSON"),
        (b"[" * 100_000, "its header is not JSON"),
        (b"[]", "its header is not a JSON object"),
        (b'{"a": Infinity}', "its header holds `Infinity`, which is not JSON"),
        (b'{"a": 1, "a": 2}', "its header names something twice"),
        (header(a=7), "tensor `a` is not described by an object"),
        (header(a={}), "tensor `a` has no right `data_offsets`"),
        (header(a=tensor(0, 4) | {"data_offsets": [0, 4, 8]}), "tensor `a` has no right `data_offsets`"),
        (header(a=tensor(0, 4) | {"data_offsets": [0, True]}), "tensor `a` has no right `data_offsets`"),
        (header(a=tensor(0, 4, shape=[-4])), "tensor `a` has no right `shape`"),
        (header(a=tensor(0, 4, shape=[1] * 65)), "tensor `a` has no right `shape`"),
        (header(a=tensor(4, 0, shape=[])), "tensor `a` ends before it begins"),
        (header(a=tensor(0, 4, "F32", [2])), "tensor `a` has 4 bytes, not what its shape and dtype need"),
        (header(a=tensor(1, 4)), "no tensor lies before `a`, which does not begin at 0"),
        (header(a=tensor(0, 4), b=tensor(5, 6)), "tensor `b` does not begin where the one before it ends"),
        (header(a=tensor(0, 4), b=tensor(3, 6)), "tensor `b` does not begin where the one before it ends"),
        (header(a=tensor(0, 9)), "its tensors need 9 bytes, and it holds 8: it was cut off"),
    ],
)
def test_a_header_that_cannot_be_one_says_why(text: bytes, why: str) -> None:
    assert read_header(text, 8) == why


def test_the_length_of_a_header_is_checked_before_it_is_read() -> None:
    assert header_length((2).to_bytes(8, "little"), 10) == 2
    assert header_length(b"\xff" * 8, 10) == (
        "its header claims to be 18446744073709551615 bytes long; no header is longer than 100000000"
    )


GROUPED = Quantization(method="gptq", bits=4, group_size=64)


@pytest.mark.parametrize(
    ("storage", "size"),
    [
        (Storage(dtype_bytes=2), 128 * 256 * 2),
        (Storage(dtype_bytes=2, quantization=GROUPED, skipped=("up_proj",)), 128 * 256 * 2),
        (Storage(dtype_bytes=2, quantization=GROUPED, skipped=("model.*.up_proj",)), 128 * 256 * 2),
        (Storage(dtype_bytes=2, quantization=GROUPED, skipped=("re:.*up_proj$",)), 128 * 256 * 2),
        (
            Storage(dtype_bytes=2, quantization=GROUPED, skipped=("re:(", "other", "x.*")),
            128 * 128 + 4 * 16 * 4 + 4 * 128 * 2 + 256 * 4,
        ),
        (Storage(dtype_bytes=2, quantization=Quantization(method="awq", bits=4)), 128 * 128 + 64 + 256),
        (
            Storage(dtype_bytes=2, quantization=Quantization(method="awq", bits=4, group_size=100)),
            128 * 256 * 2,
        ),
        (Storage(dtype_bytes=2, quantization=Quantization(method="fp8", bits=8)), 128 * 256 + 4),
        (
            Storage(dtype_bytes=2, quantization=Quantization(method="fp8", bits=8, block_size=(100, 128))),
            128 * 256 + 2 * 2 * 2,
        ),
        (
            Storage(dtype_bytes=2, quantization=Quantization(method="compressed-tensors", bits=8), strategy="channel"),
            128 * 256 + 256,
        ),
        (
            Storage(dtype_bytes=2, quantization=Quantization(method="compressed-tensors", bits=8), strategy="tensor"),
            128 * 256 + 8,
        ),
        (
            Storage(
                dtype_bytes=2,
                quantization=Quantization(method="compressed-tensors", bits=4, group_size=64, zero_point=True),
                is_float=False,
            ),
            128 * 128 + 128 * 4 * 2 + 16 + 16 * 4 * 4,
        ),
        (
            Storage(dtype_bytes=2, quantization=Quantization(method="compressed-tensors", bits=4, group_size=16)),
            128 * 128 + 128 * 16 + 8,
        ),
        (Storage(dtype_bytes=2, quantization=Quantization(method="modelopt", bits=8)), 128 * 256 + 8),
        (Storage(dtype_bytes=2, quantization=Quantization(method="mxfp4", bits=4)), 128 * 256 * 2),
        (Storage(dtype_bytes=2, quantization=Quantization(method="something-new", bits=4)), 128 * 256 * 2),
        (
            Storage(dtype_bytes=2, quantization=Quantization(method="bitsandbytes", bits=4)),
            128 * 256 // 2 + 512 + 2 * 4,
        ),
        (Storage(dtype_bytes=2, quantization=Quantization(method="bitsandbytes", bits=8)), 128 * 256 + 128 * 4),
    ],
)
def test_a_matrix_takes_the_bytes_of_its_format(storage: Storage, size: int) -> None:
    assert storage.matrix_bytes("model.layers.0.mlp.up_proj", 128, 256, is_expert=False) == size


def test_mxfp4_packs_experts_only() -> None:
    storage = Storage(dtype_bytes=2, quantization=Quantization(method="mxfp4", bits=4))
    assert storage.matrix_bytes("experts.up_proj", 128, 256, is_expert=True) == 128 * 128 + 128 * 8
