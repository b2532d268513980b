"""The table of markets: trust, age, stalls, the tradable top, visible depth. Expected values are worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.core.events import (
    BestQuote,
    BookDelta,
    BookInvalid,
    BookSnapshot,
    ClockOffset,
    InstrumentsLoaded,
    LinkCurrent,
    LinkDown,
    LinkUp,
    SymbolStatus,
    Tick,
    Trade,
    Trust,
)
from tradeserver.core.market import Market, MarketLimits, SymbolMarket
from tradeserver.core.records import BookChanged, Record
from tradeserver.core.types import Instrument, Level, Side

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
KEY = ("binance", "BTC/USDT")
OFFSET = 1_270 * MS  # the venue's clock is this much ahead of ours

RULES = Instrument(
    venue="binance",
    symbol="BTC/USDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.00001"),
    min_quantity=Decimal("0.00001"),
    max_quantity=Decimal(9000),
    min_notional=Decimal(5),
)


class Desk:
    """One market with one symbol, and short words for what happens to it. Times are ms after T0, on our clock."""

    def __init__(self, limits: MarketLimits | None = None) -> None:
        self.market = Market(limits or MarketLimits())
        self.symbol = self.market.add(KEY)
        self.records: list[Record] = []

    def ready(self) -> Desk:
        """Rules known, clock measured, link up, and a book of two levels a side at update id 10."""
        self.market.on_event(InstrumentsLoaded(ts=T0, venue="binance", instruments=(RULES,)), self.records)
        self.market.on_event(ClockOffset(ts=T0, venue="binance", offset_ns=OFFSET, rtt_ns=MS), self.records)
        self.market.on_event(LinkUp(ts=T0, venue="binance", channel="market"), self.records)
        self.snapshot(0, 10, [(100.0, 1.0), (99.0, 2.0)], [(101.0, 1.0), (102.0, 2.0)])
        self.records.clear()
        return self

    def snapshot(self, ms: int, update_id: int, bids: list[Level], asks: list[Level]) -> SymbolMarket | None:
        event = BookSnapshot(
            ts=T0 + ms * MS, venue="binance", symbol="BTC/USDT", update_id=update_id, bids=bids, asks=asks
        )
        return self.market.on_event(event, self.records)

    def delta(
        self,
        ms: int,
        update_id: int,
        bids: list[Level] | None = None,
        asks: list[Level] | None = None,
        stamp_ms: int | None = None,
    ) -> SymbolMarket | None:
        """`stamp_ms` is when the venue made it, on our clock; None is "just now", 2 ms ago."""
        made = T0 + (ms - 2 if stamp_ms is None else stamp_ms) * MS + OFFSET
        event = BookDelta(
            ts=T0 + ms * MS,
            venue="binance",
            symbol="BTC/USDT",
            venue_ts=made,
            update_id=update_id,
            bids=bids or [],
            asks=asks or [],
        )
        return self.market.on_event(event, self.records)

    def quote(
        self, ms: int, update_id: int, bid: Level, ask: Level, stamp_ms: int | None = None
    ) -> SymbolMarket | None:
        event = BestQuote(
            ts=T0 + ms * MS,
            venue="binance",
            symbol="BTC/USDT",
            venue_ts=0 if stamp_ms is None else T0 + stamp_ms * MS + OFFSET,
            update_id=update_id,
            bid=bid[0],
            bid_quantity=bid[1],
            ask=ask[0],
            ask_quantity=ask[1],
        )
        return self.market.on_event(event, self.records)

    def tick(self, ms: int, late_ms: int = 0) -> None:
        assert self.market.on_event(Tick(ts=T0 + ms * MS, late_ns=late_ms * MS), self.records) is None

    def why(self, ms: int) -> str:
        return self.symbol.untradable(T0 + ms * MS)

    def changes(self) -> list[str]:
        """The trust states told since the last look."""
        found = [r.trust for r in self.records if isinstance(r, BookChanged)]
        self.records.clear()
        return found


# ---- from nothing to tradable ----------------------------------------------------------------------------------------


def test_a_book_becomes_tradable_step_by_step() -> None:
    desk = Desk()
    assert desk.why(0) == "BOOK_SNAPSHOTTING"
    assert desk.delta(0, 9, [(100.0, 5.0)]) is None  # nothing to apply it to
    assert desk.symbol.book.top(1) == ([], [])
    assert desk.snapshot(0, 10, [(100.0, 1.0)], [(101.0, 1.0)]) is desk.symbol
    assert desk.changes() == ["synced"]
    assert desk.why(0) == "LINK_NOT_CURRENT"
    desk.market.on_event(LinkUp(ts=T0, venue="binance", channel="user"), desk.records)
    assert desk.why(0) == "LINK_NOT_CURRENT"
    desk.market.on_event(LinkUp(ts=T0, venue="binance", channel="market"), desk.records)
    assert desk.why(0) == "SYMBOL_HALTED"  # its rules are not known
    desk.market.on_event(InstrumentsLoaded(ts=T0, venue="binance", instruments=(RULES,)), desk.records)
    assert desk.why(0) == ""
    assert desk.symbol.mid == 100.5


def test_events_of_symbols_that_nobody_follows_are_ignored() -> None:
    desk = Desk().ready()
    event = BookSnapshot(ts=T0, venue="binance", symbol="ETH/USDT", update_id=1, bids=[(1.0, 1.0)], asks=[(2.0, 1.0)])
    assert desk.market.on_event(event, desk.records) is None
    link = LinkUp(ts=T0, venue="elsewhere", channel="market")
    assert desk.market.on_event(link, desk.records) is None
    assert list(desk.market.symbols) == [KEY]


def test_a_halted_symbol_is_not_tradable() -> None:
    desk = Desk().ready()
    halt = SymbolStatus(ts=T0, venue="binance", symbol="BTC/USDT", tradable=False, reason="BREAK")
    assert desk.market.on_event(halt, desk.records) is desk.symbol
    assert desk.why(0) == "SYMBOL_HALTED"
    resume = SymbolStatus(ts=T0, venue="binance", symbol="BTC/USDT", tradable=True, reason="")
    desk.market.on_event(resume, desk.records)
    assert desk.why(0) == ""


@pytest.mark.parametrize(
    ("trust", "code"),
    [
        (Trust.GAP, "BOOK_GAP"),
        (Trust.SNAPSHOTTING, "BOOK_SNAPSHOTTING"),
        (Trust.STALE, "BOOK_STALE"),
        (Trust.CROSSED, "BOOK_CROSSED"),
    ],
)
def test_an_invalid_book_waits_for_its_next_snapshot(trust: Trust, code: str) -> None:
    desk = Desk().ready()
    invalid = BookInvalid(ts=T0, venue="binance", symbol="BTC/USDT", trust=trust, reason="because")
    assert desk.market.on_event(invalid, desk.records) is desk.symbol
    assert desk.changes() == [trust.value]
    assert desk.why(1) == code
    assert desk.delta(2, 11, [(100.5, 1.0)]) is None
    desk.quote(3, 12, (100.5, 1.0), (101.0, 1.0))
    desk.tick(4)
    assert desk.why(4) == code
    assert desk.changes() == []
    assert desk.symbol.mid == 100.75  # a quote still says where the market is
    desk.snapshot(5, 20, [(100.0, 1.0)], [(101.0, 1.0)])
    assert desk.changes() == ["synced"]
    assert desk.why(5) == ""


def test_an_empty_side_is_not_tradable_and_no_division_fails() -> None:
    desk = Desk().ready()
    desk.delta(1, 11, [], [(101.0, 0.0), (102.0, 0.0)])
    assert desk.why(1) == "BOOK_EMPTY"
    assert desk.symbol.visible(Side.BUY, 1e9, 1.0) == (0.0, 0.0)
    desk.delta(2, 12, [], [(103.0, 1.0)])
    assert desk.why(2) == ""


# ---- age -------------------------------------------------------------------------------------------------------------


def test_age_is_judged_by_the_venues_stamp_on_our_clock() -> None:
    desk = Desk().ready()
    desk.delta(500, 11, [(100.0, 3.0)], stamp_ms=200)  # it waited 300 ms in the kernel
    assert desk.symbol.stamp_ns == T0 + 200 * MS
    assert desk.symbol.seen_ts == T0 + 500 * MS
    assert desk.symbol.age_ns(T0 + 600 * MS) == 400 * MS
    assert desk.why(1_700) == ""
    assert desk.why(1_701) == "BOOK_STALE"


def test_without_a_measured_offset_the_arrival_time_counts() -> None:
    desk = Desk()
    desk.snapshot(0, 10, [(100.0, 1.0)], [(101.0, 1.0)])
    desk.delta(500, 11, [(100.0, 3.0)], stamp_ms=-5_000)
    assert desk.symbol.stamp_ns == T0 + 500 * MS


def test_a_stamp_from_the_future_counts_as_now() -> None:
    desk = Desk().ready()
    desk.delta(500, 11, [(100.0, 3.0)], stamp_ms=900)
    assert desk.symbol.stamp_ns == T0 + 500 * MS


def test_silence_makes_stale_and_the_next_fresh_update_heals() -> None:
    desk = Desk().ready()
    assert desk.market.next_deadline() == T0 + 1_500 * MS + 1
    desk.tick(1_500)
    assert desk.changes() == []
    desk.tick(1_510)
    assert desk.changes() == ["stale"]
    assert desk.why(1_510) == "BOOK_STALE"
    assert desk.market.next_deadline() == 0
    desk.delta(1_600, 11, [(100.0, 3.0)], stamp_ms=50)  # an old update heals nothing
    assert desk.changes() == []
    desk.delta(1_700, 12, [(100.0, 3.0)])
    assert desk.changes() == ["synced"]
    assert desk.why(1_700) == ""


def test_a_trade_is_a_sign_of_life_but_does_not_renew_the_top() -> None:
    desk = Desk().ready()
    trade = Trade(
        ts=T0 + 1_000 * MS,
        venue="binance",
        symbol="BTC/USDT",
        venue_ts=T0 + 990 * MS + OFFSET,
        price=101.0,
        quantity=0.1,
        taker=Side.BUY,
        trade_id="1",
    )
    assert desk.market.on_event(trade, desk.records) is None
    assert desk.symbol.seen_ts == T0 + 1_000 * MS
    assert desk.why(1_600) == "BOOK_STALE"


# ---- stalls of our own loop ------------------------------------------------------------------------------------------


def stalled() -> Desk:
    desk = Desk().ready()
    desk.tick(100, late_ms=50)
    assert desk.why(100) == ""  # exactly the limit
    desk.tick(200, late_ms=51)
    assert desk.why(200) == "LINK_NOT_CURRENT"
    return desk


def test_after_a_stall_only_something_later_proves_the_connection() -> None:
    desk = stalled()
    desk.quote(201, 11, (100.0, 1.0), (101.0, 1.0))  # no stamp: it may have waited all along
    assert desk.why(201) == "LINK_NOT_CURRENT"
    desk.delta(202, 12, [(100.0, 2.0)], stamp_ms=199)
    assert desk.why(202) == "LINK_NOT_CURRENT"
    desk.delta(210, 13, [(100.0, 2.0)], stamp_ms=205)
    assert desk.why(210) == ""


def test_a_stamp_of_any_symbol_of_the_venue_proves_the_connection() -> None:
    desk = stalled()
    desk.market.add(("binance", "ETH/USDT"))
    desk.market.add(("kucoin", "BTC/USDT"))
    other = BookDelta(
        ts=T0 + 211 * MS,
        venue="kucoin",
        symbol="BTC/USDT",
        venue_ts=T0 + 210 * MS + OFFSET,
        update_id=1,
        bids=[],
        asks=[],
    )
    desk.market.on_event(other, desk.records)
    assert desk.why(211) == "LINK_NOT_CURRENT"  # another venue's connection
    trade = Trade(
        ts=T0 + 211 * MS,
        venue="binance",
        symbol="ETH/USDT",
        venue_ts=T0 + 210 * MS + OFFSET,
        price=1.0,
        quantity=1.0,
        taker=Side.BUY,
        trade_id="1",
    )
    desk.market.on_event(trade, desk.records)
    assert desk.why(211) == ""


def test_the_answer_to_a_later_ping_proves_the_connection() -> None:
    desk = stalled()
    early = LinkCurrent(ts=T0 + 205 * MS, venue="binance", channel="market", asked_ts=T0 + 199 * MS)
    desk.market.on_event(early, desk.records)
    assert desk.why(205) == "LINK_NOT_CURRENT"
    other = LinkCurrent(ts=T0 + 205 * MS, venue="binance", channel="orders", asked_ts=T0 + 201 * MS)
    desk.market.on_event(other, desk.records)
    assert desk.why(205) == "LINK_NOT_CURRENT"
    proof = LinkCurrent(ts=T0 + 206 * MS, venue="binance", channel="market", asked_ts=T0 + 200 * MS)
    desk.market.on_event(proof, desk.records)
    assert desk.why(206) == ""


def test_a_lost_link_is_not_tradable() -> None:
    desk = Desk().ready()
    desk.market.on_event(LinkDown(ts=T0, venue="binance", channel="market", reason="gone"), desk.records)
    assert desk.why(0) == "LINK_NOT_CURRENT"
    proof = LinkCurrent(ts=T0 + 6 * MS, venue="binance", channel="market", asked_ts=T0 + MS)
    desk.market.on_event(proof, desk.records)
    assert desk.why(0) == "LINK_NOT_CURRENT"  # current is not up


# ---- quotes and the depth book ---------------------------------------------------------------------------------------


def test_a_newer_quote_is_the_top_until_the_depth_book_is_as_new() -> None:
    desk = Desk().ready()
    assert desk.quote(10, 11, (100.5, 0.5), (101.5, 0.7)) is desk.symbol
    top = desk.symbol
    assert (top.bid, top.bid_quantity, top.ask, top.ask_quantity) == (100.5, 0.5, 101.5, 0.7)
    assert (top.update_id, top.stamp_ns) == (11, T0 + 10 * MS)
    assert desk.quote(11, 9, (90.0, 1.0), (91.0, 1.0)) is None  # older than the book
    desk.delta(12, 11, [(100.5, 0.5)], [(101.0, 0.0), (101.5, 0.7)])
    assert desk.market.quote_checks == (1, 1)
    assert (top.bid, top.ask, top.stamp_ns) == (100.5, 101.5, T0 + 10 * MS)
    desk.quote(13, 11, (100.5, 0.5), (101.5, 0.8))  # same id, arrives after, another size: a mismatch
    assert desk.market.quote_checks == (2, 1)


def test_a_depth_update_older_than_the_quote_does_not_move_the_top() -> None:
    desk = Desk().ready()
    desk.quote(10, 15, (100.5, 0.5), (101.5, 0.7))
    desk.delta(11, 12, [(98.0, 1.0)])
    assert (desk.symbol.bid, desk.symbol.update_id) == (100.5, 15)
    desk.delta(12, 16, [(100.25, 1.0)])
    assert (desk.symbol.bid, desk.symbol.update_id) == (100.25, 16)
    assert desk.market.quote_checks == (0, 0)  # never at equal ids


def test_a_quote_without_an_id_counts_by_its_stamp() -> None:
    """KuCoin's level1: no sequence, but a time."""
    desk = Desk().ready()
    desk.delta(10, 11, [(100.0, 4.0)], stamp_ms=8)
    assert desk.quote(11, 0, (99.5, 1.0), (100.5, 1.0), stamp_ms=7) is None
    assert desk.quote(12, 0, (100.1, 1.0), (100.6, 1.0), stamp_ms=10) is desk.symbol
    assert (desk.symbol.bid, desk.symbol.ask, desk.symbol.update_id) == (100.1, 100.6, 0)
    desk.delta(13, 12, [(99.0, 5.0)], stamp_ms=9)
    assert desk.symbol.bid == 100.1
    desk.delta(14, 13, [(100.2, 5.0)], stamp_ms=10)
    assert (desk.symbol.bid, desk.symbol.update_id) == (100.2, 13)


def test_of_two_quotes_of_one_millisecond_the_later_counts() -> None:
    """One stream comes in order; against the depth book an equal stamp proves nothing."""
    desk = Desk().ready()
    desk.delta(10, 11, [(100.0, 4.0)], stamp_ms=8)
    assert desk.quote(11, 0, (99.5, 1.0), (100.5, 1.0), stamp_ms=8) is None
    desk.quote(12, 0, (100.1, 1.0), (100.6, 1.0), stamp_ms=10)
    assert desk.quote(12, 0, (100.2, 1.0), (100.6, 1.0), stamp_ms=10) is desk.symbol
    assert desk.symbol.bid == 100.2
    assert desk.quote(12, 0, (100.3, 1.0), (100.6, 1.0), stamp_ms=9) is None


def test_a_depth_stream_that_stays_behind_its_quotes_is_stale() -> None:
    desk = Desk().ready()
    for n in range(20):  # quotes flow, depth is silent
        desk.quote(100 * n, 11 + n, (100.5, 0.5), (101.5, 0.7))
        desk.tick(100 * n)
    assert desk.changes() == ["stale"]
    assert desk.symbol.reason == "depth is behind its quotes"
    assert desk.why(1_900) == "BOOK_STALE"
    desk.delta(1_950, 30, [(100.5, 0.5)], [(101.0, 0.0), (101.5, 0.7)])
    assert desk.changes() == ["synced"]


def test_a_quiet_depth_stream_that_agrees_with_its_quotes_is_fine() -> None:
    desk = Desk().ready()
    for n in range(40):
        desk.quote(100 * n, 11 + n, (100.0, 1.0), (101.0, 1.0))
        desk.tick(100 * n)
    assert desk.changes() == []
    assert desk.why(3_900) == ""


def test_an_old_quote_does_not_outlive_a_new_numbering() -> None:
    desk = Desk().ready()
    desk.quote(1, 10_000_000, (100.5, 1.0), (101.5, 1.0))
    invalid = BookInvalid(ts=T0 + 2 * MS, venue="binance", symbol="BTC/USDT", trust=Trust.GAP, reason="anew")
    desk.market.on_event(invalid, desk.records)
    desk.snapshot(3, 5, [(90.0, 1.0)], [(91.0, 1.0)])
    assert (desk.symbol.bid, desk.symbol.update_id) == (90.0, 5)


# ---- crossed ---------------------------------------------------------------------------------------------------------


def test_a_crossed_book_is_untradable_at_once_and_untrusted_after_a_while() -> None:
    desk = Desk().ready()
    desk.delta(100, 11, [(101.0, 1.0)])
    assert desk.why(100) == "BOOK_CROSSED"
    assert desk.symbol.trust is Trust.SYNCED
    assert desk.market.next_deadline() == T0 + 300 * MS + 1
    desk.tick(300)
    assert desk.changes() == []
    desk.tick(310)
    assert desk.changes() == ["crossed"]
    desk.delta(320, 12, [(101.0, 0.0)])  # uncrossed by luck: a lost delete may still be in there
    desk.tick(330)
    assert desk.why(330) == "BOOK_CROSSED"
    desk.snapshot(340, 13, [(100.0, 1.0)], [(101.0, 1.0)])
    assert desk.changes() == ["synced"]
    desk.tick(600)
    assert desk.changes() == []


def test_a_short_crossing_is_forgiven() -> None:
    desk = Desk().ready()
    desk.delta(100, 11, [(101.0, 1.0)])
    desk.delta(200, 12, [(101.0, 0.0)])
    desk.tick(400)
    assert desk.changes() == []
    assert desk.why(400) == ""


# ---- visible depth ---------------------------------------------------------------------------------------------------


def test_visible_walks_the_book() -> None:
    """Asks 101 x 1, 102 x 2; bids 100 x 1, 99 x 2."""
    visible = Desk().ready().symbol.visible
    assert visible(Side.BUY, 101.5, 10.0) == (1.0, 101.0)
    assert visible(Side.BUY, 102.0, 10.0) == (3.0, 101.0 + 204.0)
    assert visible(Side.BUY, 102.0, 1.5) == (1.5, 101.0 + 51.0)
    assert visible(Side.BUY, 100.9, 1.5) == (0.0, 0.0)
    assert visible(Side.SELL, 99.0, 10.0) == (3.0, 100.0 + 198.0)
    assert visible(Side.SELL, 99.5, 0.25) == (0.25, 25.0)


def test_visible_takes_the_newer_quote_and_what_lies_strictly_behind_it() -> None:
    desk = Desk().ready()
    desk.quote(1, 11, (99.5, 0.5), (102.0, 0.25))  # the ask at 101 is gone, and most of 102
    assert desk.symbol.visible(Side.BUY, 103.0, 10.0) == (0.25, 25.5)
    assert desk.symbol.visible(Side.SELL, 99.0, 10.0) == (2.5, 0.5 * 99.5 + 198.0)
    assert desk.symbol.visible(Side.BUY, 101.5, 10.0) == (0.0, 0.0)
    assert desk.symbol.visible(Side.SELL, 99.0, 0.5) == (0.5, 49.75)


@given(
    quote=st.none() | st.tuples(*[st.integers(95, 106).map(float)] * 2, *[st.sampled_from([0.0, 0.5, 2.0])] * 2),
    taker=st.sampled_from(Side),
)
def test_the_size_at_a_price_is_that_of_the_walk(quote: tuple[float, float, float, float] | None, taker: Side) -> None:
    desk = Desk().ready()
    if quote is not None:
        desk.quote(1, 11, (quote[0], quote[2]), (quote[1], quote[3]))
    walk = dict(desk.symbol.levels(taker))
    for price in range(90, 111):
        assert desk.symbol.quantity_at(taker, float(price)) == walk.get(float(price), 0.0)


# ---- ticks only matter at deadlines ----------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, str, float]]:
    kinds = st.sampled_from(["delta", "quote", "cross", "old"])
    steps = st.tuples(st.integers(1, 900), kinds, st.sampled_from([0.0, 1.0]))
    found, ms = [], 0
    for gap, what, quantity in draw(st.lists(steps, max_size=15)):
        ms += gap
        found.append((ms, what, quantity))
    return found


def play(history: list[tuple[int, str, float]], every_tick: bool) -> tuple[list[Record], list[str]]:
    desk = Desk().ready()
    reasons = []
    for n, (ms, what, quantity) in enumerate(history, start=11):
        before = history[n - 12][0] if n > 11 else 0
        for at in range(before // 10 * 10 + 10, ms + 1, 10):
            due = desk.market.next_deadline()
            if every_tick or (due and T0 + at * MS >= due):
                desk.tick(at)
        if what == "delta":
            desk.delta(ms, n, [(100.0, 1.0 + quantity)])
        elif what == "old":
            desk.delta(ms, n, [(99.5, quantity)], stamp_ms=ms - 1_490)
        elif what == "cross":
            desk.delta(ms, n, [(101.0, quantity)])
        else:
            desk.quote(ms, n, (100.0, 1.0 + quantity), (101.0, 1.0))
        reasons.append(desk.why(ms))
    return desk.records, reasons


@given(history=histories())
@settings(max_examples=100, deadline=None)
def test_skipping_ticks_with_nothing_due_changes_nothing(history: list[tuple[int, str, float]]) -> None:
    assert play(history, every_tick=True) == play(history, every_tick=False)
