"""`gpus:` of a service by itself: every GPU once, and as many as the workers of all its replicas."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from orchestrator.config.checks_of_text import GPU
from orchestrator.config.flags_section import EffectiveFlags
from orchestrator.config.scalars import Scalar
from orchestrator.config.tree_values import clipped, scalar_at
from orchestrator.config.yaml_nodes import MappingNode, ScalarNode, SequenceNode
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.profile import Level, Places
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flag_values import as_positive_integer
from orchestrator.engine.parallelism import PARALLEL_SIZES


def check_gpus(root: MappingNode, flags: EffectiveFlags, release: Release, places: Places) -> Iterator[Diagnostic]:
    """E132 and E133."""
    entry = root.entries.get("gpus")
    if entry is None or not isinstance(entry.node, SequenceNode):
        return
    gpus = [node.value if isinstance(node, ScalarNode) else None for node in entry.node.items]
    first: dict[Scalar, int] = {}
    for index, gpu in enumerate(gpus):
        if gpu is not None and first.setdefault(gpu, index) != index:
            message = f"GPU `{clipped(str(gpu))}` is listed twice"
            span = places.value(("gpus", index))
            help_ = "list each GPU once"
            yield Diagnostic(code="E132", message=message, span=span, label="listed again", help=(help_,))
    if len(first) == len(gpus) and all(GPU.fits(gpu) for gpu in gpus):
        yield from _check_number(gpus, flags, release, root, places)


def _check_number(
    gpus: list[Scalar], flags: EffectiveFlags, release: Release, root: MappingNode, places: Places
) -> Iterator[Diagnostic]:
    """Each replica has GPUs of its own out of the list. On hosts of their own, all may have the same indices."""
    plain = canonical_flags(flags.values, release)
    written = [flag for flag in PARALLEL_SIZES if flag in plain]
    sizes = [as_positive_integer(plain[flag]) for flag in written]
    replicas = as_positive_integer(scalar_at(root, "replicas")) or 1
    if not flags.is_complete or None in sizes:
        return
    world_size = prod(size or 1 for size in sizes)
    on_hosts_of_their_own = scalar_at(root, "spread") == Level.HOST and all(isinstance(gpu, int) for gpu in gpus)
    number, wanted = len(gpus), world_size * replicas
    if number in (wanted, 0) or (on_hosts_of_their_own and number == world_size):
        return
    factors = [f"`{flag}` {size}" for flag, size in zip(written, sizes, strict=True)]
    if replicas > 1:
        factors = [*(factors or ["`tensor-parallel-size` 1"]), f"`replicas` {replicas}"]
    product = " x ".join(factors)
    asked = f"{product} is {wanted}" if len(factors) > 1 else product or "`tensor-parallel-size` is 1 when not written"
    yield Diagnostic(
        code="E133",
        message=f"{number} GPU{'s are' if number > 1 else ' is'} listed, but the flags use {wanted}"
        if replicas == 1
        else f"{number} GPU{'s are' if number > 1 else ' is'} listed, but {replicas} replicas use {wanted}",
        span=places.value(("gpus",)),
        label=f"{number} listed",
        notes=(asked,),
        help=(_help(number, wanted, world_size, replicas, written),),
    )


def _help(number: int, wanted: int, world_size: int, replicas: int, written: list[str]) -> str:
    help_ = f"list {wanted} GPU{'s' if wanted > 1 else ''}"
    if number % world_size == 0 and number // world_size != replicas and replicas > 1:
        return f"{help_}, or write `replicas: {number // world_size}`"
    if set(written) <= {"tensor-parallel-size"} and number % replicas == 0:
        help_ += f", or write `tensor-parallel-size: {number // replicas}` under `vllm:`"
    return help_
