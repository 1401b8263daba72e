"""Mutated texts under every kind of change: never an exception, and no result that was not proved."""

from __future__ import annotations

from random import Random

import pytest

from orchestrator.config.edit_places import Source
from orchestrator.config.edits import Change, Delete, Insert, Rename, Replace, edits_for, plain_edits
from orchestrator.config.tree_values import walk
from tests.fuzz.test_loader_fuzz import mutated

ROUNDS = 150


def changes(source: Source, random: Random) -> list[Change]:
    assert source.root is not None
    paths = [path for path, _, _ in walk(source.root, ())] or [("a",)]
    path = random.choice(paths)
    new = (*path[:-1], "new")
    return [
        Delete(path),
        Rename(path, "new"),
        Replace(path, {"x": [1, "yes"]}),
        Insert(new, 1),
        Insert(new, "a b", "d"),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_no_text_breaks_an_edit(seed: int) -> None:
    random = Random(seed)
    made = 0
    for _ in range(ROUNDS):
        source = Source.of(mutated(random))
        if source.root is None:
            continue
        for change in changes(source, random):
            made += edits_for(source, change) is not None
            plain_edits(source, [change])
    assert made > ROUNDS // 2
