"""The search core on small hand-made problems."""

from __future__ import annotations

import pytest

from orchestrator.planner.division import divide
from orchestrator.planner.problem import Option, Problem, Share, Tenant
from orchestrator.planner.search import Conflict, is_feasible, minimal_conflict, solve
from orchestrator.planner.steps import LimitReachedError


def share(inside: int = 0, required: int = 100) -> Share:
    return Share(claim=lambda level: level, headroom=lambda level: (level - inside) / required)


def fixed(name: str, level: int, gpu_count: int = 2) -> Tenant:
    """A tenant that takes `level` of 1000 on any GPU, no less and no more."""
    line = share()
    options = tuple(Option(gpus=(gpu,), shares=(line,), least=level, ceiling=level) for gpu in range(gpu_count))
    return Tenant(name=name, options=options)


def flexible(name: str, least: int, gpus: tuple[int, ...] = (0, 1), ceiling: int = 1000, **of_share: int) -> Tenant:
    line = share(**of_share)
    return Tenant(
        name=name,
        options=tuple(Option(gpus=(gpu,), shares=(line,), least=least, ceiling=ceiling) for gpu in gpus),
    )


@pytest.mark.parametrize("levels", [(400, 300, 580, 680), (450, 450, 900)])
def test_sets_that_greedy_placement_refuses_are_placed(levels: tuple[int, ...]) -> None:
    problem = Problem(tenants=tuple(fixed(f"t{level}{n}", level) for n, level in enumerate(levels)), free=(1000, 1000))
    solution = solve(problem)
    assert solution is not None
    for gpu in (0, 1):
        assert sum(level for option, level in zip(solution.options, levels, strict=True) if gpu in option.gpus) <= 1000


def test_nobody_sits_beside_an_exclusive_tenant() -> None:
    alone = Tenant(name="alone", options=fixed("alone", 100).options, exclusive=True)
    assert solve(Problem(tenants=(alone, fixed("other", 100)), free=(1000, 1000))) is not None
    assert solve(Problem(tenants=(alone, fixed("one", 600), fixed("two", 600)), free=(1000, 1000))) is None


def test_the_heaviest_group_gets_the_best_connected_pair() -> None:
    line = share()

    def group(name: str, weight: int) -> Tenant:
        pairs = {(0, 1): (0,), (2, 3): (5,)}
        options = tuple(
            Option(gpus=pair, shares=(line, line), least=600, ceiling=900, rank=rank) for pair, rank in pairs.items()
        )
        return Tenant(name=name, options=options, weight=weight)

    solution = solve(Problem(tenants=(group("light", 1), group("heavy", 2)), free=(1000,) * 4))
    assert solution is not None
    assert [option.gpus for option in solution.options] == [(2, 3), (0, 1)]


def test_a_better_link_that_would_leave_somebody_out_is_not_taken() -> None:
    line = share()
    ranks = {(0, 1): 5, (2, 3): 2, (4, 5): 0}
    options = tuple(
        Option(gpus=pair, shares=(line, line), least=600, ceiling=900, rank=(rank,)) for pair, rank in ranks.items()
    )
    group = Tenant(name="group", options=options)
    solution = solve(Problem(tenants=(group, flexible("pinned", 600, (4,))), free=(1000,) * 6))
    assert solution is not None
    assert [option.gpus for option in solution.options] == [(2, 3), (4,)]


def test_headroom_counts_before_the_number_of_gpus() -> None:
    solution = solve(Problem(tenants=(flexible("a", 300), flexible("b", 300)), free=(1000, 1000)))
    assert solution is not None
    assert [option.gpus for option in solution.options] == [(0,), (1,)]
    assert solution.levels == (1000, 1000)


def test_the_fewest_gpus_are_used_where_headroom_gains_nothing() -> None:
    tenants = (flexible("a", 300, ceiling=400), flexible("b", 300, ceiling=400))
    solution = solve(Problem(tenants=tenants, free=(1000, 1000)))
    assert solution is not None
    assert [option.gpus for option in solution.options] == [(0,), (0,)]


def test_co_tenants_rise_together_until_the_gpu_is_full() -> None:
    options = tuple(flexible(name, 200, (0,), inside=inside).options[0] for name, inside in (("a", 100), ("b", 150)))
    levels = divide(options, (1000,))
    assert sum(levels) == 1000
    assert levels == (475, 525)  # 375 over what is needed before the KV cache, each


def test_what_one_cannot_use_under_its_ceiling_the_other_gets() -> None:
    low, high = flexible("a", 200, (0,), ceiling=250).options[0], flexible("b", 200, (0,)).options[0]
    assert divide((low, high), (1000,)) == (250, 750)


def test_a_minimal_conflict_leaves_out_who_has_nothing_to_do_with_it() -> None:
    elsewhere = flexible("elsewhere", 100, (1,))
    crowd = [flexible(name, 400, (0,)) for name in "abc"]
    found = minimal_conflict(Problem(tenants=(elsewhere, *crowd), free=(1000, 1000)))
    assert found == Conflict(names=("a", "b", "c"))
    assert minimal_conflict(Problem(tenants=(elsewhere, *crowd[:2]), free=(1000, 1000))) is None


def hard_problem() -> Problem:
    """23 tenants of unlike sizes that fill 8 GPUs to the last part, one part too many."""
    levels = [331, 337, 347, 349, 353, 359, 367, 373, 379, 383, 389, 397, 311, 313, 317, 307, 293, 283, 281, 277, 271]
    tenants = tuple(fixed(f"t{level}", level, 7) for level in levels)
    return Problem(tenants=tenants, free=(sum(levels) // 7 + 1,) * 7)


def test_a_search_that_is_given_up_never_says_impossible() -> None:
    with pytest.raises(LimitReachedError):
        is_feasible(hard_problem(), step_limit=10)


def test_a_limit_reached_while_improving_gives_the_best_so_far_and_says_so() -> None:
    tenants = tuple(flexible(f"t{number}", 150 + 7 * number, (0, 1, 2)) for number in range(9))
    problem = Problem(tenants=tenants, free=(1000, 1000, 1000))
    quick, proven = solve(problem, step_limit=12), solve(problem)
    assert quick is not None
    assert proven is not None
    assert not quick.proven
    assert proven.proven
    assert quick.smallest_headroom <= proven.smallest_headroom


def test_nobody_to_place_is_a_solution() -> None:
    solution = solve(Problem(tenants=(), free=(1000,)))
    assert solution is not None
    assert solution.options == ()
    assert solution.smallest_headroom == float("inf")


def test_a_tenant_without_options_is_impossible() -> None:
    assert not is_feasible(Problem(tenants=(Tenant(name="t", options=()),), free=(1000,)))
