"""The Binance codec and the simulated Binance in one loop: no socket, simulated time, both sides' own rules.

What one side builds the other must accept: signatures, shapes, ids, codes. The two share nothing but message shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from msgspec.structs import replace

from tradeserver.core.book import Book
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
    BalanceChanged,
    BestQuote,
    BookDelta,
    BookSnapshot,
    CancelRejected,
    ClockOffset,
    Ending,
    Event,
    FeesLoaded,
    FillsListed,
    InstrumentsLoaded,
    LinkUp,
    OpenOrdersListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderRejected,
    OrderStatus,
)
from tradeserver.core.types import Charged, Side, TimeInForce
from tradeserver.simulator.accounts import ApiKey
from tradeserver.simulator.config import SimConfig, default_config
from tradeserver.simulator.front import Close, HttpIn
from tradeserver.simulator.world import World
from tradeserver.venues.base import Connect, Credentials, HttpRequest, OpenChannel, Reset, WsMessage
from tradeserver.venues.binance import BinanceCodec, BinanceSettings

MS = 1_000_000
T0 = 1_760_000_000_000 * MS
SKEW = 321 * MS  # the venue's clock is so much ahead of ours
KEY = Credentials(key="SIMbinance", secret="SIMbinance-secret")


PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ED25519 = Credentials(
    key="SIMed25519",
    secret=PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
)


def config() -> SimConfig:
    """The default market; the account at Binance has an Ed25519 key beside its HMAC key."""
    base = default_config()
    public = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    venue = base.venues["binance"]
    (account,) = venue.accounts
    keys = (*account.keys, ApiKey(key=ED25519.key, public_key=public))
    venue = replace(venue, accounts=(replace(account, keys=keys),))
    return replace(base, venues={**base.venues, "binance": venue})


class Loop:
    """A codec, a world, and a wire without delay between them."""

    def __init__(self, credentials: Credentials | None = KEY) -> None:
        self.world = World(config(), T0 + SKEW)
        self.front = self.world.fronts["binance"]
        self.front.origin = "127.0.0.1:1"
        settings = BinanceSettings(
            rest_url="http://127.0.0.1:1", stream_url="ws://127.0.0.1:1", ws_api_url="ws://127.0.0.1:1/ws-api/v3"
        )
        self.codec = BinanceCodec(settings, ["XRP/USDT"], credentials)
        self.ts = T0
        self.events: list[Event] = []
        self._conns: dict[str, int] = {}  # channel -> connection
        self._next_conn = 0
        self._take(self.codec.start(self.ts))
        self.run(200, until=lambda: len(self._ups()) == (3 if credentials else 1))

    def _ups(self) -> list[str]:
        return [event.channel for event in self.events if isinstance(event, LinkUp)]

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
        """Perform a command, and what followed at once and in the next two ticks."""
        begin = len(self.events)
        assert self.codec.usable(command) == ""
        out = self.codec.encode(command, self.ts)
        assert out is not None
        self._send(out)
        self._take(())
        self.run(2)
        return self.events[begin:]

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
                connect = self.codec.open(channel, self.ts)
                assert isinstance(connect, Connect)
                self._next_conn += 1
                url = urlsplit(connect.url)
                assert self.front.connect(self._next_conn, url.path, url.query, {}, "127.0.0.1", now) is True
                self._conns[channel] = self._next_conn
                self._take(self.codec.opened(channel, self.ts))
            case WsMessage(channel=channel, data=data):
                self.front.message(self._conns[channel], data.decode(), now)
            case Reset(channel=channel):
                self.cut(channel)
        self._deliver()

    def cut(self, channel: str, reason: str = "cut") -> None:
        """Lose a connection."""
        self.front.closed(self._conns.pop(channel), self.ts + SKEW)
        self._take(self.codec.closed(channel, reason, self.ts))

    def _deliver(self) -> None:
        while self.front.outgoing:
            conn, what = self.front.outgoing.pop(0)
            channel = next((name for name, number in self._conns.items() if number == conn), "")
            if isinstance(what, str) and channel:
                self._take(self.codec.receive(channel, what.encode(), self.ts))
            elif isinstance(what, Close):
                raise AssertionError(f"the venue closed {channel}: {what.reason}")

    def balance(self, asset: str) -> tuple[Decimal, Decimal]:
        """(free, locked) at the venue."""
        (account,) = self.world.exchanges["binance"].accounts.values()
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


def submit(side: Side, quantity: str, price: float, tif: str = "IOC", client_id: str = "t1a") -> SubmitOrder:
    return SubmitOrder(
        venue="binance",
        symbol="XRP/USDT",
        client_id=client_id,
        arbitrage=1,
        leg=0,
        attempt=0,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(str(round(price, 4))),
        time_in_force=TimeInForce(tif),
        opening=True,
    )


def of(events: Sequence[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_everything_comes_up() -> None:
    loop = Loop()
    assert sorted(loop._ups()) == ["market", "orders", "user"]
    (loaded,) = of(loop.events, InstrumentsLoaded)
    assert isinstance(loaded, InstrumentsLoaded)
    assert (loaded.instruments[0].tick, loaded.instruments[0].lot) == (Decimal("0.0001"), Decimal("0.1"))
    (offset,) = of(loop.events, ClockOffset)
    assert isinstance(offset, ClockOffset)
    assert abs(offset.offset_ns - SKEW) <= MS
    (fees,) = of(loop.events, FeesLoaded)
    assert isinstance(fees, FeesLoaded)
    assert fees.fees["XRP/USDT"].taker == Decimal("0.001")
    assert fees.fees["XRP/USDT"].charged is Charged.RECEIVED


def test_without_a_key_there_is_a_book() -> None:
    loop = Loop(credentials=None)
    loop.run(300)
    assert loop._ups() == ["market"]
    assert len(of(loop.events, BookSnapshot)) == 1
    assert len(of(loop.events, BookDelta)) > 10


def test_the_book_agrees_with_the_light_stream_and_with_the_venue() -> None:
    loop = Loop()
    loop.run(500)
    tops: dict[int, tuple[float, float, float, float]] = {}
    book, compared = Book(), 0
    for event in loop.events:
        if isinstance(event, BestQuote):
            tops[event.update_id] = (event.bid, event.bid_quantity, event.ask, event.ask_quantity)
    for event in loop.events:
        if isinstance(event, BookSnapshot):
            book.load(event.update_id, event.bids, event.asks)
        elif isinstance(event, BookDelta):
            book.apply(event.update_id, event.bids, event.asks)
            if event.update_id in tops:
                compared += 1
                assert (book.bid, book.bid_quantity, book.ask, book.ask_quantity) == tops[event.update_id]
    assert compared > 3


@pytest.mark.parametrize(("side", "key"), [(Side.BUY, KEY), (Side.SELL, KEY), (Side.BUY, ED25519)])
def test_a_marketable_order_fills_once_however_often_it_is_told(side: Side, key: Credentials) -> None:
    loop = Loop(key)
    loop.run(100)
    book = loop.book()
    before = {asset: loop.balance(asset)[0] for asset in ("XRP", "USDT")}
    price = book.ask * 1.01 if side is Side.BUY else book.bid * 0.99
    events = loop.do(submit(side, "50", price))
    assert isinstance(of(events, OrderAccepted)[0], OrderAccepted)
    fills: dict[str, OrderFilled] = {}
    told = 0
    for event in events:
        if isinstance(event, OrderFilled):
            told += 1
            known = fills.setdefault(event.trade_id, event)
            for name in ("client_id", "symbol", "side", "price", "quantity", "commission", "commission_asset"):
                assert getattr(event, name) == getattr(known, name), name
    assert told == 2 * len(fills)  # in the answer and as an event
    assert sum(fill.quantity for fill in fills.values()) == 50
    ends = [event for event in events if isinstance(event, OrderClosed)]
    assert {(end.ending, end.executed) for end in ends} == {(Ending.FILLED, Decimal(50))}
    received = "XRP" if side is Side.BUY else "USDT"
    assert {fill.commission_asset for fill in fills.values()} == {received}

    # the venue's balances moved by exactly what the fills say, and the events say the same
    sign = 1 if side is Side.BUY else -1
    moved = {"XRP": sign * Decimal(50), "USDT": -sign * sum((f.price * f.quantity for f in fills.values()), Decimal(0))}
    moved[received] -= sum((fill.commission or Decimal(0) for fill in fills.values()), Decimal(0))
    for asset in ("XRP", "USDT"):
        assert loop.balance(asset) == (before[asset] + moved[asset], Decimal(0))
        last = [e for e in events if isinstance(e, BalanceChanged) and e.asset == asset][-1]
        assert (last.balance.free, last.balance.locked) == loop.balance(asset)

    # and so do the answers to questions
    (status,) = of(loop.do(QueryOrder(venue="binance", symbol="XRP/USDT", client_id="t1a")), OrderStatus)
    assert isinstance(status, OrderStatus)
    assert (status.found, status.ending, status.executed) == (True, Ending.FILLED, Decimal(50))
    for query in (
        QueryFills(venue="binance", symbol="XRP/USDT", client_id="t1a"),
        QueryFills(venue="binance", symbol="XRP/USDT", venue_order_id=status.venue_order_id),
        QueryFills(venue="binance", symbol="XRP/USDT", since=T0),
    ):
        (listed,) = of(loop.do(query), FillsListed)
        assert isinstance(listed, FillsListed)
        assert {fill.trade_id: (fill.price, fill.quantity, fill.commission) for fill in listed.fills} == {
            fill.trade_id: (fill.price, fill.quantity, fill.commission) for fill in fills.values()
        }
    (snapshot,) = of(loop.do(RequestAccount(venue="binance")), AccountSnapshot)
    assert isinstance(snapshot, AccountSnapshot)
    assert snapshot.balances["XRP"].free == loop.balance("XRP")[0]


def test_an_order_that_finds_nothing_expires() -> None:
    loop = Loop()
    loop.run(100)
    events = loop.do(submit(Side.BUY, "50", loop.book().bid * 0.9))
    ends = [event for event in events if isinstance(event, OrderClosed)]
    assert {(end.ending, end.executed) for end in ends} == {(Ending.EXPIRED, Decimal(0))}
    assert not of(events, OrderFilled)


def test_a_resting_order_is_listed_and_cancelled() -> None:
    loop = Loop()
    loop.run(100)
    price = loop.book().bid * 0.9
    events = loop.do(submit(Side.BUY, "50", price, "GTC"))
    assert not of(events, OrderClosed)
    (listed,) = of(loop.do(QueryOpenOrders(venue="binance")), OpenOrdersListed)
    assert isinstance(listed, OpenOrdersListed)
    assert [order.client_id for order in listed.orders] == ["t1a"]
    events = loop.do(CancelOrder(venue="binance", symbol="XRP/USDT", client_id="t1a"))
    ends = [event for event in events if isinstance(event, OrderClosed)]
    assert {(end.client_id, end.ending) for end in ends} == {("t1a", Ending.CANCELED)}
    assert len(ends) == 2  # answer and event
    (refused,) = of(loop.do(CancelOrder(venue="binance", symbol="XRP/USDT", client_id="t1a")), CancelRejected)
    assert isinstance(refused, CancelRejected)
    assert refused.code == "-2011"
    loop.do(submit(Side.BUY, "50", price, "GTC", "t1b"))
    events = loop.do(CancelAll(venue="binance", symbol="XRP/USDT"))
    assert {event.client_id for event in events if isinstance(event, OrderClosed)} == {"t1b"}
    assert loop.balance("USDT")[1] == 0


def test_refusals() -> None:
    loop = Loop()
    loop.run(100)
    bid = loop.book().bid
    for command, code, text in (
        (submit(Side.BUY, "50.05", bid), "-1013", "Filter failure: LOT_SIZE"),
        (submit(Side.BUY, "1", bid), "-1013", "Filter failure: NOTIONAL"),
        (submit(Side.BUY, "4000000", bid), "-2010", "Account has insufficient balance for requested action."),
    ):
        events = loop.do(command)
        (rejected,) = of(events, OrderRejected)
        assert isinstance(rejected, OrderRejected)
        assert (rejected.client_id, rejected.code, rejected.text) == ("t1a", code, text)
    (status,) = of(loop.do(QueryOrder(venue="binance", symbol="XRP/USDT", client_id="t1a")), OrderStatus)
    assert isinstance(status, OrderStatus)
    assert not status.found


def test_after_a_lost_connection_the_book_comes_back() -> None:
    loop = Loop()
    loop.run(100)
    loop.cut("market")
    begin = len(loop.events)
    loop._send(OpenChannel("market"))
    loop.run(100)
    fresh = loop.events[begin:]
    assert of(fresh, LinkUp)
    assert of(fresh, BookSnapshot)
    assert of(fresh, BookDelta)


def test_a_ladder_of_orders_costs_the_budget_that_the_venue_counts() -> None:
    """Our count of the ten-second window is the venue's own, fills given back included."""
    loop = Loop()
    loop.run(100)
    bid = loop.book().bid
    for number in range(5):
        loop.do(submit(Side.BUY, "50", bid * 0.9, "GTC", f"t{number}"))
    assert loop.codec.budget.used("orders_10s", loop.ts) == 5
    assert loop.codec.budget.used("orders_1d", loop.ts) == 5
