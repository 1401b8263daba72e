"""Who is left out where not all can coexist: those who matter least, as few as it takes."""

from __future__ import annotations

from orchestrator.planner.candidacy import Candidacy
from orchestrator.planner.company import Company, Repair
from orchestrator.planner.seats import listed


def leave_out(conflict: tuple[Candidacy, ...], company: Company) -> Repair | None:
    """Giving up those who matter least, as few as it takes, if somebody is left who then fits."""
    row = [*conflict, *company.near(conflict)]
    places = {each.name: place for place, each in enumerate(row)}
    row.sort(key=lambda each: (each.profile.priority, -places[each.name]))
    low, high = 1, len(row)
    while low < high:
        middle = (low + high) // 2
        if company.without(*row[:middle]).fits_with():
            high = middle
        else:
            low = middle + 1
    if low >= len(row):
        return None
    rest = tuple(sorted(row[low:], key=lambda each: places[each.name]))
    return Repair(text=_leave_out_text(row[:low], conflict, rest, company))


def _leave_out_text(
    given_up: list[Candidacy], conflict: tuple[Candidacy, ...], rest: tuple[Candidacy, ...], company: Company
) -> str:
    """Where priorities decide, who; where they do not, that they do not."""
    names = listed([f"`{each.name}` (priority {each.profile.priority})" for each in given_up])
    highest = max(each.profile.priority for each in given_up)
    equals = [each for each in rest if each.profile.priority == highest]
    if not equals:
        return f"leave out {names}: nobody concerned has a lower priority"
    if len(given_up) == 1:
        equals = [each for each in conflict if each.profile.priority == highest]
        either = [each for each in equals if company.without(each).fits_with()]
        return f"leave out {_any_of(either)} (all have priority {highest}), or set priorities"
    return f"leave out {names}: others have the same priority, so set priorities to choose"


def _any_of(choices: list[Candidacy]) -> str:
    names = [f"`{each.name}`" for each in choices]
    return listed(names) if len(names) < 2 else f"{'either' if len(names) == 2 else 'any one'} of {listed(names)}"


def least_important(conflict: tuple[Candidacy, ...]) -> Candidacy:
    """The lowest priority, among equals the last in the file."""
    return min(reversed(conflict), key=lambda each: each.profile.priority)
