"""What strategies say: sightings of opportunities, with the intent to take them, and the protocol that they follow.

A strategy cannot submit. It looks at the market after a change and returns sightings; a sighting with an intent asks
execution to trade, one without says why not. Quantities and prices here are floats: they become money in execution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from tradeserver.core.market import Market, SymbolMarket
from tradeserver.core.types import Key, Side


class LegIntent(msgspec.Struct, frozen=True):
    """Take liquidity at one venue, at `cap` or better."""

    venue: str
    side: Side
    cap: float
    expected_price: float  # visible average for the intent's quantity


class Intent(msgspec.Struct, frozen=True):
    """Trade `quantity` base of one symbol, the same on every leg."""

    symbol: str
    quantity: float
    legs: tuple[LegIntent, ...]


class Sighting(msgspec.Struct, frozen=True):
    """One direction of one pair of venues, seen above the watch threshold; or, with `over`, gone below it.

    `intent` None with `reason` says why the strategy itself would not.
    """

    symbol: str
    buy_venue: str
    sell_venue: str
    gross_bps: float
    net_bps: float
    quantity: float
    over: bool = False
    intent: Intent | None = None
    reason: str = ""


class View(msgspec.Struct):
    """What a strategy may read."""

    market: Market
    taker_bps: Mapping[Key, float]  # absent while fees are unknown


class Strategy(Protocol):
    """A strategy: synchronous, deterministic, without side effects outside itself."""

    name: str

    def books(self) -> Sequence[Key]:
        """The books that it wants to be called for."""
        ...

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting]:
        """`changed`'s tradable top moved."""
        ...
