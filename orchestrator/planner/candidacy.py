"""Which GPUs a service could take if it were alone, at which levels, and why it could not take the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from math import prod

from orchestrator.domain.inventory import Gpu
from orchestrator.domain.model_config import ModelFacts
from orchestrator.domain.plan import Rejection
from orchestrator.domain.profile import ServiceProfile, Sharing
from orchestrator.domain.release import Release
from orchestrator.engine.automatic import TENSOR_PARALLEL_SIZE, chooses_tensor_parallel_size
from orchestrator.engine.canonical import canonical_flags
from orchestrator.engine.compatibility import check_compatibility
from orchestrator.engine.flag_values import as_positive_integer
from orchestrator.engine.memory_rules import memory_rules
from orchestrator.engine.parallelism import PARALLEL_SIZES
from orchestrator.engine.problems import FlagProblem
from orchestrator.engine.sharding_checks import check_sharding
from orchestrator.planner.flag_keys import with_values
from orchestrator.planner.host_room import ram_bytes
from orchestrator.planner.interconnect import interconnect_rank
from orchestrator.planner.pins import allowed_seats
from orchestrator.planner.problem import Option, Problem, Tenant
from orchestrator.planner.questions import STEP_LIMIT
from orchestrator.planner.seats import Seat
from orchestrator.planner.sizing import Leaning, Size, size_on
from orchestrator.planner.steps import Watch
from orchestrator.planner.wishes import rules_for

MOST_SETS = 20_000
"""Sets of GPUs per service that are looked at; more are never cut in silence, the service is refused instead."""


class Obstacle(Enum):
    """Why a GPU is refused, in the words of a count."""

    INCOMPATIBLE = "cannot run it"
    TOO_SMALL = "too small"
    IN_USE = "too full with what others hold now"
    CEILING = "left too little by `gpu-memory-utilization`"
    FIXED_KV = "without enough KV cache"
    HOST_RAM = "on a host with too little RAM"
    MIG_SLICE = "a MIG slice, which cannot join others in a group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One GPU that a service cannot take. `missing_bytes` where memory is short, `problem` where a flag is to blame."""

    place: int
    obstacle: Obstacle
    missing_bytes: int = 0
    problem: FlagProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidacy:
    """A service before anybody else is considered. `sizes` holds every allowed GPU that was priced, by place.

    Where the planner chooses tensor-parallel-size, `widths` holds the service with each size that divides its model,
    and `options` those of all of them; the rest is that of the smallest that fits (of the largest where none does).
    """

    profile: ServiceProfile
    facts: ModelFacts
    world_size: int
    allowed: tuple[int, ...] = ()
    sizes: dict[int, Size] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    too_many_sets: int = 0
    alone: bool = False
    widths: tuple[Candidacy, ...] = ()

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def widest(self) -> int:
        """The most GPUs that it may take."""
        return max((each.world_size for each in self.widths), default=self.world_size)

    @property
    def tensor_parallel_size(self) -> int:
        """That of its workers, where any were priced; else the number of its GPUs."""
        return next((each.settings.tensor_parallel_size for each in self.sizes.values()), self.world_size)

    def settled(self, option: Option) -> Candidacy:
        """The service with the tensor-parallel-size that one of its options stands for."""
        chosen = next((each for each in self.widths if each.world_size == len(option.gpus)), None)
        if chosen is None:
            return self
        return replace(chosen, profile=replace(self.profile, vllm=chosen.profile.vllm), facts=self.facts)

    def as_written(self) -> Candidacy:
        """The whole service that a replica is one of."""
        return replace(self, profile=self.profile.as_written())

    def as_replicas(self) -> tuple[Candidacy, ...]:
        """All replicas of the service."""
        return tuple(replace(self, profile=each) for each in self.profile.as_written().as_replicas())

    @property
    def is_first(self) -> bool:
        """The replica that speaks for its service."""
        return self.profile.replica in (None, 1)

    def tenant(self, current: tuple[int, ...] | None = None) -> Tenant:
        """The service as the search sees it."""
        lightest = min((sum(option.claims(option.least)) for option in self.options), default=0)
        return Tenant(
            name=self.name,
            options=self.options,
            exclusive=self.alone,
            weight=lightest,
            priority=self.profile.priority,
            current=current,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every service is assessed on: the GPUs, the release and the image of the deployment.

    `step_limit` bounds a search, in nodes; past it, or when `watch` says stop, the answer is "not known". `current`
    says on which seats a service runs already; it stays there if it can.
    """

    seats: tuple[Seat, ...]
    release: Release
    image: str | None
    step_limit: int = STEP_LIMIT
    watch: Watch | None = None
    current: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    known: dict[object, list[Candidacy]] = field(init=False, default_factory=dict, compare=False, repr=False)
    """What was assessed already: services that are alike but for their names have the same options."""

    def assess(self, profile: ServiceProfile, facts: ModelFacts, leaning: Leaning = Leaning.PESSIMISTIC) -> Candidacy:
        """Look at every GPU that the profile allows."""
        alike = self.known.setdefault(_look(profile, leaning), [])
        twin = next((each for each in alike if each.facts is facts or each.facts == facts), None)
        if twin is None:
            found = self._assessed(profile, facts, leaning)
            if not found.rejections:
                alike.append(found)
            return found
        return replace(twin, profile=profile, facts=facts)

    def _assessed(self, profile: ServiceProfile, facts: ModelFacts, leaning: Leaning) -> Candidacy:
        if chooses_tensor_parallel_size(profile.vllm, self.release):
            return self._of_any_width(profile, facts, leaning)
        world_size = world_size_of(profile, self.release)
        allowed = allowed_seats(profile, self.seats, world_size)
        base = Candidacy(profile=profile, facts=facts, world_size=world_size)
        if any(isinstance(each, Rejection) for each in allowed):
            return replace(base, rejections=tuple(each for each in allowed if isinstance(each, Rejection)))
        return _Assessment(self, base, leaning).result(tuple(each for each in allowed if isinstance(each, int)))

    def _of_any_width(self, profile: ServiceProfile, facts: ModelFacts, leaning: Leaning) -> Candidacy:
        """The service with every tensor-parallel-size that divides its model and that a host has the GPUs for; where it
        fits with none, its reasons are those of the largest.
        """
        narrowest, *wider = (self.assess(each, facts, leaning) for each in self._widths_of(profile, facts))
        widths = (narrowest, *(each for each in wider if not each.rejections))
        fitting = [each for each in widths if each.options]
        vague = next((each for each in widths if each.too_many_sets), None)
        if vague is not None or not fitting:
            return replace(vague or widths[-1], profile=profile, widths=widths, options=())
        options = (replace(option, rank=(each.world_size, *option.rank)) for each in fitting for option in each.options)
        return replace(fitting[0], profile=profile, widths=widths, options=tuple(options))

    def _widths_of(self, profile: ServiceProfile, facts: ModelFacts) -> Iterator[ServiceProfile]:
        hosts = [seat.host.name for seat in self.seats if seat.gpu.is_assignable]
        most = max((hosts.count(name) for name in set(hosts)), default=1)
        for size in (1 << power for power in range(most.bit_length())):
            vllm = with_values(profile.vllm, {TENSOR_PARALLEL_SIZE: size}, self.release)
            wide = replace(profile, vllm=vllm)
            is_possible = world_size_of(wide, self.release) <= most
            if size == 1 or (is_possible and not check_sharding(vllm=vllm, release=self.release, config=facts.config)):
                yield wide

    def sets_on(self, host: str, size: int) -> Iterator[tuple[int, ...]]:
        """Sets of that many GPUs of one host, of those that may stand in for each other the first; none where there are
        too many to look at."""
        row = (place for place, seat in enumerate(self.seats) if seat.host.name == host and seat.gpu.is_assignable)
        pools = pools_of(self, tuple(row))
        return first_sets(pools if count_of_sets(pools, size) <= MOST_SETS else (), size)


def _look(profile: ServiceProfile, leaning: Leaning) -> object:
    """Everything about a service that decides where it fits, save the facts of its model."""
    flags = tuple((key, repr(value)) for key, value in profile.vllm.items())
    variables = tuple(sorted(profile.environment.items()))
    return (profile.gpus, profile.replicas, profile.sharing, profile.requirements, flags, variables, leaning)


def pools_of(ground: Ground, places: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The places in groups of those that may stand in for each other."""
    pools: dict[int, list[int]] = {}
    for place in places:
        pools.setdefault(ground.seats[place].twins, []).append(place)
    return tuple(tuple(pool) for pool in pools.values())


def count_of_sets(pools: tuple[tuple[int, ...], ...], size: int) -> int:
    """How many ways there are to take that many, where only the number from each pool counts."""
    if size > sum(len(pool) for pool in pools):
        return 0
    ways = [1] + [0] * size
    for pool in pools:
        ways = [sum(ways[max(0, taken - len(pool)) : taken + 1]) for taken in range(size + 1)]
    return ways[size]


def first_sets(pools: tuple[tuple[int, ...], ...], size: int) -> Iterator[tuple[int, ...]]:
    """For every way to take that many, where only the number from each pool counts, the first set in order."""
    if size == 0:
        yield ()
    elif size <= sum(len(pool) for pool in pools):
        for taken in range(min(size, len(pools[0])), -1, -1):
            for rest in first_sets(pools[1:], size - taken):
                yield tuple(sorted((*pools[0][:taken], *rest)))


def problem_of(ground: Ground, candidacies: tuple[Candidacy, ...]) -> Problem:
    """The services as the search sees them."""
    return Problem(
        tenants=tuple(candidacy.tenant(ground.current.get(candidacy.name)) for candidacy in candidacies),
        free=tuple(seat.gpu.free_bytes for seat in ground.seats),
        rules=rules_for((candidacy.profile for candidacy in candidacies), ground.seats),
    )


def as_services(candidacies: Iterable[Candidacy]) -> tuple[Candidacy, ...]:
    """The services as they were written, each once."""
    return tuple({each.profile.service: each.as_written() for each in candidacies}.values())


def world_size_of(profile: ServiceProfile, release: Release) -> int:
    """GPUs that one service takes: tensor, pipeline and data parallel sizes multiplied."""
    flags = canonical_flags(profile.vllm, release)
    return prod(as_positive_integer(flags.get(name)) or 1 for name in PARALLEL_SIZES)


def widest_dimension(profile: ServiceProfile, release: Release) -> str:
    """The flag that asks for most GPUs; the first of them where none asks for more than one."""
    flags = canonical_flags(profile.vllm, release)
    return max(PARALLEL_SIZES, key=lambda name: as_positive_integer(flags.get(name)) or 1)


@dataclass(slots=True)
class _Assessment:
    ground: Ground
    base: Candidacy
    leaning: Leaning
    sizes_by_kind: dict[Gpu, Size] = field(default_factory=dict)
    problems_by_kind: dict[tuple[str, Gpu], FlagProblem | None] = field(default_factory=dict)

    def result(self, allowed: tuple[int, ...]) -> Candidacy:
        sizes: dict[int, Size] = {}
        levels: dict[int, tuple[int, int]] = {}
        refusals = []
        judged: dict[int, tuple[Size | None, tuple[int, int] | Refusal]] = {}
        for place in allowed:
            twins = self.ground.seats[place].twins
            size, answer = judged.get(twins) or judged.setdefault(twins, self._judge(place))
            if size is not None:
                sizes[place] = size
            if isinstance(answer, Refusal):
                refusals.append(replace(answer, place=place))
            else:
                levels[place] = answer
        pools = self._pools(tuple(levels))
        sets = sum(count_of_sets(row, self.base.world_size) for row in pools)
        rules = memory_rules(self.ground.release)
        return replace(
            self.base,
            allowed=allowed,
            sizes=sizes,
            options=tuple(self._options(pools, levels, sizes)) if sets <= MOST_SETS else (),
            refusals=tuple(refusals),
            too_many_sets=sets if sets > MOST_SETS else 0,
            alone=self.base.profile.sharing is Sharing.EXCLUSIVE or rules.device_wide,
        )

    def _judge(self, place: int) -> tuple[Size | None, tuple[int, int] | Refusal]:
        """The price on one GPU where there is one, and the range of levels, or why there is none."""
        seat = self.ground.seats[place]
        if seat.gpu.parent_uuid is not None and self.base.world_size > 1:
            return None, Refusal(place=place, obstacle=Obstacle.MIG_SLICE)
        needed = ram_bytes(self.base.profile, self.base.world_size, self.ground.release)
        if seat.host.ram_bytes is not None and needed > seat.host.ram_bytes:
            missing = needed - seat.host.ram_bytes
            return None, Refusal(place=place, obstacle=Obstacle.HOST_RAM, missing_bytes=missing)
        problem = self._first_error(seat)
        if problem is not None:
            return None, Refusal(place=place, obstacle=Obstacle.INCOMPATIBLE, problem=problem)
        size = self._size(seat)
        return size, levels_on(size, seat.gpu, place)

    def _first_error(self, seat: Seat) -> FlagProblem | None:
        kind = (seat.host.name, seat.kind)
        if kind not in self.problems_by_kind:
            found = problems_on(self.ground, self.base, seat)
            self.problems_by_kind[kind] = next((problem for problem in found if problem.is_error), None)
        return self.problems_by_kind[kind]

    def _size(self, seat: Seat) -> Size:
        kind = seat.kind
        if kind not in self.sizes_by_kind:
            found = size_on(seat, self.base.profile, self.base.facts, self.ground.release, self.leaning)
            self.sizes_by_kind[kind] = found
        return self.sizes_by_kind[kind]

    def _pools(self, places: tuple[int, ...]) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """The places of each host (a group never spans hosts), those together that may stand in for each other."""
        return tuple(
            pools_of(self.ground, tuple(place for place in places if self.ground.seats[place].host.name == name))
            for name in sorted({self.ground.seats[place].host.name for place in places})
        )

    def _options(
        self, rows: tuple[tuple[tuple[int, ...], ...], ...], levels: dict[int, tuple[int, int]], sizes: dict[int, Size]
    ) -> Iterator[Option]:
        for row in rows:
            pool_of = {place: pool for pool in row for place in pool}
            for places in first_sets(row, self.base.world_size):
                least = max(levels[place][0] for place in places)
                ceiling = min(levels[place][1] for place in places)
                if least <= ceiling:
                    yield Option(
                        gpus=places,
                        shares=tuple(sizes[place].share for place in places),
                        least=least,
                        ceiling=ceiling,
                        rank=interconnect_rank(tuple(self.ground.seats[place] for place in places)),
                        pools=tuple(pool_of[place] for place in places),
                    )


def problems_on(ground: Ground, candidacy: Candidacy, seat: Seat) -> tuple[FlagProblem, ...]:
    """What there is to say about the service's flags on this card."""
    return check_compatibility(
        vllm=candidacy.profile.vllm,
        release=ground.release,
        facts=candidacy.facts,
        gpu=seat.gpu,
        host=seat.host,
        image=ground.image,
        environment=candidacy.profile.environment,
    )


def levels_on(size: Size, gpu: Gpu, place: int) -> tuple[int, int] | Refusal:
    """The least and the greatest level of a worker that has the GPU's free memory to itself, or what stands against."""
    fixed = size.footprint.fixed_kv_bytes
    if fixed is not None and fixed < size.footprint.kv_required_bytes:
        missing = size.footprint.kv_required_bytes - fixed
        return Refusal(place=place, obstacle=Obstacle.FIXED_KV, missing_bytes=missing)
    largest = size.largest(gpu.free_bytes if fixed is None else min(gpu.free_bytes, size.footprint.cuda_total.low))
    if size.least is None or largest < size.least:
        idle_card = size.largest(max(gpu.free_bytes, size.footprint.cuda_total.expected))
        in_use = size.least is not None and idle_card >= size.least
        missing = max(1, size.needed_bytes - min(gpu.free_bytes, size.footprint.cuda_total.low))
        return Refusal(place=place, obstacle=Obstacle.IN_USE if in_use else Obstacle.TOO_SMALL, missing_bytes=missing)
    if size.settled is not None:
        settled = max(1, min(size.settled, size.asked, largest))
        return (settled, settled)
    if size.asked < size.least:
        return under_ceiling(size, place)
    return (size.least, min(size.asked, largest))


def under_ceiling(size: Size, place: int) -> Refusal:
    """The refusal of a GPU on which `gpu-memory-utilization` leaves a worker less than it needs."""
    missing = size.needed_bytes - (size.share.claim(size.asked) if size.asked else 0)
    return Refusal(place=place, obstacle=Obstacle.CEILING, missing_bytes=missing)
