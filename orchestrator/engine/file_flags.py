"""Flags that name files: the server looks for them in its container, not where the profile was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.domain.diagnostics import Severity
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags, written_key
from orchestrator.engine.flag_values import text
from orchestrator.engine.problems import FlagProblem, quoted

_TEMPLATE = "chat-template"
_FILES = (
    _TEMPLATE,
    "log-config-file",
    "reasoning-parser-plugin",
    "ssl-ca-certs",
    "ssl-certfile",
    "ssl-keyfile",
    "tool-parser-plugin",
)
_TEMPLATE_SIGNS = frozenset("{}\n")
"""What makes vLLM take a chat template for the template itself; without any of these it is a file name."""

_IN_THE_IMAGE = ("/", "examples/")
"""Absolute paths may name files of the image, and the official image has vLLM's examples in its working directory."""


def check_files(vllm: Mapping[str, FlagValue], release: Release) -> Iterator[FlagProblem]:
    """W203 for paths that can only mean files beside the profile: nothing of the host is mounted but the caches."""
    flags = canonical_flags(vllm, release)
    for name in _FILES:
        written = text(flags, name)
        if written is None or written.startswith(_IN_THE_IMAGE):
            continue
        if name == _TEMPLATE and _TEMPLATE_SIGNS & set(written):
            continue
        key = written_key(name, vllm, release)
        if key:
            yield _not_in_the_container(key, written, is_template=name == _TEMPLATE)


def _not_in_the_container(key: str, written: str, *, is_template: bool) -> FlagProblem:
    inline = "write the template itself (`|` and the text below it), or " if is_template else ""
    return FlagProblem(
        code="W203",
        flag=key,
        on_value=True,
        severity=Severity.WARNING,
        message=f"`{key}` {quoted(written)} names a file that is not in the container",
        label="files of the host are not mounted",
        help=(f"{inline}give the absolute path of a file that the image holds",),
    )
