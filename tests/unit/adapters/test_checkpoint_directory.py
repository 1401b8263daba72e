"""A model's directory is read by its headers, whatever state it is in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.adapters.checkpoint_directory import read_checkpoint_directory
from orchestrator.catalog.models import find_model, raw_config
from orchestrator.catalog.parameters import tensors_from_config
from orchestrator.domain.diagnostics import Diagnostic
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
from tests.unit.adapters.other_user import as_nobody, open_directory


def facts_of(directory: Path) -> ModelFacts:
    facts = read_checkpoint_directory(directory, "./model")
    assert isinstance(facts, ModelFacts), facts
    return facts


def finding_of(directory: Path) -> Diagnostic:
    finding = read_checkpoint_directory(directory, "./model")
    assert isinstance(finding, Diagnostic), finding
    return finding


def test_the_bytes_are_those_of_the_files_data(tmp_path: Path) -> None:
    directory = write_tiny_model(tmp_path)
    header_bytes = int.from_bytes((directory / "model.safetensors").read_bytes()[:8], "little")
    facts = facts_of(directory)
    assert facts.checkpoint_bytes == (directory / "model.safetensors").stat().st_size - 8 - header_bytes
    assert facts.weights == TINY_WEIGHTS
    assert (facts.model, facts.exact, facts.revision) == ("./model", True, None)
    assert facts.provenance == f"safetensors headers of {directory}"


def test_files_that_the_index_does_not_name_are_not_loaded(tmp_path: Path) -> None:
    assert facts_of(write_sharded_model(tmp_path)).weights == TINY_WEIGHTS | {"unloaded": 512}


def test_links_are_followed_as_in_the_cache(tmp_path: Path) -> None:
    blobs = write_tiny_model(tmp_path / "blobs")
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).symlink_to(blobs / name)
    assert facts_of(snapshot).weights == TINY_WEIGHTS


def test_qwen3_1_7b_from_headers_equals_the_catalogue(tmp_path: Path) -> None:
    model = "Qwen/Qwen3-1.7B"
    config, known = raw_config(model), find_model(model)
    assert config is not None
    assert known is not None
    write_config(tmp_path, config)
    tensors = tensors_from_config(config, stores_tied_head=True)
    shapes = {tensor.name: ("U8", (tensor.size_bytes,)) for tensor in tensors}
    assert write_safetensors(tmp_path / "model.safetensors", shapes) == 4_063_479_808
    facts = facts_of(tmp_path)
    assert facts.weights == known.weights
    assert facts.config == known.config


def test_a_directory_for_dummy_weights_gets_computed_bytes(tmp_path: Path) -> None:
    facts = facts_of(write_config(tmp_path))
    assert facts.weights == TINY_WEIGHTS
    assert not facts.exact
    assert facts.provenance == f"computed from {tmp_path / 'config.json'}"


def test_the_quantisation_file_of_modelopt_counts(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    (tmp_path / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": "FP8"}}))
    stated = facts_of(tmp_path).config.quantization
    assert stated is not None
    assert (stated.method, stated.bits) == ("modelopt", 8)
    (tmp_path / "hf_quant_config.json").write_text("{")
    assert finding_of(tmp_path).message == "cannot read `hf_quant_config.json` of the model: it is not JSON"


def test_other_formats_are_refused_with_the_next_step(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    finding = finding_of(tmp_path)
    assert (finding.code, finding.notes) == ("E305", ("it holds 1 other weight files, first `pytorch_model.bin`",))
    assert finding.help


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"{", "it is not JSON"),
        (b"\xff\xfe{\x00", "it begins with a byte order mark, which JSON does not have"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark, which JSON does not have"),
        (b'{"a": "\xff"}', "it is not UTF-8 text"),
        (b"[" * 100_000, "it is not JSON"),
        (b"1" * 5000, "it is not JSON"),
        (b"[]", "it is not a JSON object"),
        (b"null", "it is not a JSON object"),
    ],
)
def test_a_config_that_is_no_json_object_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    finding = finding_of(tmp_path)
    assert (finding.code, finding.message) == ("E303", f"cannot read `config.json` of the model: {why}")
    assert finding.notes == (f"looked at {tmp_path / 'config.json'}",)


def test_a_missing_config_is_told(tmp_path: Path) -> None:
    assert finding_of(tmp_path).message == "cannot read `config.json` of the model: there is no such file"


def test_a_config_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(10**10)
    assert finding_of(tmp_path).message.endswith("it is larger than 67108864 bytes")


def test_a_wrong_field_names_the_file(tmp_path: Path) -> None:
    write_config(tmp_path, TINY_CONFIG | {"num_hidden_layers": float("nan")})
    finding = finding_of(tmp_path)
    assert finding.message == "config.json cannot be used: `num_hidden_layers` is nan, not a whole number"
    assert finding.notes == (f"read from {tmp_path / 'config.json'}",)


@pytest.mark.parametrize(
    ("header", "data_bytes", "claimed", "why"),
    [
        (b"{}", 0, 10**12, "its header claims to be 1000000000000 bytes long; no header is longer than 100000000"),
        (b"{}", 0, 50, "its header claims to be 50 bytes long, and the file ends after 10"),
        (b"{", 0, None, "its header is not JSON"),
        (b'{"a": NaN}', 0, None, "its header holds `NaN`, which is not JSON"),
        (
            b'{"a": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}}',
            4,
            None,
            "its tensors need 9 bytes, and it holds 4: it was cut off",
        ),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, header: bytes, data_bytes: int, claimed: int | None, why: str) -> None:
    write_config(tmp_path)
    write_raw(tmp_path / "model.safetensors", header, data_bytes, claimed_length=claimed)
    finding = finding_of(tmp_path)
    assert (finding.code, finding.message) == ("E304", f"cannot use `model.safetensors` of the model: {why}")


def test_a_file_shorter_than_its_prefix_is_told(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    assert finding_of(tmp_path).message.endswith("it is 3 bytes long, too short to be a safetensors file")


def test_a_link_that_points_nowhere_is_told(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "gone")
    assert finding_of(tmp_path).message.endswith("it is not a file, or a link to one that is not there")


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    write_config(tmp_path)
    os.mkfifo(tmp_path / "model.safetensors")
    assert finding_of(tmp_path).code == "E304"


@pytest.mark.parametrize(
    ("index", "code", "why"),
    [
        ("{", "E303", "cannot read `model.safetensors.index.json` of the model: it is not JSON"),
        ("{}", "E304", "cannot use `model.safetensors.index.json` of the model: it has no `weight_map`"),
        (
            json.dumps({"weight_map": {"a": "../../etc/passwd", "b": "model.safetensors"}}),
            "E304",
            "its index names 1 files that are not there, first `../../etc/passwd`",
        ),
    ],
)
def test_a_broken_index_is_told(tmp_path: Path, index: str, code: str, why: str) -> None:
    write_config(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", TINY_TENSORS)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    finding = finding_of(tmp_path)
    assert finding.code == code
    assert finding.message.endswith(why)


def _as_pipe(path: Path) -> None:
    os.mkfifo(path)


def _as_circle(path: Path) -> None:
    path.symlink_to(path)


def _as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _as_link_to_nothing(path: Path) -> None:
    path.symlink_to("gone.json")


@pytest.mark.parametrize(
    ("make", "why", "note"),
    [
        (_as_pipe, "it is a named pipe", None),
        (_as_circle, "it is a link that leads round in a circle", None),
        (_as_device, "it is a device", None),
        (_as_link_to_nothing, "it is a link to a file that does not exist", "it points at `gone.json`"),
        (Path.mkdir, "it is a directory", None),
    ],
)
def test_a_config_that_is_no_file_is_called_what_it_is(
    tmp_path: Path, make: Callable[[Path], None], why: str, note: str | None
) -> None:
    make(tmp_path / "config.json")
    finding = finding_of(tmp_path)
    assert (finding.code, finding.message) == ("E303", f"cannot read `config.json` of the model: {why}")
    assert finding.notes == (f"looked at {tmp_path / 'config.json'}", *([note] if note else []))


@pytest.mark.parametrize(
    ("barred", "blamed"),
    [(".", "config.json"), ("config.json", "config.json"), ("model.safetensors", "model.safetensors")],
)
def test_what_may_not_be_read_is_not_said_to_be_missing(barred: str, blamed: str) -> None:
    with open_directory() as directory:
        write_tiny_model(directory)
        (directory / barred).chmod(0)
        with as_nobody():
            finding = finding_of(directory)
        assert (finding.code, finding.message) == ("E122", f"`{directory / blamed}` may not be read")


def test_weights_in_a_directory_that_may_not_be_listed_are_not_said_to_be_none() -> None:
    with open_directory() as directory:
        write_tiny_model(directory).chmod(0o111)
        with as_nobody():
            assert finding_of(directory).code == "E122"


def test_a_file_of_a_series_without_its_fellows_is_told(tmp_path: Path) -> None:
    write_sharded_model(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    assert isinstance(read_checkpoint_directory(tmp_path, "./model"), ModelFacts)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    finding = finding_of(tmp_path)
    assert (finding.code, finding.message) == (
        "E304",
        f"cannot use `{tmp_path.name}` of the model: of its files `model-00002-of-00002.safetensors` is missing",
    )


def test_a_long_series_names_the_first_that_are_missing(tmp_path: Path) -> None:
    write_config(tmp_path)
    write_safetensors(tmp_path / "model-00003-of-00007.safetensors", TINY_TENSORS)
    assert finding_of(tmp_path).message.endswith(
        "of its files `model-00001-of-00007.safetensors`, `model-00002-of-00007.safetensors`,"
        " `model-00004-of-00007.safetensors` are missing, and 3 more"
    )


def test_far_too_few_bytes_for_the_config_are_told(tmp_path: Path) -> None:
    write_config(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", {"model.norm.weight": ("BF16", (16,))})
    finding = finding_of(tmp_path)
    assert (finding.code, finding.message) == (
        "E304",
        f"cannot use `{tmp_path.name}` of the model: it is not complete:"
        " its tensors have 32 bytes, and config.json describes about 2,240 bytes",
    )


def test_layers_that_are_not_there_are_told(tmp_path: Path) -> None:
    write_config(tmp_path, TINY_CONFIG | {"num_hidden_layers": 3})
    write_safetensors(tmp_path / "model.safetensors", TINY_TENSORS)
    assert finding_of(tmp_path).message.endswith(
        "it is not complete: there are no tensors of layer 1 and 1 more, and config.json says 3 layers"
    )


@pytest.mark.parametrize("dtype", ["[]", "null", '""', '"BF 16"'])
def test_a_tensor_without_a_type_is_refused(tmp_path: Path, dtype: str) -> None:
    write_config(tmp_path)
    header = f'{{"a": {{"dtype": {dtype}, "shape": [2], "data_offsets": [0, 4]}}}}'
    write_raw(tmp_path / "model.safetensors", header.encode(), 4)
    assert finding_of(tmp_path).message.endswith("tensor `a` has no right `dtype`")
