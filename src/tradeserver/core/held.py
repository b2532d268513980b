"""What each strategy holds on purpose: net base by (strategy, venue, symbol), at average cost in quote.

A strategy that asked for a target position owns what its orders filled, net of commission in base. That is no exposure
to be hedged: the strategy decides when it goes. Changed by records only, so that a restart forgets none of it.
Commission in a third asset is a cost of that asset, as in the ledger.
"""

from __future__ import annotations

from decimal import Decimal

from tradeserver.core.ledger import Position
from tradeserver.core.records import CommissionCorrected, FillBooked, HeldImage
from tradeserver.core.types import ZERO, Side

HeldKey = tuple[str, str, str]
"""(strategy, venue, symbol)."""


class Held(Position):
    """One strategy's position in one symbol at one venue. `since` is the stamp of the fill that opened it, 0: flat."""

    __slots__ = ("since",)

    def __init__(self, quantity: Decimal = ZERO, cost: Decimal = ZERO, since: int = 0) -> None:
        super().__init__(quantity, cost)
        self.since = since

    @property
    def entry(self) -> float:
        """What one base cost, fees included; 0.0 where nothing is held."""
        return float(self.cost / self.quantity) if self.quantity else 0.0


class Holdings:
    """All of them. Entries stay once they were used: there are as many as a configuration has symbols."""

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        self.by_key: dict[HeldKey, Held] = {}

    def quantity(self, strategy: str, venue: str, symbol: str) -> Decimal:
        held = self.by_key.get((strategy, venue, symbol))
        return ZERO if held is None else held.quantity

    def worst(self, base: str) -> Decimal:
        """The sum of |position| in one asset over all strategies and venues."""
        if not self.by_key:
            return ZERO
        found = (abs(h.quantity) for (_, _, symbol), h in self.by_key.items() if symbol.partition("/")[0] == base)
        return sum(found, ZERO)

    def apply_fill(self, strategy: str, record: FillBooked) -> Decimal:
        """Book one fill; the profit that it realised, in quote."""
        base, _, quote = record.symbol.partition("/")
        sign = 1 if record.side is Side.BUY else -1
        received, paid = sign * record.quantity, -sign * record.quantity * record.price
        if record.commission_asset == base:
            received -= record.commission
        elif record.commission_asset == quote:
            paid -= record.commission
        return self._trade((strategy, record.venue, record.symbol), received, paid, record.ts)

    def apply_commission(self, strategy: str, record: CommissionCorrected, booked: FillBooked) -> Decimal:
        """The venue's own commission in place of the computed one; the profit that this changed."""
        base, _, quote = record.symbol.partition("/")
        key = (strategy, record.venue, record.symbol)
        profit = ZERO
        for asset, amount in (
            (booked.commission_asset, booked.commission),
            (record.commission_asset, -record.commission),
        ):
            if amount and asset == base:
                profit += self._trade(key, amount, ZERO, booked.ts)
            elif amount and asset == quote:
                profit += self._trade(key, ZERO, amount, booked.ts)
        return profit

    def _trade(self, key: HeldKey, base: Decimal, quote: Decimal, ts: int) -> Decimal:
        held = self.by_key.setdefault(key, Held())
        before = held.quantity
        profit = held.trade(base, quote)
        if not held.quantity:
            held.since = 0
        elif before * held.quantity <= 0:  # from nothing, or through zero
            held.since = ts
        return profit

    def images(self) -> tuple[HeldImage, ...]:
        return tuple(
            HeldImage(strategy, venue, symbol, held.quantity, held.cost, held.since)
            for (strategy, venue, symbol), held in self.by_key.items()
            if held.quantity
        )

    def load(self, images: tuple[HeldImage, ...]) -> None:
        for image in images:
            held = Held(image.quantity, image.cost, image.since)
            self.by_key[image.strategy, image.venue, image.symbol] = held
