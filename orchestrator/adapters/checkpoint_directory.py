"""A directory with a config.json and *.safetensors: its facts, from the headers alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.checkpoint import weights_from_tensors
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.catalog.safetensors import PREFIX_BYTES, StoredTensor, header_length, read_header
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import ModelFacts

CONFIG = "config.json"
QUANTIZATION = "hf_quant_config.json"
INDEX = "model.safetensors.index.json"
MOST_JSON_BYTES = 64 * 1024**2

_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.ckpt", "*.msgpack", "*.h5")


def read_checkpoint_directory(directory: Path, model: str, revision: str | None = None) -> ModelFacts | Diagnostic:
    """What is known of the checkpoint in `directory`; E301 to E305 say why nothing is. No payload is read.

    Without any weights (a directory for `--load-format dummy`) the bytes are computed from config.json: not exact.
    """
    document = read_config(directory)
    if isinstance(document, Diagnostic):
        return document
    config = parse_config(document)
    if isinstance(config, Diagnostic):
        return _about(config, directory)
    tensors = _stored_tensors(directory)
    if isinstance(tensors, Diagnostic):
        return tensors
    if not tensors and (others := _other_weights(directory)):
        return _no_safetensors(directory, others)
    return ModelFacts(
        model=model,
        config=config,
        weights=weights_from_tensors(tensors or tensors_from_config(document), config),
        provenance=f"safetensors headers of {directory}" if tensors else f"computed from {directory / CONFIG}",
        revision=revision,
        exact=bool(tensors),
    )


def read_config(directory: Path) -> Mapping[str, object] | Diagnostic:
    """config.json, with the separate quantisation file that ModelOpt writes; E303 when there is none to read."""
    document = _read_object(directory / CONFIG)
    if isinstance(document, Diagnostic) or document.get("quantization_config") is not None:
        return document
    if not (directory / QUANTIZATION).exists():
        return document
    quantization = _read_object(directory / QUANTIZATION)
    if isinstance(quantization, Diagnostic):
        return quantization
    return {**document, "quantization_config": quantization}


def _read_object(path: Path) -> dict[str, object] | Diagnostic:
    try:
        if not path.is_file():
            return _unreadable(path, "there is no such file")
        if path.stat().st_size > MOST_JSON_BYTES:
            return _unreadable(path, f"it is larger than {MOST_JSON_BYTES} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return _unreadable(path, _words_of(error))
    except (ValueError, RecursionError):
        return _unreadable(path, "it is not JSON")
    return document if isinstance(document, dict) else _unreadable(path, "it is not a JSON object")


def _stored_tensors(directory: Path) -> list[StoredTensor] | Diagnostic:
    try:
        paths = sorted(directory.glob("*.safetensors"))
    except OSError as error:
        return _broken(directory, _words_of(error))
    loaded = _files_of_index(directory, paths)
    if isinstance(loaded, Diagnostic):
        return loaded
    tensors: list[StoredTensor] = []
    for path in paths:
        found = _tensors_of_file(path)
        if isinstance(found, str):
            return _broken(path, found)
        tensors.extend(
            StoredTensor(name=each.name, size_bytes=each.size_bytes, is_loaded=path.name in loaded) for each in found
        )
    return tensors


def _files_of_index(directory: Path, paths: list[Path]) -> frozenset[str] | Diagnostic:
    """Names of the files that vLLM loads: those of the index, or all without one."""
    names = frozenset(path.name for path in paths)
    if not (directory / INDEX).exists():
        return names
    document = _read_object(directory / INDEX)
    if isinstance(document, Diagnostic):
        return document
    weight_map = document.get("weight_map")
    if not isinstance(weight_map, Mapping):
        return _broken(directory / INDEX, "it has no `weight_map`")
    indexed = frozenset(str(name) for name in weight_map.values())
    missing = sorted(indexed - names)
    if missing:
        return _broken(directory, f"its index names {len(missing)} files that are not there, first `{missing[0][:80]}`")
    return indexed


def _tensors_of_file(path: Path) -> tuple[StoredTensor, ...] | str:
    try:
        if not path.is_file():
            return "it is not a file, or a link to one that is not there"
        size = path.stat().st_size
        with path.open("rb") as file:
            length = header_length(file.read(PREFIX_BYTES), size)
            if isinstance(length, str):
                return length
            return read_header(file.read(length), size - PREFIX_BYTES - length)
    except OSError as error:
        return _words_of(error)


def _other_weights(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for pattern in _OTHER_WEIGHTS for path in directory.glob(pattern)))


def _words_of(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _about(finding: Diagnostic, directory: Path) -> Diagnostic:
    return Diagnostic(
        code=finding.code,
        message=finding.message,
        notes=(*finding.notes, f"read from {directory / CONFIG}"),
        help=finding.help,
    )


def _unreadable(path: Path, why: str) -> Diagnostic:
    return Diagnostic(
        code="E303",
        message=f"cannot read `{path.name}` of the model: {why}",
        notes=(f"looked at {path}",),
        help=("give a directory with the config.json and *.safetensors of a model, as downloaded from the hub",),
    )


def _broken(path: Path, why: str) -> Diagnostic:
    return Diagnostic(
        code="E304",
        message=f"cannot use `{path.name}` of the model: {why}",
        notes=(f"looked at {path}",),
        help=("download the model again: an interrupted download leaves such files",),
    )


def _no_safetensors(directory: Path, others: tuple[str, ...]) -> Diagnostic:
    return Diagnostic(
        code="E305",
        message=f"`{directory.name}` holds no *.safetensors, whose headers tell the bytes of each weight",
        notes=(f"it holds {len(others)} other weight files, first `{others[0][:80]}`",),
        help=("convert the weights to safetensors, or name a model that is published as safetensors",),
    )
