"""The constants of the memory model, fitted again from records, and the check that leaves whole sources out.

A parameter starts from its prior, which reasoning gives. Its expectation is the median of what each source says, with
the prior as one source more, and its interval is drawn from the prior's bounds to what records show, the more sources
agree the closer. What lies far outside the prior tells of something else and is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from orchestrator.domain.model_config import ModelConfig, ModelFacts
from orchestrator.domain.plan import Term
from orchestrator.domain.startup import StartupFigures, StartupRecord
from orchestrator.domain.units import GIB, MIB
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.activation import (
    experts_bytes,
    experts_parameter,
    forward_bytes,
    hidden_bytes,
    sampled_logits,
    vision_bytes,
    vision_parameter,
)
from orchestrator.memory.constants import (
    FORWARD,
    GRAPH_BASE,
    GRAPH_EACH_ACTUAL,
    GRAPH_RANKS_FACTOR,
    PARAMETERS,
    Constants,
    Parameter,
    Scale,
    sampler_parameter,
)
from orchestrator.memory.context import fabric, non_torch_name, non_torch_unit
from orchestrator.memory.graphs import captured_parameter
from orchestrator.scoring.pricing import Price, Variant, price
from orchestrator.scoring.report import FindModel

_FAR = 1.5
_CLEARLY = 1.1

PRIORS: Constants = {parameter.name: parameter.prior for parameter in PARAMETERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one record says about one parameter, in the parameter's unit."""

    parameter: str
    value: float
    source_group: str


def samples(records: Iterable[StartupRecord], find_model: FindModel) -> tuple[Sample, ...]:
    """All that the printed terms of records say; a record whose release or card is open says nothing."""
    return tuple(sample for record in records for sample in _of_record(record, find_model))


def fit(found: Iterable[Sample], parameters: Sequence[Parameter] = PARAMETERS) -> Constants:
    """Constants from samples; a parameter without any keeps its prior."""
    by_name: dict[str, list[Sample]] = {}
    for sample in found:
        by_name.setdefault(sample.parameter, []).append(sample)
    return {each.name: _scale(each, by_name.get(each.name, [])) for each in parameters}


def constants_without_each_source(records: Sequence[StartupRecord], find_model: FindModel) -> Mapping[str, Constants]:
    """For each group of sources, the constants that all the others give."""
    found = samples(records, find_model)
    groups = sorted({record.source_group for record in records})
    return {group: fit(each for each in found if each.source_group != group) for group in groups}


def _scale(parameter: Parameter, found: Sequence[Sample]) -> Scale:
    prior = parameter.prior
    near = [sample for sample in found if prior.low / _FAR <= sample.value <= prior.high * _FAR]
    if not near:
        return prior
    values = sorted(sample.value for sample in near)
    by_source: dict[str, list[float]] = {}
    for sample in near:
        by_source.setdefault(sample.source_group, []).append(sample.value)
    share = 1 / (1 + len(by_source))
    low = values[0] + min(0.0, prior.low - values[0]) * share
    high = values[-1] + max(0.0, prior.high - values[-1]) * share
    if parameter.is_either:
        return Scale(low=min(low, prior.low), expected=prior.expected, high=max(prior.expected, high))
    expected = median([prior.expected, *(median(said) for said in by_source.values())])
    return Scale(low=min(low, expected), expected=expected, high=max(high, expected))


def _of_record(record: StartupRecord, find_model: FindModel) -> Iterator[Sample]:
    facts = None if record.inputs.model is None else find_model(record.inputs.model)
    if facts is None or record.inputs.has_neighbours:
        return
    priced = price(record.inputs, facts, PRIORS)
    if isinstance(priced, str) or len(priced.variants) > 1:
        return
    told = (
        _non_torch(record.figures, priced.variants[0]),
        _activation(record.figures, priced, facts),
        _graphs(record.figures, priced.variants[0], facts),
    )
    for name, value in (each for each in told if each is not None):
        if value > 0:
            yield Sample(parameter=name, value=value, source_group=record.source_group)


def _non_torch(printed: StartupFigures, variant: Variant) -> tuple[str, float] | None:
    if printed.non_torch_gib is None:
        return None
    between = fabric(variant.settings, variant.gpu.gpu)
    amount = non_torch_unit(between, variant.settings)
    return non_torch_name(between, variant.release), printed.non_torch_gib * GIB / amount


def _graphs(printed: StartupFigures, variant: Variant, facts: ModelFacts) -> tuple[str, float] | None:
    count = variant.settings.graphs.count
    if printed.graphs_gib is None or not count:
        return None
    name = captured_parameter(facts.config)
    several = name == GRAPH_EACH_ACTUAL and variant.settings.tensor_parallel_size > 1
    each = (printed.graphs_gib * GIB / MIB - PRIORS[GRAPH_BASE].expected) / count
    return name, each / GRAPH_RANKS_FACTOR if several else each


def _activation(printed: StartupFigures, priced: Price, facts: ModelFacts) -> tuple[str, float] | None:
    """The peak as printed, else what is left between the budget, the weights and the KV cache."""
    settings, config = priced.variants[0].settings, facts.config
    peak = _peak(printed, priced, is_plain=config.moe is None and not config.is_multimodal)
    if peak is None:
        return None
    forward = forward_bytes(settings, config)
    hidden = hidden_bytes(settings, config)
    if settings.pipeline_parallel_size > 1:
        return FORWARD, (peak - 2 * hidden) / forward
    logits = sampled_logits(settings, config)
    sampler = sampler_parameter(settings.sampler)
    sampling = hidden + PRIORS[sampler].expected * logits
    dense = max(PRIORS[FORWARD].expected * forward, sampling)
    if config.is_multimodal and settings.profiles_vision:
        return _vision(settings, config, peak, dense)
    if config.moe is not None:
        return experts_parameter(config), (peak - dense) / experts_bytes(settings, config)
    return (sampler, (peak - hidden) / logits) if sampling >= dense and logits else (FORWARD, peak / forward)


def _vision(settings: EngineSettings, config: ModelConfig, peak: float, dense: float) -> tuple[str, float] | None:
    """What the encoder took; nothing is told of it where the language model alone may have made the peak."""
    name = vision_parameter(settings, config)
    if config.vision is None:
        return (name, (peak - dense) / GIB) if config.moe is None else None
    above = dense + PRIORS[experts_parameter(config)].high * experts_bytes(settings, config)
    return (name, peak / vision_bytes(settings, config)) if peak > above * _CLEARLY else None


def _peak(printed: StartupFigures, priced: Price, *, is_plain: bool) -> float | None:
    if printed.activation_gib is not None and not printed.activation_includes_graphs:
        return printed.activation_gib * GIB
    settings = priced.variants[0].settings
    is_alone = settings.tensor_parallel_size == settings.pipeline_parallel_size == 1
    if not is_plain or not is_alone or printed.weights_gib is None or printed.kv_cache_gib is None:
        return None
    beside = sum(
        term.size.expected
        for term in priced.variants[0].footprint.terms
        if term.in_budget and term.term not in (Term.WEIGHTS, Term.ACTIVATION)
    )
    return priced.budget.expected - (printed.weights_gib + printed.kv_cache_gib) * GIB - beside
