"""Runs under the interpreter of an installed vLLM, without our dependencies: prints the flags of its `vllm serve`."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
from typing import Any

from orchestrator.engine.flag_recording import recorded_flags
from orchestrator.engine.flags import spec_of

_PARSER_MODULES = ("vllm.utils.argparse_utils", "vllm.utils")
"""Where releases have had their parser's class, the newer first."""


def main() -> None:
    """One JSON object on stdout: the version, and every flag as flags.json writes it. What vLLM says goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        version = importlib.import_module("vllm").__version__
        flags = recorded_flags(_serve_parser())
    json.dump({"version": version, "flags": {flag.name: spec_of(flag) for flag in flags}}, sys.stdout)


def _serve_parser() -> argparse.ArgumentParser:
    serve = importlib.import_module("vllm.entrypoints.cli.serve").ServeSubcommand()
    subparsers: Any = _parser_class()(prog="vllm").add_subparsers()
    serve.subparser_init(subparsers)
    parser: argparse.ArgumentParser = subparsers.choices["serve"]
    return parser


def _parser_class() -> Any:
    for name in _PARSER_MODULES:
        with contextlib.suppress(ImportError, AttributeError):
            return importlib.import_module(name).FlexibleArgumentParser
    raise ImportError(f"no FlexibleArgumentParser in {' or '.join(_PARSER_MODULES)}")
