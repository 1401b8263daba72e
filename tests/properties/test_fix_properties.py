"""Whatever is wrong with a project: its fixes never make anything worse, and once is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.cli.fixing import fix_files, is_better
from orchestrator.cli.project import check_files

LINES = st.sampled_from(
    [
        "  swap-space: 4 # none",
        "  task: embed",
        "  guided-decoding-backend: xgrammar",
        "  gpu-memory-utilisation: 0.9",
        '  max-model-len: "4096"',
        "  max_model_len: 4096",
        "  max-model-len: 4096",
        "  enable-lora: yes",
        "  served-model-name: &n 2024-01-01",
        "  tokenizer: *n",
        "  max-num-seqs: 1_000",
        "  max-num-seqs: 010",
        "  kv-cache-dtype: FP8",
        "  speculative-model: a/b",
        "  num-speculative-tokens: 5",
        "  limit-mm-per-prompt: {image: 1,}",
        "  # about nothing",
        "",
        "  zzzz: 1",
        "  tp: 2",
        "  {",
        "\t",
    ]
)
HEADS = st.sampled_from(
    ["priority: 0x5", "prioritty: 1", "sharing: Shared", 'port: "8001"', "revision: 12", "port: 80"]
)
RELEASES = st.sampled_from(["0.6.6", "0.8.5", "0.12.0", "0.32.0"])


@st.composite
def files(draw: st.DrawFn) -> dict[str, str]:
    heads = draw(st.lists(HEADS, max_size=3))
    lines = draw(st.lists(LINES, max_size=6))
    service = "\n".join(["service: a", "model: some/model", *heads, "vllm:", "  dtype: auto", *lines, ""])
    deployment = f"project: p\nvllm-release: {draw(RELEASES)}\nservices: [a.yaml]\n"
    end, mark = draw(st.sampled_from(["\n", "\r\n"])), draw(st.sampled_from(["", "\ufeff"]))
    return {"deployment.yaml": deployment, "a.yaml": mark + service.replace("\n", end)}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=files())
def test_fixes_leave_fewer_findings_and_no_new_one_and_once_is_enough(directory: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (directory / name).write_bytes(text.encode())
    paths = [str(directory)]
    before = check_files(paths, with_models=True)
    fixed = fix_files(paths, release=None)
    after = check_files(paths, with_models=True, texts=fixed.texts)
    assert after.report.in_order() == fixed.checked.report.in_order()
    assert bool(fixed.texts) is is_better(before.report, after.report)
    for file, text in fixed.texts.items():
        Path(file).write_bytes(text.encode())
    assert fix_files(paths, release=None).texts == {}
