"""The facts of a model from wherever they can be had: a directory, the cache, the catalogue, the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from orchestrator.adapters.checkpoint_directory import read_checkpoint_directory
from orchestrator.adapters.files import finding_of, why_not
from orchestrator.adapters.hub import read_hub
from orchestrator.adapters.hub_cache import cache_directory, cached_snapshot
from orchestrator.catalog.derived_models import derive_model
from orchestrator.catalog.models import find_model, known_models, similar_models
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure
from orchestrator.domain.model_config import ModelFacts

_PATH_STARTS = ("/", ".", "~")
_TRUE = {"1", "on", "yes", "true"}


def find_model_facts(
    model: str,
    revision: str | None,
    *,
    offline: bool,
    base_directory: Path,
    environment: Mapping[str, str] | None = None,
) -> ModelFacts | Diagnostic:
    """What is known of a model. `environment` stands for the process's own (HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE).

    A model written as a path (from `/`, `.` or `~`), or a directory under `base_directory`, is read there. Else the
    Hugging Face cache is asked for the revision, then the catalogue, then the hub; where that cannot be asked
    (`offline`) or fails, a name that is that of a known model in another form is taken at its word. Whatever cannot
    check an explicit revision says so in its provenance. OutsideFailure when the hub fails and the name says nothing;
    E306 for an unknown model.
    """
    variables = os.environ if environment is None else environment
    directory = _local_directory(model, base_directory)
    if directory is not None:
        return _from_directory(directory, model, revision)
    cached = _from_cache(model, revision, variables)
    if cached is not None and cached.exact:
        return cached
    known = find_model(model)
    if known is not None:
        return _unchecked(known, revision)
    is_offline = offline or variables.get("HF_HUB_OFFLINE", "").lower() in _TRUE
    if is_offline or not _looks_like_an_id(model) or not _has_hub_extra():
        derived = None if cached is not None else derive_model(model)
        if derived is not None:
            return _unchecked(derived, revision)
        return cached or _unknown(model, is_offline=is_offline)
    return _from_hub(model, revision)


def _from_hub(model: str, revision: str | None) -> ModelFacts | Diagnostic:
    """What the hub says; where it has no answer, the models of the catalogue that are alike are named too."""
    try:
        facts = read_hub(model, revision)
    except OutsideFailure as failure:
        derived = derive_model(model)
        if derived is None:
            raise OutsideFailure(_with_similar(failure.finding, model)) from failure
        return _unchecked(replace(derived, provenance=f"{derived.provenance}; the hub did not answer"), revision)
    unknown = isinstance(facts, Diagnostic) and facts.code == "E306"
    return _with_similar(facts, model) if unknown and isinstance(facts, Diagnostic) else facts


def _with_similar(finding: Diagnostic, model: str) -> Diagnostic:
    near = similar_models(model)
    return replace(finding, help=(_did_you_mean(near), *finding.help)) if near else finding


def _did_you_mean(names: tuple[str, ...]) -> str:
    return "did you mean " + " or ".join(f"`{each}`" for each in names) + "?"


def names_a_directory(model: str, base_directory: Path) -> bool:
    """Whether a model, as written, means a directory and no hub id."""
    return _local_directory(model, base_directory) is not None


def _local_directory(model: str, base_directory: Path) -> Path | None:
    """The directory that a model names, if it names one."""
    if "\0" in model:
        return None
    written = Path(model)
    if model.startswith("~"):
        try:
            written = written.expanduser()
        except RuntimeError:
            return written
    path = base_directory / written
    if model.startswith(_PATH_STARTS):
        return path
    try:
        return path if path.is_dir() else None
    except PermissionError:
        return path
    except OSError:
        return None


def _from_directory(directory: Path, model: str, revision: str | None) -> ModelFacts | Diagnostic:
    try:
        is_there = directory.is_dir()
    except PermissionError as error:
        return replace(finding_of(why_not(directory, error), str(directory)), span=None)
    except OSError:
        is_there = False
    if not is_there:
        return Diagnostic(
            code="E307",
            message=f"there is no directory `{model}` to read a model from",
            notes=(f"looked at {directory}",),
            help=(
                "give the path of a directory with a config.json and *.safetensors, or a hub id such as"
                f" `{known_models()[0]}`",
            ),
        )
    facts = read_checkpoint_directory(directory, model)
    return facts if isinstance(facts, Diagnostic) else _unchecked(facts, revision)


def _from_cache(model: str, revision: str | None, environment: Mapping[str, str]) -> ModelFacts | None:
    """Facts from the cache. A snapshot with missing or broken files counts as none; one without weights is inexact."""
    if not _looks_like_an_id(model):
        return None
    found = cached_snapshot(cache_directory(environment), model, revision)
    if found is None:
        return None
    snapshot, commit = found
    facts = read_checkpoint_directory(snapshot, model, commit)
    return None if isinstance(facts, Diagnostic) else facts


def _unchecked(facts: ModelFacts, revision: str | None) -> ModelFacts:
    if revision is None:
        return facts
    return replace(facts, provenance=f"{facts.provenance}; revision `{revision}` was not checked")


def _looks_like_an_id(model: str) -> bool:
    parts = model.split("/")
    return len(parts) <= 2 and all(part.strip(".") and not set(part) & set("\\\0 :?#") for part in parts)


def _has_hub_extra() -> bool:
    return find_spec("huggingface_hub") is not None


def _unknown(model: str, *, is_offline: bool) -> Diagnostic:
    near = similar_models(model)
    ask = "ask the hub: run again without `--offline` and without HF_HUB_OFFLINE"
    install = "install the hub extra, `pip install 'orchestrate-vllm[hub]'`, to ask the hub about it"
    return Diagnostic(
        code="E306",
        message=f"nothing is known about the model `{model}`",
        notes=(f"it is neither in the Hugging Face cache nor among the {len(known_models())} models of the catalogue",),
        help=(
            *((_did_you_mean(near),) if near else ()),
            "give the path of a directory with its config.json and *.safetensors",
            *((ask if is_offline else install,) if _looks_like_an_id(model) else ()),
        ),
    )
