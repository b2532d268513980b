"""A scripted market: still books on both venues that move only when told to, so that a scene costs little and repeats.

Each book is a ladder of participants around its venue's fair price. What is taken is offered again a little later, and
one far level changes now and then, so that no book looks dead. `gap` opens an arbitrage for a moment.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

import msgspec

from tradeserver.lab.chaos.timeline import MS, Timeline
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.matching import Resting
from tradeserver.simulator.types import Side, Symbol
from tradeserver.simulator.world import World

BEAT_NS: Final = 50 * MS
LEVELS: Final = 6
HALF_SPREAD: Final = 0.5e-4
SPACING: Final = 1e-4


class Prop(msgspec.Struct, frozen=True):
    """How one symbol is offered: where, and how much a level holds, in quote."""

    mid: float
    level_quote: float = 300.0


PROPS: Final = {
    "XRP/USDT": Prop(2.1),
    "BTC/USDT": Prop(64_000.0),
    "ETH/USDT": Prop(3_200.0),
}


class Shelf:
    """One book. `fair` is its venue's price."""

    def __init__(self, exchange: Exchange, symbol: str, prop: Prop) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.fair = prop.mid
        self.factor = 1.0  # of what a level holds: 0 for an empty book
        self._level_quote = prop.level_quote
        self._offers: dict[tuple[Side, Decimal], Resting] = {}
        self._pulse = 0
        self._dressed = -1  # the book's sequence when all was as it should be
        self._drawn: dict[tuple[float, float, int], dict[tuple[Side, Decimal], Decimal]] = {}  # what was wanted before

    def dress(self, now_ns: int) -> None:
        """Offer what the fair price asks for: withdraw first, then offer anew what is missing."""
        self._dressed = -1
        rules = self.exchange.symbols[self.symbol]
        wanted = self._recalled(rules)
        book = self.exchange.books[self.symbol]
        for key, offer in list(self._offers.items()):
            if key not in wanted or offer.remaining != wanted[key]:
                del self._offers[key]
                if offer.remaining:
                    book.remove(offer)
        for (side, price), quantity in wanted.items():
            if (side, price) not in self._offers and quantity:
                self._take_bargains(side, price, now_ns)
                self._offers[side, price] = self.exchange.add_participant(self.symbol, side, price, quantity)
        self.exchange.flush(self.symbol, now_ns)
        self._dressed = book.sequence

    def mend(self, now_ns: int) -> None:
        """Dress again if anything was taken."""
        if self.exchange.books[self.symbol].sequence != self._dressed:
            self.dress(now_ns)

    def pulse(self, now_ns: int) -> None:
        """The best and the farthest levels change by a lot."""
        self._pulse ^= 1
        self.dress(now_ns)

    def _recalled(self, rules: Symbol) -> dict[tuple[Side, Decimal], Decimal]:
        """What is wanted, drawn once for each price: gaps close where they opened."""
        key = (self.fair, self.factor, self._pulse)
        if key not in self._drawn:
            if len(self._drawn) > 8:
                self._drawn.clear()
            self._drawn[key] = self._wanted(rules)
        return self._drawn[key]

    def _wanted(self, rules: Symbol) -> dict[tuple[Side, Decimal], Decimal]:
        tick, lot = rules.tick, rules.lot
        lots = max(1, round(self._level_quote * self.factor / self.fair / float(lot)))
        size = lot * lots if self.factor else Decimal(0)
        wanted = {}
        for level in range(LEVELS):
            away = HALF_SPREAD + level * SPACING
            quantity = size + lot * self._pulse if level in (0, LEVELS - 1) and size else size
            bid = tick * math.floor(self.fair * (1 - away) / float(tick))
            ask = tick * math.ceil(self.fair * (1 + away) / float(tick))
            wanted[Side.BUY, bid] = wanted[Side.SELL, ask] = quantity
        return wanted

    def _take_bargains(self, side: Side, price: Decimal, now_ns: int) -> None:
        """A client's resting order that stands in the way is taken."""
        there = self.exchange.quote(self.symbol)[1 if side is Side.BUY else 0]
        crosses = there[0] <= price if side is Side.BUY else there[0] >= price
        if there[1] and crosses:
            self.exchange.take(self.symbol, side, there[1], price, now_ns)


class Stage:
    """All books."""

    def __init__(self, world: World, time: Timeline, symbols: dict[str, Prop]) -> None:
        self.shelves = {
            (venue, symbol): Shelf(exchange, symbol, prop)
            for symbol, prop in symbols.items()
            for venue, exchange in world.exchanges.items()
        }
        self.frozen = False  # nobody moves any more
        self.pulse_beats = 8  # beats between two signs of life of one book
        self._time = time
        self._beats = 0
        self._beat()

    def move(self, venue: str, symbol: str, bps: float) -> None:
        """The venue's fair price goes by that much."""
        shelf = self.shelves[venue, symbol]
        shelf.fair *= 1 + bps / 10_000
        self._dress(shelf)

    def gap(self, symbol: str, buy: str, bps: float, hold_ns: int) -> None:
        """`symbol` is cheap at `buy` for a while."""
        shelf = self.shelves[buy, symbol]
        fair = shelf.fair
        self.move(buy, symbol, -bps)

        def close() -> None:
            shelf.fair = fair
            self._dress(shelf)

        self._time.at(self._time.now + hold_ns, close)

    def crowd(self, venue: str, symbol: str, factor: float) -> None:
        """What the levels hold changes; 0: the book empties."""
        shelf = self.shelves[venue, symbol]
        shelf.factor = factor
        self._dress(shelf)

    def _dress(self, shelf: Shelf) -> None:
        if not self.frozen:
            shelf.dress(self._time.now + shelf.exchange.offset_ns)

    def _beat(self) -> None:
        if self.frozen:
            return
        self._beats += 1
        for number, shelf in enumerate(self.shelves.values()):
            now = self._time.now + shelf.exchange.offset_ns
            if (self._beats + number) % self.pulse_beats == 0:
                shelf.pulse(now)
            else:
                shelf.mend(now)
        self._time.at(self._time.now + BEAT_NS, self._beat)
