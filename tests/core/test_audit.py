"""A venue that trades is reconciled from time to time all the same: what no stream ever said is found."""

from __future__ import annotations

from decimal import Decimal

from desk_kit import MS, SYMBOL, Kit, submitted
from tradeserver.core.commands import QueryOpenOrders, QueryOrder, RequestAccount
from tradeserver.core.events import AccountSnapshot, Balance, Ending, LinkDown, LinkUp, OpenOrder, OpenOrdersListed
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.records import Alert, BalanceBooked
from tradeserver.core.types import Side
from tradeserver.core.venues import Phase

D = Decimal
EVERY_S = 30


def desk(every_s: int = EVERY_S) -> Kit:
    kit = Kit(execution=ExecutionPolicy(reconcile_s=every_s))
    kit.begin()
    kit.commands.clear()
    return kit


def run(kit: Kit, seconds: float) -> None:
    for _ in range(int(seconds * 10)):
        kit.tick(100)


def questions(kit: Kit) -> list[tuple[str, str]]:
    return [(type(c).__name__, c.venue) for c in kit.commands if isinstance(c, QueryOpenOrders | RequestAccount)]


def snapshot(kit: Kit, venue: str, asked: int, **balances: str) -> None:
    held = {asset: Balance(D(total), D(0)) for asset, total in balances.items()}
    kit.feed(AccountSnapshot(ts=kit.ts, venue=venue, balances=held, asked_ts=asked))


def phase(kit: Kit, venue: str = "kucoin") -> Phase:
    return kit.engine.readiness.venues[venue].phase


def test_each_venue_is_asked_for_orders_and_account_once_an_interval() -> None:
    kit = desk()
    run(kit, EVERY_S - 1)
    assert questions(kit) == []
    run(kit, 2)
    both = ("QueryOpenOrders", "RequestAccount")
    assert questions(kit) == [(what, venue) for venue in ("binance", "kucoin") for what in both]
    assert phase(kit) is Phase.READY, "trading goes on meanwhile"
    run(kit, EVERY_S)
    assert len(questions(kit)) == 8


def test_it_can_be_switched_off() -> None:
    kit = desk(0)
    run(kit, 60)
    assert questions(kit) == []


def test_a_balance_that_no_stream_told_is_found_counted_and_booked_as_external() -> None:
    kit = desk()
    run(kit, EVERY_S + 1)
    snapshot(kit, "kucoin", kit.ts, BTC="1", USDT="49000")
    run(kit, 4)  # a difference must last
    assert phase(kit) is Phase.COUNTING
    assert kit.engine.readiness.why_not("kucoin"), "nothing is opened there meanwhile"
    snapshot(kit, "kucoin", kit.ts, BTC="1", USDT="49000")
    (booked,) = [r for r in kit.of(BalanceBooked) if r.reason == "external"]
    assert (booked.venue, booked.asset, booked.total, booked.previous) == ("kucoin", "USDT", D(49_000), D(50_000))
    assert phase(kit) is Phase.READY


def test_a_snapshot_that_a_fill_overtook_says_nothing_and_is_asked_for_again_soon() -> None:
    kit = desk()
    kit.quiet()
    buy, sell = kit.edge()
    asked = kit.ts
    for order in (buy, sell):
        kit.fill(order)
        kit.close(order)
    snapshot(kit, "binance", asked, BTC="7", USDT="7")
    assert kit.engine.desk.ledger.reported["binance", "BTC"].free == D(1), "the last figure that was worth something"
    assert kit.engine.readiness.venues["binance"].audit == kit.ts + 5_000 * MS


def test_an_order_whose_end_was_never_heard_is_asked_for() -> None:
    kit = desk()
    kit.quiet()
    buy, _ = kit.edge()
    kit.accept(buy)
    for order in kit.engine.desk.orders.live.values():
        order.next_query = 0
    kit.later(1_500)
    kit.commands.clear()
    kit.feed(OpenOrdersListed(ts=kit.ts, venue="binance", orders=(), asked_ts=kit.ts))
    kit.tick()
    assert buy.client_id in [c.client_id for c in kit.commands if isinstance(c, QueryOrder)]


def test_an_order_younger_than_the_list_is_not() -> None:
    kit = desk()
    kit.quiet()
    buy, _ = kit.edge()
    kit.accept(buy)
    kit.engine.desk.orders.by_id[buy.client_id].next_query = 0
    kit.later(500)
    kit.commands.clear()
    kit.feed(OpenOrdersListed(ts=kit.ts, venue="binance", orders=(), asked_ts=kit.ts))
    kit.tick()
    assert [c for c in kit.commands if isinstance(c, QueryOrder)] == []


def test_a_strangers_order_is_reported_once() -> None:
    kit = desk()
    foreign = OpenOrder(SYMBOL, "by-hand", "77", Side.BUY, D(50_000), D(1), D(0), None)
    for _ in range(3):
        run(kit, EVERY_S)
        kit.feed(OpenOrdersListed(ts=kit.ts, venue="kucoin", orders=(foreign,), asked_ts=kit.ts))
    assert [a.code for a in kit.of(Alert)].count("FOREIGN_ORDER") == 1
    assert submitted(kit.commands) == []


def test_a_gap_of_the_user_stream_closes_the_venue_until_it_is_reconciled_again() -> None:
    kit = desk()
    kit.quiet()
    buy, sell = kit.edge()
    for order in (buy, sell):
        kit.accept(order)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="user", reason="cut"))
    assert kit.engine.readiness.why_not("kucoin") == "user link is down"
    kit.commands.clear()
    kit.feed(LinkUp(ts=kit.ts, venue="kucoin", channel="user"))
    kit.tick()
    assert ("QueryOpenOrders", "kucoin") in questions(kit)
    assert sell.client_id in [c.client_id for c in kit.commands if isinstance(c, QueryOrder)]
    kit.feed(OpenOrdersListed(ts=kit.ts, venue="kucoin", orders=(), asked_ts=kit.ts))
    assert phase(kit) is Phase.RESOLVING, "an order of ours is still unresolved"
    kit.close(sell, Ending.EXPIRED, D(0))
    assert phase(kit) is Phase.COUNTING
    snapshot(kit, "kucoin", kit.ts, BTC="1", USDT="50000")
    assert phase(kit) is Phase.READY
