"""Applies the fixes that findings carry, in memory, as long as that leaves fewer findings and no new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.cli.project import CheckedFiles, check_files
from orchestrator.domain.diagnostics import Diagnostic, Fix
from orchestrator.domain.release import Release

_MOST_ROUNDS = 20
"""A fix can make another one possible (a renamed key has a value that is checked now), but not for ever."""
_MOST_CHECKS = 100
_MOST_FILES_CHECKED = 3000
_FEWEST_CHECKS = 8
"""How often a project is checked in a round at most: less often the larger it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFiles:
    """`texts` of the files that changed, how many findings were `fixed`, and what is left in `checked`."""

    texts: Mapping[str, str]
    fixed: int
    checked: CheckedFiles


def fix_files(paths: Sequence[str], *, release: Release | None) -> FixedFiles:
    """The files that the paths lead to with every safe fix applied; nothing is written."""
    first = checked = check_files(paths, release=release, with_models=True)
    texts: dict[str, str] = {}
    for _ in range(_MOST_ROUNDS):
        trial = _Trial(paths, release, checked, texts)
        trial.take(_fixes(checked.report))
        if trial.best is checked:
            break
        texts, checked = trial.texts, trial.best
    changed = {file: text for file, text in texts.items() if text != first.sources.get(file)}
    return FixedFiles(
        texts=changed, fixed=len(first.report.in_order()) - len(checked.report.in_order()), checked=checked
    )


class _Trial:
    """One round: as many fixes as go together. `texts` and `best` are what they lead to."""

    def __init__(
        self, paths: Sequence[str], release: Release | None, checked: CheckedFiles, texts: Mapping[str, str]
    ) -> None:
        self.texts = dict(texts)
        self.best = checked
        self._paths = paths
        self._release = release
        self._sources = {**checked.sources, **texts}
        self._accepted: list[Fix] = []
        self._left = max(_FEWEST_CHECKS, min(_MOST_CHECKS, _MOST_FILES_CHECKED // max(1, len(checked.sources))))

    def take(self, fixes: Sequence[Fix]) -> None:
        """Take all of them; where that does not make anything better, what goes of either half."""
        if not fixes or not self._left:
            return
        self._left -= 1
        together = [*self._accepted, *fixes]
        texts = {**self.texts, **_with_fixes(self._sources, together)}
        after = check_files(self._paths, release=self._release, with_models=True, texts=texts)
        if is_better(self.best.report, after.report):
            self.texts, self.best, self._accepted = texts, after, together
        elif len(fixes) > 1:
            middle = len(fixes) // 2
            self.take(fixes[:middle])
            self.take(fixes[middle:])


def is_better(before: Iterable[Diagnostic], after: Iterable[Diagnostic]) -> bool:
    """Fewer findings, and none that was not there before."""
    old, new = Counter(map(identity, before)), Counter(map(identity, after))
    return new < old


def identity(finding: Diagnostic) -> tuple[str, str, str]:
    """What makes a finding the same one in a text that changed: lines move, what is wrong does not."""
    return (finding.span.file if finding.span else "", finding.code, finding.message)


def _fixes(report: Iterable[Diagnostic]) -> list[Fix]:
    """Every fix once: what the deployment says for all services is found for each of them."""
    return list(dict.fromkeys(finding.fix for finding in report if finding.fix is not None))


def _with_fixes(sources: Mapping[str, str], fixes: Iterable[Fix]) -> dict[str, str]:
    """The texts that change when the fixes are applied; one that overlaps an earlier one waits for the next round."""
    from orchestrator.config.edits import apply_edits, overlap

    edits: dict[str, list[Fix]] = {}
    for fix in fixes:
        chosen = edits.setdefault(fix.edits[0].span.file, [])
        if not any(overlap(fix.edits, other.edits) for other in chosen):
            chosen.append(fix)
    return {
        file: apply_edits(sources[file], [edit for fix in chosen for edit in fix.edits])
        for file, chosen in edits.items()
        if file in sources
    }
