"""Price-time priority against a naive twin: one list of orders, searched from the start each time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tradeserver.simulator.matching import Book, Resting
from tradeserver.simulator.types import Side

PRICES = st.integers(90, 110).map(Decimal)
QUANTITIES = st.integers(1, 50).map(lambda n: Decimal(n) / 10)
SIDES = st.sampled_from(Side)


class NaiveBook:
    """[(id, side, price, quantity)] in order of arrival."""

    def __init__(self) -> None:
        self.orders: list[list] = []

    def best(self, side: Side) -> list | None:
        mine = [order for order in self.orders if order[1] is side]
        sign = -1 if side is Side.BUY else 1
        return min(mine, key=lambda order: order[2] * sign, default=None)  # min keeps the first of equals

    def take(self, side: Side, quantity: Decimal, cap: Decimal) -> list[tuple[int, Decimal, Decimal]]:
        trades = []
        while quantity:
            maker = self.best(side.opposite)
            if maker is None or (maker[2] > cap if side is Side.BUY else maker[2] < cap):
                break
            part = min(quantity, maker[3])
            trades.append((maker[0], maker[2], part))
            quantity -= part
            maker[3] -= part
            if not maker[3]:
                self.orders.remove(maker)
        return trades

    def depth(self, side: Side) -> list[tuple[Decimal, Decimal]]:
        prices = sorted({order[2] for order in self.orders if order[1] is side}, reverse=side is Side.BUY)
        return [(p, sum(o[3] for o in self.orders if o[1] is side and o[2] == p)) for p in prices]


def take(book: Book, side: Side, quantity: Decimal, cap: Decimal) -> list[tuple[int, Decimal, Decimal]]:
    trades = []
    while quantity:
        maker = book.first(side.opposite)
        if maker is None or (maker.price > cap if side is Side.BUY else maker.price < cap):
            break
        part = min(quantity, maker.remaining)
        book.reduce(maker, part)
        trades.append((maker.id, maker.price, part))
        quantity -= part
    return trades


class Twins(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.book, self.naive = Book(sequence=7), NaiveBook()
        self.resting: dict[int, Resting] = {}
        self.published: dict[tuple[Side, Decimal], Decimal] = {}
        self.sequence = 7
        self.next_id = 0

    @rule(side=SIDES, price=PRICES, quantity=QUANTITIES)
    def add(self, side, price, quantity):
        rest = quantity - sum(part for _, _, part in self.cross(side, quantity, price))
        if rest:
            self.next_id += 1
            self.resting[self.next_id] = Resting(self.next_id, side, price, rest)
            self.book.add(self.resting[self.next_id])
            self.naive.orders.append([self.next_id, side, price, rest])

    @rule(side=SIDES, price=PRICES, quantity=QUANTITIES)
    def take(self, side, price, quantity):
        self.cross(side, quantity, price)

    @precondition(lambda self: self.naive.orders)
    @rule(data=st.data())
    def remove(self, data):
        order = data.draw(st.sampled_from(self.naive.orders))
        self.naive.orders.remove(order)
        self.book.remove(self.resting[order[0]])

    def cross(self, side, quantity, price):
        got, expected = take(self.book, side, quantity, price), self.naive.take(side, quantity, price)
        assert got == expected
        return got

    @invariant()
    def same_book(self):
        bids, asks = self.book.depth(100)
        assert (bids, asks) == (self.naive.depth(Side.BUY), self.naive.depth(Side.SELL))
        assert self.book.top(Side.BUY) == (bids[0] if bids else (0, 0))
        assert self.book.top(Side.SELL) == (asks[0] if asks else (0, 0))
        assert not bids or not asks or bids[0][0] < asks[0][0]

    @invariant()
    def changes_lead_to_the_book(self):
        """Whoever applies the published changes in order has the book; their ids have no gap."""
        for sequence, side, price, quantity in self.book.changes:
            assert sequence == self.sequence + 1
            self.sequence = sequence
            self.published[side, price] = quantity
        self.book.changes.clear()
        assert self.sequence == self.book.sequence
        levels = {(Side.BUY, p): q for p, q in self.naive.depth(Side.BUY)}
        levels |= {(Side.SELL, p): q for p, q in self.naive.depth(Side.SELL)}
        assert {key: quantity for key, quantity in self.published.items() if quantity} == levels


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_order_that_shrinks_keeps_its_place_in_the_queue():
    book = Book()
    old, young = Resting(1, Side.SELL, Decimal(10), Decimal(5)), Resting(2, Side.SELL, Decimal(10), Decimal(5))
    book.add(old)
    book.add(young)
    book.reduce(old, Decimal(4))
    assert take(book, Side.BUY, Decimal(3), Decimal(10)) == [(1, Decimal(10), Decimal(1)), (2, Decimal(10), Decimal(2))]


def test_more_than_there_is_cannot_be_taken():
    book = Book()
    order = Resting(1, Side.BUY, Decimal(10), Decimal(1))
    book.add(order)
    with pytest.raises(ValueError, match="order 1 has 1, not 2"):
        book.reduce(order, Decimal(2))
