"""Adds a release to the package data: `python -m orchestrator.cli.record_release PYTHON`, with the Python that has it.

For those who work on orchestrate. The parser of that vLLM is dumped under its own interpreter and merged into
`engine/flags.json` and `engine/releases.json`, one flag a line, so that the difference reads well in a review.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from orchestrator.adapters.installed_vllm import RecordedParser, Unrecorded, record_parser
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.domain.release import Release
from orchestrator.engine.flag_recording import document_text, merge_release, releases_text
from orchestrator.engine.flags import flag_of

FLAGS, RELEASES = "flags.json", "releases.json"


def main(arguments: Sequence[str] | None = None, directory: Path | None = None) -> int:
    """Records and writes; the exit code. `directory` holds the two files: those of this package by default."""
    options = _options().parse_args(arguments)
    place = directory or Path(str(files("orchestrator.engine")))
    recorded = record_parser(options.python)
    if isinstance(recorded, Unrecorded):
        return _refuse(ExitCode.OUTSIDE, recorded.why, recorded.said)
    release = Release.parse(recorded.version.partition("+")[0])
    if release is None:
        return _refuse(ExitCode.FINDINGS, f"vLLM {recorded.version} is not a release", "install a released version")
    before = {**_read(place / FLAGS), "releases": _read(place / RELEASES)}
    if release <= (newest := Release.of(before["releases"][-1])):
        return _refuse(ExitCode.FINDINGS, *_not_newer(release, newest, before["releases"]))
    after = merged(before, release, recorded)
    releases = after.pop("releases")
    (place / FLAGS).write_text(document_text(after), encoding="utf-8")
    (place / RELEASES).write_text(releases_text(releases), encoding="utf-8")
    sys.stdout.write("\n".join(_what_changed(before, release, newest, recorded)) + "\n")
    return ExitCode.FINE


def merged(document: Mapping[str, Any], release: Release, recorded: RecordedParser) -> dict[str, Any]:
    """The package data with one more release."""
    return merge_release(document, release, (flag_of(name, spec) for name, spec in recorded.flags.items()))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orchestrator.cli.record_release", description=__doc__)
    parser.add_argument("python", metavar="PYTHON", help="the interpreter of an environment with the vLLM to record")
    return parser


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _refuse(code: ExitCode, why: str, more: str = "") -> int:
    sys.stderr.write(f"error: {why}\n" + "".join(f"  {line}\n" for line in more.splitlines()))
    return code


def _not_newer(release: Release, newest: Release, known: Sequence[str]) -> tuple[str, str]:
    where = "is recorded already" if release.text in known else "lies between recorded releases"
    why = f"vLLM {release} {where}; only a release newer than {newest} can be added"
    return why, "every entry says what did not change since the release before: record the releases in their order"


def _what_changed(
    before: Mapping[str, Any], release: Release, newest: Release, recorded: RecordedParser
) -> Iterator[str]:
    old = {name: rows[-1][2] for name, rows in before["flags"].items() if rows[-1][1] == newest.text}
    new = recorded.flags
    yield f"vLLM {release}: {len(new)} flags. Against {newest}:"
    yield from _names("added", [name for name in new if name not in old])
    yield from _names("removed", [name for name in old if name not in new])
    yield from _names("changed", [name for name in new if name in old and new[name] != old[name]])
    yield "Next: read the difference of engine/flags.json, and follow `Add a vLLM release` in orchestrator/README.md."


def _names(word: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"  {word}: {', '.join(sorted(names))}"


if __name__ == "__main__":
    sys.exit(main())
