"""Keys inside JSON flags."""

from __future__ import annotations

import pytest

from orchestrator.domain.profile import FlagValue
from orchestrator.engine.checks import check_flags
from orchestrator.engine.json_keys import json_keys, merge_keys, recorded_keys
from orchestrator.engine.problems import FlagProblem
from tests.unit.engine.engine_samples import release


def test_a_key_that_the_release_refuses_names_the_nearest_one() -> None:
    vllm: dict[str, FlagValue] = {"compilation-config": {"cudagraph_mod": "PIECEWISE", "mode": 3}}
    assert check_flags(vllm, release("0.32.0")) == (
        FlagProblem(
            code="E234",
            flag="compilation-config",
            path=("cudagraph_mod",),
            message="unknown key `cudagraph_mod` in `compilation-config`",
            label="vLLM 0.32.0 refuses it",
            help=("did you mean `cudagraph_mode`?",),
        ),
    )
    assert check_flags({"compilation-config": {"cudagraph_mode": "PIECEWISE"}}, release("0.32.0")) == ()


def test_a_dotted_key_is_blamed_as_it_was_written() -> None:
    (problem,) = check_flags({"attention_config.zzzzz": 1}, release("0.32.0"))
    assert (problem.code, problem.flag, problem.path) == ("E234", "attention_config.zzzzz", ())
    assert problem.help == ("delete it; the release takes 21 other keys here",)


@pytest.mark.parametrize(
    ("vllm", "pinned"),
    [
        ({"compilation-config": {"zzz": 1}}, "0.15.1"),
        ({"hf-overrides": {"zzz": 1}}, "0.32.0"),
        ({"speculative-config": {"zzz": 1}}, "0.32.0"),
        ({"reasoning-config": {"zzz": 1}}, "0.17.0"),
    ],
)
def test_nothing_is_said_where_releases_take_any_key(vllm: dict[str, FlagValue], pinned: str) -> None:
    assert [problem for problem in check_flags(vllm, release(pinned)) if problem.code == "E234"] == []


def test_keys_come_and_go_with_releases() -> None:
    assert "mode" in json_keys("compilation-config", release("0.33.0"))
    assert json_keys("compilation-config", release("0.15.1")) == frozenset()
    assert json_keys("compilation-config", release("0.16.0")) != json_keys("compilation-config", release("0.33.0"))


SOURCE = """
@config
class CompilationConfig:
    level: int = 0
    COUNT: ClassVar[int] = 1
    done: bool = field(default=False, init=False)
    size: int = Field(default=1, ge=0)

@config(extra="x")
class KernelConfig:
    name: str

class PoolerConfig:
    open: int
"""


def test_keys_are_read_from_the_source() -> None:
    keys = recorded_keys([SOURCE])
    assert keys == ("compilation-config.level", "compilation-config.size", "kernel-config.name")
    assert merge_keys({}, release("0.1.0"), keys[:1])["keys"] == {keys[0]: [["0.1.0", "0.1.0", {}]]}


def test_a_key_that_got_another_name_is_told_the_new_one() -> None:
    (problem,) = check_flags({"compilation-config": {"level": 3}}, release("0.33.0"))
    assert (problem.flag, problem.path, problem.help) == ("compilation-config", ("level",), ("did you mean `mode`?",))


def test_of_two_dotted_keys_the_wrong_one_is_blamed() -> None:
    vllm: dict[str, FlagValue] = {"compilation-config.mode": 3, "compilation-config.nope.x": 3}
    (problem,) = check_flags(vllm, release("0.33.0"))
    assert (problem.flag, problem.path) == ("compilation-config.nope.x", ())
