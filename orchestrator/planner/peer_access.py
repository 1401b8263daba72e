"""Pairs of cards that cannot read each other's memory, under releases that no longer try it out.

The custom all-reduce of vLLM needs peer-to-peer access. Over PCIe it is switched off by itself for groups of more than
two; for two vLLM asks the driver, and from 0.10.1 on believes it (`VLLM_SKIP_P2P_CHECK`) where it used to try.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.catalog.cards import find_gpu
from orchestrator.domain.inventory import Gpu, LinkKind
from orchestrator.domain.plan import Rejection
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.environment import is_on
from orchestrator.engine.flag_values import positive_integer, switch
from orchestrator.planner.candidacy import Candidacy, Ground
from orchestrator.planner.seats import Seat, listed

_TENSOR_PARALLEL = "tensor-parallel-size"
_FIRST_WITHOUT_ANY_LINK = (8, 9)
"""GeForce cards from Ada on have neither NVLink nor, in stock drivers, peer-to-peer access over PCIe."""


def peer_access(ground: Ground, candidacy: Candidacy, seats: tuple[Seat, ...]) -> Iterator[Rejection]:
    """W506 for a tensor-parallel pair that would go by the driver's word alone."""
    flags, variables = canonical_flags(candidacy.profile.vllm, ground.release), candidacy.profile.environment
    goes_by_word = is_on(variables, "VLLM_SKIP_P2P_CHECK", ground.release)
    if positive_integer(flags, _TENSOR_PARALLEL) != 2 or switch(flags, "disable-custom-all-reduce") or not goes_by_word:
        return
    for pair in _pairs(seats):
        if _lacks_access(*pair):
            yield _warning(ground, candidacy, pair)
            return


def _pairs(seats: tuple[Seat, ...]) -> Iterator[tuple[Seat, Seat]]:
    """The tensor-parallel groups of a service: each pipeline stage has its own."""
    yield from zip(seats[::2], seats[1::2], strict=False)


def _lacks_access(one: Seat, other: Seat) -> bool:
    link = one.host.link(one.gpu.uuid, other.gpu.uuid)
    is_joined = link is not None and link.kind is LinkKind.NVLINK
    return not is_joined and any(_is_without_access(seat.gpu) for seat in (one, other))


def _is_without_access(gpu: Gpu) -> bool:
    known = find_gpu(gpu.name)
    capability = gpu.compute_capability or (known.compute_capability if known is not None else (0, 0))
    return "GeForce" in (known.name if known is not None else gpu.name) and capability >= _FIRST_WITHOUT_ANY_LINK


def _warning(ground: Ground, candidacy: Candidacy, pair: tuple[Seat, Seat]) -> Rejection:
    labels = listed(seat.label for seat in pair)
    return Rejection(
        code="W506",
        service=candidacy.name,
        message=f"{labels} cannot read each other's memory, and `{candidacy.name}` may try",
        blame=("vllm", _TENSOR_PARALLEL),
        notes=(
            f"stock drivers have no peer-to-peer access between GeForce cards; vLLM {ground.release} believes what the"
            " driver says and does not try it: where that is wrong, the service hangs or answers nonsense",
        ),
        help=(
            "write `disable-custom-all-reduce: true` under `vllm:`; without peer-to-peer access it costs nothing",
            'should NCCL hang as well, write `NCCL_P2P_DISABLE: "1"` under `environment:`',
        ),
    )
