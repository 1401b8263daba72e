"""`apart-from` and `together-with` of several services against each other: names that exist, wishes that agree."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from orchestrator.config.tree_values import clipped
from orchestrator.domain.diagnostics import Diagnostic, Span
from orchestrator.domain.profile import KeyPath, Level, Neighbours, ServiceProfile, Sharing
from orchestrator.domain.release import Release
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.flag_values import as_positive_integer
from orchestrator.engine.parallelism import PARALLEL_SIZES

_APART, _TOGETHER = "apart-from", "together-with"


def check_neighbours(services: Sequence[ServiceProfile], release: Release, *, whole: bool) -> Iterator[Diagnostic]:
    """E141 for names that mean no other service (where `services` are all there are: `whole`), E142 for wishes that
    cannot both come true, E143 for services that cannot be on one GPU because they have several."""
    by_name = {each.name: each for each in services}
    for service in services:
        for path, name in _named(service):
            if name == service.name:
                yield _itself(service, path)
            elif whole and name not in by_name:
                yield _nobody(service, path, name, tuple(each for each in by_name if each != service.name))
        for level in Level:
            for number, name in enumerate(service.together_with.at(level)):
                if name in by_name and name != service.name:
                    span = service.places.value((_TOGETHER, level.value, number))
                    wish = _Wish(one=service, other=by_name[name], level=level, span=span)
                    yield from (*wish.obstacles(), *wish.too_many_gpus(release))


def _named(service: ServiceProfile) -> Iterator[tuple[KeyPath, str]]:
    for key, neighbours in ((_APART, service.apart_from), (_TOGETHER, service.together_with)):
        for level in Level:
            for number, name in enumerate(neighbours.at(level)):
                yield (key, level.value, number), name


def _itself(service: ServiceProfile, path: KeyPath) -> Diagnostic:
    help_ = "leave it out" + ("; replicas are kept apart anyway, see `spread`" if path[0] == _APART else "")
    return Diagnostic(
        code="E141",
        message=f"`{path[0]}` of `{clipped(service.name)}` names `{clipped(service.name)}` itself",
        span=service.places.value(path),
        label="the same service",
        help=(help_,),
    )


def _nobody(service: ServiceProfile, path: KeyPath, name: str, others: tuple[str, ...]) -> Diagnostic:
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.6)
    row = ", ".join(f"`{clipped(each)}`" for each in others[:20])
    help_ = f"did you mean `{clipped(near[0])}`?" if near else f"there are: {row}" if row else "leave it out"
    return Diagnostic(
        code="E141",
        message=f"`{path[0]}` of `{clipped(service.name)}` names `{clipped(name)}`, and no service is called so",
        span=service.places.value(path),
        label="no such service",
        help=(help_,),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """`one` wants to be together with `other`, as it says at `span`."""

    one: ServiceProfile
    other: ServiceProfile
    level: Level
    span: Span

    def obstacles(self) -> Iterator[Diagnostic]:
        pair = (self.one, self.other)
        for each in pair if self.level is Level.GPU else ():
            if each.sharing is Sharing.EXCLUSIVE:
                note = f"`{clipped(each.name)}` shares its GPUs with nobody: see {_at(each, ('sharing',))}"
                yield self._contradicted(note, "write `sharing: shared` there")
        for each, wanted in (pair, pair[::-1]):
            for apart, number in _kept_away(each.apart_from, wanted.name):
                if apart is Level.HOST or self.level is Level.GPU:
                    place = _at(each, (_APART, apart.value, number))
                    note = f"`{clipped(each.name)}` keeps away from `{clipped(wanted.name)}`: see {place}"
                    yield self._contradicted(note, "take the name out there")

    def too_many_gpus(self, release: Release) -> Iterator[Diagnostic]:
        """On one GPU there is room for services of one GPU, replica by replica."""
        if self.level is Level.HOST:
            return
        for each in (self.one, self.other):
            size = _gpus_of(each, release)
            if size > 1:
                yield self._cannot_share_one(f"`{clipped(each.name)}` takes {size} GPUs")
        counts = (self.one.replicas, self.other.replicas)
        if counts[0] != counts[1]:
            pairs = zip((self.one, self.other), counts, strict=True)
            row = " and ".join(f"`{clipped(each.name)}` has `replicas: {count}`" for each, count in pairs)
            yield self._cannot_share_one(f"{row}; replicas go in pairs, one of each to a GPU")

    def _cannot_share_one(self, note: str) -> Diagnostic:
        return Diagnostic(
            code="E143",
            message=f"`{clipped(self.one.name)}` and `{clipped(self.other.name)}` cannot be on one GPU",
            span=self.span,
            label="wanted here",
            notes=(note,),
            help=("write the name under `host:` instead of `gpu:`",),
        )

    def _contradicted(self, note: str, repair: str) -> Diagnostic:
        where = "GPU" if self.level is Level.GPU else "host"
        return Diagnostic(
            code="E142",
            message=f"`{clipped(self.one.name)}` and `{clipped(self.other.name)}` cannot be together on a {where}",
            span=self.span,
            label="wanted here",
            notes=(note,),
            help=(f"{repair}, or take `{clipped(self.other.name)}` out here",),
        )


def _gpus_of(service: ServiceProfile, release: Release) -> int:
    flags = canonical_flags(service.vllm, release)
    return prod(as_positive_integer(flags.get(name)) or 1 for name in PARALLEL_SIZES)


def _kept_away(neighbours: Neighbours, name: str) -> Iterator[tuple[Level, int]]:
    for level in Level:
        if name in neighbours.at(level):
            yield level, neighbours.at(level).index(name)


def _at(service: ServiceProfile, path: KeyPath) -> str:
    span = service.places.value(path)
    return f"{span.file}:{span.line}:{span.column}"
