"""What one worker of a service takes on one kind of GPU, term by term, and how its KV cache is laid out."""

from __future__ import annotations

from orchestrator.catalog.gpus import cuda_total_bytes
from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Footprint, KvCacheLayout, MemoryTerm
from orchestrator.domain.profile import Requirements
from orchestrator.engine.settings import EngineSettings
from orchestrator.memory.activation import activation_term, sampling_buffers_term, slack_term
from orchestrator.memory.constants import CONSTANTS, Constants
from orchestrator.memory.context import context_term, late_term, non_torch_term
from orchestrator.memory.graphs import graphs_term
from orchestrator.memory.kv_cache import kv_layout
from orchestrator.memory.lora import lora_term
from orchestrator.memory.weights import weights_term


def footprint(
    *,
    settings: EngineSettings,
    facts: ModelFacts,
    gpu: Gpu,
    requirements: Requirements,
    constants: Constants = CONSTANTS,
) -> Footprint:
    """The memory of one rank on a GPU like `gpu`.

    `kv_required_bytes` covers at least one request of max-model-len, as vLLM demands; where vLLM may shorten
    max-model-len itself (`auto`), it covers one token. `constants` stands in for the measured ones (calibration).
    """
    layout = kv_layout(settings, facts.config)
    tokens = 1 if settings.auto_max_model_len else settings.max_model_len
    return Footprint(
        cuda_total=cuda_total_bytes(gpu),
        terms=_terms(settings, facts, gpu, constants),
        kv=layout,
        max_model_len=settings.max_model_len,
        kv_required_bytes=layout.bytes_for(tokens, max(1.0, requirements.full_length_requests)),
        fixed_kv_bytes=_fixed_kv_bytes(settings, layout),
        release=settings.release,
        fits_any_length=settings.auto_max_model_len,
        longest_priced_len=settings.max_model_len if settings.tokens_follow_length else None,
    )


def _fixed_kv_bytes(settings: EngineSettings, layout: KvCacheLayout) -> int | None:
    """The KV cache where its size does not follow from what is left: a number of blocks wins over a number of bytes."""
    blocks = settings.num_gpu_blocks_override
    return settings.kv_cache_memory_bytes if blocks is None else blocks * layout.block_bytes


def _terms(settings: EngineSettings, facts: ModelFacts, gpu: Gpu, constants: Constants) -> tuple[MemoryTerm, ...]:
    config = facts.config
    activation = activation_term(settings, config, constants)
    terms = (
        weights_term(settings, facts, gpu),
        lora_term(settings, config),
        activation,
        slack_term(activation),
        graphs_term(settings, config, constants),
        non_torch_term(settings, gpu, constants),
        sampling_buffers_term(settings, config),
        context_term(settings, gpu),
        late_term(settings, gpu),
    )
    return tuple(term for term in terms if term.size.high > 0)
