"""Failures of the Hugging Face hub in our own words: what happened, what to do; never a token."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from orchestrator.adapters.hub_settings import shown_endpoint
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure

_INSTEAD = "or give a directory that holds the model, or a model of the catalogue, and use `--offline`"
_TOKEN = "set HF_TOKEN to a token that may read it, or run `hf auth login`"  # noqa: S105 (advice, not a secret)


class HubAnswerError(Exception):
    """The hub answered, and the answer cannot be used; the message continues `the hub's answer cannot be used: `."""


def foreign_errors() -> tuple[type[Exception], ...]:
    """Everything that huggingface_hub lets through: its own errors, those of its HTTP client, those of sockets."""
    from huggingface_hub import errors  # noqa: PLC0415 (only there where the extra is installed)

    client: Any = import_module("huggingface_hub.utils")
    return (OSError, errors.HFValidationError, client.httpx.HTTPError, client.httpx.InvalidURL)


def translated(error: Exception, *, model: str, revision: str | None, endpoint: str, seconds: float) -> Diagnostic:
    """The finding for what the hub says is not there; raises OutsideFailure for everything else."""
    from huggingface_hub import errors  # noqa: PLC0415

    if isinstance(error, errors.RevisionNotFoundError):
        return _no_such_revision(model, revision)
    if isinstance(error, errors.GatedRepoError):
        raise OutsideFailure(_gated(model)) from None
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return _no_such_model(model, shown_endpoint(endpoint))
    if isinstance(error, errors.EntryNotFoundError):
        return _no_such_file(model)
    if isinstance(error, HubAnswerError):
        raise OutsideFailure(_unusable(model, str(error))) from None
    if isinstance(error, errors.HfHubHTTPError):
        raise OutsideFailure(_refused(model, error.response.status_code)) from None
    raise OutsideFailure(_unreachable(model, shown_endpoint(endpoint), error, seconds)) from None


def _no_such_revision(model: str, revision: str | None) -> Diagnostic:
    return Diagnostic(
        code="E308",
        message=f"the hub's `{model}` has no revision `{revision}`",
        help=("give a branch, a tag or a commit of that model, or leave `revision` out",),
    )


def _no_such_model(model: str, endpoint: str) -> Diagnostic:
    return Diagnostic(
        code="E306",
        message=f"the hub has no model `{model}`",
        notes=(f"asked {endpoint}", "a private model looks the same without a token"),
        help=("write the id as on the hub, `organisation/name`", f"for a private model {_TOKEN}"),
    )


def _no_such_file(model: str) -> Diagnostic:
    return Diagnostic(
        code="E303",
        message=f"a file of `{model}` that is needed (config.json, safetensors) is not on the hub",
        help=("name a model in the transformers format, with config.json and *.safetensors",),
    )


def _gated(model: str) -> Diagnostic:
    return Diagnostic(
        code="E312",
        message=f"the hub does not let you read `{model}`: it is gated",
        help=("accept its terms on its page on the hub", f"then {_TOKEN}"),
    )


def _refused(model: str, status: int) -> Diagnostic:
    if status in {401, 403}:
        return Diagnostic(
            code="E312",
            message=f"the hub refused to show `{model}` (HTTP {status})",
            help=(_TOKEN, "a token that has expired is refused too: try without HF_TOKEN"),
        )
    wait = "wait some minutes and try again" if status == 429 else "try again later"
    said = "asks for fewer requests" if status == 429 else "failed"
    return Diagnostic(
        code="E313",
        message=f"the hub {said} when asked about `{model}` (HTTP {status})",
        help=(wait, _INSTEAD),
    )


def _unusable(model: str, why: str) -> Diagnostic:
    return Diagnostic(
        code="E313",
        message=f"the hub's answer about `{model}` cannot be used: {why}",
        help=("if HF_ENDPOINT names a mirror, try the hub itself", _INSTEAD),
    )


def _unreachable(model: str, endpoint: str, error: Exception, seconds: float) -> Diagnostic:
    name = type(error).__name__
    if name == "OfflineModeIsEnabled":
        why, first = "HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE"
    elif "Timeout" in name:
        why, first = f"no answer within {seconds:g} s", "try again"
    else:
        why, first = f"the connection failed ({name})", "check the network, HTTPS_PROXY and HF_ENDPOINT"
    return Diagnostic(
        code="E311",
        message=f"cannot ask the hub about `{model}`: {why}",
        notes=(f"asked {endpoint}",),
        help=(first, _INSTEAD),
    )
