"""Books of clients: one kept by the documents' rules for clients that keep none, and the comparison with the
simulator's own book at the same id, every level, price and quantity.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from trial import Trial, until

STATES_KEPT = 400  # of a book, some ten seconds
SAMPLE_S = 4.0  # between comparisons of a book with the simulator's; all clients share one address's rate limit

Side = dict[float, float]
"""Quantity by price."""


def side(rows: Iterable[Any]) -> Side:
    """Rows of [price, quantity, ...] without those of no quantity."""
    return {float(row[0]): float(row[1]) for row in rows if float(row[1])}


class BookWatch:
    """The states that a client's book went through, to be compared with the simulator's of the same id."""

    def __init__(self, trial: Trial, symbol: str) -> None:
        self.updates = 0
        self.equal = 0
        self._trial = trial
        self._symbol = symbol
        self._last = 0
        self._states: OrderedDict[int, tuple[Side, Side]] = OrderedDict()

    def note(self, number: int, bids: Side, asks: Side) -> None:
        """One state; ids must not go back and sides must not cross."""
        if number < self._last:
            raise AssertionError(f"the book went back from {self._last} to {number}")
        if not bids or not asks or max(bids) >= min(asks):
            raise AssertionError(f"the book at {number} is crossed or empty")
        self._last = number
        self.updates += 1
        self._states[number] = (bids, asks)
        if len(self._states) > STATES_KEPT:
            self._states.popitem(last=False)

    async def compare(self, patience_s: float = 10.0) -> None:
        """Take snapshots until one has the id of a state, and hold them side by side, every level."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            number, *rows = await asyncio.to_thread(self._trial.depth, self._symbol)
            await asyncio.sleep(0.15)  # the client hears of it later than this snapshot
            mine = self._states.get(number)
            if mine is None:
                continue
            for name, theirs, ours in (("bids", side(rows[0]), mine[0]), ("asks", side(rows[1]), mine[1])):
                if ours != theirs:
                    odd = sorted(set(ours.items()) ^ set(theirs.items()))[:4]
                    raise AssertionError(f"at id {number} the {name} differ in {odd}")
            self.equal += 1
            return
        raise AssertionError(f"no snapshot met a state of the client's book in {patience_s:.0f} s")

    async def sample(self, seconds: float) -> None:
        """Compare again and again for that long, and once at the end."""
        await until("the first state of the book", lambda: self.updates > 0, 20)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.compare()
            await asyncio.sleep(min(SAMPLE_S, max(0.0, end - time.monotonic())))
        await self.compare()

    def summary(self) -> str:
        """For the table."""
        return f"{self.updates} states, {self.equal} snapshots equal at the same id"


class DiffBook:
    """A book from one snapshot and messages that chain: those before the snapshot count for nothing, the first after it
    must reach it, each next one must follow (Binance web-socket-streams.md, KuCoin "Orderbook - Increment", both 2026).
    """

    def __init__(self, watch: BookWatch) -> None:
        self._watch = watch
        self._waiting: list[tuple[int, int, Any, Any]] = []
        self._last = 0
        self._bids: Side = {}
        self._asks: Side = {}

    def start(self, number: int, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        """The snapshot; what came meanwhile is played on it."""
        self._bids, self._asks, self._last = side(bids), side(asks), number
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.feed(*message)

    def feed(self, first: int, last: int, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        """One message; raises when one is missing before it."""
        if not self._last:
            self._waiting.append((first, last, bids, asks))
            return
        if last <= self._last:
            return
        if first > self._last + 1:
            raise AssertionError(f"a gap: {self._last} is followed by {first}")
        for mine, rows in ((self._bids, bids), (self._asks, asks)):
            for row in rows:
                price, quantity = float(row[0]), float(row[1])
                if not quantity:
                    mine.pop(price, None)
                elif price:  # KuCoin: price 0 moves the sequence alone
                    mine[price] = quantity
        self._last = last
        self._watch.note(last, dict(self._bids), dict(self._asks))

    def waiting(self) -> int:
        """Messages that wait for the snapshot."""
        return len(self._waiting)
