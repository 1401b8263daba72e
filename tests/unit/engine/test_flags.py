"""What is known about the flags of each release."""

from __future__ import annotations

import argparse
import json
from enum import Enum, IntEnum
from importlib.resources import files

import pytest

from orchestrator.engine.flag_recording import (
    document_text,
    kind_accepted_by,
    merge_release,
    recorded_flags,
    releases_text,
)
from orchestrator.engine.flags import (
    Flag,
    Kind,
    all_names,
    find_named,
    flag,
    flag_of,
    flag_with_short_name,
    flags,
    history,
    spec_of,
)
from orchestrator.engine.releases import KNOWN_RELEASES, NEWEST, closest_known, is_known, release_after
from tests.unit.engine.engine_samples import release


def test_the_package_data_covers_exactly_the_known_releases() -> None:
    document = json.loads(files("orchestrator.engine").joinpath("flags.json").read_text(encoding="utf-8"))
    named = {text for entries in document["flags"].values() for first, last, _ in entries for text in (first, last)}
    assert named <= {each.text for each in KNOWN_RELEASES}
    assert all(flags(each) for each in KNOWN_RELEASES)
    assert list(KNOWN_RELEASES) == sorted(set(KNOWN_RELEASES))


def test_the_package_data_is_what_the_recorder_writes() -> None:
    text = files("orchestrator.engine").joinpath("flags.json").read_text(encoding="utf-8")
    assert document_text(json.loads(text)) == text
    text = files("orchestrator.engine").joinpath("releases.json").read_text(encoding="utf-8")
    assert releases_text(json.loads(text)) == text


def test_the_closest_known_release_is_never_newer_unless_all_are() -> None:
    assert closest_known(release("0.32.7")) == release("0.32.0")
    assert closest_known(release("1.0.0")) == NEWEST
    assert closest_known(release("0.1.0")) == KNOWN_RELEASES[0]
    assert is_known(release("0.10.1.1"))
    assert not is_known(release("0.32.7"))
    assert release_after(release("0.32.0")) == release("0.33.0")
    assert release_after(NEWEST) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [("0.6.6", 128), ("0.7.3", 137), ("0.8.5", 138), ("0.9.2", 165), ("0.20.2", 240), ("0.32.0", 317), ("0.33.0", 321)],
)
def test_each_release_has_as_many_flags_as_its_parser_had_options(text: str, count: int) -> None:
    assert len(flags(release(text))) == count - 1  # the model's own place is counted there


def test_a_flag_is_what_its_release_says() -> None:
    assert flag(release("0.19.1"), "gpu-memory-utilization") == Flag(
        name="gpu-memory-utilization", kind=Kind.NUMBER, default=0.9
    )
    assert flag(release("0.33.0"), "gpu-memory-utilization") == Flag(
        name="gpu-memory-utilization", kind=Kind.NUMBER, aliases=("device-memory-utilization",), default=0.92
    )
    assert flag(release("0.33.0"), "enable-prefix-caching") == Flag(
        name="enable-prefix-caching",
        kind=Kind.SWITCH,
        negations=("disable-prefix-caching", "no-enable-prefix-caching"),
        false_spelling="--disable-prefix-caching",
        default=None,
    )
    assert flag(release("0.8.4"), "enforce-eager") == Flag(name="enforce-eager", kind=Kind.SWITCH, default=False)
    assert flag(release("0.33.0"), "swap-space") is None


def test_names_are_found_however_they_are_spelt() -> None:
    newest = release("0.33.0")
    plain = find_named("max_model_len", newest)
    assert plain is not None
    assert (plain.flag.name, plain.is_negation, plain.dotted) == ("max-model-len", False, ())
    negated = find_named("disable-log-requests", newest)
    assert negated is not None
    assert (negated.flag.name, negated.is_negation) == ("enable-log-requests", True)
    part = find_named("compilation_config.pass_config.fuse", newest)
    assert part is not None
    assert (part.flag.name, part.dotted) == ("compilation-config", ("pass_config", "fuse"))
    assert find_named("tp", newest) is None
    assert find_named("-tp", newest) is None
    short = flag_with_short_name("tp", newest)
    assert short is not None
    assert short.name == "tensor-parallel-size"
    assert flag_with_short_name("zzz", newest) is None


def test_a_history_tells_when_a_flag_came_and_went() -> None:
    swap = history("swap-space")
    assert swap is not None
    assert (str(swap.first), str(swap.last)) == ("0.6.0", "0.17.1")
    assert history("no-such-flag") is None
    assert "swap-space" in all_names()


class StoreBoolean(argparse.Action):
    """As vLLM's action of that name: takes the words true and false."""

    def __call__(self, *_: object) -> None:
        """Nothing is parsed here."""


def _human(text: str) -> int:
    return int(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)


def _human_or_auto(text: str) -> int | str:
    return text if text == "auto" else _human(text)


def _pairs(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (part.split("=") for part in text.split(","))}


def _json_or_pairs(text: str) -> object:
    return json.loads(text) if text.startswith("{") else _pairs(text)


def _json_or_text(text: str) -> object:
    return json.loads(text) if text.startswith("{") else text


class _Level(IntEnum):
    SECOND = 2


class _Backend(Enum):
    TRITON = "triton"


class LoRAParserAction(argparse._StoreAction):
    """Named as in vLLM: it reads names, paths and JSON itself."""


def _sample_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--tensor-parallel-size", "-tp", type=int, default=1)
    parser.add_argument("--enable-lora", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--chunked", action=StoreBoolean, nargs="?")
    parser.add_argument("--dtype", choices=["auto", "half", None], default="auto")
    parser.add_argument("--moe-backend", type=lambda text: text.lower().replace("-", "_"), choices=["auto", "triton"])
    parser.add_argument("--names", nargs="+", default=argparse.SUPPRESS)
    parser.add_argument("--middleware", action="append")
    parser.add_argument("--config-of-it", type=json.loads, default="<Config(...)>")
    parser.add_argument("--origins", type=json.loads, default=["*"])
    parser.add_argument("--device-ids", type=lambda text: text.split(","))
    parser.add_argument("--level", type=str, default=_Level.SECOND, help="--level is Deprecated and will be removed")
    parser.add_argument("--backend", type=str, default=_Backend.TRITON)
    parser.add_argument("--path", type=str, default="")
    parser.add_argument("--lora-modules", type=str, nargs="+", action=LoRAParserAction)
    parser.add_argument("--hf-overrides", type=_json_or_text, default={})
    return parser


def test_a_parser_is_recorded_as_it_is() -> None:
    recorded = {each.name: each for each in recorded_flags(_sample_parser())}
    assert recorded == {
        "backend": Flag(name="backend", kind=Kind.STRING, default="triton"),
        "chunked": Flag(name="chunked", kind=Kind.BOOLEAN, false_spelling="--chunked=false"),
        "config-of-it": Flag(name="config-of-it", kind=Kind.JSON),
        "device-ids": Flag(name="device-ids", kind=Kind.STRING),
        "dtype": Flag(name="dtype", kind=Kind.STRING, choices=("auto", "half"), default="auto"),
        "enable-lora": Flag(
            name="enable-lora", kind=Kind.SWITCH, negations=("no-enable-lora",), false_spelling="--no-enable-lora"
        ),
        "headless": Flag(name="headless", kind=Kind.SWITCH, default=False),
        "hf-overrides": Flag(name="hf-overrides", kind=Kind.JSON),
        "level": Flag(name="level", kind=Kind.INTEGER, default=2, deprecated=True),
        "lora-modules": Flag(name="lora-modules", kind=Kind.JSON_OR_STRING, many=True),
        "middleware": Flag(name="middleware", kind=Kind.STRING, repeated=True),
        "moe-backend": Flag(name="moe-backend", kind=Kind.STRING, choices=("auto", "triton"), loose=True),
        "names": Flag(name="names", kind=Kind.STRING, many=True),
        "origins": Flag(name="origins", kind=Kind.JSON_LIST, default=["*"]),
        "path": Flag(name="path", kind=Kind.STRING),
        "tensor-parallel-size": Flag(name="tensor-parallel-size", kind=Kind.INTEGER, aliases=("-tp",), default=1),
    }


@pytest.mark.parametrize(
    ("converter", "kind"),
    [
        (None, Kind.STRING),
        (str, Kind.STRING),
        (int, Kind.INTEGER),
        (float, Kind.NUMBER),
        (json.loads, Kind.JSON),
        (_human, Kind.HUMAN_INTEGER),
        (_human_or_auto, Kind.HUMAN_INTEGER_OR_AUTO),
        (_pairs, Kind.PAIRS),
        (_json_or_pairs, Kind.JSON_OR_PAIRS),
        (_json_or_text, Kind.JSON_OR_STRING),
    ],
)
def test_a_converter_is_known_by_what_it_accepts(converter: object, kind: Kind) -> None:
    assert kind_accepted_by(converter) is kind


def test_a_new_release_lengthens_what_did_not_change_and_adds_what_did() -> None:
    same, old, new = (
        Flag(name="same", kind=Kind.INTEGER),
        Flag(name="other", kind=Kind.INTEGER),
        Flag(name="other", kind=Kind.NUMBER),
    )
    first = merge_release({"provenance": "a test"}, release("0.33.0"), [same, old])
    second = merge_release(first, release("0.34.0"), [same, new])
    assert second == {
        "provenance": "a test",
        "releases": ["0.33.0", "0.34.0"],
        "flags": {
            "other": [["0.33.0", "0.33.0", {"k": "integer"}], ["0.34.0", "0.34.0", {"k": "number"}]],
            "same": [["0.33.0", "0.34.0", {"k": "integer"}]],
        },
    }
    with pytest.raises(ValueError, match=r"0\.34\.0 is not newer than 0\.34\.0"):
        merge_release(second, release("0.34.0"), [])


def _refuses_everything(text: str) -> int:
    raise ValueError(text)


def test_a_converter_that_accepts_nothing_we_try_takes_a_string() -> None:
    assert kind_accepted_by(_refuses_everything) is Kind.STRING


@pytest.mark.parametrize("text", ["0.6.6", "0.11.0", "0.33.0"])
def test_a_flag_survives_being_written_and_read(text: str) -> None:
    known = flags(release(text))
    assert {name: flag_of(name, spec_of(each)) for name, each in known.items()} == known
