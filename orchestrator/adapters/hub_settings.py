"""What huggingface_hub is set to by the environment, looked at before it acts on it."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from importlib import import_module
from urllib.parse import urlsplit

from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure

_WITHOUT = "or give a directory that holds the model, or a model of the catalogue, and use `--offline`"


def check_endpoint(model: str, endpoint: str | None) -> None:
    """Raises OutsideFailure (E311) when `endpoint`, else HF_ENDPOINT, is no address that can be asked."""
    address = os.environ.get("HF_ENDPOINT") if endpoint is None else endpoint
    wrong = None if address is None else _wrong_with(address)
    if address is None or wrong is None:
        return
    raise OutsideFailure(
        Diagnostic(
            code="E311",
            message=f"cannot ask the hub about `{model}`: HF_ENDPOINT is no address of a hub",
            notes=(f"HF_ENDPOINT is `{shown_endpoint(address)}`: {wrong}",),
            help=("unset HF_ENDPOINT, or set it to an address such as `https://huggingface.co`", _WITHOUT),
        )
    )


def _wrong_with(address: str) -> str | None:
    if not address.isascii() or not address.isprintable() or " " in address:
        return "it has characters that no address has"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        return str(error)[:1].lower() + str(error)[1:]
    if parts.scheme not in {"http", "https"}:
        return "it does not begin with `https://` or `http://`"
    return "it names no host" if not parts.hostname or port == 0 else None


def shown_endpoint(address: str) -> str:
    """The scheme, host and port of an address; what may hold a credential (user, path, query) is left out."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address.rpartition("@")[2].split("/")[0][:80]
    host = rest.split("/")[0].split("?")[0].split("#")[0].rpartition("@")[2]
    return f"{scheme[:20]}://{host[:200]}"


def import_huggingface_hub(model: str) -> None:
    """Imports what is needed of it, in silence: it prints on stdout why it fails.

    Raises OutsideFailure (E311) when it does not accept its settings; ImportError when it is not there.
    """
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            import_module("huggingface_hub.hf_api")
    except (ValueError, OSError) as error:
        raise OutsideFailure(_settings_refused(model, error)) from error


def _settings_refused(model: str, error: Exception) -> Diagnostic:
    return Diagnostic(
        code="E311",
        message=f"cannot ask the hub about `{model}`: huggingface_hub does not accept its settings",
        notes=(f"it says: {error}",),
        help=("look through the variables whose names begin with HF_, and unset the one that is wrong", _WITHOUT),
    )


def check_token(model: str, token: str | None) -> None:
    """Raises OutsideFailure (E312) when the token that would be sent has characters that cannot be."""
    if token is None or (token.isascii() and token.isprintable() and " " not in token):
        return
    raise OutsideFailure(
        Diagnostic(
            code="E312",
            message=f"cannot ask the hub about `{model}`: the token has characters that no token has",
            notes=("nothing was sent",),
            help=(
                "set HF_TOKEN to a token as the hub shows it, or unset it and run `hf auth login`",
                "or unset it: public models need none",
            ),
        )
    )
