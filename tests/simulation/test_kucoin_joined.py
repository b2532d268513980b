"""The KuCoin codec and the simulated KuCoin in one loop: no socket, simulated time, both sides' own rules.

What one side builds the other must accept: signatures, tokens, shapes, sequences, codes. The two share nothing but
message shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from tradeserver.core.book import Book
from tradeserver.core.commands import (
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    Command,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    RequestAccount,
    RequestSnapshot,
    SubmitOrder,
)
from tradeserver.core.events import (
    AccountSnapshot,
    BalanceChanged,
    BestQuote,
    BookDelta,
    BookInvalid,
    BookSnapshot,
    CancelRejected,
    ClockOffset,
    Ending,
    Event,
    FeesLoaded,
    FillsListed,
    InstrumentsLoaded,
    LinkCurrent,
    LinkUp,
    OpenOrdersListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    QueryFailed,
    VenueFault,
)
from tradeserver.core.types import Charged, Side, TimeInForce
from tradeserver.simulator.config import default_config
from tradeserver.simulator.front import Close, HttpIn
from tradeserver.simulator.world import World
from tradeserver.venues.base import Connect, Credentials, HttpRequest, OpenChannel, Reset, WsMessage
from tradeserver.venues.kucoin.codec import KucoinCodec
from tradeserver.venues.kucoin.settings import KucoinSettings

MS = 1_000_000
T0 = 1_760_000_000_000 * MS
SKEW = -321 * MS  # the venue's clock is so much behind ours
E = TypeVar("E", bound=Event)


def credentials() -> Credentials:
    """The key of the simulator's default account."""
    (account,) = default_config().venues["kucoin"].accounts
    key = account.keys[0]
    return Credentials(key.key, key.secret, key.passphrase)


class Loop:
    """A codec, a world, and a wire without delay between them."""

    def __init__(self, key: Credentials | None, ping_interval_ms: int = 0) -> None:
        base = default_config()
        venue = replace(base.venues["kucoin"], ping_interval_ms=ping_interval_ms)
        self.world = World(replace(base, venues={**base.venues, "kucoin": venue}), T0 + SKEW)
        self.front = self.world.fronts["kucoin"]
        self.front.origin = "127.0.0.1:1"
        self.codec = KucoinCodec(
            KucoinSettings(rest_url="http://127.0.0.1:1", order_entry_url="ws://127.0.0.1:1/v1/private"),
            ["XRP/USDT"],
            key,
        )
        self.ts = T0
        self.events: list[Event] = []
        self.closes: list[str] = []
        self._conns: dict[str, int] = {}  # channel -> connection
        self._next_conn = 0
        self._take(self.codec.start(self.ts))
        self.run(300, until=lambda: len(self.of(LinkUp)) == (3 if key else 1))

    def of(self, kind: type[E], since: int = 0) -> list[E]:
        return [event for event in self.events[since:] if isinstance(event, kind)]

    def run(self, steps: int, until: Callable[[], bool] = lambda: False) -> list[Event]:
        """Let time pass in ticks of 10 ms; the events of that time."""
        begin = len(self.events)
        for _ in range(steps):
            self.ts += 10 * MS
            self.world.step(self.ts + SKEW)
            self._deliver()
            self._take(self.codec.tick(self.ts))
            if until():
                break
        return self.events[begin:]

    def do(self, command: Command) -> list[Event]:
        """Perform a command, and what followed at once and in the next ticks."""
        begin = len(self.events)
        assert self.codec.usable(command) == ""
        out = self.codec.encode(command, self.ts)
        assert out is not None
        self._send(out)
        self._take(())
        self.run(3)
        return self.events[begin:]

    def open(self, channel: str) -> None:
        self._send(self.codec.open(channel, self.ts))
        self._take(())

    def cut(self, channel: str, reason: str = "cut") -> None:
        """Lose a connection."""
        self.front.closed(self._conns.pop(channel), self.ts + SKEW)
        self._take(self.codec.closed(channel, reason, self.ts))

    def _take(self, events: Sequence[Event]) -> None:
        self.events += events
        while self.codec.outgoing:
            self._send(self.codec.outgoing.pop(0))

    def _send(self, out: object) -> None:
        now = self.ts + SKEW
        match out:
            case HttpRequest():
                url = urlsplit(out.url)
                headers = {name.lower(): value for name, value in out.headers.items()}
                answer = self.front.http(HttpIn(out.method, url.path, url.query, headers, out.body), now)
                lower = {name.lower(): value for name, value in answer.headers.items()}
                self._take(self.codec.receive_http(out.id, answer.status, lower, answer.body, self.ts))
            case OpenChannel(channel=channel):
                self.open(channel)
            case Connect(channel=channel, url=target):
                self._next_conn += 1
                url = urlsplit(target)
                assert self.front.connect(self._next_conn, url.path, url.query, {}, "127.0.0.1", now) is True
                self._conns[channel] = self._next_conn
                self._take(self.codec.opened(channel, self.ts))
            case WsMessage(channel=channel, data=data):
                self.front.message(self._conns[channel], data.decode(), now)
            case Reset(channel=channel):
                self.cut(channel)
        self._deliver()

    def _deliver(self) -> None:
        while self.front.outgoing:
            conn, what = self.front.outgoing.pop(0)
            channel = next((name for name, number in self._conns.items() if number == conn), "")
            if isinstance(what, str) and channel:
                self._take(self.codec.receive(channel, what.encode(), self.ts))
            elif isinstance(what, Close):
                self.closes.append(f"{channel}: {what.reason}")

    def balance(self, asset: str) -> tuple[Decimal, Decimal]:
        """(free, locked) at the venue."""
        (account,) = self.world.exchanges["kucoin"].accounts.values()
        held = account.balances[asset]
        return held.free, held.locked

    def book(self) -> Book:
        """The book as the events tell it."""
        book = Book()
        for event in self.events:
            if isinstance(event, BookSnapshot):
                book.load(event.update_id, event.bids, event.asks)
            elif isinstance(event, BookDelta):
                book.apply(event.update_id, event.bids, event.asks)
        return book


@pytest.fixture
def loop() -> Loop:
    loop = Loop(credentials())
    loop.run(100)
    return loop


def submit(side: Side, quantity: str, price: float, tif: str = "IOC", client_id: str = "t1a") -> SubmitOrder:
    return SubmitOrder(
        venue="kucoin",
        symbol="XRP/USDT",
        client_id=client_id,
        arbitrage=1,
        leg=0,
        attempt=0,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(str(round(price, 5))),
        time_in_force=TimeInForce(tif),
        opening=True,
    )


def one(events: Sequence[Event], kind: type[E]) -> E:
    (event,) = [event for event in events if isinstance(event, kind)]
    return event


def test_everything_comes_up(loop: Loop) -> None:
    assert sorted(event.channel for event in loop.of(LinkUp)) == ["market", "orders", "user"]
    (loaded,) = loop.of(InstrumentsLoaded)
    assert loaded.unknown == ()
    assert loaded.instruments[0].native == "XRP-USDT"
    (offset,) = loop.of(ClockOffset)
    assert abs(offset.offset_ns - SKEW) <= MS
    (fees,) = loop.of(FeesLoaded)
    assert fees.fees["XRP/USDT"].charged is Charged.QUOTE
    assert fees.fees["XRP/USDT"].taker == Decimal("0.001")
    assert not loop.of(VenueFault)


def test_without_a_key_there_is_a_book_of_a_hundred_levels() -> None:
    loop = Loop(None)
    loop.run(300)
    assert [event.channel for event in loop.of(LinkUp)] == ["market"]
    (snapshot,) = loop.of(BookSnapshot)
    assert 0 < len(snapshot.bids) <= 100
    assert len(loop.of(BookDelta)) > 10


def test_the_book_agrees_with_the_ticker_and_with_the_venue(loop: Loop) -> None:
    loop.run(1_000)
    tops: dict[int, tuple[float, float, float, float]] = {}
    book = Book()
    for event in loop.events:
        if isinstance(event, BookSnapshot):
            book.load(event.update_id, event.bids, event.asks)
        elif isinstance(event, BookDelta):
            book.apply(event.update_id, event.bids, event.asks)
        if isinstance(event, BookSnapshot | BookDelta):
            tops[event.update_id] = (book.bid, book.bid_quantity, book.ask, book.ask_quantity)
    quotes = [q for q in loop.of(BestQuote) if q.update_id in tops]
    assert len(quotes) > 10
    assert all(tops[q.update_id] == (q.bid, q.bid_quantity, q.ask, q.ask_quantity) for q in quotes)
    assert [q for q in loop.of(BestQuote) if not q.update_id]  # level1
    depth = loop.world.exchanges["kucoin"].depth("XRP/USDT", 20)
    bids, asks = book.top(20)
    assert [(float(p), float(q)) for p, q in depth.bids] == bids
    assert [(float(p), float(q)) for p, q in depth.asks] == asks


@pytest.mark.parametrize("link", ["socket", "rest"])
@pytest.mark.parametrize("side", list(Side))
def test_a_marketable_order_fills_and_the_quote_pays(loop: Loop, side: Side, link: str) -> None:
    before = {asset: loop.balance(asset)[0] for asset in ("XRP", "USDT")}
    book = loop.book()
    price = book.ask * 1.01 if side is Side.BUY else book.bid * 0.99
    command = submit(side, "50", price)
    if link == "rest":
        loop.cut("orders")
        command = replace(command, opening=False)
    events = loop.do(command)
    assert [e for e in events if isinstance(e, OrderAccepted)]
    fills = [event for event in events if isinstance(event, OrderFilled)]
    assert sum(fill.quantity for fill in fills) == 50
    assert all(fill.commission is None and fill.commission_asset == "USDT" for fill in fills)
    end = one(events, OrderClosed)
    assert (end.ending, end.executed) == (Ending.FILLED, Decimal(50))

    # the fills query tells the fees, under the same trade ids, however it is asked
    for query in (
        QueryFills(venue="kucoin", symbol="XRP/USDT", client_id="t1a"),
        QueryFills(venue="kucoin", symbol="XRP/USDT", client_id="t1a", venue_order_id=end.venue_order_id),
        QueryFills(venue="kucoin", symbol="XRP/USDT", since=T0 - 1_000 * MS),
    ):
        listed = one(loop.do(query), FillsListed)
        assert {(f.trade_id, f.price, f.quantity, f.client_id) for f in listed.fills} == {
            (f.trade_id, f.price, f.quantity, "t1a") for f in fills
        }
        fees = sum((f.commission or Decimal(0) for f in listed.fills), Decimal(0))
        assert fees > 0

    # the venue's balances moved by exactly what the fills say, and the pushes say the same
    sign = 1 if side is Side.BUY else -1
    paid = sum((f.price * f.quantity for f in fills), Decimal(0))
    moved = {"XRP": sign * Decimal(50), "USDT": -sign * paid - fees}
    for asset in ("XRP", "USDT"):
        assert loop.balance(asset) == (before[asset] + moved[asset], Decimal(0))
        last = [e for e in events if isinstance(e, BalanceChanged) and e.asset == asset][-1]
        assert (last.balance.free, last.balance.locked) == loop.balance(asset)
    status = one(loop.do(QueryOrder(venue="kucoin", symbol="XRP/USDT", client_id="t1a")), OrderStatus)
    assert (status.found, status.ending, status.executed) == (True, Ending.FILLED, Decimal(50))
    snapshot = one(loop.do(RequestAccount(venue="kucoin")), AccountSnapshot)
    assert snapshot.balances["USDT"].free == loop.balance("USDT")[0]


def test_the_rest_of_an_ioc_ends_as_canceled(loop: Loop) -> None:
    book = loop.book()
    (_, best), *_ = book.top(1)[1]
    events = loop.do(submit(Side.BUY, str(int(best) + 400_000), book.ask))
    rejected = [e for e in events if isinstance(e, OrderRejected)]
    assert not rejected, rejected
    end = one(events, OrderClosed)
    filled = sum((e.quantity for e in events if isinstance(e, OrderFilled)), Decimal(0))
    assert end.ending is Ending.CANCELED
    assert end.executed == filled > 0


def test_an_order_that_finds_nothing_ends_as_canceled(loop: Loop) -> None:
    events = loop.do(submit(Side.BUY, "50", loop.book().bid * 0.97))
    end = one(events, OrderClosed)
    assert (end.ending, end.executed) == (Ending.CANCELED, Decimal(0))
    assert loop.balance("USDT")[1] == 0


def test_a_resting_order_is_listed_and_cancelled(loop: Loop) -> None:
    price = loop.book().bid * 0.97
    events = loop.do(submit(Side.BUY, "50", price, "GTC"))
    assert not [e for e in events if isinstance(e, OrderClosed)]
    listed = one(loop.do(QueryOpenOrders(venue="kucoin")), OpenOrdersListed)
    assert [(o.client_id, o.quantity, o.executed) for o in listed.orders] == [("t1a", Decimal(50), Decimal(0))]
    end = one(loop.do(CancelOrder(venue="kucoin", symbol="XRP/USDT", client_id="t1a")), OrderClosed)
    assert (end.client_id, end.ending, end.executed) == ("t1a", Ending.CANCELED, Decimal(0))
    refused = one(loop.do(CancelOrder(venue="kucoin", symbol="XRP/USDT", client_id="t1a")), CancelRejected)
    assert refused.code == "400100"
    loop.do(submit(Side.BUY, "50", price, "GTC", "t1b"))
    loop.cut("orders")
    end = one(loop.do(CancelOrder(venue="kucoin", symbol="XRP/USDT", client_id="t1b")), OrderClosed)
    assert end.client_id == "t1b"
    assert one(loop.do(QueryOpenOrders(venue="kucoin")), OpenOrdersListed).orders == ()


def test_cancel_all(loop: Loop) -> None:
    price = loop.book().bid * 0.97
    for client_id in ("t1a", "t1b"):
        loop.do(submit(Side.BUY, "50", price, "GTC", client_id))
    events = loop.do(CancelAll(venue="kucoin", symbol="XRP/USDT"))
    assert {e.client_id for e in events if isinstance(e, OrderClosed)} == {"t1a", "t1b"}
    assert loop.balance("USDT")[1] == 0


def test_the_dead_mans_switch_cancels_when_nobody_renews_it(loop: Loop) -> None:
    loop.do(submit(Side.BUY, "50", loop.book().bid * 0.97, "GTC"))
    assert not [
        e for e in loop.do(ArmDeadMan(venue="kucoin", timeout_s=5, symbols=("XRP/USDT",))) if isinstance(e, QueryFailed)
    ]
    assert one(loop.run(600), OrderClosed).client_id == "t1a"


@pytest.mark.parametrize("link", ["socket", "rest"])
def test_refusals(loop: Loop, link: str) -> None:
    bid = loop.book().bid
    if link == "rest":
        loop.cut("orders")
    for quantity, code in (("0.00001", "400100"), ("40000000", "200004")):
        command = replace(submit(Side.BUY, quantity, bid), opening=link != "rest")
        rejected = one(loop.do(command), OrderRejected)
        assert (rejected.client_id, rejected.code) == ("t1a", code), rejected
    status = one(loop.do(QueryOrder(venue="kucoin", symbol="XRP/USDT", client_id="t1a")), OrderStatus)
    assert not status.found
    assert one(loop.do(QueryFills(venue="kucoin", symbol="XRP/USDT", client_id="t1a")), FillsListed).fills == ()


def test_an_order_signed_too_long_ago_is_refused_by_the_gateway(loop: Loop) -> None:
    out = loop.codec.encode(submit(Side.BUY, "50", loop.book().ask * 1.01), loop.ts - 5_000 * MS)
    begin = len(loop.events)
    loop._send(out)
    loop.run(3)
    assert loop.of(OrderRejected, begin)
    assert not loop.of(OrderFilled, begin)


@pytest.mark.parametrize("channel", ["market", "user", "orders"])
def test_after_a_lost_connection_everything_comes_back(loop: Loop, channel: str) -> None:
    loop.cut(channel)
    begin = len(loop.events)
    loop.open(channel)
    loop.run(200)
    assert [e.channel for e in loop.of(LinkUp, begin)] == [channel]
    if channel == "market":
        assert len(loop.of(BookSnapshot, begin)) == 1
        assert loop.of(BookDelta, begin)


def test_a_new_book_on_demand(loop: Loop) -> None:
    begin = len(loop.events)
    loop.do(RequestSnapshot(venue="kucoin", symbol="XRP/USDT", reason="crossed"))
    loop.run(100)
    assert len(loop.of(BookSnapshot, begin)) == 1
    assert not loop.of(BookInvalid, begin)


def test_pings_keep_every_connection() -> None:
    """Pings each second here; the venue closes who is silent for the interval and its time-out together."""
    loop = Loop(credentials(), ping_interval_ms=1_000)
    loop.run(1_300)
    assert {e.channel for e in loop.of(LinkCurrent)} == {"market", "user", "orders"}
    assert loop.closes == []
    assert not loop.of(VenueFault)
