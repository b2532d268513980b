"""One order book with price-time priority. It queues and publishes; it decides nothing and knows no account.

Every change of a level's total quantity takes the next update id (`sequence`) and is appended to `changes`, which the
exchange empties. Orders of clients and of synthetic participants stand in the same queues; a participant's has no
`order`. `exchange.py` drives a match one maker at a time: `first`, `reduce`, `first`, ... `tape.py` offers the same
interface over a recorded book.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from tradeserver.simulator.types import ZERO, BookLevel, Order, Side

Change = tuple[int, Side, Decimal, Decimal]
"""(sequence, side, price, absolute quantity after the change)."""

NO_LEVEL: BookLevel = (ZERO, ZERO)


class Resting:
    """An order in the queue of a level. `order` is None for a participant of the synthetic market."""

    __slots__ = ("id", "order", "price", "remaining", "side")

    def __init__(self, id: int, side: Side, price: Decimal, remaining: Decimal, order: Order | None = None) -> None:  # noqa: A002
        self.id = id
        self.side = side
        self.price = price
        self.remaining = remaining
        self.order = order


class Liquidity(Protocol):
    """What the exchange matches against: a `Book` of real queues, or a recorded book (`tape.TapeBook`)."""

    sequence: int
    changes: list[Change]
    published_elsewhere: bool  # a recording publishes this book and its trades; what we do to it is never published

    def first(self, side: Side) -> Resting | None:
        """The order that is next to trade on this side: best price, then oldest."""
        ...

    def reduce(self, resting: Resting, quantity: Decimal) -> None:
        """Take `quantity` off an order that `first` gave (or off any order in the book); at 0 it leaves."""
        ...

    def add(self, resting: Resting) -> None:
        """Join the end of the queue of its price."""
        ...

    def remove(self, resting: Resting) -> None:
        """Leave the book with whatever remains."""
        ...

    def participants(self) -> list[Resting]:
        """Every order that is no client's."""
        ...

    def offered(self, side: Side) -> Iterator[BookLevel]:
        """What a taker would find on this side, best level first."""
        ...

    def top(self, side: Side) -> BookLevel:
        """The published best level of this side, (0, 0) when empty."""
        ...

    def depth(self, limit: int) -> tuple[list[BookLevel], list[BookLevel]]:
        """The published bids and asks, best first."""
        ...


class _Level:
    __slots__ = ("quantity", "queue")

    def __init__(self) -> None:
        self.queue: deque[Resting] = deque()
        self.quantity = ZERO


class _BookSide:
    """The levels of one side. `prices` ascends, so the best bid is its last and the best ask its first."""

    __slots__ = ("best_at", "levels", "prices")

    def __init__(self, side: Side) -> None:
        self.levels: dict[Decimal, _Level] = {}
        self.prices: list[Decimal] = []
        self.best_at = -1 if side is Side.BUY else 0

    def best(self) -> _Level | None:
        return self.levels[self.prices[self.best_at]] if self.prices else None

    def best_first(self) -> Iterator[Decimal]:
        return reversed(self.prices) if self.best_at else iter(self.prices)


class Book:
    """Price-time priority. `sequence` is the venue's update id of this symbol."""

    def __init__(self, sequence: int = 0) -> None:
        self.sequence = sequence
        self.changes: list[Change] = []
        self.published_elsewhere = False
        self._sides = {side: _BookSide(side) for side in Side}

    def first(self, side: Side) -> Resting | None:
        """Best price, then oldest."""
        level = self._sides[side].best()
        return level.queue[0] if level else None

    def add(self, resting: Resting) -> None:
        """Join the end of the queue of its price."""
        half = self._sides[resting.side]
        level = half.levels.get(resting.price)
        if level is None:
            level = half.levels[resting.price] = _Level()
            insort(half.prices, resting.price)
        level.queue.append(resting)
        self._change(half, level, resting, resting.remaining)

    def reduce(self, resting: Resting, quantity: Decimal) -> None:
        """Take `quantity` off; the order keeps its place in the queue, and leaves at 0. Raises KeyError if not here."""
        if quantity > resting.remaining:
            raise ValueError(f"order {resting.id} has {resting.remaining}, not {quantity}")
        half = self._sides[resting.side]
        level = half.levels[resting.price]
        resting.remaining -= quantity
        if not resting.remaining:
            level.queue.remove(resting)
        self._change(half, level, resting, -quantity)

    def remove(self, resting: Resting) -> None:
        """Leave the book with whatever remains."""
        self.reduce(resting, resting.remaining)

    def participants(self) -> list[Resting]:
        """Every order that is no client's."""
        levels = (level for half in self._sides.values() for level in half.levels.values())
        return [resting for level in levels for resting in level.queue if resting.order is None]

    def offered(self, side: Side) -> Iterator[BookLevel]:
        """Levels, best first. The book must not change meanwhile."""
        half = self._sides[side]
        for price in half.best_first():
            yield price, half.levels[price].quantity

    def top(self, side: Side) -> BookLevel:
        """The best level, (0, 0) when the side is empty."""
        half = self._sides[side]
        level = half.best()
        return (half.prices[half.best_at], level.quantity) if level else NO_LEVEL

    def depth(self, limit: int) -> tuple[list[BookLevel], list[BookLevel]]:
        """Up to `limit` bids and asks, best first."""
        bids, asks = (
            [level for level, _ in zip(self.offered(side), range(limit), strict=False)]
            for side in (Side.BUY, Side.SELL)
        )
        return bids, asks

    def _change(self, half: _BookSide, level: _Level, resting: Resting, by: Decimal) -> None:
        level.quantity += by
        if not level.queue:
            del half.levels[resting.price]
            del half.prices[bisect_left(half.prices, resting.price)]
        self.sequence += 1
        self.changes.append((self.sequence, resting.side, resting.price, level.quantity))
