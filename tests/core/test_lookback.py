"""Orders that the log has lost: a power cut, or a log that had failed. The venues know them; so must we."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from desk_kit import MS, START, SYMBOL, VENUES, D, Kit, submitted
from tradeserver.core.commands import QueryFills, QueryOrder, QueryOrders
from tradeserver.core.events import Ending, FillsListed, LinkDown, OpenOrder, OrderFilled, OrdersListed, RunBegan
from tradeserver.core.ids import parse
from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageOpened,
    OrderSubmitted,
    Outcome,
    Record,
    RunStopped,
)
from tradeserver.core.types import Side

SECOND = 1_000 * MS
LEG = D("0.00666")


def again(records: Sequence[Record], later_s: float = 2.0) -> Kit:
    """A start of the next run on this log; the venues are there, and nothing that they are asked is answered."""
    kit = Kit(start_s=START // SECOND + int(later_s))
    for record in records:
        kit.engine.apply(record)
    kit.ts += int(later_s * SECOND)
    kit.feed(RunBegan(ts=kit.ts, instance="t", mode="demo", commit="", config_sha256="", recovered=True))
    for venue in VENUES:
        kit.connect(venue, answer=False)
    kit.quiet()
    kit.tick()
    return kit


def listing(kit: Kit, venue: str, *orders: OpenOrder) -> None:
    kit.later(1)
    kit.feed(OrdersListed(ts=kit.ts, venue=venue, symbol=SYMBOL, orders=orders, asked_ts=kit.ts - MS))


def order(client_id: str, side: Side, quantity: Decimal = LEG, executed: Decimal = LEG) -> OpenOrder:
    ending = Ending.FILLED if executed == quantity else Ending.EXPIRED
    price = D(60_010)
    return OpenOrder(SYMBOL, client_id, "v" + client_id, side, price, quantity, executed, ending)


def fills(kit: Kit, venue: str, client_id: str, side: Side, quantity: Decimal = LEG) -> None:
    """The answer to the question for its fills, which comes 0.2 s later."""
    for _ in range(30):
        asked = [c for c in kit.tick(10)[1] if isinstance(c, QueryFills) and c.client_id == client_id]
        if asked:
            break
    fill = OrderFilled(
        ts=kit.ts,
        venue=venue,
        client_id=client_id,
        symbol=SYMBOL,
        side=side,
        trade_id="1" + client_id,
        venue_order_id="v" + client_id,
        price=D(60_010),
        quantity=quantity,
        commission=D(0),
        commission_asset="USDT",
    )
    kit.feed(FillsListed(ts=kit.ts, venue=venue, client_id=client_id, symbol=SYMBOL, asked_ts=kit.ts, fills=(fill,)))


def first_run() -> tuple[Kit, list[Record], str, str]:
    """(kit, the log up to the decision, the two legs' client ids)."""
    kit = Kit()
    kit.begin()
    kit.quiet()
    before = len(kit.records)
    buy, sell = kit.edge()
    cut = next(n for n, r in enumerate(kit.records) if n >= before and isinstance(r, ArbitrageOpened))
    return kit, kit.records[:cut], buy.client_id, sell.client_id


def asked(kit: Kit) -> list[str]:
    return [c.venue for c in kit.commands if isinstance(c, QueryOrders)]


def test_every_venue_is_asked_since_the_logs_last_stamp() -> None:
    _, log, _, _ = first_run()
    later = again(log)
    questions = [c for c in later.commands if isinstance(c, QueryOrders)]
    assert [(q.venue, q.symbol) for q in questions] == [(venue, SYMBOL) for venue in VENUES]
    assert {q.since for q in questions} == {log[-1].ts - 2 * SECOND}


def test_both_legs_lost_and_found_are_an_arbitrage_that_needs_nothing() -> None:
    _, log, buy, sell = first_run()
    kit = again(log)
    listing(kit, "binance", order(buy, Side.BUY))
    listing(kit, "kucoin", order(sell, Side.SELL))
    fills(kit, "binance", buy, Side.BUY)
    fills(kit, "kucoin", sell, Side.SELL)
    assert submitted(kit.commands) == []
    (opened,) = kit.of(ArbitrageOpened)
    assert (opened.strategy, opened.arbitrage) == ("recovered", 1)
    assert [r.client_id for r in kit.of(OrderSubmitted)] == [buy, sell]
    (closed,) = kit.of(ArbitrageClosed)
    assert closed.residual_base == 0
    assert [a.code for a in kit.of(Alert)].count("ORDER_ADOPTED") == 2


def test_one_leg_alone_is_hedged_once_every_venue_has_answered() -> None:
    _, log, buy, _ = first_run()
    kit = again(log)
    listing(kit, "binance", order(buy, Side.BUY))
    fills(kit, "binance", buy, Side.BUY)
    for _ in range(50):
        kit.tick(10)
    assert submitted(kit.commands) == []  # the other venue may hold the other leg
    listing(kit, "kucoin")
    kit.tick(100)
    (hedge,) = submitted(kit.commands)
    assert (hedge.side, hedge.quantity, hedge.arbitrage, hedge.opening) == (Side.SELL, LEG, 1, False)


def test_a_hedge_that_was_never_logged_is_not_sent_again() -> None:
    """The log ends with the opening; at the venues leg A has filled, leg B was refused, and a hedge has filled."""
    kit, _, buy, sell = first_run()
    whole = kit.records
    hedge = sell[:-2] + "01"
    kit = again(whole)
    listing(kit, "binance", order(buy, Side.BUY), order(hedge, Side.SELL))
    listing(kit, "kucoin")
    fills(kit, "binance", hedge, Side.SELL)
    for _ in range(20):
        kit.tick(50)
    fill = kit.engine.desk.orders.by_id
    assert fill[hedge].filled == LEG
    assert submitted(kit.commands) == []
    assert kit.engine.desk.arbitrages[1].attempts[1] == 2  # the next one would be another attempt


def test_an_orderly_end_leaves_nothing_to_look_for() -> None:
    _, log, _, _ = first_run()
    kit = again([*log, RunStopped(ts=log[-1].ts, reason="asked")])
    assert asked(kit) == []


def test_strangers_orders_are_not_adopted() -> None:
    _, log, _, _ = first_run()
    kit = again(log)
    listing(kit, "binance", order("by-hand-1", Side.BUY), order("XXL00000000000101", Side.SELL))
    listing(kit, "kucoin")
    assert kit.of(OrderSubmitted) == []


def test_an_unanswered_question_is_asked_again_and_holds_the_venue_back_but_not_the_hedges() -> None:
    _, log, buy, _ = first_run()
    kit = again(log)
    listing(kit, "binance", order(buy, Side.BUY))
    fills(kit, "binance", buy, Side.BUY)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="user", reason="gone"))
    assert "down" in kit.engine.readiness.why_not("kucoin")
    for _ in range(95):
        kit.tick(100)
        kit.book("binance", 60_000.0, 60_001.0)
    assert submitted(kit.commands) == []
    for _ in range(10):
        kit.tick(100)
        kit.book("binance", 60_000.0, 60_001.0)
    assert [h.venue for h in submitted(kit.commands)] == ["binance"]  # ten seconds are enough


def test_a_second_look_finds_what_came_late() -> None:
    _, log, buy, _ = first_run()
    kit = again(log)
    for venue in VENUES:
        listing(kit, venue)
    before = len(asked(kit))
    while kit.ts < log[-1].ts + 18 * SECOND and len(asked(kit)) == before:
        kit.tick(100)
    assert asked(kit)[before:] == list(VENUES)
    listing(kit, "binance", order(buy, Side.BUY))
    fills(kit, "binance", buy, Side.BUY)
    kit.quiet()
    kit.tick(200)
    assert [h.side for h in submitted(kit.commands)] == [Side.SELL]
    assert Outcome.NOTHING not in [r.outcome for r in kit.of(ArbitrageClosed)]


def test_an_adopted_order_that_was_open_is_asked_for_until_its_end_is_known() -> None:
    """KuCoin lists the open ones before the finished ones: what ended between them told the stream, not us."""
    _, log, buy, _ = first_run()
    kit = again(log)
    resting = OpenOrder(SYMBOL, buy, "v" + buy, Side.BUY, D(60_010), LEG, D(0), None)
    listing(kit, "binance", resting)
    kit.commands.clear()
    for _ in range(20):
        kit.tick(100)
    assert [c.client_id for c in kit.commands if isinstance(c, QueryOrder)].count(buy) >= 2


def test_what_this_run_has_sent_and_forgotten_is_not_lost() -> None:
    """The second look comes when a busy run has closed and forgotten more than a hundred arbitrages of its own."""
    _, log, _, _ = first_run()
    kit = again(log)
    for venue in VENUES:
        listing(kit, venue)
    while len(asked(kit)) < 4:
        kit.tick(100)
    own = kit.engine.desk.ids.make(1_007, 0, 0)
    listing(kit, "binance", order(own, Side.BUY))
    assert [a.code for a in kit.of(Alert)].count("ORDER_ADOPTED") == 0
    assert kit.of(OrderSubmitted) == []


def test_what_the_log_had_and_has_forgotten_is_not_lost() -> None:
    """Its arbitrage's number is below the log's next one, and it is remembered no more."""
    kit, log, _, _ = first_run()
    old = kit.engine.desk.ids.make(1, 0, 0)
    later = kit.engine.checkpoint(log[-1].ts)
    kit = again([msgspec.structs.replace(later, arbitrages=(), orders=(), closed=(), next_arbitrage=200)])
    listing(kit, "binance", order(old, Side.BUY))
    assert kit.of(OrderSubmitted) == []


def test_a_lost_arbitrage_keeps_its_number() -> None:
    """One that shows only at the second look must not meet another arbitrage of the same number."""
    _, log, buy, _ = first_run()
    kit = again(log)
    for venue in VENUES:
        listing(kit, venue)
    kit.answer()
    opened = {c.arbitrage for c in kit.edge()}
    assert opened
    assert parse(buy).arbitrage not in opened  # type: ignore[union-attr]
