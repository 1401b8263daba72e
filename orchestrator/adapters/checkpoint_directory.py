"""A directory with a config.json and *.safetensors: its facts, from the headers alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from orchestrator.adapters.files import Unread, finding_of, read_bytes, why_not
from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.checkpoint import weights_from_tensors
from orchestrator.catalog.completeness import missing_files, shortfall
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.catalog.safetensors import PREFIX_BYTES, StoredTensor, header_length, read_header
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import ModelConfig, ModelFacts

CONFIG = "config.json"
QUANTIZATION = "hf_quant_config.json"
INDEX = "model.safetensors.index.json"
MOST_JSON_BYTES = 64 * 1024**2

_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.ckpt", "*.msgpack", "*.h5")


def read_checkpoint_directory(directory: Path, model: str, revision: str | None = None) -> ModelFacts | Diagnostic:
    """What is known of the checkpoint in `directory`; E122 and E301 to E305 say why nothing is. No payload is read.

    Without any weights (a directory for `--load-format dummy`) the bytes are computed from config.json: not exact.
    """
    document = read_config(directory)
    if isinstance(document, Diagnostic):
        return document
    config = parse_config(document)
    if isinstance(config, Diagnostic):
        return _about(config, directory)
    tensors = _complete_tensors(directory, document, config)
    if isinstance(tensors, Diagnostic):
        return tensors
    return ModelFacts(
        model=model,
        config=config,
        weights=weights_from_tensors(tensors or tensors_from_config(document), config),
        provenance=f"safetensors headers of {directory}" if tensors else f"computed from {directory / CONFIG}",
        revision=revision,
        exact=bool(tensors),
    )


def _complete_tensors(
    directory: Path, document: Mapping[str, object], config: ModelConfig
) -> list[StoredTensor] | Diagnostic:
    """All tensors of the directory's *.safetensors; none where it holds no weights of any kind."""
    names = _names_in(directory)
    if isinstance(names, Diagnostic):
        return names
    tensors = _stored_tensors(directory, names)
    if isinstance(tensors, Diagnostic):
        return tensors
    if tensors and (too_little := shortfall(tensors, document, config)):
        return _broken(directory, f"it is not complete: {too_little}")
    if not tensors and (others := _other_weights(names)):
        return _no_safetensors(directory, others)
    return tensors


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
    content = read_bytes(path, max_bytes=MOST_JSON_BYTES, wanted="a model's JSON")
    if isinstance(content, Unread):
        return _not_read(path, content)
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return _unreadable(path, "it begins with a byte order mark, which JSON does not have")
    try:
        document = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        return _unreadable(path, "it is not UTF-8 text")
    except (ValueError, RecursionError):
        return _unreadable(path, "it is empty" if not content.strip() else "it is not JSON")
    return document if isinstance(document, dict) else _unreadable(path, "it is not a JSON object")


def _not_read(path: Path, unread: Unread) -> Diagnostic:
    match unread.code:
        case "E122":
            return replace(finding_of(unread, str(path)), span=None)
        case "E120":
            return _unreadable(path, "there is no such file")
        case "E124":
            return _unreadable(path, f"it is larger than {MOST_JSON_BYTES} bytes")
        case _:
            return _unreadable(path, f"it {unread.why}", unread.note)


def _names_in(directory: Path) -> tuple[str, ...] | Diagnostic:
    try:
        return tuple(sorted(os.listdir(directory)))
    except OSError as error:
        return _not_read(directory, why_not(directory, error))


def _stored_tensors(directory: Path, names: tuple[str, ...]) -> list[StoredTensor] | Diagnostic:
    paths = [directory / name for name in names if name.endswith(".safetensors") and not name.startswith(".")]
    loaded = _loaded_files(directory, names)
    if isinstance(loaded, Diagnostic):
        return loaded
    tensors: list[StoredTensor] = []
    for path in paths:
        found = _tensors_of_file(path)
        if isinstance(found, Unread):
            return _not_read(path, found)
        if isinstance(found, str):
            return _broken(path, found)
        tensors.extend(
            StoredTensor(name=each.name, size_bytes=each.size_bytes, is_loaded=path.name in loaded) for each in found
        )
    return tensors


def _loaded_files(directory: Path, present: tuple[str, ...]) -> frozenset[str] | Diagnostic:
    """Names of the files that vLLM loads: those of the index, or all without one."""
    names = frozenset(name for name in present if name.endswith(".safetensors"))
    if INDEX not in present:
        missing = missing_files(names)
        return _broken(directory, files_missing(missing)) if missing else names
    document = _read_object(directory / INDEX)
    if isinstance(document, Diagnostic):
        return document
    weight_map = document.get("weight_map")
    if not isinstance(weight_map, Mapping):
        return _broken(directory / INDEX, "it has no `weight_map`")
    indexed = frozenset(str(name) for name in weight_map.values())
    absent = sorted(indexed - names)
    if absent:
        return _broken(directory, f"its index names {len(absent)} files that are not there, first `{absent[0][:80]}`")
    return indexed


def files_missing(names: tuple[str, ...]) -> str:
    """The clause that names the first of the files that ought to be there."""
    shown = ", ".join(f"`{name[:80]}`" for name in names[:3])
    return f"of its files {shown} {'is' if len(names) == 1 else 'are'} missing" + (
        f", and {len(names) - 3} more" if len(names) > 3 else ""
    )


def _tensors_of_file(path: Path) -> tuple[StoredTensor, ...] | str | Unread:
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
        unread = why_not(path, error)
        return unread if unread.code == "E122" else f"it {unread.why}"


def _other_weights(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in _OTHER_WEIGHTS))


def _about(finding: Diagnostic, directory: Path) -> Diagnostic:
    return Diagnostic(
        code=finding.code,
        message=finding.message,
        notes=(*finding.notes, f"read from {directory / CONFIG}"),
        help=finding.help,
    )


def _unreadable(path: Path, why: str, *notes: str) -> Diagnostic:
    return Diagnostic(
        code="E303",
        message=f"cannot read `{path.name}` of the model: {why}",
        notes=(f"looked at {path}", *(note for note in notes if note)),
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
