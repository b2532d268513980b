"""The engine, event by event: arbitrages that go well, legs that fail, doubts, people, and the states between."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from desk_kit import MS, START, SYMBOL, VENUES, Kit, instrument, submitted
from tradeserver.core.commands import (
    CancelAll,
    Command,
    QueryFills,
    QueryOrder,
    RequestAccount,
    RequestSnapshot,
    SubmitOrder,
)
from tradeserver.core.events import (
    AccountSnapshot,
    Balance,
    BalanceChanged,
    BookInvalid,
    BookSnapshot,
    Ending,
    FeesLoaded,
    FillsListed,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    OpenOrder,
    OpenOrdersListed,
    Operator,
    OrderFilled,
    OrderRejected,
    OrdersSent,
    OrderStatus,
    QueryFailed,
    RateLimited,
    SendRefused,
    Tick,
    Trust,
    WalFailed,
)
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageOpened,
    BalanceBooked,
    CommissionCorrected,
    ExposureHeld,
    FillBooked,
    HedgeDecided,
    OpportunityClosed,
    OrderChanged,
    OrderState,
    OrderSubmitted,
    OrderTimed,
    Outcome,
    StateChanged,
    TradingState,
)
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged, Fees, Side
from tradeserver.strategies.cross_arb import CrossArbParams

D = Decimal
ASK, BID = D(60_001), D(60_241)
FIRST, SECOND = D("0.00667"), D("0.00666")  # 400 USDT at 60,001 is 0.00666 BTC; / 0.999, up to the lot: 0.00667


def running(**changes: Any) -> Kit:
    kit = Kit(**changes)
    kit.begin()
    kit.quiet()
    return kit


def pair(kit: Kit) -> tuple[SubmitOrder, SubmitOrder]:
    """KuCoin bids 40 bps above Binance's ask: (buy at Binance, sell at KuCoin)."""
    buy, sell = kit.edge()
    assert (buy.venue, buy.side, sell.venue, sell.side) == ("binance", Side.BUY, "kucoin", Side.SELL)
    return buy, sell


def calm(kit: Kit, price: float = 60_000.0) -> list[Command]:
    """Both books without an edge; what that made the engine do."""
    seen = len(kit.commands)
    kit.book("kucoin", price, price + 1)
    kit.book("binance", price, price + 1)
    return kit.commands[seen:]


def reject(kit: Kit, order: SubmitOrder, code: str = "-2010") -> list[Command]:
    kit.later(1)
    _, commands = kit.feed(OrderRejected(ts=kit.ts, venue=order.venue, client_id=order.client_id, code=code, text="no"))
    return commands


def status(kit: Kit, order: SubmitOrder, asked_ts: int | None = None, **changes: Any) -> list[Command]:
    fields: dict[str, Any] = {"found": True, "venue_order_id": "v" + order.client_id}
    event = OrderStatus(
        ts=kit.ts,
        venue=order.venue,
        client_id=order.client_id,
        symbol=SYMBOL,
        asked_ts=kit.ts if asked_ts is None else asked_ts,
        **(fields | changes),
    )
    return kit.feed(event)[1]


def listed(kit: Kit, order: SubmitOrder, *fills: OrderFilled, asked_ts: int | None = None) -> list[Command]:
    return kit.feed(
        FillsListed(
            ts=kit.ts,
            venue=order.venue,
            client_id=order.client_id,
            symbol=SYMBOL,
            asked_ts=kit.ts if asked_ts is None else asked_ts,
            fills=fills,
        )
    )[1]


def state_of(kit: Kit, order: SubmitOrder) -> OrderState:
    return kit.engine.desk.orders.by_id[order.client_id].state


def closed(kit: Kit) -> ArbitrageClosed:
    """The one arbitrage that closed; its bridge sums exactly."""
    (record,) = kit.of(ArbitrageClosed)
    assert isinstance(record, ArbitrageClosed)
    assert record.expected_edge + sum(record.bridge.values()) == record.realised_edge
    return record


def alerts(kit: Kit) -> list[str]:
    return [alert.code for alert in kit.of(Alert)]


def totals(kit: Kit) -> dict[tuple[str, str], Decimal]:
    return kit.engine.desk.ledger.totals


def quiet_end(kit: Kit) -> None:
    """Nothing is left behind."""
    desk = kit.engine.desk
    assert desk.ledger.reserved == {}
    assert not desk.orders.live
    assert not desk.arbitrages


# ---- perfect arbitrages ---------------------------------------------------------------------------------------------


def test_buy_at_binance_sell_at_kucoin() -> None:
    kit = running()
    buy, sell = pair(kit)
    assert (buy.quantity, sell.quantity) == (FIRST, SECOND)
    for order, price in ((buy, ASK), (sell, BID)):
        kit.accept(order)
        kit.fill(order, price=price)
        kit.close(order)
    assert totals(kit) == {
        ("binance", "BTC"): D("1.00666333"),  # + 0.00667 less a thousandth of it
        ("binance", "USDT"): D("49599.79333"),  # - 0.00667 * 60001
        ("kucoin", "BTC"): D("0.99334"),
        ("kucoin", "USDT"): D("50400.80385494"),  # + 0.00666 * 60241 = 401.20506, less a thousandth
    }
    record = closed(kit)
    assert record.outcome is Outcome.COMPLETED
    assert (record.hedges, record.one_sided) == (0, False)
    assert record.residual_base == D("0.00000333")
    mark = D("60000.5")
    assert record.realised_edge == D("-400.20667") + D("401.20506") - D("0.40120506") + D("0.00000333") * mark
    assert record.bridge["slippage_leg_0"] == record.bridge["slippage_leg_1"] == record.bridge["unfilled"] == 0
    assert record.expected_edge == record.realised_edge + D("0.00000333") * (ASK - mark)
    assert kit.engine.desk.dust == {"BTC": D("0.00000333")}
    quiet_end(kit)


def test_buy_at_kucoin_sell_at_binance() -> None:
    kit = running()
    kit.book("kucoin", 60_000.0, 60_001.0)
    _, commands = kit.book("binance", 60_241.0, 60_242.0)
    buy, sell = submitted(commands)
    assert (buy.venue, sell.venue, buy.quantity, sell.quantity) == ("kucoin", "binance", SECOND, SECOND)
    for order, price in ((sell, BID), (buy, ASK)):
        kit.accept(order)
        kit.fill(order, price=price)
        kit.close(order)
    assert totals(kit) == {
        ("kucoin", "BTC"): D("1.00666"),
        ("kucoin", "USDT"): D(50_000) - D("399.60666") - D("0.39960666"),
        ("binance", "BTC"): D("0.99334"),
        ("binance", "USDT"): D(50_000) + D("401.20506") - D("0.40120506"),
    }
    record = closed(kit)
    assert record.outcome is Outcome.COMPLETED
    assert record.hedges == 0
    assert record.residual_base == 0
    assert record.expected_edge == record.realised_edge == D("0.79758828")
    assert kit.engine.desk.dust == {}
    quiet_end(kit)


def test_both_legs_leave_in_one_step_after_their_records() -> None:
    kit = running()
    kit.book("binance", 60_000.0, 60_001.0)
    records, commands = kit.book("kucoin", 60_241.0, 60_242.0)
    kinds = [type(r) for r in records if type(r) in (ArbitrageOpened, OrderSubmitted)]
    assert kinds == [ArbitrageOpened, OrderSubmitted, OrderSubmitted]
    assert [c.client_id for c in submitted(commands)] == [r.client_id for r in records[-2:]]  # type: ignore[attr-defined]
    (opened,) = kit.of(ArbitrageOpened)
    assert [leg.client_id for leg in opened.legs] == [c.client_id for c in submitted(commands)]
    assert kit.engine.desk.ledger.reserved == {
        ("binance", "USDT"): FIRST * submitted(commands)[0].price,
        ("kucoin", "BTC"): SECOND,
    }


def test_a_better_price_than_the_plan_is_slippage_in_our_favour() -> None:
    kit = running()
    buy, sell = pair(kit)
    for order, price in ((buy, ASK - 10), (sell, BID + 5)):
        kit.fill(order, price=price)
        kit.close(order)
    record = closed(kit)
    assert record.bridge["slippage_leg_0"] == FIRST * 10
    assert record.bridge["slippage_leg_1"] == SECOND * 5


def test_carried_dust_is_netted_and_no_hedge_undoes_it() -> None:
    """0.0002 BTC (12 USDT) of dust: the next sell is larger by that, and its arbitrage ends without a hedge."""
    kit = running()
    kit.engine.desk.dust["BTC"] = D("0.0002")
    buy, sell = pair(kit)
    assert (buy.quantity, sell.quantity) == (FIRST, SECOND + D("0.0002"))
    assert kit.engine.desk.dust == {}  # it is the arbitrage's now, nobody else nets it
    for order in (sell, buy):
        kit.fill(order)
        kit.close(order)
    record = closed(kit)
    assert (record.outcome, record.hedges) == (Outcome.COMPLETED, 0)
    assert record.residual_base == D("0.00000333") - D("0.0002")
    assert kit.engine.desk.dust == {"BTC": D("0.00000333")}


def test_dust_returns_when_nothing_filled() -> None:
    kit = running()
    kit.engine.desk.dust["BTC"] = D("-0.0002")
    buy, sell = pair(kit)
    reject(kit, buy)
    reject(kit, sell)
    assert closed(kit).outcome is Outcome.NOTHING
    assert kit.engine.desk.dust == {"BTC": D("-0.0002")}


# ---- one-sided ------------------------------------------------------------------------------------------------------


def test_a_rejected_second_leg_is_hedged_on_the_cheapest_venue() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy, price=ASK)
    kit.close(buy)
    calm(kit, 60_230.0)  # both venues bid alike: KuCoin's and Binance's fees are the same too
    kit.book("kucoin", 60_235.0, 60_236.0)  # and then KuCoin a little more
    (hedge,) = submitted(reject(kit, sell))
    assert (hedge.venue, hedge.side, hedge.opening, hedge.leg, hedge.attempt) == ("kucoin", Side.SELL, False, 1, 1)
    assert hedge.quantity == D("0.00666333")  # KuCoin's lot is fine enough for all of it
    assert hedge.price >= BID * D("0.999") - D("0.1")  # ten bps below the plan's price
    kit.fill(hedge, price=D(60_235))
    kit.close(hedge)
    record = closed(kit)
    assert (record.outcome, record.one_sided, record.hedges) == (Outcome.HEDGED, True, 1)
    assert record.residual_base == 0
    assert record.bridge["hedges"] == D("0.00666333") * D(60_235)
    assert record.bridge["unfilled"] == -SECOND * BID
    (decided,) = kit.of(HedgeDecided)
    assert (decided.rung, decided.venue) == (1, "kucoin")
    quiet_end(kit)


def test_the_cheapest_counts_fees() -> None:
    """Binance bids 3 more, but takes 10 bps (60 USDT) more commission."""
    kit = Kit()
    kit.fees["kucoin"] = Fees(D(0), D(0), Charged.QUOTE)
    kit.begin()
    kit.quiet()
    buy, sell = pair(kit)
    kit.fill(buy, price=ASK)
    kit.close(buy)
    kit.book("kucoin", 60_235.0, 60_236.0)
    kit.book("binance", 60_238.0, 60_239.0)
    (hedge,) = submitted(reject(kit, sell))
    assert hedge.venue == "kucoin"


def test_the_other_way_round_a_sold_leg_is_bought_back() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(sell, price=BID)
    kit.close(sell)
    calm(kit, 60_003.0)
    (hedge,) = submitted(reject(kit, buy))
    assert (hedge.side, hedge.leg, hedge.attempt) == (Side.BUY, 0, 1)
    kit.fill(hedge)
    kit.close(hedge)
    record = closed(kit)
    assert record.outcome is Outcome.HEDGED
    assert 0 <= record.residual_base < D("0.00001")
    quiet_end(kit)


def test_partial_fill_of_one_and_nothing_of_the_other() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy, D("0.003"), price=ASK)
    kit.fill(buy, D("0.001"), price=ASK)
    assert not submitted(kit.close(buy, Ending.EXPIRED, D("0.004"))[1])  # the sell may still fill
    kit.book("kucoin", 60_235.0, 60_236.0)
    (hedge,) = submitted(kit.close(sell, Ending.EXPIRED, D(0))[1])
    assert hedge.quantity == D("0.003996")
    kit.fill(hedge)
    kit.close(hedge)
    record = closed(kit)
    assert (record.outcome, record.one_sided, record.quantity) == (Outcome.HEDGED, True, D(0))
    quiet_end(kit)


def test_a_filled_leg_larger_than_the_other_can_still_become_is_hedged_at_once() -> None:
    """The sell is over with a third; the buy has filled: the difference is certain."""
    kit = running()
    buy, sell = pair(kit)
    kit.fill(sell, D("0.00222"))
    kit.close(sell, Ending.EXPIRED, D("0.00222"))
    kit.book("kucoin", 60_235.0, 60_236.0)
    before = len(kit.commands)
    kit.fill(buy)  # not yet closed by the venue
    (hedge,) = submitted(kit.commands[before:])
    assert hedge.quantity == D("0.00444333")


def test_nothing_filled_is_nothing() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.close(buy, Ending.EXPIRED, D(0))
    kit.close(sell, Ending.EXPIRED, D(0))
    record = closed(kit)
    assert record.outcome is Outcome.NOTHING
    assert (record.realised_edge, record.residual_base, record.hedges) == (D(0), D(0), 0)
    assert kit.engine.desk.dust == {}
    quiet_end(kit)


def test_a_residue_worth_little_is_dust() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy, D("0.00008"))  # 4.80 USDT
    kit.close(buy, Ending.EXPIRED, D("0.00008"))
    assert not submitted(reject(kit, sell))
    assert closed(kit).hedges == 0
    assert kit.engine.desk.dust == {"BTC": D("0.00007992")}


def test_an_exhausted_ladder_is_held_and_paged() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    calm(kit, 50_000.0)  # 17 % below the plan: beyond every bound
    reject(kit, sell)
    for _ in range(60):
        kit.tick(10)
        if kit.of(ArbitrageClosed):
            break
        kit.book("kucoin", 50_000.0, 50_001.0)
    record = closed(kit)
    assert record.outcome is Outcome.HELD
    assert record.residual_base == D("0.00666333")
    assert [h.rung for h in kit.of(HedgeDecided)] == [1, 2, 3, 4, 5, 6]
    assert not any(h.venue for h in kit.of(HedgeDecided))
    (held,) = kit.of(ExposureHeld)
    assert (held.asset, held.low, held.high) == ("BTC", D("0.00666333"), D("0.00666333"))
    assert "EXPOSURE_HELD" in alerts(kit)
    assert kit.engine.desk.dust == {"BTC": D("0.00666333")}
    kit.book("binance", 60_000.0, 60_001.0)
    kit.later(1000)
    assert not kit.edge()  # 400 USDT of dust: nothing is opened on top of it
    (episode,) = kit.engine.desk.opportunities.open.values()
    assert any("MAX_DUST BTC" in d.reasons for d in episode.decisions)
    quiet_end(kit)


def test_hold_stops_after_the_ladder() -> None:
    kit = running(execution=ExecutionPolicy(on_exhausted="hold"))
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    calm(kit, 50_000.0)
    reject(kit, sell)
    for _ in range(40):
        kit.tick(10)
    assert [h.rung for h in kit.of(HedgeDecided)] == [1, 2, 3]
    assert closed(kit).outcome is Outcome.HELD


def test_the_unwind_takes_a_loss_within_its_hard_cap() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    calm(kit, 59_300.0)  # about 156 bps below the plan's 60,241: beyond the ladder, inside the unwind's 200
    reject(kit, sell)
    for _ in range(40):
        kit.tick(10)
    (hedge,) = [o for o in submitted(kit.commands) if not o.opening]
    assert hedge.price >= BID * D("0.98")
    kit.fill(hedge, price=D(59_300))
    kit.close(hedge)
    assert closed(kit).outcome is Outcome.HEDGED


def test_without_a_tradable_book_it_waits_then_pages_and_hedges_when_one_returns() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    for venue in VENUES:
        kit.feed(BookInvalid(ts=kit.ts, venue=venue, symbol=SYMBOL, trust=Trust.GAP, reason="gap"))
    assert not submitted(reject(kit, sell))
    for _ in range(999):
        kit.tick(10)
    assert "EXPOSURE_HELD" not in alerts(kit)
    for _ in range(12):
        kit.tick(10)
    assert alerts(kit).count("EXPOSURE_HELD") == 1
    assert not kit.of(HedgeDecided)  # a moment without a book is no rung
    kit.book("kucoin", 60_235.0, 60_236.0)
    seen = len(kit.commands)
    for _ in range(11):
        kit.tick(10)
    (hedge,) = submitted(kit.commands[seen:])
    assert hedge.venue == "kucoin"


def test_a_refused_send_of_the_second_leg() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.feed(SendRefused(ts=kit.ts, venue="kucoin", client_id=sell.client_id, reason="orders link down"))
    assert state_of(kit, sell) is OrderState.REFUSED
    kit.book("kucoin", 60_235.0, 60_236.0)
    before = len(kit.commands)
    kit.fill(buy)
    kit.close(buy)
    (hedge,) = submitted(kit.commands[before:])
    assert hedge.quantity == D("0.00666333")


def test_a_hedge_that_fails_is_followed_by_the_next_rung() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    calm(kit, 60_235.0)
    (hedge,) = submitted(reject(kit, sell))
    kit.close(hedge, Ending.EXPIRED, D(0))
    before = len(kit.commands)
    for _ in range(11):
        kit.tick(10)
    (second,) = submitted(kit.commands[before:])
    assert (second.leg, second.attempt) == (1, 2)
    assert second.price < hedge.price
    assert len({o.client_id for o in submitted(kit.commands)}) == 4


# ---- doubts ---------------------------------------------------------------------------------------------------------


def test_no_hedge_while_a_doubt_straddles_zero() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    assert state_of(kit, sell) is OrderState.UNKNOWN
    before = len(kit.commands)
    kit.fill(buy)
    kit.close(buy)
    for _ in range(300):
        kit.tick(10)
    assert not submitted(kit.commands[before:])
    (arbitrage,) = kit.engine.desk.arbitrages.values()
    assert arbitrage.interval() == (D("0.00000333"), D("0.00666333"))


def test_a_lost_link_is_asked_about_at_growing_times_and_the_order_adopted() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.accept(buy)
    kit.fill(buy)
    kit.close(buy)
    lost = kit.ts
    kit.feed(LinkDown(ts=lost, venue="kucoin", channel="orders", reason="reset"))
    asked = []
    for _ in range(1200):
        _, commands = kit.tick(10)
        asked += [
            (kit.ts - lost) / 1e9 for c in commands if isinstance(c, QueryOrder) and c.client_id == sell.client_id
        ]
    assert asked == [0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
    status(kit, sell, ending=Ending.FILLED, executed=SECOND)
    assert state_of(kit, sell) is OrderState.CLOSING  # over, but we lack its fill
    kit.tick(200)
    assert isinstance(kit.commands[-1], QueryFills)
    assert kit.commands[-1].venue_order_id == "v" + sell.client_id
    kit.fill(sell, trade_id="77")
    assert state_of(kit, sell) is OrderState.FILLED
    assert closed(kit).outcome is Outcome.COMPLETED
    assert len(submitted(kit.commands)) == 2  # nothing was sent again


def test_an_overdue_answer_is_a_doubt_and_asked_for_at_once() -> None:
    kit = running()
    buy, _ = pair(kit)
    kit.feed(OrdersSent(ts=kit.ts, client_ids=(buy.client_id,), decided=kit.ts, written=kit.ts, sent=(kit.ts + 5000,)))
    for _ in range(99):
        kit.tick(10)
    assert state_of(kit, buy) is OrderState.SENT
    kit.tick(10)
    _, commands = kit.tick(10)
    assert state_of(kit, buy) is OrderState.UNKNOWN
    assert [c.client_id for c in commands if isinstance(c, QueryOrder)] == [buy.client_id]


def test_absence_is_evidence_only_late_twice_and_with_no_fill() -> None:
    kit = running()
    buy, sell = pair(kit)
    reject(kit, buy)
    sent = kit.ts
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    for _ in range(5):  # too early: the order may still be on its way
        status(kit, sell, found=False, venue_order_id="")
        listed(kit, sell)
    kit.ts = sent + 15_000 * MS
    for _ in range(5):  # late answers to early questions
        status(kit, sell, asked_ts=sent + 14_000 * MS, found=False, venue_order_id="")
        listed(kit, sell, asked_ts=sent + 14_000 * MS)
    status(kit, sell, found=False, venue_order_id="")
    listed(kit, sell)
    assert state_of(kit, sell) is OrderState.UNKNOWN  # one late answer
    for _ in range(5):  # "I could not ask" proves nothing
        for query in ("QueryOrder", "QueryFills"):
            kit.feed(
                QueryFailed(
                    ts=kit.ts, venue="kucoin", client_id=sell.client_id, query=query, symbol=SYMBOL, reason="timeout"
                )
            )
    assert state_of(kit, sell) is OrderState.UNKNOWN
    kit.later(1000)
    status(kit, sell, found=False, venue_order_id="")
    assert state_of(kit, sell) is OrderState.REFUSED
    (change,) = [r for r in kit.of(OrderChanged) if r.code == "ABSENT"]
    assert change.client_id == sell.client_id
    assert closed(kit).outcome is Outcome.NOTHING
    quiet_end(kit)


def test_two_denials_without_a_fills_answer_are_not_enough() -> None:
    kit = running()
    _, sell = pair(kit)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    kit.later(16_000)
    for _ in range(9):
        status(kit, sell, found=False, venue_order_id="")
        kit.later(1000)
    assert state_of(kit, sell) is OrderState.UNKNOWN
    listed(kit, sell)
    assert state_of(kit, sell) is OrderState.REFUSED


def test_a_nameless_fill_in_a_list_is_a_trace_and_waits_for_its_order() -> None:
    """It is not booked as somebody else's: when the order is found, it is its own."""
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    kit.later(16_000)
    nameless = OrderFilled(
        ts=kit.ts,
        venue="kucoin",
        client_id="",
        symbol=SYMBOL,
        side=Side.SELL,
        trade_id="900",
        venue_order_id="67",
        price=BID,
        quantity=SECOND,
        commission=D("0.40120506"),
        commission_asset="USDT",
    )
    booked = len(kit.of(FillBooked))
    for _ in range(3):
        listed(kit, sell, nameless)
        status(kit, sell, found=False, venue_order_id="")
    assert state_of(kit, sell) is OrderState.UNKNOWN
    assert len(kit.of(FillBooked)) == booked
    status(kit, sell, ending=Ending.FILLED, executed=SECOND, venue_order_id="67")
    listed(kit, sell, nameless)
    assert state_of(kit, sell) is OrderState.FILLED
    assert kit.of(FillBooked)[-1].client_id == sell.client_id
    assert "FOREIGN_FILL" not in alerts(kit)
    assert closed(kit).outcome is Outcome.COMPLETED


def test_another_ones_fill_in_a_list_is_no_trace() -> None:
    kit = running()
    buy, sell = pair(kit)
    reject(kit, buy)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    kit.later(16_000)
    by_hand = OrderFilled(
        ts=kit.ts,
        venue="kucoin",
        client_id="web_1",
        symbol=SYMBOL,
        side=Side.SELL,
        trade_id="901",
        venue_order_id="68",
        price=BID,
        quantity=D("0.5"),
        commission=D("30.1205"),
        commission_asset="USDT",
    )
    for _ in range(2):
        status(kit, sell, found=False, venue_order_id="")
        listed(kit, sell, by_hand)
    assert state_of(kit, sell) is OrderState.REFUSED
    assert alerts(kit).count("FOREIGN_FILL") == 1
    assert totals(kit)["kucoin", "BTC"] == D("0.5")
    assert kit.engine.desk.ledger.realised == {}
    assert kit.engine.desk.dust == {}


def test_found_open_is_adopted_and_its_end_awaited() -> None:
    kit = running()
    _, sell = pair(kit)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    commands = status(kit, sell, executed=D("0.002"))
    assert state_of(kit, sell) is OrderState.ACCEPTED
    assert [type(c) for c in commands] == [QueryFills]


def test_an_order_that_nobody_explains_is_paged_once() -> None:
    kit = running()
    pair(kit)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
    kit.feed(LinkDown(ts=kit.ts, venue="binance", channel="orders", reason="reset"))
    for _ in range(6000):
        kit.tick(10)
    assert alerts(kit).count("ORDER_UNRESOLVED") == 2


def test_a_close_that_says_rejected_ends_an_accepted_order() -> None:
    """KuCoin accepts what its engine may refuse later."""
    kit = running()
    buy, sell = pair(kit)
    for order in (buy, sell):
        kit.accept(order)
        kit.close(order, Ending.REJECTED, D(0))
        assert state_of(kit, order) is OrderState.REFUSED
    assert closed(kit).outcome is Outcome.NOTHING
    quiet_end(kit)


def test_an_acceptance_after_a_refusal_is_asked_about_and_opens_its_arbitrage_again() -> None:
    kit = running()
    buy, sell = pair(kit)
    reject(kit, buy)
    reject(kit, sell)
    assert closed(kit).outcome is Outcome.NOTHING
    kit.accept(sell)
    assert state_of(kit, sell) is OrderState.UNKNOWN
    (arbitrage,) = kit.engine.desk.arbitrages.values()
    assert arbitrage.interval() == (-SECOND, D(0))  # counted against the limits
    _, commands = kit.tick(200)
    assert QueryOrder in [type(c) for c in commands]
    kit.close(sell, Ending.EXPIRED, D(0))
    quiet_end(kit)


# ---- fills ----------------------------------------------------------------------------------------------------------


def test_a_fill_is_booked_once_whatever_brings_it() -> None:
    kit = running()
    buy, _ = pair(kit)
    fill = kit.fill(buy, D("0.002"), "1")
    for _ in range(3):
        kit.fill(buy, D("0.002"), "1")
        listed(kit, buy, fill)
    assert len(kit.of(FillBooked)) == 1
    assert totals(kit)["binance", "BTC"] == D("1.001998")


def test_a_late_fill_opens_the_exposure_again_and_is_hedged() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.close(buy, Ending.EXPIRED, D(0))
    kit.close(sell, Ending.EXPIRED, D(0))
    assert closed(kit).outcome is Outcome.NOTHING
    kit.book("binance", 60_000.0, 60_236.0)
    kit.book("kucoin", 60_235.0, 60_236.0)
    before = len(kit.commands)
    kit.fill(buy, D("0.004"))  # after all
    (hedge,) = submitted(kit.commands[before:])
    assert (hedge.side, hedge.quantity, hedge.opening) == (Side.SELL, D("0.003996"), False)
    kit.fill(hedge)
    kit.close(hedge)
    first, second = kit.of(ArbitrageClosed)
    assert (first.outcome, second.outcome) == (Outcome.NOTHING, Outcome.HEDGED)
    assert second.expected_edge + sum(second.bridge.values()) == second.realised_edge
    quiet_end(kit)


def test_a_late_fill_after_completion_takes_its_dust_back_first() -> None:
    kit = running()
    buy, sell = pair(kit)
    for order in (buy, sell):
        kit.fill(order)
        kit.close(order)
    assert kit.engine.desk.dust == {"BTC": D("0.00000333")}
    kit.book("kucoin", 60_000.0, 60_001.0)
    kit.fill(sell, D("0.001"), "late")  # an over-fill, even
    assert "OVERFILL" in alerts(kit)
    assert kit.engine.desk.dust == {}
    (arbitrage,) = kit.engine.desk.arbitrages.values()
    assert arbitrage.interval()[0] == D("0.00000333") - D("0.001")


def test_a_fill_of_ours_that_is_not_remembered_is_exposure_not_foreign() -> None:
    kit = running()
    forgotten = kit.engine.desk.ids.make(900, 0, 0)
    kit.feed(
        OrderFilled(
            ts=kit.ts,
            venue="binance",
            client_id=forgotten,
            symbol=SYMBOL,
            side=Side.BUY,
            trade_id="5",
            venue_order_id="9",
            price=ASK,
            quantity=D("0.001"),
            commission=D("0.000001"),
            commission_asset="BTC",
        )
    )
    assert kit.of(FillBooked)[-1].arbitrage == 900
    assert kit.engine.desk.dust == {"BTC": D("0.000999")}


def test_a_silent_commission_is_computed_then_corrected() -> None:
    kit = running()
    _, sell = pair(kit)
    fill = kit.fill(sell, price=BID)
    assert fill.commission is None
    computed = D("0.40120506")
    assert totals(kit)["kucoin", "USDT"] == D(50_000) + SECOND * BID - computed
    _, commands = kit.close(sell)
    assert [c.client_id for c in commands if isinstance(c, QueryFills)] == [sell.client_id]
    said = OrderFilled(
        **{
            **{n: getattr(fill, n) for n in fill.__struct_fields__},
            "commission": D("0.4012"),
            "commission_asset": "USDT",
        }
    )
    listed(kit, sell, said)
    (corrected,) = kit.of(CommissionCorrected)
    assert corrected.commission == D("0.4012")
    assert totals(kit)["kucoin", "USDT"] == D(50_000) + SECOND * BID - D("0.4012")
    assert kit.engine.desk.ledger.fees == {"USDT": D("0.4012")}
    listed(kit, sell, said)
    assert len(kit.of(CommissionCorrected)) == 1


def test_a_lost_answer_about_commissions_is_asked_again() -> None:
    kit = running()
    _, sell = pair(kit)
    kit.fill(sell)
    kit.close(sell)
    kit.feed(
        QueryFailed(
            ts=kit.ts, venue="kucoin", client_id=sell.client_id, query="QueryFills", symbol=SYMBOL, reason="timeout"
        )
    )
    asked = sum(isinstance(c, QueryFills) for _ in range(100) for c in kit.tick(10)[1])
    assert asked == 2  # 0.3 and 0.8 s later


def test_a_fill_in_another_asset_changes_the_expectation_at_once() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.feed(
        OrderFilled(
            ts=kit.ts,
            venue="binance",
            client_id=buy.client_id,
            symbol=SYMBOL,
            side=Side.BUY,
            trade_id="1",
            venue_order_id="9",
            price=ASK,
            quantity=FIRST,
            commission=D("0.0007"),
            commission_asset="BNB",
        )
    )
    kit.close(buy)
    kit.fill(sell)
    kit.close(sell)
    assert "COMMISSION_ASSET" in alerts(kit)
    calm(kit)
    kit.later(300)
    kit.engine.desk.dust.clear()
    buy, sell = pair(kit)
    assert buy.quantity == sell.quantity  # no gross-up any more


def test_a_discount_that_ends_with_its_asset_is_expected_no_more() -> None:
    """BNB has run out in the middle: 0.1 % of what was bought is kept, where 0.075 % in BNB was expected."""
    kit = running()
    fees = Fees(D("0.00075"), D("0.00075"), Charged.THIRD, "BNB")
    kit.feed(FeesLoaded(ts=kit.ts, venue="binance", fees={SYMBOL: fees}))
    buy, sell = pair(kit)
    assert buy.quantity == sell.quantity, "no commission in base was expected"
    kit.feed(
        OrderFilled(
            ts=kit.ts,
            venue="binance",
            client_id=buy.client_id,
            symbol=SYMBOL,
            side=Side.BUY,
            trade_id="1",
            venue_order_id="9",
            price=ASK,
            quantity=buy.quantity,
            commission=D("0.00000666"),  # a thousandth of 0.00666, cut to the smallest unit
            commission_asset="BTC",
        )
    )
    assert kit.engine.desk.fees["binance", SYMBOL] == Fees(D("0.00075"), D("0.00100"), Charged.RECEIVED, "BNB")
    assert kit.engine.desk.taker_bps["binance", SYMBOL] == 10.0
    kit.close(buy)
    kit.fill(sell)
    kit.close(sell)
    kit.later(300)
    kit.engine.desk.dust.clear()
    buy, sell = pair(kit)
    assert buy.quantity == FIRST, "grossed up by a thousandth"


def test_the_stages_of_an_order_are_told_once_it_is_over() -> None:
    kit = running()
    buy, _ = pair(kit)
    decided = kit.ts
    kit.feed(
        OrdersSent(
            ts=decided, client_ids=(buy.client_id,), decided=decided + 20, written=decided + 50, sent=(decided + 90,)
        )
    )
    kit.accept(buy)
    kit.fill(buy)
    kit.close(buy)
    (timed,) = kit.of(OrderTimed)
    assert timed.stages_ns == {
        "venue_to_frame": 0,
        "frame_to_decided": 20,
        "decided_to_wal": 30,
        "wal_to_sent": 40,
        "sent_to_ack": MS - 90,
        "ack_to_fill": MS,
    }


# ---- refusals -------------------------------------------------------------------------------------------------------


def decisions(kit: Kit) -> list[tuple[bool, tuple[str, ...]]]:
    """Of the episode that a calm market ends."""
    kit.book("kucoin", 59_900.0, 60_100.0)
    kit.book("binance", 59_900.0, 60_100.0)
    return [(d.taken, d.reasons) for d in kit.of(OpportunityClosed)[-1].decisions]


def test_in_flight_then_cool_off_then_again_all_in_one_episode() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.book("kucoin", 60_242.0, 60_243.0)
    kit.book("kucoin", 60_243.0, 60_244.0)
    for order in (buy, sell):
        kit.fill(order)
        kit.close(order)
    kit.book("kucoin", 60_241.0, 60_242.0)
    kit.later(250)
    _, commands = kit.book("kucoin", 60_240.0, 60_241.0)
    assert len(submitted(commands)) == 2
    assert decisions(kit) == [
        (True, ()),
        (False, ("IN_FLIGHT",)),
        (False, ("COOL_OFF",)),
        (True, ()),
    ]
    (episode,) = kit.of(OpportunityClosed)
    assert [d.count for d in episode.decisions] == [1, 2, 1, 1]
    assert episode.taken
    assert [d.arbitrage for d in episode.decisions] == [1, 0, 0, 2]


def _pause(kit: Kit) -> None:
    kit.feed(Operator(ts=kit.ts, action="pause"))


def _poor(kit: Kit) -> None:
    kit.engine.desk.ledger.totals["kucoin", "BTC"] = D(0)


def _stale(kit: Kit) -> None:
    kit.later(1200)


def _gap(kit: Kit) -> None:
    kit.feed(BookInvalid(ts=kit.ts, venue="binance", symbol=SYMBOL, trust=Trust.GAP, reason="gap"))


def _user_gone(kit: Kit) -> None:
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="user", reason="reset"))


@pytest.mark.parametrize(
    ("trouble", "reasons"),
    [
        (_pause, ("TRADING_STATE no_new global pause",)),
        (_poor, ("NO_BALANCE kucoin BTC", "MIN_QUANTITY", "MIN_NOTIONAL")),
        (_stale, ("DECISION_LATE binance",)),
        (_gap, ("BOOK_GAP binance",)),
        (_user_gone, ("VENUE_NOT_READY kucoin: user link is down",)),
    ],
)
def test_every_refusal_is_visible_in_the_episode(trouble: Callable[[Kit], None], reasons: tuple[str, ...]) -> None:
    kit = running()
    trouble(kit)
    _, commands = kit.book("kucoin", 60_241.0, 60_242.0)
    assert not submitted(commands)
    (taken, said) = decisions(kit)[0]
    assert not taken
    for reason in reasons:
        assert any(r.startswith(reason) for r in said), said
    assert not kit.of(OrderSubmitted)
    assert kit.engine.desk.ledger.reserved == {}


def test_too_good_is_not_true() -> None:
    kit = running()
    _, commands = kit.book("kucoin", 63_000.0, 63_001.0)  # 500 bps
    assert not submitted(commands)
    assert "EDGE_TOO_GOOD" in decisions(kit)[0][1]


def test_too_small_says_so() -> None:
    kit = running()
    kit.book("kucoin", 60_031.0, 60_032.0)  # 5 bps gross, 20 of fees
    assert decisions(kit) == [(False, ("EDGE_TOO_SMALL",))]


def test_limits_count_over_everything() -> None:
    kit = running(risk=RiskLimits(max_open_orders=1))
    kit.edge()
    assert decisions(kit) == [(False, ("MAX_OPEN_ORDERS",))]
    kit = running(risk=RiskLimits(max_orders_per_s=2))
    for order in pair(kit):
        reject(kit, order)
    kit.later(300)
    kit.edge()
    assert "ORDER_RATE" in decisions(kit)[-1][1]


def test_sizing_keeps_to_the_risk_limit() -> None:
    kit = running(risk=RiskLimits(max_order_notional=D(100)))
    assert all(order.quantity * order.price <= 100 for order in kit.edge())
    assert len(submitted(kit.commands)) == 2


# ---- people and states ----------------------------------------------------------------------------------------------


def say(kit: Kit, action: str, **fields: str) -> list[Command]:
    kit.later(1)
    return kit.feed(Operator(ts=kit.ts, action=action, **fields))[1]


def test_kill_halts_everything_until_cleared() -> None:
    kit = running()
    commands = say(kit, "kill")
    assert {c.venue for c in commands if isinstance(c, CancelAll)} == set(VENUES)
    assert not kit.edge()
    say(kit, "resume")
    kit.later(300)
    assert not kit.edge()
    say(kit, "clear")
    assert len(kit.edge()) == 2


def test_kill_of_one_venue_cancels_there_only() -> None:
    kit = running()
    commands = say(kit, "kill", scope="venue:kucoin")
    assert {c.venue for c in commands if isinstance(c, CancelAll)} == {"kucoin"}
    assert not kit.edge()


def test_a_halted_desk_hedges_nothing_and_pages() -> None:
    kit = running()
    buy, sell = pair(kit)
    say(kit, "kill")
    kit.fill(buy)
    kit.close(buy)
    calm(kit, 60_235.0)
    assert not submitted(reject(kit, sell))
    for _ in range(1010):
        kit.tick(10)
        if kit.ts % (500 * MS) < 10 * MS:
            calm(kit, 60_235.0)
    assert "EXPOSURE_HELD" in alerts(kit)
    assert not [o for o in submitted(kit.commands) if not o.opening]
    say(kit, "clear")
    before = len(kit.commands)
    for _ in range(11):
        kit.tick(10)
    assert len(submitted(kit.commands[before:])) == 1


def test_kill_with_hedge_lets_hedges_leave_and_halts_when_flat() -> None:
    kit = running()
    buy, sell = pair(kit)
    say(kit, "kill", argument="hedge")
    kit.fill(buy)
    kit.close(buy)
    calm(kit, 60_235.0)
    (hedge,) = submitted(reject(kit, sell))
    kit.tick()
    assert kit.engine.desk.states.entries()[0].state is TradingState.HEDGE_ONLY
    kit.fill(hedge)
    kit.close(hedge)
    kit.tick()
    assert kit.engine.desk.states.entries()[0].state is TradingState.HALTED


def test_a_halted_venue_gets_no_hedge_the_other_one_does() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    kit.book("binance", 60_230.0, 60_231.0)
    kit.book("kucoin", 60_235.0, 60_236.0)
    say(kit, "kill", scope="venue:kucoin")
    (hedge,) = submitted(reject(kit, sell))
    assert hedge.venue == "binance"


def test_pause_stops_new_ones_lets_open_ones_hedge_and_resume_lifts_it() -> None:
    kit = running()
    buy, sell = pair(kit)
    say(kit, "pause", scope="symbol:BTC/USDT")
    kit.fill(buy)
    kit.close(buy)
    calm(kit, 60_235.0)
    (hedge,) = submitted(reject(kit, sell))
    kit.fill(hedge)
    kit.close(hedge)
    kit.later(300)
    assert not kit.edge()
    say(kit, "resume", scope="symbol:BTC/USDT")
    kit.engine.desk.dust.clear()
    assert len(kit.edge()) == 2


def test_nats_may_pause_and_kill_but_never_resume() -> None:
    kit = running()
    say(kit, "pause", source="nats")
    for action in ("resume", "clear", "stop"):
        say(kit, action, source="nats")
    assert not kit.edge()
    assert alerts(kit).count("OPERATOR_REFUSED") == 3
    say(kit, "kill", source="nats")
    assert kit.of(StateChanged)[-1].state is TradingState.HALTED
    say(kit, "dance")
    assert alerts(kit).count("OPERATOR_REFUSED") == 4


def test_a_failed_log_allows_hedges_for_a_while_then_nothing() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    kit.feed(WalFailed(ts=kit.ts, reason="no space"))
    failed = kit.ts
    calm(kit, 60_235.0)
    (hedge,) = submitted(reject(kit, sell))  # hedges go
    kit.close(hedge, Ending.EXPIRED, D(0))
    kit.later(300)
    assert [o.opening for o in kit.edge()] in ([], [False])  # nothing opens
    assert not [o for o in submitted(kit.commands) if o.opening and o.arbitrage > 1]
    while kit.ts < failed + 59_990 * MS:
        kit.tick(1000 if kit.ts < failed + 58_000 * MS else 10)
    states = [s.state for s in kit.of(StateChanged)]
    assert states == [TradingState.HEDGE_ONLY]
    assert 0 < kit.engine.next_deadline() <= failed + 60_000 * MS
    kit.tick(20)
    assert [s.state for s in kit.of(StateChanged)] == [TradingState.HEDGE_ONLY, TradingState.HALTED]


def test_a_throttled_venue_opens_nothing_until_its_time_and_a_ban_is_no_mere_throttle() -> None:
    kit = running()
    until = kit.ts + 500 * MS
    kit.feed(RateLimited(ts=kit.ts, venue="binance", scope="orders", until=until))
    assert not kit.edge()
    kit.ts = until
    kit.tick(0)
    assert len(kit.edge()) == 2
    kit.feed(RateLimited(ts=kit.ts, venue="binance", scope="weight", until=kit.ts + 5000 * MS, banned=True))
    kit.feed(RateLimited(ts=kit.ts, venue="binance", scope="weight", until=kit.ts + 10 * MS))
    state = kit.engine.desk.states.of(kit.ts, ("binance",))
    assert state is not None
    assert state.state is TradingState.HALTED
    assert "BANNED" in alerts(kit)


def test_a_crossed_book_asks_for_a_snapshot() -> None:
    kit = running()
    kit.book("binance", 60_002.0, 60_001.0)
    commands = [c for _ in range(40) for c in kit.tick(10)[1]]
    assert [(c.venue, c.symbol) for c in commands if isinstance(c, RequestSnapshot)] == [("binance", SYMBOL)]


# ---- readiness ------------------------------------------------------------------------------------------------------


def phase(kit: Kit, venue: str) -> str:
    return kit.engine.readiness.venues[venue].phase.value


def test_nothing_opens_before_both_venues_are_reconciled() -> None:
    kit = Kit()
    for venue in VENUES:
        kit.feed(InstrumentsLoaded(ts=kit.ts, venue=venue, instruments=(instrument(venue),)))
        kit.feed(LinkUp(ts=kit.ts, venue=venue, channel="market"))
    assert not kit.edge()
    kit.begin()
    assert len(kit.edge()) == 2


def test_missing_fees_keep_a_venue_down() -> None:
    kit = Kit()
    kit.feed(InstrumentsLoaded(ts=kit.ts, venue="binance", instruments=(instrument("binance"),)))
    for channel in ("market", "user", "orders"):
        kit.feed(LinkUp(ts=kit.ts, venue="binance", channel=channel))
    assert kit.engine.readiness.why_not("binance") == "no fees yet"
    kit.feed(FeesLoaded(ts=kit.ts, venue="binance", fees={SYMBOL: kit.fees["binance"]}))
    assert phase(kit, "binance") == "resolving"


def test_a_gap_of_the_user_stream_closes_the_venue_until_reconciled() -> None:
    kit = running()
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="user", reason="reset"))
    assert not kit.edge()
    kit.feed(LinkUp(ts=kit.ts, venue="kucoin", channel="user"))
    assert not kit.edge()
    assert phase(kit, "kucoin") == "resolving"
    kit._asked = next(i for i, c in enumerate(kit.commands) if i >= kit._asked)
    kit.answer()
    assert phase(kit, "kucoin") == "ready"
    assert len(kit.edge()) == 2


def test_a_venue_with_a_live_order_is_not_counted() -> None:
    kit = running()
    buy, sell = pair(kit)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="user", reason="reset"))
    kit.feed(LinkUp(ts=kit.ts, venue="kucoin", channel="user"))
    kit.feed(OpenOrdersListed(ts=kit.ts, venue="kucoin", orders=(), asked_ts=kit.ts))
    kit.tick()
    assert phase(kit, "kucoin") == "resolving"
    fill = kit.fill(sell)
    kit.close(sell)
    kit.tick()
    assert phase(kit, "kucoin") == "resolving"  # its commission is still our own guess
    said = {n: getattr(fill, n) for n in fill.__struct_fields__}
    listed(kit, sell, OrderFilled(**{**said, "commission": D("0.4"), "commission_asset": "USDT"}))
    assert phase(kit, "kucoin") == "counting"
    assert buy.venue == "binance"


def snapshot(kit: Kit, venue: str, asked_ts: int | None = None, **balances: Decimal) -> list[Command]:
    return kit.feed(
        AccountSnapshot(
            ts=kit.ts,
            venue=venue,
            balances={asset: Balance(amount, D(0)) for asset, amount in balances.items()},
            asked_ts=kit.ts if asked_ts is None else asked_ts,
        )
    )[1]


def counting(kit: Kit, venue: str) -> None:
    kit.feed(LinkDown(ts=kit.ts, venue=venue, channel="user", reason="reset"))
    kit.feed(LinkUp(ts=kit.ts, venue=venue, channel="user"))
    kit.later(1)
    kit.feed(OpenOrdersListed(ts=kit.ts, venue=venue, orders=(), asked_ts=kit.ts))
    kit.tick()
    assert phase(kit, venue) == "counting"


def test_an_external_difference_is_named_and_booked() -> None:
    kit = running()
    counting(kit, "kucoin")
    snapshot(kit, "kucoin", BTC=D(1), USDT=D(49_000), KCS=D(3))
    assert phase(kit, "kucoin") == "ready"
    booked = [(r.asset, r.total, r.previous, r.reason) for r in kit.of(BalanceBooked)[-2:]]
    assert booked == [("USDT", D(49_000), D(50_000), "external"), ("KCS", D(3), D(0), "external")]
    assert alerts(kit).count("BALANCE_EXTERNAL") == 2
    assert totals(kit)["kucoin", "USDT"] == 49_000


def test_the_opening_is_no_difference() -> None:
    kit = running()
    assert {r.reason for r in kit.of(BalanceBooked)} == {"opening"}
    assert "BALANCE_EXTERNAL" not in alerts(kit)


def test_a_snapshot_asked_before_the_last_fill_is_asked_again() -> None:
    kit = running()
    buy, sell = pair(kit)
    counting_from = kit.ts
    reject(kit, buy)
    kit.feed(LinkDown(ts=kit.ts, venue="binance", channel="user", reason="reset"))
    kit.feed(LinkUp(ts=kit.ts, venue="binance", channel="user"))
    kit.feed(OpenOrdersListed(ts=kit.ts, venue="binance", orders=(), asked_ts=kit.ts))
    assert phase(kit, "binance") == "counting"
    kit.fill(buy, D("0.001"))  # it had been accepted after all
    kit.close(buy, Ending.EXPIRED, D("0.001"))
    kit.tick()
    before = len(kit.commands)
    snapshot(kit, "binance", asked_ts=counting_from, BTC=D(1), USDT=D(50_000))
    assert phase(kit, "binance") == "counting"
    assert [type(c) for c in kit.commands[before:] if isinstance(c, RequestAccount)] == [RequestAccount]
    assert sell.venue == "kucoin"


def test_a_hedge_that_leaves_while_counting_forbids_the_count() -> None:
    """The snapshot may hold a fill that we have not heard of: booked as external, it would count twice."""
    kit = running()
    buy, sell = pair(kit)
    kit.fill(buy)
    kit.close(buy)
    counting(kit, "binance")
    kit.book("kucoin", 59_000.0, 60_236.0)
    kit.book("binance", 60_230.0, 60_231.0)
    (hedge,) = submitted(reject(kit, sell))
    assert hedge.venue == "binance"
    held = totals(kit)["binance", "BTC"]
    snapshot(kit, "binance", BTC=held - hedge.quantity, USDT=D(50_000))
    assert phase(kit, "binance") == "resolving"
    assert "BALANCE_EXTERNAL" not in alerts(kit)
    kit.fill(hedge)
    kit.close(hedge)
    kit.tick()
    assert phase(kit, "binance") == "counting"


def test_a_balance_that_keeps_differing_is_counted_and_named() -> None:
    kit = running()
    kit.feed(BalanceChanged(ts=kit.ts, venue="binance", asset="USDT", balance=Balance(D(40_000), D(0))))
    for _ in range(299):
        kit.tick(10)
    assert phase(kit, "binance") == "ready"
    for _ in range(2):
        kit.tick(10)
    assert phase(kit, "binance") == "counting"
    assert isinstance(kit.commands[-1], RequestAccount)
    snapshot(kit, "binance", BTC=D(1), USDT=D(40_000))
    assert phase(kit, "binance") == "ready"
    assert kit.of(BalanceBooked)[-1].total == 40_000
    for _ in range(400):
        kit.tick(10)
    assert phase(kit, "binance") == "ready"


def test_a_balance_that_only_travels_ahead_of_its_fill_is_no_difference() -> None:
    kit = running()
    buy, sell = pair(kit)
    for asset, total in (("BTC", D("1.00666333")), ("USDT", D("49599.79333"))):
        kit.feed(BalanceChanged(ts=kit.ts, venue="binance", asset=asset, balance=Balance(total, D(0))))
    for _ in range(400):
        kit.tick(10)
    kit.fill(buy, price=ASK)
    kit.close(buy)
    kit.fill(sell)
    kit.close(sell)
    for _ in range(400):
        kit.tick(10)
    assert phase(kit, "binance") == "ready"
    assert not [r for r in kit.of(BalanceBooked) if r.reason == "external"]


def test_foreign_and_orphaned_open_orders_are_named() -> None:
    kit = running()
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="user", reason="reset"))
    kit.feed(LinkUp(ts=kit.ts, venue="kucoin", channel="user"))
    ours = kit.engine.desk.ids.make(77, 0, 0)
    rows = tuple(OpenOrder(SYMBOL, client_id, "5", Side.BUY, D(1), D(1), D(0)) for client_id in (ours, "web_1", ""))
    kit.feed(OpenOrdersListed(ts=kit.ts, venue="kucoin", orders=rows, asked_ts=kit.ts))
    assert alerts(kit).count("ORPHAN_ORDER") == 1
    assert alerts(kit).count("FOREIGN_ORDER") == 2


def test_a_failed_question_is_asked_again_after_a_second() -> None:
    kit = running()
    counting(kit, "kucoin")
    kit.feed(QueryFailed(ts=kit.ts, venue="kucoin", client_id="", query="RequestAccount", symbol="", reason="timeout"))
    asked = [kit.ts for _ in range(150) for c in kit.tick(10)[1] if isinstance(c, RequestAccount)]
    assert len(asked) == 1


# ---- time -----------------------------------------------------------------------------------------------------------


def test_ticks_with_nothing_due_change_nothing() -> None:
    """The same story with every tick and with only those that the engine named: the same records."""
    told = []
    for skip in (False, True):
        kit = Kit(params=CrossArbParams(min_edge_bps=1.0))
        kit.begin()
        kit.quiet()
        buy, sell = pair(kit)
        kit.fill(buy)
        kit.close(buy)
        kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="orders", reason="reset"))
        kit.feed(RateLimited(ts=kit.ts, venue="binance", scope="orders", until=kit.ts + 1234 * MS))
        kit.feed(WalFailed(ts=kit.ts, reason="no space"))
        kit.ts += 10 * MS - kit.ts % (10 * MS)
        start = len(kit.records)
        ticks = 0
        for step in range(6500):
            kit.ts += 10 * MS
            if step == 50:
                kit.feed(LinkUp(ts=kit.ts, venue="kucoin", channel="orders"))
            if step == 300:
                status(kit, sell, ending=Ending.EXPIRED, executed=D(0))
            if step == 700:
                kit.feed(
                    BookSnapshot(
                        ts=kit.ts,
                        venue="kucoin",
                        symbol=SYMBOL,
                        update_id=7,
                        bids=[(60_235.0, 1.0)],
                        asks=[(60_236.0, 1.0)],
                    )
                )
            due = kit.engine.next_deadline()
            if not skip or (due and kit.ts >= due):
                kit.feed(Tick(ts=kit.ts))
                ticks += 1
        told.append(
            [
                r
                for r in kit.records[start:]
                if type(r).__name__ != "Vitals"  # counts its ticks
            ]
        )
        if skip:
            assert ticks < 2000
    assert told[0] == told[1]
    assert kit.ts > START
