"""A recorded order book that clients' orders may fill against: what the recording shows, less what they took.

The published book is always the recorded one: `depth` and `top` know nothing of our orders. What a taker finds
(`offered`) is the published book, corrected by a best quote that is newer than it (levels better than the quote are
gone, the quote's own level has the quote's size), less what was taken. A taken quantity stays taken until the
recording shows another quantity at that level. Resting client orders stand beside the book, not in it: they do not
trade with each other.

There is no book before `load`: nothing is published and nothing can be taken.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice

from tradeserver.simulator.matching import NO_LEVEL, Change, Resting
from tradeserver.simulator.types import ZERO, BookLevel, Side

_SIDES = (Side.BUY, Side.SELL)


class _TapeSide:
    """One side: recorded quantities, prices ascending, what was taken (with the quantity that it was taken from)."""

    def __init__(self, side: Side) -> None:
        self.worse = -1 if side is Side.BUY else 1  # sign of a worse price
        self.levels: dict[Decimal, Decimal] = {}
        self.prices: list[Decimal] = []
        self.taken: dict[Decimal, tuple[Decimal, Decimal]] = {}
        self.quote = NO_LEVEL

    def load(self, levels: Iterable[BookLevel]) -> None:
        self.levels = {price: quantity for price, quantity in levels if quantity}
        self.prices = sorted(self.levels)
        self.taken.clear()

    def set(self, price: Decimal, quantity: Decimal) -> None:
        known = price in self.levels
        if quantity:
            self.levels[price] = quantity
            if not known:
                insort(self.prices, price)
        elif known:
            del self.levels[price]
            del self.prices[bisect_left(self.prices, price)]

    def best_first(self) -> Iterator[Decimal]:
        return reversed(self.prices) if self.worse < 0 else iter(self.prices)

    def is_better(self, price: Decimal, than: Decimal) -> bool:
        return (price - than) * self.worse < 0

    def recorded(self, quoted: bool) -> Iterator[BookLevel]:
        """Recorded levels, best first; `quoted`: the quote is newer than the depth."""
        if not quoted:
            for price in self.best_first():
                yield price, self.levels[price]
            return
        top = self.quote[0]
        if self.quote[1]:
            yield self.quote
        for price in self.best_first():
            if not self.quote[1] or self.is_better(top, price):
                yield price, self.levels[price]

    def seen(self, price: Decimal, quantity: Decimal) -> None:
        """The recording shows this quantity: if it is another one than we took from, the take is forgotten."""
        if price in self.taken and self.taken[price][1] != quantity:
            del self.taken[price]


class TapeBook:
    """See the module's docstring. It is `matching.Liquidity`; `sequence` is the last id of the recorded depth."""

    def __init__(self) -> None:
        self.sequence = 0
        self.changes: list[Change] = []  # always empty: nothing that we do is published
        self.published_elsewhere = True
        self.loaded = False
        self._quote_sequence = 0
        self._sides = {side: _TapeSide(side) for side in _SIDES}

    # ---- from the recording ---------------------------------------------------------------------------------------

    def load(self, sequence: int, bids: Iterable[BookLevel], asks: Iterable[BookLevel]) -> None:
        """A recorded snapshot."""
        self.sequence = sequence
        self.loaded = True
        for side, levels in zip(_SIDES, (bids, asks), strict=True):
            self._sides[side].load(levels)

    def apply(self, last: int, bids: Iterable[BookLevel], asks: Iterable[BookLevel]) -> None:
        """A recorded diff up to update id `last`. One that the book already contains is ignored."""
        if not self.loaded or last <= self.sequence:
            return
        self.sequence = last
        quoted = self._quote_sequence > last
        for side, levels in zip(_SIDES, (bids, asks), strict=True):
            half = self._sides[side]
            for price, quantity in levels:
                half.set(price, quantity)
                if half.taken and not (quoted and not half.is_better(half.quote[0], price)):
                    half.seen(price, quantity)

    def quote(self, sequence: int, bid: BookLevel, ask: BookLevel) -> None:
        """A recorded best quote with its update id. One that is older than the depth says nothing new."""
        if not self.loaded or sequence <= max(self.sequence, self._quote_sequence):
            return
        self._quote_sequence = sequence
        for side, level in zip(_SIDES, (bid, ask), strict=True):
            half = self._sides[side]
            half.quote = level
            for price in [price for price in half.taken if half.is_better(price, level[0])]:
                del half.taken[price]
            half.seen(*level)

    # ---- matching.Liquidity ---------------------------------------------------------------------------------------

    def first(self, side: Side) -> Resting | None:
        """The best level that is left, as if it were one order."""
        for price, quantity in self.offered(side):
            return Resting(0, side, price, quantity)
        return None

    def reduce(self, resting: Resting, quantity: Decimal) -> None:
        """Take from a level, or fill a client's resting order."""
        resting.remaining -= quantity
        if resting.order is None:
            half = self._sides[resting.side]
            recorded = self._recorded_at(resting.side, resting.price)
            half.taken[resting.price] = (half.taken.get(resting.price, (ZERO,))[0] + quantity, recorded)

    def add(self, resting: Resting) -> None:
        """A client's order rests beside the recorded book."""

    def remove(self, resting: Resting) -> None:
        """A client's order is gone."""

    def participants(self) -> list[Resting]:
        """None: the recording is not to be changed."""
        return []

    def offered(self, side: Side) -> Iterator[BookLevel]:
        """What a taker finds, best first."""
        half = self._sides[side]
        for price, quantity in half.recorded(self._quoted):
            left = quantity - half.taken[price][0] if price in half.taken else quantity
            if left > 0:
                yield price, left

    def top(self, side: Side) -> BookLevel:
        """The published best level: of the depth, or of a newer recorded quote."""
        return next(self._sides[side].recorded(self._quoted), NO_LEVEL)

    def depth(self, limit: int) -> tuple[list[BookLevel], list[BookLevel]]:
        """The recorded depth."""
        bids, asks = (list(islice(self._sides[side].recorded(False), limit)) for side in _SIDES)
        return bids, asks

    @property
    def _quoted(self) -> bool:
        return self._quote_sequence > self.sequence

    def _recorded_at(self, side: Side, price: Decimal) -> Decimal:
        half = self._sides[side]
        if self._quoted and half.quote[0] == price:
            return half.quote[1]
        return half.levels.get(price, ZERO)
