"""Who starts after whom: co-tenants of a GPU never start at the same time, because each measures the GPU's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """A service with its claim in bytes on each of its GPUs (by place)."""

    name: str
    claims: Mapping[int, int]


def start_row(starters: tuple[Starter, ...]) -> tuple[str, ...]:
    """All services in one row, the largest claim on any GPU first, then by name: whoever waits waits for one before."""
    return tuple(each.name for each in sorted(starters, key=lambda each: (-max(each.claims.values()), each.name)))


def start_after(starters: tuple[Starter, ...]) -> dict[str, tuple[str, ...]]:
    """For each service the co-tenants directly before it, one per shared GPU at most; never a circle."""
    by_name = {each.name: each for each in starters}
    last_on: dict[int, str] = {}
    result = {}
    for name in start_row(starters):
        gpus = sorted(by_name[name].claims)
        result[name] = tuple(dict.fromkeys(last_on[gpu] for gpu in gpus if gpu in last_on))
        last_on.update(dict.fromkeys(gpus, name))
    return result
