"""The hub is read by ranges, and each of its failures gets a finding of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.hub import read_hub
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.failures import OutsideFailure
from orchestrator.domain.model_config import ModelFacts
from tests.unit.adapters.checkpoint_samples import (
    TINY_CONFIG,
    TINY_TENSORS,
    TINY_WEIGHTS,
    write_config,
    write_raw,
    write_safetensors,
    write_sharded_model,
    write_tiny_model,
)
from tests.unit.adapters.loopback_hub import COMMIT, Hub, running_hub

SECRET = "hf_secret_that_nobody_may_see"


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    write_tiny_model(tmp_path / "tiny")
    write_sharded_model(tmp_path / "sharded")
    write_config(tmp_path / "empty")
    with running_hub(Hub(models={f"org/{path.name}": path for path in tmp_path.iterdir()})) as hub:
        yield hub


def facts_of(hub: Hub, model: str, revision: str | None = None) -> ModelFacts:
    facts = read_hub(model, revision, endpoint=hub.endpoint)
    assert isinstance(facts, ModelFacts), facts
    return facts


def finding_of(hub: Hub, model: str, revision: str | None = None) -> Diagnostic:
    finding = read_hub(model, revision, endpoint=hub.endpoint)
    assert isinstance(finding, Diagnostic), finding
    return finding


def failure_of(hub: Hub, model: str = "org/tiny", seconds: float = 5.0) -> Diagnostic:
    with pytest.raises(OutsideFailure) as caught:
        read_hub(model, None, endpoint=hub.endpoint, timeout_seconds=seconds)
    return caught.value.finding


def test_a_model_of_one_file_is_read_at_the_commit_that_main_means(hub: Hub) -> None:
    facts = facts_of(hub, "org/tiny")
    assert facts.weights == TINY_WEIGHTS
    assert (facts.model, facts.revision, facts.exact) == ("org/tiny", COMMIT, True)
    assert facts.provenance == "safetensors headers of org/tiny on the hub"
    assert facts.config.num_layers == 1


def test_everything_is_read_at_one_commit_and_by_ranges(hub: Hub) -> None:
    facts_of(hub, "org/tiny")
    files = [(path, asked) for path, asked, _ in hub.requests if "/resolve/" in path]
    assert [path for path, _ in files] == [
        f"/org/tiny/resolve/{COMMIT}/config.json",
        f"/org/tiny/resolve/{COMMIT}/model.safetensors",
    ]
    assert all(asked for _, asked in files)


def test_of_a_sharded_model_only_the_files_of_the_index_are_read(hub: Hub) -> None:
    assert facts_of(hub, "org/sharded", "main").weights == TINY_WEIGHTS
    assert not [path for path, _, _ in hub.requests if "consolidated" in path]


def test_a_header_longer_than_the_first_request_takes_a_second(hub: Hub, tmp_path: Path) -> None:
    directory = write_config(tmp_path / "long")
    many = {f"model.layers.0.mlp.up_proj.{number:06d}.weight": ("BF16", (8, 8)) for number in range(2500)}
    data_bytes = write_safetensors(directory / "model.safetensors", many)
    hub.models["org/long"] = directory
    assert facts_of(hub, "org/long").checkpoint_bytes == data_bytes
    assert len([path for path, _, _ in hub.requests if path.endswith("model.safetensors")]) == 2


def test_a_mirror_that_ignores_ranges_is_read_no_further_than_needed(hub: Hub, tmp_path: Path) -> None:
    directory = write_config(tmp_path / "big")
    big = {**TINY_TENSORS, "model.layers.0.mlp.big.weight": ("BF16", (2**20, 2**16))}
    data_bytes = write_safetensors(directory / "model.safetensors", big)
    hub.models["org/big"] = directory
    hub.honours_ranges = False
    assert facts_of(hub, "org/big").checkpoint_bytes == data_bytes
    assert hub.sent_bytes < 3 * 1024 * 1024


def test_modelopt_writes_its_quantisation_into_a_file_of_its_own(hub: Hub, tmp_path: Path) -> None:
    directory = write_tiny_model(tmp_path / "modelopt")
    quantization = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "group_size": 16}}
    (directory / "hf_quant_config.json").write_text(json.dumps(quantization))
    hub.models["org/modelopt"] = directory
    stated = facts_of(hub, "org/modelopt").config.quantization
    assert stated is not None
    assert (stated.method, stated.bits, stated.group_size) == ("modelopt_fp4", 4, 16)


def test_a_model_that_the_hub_does_not_have_is_a_finding(hub: Hub) -> None:
    finding = finding_of(hub, "org/nothing")
    assert (finding.code, finding.message) == ("E306", "the hub has no model `org/nothing`")
    assert finding.notes[0] == f"asked {hub.endpoint}"


def test_an_id_that_the_hub_could_never_have_is_a_finding(hub: Hub) -> None:
    assert finding_of(hub, "a/b/c").code == "E306"


def test_a_revision_that_is_not_there_is_a_finding(hub: Hub) -> None:
    finding = finding_of(hub, "org/tiny", "v9")
    assert (finding.code, finding.message) == ("E308", "the hub's `org/tiny` has no revision `v9`")


def test_a_model_without_safetensors_is_a_finding(hub: Hub) -> None:
    finding = finding_of(hub, "org/empty")
    assert finding.code == "E305"
    assert finding.notes == (f"looked at revision {COMMIT} on the hub",)


def test_a_model_without_a_config_is_a_finding(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    hub.models["org/bare"] = tmp_path / "bare"
    assert finding_of(hub, "org/bare").code == "E303"


def test_a_config_that_cannot_be_used_is_a_finding(hub: Hub, tmp_path: Path) -> None:
    hub.models["org/odd"] = write_config(tmp_path / "odd", TINY_CONFIG | {"vocab_size": "many"})
    assert finding_of(hub, "org/odd").code == "E301"


def test_a_gated_model_says_how_to_be_let_in(hub: Hub) -> None:
    hub.gated = frozenset({"org/tiny"})
    finding = failure_of(hub)
    assert (finding.code, finding.message) == ("E312", "the hub does not let you read `org/tiny`: it is gated")
    assert finding.help[1] == "then set HF_TOKEN to a token that may read it, or run `hf auth login`"


def test_a_token_from_the_environment_opens_a_gated_model(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated = frozenset({"org/tiny"})
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert facts_of(hub, "org/tiny").weights == TINY_WEIGHTS


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "E312", "the hub refused to show `org/tiny` (HTTP 403)"),
        (429, "E313", "the hub asks for fewer requests when asked about `org/tiny` (HTTP 429)"),
        (500, "E313", "the hub failed when asked about `org/tiny` (HTTP 500)"),
        (503, "E313", "the hub failed when asked about `org/tiny` (HTTP 503)"),
    ],
)
def test_a_status_is_told_in_our_words(hub: Hub, status: int, code: str, message: str) -> None:
    hub.status = status
    finding = failure_of(hub)
    assert (finding.code, finding.message) == (code, message)
    assert finding.help


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_no_failure_shows_the_token(hub: Hub, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    hub.status = status
    try:
        outcome: object = read_hub("org/tiny", None, endpoint=hub.endpoint)
    except OutsideFailure as failure:
        outcome = (failure.finding, failure.args, failure.stderr, failure.__cause__)
    assert hub.requests[0][2] == f"Bearer {SECRET}"
    assert SECRET not in repr(outcome)


def test_a_hub_that_never_answers_is_given_up(hub: Hub) -> None:
    hub.silent = True
    assert failure_of(hub, seconds=0.2).message == "cannot ask the hub about `org/tiny`: no answer within 0.2 s"


def test_a_hub_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(OutsideFailure) as caught:
        read_hub("org/tiny", None, endpoint="http://user:password@127.0.0.1:9", timeout_seconds=5.0)
    finding = caught.value.finding
    assert finding.code == "E311"
    assert finding.message == "cannot ask the hub about `org/tiny`: the connection failed (ConnectError)"
    assert finding.notes == ("asked http://127.0.0.1:9",)


@pytest.mark.parametrize("answer", [b"<html>", b"[1]", b'{"siblings": 7}', b"{}"])
def test_an_answer_that_is_no_hubs_is_told(hub: Hub, answer: bytes) -> None:
    hub.api_answer = answer
    assert failure_of(hub).message == (
        "the hub's answer about `org/tiny` cannot be used: it does not describe the model as a hub does"
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [("{", "its config.json is not JSON"), ("[]", "its config.json is not a JSON object")],
)
def test_a_config_that_is_not_json_is_told(hub: Hub, tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "tiny" / "config.json").write_text(config)
    assert failure_of(hub).message == f"the hub's answer about `org/tiny` cannot be used: {message}"


def test_an_index_without_a_map_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "sharded" / "model.safetensors.index.json").write_text("{}")
    assert failure_of(hub, "org/sharded").message.endswith("its model.safetensors.index.json has no `weight_map`")


@pytest.mark.parametrize(
    ("header", "claimed", "why"),
    [
        (b"{}", 10**12, "no header is longer than 100000000"),
        (b"{", None, "its header is not JSON"),
    ],
)
def test_a_broken_header_is_told(hub: Hub, tmp_path: Path, header: bytes, claimed: int | None, why: str) -> None:
    write_raw(tmp_path / "tiny" / "model.safetensors", header, 0, claimed_length=claimed)
    assert failure_of(hub).message.endswith(why)


def test_a_server_that_hides_the_length_of_its_files_is_told(hub: Hub) -> None:
    hub.says_length = False
    assert failure_of(hub).message.endswith("it does not say how long its files are")


def test_a_model_that_was_not_uploaded_whole_is_a_finding(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "sharded" / "model.safetensors.index.json").unlink()
    (tmp_path / "sharded" / "model-00002-of-00002.safetensors").unlink()
    finding = finding_of(hub, "org/sharded")
    assert (finding.code, finding.message) == (
        "E304",
        "the hub's `org/sharded` is not complete: of its files `model-00002-of-00002.safetensors` is missing",
    )
    write_safetensors(tmp_path / "tiny" / "model.safetensors", {"model.norm.weight": ("BF16", (16,))})
    assert finding_of(hub, "org/tiny").message.endswith("32 bytes, and config.json describes about 2,240 bytes")


@pytest.mark.parametrize(
    ("endpoint", "note"),
    [
        ("http://127.0.0.1:99999", "`http://127.0.0.1:99999`: port out of range 0-65535"),
        ("http://127.0.0.1:0", "`http://127.0.0.1:0`: it names no host"),
        ("http://[::1", "`http://[::1`: invalid IPv6 URL"),
        ("\x1b[31m", "`\x1b[31m`: it has characters that no address has"),
        ("", "``: it does not begin with `https://` or `http://`"),
        ("me:password@mirror/hf_token", "`mirror`: it does not begin with `https://` or `http://`"),
        ("https:///models", "`https://`: it names no host"),
    ],
)
def test_an_endpoint_that_is_no_address_is_told(endpoint: str, note: str) -> None:
    with pytest.raises(OutsideFailure) as caught:
        read_hub("org/tiny", None, endpoint=endpoint)
    finding = caught.value.finding
    assert (finding.code, finding.message) == (
        "E311",
        "cannot ask the hub about `org/tiny`: HF_ENDPOINT is no address of a hub",
    )
    assert finding.notes == (f"HF_ENDPOINT is {note}",)


def test_what_may_be_a_credential_in_an_endpoint_is_not_shown() -> None:
    with pytest.raises(OutsideFailure) as caught:
        read_hub("org/tiny", None, endpoint=f"http://127.0.0.1:9/{SECRET}?key={SECRET}", timeout_seconds=5.0)
    assert caught.value.finding.notes == ("asked http://127.0.0.1:9",)


@pytest.mark.parametrize("token", ["é", "hf_a\x1bb", "two words"])
def test_a_token_that_cannot_be_sent_is_to_blame(hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    finding = failure_of(hub)
    assert (finding.code, finding.message) == (
        "E312",
        "cannot ask the hub about `org/tiny`: the token has characters that no token has",
    )
    assert hub.requests == []


def in_a_process_of_its_own(code: str, **environment: str) -> str:
    """What a fresh interpreter prints: huggingface_hub reads its environment when it is imported."""
    finished = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


READ = "from orchestrator.adapters.hub import read_hub\nprint(read_hub('org/tiny', None).checkpoint_bytes)"
FAIL = (
    "from orchestrator.adapters.hub import read_hub\n"
    "from orchestrator.domain.failures import OutsideFailure\n"
    "try: read_hub('org/tiny', None)\n"
    "except OutsideFailure as failure: print(failure.finding.code, failure.finding.message)"
)


def test_hf_endpoint_names_the_hub(hub: Hub) -> None:
    assert in_a_process_of_its_own(READ, HF_ENDPOINT=hub.endpoint) == str(sum(TINY_WEIGHTS.values()))


def test_hf_hub_offline_is_respected(hub: Hub) -> None:
    said = in_a_process_of_its_own(FAIL, HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="1")
    assert said == "E311 cannot ask the hub about `org/tiny`: HF_HUB_OFFLINE is set"
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("HF_ENDPOINT", "http://127.0.0.1:99999", "HF_ENDPOINT is no address of a hub"),
        ("HF_ENDPOINT", "http://[::1", "HF_ENDPOINT is no address of a hub"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", "huggingface_hub does not accept its settings"),
    ],
)
def test_settings_that_break_the_import_are_told_and_print_nothing(name: str, value: str, why: str) -> None:
    assert in_a_process_of_its_own(FAIL, **{name: value}) == f"E311 cannot ask the hub about `org/tiny`: {why}"


def test_without_the_extra_it_says_what_to_install() -> None:
    without = "import sys\nsys.modules['huggingface_hub'] = None\n" + FAIL
    assert in_a_process_of_its_own(without) == (
        "E310 cannot ask the hub about `org/tiny`: the `hub` extra is not installed or too old"
    )
