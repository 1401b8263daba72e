"""What would change: operations with their causes, the steps they are done in, what changed behind our back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.saved_plan import SavedPlan, SavedService


class OperationKind(StrEnum):
    """`UPDATE`: only what Compose reads at a start is different; the container runs on."""

    CREATE = "create"
    RECREATE = "recreate"
    UPDATE = "update"
    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One difference, named by the key under which the user wrote it; None: not set.

    `asked` is set where the planner granted something else than was asked for.
    """

    key: str
    before: FlagValue
    after: FlagValue
    asked: FlagValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What happens to one service: `before` is None for one that is new, `after` for one that goes."""

    kind: OperationKind
    service: str
    before: SavedService | None
    after: SavedService | None
    causes: tuple[Cause, ...] = ()

    @property
    def is_change(self) -> bool:
        return self.kind is not OperationKind.KEEP


class Action(StrEnum):
    """`REPLACE`: stop and start with nothing between."""

    STOP = "stop"
    REPLACE = "replace"
    START = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    action: Action
    service: str


class DriftKind(StrEnum):
    EXAMPLE = "other GPUs altogether"
    HOST_GONE = "host gone"
    HOST_NEW = "host new"
    GPU_GONE = "GPU gone"
    GPU_REPLACED = "another card in its place"
    GPU_NEW = "GPU new"
    GPU_RENUMBERED = "GPU renumbered"
    GPU_MEMORY = "total memory"
    DRIVER = "driver"
    CUDA = "CUDA of the driver"
    COMPOSE_EDITED = "compose file edited"
    COMPOSE_GONE = "compose file gone"
    MODEL_MOVED = "model published anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something that is not as the saved plan has it, and that no profile asked for; `services` are concerned."""

    kind: DriftKind
    subject: str
    before: str
    after: str
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """From an old state to a new plan: one operation per service of either, in the order of the plan."""

    operations: tuple[Operation, ...]
    steps: tuple[Step, ...]
    drift: tuple[Drift, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing would be done, and no file would be written otherwise than it is."""
        rewritten = (DriftKind.COMPOSE_EDITED, DriftKind.COMPOSE_GONE)
        return not any(each.is_change for each in self.operations) and all(
            each.kind not in rewritten for each in self.drift
        )

    def count(self, kind: OperationKind) -> int:
        return sum(1 for each in self.operations if each.kind is kind)


def applied(old: SavedPlan | None, operations: tuple[Operation, ...]) -> Mapping[str, SavedService]:
    """The services after the operations were done to the old state, by name."""
    services = {} if old is None else {service.name: service for service in old.services}
    for operation in operations:
        if operation.after is None:
            services.pop(operation.service, None)
        else:
            services[operation.service] = operation.after
    return services
