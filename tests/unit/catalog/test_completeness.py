"""A checkpoint that cannot be all of its model is told from one that is merely odd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.completeness import missing_files, shortfall
from orchestrator.catalog.models import known_models, raw_config
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.catalog.safetensors import StoredTensor
from orchestrator.domain.diagnostics import Diagnostic
from tests.unit.adapters.checkpoint_samples import TINY_CONFIG


def said_of(document: dict[str, object], tensors: tuple[StoredTensor, ...]) -> str | None:
    config = parse_config(document)
    assert not isinstance(config, Diagnostic)
    return shortfall(tensors, document, config)


def halved(tensors: tuple[StoredTensor, ...]) -> tuple[StoredTensor, ...]:
    return tuple(replace(each, size_bytes=each.size_bytes // 2) for each in tensors)


@pytest.mark.parametrize("model", known_models())
def test_a_whole_model_passes_and_one_without_its_last_layer_does_not(model: str) -> None:
    document = dict(raw_config(model) or {})
    config = parse_config(document)
    tensors = tensors_from_config(document)
    assert not isinstance(config, Diagnostic)
    assert shortfall(tensors, document, config) is None
    last = config.num_layers - 1
    cut = tuple(each for each in tensors if f".{last}." not in f".{each.name}")
    said = shortfall(cut, document, config)
    assert said == f"there are no tensors of layer {last}, and config.json says {config.num_layers} layers"


def test_bytes_may_be_half_or_a_quarter_of_what_the_config_says() -> None:
    tensors = tensors_from_config(TINY_CONFIG)
    assert said_of(TINY_CONFIG, halved(tensors)) is None
    assert said_of(TINY_CONFIG, halved(halved(tensors))) is None
    said = said_of(TINY_CONFIG, halved(halved(halved(tensors))))
    assert said == "its tensors have 280 bytes, and config.json describes about 2,240 bytes"


def test_of_a_quantisation_that_nobody_modelled_a_bit_per_element_is_enough() -> None:
    document = TINY_CONFIG | {"quantization_config": {"quant_method": "aqlm", "bits": 1}}
    tensors = tensors_from_config(document)
    sixteenth = tuple(replace(each, size_bytes=-(-each.size_bytes // 16)) for each in tensors)
    assert said_of(document, sixteenth) is None
    assert said_of(document, tensors[:1] and (replace(tensors[0], size_bytes=32),)) is not None


def test_names_without_layer_numbers_are_judged_by_bytes_alone() -> None:
    assert said_of(TINY_CONFIG, (StoredTensor(name="everything", size_bytes=2240),)) is None


def test_towers_and_files_that_are_not_loaded_do_not_stand_for_the_language_model() -> None:
    tower = StoredTensor(name="visual.blocks.0.weight", size_bytes=10**9)
    other = StoredTensor(name="model.layers.0.mlp.weight", size_bytes=10**9, is_loaded=False)
    assert said_of(TINY_CONFIG, (tower, other)) == (
        "its tensors have 0 bytes, and config.json describes about 2,240 bytes"
    )


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (("model.safetensors",), ()),
        (("model-00001-of-00002.safetensors",), ("model-00002-of-00002.safetensors",)),
        (("a-1-of-2.safetensors", "a-2-of-2.safetensors"), ()),
        (("a-0-of-2.safetensors", "a-1-of-2.safetensors"), ()),
        (("a-0-of-2.safetensors",), ("a-1-of-2.safetensors",)),
        (("a-1-of-0.safetensors",), ()),
        (("a-1-of-2.safetensors", "b-2-of-2.safetensors"), ("a-2-of-2.safetensors", "b-1-of-2.safetensors")),
    ],
)
def test_files_that_complete_a_series_are_named(there: tuple[str, ...], missing: tuple[str, ...]) -> None:
    assert missing_files(there) == missing


def test_a_series_of_a_billion_files_is_not_listed() -> None:
    assert len(missing_files(["a-1-of-999999999.safetensors"])) < 10**6
