"""The command line after `vllm serve`."""

from __future__ import annotations

import pytest

from orchestrator.domain.model_config import ModelConfig
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.checks import check_flags
from orchestrator.engine.flags import Flag, flags
from orchestrator.engine.releases import KNOWN_RELEASES
from tests.unit.engine.engine_samples import MEDIUM, MICRO, MINI, QWEN3_1_7B_FP8, QWEN3_8B, QWEN3_32B, facts_of, release


def argv(vllm: dict[str, FlagValue], pinned: str, config: ModelConfig = QWEN3_8B) -> list[str]:
    """What is rendered after the place where the server listens."""
    arguments = serve_arguments(
        model="m",
        revision=None,
        served_name="mini",
        vllm=vllm,
        release=release(pinned),
        facts=facts_of(config),
        port=8000,
    )
    assert arguments[:7] == ("m", "--served-model-name", "mini", "--host", "0.0.0.0", "--port", "8000")
    return list(arguments[7:])


def counted(utilization: str, length: str = "40960") -> list[str]:
    return [
        "--gpu-memory-utilization", utilization,
        "--kv-cache-dtype", "auto",
        "--max-model-len", length,
        "--tensor-parallel-size", "1",
    ]  # fmt: skip


def test_what_the_planner_counts_on_is_written_even_at_its_default() -> None:
    assert argv({}, "0.19.1") == counted("0.9")
    assert argv({}, "0.33.0") == counted("0.92")


@pytest.mark.parametrize(
    ("vllm", "pinned", "length"),
    [
        ({"max-model-len": "32K"}, "0.8.4", "32768"),
        ({"max_model_len": "25.6k"}, "0.33.0", "25600"),
        ({"max-model-len": "auto"}, "0.33.0", "auto"),
        ({"max-model-len": -1}, "0.33.0", "-1"),
    ],
)
def test_lengths_are_plain_integers(vllm: dict[str, FlagValue], pinned: str, length: str) -> None:
    assert argv(vllm, pinned)[-3] == length


@pytest.mark.parametrize(
    ("vllm", "pinned", "rendered"),
    [
        ({"enforce-eager": True}, "0.33.0", ["--enforce-eager"]),
        ({"enforce-eager": False}, "0.8.4", []),
        ({"enforce-eager": False}, "0.9.0", ["--no-enforce-eager"]),
        ({"enable-prefix-caching": False}, "0.32.0", ["--no-enable-prefix-caching"]),
        ({"enable-prefix-caching": False}, "0.33.0", ["--disable-prefix-caching"]),
        ({"no-enable-prefix-caching": True}, "0.33.0", ["--disable-prefix-caching"]),
        ({"disable-log-requests": True}, "0.33.0", ["--disable-log-requests"]),
        ({"enable-chunked-prefill": True}, "0.8.4", ["--enable-chunked-prefill=true"]),
        ({"enable-chunked-prefill": False}, "0.8.4", ["--enable-chunked-prefill=false"]),
        ({"enable-chunked-prefill": False}, "0.8.5", ["--no-enable-chunked-prefill"]),
        ({"cudagraph-capture-sizes": [1, 2, 4]}, "0.33.0", ["--cudagraph-capture-sizes", "1", "2", "4"]),
        ({"cudagraph-capture-sizes": 8}, "0.33.0", ["--cudagraph-capture-sizes", "8"]),
        ({"allowed-origins": ["*"]}, "0.33.0", ["--allowed-origins", '["*"]']),
        ({"additional-config": {"b": 1, "a": True}}, "0.33.0", ["--additional-config", '{"a":true,"b":1}']),
        ({"compilation-config.b.c": 1, "compilation-config": {"a": 2, "b": {"d": 3}}}, "0.32.0",
         ["--compilation-config", '{"a":2,"b":{"c":1,"d":3}}']),
        ({"compilation-config.b.c": 1}, "0.32.0", ["--compilation-config", '{"b":{"c":1}}']),
        ({"compilation-config": 3}, "0.8.5", ["--compilation-config", "3"]),
        ({"chat-template": "-x"}, "0.33.0", ["--chat-template=-x"]),
        ({"chat-template": "{{ $x }}"}, "0.33.0", ["--chat-template", "{{ $x }}"]),
        ({"cpu-offload-gb": 4}, "0.33.0", ["--cpu-offload-gb", "4"]),
        ({"unknown-flag": 4}, "0.33.0", []),
        ({"swap-space": 4}, "0.33.0", []),
        ({"host": "x", "port": 3, "model": "y", "revision": "z"}, "0.33.0", []),
    ],
)  # fmt: skip
def test_values_are_spelt_as_the_release_wants(vllm: dict[str, FlagValue], pinned: str, rendered: list[str]) -> None:
    utilization = "0.92" if release(pinned) >= release("0.20.0") else "0.9"
    assert [word for word in argv(vllm, pinned) if word not in counted(utilization)] == [
        word for word in rendered if word not in counted(utilization)
    ]
    assert set(rendered) <= set(argv(vllm, pinned))


def test_pairs_and_repeated_flags_are_spelt_as_old_releases_want() -> None:
    pairs = argv({"limit-mm-per-prompt": {"video": 0, "image": 1}}, "0.7.3")
    assert pairs[pairs.index("--limit-mm-per-prompt") + 1] == "image=1,video=0"
    several = argv({"middleware": ["a", "b"]}, "0.33.0")
    assert several[several.index("--middleware") :][:4] == ["--middleware", "a", "--middleware", "b"]
    words = argv({"guided-decoding-disable-fallback": True}, "0.11.0")
    assert "--guided-decoding-disable-fallback=true" in words
    assert argv({"guided-decoding-disable-fallback": False}, "0.11.0") == counted("0.9")
    adapters = argv({"lora-modules": ["a=b", {"path": "d", "name": "c"}]}, "0.33.0")
    assert adapters[adapters.index("--lora-modules") + 1 :][:2] == ["a=b", '{"name":"c","path":"d"}']


def test_the_user_may_give_other_names_to_the_model() -> None:
    arguments = serve_arguments(
        model="m",
        revision="r",
        served_name="mini",
        vllm={"served-model-name": ["a", "b"]},
        release=release("0.33.0"),
        facts=facts_of(QWEN3_8B),
        port=8000,
    )
    assert arguments[:9] == ("m", "--revision", "r", "--served-model-name", "a", "b", "--host", "0.0.0.0", "--port")


def test_a_flag_that_is_written_twice_is_rendered_under_its_own_name_once() -> None:
    words = argv({"gpu_memory_utilization": 0.9, "gpu-memory-utilization": 0.5}, "0.33.0")
    assert words == counted("0.5")
    assert argv({"gpu-memory-utilization": 0.5, "device-memory-utilization": 0.9}, "0.33.0") == counted("0.5")


def _spellings(flag: Flag) -> set[str]:
    negated = {flag.false_spelling.partition("=")[0]} if flag.false_spelling else set()
    return {f"--{flag.name}", *negated}


@pytest.mark.parametrize("pinned", KNOWN_RELEASES, ids=str)
@pytest.mark.parametrize(
    ("config", "vllm"),
    [(QWEN3_32B, MEDIUM), (QWEN3_8B, MINI), (QWEN3_1_7B_FP8, MICRO)],
    ids=["32B-AWQ", "8B-AWQ", "1.7B-FP8"],
)
def test_the_shipped_profiles_render_only_flags_that_the_release_has(
    pinned: Release, config: ModelConfig, vllm: dict[str, FlagValue]
) -> None:
    assert check_flags(vllm, pinned) == ()
    known = {spelling for flag in flags(pinned).values() for spelling in _spellings(flag)}
    rendered = {word.partition("=")[0] for word in argv(vllm, str(pinned), config) if word.startswith("--")}
    assert rendered <= known
    assert {"--gpu-memory-utilization", "--kv-cache-dtype", "--max-model-len", "--tensor-parallel-size"} <= rendered


def test_values_that_no_check_would_pass_are_still_rendered_without_a_crash() -> None:
    words = argv({"tokenizer": True, "dtype": None, "chat-template": False}, "0.33.0")
    assert words[words.index("--tokenizer") + 1] == "true"
    assert words[words.index("--chat-template") + 1] == "false"
    assert "--dtype" not in words
