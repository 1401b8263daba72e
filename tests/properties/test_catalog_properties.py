"""Whatever lies in a header or a config.json, reading it gives a value or a finding, never an exception."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.cards import find_gpu, known_gpus
from orchestrator.catalog.checkpoint import weights_from_tensors
from orchestrator.catalog.gpus import cuda_total_bytes, inventory_from_short_form
from orchestrator.catalog.models import find_model, known_models, raw_config, similar_models
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.catalog.safetensors import StoredTensor, header_length, read_header
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Gpu, Inventory
from orchestrator.domain.model_config import ModelConfig

NAMES = sorted(
    {key for model in known_models() for key in (raw_config(model) or {})} | {"compression_config", "n_heads"}
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(known_models()), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_parse_config_never_raises_on_a_spoilt_config(model: str, spoilt: Mapping[str, object]) -> None:
    document = {**(raw_config(model) or {}), **spoilt}
    config = parse_config(document)
    if isinstance(config, Diagnostic):
        assert config.code in {"E301", "E302"}
        assert config.message
        assert config.help
    else:
        assert isinstance(config, ModelConfig)
        assert all(0 <= group.count <= config.num_layers for group in config.layers)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), VALUES, max_size=8))
def test_parse_config_never_raises_on_anything(document: Mapping[str, object]) -> None:
    assert isinstance(parse_config(document), ModelConfig | Diagnostic)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(known_models()), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2))
def test_computed_tensors_never_raise_and_are_all_counted(model: str, spoilt: Mapping[str, object]) -> None:
    document = {**(raw_config(model) or {}), **spoilt}
    config = parse_config(document)
    tensors = tensors_from_config(document)
    if isinstance(config, Diagnostic):
        assert tensors == ()
    else:
        weights = weights_from_tensors(tensors, config)
        assert sum(weights.values()) == sum(tensor.size_bytes for tensor in tensors)
        assert all(size > 0 for size in weights.values())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.builds(lambda value: json.dumps(value).encode(), VALUES), st.integers(0, 100))
def test_a_header_of_any_bytes_is_read_or_refused(header: bytes, data_bytes: int) -> None:
    assert isinstance(read_header(header, data_bytes), tuple | str)
    assert isinstance(header_length(header, len(header)), int | str)


TENSORS = st.lists(
    st.tuples(st.sampled_from(("U8", "BF16", "F32")), st.lists(st.integers(0, 9), max_size=3)), max_size=6
)


@settings(max_examples=200, deadline=None)
@given(TENSORS)
def test_a_right_header_gives_back_its_bytes(described: list[tuple[str, list[int]]]) -> None:
    widths = {"U8": 1, "BF16": 2, "F32": 4}
    entries: dict[str, object] = {}
    expected: list[StoredTensor] = []
    offset = 0
    for number, (dtype, shape) in enumerate(described):
        size = widths[dtype]
        for side in shape:
            size *= side
        name = f"t{number}"
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        expected.append(StoredTensor(name=name, size_bytes=size))
        offset += size
    found = read_header(json.dumps(entries).encode(), offset)
    assert isinstance(found, tuple)
    assert sorted(found, key=lambda each: each.name) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"\d{1,3}x(RTX|A|H|L)? ?\d{1,4}(GB)?(\+1xL4)?", fullmatch=True))
def test_any_text_is_an_inventory_or_a_finding(text: str) -> None:
    found = inventory_from_short_form(text)
    if isinstance(found, Inventory):
        gpus = list(found.gpus())
        assert 1 <= len(gpus) <= 64
        assert len({gpu.uuid for gpu in gpus}) == len(gpus)
        assert all(0 < gpu.free_bytes <= gpu.total_bytes for gpu in gpus)
    else:
        assert found.code in {"E450", "E451", "E452", "E453", "E454"}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([gpu.name for gpu in known_gpus()]) | st.text(max_size=10),
    st.integers(0, 400 * 2**30),
    st.none() | st.integers(0, 2**31),
)
def test_cuda_never_sees_more_than_nvml(name: str, total_bytes: int, reserved_bytes: int | None) -> None:
    gpu = Gpu(index=0, uuid="GPU-0", name=name, total_bytes=total_bytes, free_bytes=0, reserved_bytes=reserved_bytes)
    assert 0 <= cuda_total_bytes(gpu).low <= cuda_total_bytes(gpu).high <= total_bytes


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_looking_a_name_up_never_raises(text: str) -> None:
    find_gpu(text)
    find_model(text)
    assert len(similar_models(text)) <= 3
