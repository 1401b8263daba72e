"""What holds for any value under `vllm:`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.model_config import ModelConfig, ModelFacts
from orchestrator.domain.profile import FlagValue
from orchestrator.engine.arguments import serve_arguments
from orchestrator.engine.checks import check_flags
from orchestrator.engine.flags import all_names, flags
from orchestrator.engine.releases import KNOWN_RELEASES
from orchestrator.engine.rope_checks import check_lengths

CONFIG = ModelConfig(
    architecture="Qwen3ForCausalLM",
    model_type="qwen3",
    dtype="bfloat16",
    hidden_size=64,
    intermediate_size=128,
    num_layers=2,
    num_attention_heads=4,
    num_kv_heads=2,
    head_dim=16,
    vocab_size=1000,
    max_position_embeddings=40960,
    tie_word_embeddings=False,
    layers=(),
)
FACTS = ModelFacts(model="a/b", config=CONFIG, weights={}, provenance="made up")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["auto", "32k", "1.5K", "{}", '{"a": 1}', "[1]", "image=1", "yarn", "fp8", "-1", "{" * 40])
)
words = st.sampled_from(["rope_type", "type", "factor", "original_max_position_embeddings", "rope_scaling", "image"])
values: st.SearchStrategy[FlagValue] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
names = (
    st.sampled_from([*all_names(), "rope-scaling", "rope_theta", "hf-overrides", "max_model_len"])
    | st.sampled_from(["compilation-config.a.b", "hf-overrides.rope_scaling", "rope-scaling.factor"])
    | st.sampled_from(["tp", "--x", ".", ""])
    | st.text(max_size=8)
)
profiles = st.dictionaries(names, values, max_size=5)
releases = st.sampled_from(KNOWN_RELEASES)


@settings(max_examples=400, deadline=None)
@given(profiles, releases)
def test_checks_never_raise_and_say_the_same_twice(vllm: dict[str, FlagValue], release: object) -> None:
    pinned = next(each for each in KNOWN_RELEASES if each == release)
    found = check_flags(vllm, pinned)
    assert found == check_flags(vllm, pinned)
    assert all(problem.message and problem.code[0] in "EW" for problem in found)
    assert all(problem.flag in vllm for problem in found)
    check_lengths(vllm=vllm, release=pinned, config=CONFIG)


@settings(max_examples=200, deadline=None)
@given(profiles, releases)
def test_what_passes_the_checks_can_be_rendered_with_known_flags(vllm: dict[str, FlagValue], release: object) -> None:
    pinned = next(each for each in KNOWN_RELEASES if each == release)
    clean = {key: value for key, value in vllm.items() if not check_flags({key: value}, pinned)}
    arguments = serve_arguments(
        model="m", revision=None, served_name="s", vllm=clean, release=pinned, facts=FACTS, port=1
    )
    assert all(isinstance(word, str) for word in arguments)
    assert len(flags(pinned)) > 100


@given(st.permutations(["gpu-memory-utilization", "max-model-len", "enforce-eager", "dtype"]))
def test_the_order_of_the_keys_does_not_matter_to_the_command_line(order: list[str]) -> None:
    profile: dict[str, FlagValue] = {
        "gpu-memory-utilization": 0.5,
        "max-model-len": 1024,
        "enforce-eager": True,
        "dtype": "half",
    }

    def rendered(keys: list[str]) -> tuple[str, ...]:
        vllm = {key: profile[key] for key in keys}
        return serve_arguments(
            model="m",
            revision=None,
            served_name="s",
            vllm=vllm,
            release=KNOWN_RELEASES[-1],
            facts=FACTS,
            port=1,
        )

    assert rendered(order) == rendered(sorted(profile))
