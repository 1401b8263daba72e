"""A record's prediction from its inputs alone: over every release and card that it may be of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from orchestrator.domain.model_config import LayerKind, ModelFacts
from orchestrator.domain.plan import Footprint, MemoryTerm, Prediction, Term, Verdict
from orchestrator.domain.profile import FlagValue, Requirements
from orchestrator.domain.release import Release
from orchestrator.domain.startup import StartupInputs
from orchestrator.domain.units import GIB, ZERO_BYTES, ByteRange, total
from orchestrator.engine.memory_rules import Sampler, memory_rules
from orchestrator.engine.settings import EngineSettings, resolve_settings
from orchestrator.memory.constants import CONSTANTS, Constants
from orchestrator.memory.footprint import footprint
from orchestrator.memory.prediction import budget_bytes, predict
from orchestrator.scoring.record_flags import names_an_image, recorded_flags
from orchestrator.scoring.record_gpu import PossibleGpu, possible_gpus
from orchestrator.scoring.record_release import possible_releases

_ENVIRONMENT_OF_ENGINE = {"V0": {"VLLM_USE_V1": "0"}}
SCORED_TERMS = (Term.WEIGHTS, Term.ACTIVATION, Term.NON_TORCH, Term.CUDA_GRAPHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One reading of a record: a release, a card, and what follows from them."""

    release: Release
    gpu: PossibleGpu
    settings: EngineSettings
    footprint: Footprint
    prediction: Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A record's prediction. Over several readings, intervals hold all of them and expectations are the median.

    `terms` has the terms as vLLM prints them, in bytes; all is per worker.
    """

    facts: ModelFacts
    terms: Mapping[Term, ByteRange]
    variants: tuple[Variant, ...]
    budget: ByteRange
    kv_cache: ByteRange
    kv_tokens: tuple[int, int, int]
    verdict: Verdict
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_quantized(self) -> bool:
        """Quantised in the checkpoint, or while loading."""
        online = any(variant.settings.online_quantization for variant in self.variants)
        return self.facts.config.quantization is not None or online

    @property
    def kind_of_model(self) -> str:
        """What its layers remember with, and whether experts share the work."""
        config = self.facts.config
        kinds = {group.kind for group in config.layers}
        words = "one kind of attention" if len(kinds) == 1 else "hybrid"
        if LayerKind.LATENT_ATTENTION in kinds:
            words = "latent attention"
        return words + (", experts" if config.moe is not None else "")

    @property
    def releases(self) -> tuple[Release, ...]:
        return tuple(sorted({variant.release for variant in self.variants}))


def price(inputs: StartupInputs, facts: ModelFacts, constants: Constants = CONSTANTS) -> Price | str:
    """The prediction, or the reason why there is none."""
    releases = possible_releases(inputs, facts.config.architecture)
    if isinstance(releases, str):
        return releases
    gpus = possible_gpus(inputs)
    if isinstance(gpus, str):
        return gpus
    flags = recorded_flags(inputs, facts)
    reader = _Reader(flags=flags, inputs=inputs, facts=facts, constants=constants)
    variants = tuple(
        reader.variant(release, gpu, has_flashinfer=has_flashinfer)
        for release in _unlike(releases)
        for gpu in gpus
        for has_flashinfer in _installations(release, inputs)
    )
    return _merged(variants, inputs, facts)


def _unlike(releases: Sequence[Release]) -> tuple[Release, ...]:
    """One release of each epoch of memory rules: within an epoch nothing that is priced differs."""
    return tuple({memory_rules(release).since: release for release in releases}.values())


def _installations(release: Release, inputs: StartupInputs) -> tuple[bool, ...]:
    """With FlashInfer and without, where that matters and the record does not say."""
    matters = memory_rules(release).sampler is Sampler.FLASHINFER_IF_INSTALLED and inputs.engine != "V0"
    return (False, True) if matters and not names_an_image(inputs.other_flags) else (True,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """What is the same in all readings of a record."""

    flags: Mapping[str, FlagValue]
    inputs: StartupInputs
    facts: ModelFacts
    constants: Constants

    def variant(self, release: Release, gpu: PossibleGpu, *, has_flashinfer: bool) -> Variant:
        settings = resolve_settings(
            vllm=self.flags,
            release=release,
            facts=self.facts,
            gpu=gpu.gpu,
            environment=_ENVIRONMENT_OF_ENGINE.get(self.inputs.engine or "", {}),
            has_flashinfer=has_flashinfer,
        )
        taken = footprint(
            settings=settings,
            facts=self.facts,
            gpu=gpu.gpu,
            requirements=Requirements(),
            constants=self.constants,
        )
        taken = replace(taken, cuda_total=gpu.cuda_total)
        free = gpu.gpu.total_bytes if self.inputs.free_gib is None else int(self.inputs.free_gib * GIB)
        prediction = predict(taken, settings.gpu_memory_utilization, free)
        return Variant(release=release, gpu=gpu, settings=settings, footprint=taken, prediction=prediction)


def _merged(variants: tuple[Variant, ...], inputs: StartupInputs, facts: ModelFacts) -> Price:
    verdicts = {variant.prediction.verdict for variant in variants}
    tokens = [variant.prediction.kv_tokens for variant in variants]
    return Price(
        facts=facts,
        terms={term: _hull(_printed(variant.footprint.terms, term) for variant in variants) for term in SCORED_TERMS},
        variants=variants,
        budget=_hull(budget_bytes(each.footprint, each.settings.gpu_memory_utilization) for each in variants),
        kv_cache=_hull(variant.prediction.kv_cache for variant in variants),
        kv_tokens=(
            min(each[0] for each in tokens),
            median_low(each[1] for each in tokens),
            max(each[2] for each in tokens),
        ),
        verdict=verdicts.pop() if len(verdicts) == 1 else Verdict.TOO_CLOSE,
        reason=next((variant.prediction.reason for variant in variants if variant.prediction.reason), ""),
        notes=tuple(_notes(variants, inputs)),
    )


def _notes(variants: Sequence[Variant], inputs: StartupInputs) -> Iterable[str]:
    releases = sorted({variant.release for variant in variants})
    if inputs.release is None and len(releases) > 1:
        yield f"no release is given: priced for all from {releases[0]} to {releases[-1]}"
    elif len(releases) > 1:
        yield f"`{inputs.release}` is like {releases[0]} or {releases[-1]}"
    names = sorted({variant.gpu.gpu.name for variant in variants})
    if len(names) > 1:
        yield f"`{inputs.gpu}` may be {', '.join(names)}"
    if inputs.gpu_memory_utilization is None:
        yield "no `gpu-memory-utilization` is given: the release's default"
    if inputs.has_neighbours and inputs.free_gib is None:
        yield "other processes held memory of this GPU; how much is not recorded"


def _printed(terms: Iterable[MemoryTerm], term: Term) -> ByteRange:
    """What vLLM prints under a term: what counts in the budget, and CUDA graphs wherever they count."""
    return total(each.size for each in terms if each.term is term and (each.in_budget or term is Term.CUDA_GRAPHS))


def _hull(ranges: Iterable[ByteRange]) -> ByteRange:
    """From the least low to the greatest high, with the median of what is expected."""
    found = list(ranges)
    if not found:
        return ZERO_BYTES
    expected = median_low(each.expected for each in found)
    return ByteRange(min(each.low for each in found), expected, max(each.high for each in found))
