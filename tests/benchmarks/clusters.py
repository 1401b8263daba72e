"""Made-up clusters of hosts with groups and single tenants, whose placement is known to exist."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from orchestrator.planner.problem import Option, Problem, Share, Tenant

GPU_BYTES = 24_000


def linear_share(base: int, inside: int, required: int) -> Share:
    return Share(
        claim=lambda level: GPU_BYTES * level // 1000 + base,
        headroom=lambda level: (GPU_BYTES * level // 1000 - inside) / required,
    )


def cluster(seed: int, tenants: int, hosts: int, filling: float = 0.9, gpus_per_host: int = 8) -> Problem:
    """Hosts are cut into groups of 1, 2, 4 or 8 GPUs, and these into least shares that fill `filling` of them."""
    random = Random(seed)
    cut = [width for _ in range(hosts) for width in _widths(random, gpus_per_host)]
    owners = [*range(len(cut)), *(random.randrange(len(cut)) for _ in range(max(0, tenants - len(cut))))]
    parts = [(cut[owner], random.uniform(0.5, 3.0), owner) for owner in owners]
    wholes = [sum(part for _, part, owner in parts if owner == number) for number in range(len(cut))]
    made = [(width, max(1, int(1000 * filling * part / wholes[owner]))) for width, part, owner in parts][:tenants]
    random.shuffle(made)
    rows = [tuple(range(first, first + gpus_per_host)) for first in range(0, hosts * gpus_per_host, gpus_per_host)]
    return Problem(
        tenants=tuple(
            Tenant(name=f"t{number:04}", options=tuple(_options(random, rows, *each)), weight=each[0] * each[1])
            for number, each in enumerate(made)
        ),
        free=(GPU_BYTES,) * (hosts * gpus_per_host),
    )


def _widths(random: Random, gpus: int) -> Iterator[int]:
    while gpus:
        width = random.choice([each for each in (1, 1, 1, 2, 2, 4, 8) if each <= gpus])
        gpus -= width
        yield width


def _options(random: Random, rows: list[tuple[int, ...]], width: int, least: int) -> Iterator[Option]:
    inside = int(least * GPU_BYTES / 1000 * random.uniform(0.4, 0.8))
    share = linear_share(0, inside, GPU_BYTES * least // 1000 - inside)
    for row in rows:
        yield Option(gpus=row[:width], shares=(share,) * width, least=least, ceiling=1000, pools=(row,) * width)
