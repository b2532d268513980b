"""One order book: absolute levels in, best levels out. Floats, for market data are measurements.

A side is a dict (price -> quantity) that takes a whole update in one C call, and a sorted list of its prices with the
best one last; new prices are the tail of the dict, so only they are sorted in. A removed level stays behind with
quantity 0 (a tombstone), because levels near the touch come back at once. Tombstones go when they become the best
level, and, once they are many, by a sweep that looks at a few prices for every new one: no update pays for a purge.

Rules: nothing here knows about sequence numbers' continuity, trust or time (`core/market.py`, the codecs). At most
`levels_kept` prices a side are remembered, tombstones included: beyond that the worst are forgotten, as with a venue's
snapshot that is cut at N levels.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice

from tradeserver.core.types import Level, Side, plain

_SWEEP = 4  # prices looked at for each new one, while there are too many tombstones


class _Side:
    """Bids (`sign` 1.0) or asks (`sign` -1.0): `keys` are prices times sign, ascending, so the best is the last."""

    __slots__ = ("_cursor", "_enough", "_live", "keys", "levels", "limit", "sign")

    def __init__(self, sign: float, limit: int) -> None:
        self.sign = sign
        self.limit = limit
        self._cursor = self._live = self._enough = 0
        self.load(())

    def load(self, levels: Sequence[Level]) -> None:
        sign = self.sign
        found = {price: quantity for price, quantity in levels if quantity}
        self.keys = sorted(price * sign for price in found)[-self.limit :]
        self.levels = found if len(found) <= self.limit else {k * sign: found[k * sign] for k in self.keys}
        self._start_round(len(self.keys))

    def update(self, changes: Sequence[Level]) -> tuple[float, float]:
        """Put the changes in; the best (price, quantity) afterwards, (0.0, 0.0) when the side is empty."""
        levels, keys, sign = self.levels, self.keys, self.sign
        before = len(levels)
        levels.update(changes)
        added = len(levels) - before
        if added:
            for price in islice(reversed(levels), added):
                insort(keys, price * sign)
            if len(keys) > self._enough:
                self._sweep(_SWEEP * added)
                while len(keys) > self.limit:
                    del levels[keys.pop(0) * sign]
        while keys:
            price = keys[-1] * sign
            quantity = levels[price]
            if quantity:
                return price, quantity
            del levels[price]
            keys.pop()
        return 0.0, 0.0

    def _sweep(self, count: int) -> None:
        """Drop the tombstones among the next `count` prices, round and round from the worst to the best."""
        levels, keys, sign = self.levels, self.keys, self.sign
        start = self._cursor
        end = start + count
        last = end >= len(keys)
        part = keys[start:end]
        live = [key for key in part if levels[key * sign]]
        if len(live) != len(part):
            for key in part:
                if not levels[key * sign]:
                    del levels[key * sign]
            keys[start:end] = live
        self._cursor = start + len(live)
        self._live += len(live)
        if last:
            self._start_round(self._live)

    def _start_round(self, live: int) -> None:
        """The next sweep begins at three times the live levels, or half-way to the limit where that comes first."""
        self._cursor = 0
        self._live = 0
        self._enough = min(3 * live, (live + self.limit) // 2)

    def walk(self) -> Iterator[Level]:
        levels, sign = self.levels, self.sign
        for key in reversed(self.keys):
            quantity = levels[key * sign]
            if quantity:
                yield key * sign, quantity


class Book:
    """Both sides of one symbol at one venue. `bid` and `ask` are 0.0 with quantity 0.0 where that side is empty."""

    __slots__ = ("_asks", "_bids", "ask", "ask_quantity", "bid", "bid_quantity", "update_id")

    def __init__(self, levels_kept: int = 10_000) -> None:
        self._bids = _Side(1.0, levels_kept)
        self._asks = _Side(-1.0, levels_kept)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.load(0, (), ())

    def load(self, update_id: int, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Replace the whole book, in whatever order the levels come."""
        self._bids.load(bids)
        self._asks.load(asks)
        self.apply(update_id, (), ())

    def apply(self, update_id: int, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set absolute quantities; 0 removes a level. Continuity is the caller's business."""
        self.update_id = update_id
        self.bid, self.bid_quantity = self._bids.update(bids)
        self.ask, self.ask_quantity = self._asks.update(asks)

    def bids(self) -> Iterator[Level]:
        """Best first. Not to be used across an `apply`."""
        return self._bids.walk()

    def asks(self) -> Iterator[Level]:
        """Best first. Not to be used across an `apply`."""
        return self._asks.walk()

    def quantity_at(self, taker: Side, price: float) -> float:
        """What stands at exactly this price for a taker of that side: a buyer meets asks. 0.0 where nothing does."""
        return (self._asks if taker is Side.BUY else self._bids).levels.get(price, 0.0)

    def top(self, n: int) -> tuple[list[Level], list[Level]]:
        """The best `n` bids and asks, best first."""
        return list(islice(self.bids(), n)), list(islice(self.asks(), n))

    def canonical(self) -> str:
        """Bids then asks, best first, each `price:quantity` in plain notation, joined by `|`, the sides by `#`."""
        return "#".join("|".join(f"{_text(p)}:{_text(q)}" for p, q in side) for side in (self.bids(), self.asks()))

    def sha256(self) -> str:
        """Hex digest of `canonical`: two books with equal levels have equal digests, whatever their history."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _text(x: float) -> str:
    return plain(Decimal(repr(x)))
