"""What the fault matrix found in the core, each as the smallest conversation that shows it."""

from __future__ import annotations

import pytest

from desk_kit import MS, START, SYMBOL, D, Kit, submitted
from tradeserver.core.commands import QueryOrder
from tradeserver.core.events import (
    BestQuote,
    BookDelta,
    BookSnapshot,
    ClockOffset,
    OrderRejected,
    OrderStatus,
    OrderUncertain,
    QueryFailed,
    RunBegan,
    Trust,
)
from tradeserver.core.ids import ClientIds
from tradeserver.core.market import SymbolMarket
from tradeserver.core.records import Alert, BalanceBooked, OrderSubmitted
from tradeserver.core.types import Side


def running(**changes: object) -> Kit:
    kit = Kit(**changes)  # type: ignore[arg-type]
    kit.begin()
    kit.quiet()
    return kit


def reject(kit: Kit, order, code: str = "-2010", text: str = "no"):
    kit.later(1)
    event = OrderRejected(ts=kit.ts, venue=order.venue, client_id=order.client_id, code=code, text=text)
    return kit.feed(event)[1]


# ---- hedges ----------------------------------------------------------------------------------------------------------


def test_a_venue_that_refused_a_hedge_is_asked_last() -> None:
    """KuCoin goes on refusing: the first rung that is wide enough for Binance goes there, though KuCoin shows more."""
    kit = running()
    buy, sell = kit.edge()
    kit.fill(buy)
    kit.close(buy)
    (first,) = submitted(reject(kit, sell, "200004"))
    assert first.venue == "kucoin"
    reject(kit, first, "200004")
    (second,) = [order for _ in range(12) for order in submitted(kit.tick(10)[1])]
    assert second.venue == "kucoin"  # 25 bps: Binance, 40 below, offers nothing within that
    reject(kit, second, "200004")
    (third,) = [order for _ in range(12) for order in submitted(kit.tick(10)[1])]
    assert (third.venue, third.quantity) == ("binance", D("0.00666"))


def test_where_all_have_refused_the_one_that_refused_less_is_asked() -> None:
    kit = running()
    buy, sell = kit.edge()
    kit.fill(buy)
    kit.close(buy)
    orders = submitted(reject(kit, sell, "200004"))
    for _ in range(200):
        if orders:
            reject(kit, orders.pop())
        orders += submitted(kit.tick(10)[1])
    asked = [c.venue for c in submitted(kit.commands) if not c.opening]
    assert abs(asked.count("kucoin") - asked.count("binance")) <= 1


# ---- market data -----------------------------------------------------------------------------------------------------


def followed(kit: Kit) -> SymbolMarket:
    """Binance's clock is measured: it is not ahead."""
    kit.feed(ClockOffset(ts=kit.ts, venue="binance", offset_ns=0, rtt_ns=MS))
    return kit.engine.market.symbols["binance", SYMBOL]


def move(kit: Kit, late_ms: float = 1) -> None:
    """A depth update that the venue stamped so long ago."""
    market = kit.engine.market.symbols["binance", SYMBOL]
    bid = (60_000.0, 1.0 + kit.ts % 7)
    kit.feed(
        BookDelta(
            ts=kit.ts,
            venue="binance",
            symbol=SYMBOL,
            venue_ts=kit.ts - int(late_ms * MS),
            update_id=market.book.update_id + 1,
            bids=[bid],
            asks=[],
        )
    )


def quote(kit: Kit, ask: float = 60_001.0) -> None:
    """The light stream, which has no stamp."""
    kit.feed(
        BestQuote(
            ts=kit.ts,
            venue="binance",
            symbol=SYMBOL,
            update_id=kit.engine.market.symbols["binance", SYMBOL].book.update_id + 1,
            bid=60_000.0,
            bid_quantity=1.0,
            ask=ask,
            ask_quantity=1.0,
        )
    )


def test_a_quote_without_a_stamp_is_as_late_as_its_connection() -> None:
    """Everything on that connection comes 1.2 s late; the quote's arrival proves nothing."""
    kit = running()
    market = followed(kit)
    move(kit, late_ms=1_200)
    kit.later(5)
    quote(kit, 60_000.5)
    assert market.ask == 60_000.5
    assert market.age_ns(kit.ts) == 1_200 * MS
    kit.later(100)
    move(kit, late_ms=2)
    quote(kit, 60_000.6)
    assert market.age_ns(kit.ts) == 2 * MS


def test_a_snapshot_by_another_road_says_nothing_about_the_connection() -> None:
    kit = running()
    market = followed(kit)
    move(kit, late_ms=2)
    kit.feed(
        BookSnapshot(
            ts=kit.ts,
            venue="binance",
            symbol=SYMBOL,
            venue_ts=kit.ts - 800 * MS,
            update_id=kit.ts,
            bids=[(60_000.0, 1.0)],
            asks=[(60_001.0, 1.0)],
        )
    )
    quote(kit)
    assert market.age_ns(kit.ts) == 2 * MS


@pytest.mark.parametrize(
    ("every_ms", "stale_after_ms"),
    [
        (20, 600),  # never sooner than this
        (50, 800),  # sixteen times its own pause
        (400, 1_500),  # never later than the operator's bound
    ],
)
def test_a_liquid_symbol_is_stale_sooner(every_ms: int, stale_after_ms: int) -> None:
    kit = running()
    market = followed(kit)
    for _ in range(400):
        kit.later(every_ms)
        move(kit, late_ms=0)
    last = kit.ts
    while not market.untradable(kit.ts):
        kit.tick(10)
    assert market.untradable(kit.ts) == "BOOK_STALE"
    assert market.trust is Trust.STALE
    assert abs((kit.ts - last) / MS - stale_after_ms) <= 40
    move(kit, late_ms=0)
    assert market.untradable(kit.ts) == ""


# ---- what a refusal, a busy venue and a jump of a clock mean ---------------------------------------------------------


def test_a_refusal_for_balance_makes_the_venue_count_anew() -> None:
    """Our own gate had passed the order: what we believe about that account is in doubt."""
    kit = running()
    _, sell = kit.edge()
    kit.balances["kucoin"]["BTC"] = D("0.25")  # somebody has taken it, and nothing told us
    kit.later(1)
    kit.feed(OrderRejected(ts=kit.ts, venue="kucoin", client_id=sell.client_id, code="200004", text="no", short=True))
    assert "counting" in kit.engine.readiness.why_not("kucoin")
    assert kit.engine.readiness.why_not("binance") == ""
    kit.answer()
    (booked,) = [r for r in kit.of(BalanceBooked) if r.reason == "external"]
    assert (booked.venue, booked.asset, booked.total, booked.previous) == ("kucoin", "BTC", D("0.25"), D(1))
    assert [a.code for a in kit.of(Alert)].count("BALANCE_EXTERNAL") == 1
    assert kit.engine.readiness.why_not("kucoin") == ""


def uncertain(kit: Kit, order, code: str = "-1008"):
    kit.later(1)
    event = OrderUncertain(ts=kit.ts, venue=order.venue, client_id=order.client_id, code=code, text="busy")
    return kit.feed(event)


def states(kit: Kit) -> dict[tuple[str, str], str]:
    return {(e.scope, e.reason): e.state.value for e in kit.engine.desk.states.entries()}


def test_a_busy_venue_gets_nothing_new_for_a_while() -> None:
    kit = running()
    buy, _ = kit.edge()
    uncertain(kit, buy)
    assert states(kit) == {("venue:binance", "busy"): "no_new"}
    kit.tick(4_900)
    assert states(kit)
    kit.tick(200)
    assert states(kit) == {}


def test_with_every_venue_busy_only_hedges_leave() -> None:
    kit = running()
    buy, sell = kit.edge()
    uncertain(kit, buy)
    uncertain(kit, sell, "500000")
    assert states(kit)["global", "every venue busy"] == "hedge_only"
    assert [a.code for a in kit.of(Alert)].count("VENUES_BUSY") == 1
    kit.tick(5_100)
    assert states(kit) == {}


def test_a_clock_that_jumps_stops_opening_there() -> None:
    kit = running()
    kit.feed(ClockOffset(ts=kit.ts, venue="kucoin", offset_ns=3 * MS, rtt_ns=MS))
    kit.feed(ClockOffset(ts=kit.ts, venue="kucoin", offset_ns=200 * MS, rtt_ns=MS))
    assert states(kit) == {}
    kit.feed(ClockOffset(ts=kit.ts, venue="kucoin", offset_ns=-51 * MS, rtt_ns=MS))
    assert states(kit) == {("venue:kucoin", "clock jumped"): "no_new"}
    assert [a.code for a in kit.of(Alert)] == ["CLOCK_JUMP"]
    kit.tick(10_100)
    assert states(kit) == {}


# ---- questions in bursts ---------------------------------------------------------------------------------------------


def doubting(count: int) -> Kit:
    """A start with so many orders of the last run in doubt at one venue."""
    kit = Kit()
    for number in range(1, count + 1):
        client_id = ClientIds("T1", "demo", 1_600_000_000).make(number, 0, 0)
        order = OrderSubmitted(
            ts=kit.ts - 60_000 * MS, venue="binance", symbol=SYMBOL, client_id=client_id, arbitrage=number, leg=0,
            attempt=0, side=Side.BUY, quantity=D("0.001"), price=D(60_000), time_in_force="IOC", opening=True,
            reserve_asset="USDT", reserve=D(60),
        )  # fmt: skip
        kit.engine.apply(order)
    kit.feed(RunBegan(ts=kit.ts, instance="t", mode="demo", commit="", config_sha256="", recovered=True))
    return kit


def questions(commands: object) -> list[str]:
    return [c.client_id for c in commands if isinstance(c, QueryOrder)]  # type: ignore[attr-defined]


def test_a_burst_of_doubts_is_no_burst_of_questions() -> None:
    """Twelve at once, into a throttle that nobody has told us of yet, had been a ban."""
    kit = doubting(12)
    each = [questions(kit.tick(10)[1]) for _ in range(40)]
    assert max(map(len, each)) == 3
    assert len({client_id for asked in each for client_id in asked}) == 12


def test_a_venue_that_cannot_answer_is_asked_slower_and_for_one_order_at_a_time() -> None:
    """A proxy that answers 503 may hide a 429."""
    kit = doubting(12)
    asked_at = []
    while kit.ts < START + 4_000 * MS:
        for client_id in questions(kit.tick(10)[1]):
            asked_at.append((kit.ts - START) // MS)
            kit.feed(
                QueryFailed(
                    ts=kit.ts, venue="binance", client_id=client_id, symbol=SYMBOL, query="QueryOrder", reason="503"
                )
            )
    first, rest = asked_at[:3], asked_at[3:]
    assert first[-1] - first[0] <= 20  # sent before the first answer
    assert len(rest) <= 3
    pauses = [b - a for a, b in zip(asked_at[2:], rest, strict=False)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 400


def test_an_answer_ends_the_caution() -> None:
    kit = doubting(12)
    while not (asked := questions(kit.tick(10)[1])):
        pass
    kit.feed(
        QueryFailed(ts=kit.ts, venue="binance", client_id=asked[0], symbol=SYMBOL, query="QueryOrder", reason="503")
    )
    while not (asked := questions(kit.tick(10)[1])):
        pass
    assert len(asked) == 1
    kit.feed(OrderStatus(ts=kit.ts, venue="binance", client_id=asked[0], symbol=SYMBOL, found=False, asked_ts=kit.ts))
    assert max(len(questions(kit.tick(10)[1])) for _ in range(30)) == 3
