"""Memory of the CUDA graphs: reserved inside the budget in some releases, taken on top of it in the others."""

from __future__ import annotations

from orchestrator.domain.model_config import LayerKind, ModelConfig
from orchestrator.domain.plan import MemoryTerm, Term
from orchestrator.domain.units import MIB, ZERO_BYTES, ByteRange
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.constants import (
    CONSTANTS,
    GRAPH_BASE,
    GRAPH_EACH,
    GRAPH_EACH_ACTUAL,
    GRAPH_EACH_ACTUAL_LARGE,
    GRAPH_RANKS_FACTOR,
    Constants,
)


def graphs_term(settings: EngineSettings, config: ModelConfig, constants: Constants = CONSTANTS) -> MemoryTerm:
    """The estimate that vLLM subtracts, or what the capture really takes where the release does not reserve it."""
    reserved = settings.rules.reserves_graphs(settings.uses_v2_runner)
    count = settings.graphs.count
    if count == 0:
        return MemoryTerm(term=Term.CUDA_GRAPHS, size=ZERO_BYTES, in_budget=reserved, source="no graphs are captured")
    each = constants[GRAPH_EACH if reserved else captured_parameter(config)].of(MIB)
    plain = captured_parameter(config) == GRAPH_EACH_ACTUAL
    more = GRAPH_RANKS_FACTOR if plain and settings.tensor_parallel_size > 1 else 1.0
    size = constants[GRAPH_BASE].of(MIB) + ByteRange(
        each.low * count, each.expected * count, int(each.high * count * more)
    )
    forms = f"{settings.graphs.piecewise} piecewise and {settings.graphs.full} full graphs"
    where = "reserved in the budget" if reserved else "not reserved by this release"
    return MemoryTerm(term=Term.CUDA_GRAPHS, size=size, in_budget=reserved, source=f"{forms}, {where}")


def captured_parameter(config: ModelConfig) -> str:
    """The parameter of one captured graph: those of experts and of recurrent layers may be larger."""
    recurrent = any(group.kind is LayerKind.LINEAR_ATTENTION for group in config.layers)
    return GRAPH_EACH_ACTUAL_LARGE if recurrent or config.moe is not None else GRAPH_EACH_ACTUAL
