"""Known models: their architecture and the bytes of their checkpoints, with where they are known from."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from orchestrator.catalog.architecture import parse_config
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import ModelFacts, WeightPart

_FORM = re.compile(
    r"[-_.](awq|gptq|fp8|fp4|nvfp4|mxfp4|int4|int8|bnb|4bit|8bit|dynamic|quantized|w4a16|w8a8|w8a16|hf|gguf)\b", re.I
)
"""The parts of a model's name that say how it is quantised or stored, not which model it is."""

_MAKER = "meta-"
"""A maker's name that some publishers write in front of the model's and others do not."""


@cache
def known_models() -> tuple[str, ...]:
    """The hub ids of all models of the catalogue."""
    return tuple(_document())


@cache
def find_model(model_id: str) -> ModelFacts | None:
    """The facts of a model of the catalogue by hub id, whatever its case; None when it is not there."""
    known = _ids_by_lower_case().get(model_id.lower())
    if known is None:
        return None
    entry = _entry(known)
    config = parse_config(entry["config"])
    if isinstance(config, Diagnostic):
        raise TypeError(f"the catalogue's {known} cannot be read: {config.message}")
    return ModelFacts(
        model=known,
        config=config,
        weights={WeightPart(part): size for part, size in entry["weights"].items()},
        provenance=entry["provenance"],
        exact=entry["exact"],
    )


def raw_config(model_id: str) -> Mapping[str, object] | None:
    """The fields of a known model's config.json that the catalogue keeps, as published."""
    known = _ids_by_lower_case().get(model_id.lower())
    return None if known is None else _entry(known)["config"]


def _entry(known: str) -> Mapping[str, Any]:
    """A row of the catalogue; a twin has the config and the weights of the row that it names."""
    row: Mapping[str, Any] = _document()[known]
    return {**_document()[row["twin"]], **row} if "twin" in row else row


def similar_models(model_id: str, count: int = 3) -> tuple[str, ...]:
    """Models of the catalogue to suggest for an id: the same model first (in the same form, of the same maker, before
    others), then names that look alike."""
    base = _base_name(model_id)
    same = [known for known in known_models() if _base_name(known) == base and known.lower() != model_id.lower()]
    same.sort(key=lambda known: (_form_words(known) != _form_words(model_id), _maker(known) != _maker(model_id)))
    names = {known.lower(): known for known in known_models()}
    short = {known.lower().rpartition("/")[2]: known for known in known_models()}
    alike = difflib.get_close_matches(model_id.lower(), names, n=count, cutoff=0.75)
    alike_in_name = difflib.get_close_matches(model_id.lower().rpartition("/")[2], short, n=count, cutoff=0.75)
    found = (*same, *(names[each] for each in alike), *(short[each] for each in alike_in_name))
    return tuple(dict.fromkeys(found))[:count]


def _form_words(model_id: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _FORM.findall(model_id.rpartition("/")[2]))


def _maker(model_id: str) -> str:
    return model_id.rpartition("/")[0].lower()


def forms_of(facts: ModelFacts) -> tuple[ModelFacts, ...]:
    """The models of the catalogue that are the same model in another form (quantised, or not), as listed there.

    The same: the name without the words that say how it is stored, the layers and the widths.
    """
    base = _base_name(facts.model)
    named_alike = (find_model(each) for each in known_models() if _base_name(each) == base)
    return tuple(
        each
        for each in named_alike
        if each is not None and each.model.lower() != facts.model.lower() and _shape(each) == _shape(facts)
    )


def _shape(facts: ModelFacts) -> tuple[int, ...]:
    config = facts.config
    return (config.num_layers, config.hidden_size, config.num_attention_heads, config.vocab_size)


@cache
def _base_name(model_id: str) -> str:
    return _FORM.sub("", model_id.rpartition("/")[2]).lower().removeprefix(_MAKER)


@cache
def _ids_by_lower_case() -> Mapping[str, str]:
    return {known.lower(): known for known in known_models()}


@cache
def _document() -> Mapping[str, Any]:
    text = files("orchestrator.catalog").joinpath("models.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
