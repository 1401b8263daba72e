"""The recorder against the real vLLM: what it dumps and merges is what the package data says of that release."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.adapters.installed_vllm import RecordedParser, record_parser
from orchestrator.cli.record_release import merged
from orchestrator.domain.release import Release
from orchestrator.engine.flag_recording import document_text
from orchestrator.engine.releases import KNOWN_RELEASES
from tests.unit.engine.engine_samples import package_data_until

pytestmark = pytest.mark.vllm

RELEASE = Release.of("0.32.0")
BEFORE = KNOWN_RELEASES[KNOWN_RELEASES.index(RELEASE) - 1]


def test_recording_the_installed_release_gives_what_the_package_data_has(vllm_python: Path) -> None:
    recorded = record_parser(vllm_python)
    assert isinstance(recorded, RecordedParser)
    assert Release.parse(recorded.version.partition("+")[0]) == RELEASE
    made = merged(package_data_until(BEFORE), RELEASE, recorded)
    assert document_text(made).splitlines() == document_text(package_data_until(RELEASE)).splitlines()
