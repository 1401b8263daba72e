"""Cards to ask about: one, or a group of equals that share a model by tensor parallelism."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from orchestrator.catalog.cards import short_gpu_name
from orchestrator.catalog.gpus import KnownGpu, find_gpu, inventory_from_short_form, known_gpus
from orchestrator.domain.diagnostics import Diagnostic
from orchestrator.domain.inventory import Host, Inventory

_COUNTED = re.compile(r"\s*\d+\s*[xX*]", re.ASCII)

GROUP_SIZES = (1, 2, 4, 8)
"""Cards of one kind that a box commonly has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardGroup:
    """`count` equal cards of the catalogue in one idle host."""

    card: KnownGpu
    count: int

    @property
    def label(self) -> str:
        """`T4`, `2x RTX 4090`."""
        name = short_gpu_name(self.card.name)
        return name if self.count == 1 else f"{self.count}x {name}"

    @property
    def short_form(self) -> str:
        """As `plan --inventory` takes it."""
        return f"{self.count}x{short_gpu_name(self.card.name)}"

    @property
    def total_bytes(self) -> int:
        return self.count * self.card.total_bytes

    @property
    def usd_per_hour(self) -> float | None:
        """The catalogue's price of one card, times the cards; None when it has none."""
        price = self.card.usd_per_hour
        return None if price is None else price * self.count

    @property
    def host(self) -> Host:
        return _host(self.card.name, self.count)


@cache
def _host(name: str, count: int) -> Host:
    inventory = inventory_from_short_form(f"{count}x{name}")
    if not isinstance(inventory, Inventory):
        raise TypeError(f"the catalogue does not know its own card {name}: {inventory.message}")
    return inventory.hosts[0]


def all_cards() -> tuple[KnownGpu, ...]:
    """The cards of the catalogue, the smallest first; equal sizes by price, then by name."""
    return tuple(sorted(known_gpus(), key=lambda card: (card.total_bytes, card.usd_per_hour or 1e9, card.name)))


def card_group(text: str) -> CardGroup | Diagnostic:
    """`T4` or `2xRTX4090`; E450 to E455 say why a text is neither."""
    if "+" in text:
        return Diagnostic(
            code="E455",
            message=f"`--gpu {text}` names several kinds of cards, and a model is split over equal ones only",
            help=("write `--gpu` once for each kind, such as `--gpu T4 --gpu 2xL4`",),
        )
    written = text if _COUNTED.match(text) else f"1x{text}"
    inventory = inventory_from_short_form(written)
    if isinstance(inventory, Diagnostic):
        return inventory
    gpus = inventory.hosts[0].gpus
    card = find_gpu(gpus[0].name)
    if card is None:
        raise TypeError(f"the catalogue does not know its own card {gpus[0].name}")
    return CardGroup(card=card, count=len(gpus))
