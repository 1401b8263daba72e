"""Models that are not in the catalogue but whose name says that they are a known model in another form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.checkpoint import weights_from_tensors
from orchestrator.catalog.models import find_model, known_models, raw_config
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.model_config import ModelFacts, WeightPart

_KEPT = ["lm_head", "re:.*visual.*", "re:.*linear_attn\\.in_proj_(a|b|ba)$", "re:.*gate$", "re:mtp\\..*"]
"""What quantisers of every make leave as it is."""


def _packed(bits: int, group_size: int) -> dict[str, object]:
    return _compressed(bits, "int", "group", group_size=group_size)


def _compressed(bits: int, kind: str, strategy: str, *, computed: bool = False, **more: object) -> dict[str, object]:
    """`computed`: what the weights are multiplied with is as small."""
    weights = {"num_bits": bits, "type": kind, "strategy": strategy, "symmetric": True, **more}
    inputs = {"input_activations": {"num_bits": bits, "type": kind}} if computed else {}
    group = {"targets": ["Linear"], "weights": weights, **inputs}
    return {"quant_method": "compressed-tensors", "ignore": _KEPT, "config_groups": {"group_0": group}}


_AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "modules_to_not_convert": _KEPT}
_GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "modules_to_not_convert": _KEPT}
_FP8_BLOCKS: Mapping[str, object] = {
    "quant_method": "fp8",
    "weight_block_size": [128, 128],
    "modules_to_not_convert": _KEPT,
}
_NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "exclude_modules": _KEPT}
_BITSANDBYTES = {"quant_method": "bitsandbytes", "llm_int8_skip_modules": _KEPT}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A spelling at the end of a name, and the `quantization_config` that it stands for."""

    pattern: re.Pattern[str]
    words: str
    stated: Mapping[str, object]


def _form(pattern: str, words: str, stated: Mapping[str, object]) -> _Form:
    return _Form(pattern=re.compile(rf"[-_. ]{pattern}$", re.IGNORECASE), words=words, stated=stated)


_FORMS = (
    _form(r"(fp8|fp8-block)", "FP8 in blocks of 128 x 128", _FP8_BLOCKS),
    _form(r"fp8[-_ ]dynamic", "FP8 with a scale per channel", _compressed(8, "float", "channel")),
    _form(r"(nvfp4|fp4|nvfp4a16)", "NVFP4 in groups of 16", _NVFP4),
    _form(r"gptq[-_ ](int8|8bit)", "GPTQ with 8 bits in groups of 128", {**_GPTQ, "bits": 8}),
    _form(r"gptq([-_ ](int4|4bit))?", "GPTQ with 4 bits in groups of 128", _GPTQ),
    _form(r"(int4[-_ ])?autoround([-_ ](int4|4bit))?", "4 bits in groups of 128", _GPTQ),
    _form(r"awq([-_ ](int4|4bit))?", "AWQ with 4 bits in groups of 128", _AWQ),
    _form(r"(quantized\.)?w4a16(-g128)?", "4 bits in groups of 128", _packed(4, 128)),
    _form(
        r"(quantized\.)?(w8a8|int8)", "INT8 with a scale per channel", _compressed(8, "int", "channel", computed=True)
    ),
    _form(r"(quantized\.)?w8a16", "INT8 with a scale per channel", _compressed(8, "int", "channel")),
    _form(r"(unsloth[-_ ])?bnb[-_ ]4bit", "bitsandbytes with 4 bits", {**_BITSANDBYTES, "load_in_4bit": True}),
    _form(r"bnb[-_ ]8bit", "bitsandbytes with 8 bits", {**_BITSANDBYTES, "load_in_8bit": True}),
)
_MAKERS_FP8: Mapping[str, Mapping[str, object]] = {
    "nvidia": {"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": _KEPT},
    "redhatai": _compressed(8, "float", "tensor"),
    "neuralmagic": _compressed(8, "float", "tensor"),
}
"""Publishers whose plain `-FP8` has one scale per matrix."""

_MAKER = "meta-"
_WITH_DRAFT_LAYERS = re.compile(r"[-_ ]mtp$", re.IGNORECASE)
_TRAINED_ON = re.compile(r"[-_](instruct|chat|it|base|hf|thinking|abliterated|heretic)(?=-|$)", re.IGNORECASE)
"""Words of training that leave a model's shape as it is."""


@cache
def derive_model(model_id: str) -> ModelFacts | None:
    """The facts of a model whose name is that of a known one, under any publisher, with a known form at its end;
    None when there is no such model. Bytes are computed from the known model's config, so they are not exact.
    """
    publisher, _, name = model_id.rpartition("/")
    name = _WITH_DRAFT_LAYERS.sub("", name)
    form = next((form for form in _FORMS if form.pattern.search(name)), None)
    base = _known(form.pattern.sub("", name) if form is not None else name)
    facts = None if base is None else find_model(base)
    if facts is None:
        return None
    if form is None:
        return _renamed(model_id, facts)
    stated = form.stated
    if form.stated is _FP8_BLOCKS:
        stated = _MAKERS_FP8.get(publisher.lower(), _FP8_BLOCKS)
    return _quantised(model_id, facts, stated, form.words)


def _known(name: str) -> str | None:
    """The unquantised model of the catalogue that has the name, else the same one trained on in another way."""
    exact, loose = _unquantised()
    wanted = name.lower().removeprefix(_MAKER)
    return exact.get(wanted) or loose.get(_TRAINED_ON.sub("", wanted))


@cache
def _unquantised() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Models of the catalogue by name without publisher, and by name without words of training."""
    exact: dict[str, str] = {}
    for known in known_models():
        config = raw_config(known) or {}
        nested = config.get("text_config")
        if "quantization_config" in config or (isinstance(nested, Mapping) and "quantization_config" in nested):
            continue
        exact.setdefault(known.rpartition("/")[2].lower().removeprefix(_MAKER), known)
    loose: dict[str, str] = {}
    for short, known in exact.items():
        loose.setdefault(_TRAINED_ON.sub("", short), known)
    return exact, loose


def _renamed(model_id: str, known: ModelFacts) -> ModelFacts:
    said = f"derived: its name says that it has the shape of {known.model} ({known.provenance})"
    return replace(known, model=model_id, provenance=said, exact=False)


def _quantised(model_id: str, known: ModelFacts, stated: Mapping[str, object], words: str) -> ModelFacts:
    document = {**(raw_config(known.model) or {}), "quantization_config": stated}
    config = parse_config(document)
    if isinstance(config, Diagnostic):
        raise TypeError(f"the catalogue's {known.model} cannot be quantised: {config.message}")
    stores_head = config.tie_word_embeddings and WeightPart.LM_HEAD in known.weights
    return ModelFacts(
        model=model_id,
        config=config,
        weights=weights_from_tensors(tensors_from_config(document, stores_tied_head=stores_head), config),
        provenance=f"derived: {known.model} as {words}, as its name says; bytes computed",
        exact=False,
    )
