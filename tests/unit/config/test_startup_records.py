"""Recorded start-ups: every line is read or explained, in one run."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.startup_records import KNOWN_FIELDS, parse_startup_records, source_group
from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.startup import Outcome, StartupFigures, StartupInputs, StartupRecord

WHOLE = {
    "id": "one",
    "source": "github:someone/somewhere#12 (a comment)",
    "vllm_version": "0.19.0",
    "model": "Qwen/Qwen3-8B",
    "quantization": "fp8",
    "dtype": "bfloat16",
    "kv_cache_dtype": "fp8",
    "gpu": "H100 80GB",
    "gpu_count": 2,
    "gpu_total_gib": 79.19,
    "free_gib": 70,
    "tp": 2,
    "pp": 1,
    "dp": 1,
    "gpu_memory_utilization": 0.9,
    "max_model_len": 8192,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 4096,
    "enforce_eager": True,
    "block_size": 16,
    "other_flags": "--enable-lora",
    "inferred": {"vllm_version": ">=0.19"},
    "notes": "a CO-TENANT held 2 GiB",
    "weights_gib": 7.5,
    "activation_peak_gib": 1.5,
    "non_torch_gib": 0.5,
    "cuda_graph_gib": 0.25,
    "available_kv_gib": -1.5,
    "kv_tokens": 100,
    "num_gpu_blocks": 0,
    "max_concurrency": {"tokens": 8192, "x": 1.5},
    "activation_includes_graph_estimate": True,
    "outcome": "refused",
    "error": "no room",
    "confidence": "high",
}


def test_a_whole_record_is_read_with_what_was_asked_apart_from_what_was_printed() -> None:
    records, findings = parse_startup_records("\n" + json.dumps(WHOLE) + "\n", "runs.jsonl")
    assert findings == ()
    assert records == (
        StartupRecord(
            id="one",
            line=2,
            source="github:someone/somewhere#12 (a comment)",
            source_group="someone/somewhere",
            inputs=StartupInputs(
                model="Qwen/Qwen3-8B",
                release="0.19.0",
                release_hint=">=0.19",
                gpu="H100 80GB",
                gpu_total_gib=79.19,
                gpu_count=2,
                free_gib=70.0,
                tensor_parallel_size=2,
                pipeline_parallel_size=1,
                data_parallel_size=1,
                quantization="fp8",
                dtype="bfloat16",
                kv_cache_dtype="fp8",
                gpu_memory_utilization=0.9,
                max_model_len=8192,
                max_num_seqs=64,
                max_num_batched_tokens=4096,
                enforce_eager=True,
                block_size=16,
                other_flags="--enable-lora",
                has_neighbours=True,
            ),
            figures=StartupFigures(
                outcome=Outcome.REFUSED,
                weights_gib=7.5,
                activation_gib=1.5,
                non_torch_gib=0.5,
                graphs_gib=0.25,
                kv_cache_gib=-1.5,
                kv_tokens=100,
                num_gpu_blocks=0,
                concurrency=1.5,
                activation_includes_graphs=True,
                error="no room",
            ),
            confidence="high",
        ),
    )


def test_every_broken_line_and_field_is_found_in_one_run_with_its_line() -> None:
    lines = [
        '{"id": "a", "outcome": "started"',
        "[1]",
        '{"outcome": "started"}',
        '{"id": "b", "outcome": "exploded"}',
        '{"id": "c", "outcome": "oom", "tp": 0, "gpu_total_gib": "24", "enforce_eager": "yes", "model": 7}',
        '{"id": "d", "outcome": "oom", "colour": "red", "available_kv_gib": NaN}',
        '{"id": "d", "outcome": "oom", "colour": "blue"}',
        "null",
        '{"id": "e", "outcome": "oom", "model": {"a": 1}, "dtype": "' + "x" * 60 + '", "kv_tokens": true}',
    ]
    records, findings = parse_startup_records("\n".join(lines), "runs.jsonl")
    assert [record.id for record in records] == ["c", "d", "e"]
    assert [(each.code, each.span.line if each.span else 0, each.message, each.notes[0]) for each in findings] == [
        ("E150", 1, "not a JSON object", "Expecting ',' delimiter"),
        ("E150", 2, "not a JSON object", "found a list"),
        ("E152", 3, "`id` of a recorded start-up is not a text that names the record", "it is missing"),
        ("E152", 4, "`outcome` of a recorded start-up is not one of `started`, `refused`, `oom`", 'found `"exploded"`'),
        ("E151", 5, "`gpu_total_gib` of a recorded start-up is not a number", 'found `"24"`'),
        ("E151", 5, "`tp` of a recorded start-up is not a whole number from 1 upwards", "found `0`"),
        ("E151", 5, "`model` of a recorded start-up is not a text", "found `7`"),
        ("E151", 5, "`enforce_eager` of a recorded start-up is not true or false", 'found `"yes"`'),
        ("E151", 6, "`available_kv_gib` of a recorded start-up is not a number", "found `NaN`"),
        ("E153", 7, "two records are called `d`", "the first is on line 6"),
        ("E150", 8, "not a JSON object", "found null"),
        ("E151", 9, "`model` of a recorded start-up is not a text", "found an object"),
        ("E151", 9, "`kv_tokens` of a recorded start-up is not a whole number from 0 upwards", "found true"),
        (
            "N150",
            6,
            "`colour` is no field of a recorded start-up that is read here",
            "first seen on this line; it is passed over",
        ),
    ]
    assert findings[-1].severity is Severity.NOTE


def test_sources_are_grouped_by_repository_file_or_page() -> None:
    assert source_group("github:a/b#205 (report.md, refs/pull/205/head)") == "a/b"
    assert source_group("github:a/b (log/run.txt), text index id 17") == "file 17"
    assert source_group("https://example.org/page (table 2)") == "https://example.org/page"


@given(st.text(max_size=200))
def test_any_text_gives_records_or_findings_and_never_raises(text: str) -> None:
    records, findings = parse_startup_records(text, "x")
    meaningful = [line for line in text.splitlines() if line.strip()]
    assert len(records) + len(findings) >= len(meaningful) or not meaningful


_VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5) | st.just({}) | st.just([])
)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN_FIELDS)), _VALUES))
def test_any_values_of_known_fields_give_a_record_or_a_finding(fields: dict[str, object]) -> None:
    records, findings = parse_startup_records(json.dumps(fields), "x")
    assert len(records) == 1 or findings
