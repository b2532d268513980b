"""Orders: the table, and that no order, repetition or lateness of events changes what is booked."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk_kit import START, SYMBOL, Kit
from tradeserver.core.commands import SubmitOrder
from tradeserver.core.events import (
    Ending,
    Event,
    FillsListed,
    LinkDown,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderStatus,
    OrderUncertain,
)
from tradeserver.core.orders import ENDED, FILL_KEYS_KEPT, LIVE, TRANSITIONS, Order, Orders, Stimulus
from tradeserver.core.records import FillBooked, OrderChanged, OrderState, OrderSubmitted
from tradeserver.core.types import Side

D = Decimal
S, T = OrderState, Stimulus

WANTED: dict[OrderState, dict[Stimulus, OrderState]] = {
    S.SENT: {
        T.ACCEPT: S.ACCEPTED,
        T.REFUSE: S.REFUSED,
        T.DOUBT: S.UNKNOWN,
        T.CANCEL: S.CANCEL_PENDING,
        T.RESUME: S.ACCEPTED,
        T.CLOSE: S.CLOSING,
    },
    S.ACCEPTED: {T.DOUBT: S.UNKNOWN, T.CANCEL: S.CANCEL_PENDING, T.CLOSE: S.CLOSING},
    S.CANCEL_PENDING: {T.REFUSE: S.REFUSED, T.DOUBT: S.UNKNOWN, T.CLOSE: S.CLOSING},
    S.UNKNOWN: {
        T.ACCEPT: S.ACCEPTED,
        T.RESUME: S.ACCEPTED,
        T.REFUSE: S.REFUSED,
        T.CANCEL: S.CANCEL_PENDING,
        T.CLOSE: S.CLOSING,
        T.ABSENT: S.REFUSED,
    },
    S.CLOSING: {},
    S.REFUSED: {T.ACCEPT: S.UNKNOWN, T.RESUME: S.UNKNOWN, T.CLOSE: S.CLOSING},
    S.FILLED: {},
    S.CANCELED: {},
    S.EXPIRED: {},
}


def submitted(client_id: str = "a", quantity: str = "1") -> OrderSubmitted:
    return OrderSubmitted(
        ts=1,
        venue="binance",
        symbol=SYMBOL,
        client_id=client_id,
        arbitrage=1,
        leg=0,
        attempt=0,
        side=Side.BUY,
        quantity=D(quantity),
        price=D(60_000),
        time_in_force="IOC",
        opening=True,
        reserve_asset="USDT",
        reserve=D(60_000),
    )


# ---- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "stimulus"), list(product(OrderState, Stimulus)))
def test_every_pair_is_listed_or_ignored_and_counted(state: OrderState, stimulus: Stimulus) -> None:
    orders = Orders()
    order = orders.apply_submitted(submitted())
    order.state = state
    wanted = WANTED[state].get(stimulus)
    assert orders.next_state(order, stimulus) is wanted
    assert orders.ignored == (wanted is None)
    assert order.state is state  # only a record changes it


def test_only_evidence_ends_a_doubt_and_everything_live_can_end() -> None:
    assert {state for state, stimulus in TRANSITIONS if stimulus is T.ABSENT} == {S.UNKNOWN}
    assert set(ENDED) == set(Ending)
    assert not LIVE & set(ENDED.values())
    for state in LIVE - {S.CLOSING}:
        assert TRANSITIONS[state, T.CLOSE] is S.CLOSING


def test_what_may_still_fill() -> None:
    order = Order(submitted(quantity="1"))
    order.filled = D("0.25")
    for state in LIVE - {S.CLOSING}:
        order.state = state
        assert order.open_quantity == D("0.75")
    order.state, order.executed = S.CLOSING, D("0.4")
    assert order.open_quantity == D("0.15")
    for state in set(OrderState) - LIVE:
        order.state = state
        assert order.open_quantity == 0
    order.state, order.filled = S.ACCEPTED, D("1.5")  # an over-fill
    assert order.open_quantity == 0


def test_a_changed_record_of_an_order_long_forgotten_is_harmless() -> None:
    orders = Orders()
    orders.apply_changed(
        OrderChanged(ts=1, venue="v", symbol="s", client_id="x", arbitrage=1, leg=0, state=S.FILLED, executed=D(1))
    )
    assert orders.by_id == {}


def test_only_the_latest_fill_keys_are_kept() -> None:
    orders = Orders()
    for number in range(FILL_KEYS_KEPT + 10):
        orders.apply_fill(
            FillBooked(
                ts=1,
                venue="v",
                symbol="s",
                client_id="x",
                arbitrage=0,
                leg=0,
                side=Side.BUY,
                trade_id=str(number),
                venue_order_id="",
                price=D(1),
                quantity=D(1),
                commission=D(0),
                commission_asset="",
                commission_expected=False,
                maker=False,
                venue_ts=0,
            )
        )
    assert not orders.seen(("v", "s", "9"))
    assert orders.seen(("v", "s", "10"))
    assert len(orders.fill_keys()) == FILL_KEYS_KEPT


# ---- any order, any repetition, any lateness ------------------------------------------------------------------------


def parts(quantity: Decimal, weights: list[int]) -> list[Decimal]:
    """`quantity` cut into whole hundred-millionths, not necessarily all of it."""
    units = int(quantity * 10**8)
    cut = [units * w // 40 for w in weights]
    return [D(c) / 10**8 for c in cut if c]


class Story:
    """Everything that a venue says of one order, each thing possibly more than once."""

    def __init__(self, kit: Kit, order: SubmitOrder, weights: list[int]) -> None:
        self.order = order
        self.executed = D(0)
        self.fills: list[OrderFilled] = []
        fees = kit.fees[order.venue]
        binance = order.venue == "binance"
        for number, quantity in enumerate(parts(order.quantity, weights)):
            self.executed += quantity
            in_quote = quantity * order.price * fees.taker + D("0.000001")  # the venue's own rounding
            self.fills.append(
                OrderFilled(
                    ts=0,
                    venue=order.venue,
                    client_id=order.client_id,
                    symbol=SYMBOL,
                    side=order.side,
                    trade_id=f"{order.venue}-{number}",
                    venue_order_id="v" + order.client_id,
                    price=order.price,
                    quantity=quantity,
                    commission=quantity * fees.taker if binance else in_quote,
                    commission_asset="BTC" if binance else "USDT",
                )
            )

    def told(self) -> list[Event]:
        """All of it, once. KuCoin's stream does not say the commission, its list of fills does."""
        who = {"ts": 0, "venue": self.order.venue, "client_id": self.order.client_id}
        venue_id = "v" + self.order.client_id
        ending = Ending.FILLED if self.executed == self.order.quantity else Ending.EXPIRED
        stream = [OrderFilled(**_fields(f)) for f in self.fills]
        if self.order.venue == "kucoin":
            stream = [OrderFilled(**{**_fields(f), "commission": None, "commission_asset": ""}) for f in self.fills]
        return [
            OrderAccepted(**who, venue_order_id=venue_id),
            *stream,
            OrderClosed(**who, ending=ending, executed=self.executed, venue_order_id=venue_id),
            OrderStatus(
                **who,
                symbol=SYMBOL,
                found=True,
                asked_ts=0,
                ending=ending,
                executed=self.executed,
                venue_order_id=venue_id,
            ),
            FillsListed(**who, symbol=SYMBOL, asked_ts=0, fills=tuple(self.fills)),
        ]


def _fields(event: OrderFilled) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def noise(order: SubmitOrder) -> list[Event]:
    """Doubts, and answers that were overtaken."""
    who = {"ts": 0, "venue": order.venue, "client_id": order.client_id}
    return [
        OrderUncertain(**who, code="-1006", text="unknown"),
        OrderStatus(**who, symbol=SYMBOL, found=False, asked_ts=START),
        OrderStatus(**who, symbol=SYMBOL, found=True, asked_ts=START, venue_order_id="v" + order.client_id),
        FillsListed(**who, symbol=SYMBOL, asked_ts=START, fills=()),
        LinkDown(ts=0, venue=order.venue, channel="orders", reason="reset"),
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 10), min_size=1, max_size=4),
    st.lists(st.integers(1, 10), max_size=4),
    st.integers(0, 2**32),
)
def test_the_ledger_is_the_sum_of_the_distinct_fills(first: list[int], second: list[int], seed: int) -> None:
    dice = Random(seed)
    kit = Kit()
    kit.begin()
    kit.quiet()
    orders = kit.edge()
    assert len(orders) == 2
    ledger = kit.engine.desk.ledger
    wanted = dict(ledger.totals)
    stories = [Story(kit, order, weights) for order, weights in zip(orders, (first, second), strict=True)]
    told: list[Event] = []
    for story in stories:
        once = story.told()
        told += once + [e for e in once if dice.random() < 0.5] + [e for e in noise(story.order) if dice.random() < 0.5]
        sign = 1 if story.order.side is Side.BUY else -1
        for fill in story.fills:
            for asset, amount in (
                ("BTC", sign * fill.quantity),
                ("USDT", -sign * fill.quantity * fill.price),
                (fill.commission_asset, -(fill.commission or D(0))),
            ):
                wanted[fill.venue, asset] += amount
    dice.shuffle(told)
    for event in told:
        kit.later(dice.choice((0, 1, 300, 2000)))
        kit.feed(type(event)(**{**{n: getattr(event, n) for n in event.__struct_fields__}, "ts": kit.ts}))
        for story in stories:
            order = kit.engine.desk.orders.by_id[story.order.client_id]
            if order.state in (S.FILLED, S.EXPIRED, S.CANCELED):
                assert order.filled == order.executed == story.executed
            else:
                assert order.state in LIVE
    assert ledger.totals == wanted
    for story in stories:
        order = kit.engine.desk.orders.by_id[story.order.client_id]
        assert order.state is (S.FILLED if story.executed == story.order.quantity else S.EXPIRED)
        assert len(order.fills) == len(story.fills)
        assert not order.commission_owed
    hedges = {order.submitted.reserve_asset for order in kit.engine.desk.orders.live.values()}
    assert {asset for _, asset in ledger.reserved} <= hedges
