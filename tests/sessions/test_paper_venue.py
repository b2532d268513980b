"""The pretended venue against hand-computed fills, and against what no venue may do: create money, or sell air."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.core.commands import (
    CancelAll,
    CancelOrder,
    Command,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    RequestAccount,
    SubmitOrder,
)
from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    BalanceChanged,
    BestQuote,
    BookDelta,
    BookInvalid,
    BookSnapshot,
    CancelRejected,
    Ending,
    Event,
    FillsListed,
    InstrumentsLoaded,
    OpenOrdersListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    Trust,
)
from tradeserver.core.market import Market, MarketLimits
from tradeserver.core.types import Charged, Fees, Instrument, Level, Side, TimeInForce
from tradeserver.sessions.paper_venue import PaperVenue

MS = 1_000_000
D = Decimal


def rules(base: str = "XRP", quote: str = "USDT") -> Instrument:
    return Instrument(
        venue="binance",
        symbol=f"{base}/{quote}",
        native=base + quote,
        base=base,
        quote=quote,
        tick=D("0.0001"),
        lot=D("0.1"),
        min_quantity=D("0.1"),
        max_quantity=D(100_000),
        min_notional=D(1),
    )


def fees(charged: Charged = Charged.RECEIVED, taker: str = "0.001", maker: str = "0.0005") -> Fees:
    return Fees(maker=D(maker), taker=D(taker), charged=charged, third_asset="BNB" if charged is Charged.THIRD else "")


class Desk:
    """A market of XRP/USDT and BNB/USDT and a pretended account; 20 ms to the venue, 10 ms back. Times are in ms."""

    def __init__(self, schedule: Fees | None = None, balances: dict[str, Decimal] | None = None) -> None:
        self.market = Market(MarketLimits(stale_ms=10**9))
        self.update_id = 0
        for name in ("XRP", "BNB"):
            self.market.add(("binance", f"{name}/USDT"))
        both = (rules(), rules("BNB"))
        self.market.on_event(InstrumentsLoaded(ts=0, venue="binance", instruments=both), [])
        holdings = {"USDT": D(1000), "XRP": D(500)} if balances is None else balances
        self.venue = PaperVenue("binance", self.market, schedule or fees(), holdings, latency_ms=20, answer_ms=10)
        self.book([(0.5999, 100.0), (0.5998, 200.0)], [(0.6001, 100.0), (0.6002, 200.0)])
        self.count = 0

    def book(self, bids: Sequence[Level], asks: Sequence[Level], symbol: str = "XRP/USDT") -> None:
        self.update_id += 1
        event = BookSnapshot(
            ts=0, venue="binance", symbol=symbol, update_id=self.update_id, bids=list(bids), asks=list(asks)
        )
        self.market.on_event(event, [])

    def change(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        self.update_id += 1
        event = BookDelta(
            ts=0, venue="binance", symbol="XRP/USDT", update_id=self.update_id, bids=list(bids), asks=list(asks)
        )
        self.market.on_event(event, [])

    def order(
        self, side: Side, quantity: str, price: str, how: TimeInForce = TimeInForce.IOC, client_id: str = ""
    ) -> SubmitOrder:
        self.count += 1
        return SubmitOrder(
            venue="binance",
            symbol="XRP/USDT",
            client_id=client_id or f"c{self.count}",
            arbitrage=1,
            leg=0,
            attempt=0,
            side=side,
            quantity=D(quantity),
            price=D(price),
            time_in_force=how,
            opening=True,
        )

    def ask(self, command: Command, ms: int = 0) -> list[Event]:
        """Send it, and listen until it is answered."""
        self.venue.send(command, ms * MS)
        return self.venue.due((ms + 30) * MS)


def fills(events: Sequence[Event]) -> list[tuple[Decimal, Decimal, Decimal | None, str]]:
    return [(e.price, e.quantity, e.commission, e.commission_asset) for e in events if isinstance(e, OrderFilled)]


def ending(events: Sequence[Event]) -> tuple[Ending, Decimal]:
    (closed,) = [e for e in events if isinstance(e, OrderClosed)]
    return closed.ending, closed.executed


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(e).__name__ for e in events]


# ---- time ------------------------------------------------------------------------------------------------------------


def test_an_order_meets_the_book_when_it_arrives_and_is_heard_of_later() -> None:
    desk = Desk()
    desk.venue.send(desk.order(Side.BUY, "50", "0.6001"), 0)
    assert desk.venue.next_due() == 20 * MS
    assert desk.venue.due(19 * MS) == []
    desk.change([], [(0.6001, 30.0)])  # at 19.5 ms somebody else takes 70
    assert desk.venue.due(25 * MS) == []  # matched, not yet heard
    assert desk.venue.next_due() == 30 * MS
    desk.change([], [(0.6001, 500.0)])  # too late to matter
    events = desk.venue.due(30 * MS)
    assert fills(events) == [(D("0.6001"), D(30), D("0.030"), "XRP")]
    assert ending(events) == (Ending.EXPIRED, D(30))
    assert {e.ts for e in events} == {20 * MS}
    assert desk.venue.next_due() == 0


def test_answers_come_in_due_order() -> None:
    desk = Desk()
    desk.venue.send(desk.order(Side.BUY, "10", "0.6001", client_id="second"), 5 * MS)
    desk.venue.send(desk.order(Side.BUY, "10", "0.6001", client_id="first"), 4 * MS)
    events = desk.venue.due(100 * MS)
    accepted = [(e.client_id, e.ts) for e in events if isinstance(e, OrderAccepted)]
    assert accepted == [("first", 24 * MS), ("second", 25 * MS)]


# ---- fills and money -------------------------------------------------------------------------------------------------


def test_a_buy_walks_the_levels_and_pays_in_what_it_receives() -> None:
    desk = Desk()
    events = desk.ask(desk.order(Side.BUY, "150", "0.6002"))
    assert kinds(events)[:4] == ["OrderAccepted", "OrderFilled", "OrderFilled", "OrderClosed"]
    assert fills(events) == [(D("0.6001"), D(100), D("0.1"), "XRP"), (D("0.6002"), D(50), D("0.05"), "XRP")]
    assert ending(events) == (Ending.FILLED, D(150))
    balances = {e.asset: e.balance for e in events if isinstance(e, BalanceChanged)}
    # 1000 - 60.01 - 30.01 USDT; 500 + 150 - 0.15 XRP
    assert balances == {"USDT": Balance(D("909.98"), D(0)), "XRP": Balance(D("649.85"), D(0))}


def test_a_sell_pays_in_the_quote() -> None:
    desk = Desk()
    events = desk.ask(desk.order(Side.SELL, "100", "0.5999"))
    assert fills(events) == [(D("0.5999"), D(100), D("0.05999"), "USDT")]
    balances = {e.asset: e.balance for e in events if isinstance(e, BalanceChanged)}
    assert balances == {"USDT": Balance(D("1059.93001"), D(0)), "XRP": Balance(D(400), D(0))}


def test_a_venue_that_charges_the_quote_takes_it_on_both_sides() -> None:
    """KuCoin: 100 x 0.6001 = 60.01, fee 0.06001; the cap's fee is locked beforehand."""
    desk = Desk(fees(Charged.QUOTE))
    events = desk.ask(desk.order(Side.BUY, "100", "0.6001"))
    assert fills(events) == [(D("0.6001"), D(100), D("0.06001"), "USDT")]
    assert desk.venue.free == {"USDT": D("939.92999"), "XRP": D(600)}
    events = desk.ask(desk.order(Side.SELL, "100", "0.5999"), 100)
    assert fills(events) == [(D("0.5999"), D(100), D("0.05999"), "USDT")]
    assert desk.venue.free == {"USDT": D("939.92999") + D("59.99") - D("0.05999"), "XRP": D(500)}


def test_the_fee_of_a_buy_must_be_there_where_the_quote_is_charged() -> None:
    desk = Desk(fees(Charged.QUOTE), {"USDT": D("60.01")})
    (event,) = desk.ask(desk.order(Side.BUY, "100", "0.6001"))
    assert isinstance(event, OrderRejected)
    assert event.code == "INSUFFICIENT_BALANCE"


def test_a_third_asset_pays_at_its_own_mid_while_there_is_enough() -> None:
    """Notional 60.01, rate 0.001, BNB at 600: 0.00010002 BNB (rounded to eight places)."""
    desk = Desk(fees(Charged.THIRD), {"USDT": D(1000), "XRP": D(500), "BNB": D("0.00015")})
    desk.book([(599.5, 1.0)], [(600.5, 1.0)], "BNB/USDT")
    assert fills(desk.ask(desk.order(Side.BUY, "100", "0.6001"))) == [(D("0.6001"), D(100), D("0.00010002"), "BNB")]
    assert desk.venue.free["BNB"] == D("0.00004998")
    events = desk.ask(desk.order(Side.SELL, "100", "0.5999"), 100)
    assert fills(events) == [(D("0.5999"), D(100), D("0.05999"), "USDT")]  # no longer enough


def test_a_third_asset_without_a_market_is_not_charged() -> None:
    desk = Desk(fees(Charged.THIRD), {"USDT": D(1000), "BNB": D(1)})
    assert fills(desk.ask(desk.order(Side.BUY, "100", "0.6001"))) == [(D("0.6001"), D(100), D("0.1"), "XRP")]


def test_the_top_is_a_newer_quotes_where_there_is_one() -> None:
    desk = Desk()
    quote = BestQuote(
        ts=0,
        venue="binance",
        symbol="XRP/USDT",
        update_id=10,
        bid=0.5999,
        bid_quantity=100.0,
        ask=0.6002,
        ask_quantity=40.0,
    )
    desk.market.on_event(quote, [])
    assert fills(desk.ask(desk.order(Side.BUY, "100", "0.6002"))) == [(D("0.6002"), D(40), D("0.04"), "XRP")]


# ---- what was taken --------------------------------------------------------------------------------------------------


def test_what_was_taken_stays_taken_until_the_level_changes() -> None:
    desk = Desk()
    assert ending(desk.ask(desk.order(Side.BUY, "70", "0.6001"))) == (Ending.FILLED, D(70))
    assert ending(desk.ask(desk.order(Side.BUY, "70", "0.6001"), 100)) == (Ending.EXPIRED, D(30))
    assert ending(desk.ask(desk.order(Side.BUY, "70", "0.6001"), 200)) == (Ending.EXPIRED, D(0))
    desk.change([(0.5999, 99.0)], [(0.6002, 199.0)])  # other levels: no news of this one
    assert ending(desk.ask(desk.order(Side.BUY, "70", "0.6001"), 300)) == (Ending.EXPIRED, D(0))
    desk.change([], [(0.6001, 60.0)])
    assert ending(desk.ask(desk.order(Side.BUY, "70", "0.6001"), 400)) == (Ending.EXPIRED, D(60))


def test_a_level_that_came_back_equal_is_a_new_one() -> None:
    """Seen because `due` is called before every input."""
    desk = Desk()
    assert ending(desk.ask(desk.order(Side.SELL, "100", "0.5999"))) == (Ending.FILLED, D(100))
    desk.change([(0.5999, 0.0)], [])
    assert desk.venue.due(50 * MS) == []
    desk.change([(0.5999, 100.0)], [])
    assert desk.venue.due(51 * MS) == []
    assert ending(desk.ask(desk.order(Side.SELL, "100", "0.5999"), 100)) == (Ending.FILLED, D(100))


# ---- times in force --------------------------------------------------------------------------------------------------


def test_fill_or_kill() -> None:
    desk = Desk()
    events = desk.ask(desk.order(Side.BUY, "301", "0.6002", TimeInForce.FOK))
    assert kinds(events) == ["OrderAccepted", "OrderClosed"]
    assert ending(events) == (Ending.EXPIRED, D(0))
    assert desk.venue.free == {"USDT": D(1000), "XRP": D(500)}
    assert ending(desk.ask(desk.order(Side.BUY, "300", "0.6002", TimeInForce.FOK), 100)) == (Ending.FILLED, D(300))


def test_a_resting_order_locks_then_fills_as_maker_at_its_own_price() -> None:
    desk = Desk()
    events = desk.ask(desk.order(Side.BUY, "200", "0.6000", TimeInForce.GTC))
    assert kinds(events) == ["OrderAccepted", "BalanceChanged"]
    assert (desk.venue.free["USDT"], desk.venue.locked["USDT"]) == (D(880), D(120))
    desk.change([], [(0.5999, 80.0)])
    assert desk.venue.due(40 * MS) == []
    events = desk.venue.due(50 * MS)
    assert fills(events) == [(D("0.6000"), D(80), D("0.04"), "XRP")]  # maker rate
    assert all(e.maker for e in events if isinstance(e, OrderFilled))
    events = desk.ask(CancelOrder(venue="binance", symbol="XRP/USDT", client_id="c1"), 60)
    assert ending(events) == (Ending.CANCELED, D(80))
    assert (desk.venue.free["USDT"], desk.venue.locked["USDT"]) == (D(952), D(0))


def test_cancels() -> None:
    desk = Desk()
    (event,) = desk.ask(CancelOrder(venue="binance", symbol="XRP/USDT", client_id="never"))
    assert isinstance(event, CancelRejected)
    for _ in range(2):
        desk.ask(desk.order(Side.SELL, "10", "0.7000", TimeInForce.GTC))
    (listed,) = desk.ask(QueryOpenOrders(venue="binance"))
    assert isinstance(listed, OpenOrdersListed)
    assert [(o.client_id, o.quantity, o.executed) for o in listed.orders] == [("c1", D(10), D(0)), ("c2", D(10), D(0))]
    events = desk.ask(CancelAll(venue="binance", symbol="XRP/USDT"))
    assert kinds(events) == ["OrderClosed", "OrderClosed", "BalanceChanged"]
    assert desk.venue.free["XRP"] == D(500)


def test_a_book_that_is_not_synchronised_shows_nothing() -> None:
    desk = Desk()
    invalid = BookInvalid(ts=0, venue="binance", symbol="XRP/USDT", trust=Trust.GAP, reason="gap")
    desk.market.on_event(invalid, [])
    assert ending(desk.ask(desk.order(Side.BUY, "10", "0.6001"))) == (Ending.EXPIRED, D(0))


# ---- refusals and questions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price", "code"),
    [
        ("10", "0.60011", "FILTER"),
        ("10.05", "0.6001", "FILTER"),
        ("1", "0.6001", "FILTER"),  # below 1 USDT
        ("200000", "0.6001", "FILTER"),
        ("2000", "0.6001", "INSUFFICIENT_BALANCE"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused(quantity: str, price: str, code: str) -> None:
    desk = Desk()
    (event,) = desk.ask(desk.order(Side.BUY, quantity, price))
    assert isinstance(event, OrderRejected)
    assert event.code == code
    assert desk.venue.free == {"USDT": D(1000), "XRP": D(500)}


def test_a_client_id_serves_once() -> None:
    desk = Desk()
    desk.ask(desk.order(Side.BUY, "10", "0.6001", client_id="same"))
    (event,) = desk.ask(desk.order(Side.BUY, "10", "0.6001", client_id="same"))
    assert isinstance(event, OrderRejected)
    assert event.code == "DUPLICATE"


def test_questions_are_answered_with_the_time_they_were_asked() -> None:
    desk = Desk()
    desk.ask(desk.order(Side.BUY, "150", "0.6002"))
    (status,) = desk.ask(QueryOrder(venue="binance", symbol="XRP/USDT", client_id="c1"), 100)
    assert isinstance(status, OrderStatus)
    assert (status.found, status.ending, status.executed, status.asked_ts) == (True, Ending.FILLED, D(150), 100 * MS)
    (status,) = desk.ask(QueryOrder(venue="binance", symbol="XRP/USDT", client_id="never"), 100)
    assert isinstance(status, OrderStatus)
    assert not status.found
    query = QueryFills(venue="binance", symbol="XRP/USDT", client_id="c1", venue_order_id="paper-c1")
    (listed,) = desk.ask(query, 100)
    assert isinstance(listed, FillsListed)
    assert [(f.trade_id, f.quantity) for f in listed.fills] == [("c1-1", D(100)), ("c1-2", D(50))]
    (listed,) = desk.ask(QueryFills(venue="binance", symbol="XRP/USDT", since=21 * MS), 100)
    assert isinstance(listed, FillsListed)
    assert listed.fills == ()
    (account,) = desk.ask(RequestAccount(venue="binance"), 200)
    assert isinstance(account, AccountSnapshot)
    assert account.asked_ts == 200 * MS
    assert account.balances["XRP"] == Balance(D("649.85"), D(0))


# ---- what no venue may do --------------------------------------------------------------------------------------------

sizes = st.integers(0, 400).map(lambda n: n / 10)
changes = st.lists(st.tuples(st.integers(5990, 6010).map(lambda n: n / 10_000), sizes), max_size=4)
orders = st.tuples(
    st.sampled_from(Side), st.integers(1, 900), st.integers(5990, 6010), st.sampled_from(TimeInForce), st.booleans()
)
steps = st.lists(st.tuples(changes, changes, st.lists(orders, max_size=2), st.integers(1, 30)), max_size=25)


@given(history=steps, charged=st.sampled_from(Charged))
@settings(max_examples=150, deadline=None)
def test_money_is_conserved_and_nothing_fills_beyond_the_book(history: list[Any], charged: Charged) -> None:
    start = {"USDT": D(200), "XRP": D(100), "BNB": D("0.0005")}
    desk = Desk(fees(charged), start)
    desk.book([(599.5, 1.0)], [(600.5, 1.0)], "BNB/USDT")
    expected = dict(start)
    shown: dict[tuple[Side, float], tuple[float, Decimal]] = {}  # level -> (size, taken since it has that size)
    symbol = desk.market.symbols["binance", "XRP/USDT"]
    ms, told, placed = 0, 0, dict[str, SubmitOrder]()
    for bids, asks, wishes, gap in history:
        desk.change([b for b in bids if b[0] < 0.6], [a for a in asks if a[0] >= 0.6])
        for side, quantity, price, how, cancel in wishes:
            order = desk.order(side, str(D(quantity) / 10), str(D(price) / 10_000), how)
            placed[order.client_id] = order
            desk.venue.send(order, ms * MS)
            if cancel:
                desk.venue.send(
                    CancelOrder(venue="binance", symbol="XRP/USDT", client_id=order.client_id), (ms + 5) * MS
                )
        ms += gap
        now = {(s, p): q for s in Side for p, q in symbol.levels(s)}
        shown = {level: (size, taken) for level, (size, taken) in shown.items() if now.get(level) == size}
        desk.venue.due(ms * MS)
        every = [f for o in desk.venue.orders.values() for f in o.fills]
        every.sort(key=lambda f: f.ts)
        for fill in every[told:]:
            order = placed[fill.client_id]
            assert fill.price <= order.price if fill.side is Side.BUY else fill.price >= order.price
            sign = 1 if fill.side is Side.BUY else -1
            expected["XRP"] += sign * fill.quantity
            expected["USDT"] -= sign * fill.quantity * fill.price
            if not fill.maker:
                level = (fill.side, float(fill.price))
                shown[level] = (now[level], shown.get(level, (0.0, D(0)))[1] + fill.quantity)
                assert shown[level][1] <= D(repr(now[level]))
            assert fill.commission is not None
            expected[fill.commission_asset] -= fill.commission
        told = len(every)
        for asset, free in desk.venue.free.items():
            assert free >= 0
            assert desk.venue.locked[asset] >= 0
            assert free + desk.venue.locked[asset] == expected[asset]
        for placed_order in desk.venue.orders.values():
            assert placed_order.executed <= placed_order.submitted.quantity
            assert placed_order.locked >= 0
            assert placed_order.executed == sum((f.quantity for f in placed_order.fills), D(0))


def test_what_the_desk_marked_as_its_own_is_there_for_its_own_order() -> None:
    """Execution marks the levels that an order reaches for; that order must still find them."""
    desk = Desk()
    desk.market.symbols["binance", "XRP/USDT"].take(Side.BUY, 0.6001, 100.0, until=10**18)
    events = desk.ask(desk.order(Side.BUY, "100", "0.6001"))
    assert ending(events) == (Ending.FILLED, D(100))
