"""Flags for programs: every field is always there."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.cli.views.flags import release_before, roles
from orchestrator.domain.release import Release
from orchestrator.engine.checks import reserved
from orchestrator.engine.flag_changes import ChangeKind, FlagChange, changes_between, predecessor_of, successor_of
from orchestrator.engine.flags import Flag, FlagHistory, flags

JSON_VERSION = 1


def release_json(release: Release) -> str:
    """All flags of a release, and what is different from the release before."""
    known, older = flags(release), release_before(release)
    changes = changes_between(older, release) if older is not None else ()
    document = {
        "version": JSON_VERSION,
        "release": release.text,
        "flags": [{**flag_as_dict(each), "refused": reserved(name) is not None} for name, each in known.items()],
        "against": None if older is None else older.text,
        **{kind.value: [each.name for each in changes if each.kind is kind] for kind in ChangeKind},
    }
    return as_text(document)


def histories_json(histories: Sequence[FlagHistory], release: Release) -> str:
    """One flag or several through all releases."""
    told = [_history(each, release) for each in histories]
    return as_text({"version": JSON_VERSION, "release": release.text, "flags": told})


def _history(past: FlagHistory, release: Release) -> dict[str, object]:
    flag = flags(release).get(past.name)
    instead = (successor_of(past.name, release) or predecessor_of(past.name, release)) if flag is None else None
    return {
        "name": past.name,
        "now": None if flag is None else flag_as_dict(flag),
        "instead": instead,
        "here": list(roles(past.name)),
        "spans": [
            {"since": span.first.text, "until": span.last.text, **flag_as_dict(span.flag)} for span in past.spans
        ],
    }


def flag_as_dict(flag: Flag) -> dict[str, object]:
    return {
        "name": flag.name,
        "type": flag.kind.value,
        "choices": list(flag.choices),
        "several": flag.many or flag.repeated,
        "default": flag.default,
        "other_names": list(flag.aliases),
        "negations": list(flag.negations),
        "false": flag.false_spelling,
        "deprecated": flag.deprecated,
    }


def change_as_dict(change: FlagChange) -> dict[str, object]:
    return {
        "name": change.name,
        "kind": change.kind.value,
        "releases": [release.text for release in change.turns],
        "differences": [
            {"what": each.what, "before": list(each.before), "after": list(each.after)} for each in change.differences
        ],
        "instead": change.instead,
        "before": None if change.before is None else flag_as_dict(change.before),
        "after": None if change.after is None else flag_as_dict(change.after),
    }


def as_text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
