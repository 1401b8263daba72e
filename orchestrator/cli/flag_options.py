"""The option `--set FLAG=VALUE`: flags of `vllm serve` on the command line, checked as in a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from orchestrator.domain.diagnostics import Report
from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release

_FILE = "--set"
_ASKED_ELSEWHERE = {
    "max-model-len": "use `--max-model-len`",
    "tensor-parallel-size": "name a group of cards, such as `--gpu 2xRTX4090`",
    "pipeline-parallel-size": "groups of cards are split by tensor parallelism here",
    "data-parallel-size": "ask about one replica",
    "gpu-memory-utilization": "the largest one that starts is what is computed",
    "kv-cache-memory-bytes": "the largest cache that fits is what is computed",
    "num-gpu-blocks-override": "the largest cache that fits is what is computed",
}


def read_flags(
    options: Sequence[str], release: Release, report: Report, sources: dict[str, str]
) -> Mapping[str, FlagValue]:
    """The flags, with every finding that a profile with them would get; values are written as in YAML.

    Raises typer.BadParameter (exit code 2) for what is no FLAG=VALUE, and for flags that other options stand for.
    """
    if not options:
        return {}
    from orchestrator.config.load import Outline, load_service
    from orchestrator.config.yaml_tree import parse
    from orchestrator.engine.canonical import canonical_flags

    lines = [_line(option) for option in options]
    text = "service: fit\nmodel: fit\nvllm:\n" + "".join(f"  {line}\n" for line in lines)
    sources[_FILE] = text
    service = load_service(parse(text, _FILE), report, Outline(release=release))
    if service is None:
        return {}
    for name, instead in _ASKED_ELSEWHERE.items():
        if name in canonical_flags(service.vllm, release):
            raise typer.BadParameter(f"`{name}` cannot be set: {instead}", param_hint=_FILE)
    return service.vllm


def _line(option: str) -> str:
    name, equals, value = option.partition("=")
    if not (name.strip() and equals and value.strip() and option.isprintable()):
        raise typer.BadParameter(f"not FLAG=VALUE: {option!r} (such as `kv-cache-dtype=fp8`)", param_hint=_FILE)
    return f"{name.strip().removeprefix('--')}: {value.strip()}"
