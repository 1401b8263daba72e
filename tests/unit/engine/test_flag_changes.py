"""Changes of flags between releases, up and down, and in words."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orchestrator.domain.release import Release
from orchestrator.engine.flag_changes import (
    ChangeKind,
    Difference,
    FlagChange,
    changes_between,
    default_in_words,
    differences,
    false_in_words,
    takes_in_words,
    type_in_words,
)
from orchestrator.engine.flags import Flag, Kind, flags
from orchestrator.engine.releases import KNOWN_RELEASES, NEWEST
from tests.unit.engine.engine_samples import release


def _change(name: str, here: str, there: str) -> FlagChange:
    (found,) = (each for each in changes_between(release(here), release(there)) if each.name == name)
    return found


def _turns(change: FlagChange) -> list[str]:
    return [each.text for each in change.turns]


def test_a_flag_that_went_says_when_and_what_to_write() -> None:
    change = _change("swap-space", "0.8.5", "0.32.0")
    assert (change.kind, _turns(change)) == (ChangeKind.REMOVED, ["0.18.0"])
    assert change.instead == "delete the line; the engine no longer swaps"
    assert (
        _change("disable-log-requests", "0.10.2", "0.33.0").instead
        == "it is the opposite of `enable-log-requests` there"
    )
    assert _change("rope-scaling", "0.8.5", "0.32.0").instead.startswith("nothing to do: in profiles it stays")


def test_a_flag_that_came_says_when() -> None:
    change = _change("kv-cache-memory-bytes", "0.8.5", "0.32.0")
    assert (change.kind, _turns(change), change.instead) == (ChangeKind.ADDED, ["0.10.2"], "")


def test_downwards_what_came_is_gone_and_what_to_write_is_what_there_was() -> None:
    gone = _change("enable-log-requests", "0.32.0", "0.9.2")
    assert (gone.kind, _turns(gone)) == (ChangeKind.REMOVED, ["0.10.1"])
    assert gone.instead == "write `disable-log-requests: true` not to log requests"
    assert _change("swap-space", "0.32.0", "0.8.5").kind is ChangeKind.ADDED


def test_a_flag_that_is_otherwise_says_in_what_and_when() -> None:
    change = _change("gpu-memory-utilization", "0.19.1", "0.33.0")
    assert (change.kind, _turns(change)) == (ChangeKind.CHANGED, ["0.20.0", "0.31.0"])
    assert change.differences == (
        Difference(what="default", before=("0.9",), after=("0.92",)),
        Difference(what="other names", before=(), after=("device-memory-utilization",)),
    )
    assert not change.is_spelling_only
    assert _change("enable-lora", "0.32.0", "0.33.0").is_spelling_only


@pytest.mark.parametrize(("older", "newer"), [*pairwise(KNOWN_RELEASES), (KNOWN_RELEASES[0], NEWEST)])
def test_going_up_and_coming_back_is_the_same_list_the_other_way_round(older: Release, newer: Release) -> None:
    up, down = changes_between(older, newer), changes_between(newer, older)
    turned = {ChangeKind.ADDED: ChangeKind.REMOVED, ChangeKind.REMOVED: ChangeKind.ADDED}
    assert [(each.name, turned.get(each.kind, each.kind), each.after, each.before, each.turns) for each in up] == [
        (each.name, each.kind, each.before, each.after, each.turns) for each in down
    ]
    assert {each.name for each in up if each.kind is ChangeKind.ADDED} == {*flags(newer)} - {*flags(older)}
    assert all(each.turns for each in up)


def test_the_order_of_choices_is_no_difference() -> None:
    one, other = (Flag(name="x", kind=Kind.STRING, choices=choices) for choices in (("a", "b"), ("b", "a")))
    assert differences(one, other) == ()


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (Flag(name="x", kind=Kind.SWITCH, default=False), ("a switch", "a switch", "false", "cannot be said")),
        (Flag(name="x", kind=Kind.STRING, many=True), ("text, several", "text, several", "none", "")),
        (Flag(name="x", kind=Kind.STRING, choices=("a", "b"), default="a"), ("text", "a or b", "a", "")),
        (Flag(name="x", kind=Kind.INTEGER, choices=(1, 2, 4, 8, 16)), ("an integer", "one of 5 words", "none", "")),
        (Flag(name="x", kind=Kind.STRING, default=""), ("text", "text", '""', "")),
        (Flag(name="x", kind=Kind.JSON_LIST, default=["*"]), ("a list", "a list", '["*"]', "")),
        (Flag(name="x", kind=Kind.BOOLEAN, false_spelling="--x=false"), ("true or false",) * 2 + ("none", "--x=false")),
    ],
)
def test_a_flag_in_words(flag: Flag, words: tuple[str, ...]) -> None:
    assert (type_in_words(flag), takes_in_words(flag), default_in_words(flag), false_in_words(flag)) == words


def test_every_kind_has_words() -> None:
    assert all(type_in_words(Flag(name="x", kind=kind)) for kind in Kind)
