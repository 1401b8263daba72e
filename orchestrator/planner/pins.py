"""Which GPUs a profile allows: `gpus:` by index or UUID against what exists."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import ServiceProfile
from orchestrator.planner.seats import Seat, listed


def allowed_seats(
    profile: ServiceProfile, seats: tuple[Seat, ...], world_size: int
) -> tuple[int, ...] | tuple[Rejection, ...]:
    """Positions of the seats that the profile allows, in order; or what is wrong with its `gpus:` (E501 to E504)."""
    if profile.gpus is None:
        return tuple(place for place, seat in enumerate(seats) if seat.gpu.is_assignable)
    found: dict[int, int | str] = {}
    rejections = []
    for number, pin in enumerate(profile.gpus):
        places = [place for place, seat in enumerate(seats) if pin in (seat.gpu.index, seat.gpu.uuid)]
        wrong = _wrong_pin(profile.name, number, pin, tuple(seats[place] for place in places), seats)
        if wrong is None and places and all(place in found for place in places):
            wrong = _same_again(profile.name, number, (found[places[0]], pin), seats[places[0]], world_size)
        if wrong is not None:
            rejections.append(wrong)
        found.update((place, pin) for place in places if place not in found)
    existing = sum(1 for seat in seats if seat.gpu.is_assignable)
    if rejections and existing < world_size * profile.replicas:
        bigger = (_bigger_host(world_size * profile.replicas),)
        return tuple(replace(each, help=bigger if each.code in ("E501", "E503") else each.help) for each in rejections)
    if not rejections and len(found) < world_size * profile.replicas:
        return (_too_few(profile, len(found), world_size, existing),)
    return tuple(rejections) or tuple(sorted(found))


def _bigger_host(world_size: int) -> str:
    return f"plan on a host with {world_size} GPU{'s' if world_size > 1 else ''} or more"


def _wrong_pin(
    service: str, number: int, pin: int | str, found: tuple[Seat, ...], seats: tuple[Seat, ...]
) -> Rejection | None:
    what = "UUID" if isinstance(pin, str) else "index"
    if not found:
        return Rejection(
            code="E501",
            service=service,
            message=f"no GPU has the {what} `{pin}`",
            blame=("gpus", number),
            notes=(_what_exists(seats, by_uuid=isinstance(pin, str)),),
            help=("name GPUs that exist",),
        )
    parent = next((seat for seat in found if not seat.gpu.is_assignable), None)
    if parent is None:
        return None
    slices = [seat for seat in seats if seat.gpu.parent_uuid == parent.gpu.uuid]
    return Rejection(
        code="E502",
        service=service,
        message=f"{parent.label} is in MIG mode: only its slices can be given to a service",
        blame=("gpus", number),
        notes=(f"its slices: {listed(f'`{seat.gpu.uuid}` (index {seat.gpu.index})' for seat in slices)}",),
        help=("name a slice by its UUID" if slices else "create a MIG slice on it, or switch MIG mode off",),
    )


def _what_exists(seats: tuple[Seat, ...], *, by_uuid: bool) -> str:
    usable = [seat for seat in seats if seat.gpu.is_assignable]
    verb = "is" if len(usable) == 1 else "are"
    if by_uuid:
        return f"there {verb} {listed(f'`{seat.gpu.uuid}` ({seat.label}, {seat.gpu.name})' for seat in usable)}"
    return f"there {verb} {listed(f'{seat.label} ({seat.gpu.name})' for seat in usable)}"


def _same_again(service: str, number: int, pins: tuple[int | str, int | str], seat: Seat, world_size: int) -> Rejection:
    first, second = (f"the {'UUID' if isinstance(pin, str) else 'index'} `{pin}`" for pin in pins)
    return Rejection(
        code="E503",
        service=service,
        message=f"`gpus` names {seat.label} twice",
        blame=("gpus", number),
        notes=(f"{first} and {second} are the same GPU ({seat.gpu.name})",),
        help=(f"name another GPU here: `{service}` runs on {world_size} different ones",),
    )


def _too_few(profile: ServiceProfile, named: int, world_size: int, existing: int) -> Rejection:
    needed = world_size * profile.replicas
    who = f"the {profile.replicas} replicas run" if profile.replicas > 1 else f"`{profile.name}` runs"
    each = ", for each replica" if profile.replicas > 1 else ""
    return Rejection(
        code="E503",
        service=profile.name,
        message=f"`gpus` names {named} GPU{'s' if named != 1 else ''}, and {who} on {needed}",
        blame=("gpus",),
        notes=(f"one GPU per worker: tensor, pipeline and data parallel sizes multiply to {world_size}{each}",),
        help=(f"name {needed} of the {existing} GPUs" if existing >= needed else _bigger_host(needed),),
    )
