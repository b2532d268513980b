"""What strategies say: sightings of opportunities, with the intent to take them, and the protocol that they follow.

A strategy cannot submit. It looks at the market after a change and returns sightings; a sighting with an intent asks
execution to trade, one without says why not. Quantities and prices here are floats: they become money in execution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Protocol

import msgspec

from tradeserver.core.held import Held, HeldKey
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


class Target(msgspec.Struct, frozen=True):
    """Hold `quantity` net base of one symbol at one venue; negative: so much of the inventory there sold.

    Orders that lead there buy at `cap` or below, or sell at it or above.
    """

    venue: str
    symbol: str
    quantity: float
    cap: float


class HoldTargets(msgspec.Struct, frozen=True):
    """Move what the strategy holds to these targets, in one step: opening legs go all or none."""

    targets: tuple[Target, ...]


AnyIntent = Intent | HoldTargets


class FitWanted(msgspec.Struct, frozen=True):
    """Work for the fits process; the answer comes to `on_fitted` of the strategy that asked."""

    name: str
    series: tuple[tuple[float, ...], ...]


class Sighting(msgspec.Struct, frozen=True):
    """One direction of one pair of venues, seen above the watch threshold; or, with `over`, gone below it.

    A strategy that trades at one venue names it twice. Edges are what the strategy expects, before and after costs.

    `intent` None with `reason` says why the strategy itself would not.
    """

    symbol: str
    buy_venue: str
    sell_venue: str
    gross_bps: float
    net_bps: float
    quantity: float
    over: bool = False
    intent: AnyIntent | None = None
    reason: str = ""


def faulty(error: Exception) -> str:
    """What a strategy raised, with the line of it, as one clause."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace is not None else ""
    return f"it raised {type(error).__name__}: {error}{where}"


def unsound(sighting: Sighting, known: Mapping[Key, object]) -> str:
    """Why nobody can act on this: a book that is not there, or what is no number; "" where it is sound."""
    symbol, intent = sighting.symbol, sighting.intent
    keys = [(sighting.buy_venue, symbol), (sighting.sell_venue, symbol)]
    total = sighting.gross_bps + sighting.net_bps + sighting.quantity  # finite where all of them are
    if isinstance(intent, Intent):
        total += intent.quantity
        for leg in intent.legs:
            keys.append((leg.venue, intent.symbol))
            total += leg.cap + leg.expected_price
    elif isinstance(intent, HoldTargets):
        for target in intent.targets:
            keys.append((target.venue, target.symbol))
            total += target.quantity + target.cap
    for key in keys:
        if key not in known:
            return f"it named {key[1]} at {key[0]}, which is not traded here"
    return "" if isfinite(total) else "it named a price, quantity or edge that is no finite number"


class View(msgspec.Struct):
    """What a strategy may read."""

    market: Market
    taker_bps: Mapping[Key, float]  # absent while fees are unknown
    held: Mapping[HeldKey, Held] = {}  # what strategies hold on purpose

    def holds(self, strategy: str, key: Key) -> float:
        """Net base that the strategy holds there."""
        held = self.held.get((strategy, *key))
        return 0.0 if held is None else float(held.quantity)


class Strategy(Protocol):
    """A strategy: synchronous, deterministic, without side effects outside itself."""

    name: str

    def books(self) -> Sequence[Key]:
        """The books that it wants to be called for."""
        ...

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting | FitWanted]:
        """`changed`'s tradable top moved."""
        ...


class FitUser(Protocol):
    """A strategy that asks the fits process."""

    def on_fitted(self, name: str, values: Mapping[str, float], ts: int) -> None:
        """The answer to its `FitWanted`; {} where there is none: the worker failed or was away."""
        ...
