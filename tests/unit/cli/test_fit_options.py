"""Lines of a profile in a help line, as options of `fit`."""

from __future__ import annotations

import pytest

from orchestrator.cli.views.fit_options import as_options


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("`max-model-len: 8192` surely starts", "`--max-model-len 8192` surely starts"),
        ("write `tensor-parallel-size: 2`", "write `--gpu 2xRTX-4090`"),
        ("write `dtype: half`", "write `--set dtype=half`"),
        ("or `enable-expert-parallel: true`", "or `--set enable-expert-parallel=true`"),
        (
            "add `rope-scaling: {rope_type: yarn, factor: 4.0}`, if",
            "add `--set 'rope-scaling={rope_type: yarn, factor: 4.0}'`, if",
        ),
        ("pin vLLM 0.27.1, or `vllm-bnb-plugin`", "pin vLLM 0.27.1, or `vllm-bnb-plugin`"),
    ],
)
def test_a_line_of_a_profile_becomes_an_option(line: str, expected: str) -> None:
    assert as_options(line, "RTX 4090") == expected
