"""Recorded start-ups, one JSON object a line: text in, records and findings out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.diagnostics import Diagnostic, Severity, Span
from orchestrator.domain.startup import Outcome, StartupFigures, StartupInputs, StartupRecord

_NUMBERS = {
    "gpu_total_gib": "gpu_total_gib",
    "free_gib": "free_gib",
    "gpu_memory_utilization": "gpu_memory_utilization",
}
_COUNTS = {
    "gpu_count": "gpu_count",
    "tp": "tensor_parallel_size",
    "pp": "pipeline_parallel_size",
    "dp": "data_parallel_size",
    "max_model_len": "max_model_len",
    "max_num_seqs": "max_num_seqs",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "block_size": "block_size",
}
_TEXTS = {
    "model": "model",
    "vllm_version": "release",
    "engine": "engine",
    "gpu": "gpu",
    "quantization": "quantization",
    "dtype": "dtype",
    "kv_cache_dtype": "kv_cache_dtype",
    "other_flags": "other_flags",
}
_FIGURES = {
    "weights_gib": "weights_gib",
    "activation_peak_gib": "activation_gib",
    "non_torch_gib": "non_torch_gib",
    "cuda_graph_gib": "graphs_gib",
    "available_kv_gib": "kv_cache_gib",
}
_FIGURE_COUNTS = {"kv_tokens": "kv_tokens", "num_gpu_blocks": "num_gpu_blocks"}
_READ_OTHERWISE = {
    "id", "source", "enforce_eager", "max_concurrency", "outcome", "error", "notes", "confidence", "inferred",
    "activation_includes_graph_estimate",
}  # fmt: skip
_NOT_NEEDED = {"excerpt", "checks"}
KNOWN_FIELDS = frozenset({*_NUMBERS, *_COUNTS, *_TEXTS, *_FIGURES, *_FIGURE_COUNTS, *_READ_OTHERWISE, *_NOT_NEEDED})
_NEIGHBOURS = re.compile(r"co-tenant|two models|two instances|another process|\bbeside\b|2nd instance", re.IGNORECASE)
_GITHUB = re.compile(r"github:([^\s(#,]+)")
_INDEX = re.compile(r"text index id (\d+)")


def parse_startup_records(text: str, file: str) -> tuple[tuple[StartupRecord, ...], tuple[Diagnostic, ...]]:
    """All records that can be read, and findings for all lines that cannot (E150 to E152) or say more (N150).

    Blank lines are skipped. One broken line never hides the others.
    """
    records: list[StartupRecord] = []
    findings: list[Diagnostic] = []
    unknown: dict[str, int] = {}
    first_lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        found = _object(line, file, number)
        if isinstance(found, Diagnostic):
            findings.append(found)
            continue
        reader = _Reader(found, file, number)
        record = reader.record()
        findings.extend(reader.findings)
        for name in sorted(set(found) - KNOWN_FIELDS):
            unknown.setdefault(name, number)
        if record is not None and first_lines.setdefault(record.id, number) != number:
            findings.append(_twice(record, file, first_lines[record.id]))
        elif record is not None:
            records.append(record)
    findings.extend(_unknown_field(name, file, line) for name, line in unknown.items())
    return tuple(records), tuple(findings)


def _object(line: str, file: str, number: int) -> Mapping[str, Any] | Diagnostic:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        column = error.colno if isinstance(error, json.JSONDecodeError) else 1
        said = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply, or a number out of range"
        return _finding("E150", "not a JSON object", _span(file, number, column), note=said)
    if not isinstance(value, dict):
        return _finding("E150", "not a JSON object", _span(file, number), note=f"found {_kind(value)}")
    return value


class _Reader:
    """Reads one object; `findings` says what does not fit, and those fields count as not given."""

    def __init__(self, fields: Mapping[str, Any], file: str, number: int) -> None:
        self._fields = fields
        self._file = file
        self._number = number
        self.findings: list[Diagnostic] = []

    def record(self) -> StartupRecord | None:
        """The record; None when it has no id or no outcome."""
        record_id, outcome = self._text("id"), self._outcome()
        if record_id is None or outcome is None:
            if record_id is None:
                self._wrong("id", "a text that names the record", code="E152")
            return None
        source = self._text("source") or record_id
        return StartupRecord(
            id=record_id,
            line=self._number,
            source=source,
            source_group=source_group(source),
            inputs=self._inputs(),
            figures=self._figures(outcome),
            confidence=self._text("confidence") or "medium",
        )

    def _outcome(self) -> Outcome | None:
        written = self._fields.get("outcome")
        if isinstance(written, str) and written in set(Outcome):
            return Outcome(written)
        self._wrong("outcome", "one of " + ", ".join(f"`{each}`" for each in Outcome), code="E152")
        return None

    def _inputs(self) -> StartupInputs:
        values: dict[str, Any] = {own: self._number_of(name) for name, own in _NUMBERS.items()}
        values |= {own: self._count(name) for name, own in _COUNTS.items()}
        values |= {own: self._text(name) for name, own in _TEXTS.items()}
        values["other_flags"] = values["other_flags"] or ""
        values["enforce_eager"] = self._switch("enforce_eager")
        inferred = self._fields.get("inferred")
        hint = inferred.get("vllm_version") if isinstance(inferred, dict) else None
        values["release_hint"] = hint if isinstance(hint, str) else None
        told = " ".join(
            text for name in ("model", "other_flags", "notes") if isinstance(text := self._fields.get(name), str)
        )
        values["has_neighbours"] = _NEIGHBOURS.search(told) is not None
        return StartupInputs(**values)

    def _figures(self, outcome: Outcome) -> StartupFigures:
        values: dict[str, Any] = {own: self._number_of(name) for name, own in _FIGURES.items()}
        values |= {own: self._count(name, least=0) for name, own in _FIGURE_COUNTS.items()}
        requests = self._fields.get("max_concurrency")
        printed = requests.get("x") if isinstance(requests, dict) else None
        values["concurrency"] = printed if isinstance(printed, int | float) else None
        values["activation_includes_graphs"] = self._switch("activation_includes_graph_estimate") is True
        return StartupFigures(outcome=outcome, error=self._text("error") or "", **values)

    def _text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, str):
            return value or None
        self._wrong(name, "a text")
        return None

    def _switch(self, name: str) -> bool | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, bool):
            return value
        self._wrong(name, "true or false")
        return None

    def _number_of(self, name: str) -> float | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        self._wrong(name, "a number")
        return None

    def _count(self, name: str, least: int = 1) -> int | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        self._wrong(name, f"a whole number from {least} upwards")
        return None

    def _wrong(self, name: str, wanted: str, code: str = "E151") -> None:
        found = f"found {_kind(self._fields[name])}" if name in self._fields else "it is missing"
        message = f"`{name}` of a recorded start-up is not {wanted}"
        self.findings.append(_finding(code, message, _span(self._file, self._number), note=found))


def source_group(source: str) -> str:
    """Where a record was read: a repository with all its threads, a file, a page. What stands there is never split."""
    index = _INDEX.search(source)
    if index is not None:
        return f"file {index[1]}"
    found = _GITHUB.search(source)
    return found[1] if found is not None else source.split(" (", maxsplit=1)[0]


def _unknown_field(name: str, file: str, line: int) -> Diagnostic:
    return Diagnostic(
        code="N150",
        message=f"`{name}` is no field of a recorded start-up that is read here",
        severity=Severity.NOTE,
        span=_span(file, line),
        notes=("first seen on this line; it is passed over",),
    )


def _twice(record: StartupRecord, file: str, first: int) -> Diagnostic:
    return _finding(
        "E153", f"two records are called `{record.id}`", _span(file, record.line), note=f"the first is on line {first}"
    )


_HELP = {
    "E150": "write one JSON object a line",
    "E151": "write it as wanted, or null where it is not known",
    "E152": "write it: a record without it cannot be scored",
    "E153": "give each record an id of its own",
}


def _finding(code: str, message: str, span: Span, *, note: str) -> Diagnostic:
    return Diagnostic(code=code, message=message, span=span, notes=(note,), help=(_HELP[code],))


def _span(file: str, line: int, column: int = 1) -> Span:
    return Span(file=file, line=line, column=column, end_line=line, end_column=column)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}...`"
