"""How orders went: realised slippage and fill ratio by symbol, technical errors by venue. A fold of records.

The last `LEGS` planned legs of a symbol that a venue took are remembered: the share that filled, and what the fills
cost beyond the expected average, in basis points (below zero: worse). A pause for either forgets them. Technical
errors are those that say that we and a venue misunderstand each other: bytes that cannot be read, orders refused for
anything but balance. What follows from all this is decided in `core/breaker.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tradeserver.core.orders import Order
from tradeserver.core.records import FaultNoted, Leg, OrderState, StateChanged, TradingState
from tradeserver.core.types import ZERO, Side

LEGS: Final = 20
FAULTS_KEPT: Final = 128
SLIPPAGE: Final = "slippage"
FILLS: Final = "fill-ratio"
TECHNICAL: Final = "technical"

Went = tuple[float, float]
"""(share that filled, slippage in bps)."""


class Conduct:
    """See the module."""

    def __init__(self) -> None:
        self.legs: dict[str, deque[Went]] = {}  # by symbol
        self.faults: deque[tuple[int, str]] = deque(maxlen=FAULTS_KEPT)  # (when, venue)

    def note(self, planned: Iterable[tuple[Leg, Order | None]]) -> None:
        """An arbitrage is closed."""
        for leg, order in planned:
            if order is None or order.state is OrderState.REFUSED:
                continue
            share = float(order.filled / leg.quantity) if leg.quantity else 0.0
            self.legs.setdefault(leg.symbol, deque(maxlen=LEGS)).append((share, slippage_bps(leg, order)))

    def apply_fault(self, record: FaultNoted) -> None:
        self.faults.append((record.ts, record.venue))

    def apply_state(self, record: StateChanged) -> None:
        """A pause begins the count anew, and so does a person who lifts a halt."""
        if record.reason in (SLIPPAGE, FILLS) and record.state is not TradingState.RUNNING:
            self.legs.pop(record.scope.partition(":")[2], None)
        elif record.reason == TECHNICAL and record.state is TradingState.RUNNING:
            venue = record.scope.partition(":")[2]
            kept = [fault for fault in self.faults if fault[1] != venue]
            self.faults.clear()
            self.faults.extend(kept)

    def image(self) -> dict[str, tuple[Went, ...]]:
        return {symbol: tuple(legs) for symbol, legs in self.legs.items()}

    def load(self, legs: dict[str, tuple[Went, ...]], faults: tuple[tuple[int, str], ...]) -> None:
        self.legs = {symbol: deque(went, maxlen=LEGS) for symbol, went in legs.items()}
        self.faults.extend(faults)


def slippage_bps(leg: Leg, order: Order) -> float:
    """What the fills came to against the expected average: below zero where it cost."""
    expected = order.filled * leg.expected_price
    if not expected:
        return 0.0
    got = sum((f.quantity * f.price for f in order.fills), ZERO)
    better: Decimal = got - expected if leg.side is Side.SELL else expected - got
    return float(better / expected) * 1e4
