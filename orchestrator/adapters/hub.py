"""The Hugging Face hub (or a mirror: HF_ENDPOINT): config.json and safetensors headers of a model by range requests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.adapters.checkpoint_directory import CONFIG, INDEX, MOST_JSON_BYTES, QUANTIZATION, files_missing
from orchestrator.adapters.hub_failures import HubAnswerError, foreign_errors, translated
from orchestrator.adapters.hub_settings import check_endpoint, check_token, import_huggingface_hub
from orchestrator.catalog.architecture import parse_config
from orchestrator.catalog.checkpoint import weights_from_tensors
from orchestrator.catalog.completeness import missing_files, shortfall
from orchestrator.catalog.safetensors import PREFIX_BYTES, StoredTensor, header_length, read_header
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure
from orchestrator.domain.model_config import ModelFacts

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT_SECONDS = 10.0
_FIRST_BYTES = 128 * 1024
"""Asked for at first: the headers of most files are shorter, so one request is enough."""
_FETCHES_AT_ONCE = 8
_TOTAL = re.compile(r"bytes \d{1,19}-\d{1,19}/(\d{1,19})", re.ASCII)


def read_hub(
    model: str, revision: str | None, *, endpoint: str | None = None, timeout_seconds: float = TIMEOUT_SECONDS
) -> ModelFacts | Diagnostic:
    """The facts of a model on the hub; endpoint and token come by huggingface_hub's own rules unless given.

    What the hub knows not to be there (model, revision, config, safetensors) is a Diagnostic; OutsideFailure when the
    extra is missing (E310), the hub cannot be reached (E311), refuses (E312), or answers what cannot be used (E313).
    """
    check_endpoint(model, endpoint)
    try:
        import_huggingface_hub(model)
        from huggingface_hub import HfApi, get_token  # noqa: PLC0415 (the extra may be missing, and it is heavy)

        foreign: tuple[type[Exception], ...] = (HubAnswerError, *foreign_errors())
    except (ImportError, AttributeError) as error:  # AttributeError: older than 1.0
        raise OutsideFailure(_extra_is_missing(model)) from error
    check_token(model, get_token())
    api = HfApi(endpoint=endpoint, library_name="orchestrate-vllm")
    try:
        return _Repository(api, model, revision, timeout_seconds).read()
    except foreign as error:
        return translated(error, model=model, revision=revision, endpoint=api.endpoint, seconds=timeout_seconds)


def _extra_is_missing(model: str) -> Diagnostic:
    return Diagnostic(
        code="E310",
        message=f"cannot ask the hub about `{model}`: the `hub` extra is not installed or too old",
        help=(
            "install it with `pip install --upgrade 'orchestrate-vllm[hub]'`",
            "or give a directory that holds the model",
        ),
    )


class _Repository:
    """One model of the hub at one commit."""

    def __init__(self, api: HfApi, model: str, revision: str | None, timeout_seconds: float) -> None:
        self._api = api
        self._model = model
        self._revision = revision
        self._timeout = timeout_seconds

    def read(self) -> ModelFacts | Diagnostic:
        names = self._look_up()
        document = self._config(names)
        config = parse_config(document)
        if isinstance(config, Diagnostic):
            return config
        files = self._weight_files(names)
        if not files:
            return self._no_safetensors()
        if INDEX not in names and (missing := missing_files(files)):
            return self._incomplete(files_missing(missing))
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (heavy for who only asks the catalogue)

        with ThreadPoolExecutor(max_workers=_FETCHES_AT_ONCE) as pool:
            tensors = [tensor for found in pool.map(self._tensors, files) for tensor in found]
        if too_little := shortfall(tensors, document, config):
            return self._incomplete(too_little)
        return ModelFacts(
            model=self._model,
            config=config,
            weights=weights_from_tensors(tensors, config),
            provenance=f"safetensors headers of {self._model} on the hub",
            revision=self._revision,
            exact=True,
        )

    def _look_up(self) -> frozenset[str]:
        """The names of the files; from here on everything is read at the one commit that the revision means now."""
        try:
            found = self._api.model_info(self._model, revision=self._revision, timeout=self._timeout)
        except foreign_errors():
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise HubAnswerError("it does not describe the model as a hub does") from error
        self._revision = found.sha or self._revision
        return frozenset(sibling.rfilename for sibling in found.siblings or ())

    def _config(self, names: frozenset[str]) -> Mapping[str, object]:
        document = self._object(CONFIG)
        if document.get("quantization_config") is None and QUANTIZATION in names:
            return {**document, "quantization_config": self._object(QUANTIZATION)}
        return document

    def _weight_files(self, names: frozenset[str]) -> tuple[str, ...]:
        """The files that vLLM loads: those of the index, else all at the top."""
        if INDEX not in names:
            return tuple(sorted(name for name in names if name.endswith(".safetensors") and "/" not in name))
        weight_map = self._object(INDEX).get("weight_map")
        if not isinstance(weight_map, Mapping):
            raise HubAnswerError(f"its {INDEX} has no `weight_map`")
        return tuple(sorted({str(name) for name in weight_map.values()}))

    def _object(self, name: str) -> dict[str, object]:
        data, _ = self._bytes(name, 0, MOST_JSON_BYTES)
        try:
            document = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise HubAnswerError(f"its {name} is not JSON") from error
        if not isinstance(document, dict):
            raise HubAnswerError(f"its {name} is not a JSON object")
        return document

    def _tensors(self, name: str) -> tuple[StoredTensor, ...]:
        first, size = self._bytes(name, 0, _FIRST_BYTES)
        if size is None:
            raise HubAnswerError("it does not say how long its files are")
        length = header_length(first[:PREFIX_BYTES], size)
        if isinstance(length, str):
            raise HubAnswerError(f"its {name} cannot be used: {length}")
        header = first[PREFIX_BYTES : PREFIX_BYTES + length]
        if len(header) < length:
            header += self._bytes(name, len(first), PREFIX_BYTES + length - len(first))[0]
        tensors = read_header(header, size - PREFIX_BYTES - length)
        if isinstance(tensors, str):
            raise HubAnswerError(f"its {name} cannot be used: {tensors}")
        return tensors

    def _bytes(self, name: str, begin: int, count: int) -> tuple[bytes, int | None]:
        """At most `count` bytes of a file from `begin`, and the length of the file where it is told.

        Reading stops at `count` even where the server sends more (one that ignores ranges sends the whole payload).
        """
        import huggingface_hub  # noqa: PLC0415

        library: Any = huggingface_hub.utils

        url = huggingface_hub.hf_hub_url(self._model, name, revision=self._revision, endpoint=self._api.endpoint)
        headers = dict(library.build_hf_headers(token=self._api.token, library_name="orchestrate-vllm"))
        headers |= {"Range": f"bytes={begin}-{begin + count - 1}", "Accept-Encoding": "identity"}
        with library.get_session().stream(
            "GET", url, headers=headers, timeout=self._timeout, follow_redirects=True
        ) as answer:
            if answer.status_code >= 400:
                answer.read()
            library.hf_raise_for_status(answer)
            skipped = 0 if answer.status_code == 206 else begin
            data = bytearray()
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) >= skipped + count:
                    break
            return bytes(data[skipped : skipped + count]), _length(answer.headers)

    def _incomplete(self, why: str) -> Diagnostic:
        return Diagnostic(
            code="E304",
            message=f"the hub's `{self._model}` is not complete: {why}",
            notes=(f"looked at revision {self._revision} on the hub",),
            help=("tell its publisher, or name another model or revision",),
        )

    def _no_safetensors(self) -> Diagnostic:
        return Diagnostic(
            code="E305",
            message=f"`{self._model}` holds no *.safetensors, whose headers tell the bytes of each weight",
            notes=(f"looked at revision {self._revision} on the hub",),
            help=("name a model that is published as safetensors",),
        )


def _length(headers: Mapping[str, str]) -> int | None:
    """The length of the whole file, from the headers of a full or a partial answer, where they tell it."""
    ranged = _TOTAL.fullmatch(headers.get("content-range", ""))
    if ranged is not None:
        return int(ranged[1])
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
