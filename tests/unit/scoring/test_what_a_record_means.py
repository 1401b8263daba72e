"""Releases, cards, flags and models out of the free text of records."""

from __future__ import annotations

import pytest

from orchestrator.domain.startup import StartupInputs
from orchestrator.domain.units import as_gib
from orchestrator.engine.releases import KNOWN_RELEASES
from orchestrator.scoring.record_flags import names_an_image, recorded_flags
from orchestrator.scoring.record_gpu import gpu_class, possible_gpus
from orchestrator.scoring.record_model import model_candidates
from orchestrator.scoring.record_release import possible_releases

from .scoring_samples import facts


@pytest.mark.parametrize(
    ("written", "releases"),
    [
        ("0.19.0", "0.19.0"),
        ("0.26", "0.26.0"),
        ("0.10", "0.10.0 0.10.1 0.10.1.1 0.10.2"),
        ("0.8.x", "0.8.0 0.8.1 0.8.2 0.8.3 0.8.4 0.8.5 0.8.5.post1"),
        ("0.6.4.post1", "0.6.4.post1"),
        ("0.10.2 or 0.11.0 (form of the log)", "0.10.2 0.11.0"),
        ("0.24.0/0.28.0", "0.24.0 0.28.0"),
        ("0.7.1-0.7.2", "0.7.1 0.7.2"),
        ("0.11-0.12", "0.11.0 0.11.1 0.11.2 0.12.0"),
        (">=0.32", "0.32.0 0.33.0"),
        ("0.28.1rc1.dev452+g12ab", "0.28.0 0.29.0"),
        ("0.17.1rc1.dev88", "0.17.0 0.17.1 0.18.0"),
        ("0.6.6-dev", "0.6.5 0.6.6 0.7.0"),
        ("0.33.1rc1.dev3", "0.33.0"),
        ("main of yesterday", "0.33.0"),
        ("0.32.0.post1", "0.32.0"),
        ("0.6.0rc1.dev1", "0.6.0 0.6.1.post2 0.7.0"),
        ("0.34", "0.33.0"),
    ],
)
def test_a_version_stands_for_the_releases_it_may_be_like(written: str, releases: str) -> None:
    found = possible_releases(StartupInputs(release=written), "LlamaForCausalLM")
    assert not isinstance(found, str)
    assert " ".join(map(str, found)) == releases


@pytest.mark.parametrize(
    ("engine", "first", "last"),
    [("V0", "0.6.0", "0.10.2"), ("V1", "0.8.0", KNOWN_RELEASES[-1].text), (None, "0.6.0", KNOWN_RELEASES[-1].text)],
)
def test_without_a_version_the_engine_narrows_the_releases(engine: str | None, first: str, last: str) -> None:
    found = possible_releases(StartupInputs(engine=engine), "LlamaForCausalLM")
    assert isinstance(found, tuple)
    assert (found[0].text, found[-1].text) == (first, last)


@pytest.mark.parametrize(
    ("text", "is_image"),
    [("image vllm/vllm-openai:v0.10.1", True), ("docker run --gpus all", True), ("--imagery 1, pip install", False)],
)
def test_a_record_may_say_that_it_ran_from_an_image(text: str, is_image: bool) -> None:
    assert names_an_image(text) is is_image


def test_without_a_version_every_release_that_knows_the_model_is_possible() -> None:
    everywhere = possible_releases(StartupInputs(), "LlamaForCausalLM")
    assert everywhere == KNOWN_RELEASES
    newer = possible_releases(StartupInputs(), "Qwen3NextForCausalLM")
    assert str(newer[0]) == "0.10.2"
    hinted = possible_releases(StartupInputs(release_hint="0.12.0"), "LlamaForCausalLM")
    assert [str(release) for release in hinted] == ["0.12.0"]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("a fork of 0.9", "vLLM `a fork of 0.9` is a fork or patched: its rules are not known"),
        ("nightly", "no release can be read from `nightly`"),
        ("0.5.3", "vLLM 0.5.3 is older than 0.6.0, the first whose rules are known"),
    ],
)
def test_a_version_whose_rules_are_not_known_says_so(written: str, reason: str) -> None:
    assert possible_releases(StartupInputs(release=written), "LlamaForCausalLM") == reason


@pytest.mark.parametrize(
    ("name", "total", "cards"),
    [
        ("H100-80GB HBM3", 79.19, "NVIDIA H100 80GB HBM3 79.18 to 79.19"),
        ("RTX 4090 24GB (23.52GiB)", None, "NVIDIA GeForce RTX 4090 23.51 to 23.52"),
        ("RTX 3090 24GB", None, "NVIDIA GeForce RTX 3090 23.55 to 23.70"),
        (
            "48GB card (46 GB shown)",
            None,
            "NVIDIA A40 42.96 to 44.99, NVIDIA L40 42.96 to 44.99, NVIDIA L40S 44.42 to 44.54",
        ),
        ("48GB card (49.1 GB)", None, "NVIDIA RTX A6000 47.47 to 47.60"),
        ("RTX 4090 48GB (47.37GiB)", None, "RTX 4090 48GB (47.37GiB) 47.36 to 47.37"),
        ("A10G/L4 (22.07GiB)", None, "NVIDIA A10G 22.06 to 22.07, NVIDIA L4 22.06 to 22.07"),
        ("RTX 5070 Ti 16GB (WSL2)", None, "NVIDIA GeForce RTX 5070 Ti 15.20 to 15.92"),
        ("RTX A6000 (46068MiB)", None, "RTX A6000 (46068MiB) 42.96 to 44.99"),
        (None, 22.06, "22.06 GiB card 22.05 to 22.06"),
    ],
)
def test_a_card_is_known_by_name_total_or_size(name: str | None, total: float | None, cards: str) -> None:
    found = possible_gpus(StartupInputs(gpu=name, gpu_total_gib=total))
    assert not isinstance(found, str)
    shown = (f"{e.gpu.name} {as_gib(e.cuda_total.low):.2f} to {as_gib(e.cuda_total.high):.2f}" for e in found)
    assert ", ".join(shown) == cards


def test_a_geforce_card_that_the_catalogue_lacks_has_the_capability_of_its_series() -> None:
    found = possible_gpus(StartupInputs(gpu="RTX 5070 Ti 16GB"))
    assert [each.gpu.compute_capability for each in found if not isinstance(each, str)] == [(12, 0)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, "no GPU is named and no total is given"),
        ("Intel Arc 16GB (XPU)", "`Intel Arc 16GB (XPU)` is not an NVIDIA card"),
        ("H20", "the total memory of `H20` is not known"),
    ],
)
def test_a_card_that_cannot_be_told_says_why(name: str | None, reason: str) -> None:
    assert possible_gpus(StartupInputs(gpu=name)) == reason


@pytest.mark.parametrize(
    ("name", "total", "word"),
    [
        ("H100-80GB HBM3", None, "H100"),
        ("RTX PRO 6000 Blackwell Workstation 96GB (95.01GiB)", None, "RTX PRO 6000"),
        ("48GB card (49.1 GB)", None, "48GB card"),
        (None, 22.06, "22 GiB card"),
        (None, None, "not named"),
    ],
)
def test_classes_of_cards_have_short_names(name: str | None, total: float | None, word: str) -> None:
    assert gpu_class(StartupInputs(gpu=name, gpu_total_gib=total)) == word


def test_flags_come_from_fields_and_from_what_the_text_says() -> None:
    asked = StartupInputs(
        tensor_parallel_size=2,
        dtype="fp16",
        quantization="fp8 (runtime)",
        enforce_eager=False,
        other_flags="-dp=8 --enable_chunked_prefill --swap-space 4.5, no --max-model-len given; "
        "--hf-overrides '{\"a\": 1}' --load-format dummy LoRA, 3 slots; MTP 2 tokens -q --cpu-offload-gb ''",
    )
    assert dict(recorded_flags(asked, facts("Qwen/Qwen3-8B"))) == {
        "data-parallel-size": 8,
        "enable-chunked-prefill": True,
        "swap-space": 4.5,
        "hf-overrides": '{"a": 1}',
        "load-format": "dummy",
        "cpu-offload-gb": "",
        "enable-lora": True,
        "max-loras": 3,
        "speculative-config": {"method": "mtp", "num_speculative_tokens": 2},
        "tensor-parallel-size": 2,
        "enforce-eager": False,
        "dtype": "float16",
        "quantization": "fp8",
    }


def test_a_quantised_checkpoint_is_what_it_is_and_adapters_need_no_number() -> None:
    asked = StartupInputs(quantization="awq_marlin", other_flags="with a LoRA")
    assert dict(recorded_flags(asked, facts("Qwen/Qwen3-8B-AWQ"))) == {"enable-lora": True}
    assert dict(recorded_flags(asked, facts("Qwen/Qwen3-8B"))) == {"enable-lora": True}


@pytest.mark.parametrize(
    ("written", "first"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("Qwen3-8B FP8", "Qwen/Qwen3-8B-FP8"),
        ("someone/Qwen3-8B-FP8", "someone/Qwen3-8B-FP8"),
        ("Qwen2.5-1.5B", "Qwen/Qwen2.5-1.5B"),
        ("Qwen3.5-35B-A3B (a remark)", "Qwen/Qwen3.5-35B-A3B"),
        ("Qwen/Qwen3-8B (4-bit, 5 GiB)", None),
        ("Qwen/Qwen3-8B beside another", None),
        ("(nothing)", None),
    ],
)
def test_a_model_is_found_by_its_name_whoever_published_it(written: str, first: str | None) -> None:
    assert next(iter(model_candidates(written)), None) == first


def test_a_name_without_its_publisher_means_every_model_of_that_name() -> None:
    assert "Qwen/Qwen3-8B-FP8" in model_candidates("someone/Qwen3-8B-FP8")
    assert "meta-llama/Llama-3.1-8B-Instruct" in model_candidates("meta-llama/Meta-Llama-3.1-8B-Instruct")
