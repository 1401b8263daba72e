"""Whether the stored tensors of a checkpoint can be all of what its config.json describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.catalog.checkpoint import part_of
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.catalog.quantized_storage import has_rule
from orchestrator.catalog.safetensors import StoredTensor
from orchestrator.domain.model_config import ModelConfig, WeightPart
from orchestrator.domain.units import as_gib

_FILE_OF_SEVERAL = re.compile(r"(?P<stem>.+-)(?P<number>\d{1,9})(?P<of>-of-(?P<count>\d{1,9})\.safetensors)", re.ASCII)
_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks)\.(\d{1,9})\.", re.ASCII)
_MOST_FILES = 100_000

_LEAST_SHARE = 4
_LEAST_SHARE_OF_UNKNOWN_STORAGE = 32
"""Stored bytes below one part in so many of the computed ones are too few.

Checkpoints in half or a quarter of the bytes per element that config.json states, and drafts that borrow the embedding,
lie above a quarter. A quantisation without a rule is computed unquantised: one bit for 16 or 32.
"""


def missing_files(names: Iterable[str]) -> tuple[str, ...]:
    """The files that complete series such as `model-00001-of-00002.safetensors`, counted from 1 or from 0."""
    series: dict[tuple[str, str, int], set[int]] = {}
    for name in names:
        found = _FILE_OF_SEVERAL.fullmatch(name)
        if found is not None:
            series.setdefault((found["stem"], found["of"], len(found["number"])), set()).add(int(found["number"]))
    missing: list[str] = []
    for (stem, of, digits), numbers in sorted(series.items()):
        count = min(int(of.split("-")[2].partition(".")[0]), _MOST_FILES)
        first = 0 if 0 in numbers else 1
        missing += [f"{stem}{each:0{digits}d}{of}" for each in range(first, first + count) if each not in numbers]
    return tuple(missing)


def shortfall(tensors: Sequence[StoredTensor], document: Mapping[str, object], config: ModelConfig) -> str | None:
    """What is missing of the language model, as a clause about the tensors; None when they may be all.

    Bounds are generous: layers must be there by number, bytes only in their order of magnitude.
    """
    loaded = [each for each in tensors if each.is_loaded and _is_of_the_language_model(each, config)]
    absent = _absent_layers(loaded, config)
    if absent:
        first = f"layer {absent[0]}" + (f" and {len(absent) - 1} more" if len(absent) > 1 else "")
        return f"there are no tensors of {first}, and config.json says {config.num_layers} layers"
    stored = sum(each.size_bytes for each in loaded)
    computed = sum(each.size_bytes for each in tensors_from_config(document) if _is_of_the_language_model(each, config))
    if stored * _least_share(config) >= computed:
        return None
    return f"its tensors have {_shown(stored)}, and config.json describes about {_shown(computed)}"


def _is_of_the_language_model(tensor: StoredTensor, config: ModelConfig) -> bool:
    return part_of(tensor.name, config.num_layers) not in {WeightPart.VISION, WeightPart.MTP, WeightPart.UNLOADED}


def _absent_layers(tensors: Sequence[StoredTensor], config: ModelConfig) -> list[int]:
    """Numbers of layers without a tensor; none where the names do not number their layers."""
    numbers = {int(found[1]) for each in tensors if (found := _LAYER.search(each.name))}
    return [number for number in range(config.num_layers) if number not in numbers] if numbers else []


def _least_share(config: ModelConfig) -> int:
    stated = config.quantization
    return _LEAST_SHARE if stated is None or has_rule(stated.method) else _LEAST_SHARE_OF_UNKNOWN_STORAGE


def _shown(size: int) -> str:
    return f"{as_gib(size):.2f} GiB" if size >= 2**27 else f"{size:,} bytes"
