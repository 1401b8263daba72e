"""A model to be listed tensor by tensor: its config, and how its checkpoint stores matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.catalog.architecture import DTYPE_BYTES, parse_config, text_part
from orchestrator.catalog.fields import Fields
from orchestrator.catalog.quantized_storage import Storage
from orchestrator.catalog.safetensors import StoredTensor
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A model to be listed tensor by tensor."""

    config: ModelConfig
    text: Fields
    top: Fields
    storage: Storage

    @property
    def family(self) -> str:
        return self.text.text("model_type", default="")

    def is_of(self, families: tuple[str, ...]) -> bool:
        return self.family.startswith(families)

    def matrix(self, name: str, rows: int, columns: int, copies: int = 1) -> StoredTensor:
        """A matrix that a quantiser replaces (`copies` of them, one per expert)."""
        size = self.storage.matrix_bytes(name, rows, columns, is_expert=".experts." in name)
        return StoredTensor(name=f"{name}.weight", size_bytes=size * copies)

    def plain(self, name: str, elements: int, element_bytes: int | None = None) -> StoredTensor:
        """A tensor that is never quantised."""
        return StoredTensor(name=name, size_bytes=elements * (element_bytes or self.storage.dtype_bytes))


def blueprint_of(document: Mapping[str, object]) -> Blueprint | None:
    """None when parse_config refuses `document`."""
    config = parse_config(document)
    if isinstance(config, Diagnostic):
        return None
    top = Fields(document)
    return Blueprint(config=config, text=text_part(top), top=top, storage=_storage(top, config))


def _storage(top: Fields, config: ModelConfig) -> Storage:
    dtype_bytes = DTYPE_BYTES[config.dtype]
    stated = top.nested("quantization_config") or text_part(top).nested("quantization_config")
    if stated is None or config.quantization is None:
        return Storage(dtype_bytes=dtype_bytes)
    weights = _group_weights(stated)
    skipped = next((words for name in _SKIP_FIELDS if (words := stated.strings(name))), ())
    dynamic = stated.nested("dynamic")
    excluded = tuple("re:" + key[2:] for key in (dynamic.values if dynamic else ()) if key.startswith("-:"))
    return Storage(
        dtype_bytes=dtype_bytes,
        quantization=config.quantization,
        strategy=weights.text("strategy", default="group") if weights else "group",
        is_float=weights.text("type", default="float") == "float" if weights else True,
        skipped=(*skipped, *excluded),
    )


_SKIP_FIELDS = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "llm_int8_skip_modules")


def _group_weights(stated: Fields) -> Fields | None:
    groups = stated.nested("config_groups")
    group = groups.nested(*sorted(groups.values)) if groups is not None and groups.values else None
    return group.nested("weights") if group is not None else None
