"""Drills of breakers of markets and of how orders went: what trips each, where it leads, the way back, restarts."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from desk_kit import MS, SYMBOL, VENUES, D, Kit
from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.commands import CancelOrder
from tradeserver.core.conditions import Conditions, Watched
from tradeserver.core.events import BookSnapshot, Ending, Operator, OrderRejected, Trust, VenueFault
from tradeserver.core.limits import LIMITS, loosened
from tradeserver.core.losses import LossLimits
from tradeserver.core.market import SymbolMarket
from tradeserver.core.records import Alert, OpportunityClosed, StateChanged, TradingState
from tradeserver.core.risk import RiskLimits

SECOND_NS = 1_000_000_000
ALL, NONE = D(1), D(0)
OFF: dict[str, Any] = {"one_sided_limit": 0, "crash_limit": 0}


def trading(risk: RiskLimits | None = None, **limits: Any) -> Kit:
    kit = Kit(breakers=BreakerLimits(**(OFF | limits)), losses=LossLimits(streak=0), risk=risk or RiskLimits())
    kit.begin()
    kit.quiet()
    seconds(kit, 3)
    return kit


def both(kit: Kit, bid: float, ask: float = 0.0) -> None:
    for venue in VENUES:
        kit.book(venue, bid, ask or bid + 1)


def seconds(kit: Kit, count: int, bid: float = 60_000.0, ask: float = 0.0) -> None:
    for _ in range(count):
        both(kit, bid, ask)
        kit.tick(998)


def states(kit: Kit) -> list[tuple[str, str, TradingState]]:
    return [(s.scope, s.reason, s.state) for s in kit.engine.desk.states.entries()]


def restarted(kit: Kit) -> list[tuple[str, str, TradingState]]:
    again = Kit()
    for record in kit.records:
        again.engine.apply(record)
    other = Kit()
    other.engine.apply(kit.engine.desk.checkpoint(kit.ts))
    assert states(again) == states(other)
    return states(again)


def alerts(kit: Kit) -> list[str]:
    return [a.code for a in kit.of(Alert)]


def paused(reason: str) -> list[tuple[str, str, TradingState]]:
    return [(f"symbol:{SYMBOL}", reason, TradingState.NO_NEW)]


def refusals(kit: Kit) -> list[str]:
    """What the open episodes' last decision said."""
    found = []
    for episode in kit.engine.desk.opportunities.open.values():
        if episode.decisions:
            found += [reason.split()[0] for reason in episode.decisions[-1].reasons]
    return found


# ---- the market ------------------------------------------------------------------------------------------------------


def test_a_jump_is_seen_by_the_first_decision_and_pauses_until_it_is_over() -> None:
    kit = trading(max_volatility_bps=0)
    assert not kit.book("binance", 56_900.0, 56_901.0)[1], "5.2 % below, KuCoin still where it was: a gift of 540 bps"
    kit.book("kucoin", 57_100.0, 57_101.0)
    assert not [c for c in kit.commands if getattr(c, "opening", False)]
    assert "PRICE_JUMP" in refusals(kit)
    assert states(kit) == paused("price-jump") == restarted(kit)
    assert alerts(kit) == ["MARKET_PAUSED"]
    seconds(kit, 5, 57_000.0)
    assert states(kit) == paused("price-jump")
    seconds(kit, 80, 57_000.0)
    assert states(kit) == []
    assert alerts(kit) == ["MARKET_PAUSED"]
    assert kit.of(StateChanged)[-1].by == "expiry"


def test_a_jump_between_decisions_is_seen_by_the_second() -> None:
    kit = trading(max_volatility_bps=0)
    seconds(kit, 1, 56_000.0)
    assert states(kit) == paused("price-jump")


def test_a_slow_fall_is_no_jump() -> None:
    kit = trading()
    for second in range(40):  # 20 bps a second: 2 % within ten
        seconds(kit, 1, 60_000.0 - 120 * second)
    assert states(kit) == []


def test_a_wide_spread() -> None:
    kit = trading()
    kit.book("kucoin", 60_241.0, 61_500.0)
    assert "SPREAD" in refusals(kit)
    assert states(kit) == paused("spread") == restarted(kit)
    kit.quiet()
    seconds(kit, 62)
    assert states(kit) == []
    seconds(kit, 1, 60_000.0, 61_300.0)
    assert states(kit) == paused("spread"), "the second's look sees it too"


def test_volatility_shrinks_sizes_and_then_pauses() -> None:
    """Returns of +-50 bps each second are 50 * sqrt(60) = 387 bps a minute once the average has warmed up."""
    kit = trading()
    conditions = kit.engine.conditions
    for second in range(90):
        seconds(kit, 1, 60_000.0 * (1.005 if second % 2 else 1.0))
    measured = conditions.watched["binance", SYMBOL].volatility_bps
    assert measured == pytest.approx(math.log(1.005) * 1e4 * math.sqrt(60), rel=0.15)
    share = conditions.shares[SYMBOL]
    assert share == round(D(repr(100.0 / measured)), 2)
    assert states(kit) == []
    for second in range(40):
        seconds(kit, 1, 60_000.0 * (1.007 if second % 2 else 1.0))
    assert states(kit) == paused("volatility") == restarted(kit)
    seconds(kit, 400)
    assert states(kit) == []
    assert SYMBOL not in conditions.shares


def test_a_shrunk_size_is_what_leaves() -> None:
    kit = trading(risk=RiskLimits(max_trade_pct=D("0.1")))  # 0.1 % of 220,001 are 220
    kit.engine.conditions.shares[SYMBOL] = D("0.5")
    (buy, sell) = kit.edge()
    assert D(109) < sell.quantity * sell.price <= D("110.0005")
    assert buy.quantity * buy.price <= D("110.0005")


def test_doubtful_data() -> None:
    kit = trading()
    for second in range(70):
        kit.book("binance", 60_000.0, 60_001.0)
        if second % 4 == 0:
            kit.book("kucoin", 60_000.0, 60_001.0)  # and stale after 1.5 s: untrusted for every second look
        kit.tick(999)
    assert states(kit) == paused("data-quality") == restarted(kit)
    assert alerts(kit) == ["MARKET_PAUSED"]
    seconds(kit, 130)
    assert states(kit) == []


def test_a_book_that_never_came_is_not_doubtful_data() -> None:
    kit = Kit(breakers=BreakerLimits(**OFF))
    kit.begin()
    for _ in range(100):
        kit.tick(1000)
    assert states(kit) == []


def test_a_broken_peg_stops_everything() -> None:
    kit = trading()
    conditions = kit.engine.conditions
    market = SymbolMarket(("binance", "USDC/USDT"), kit.engine.market.limits)
    market.bid, market.ask, market.bid_quantity, market.ask_quantity = 0.9898, 0.9900, 1.0, 1.0
    kit.engine.desk.records = kit.records
    conditions._judge_peg("USDC/USDT", 0.9901)
    assert states(kit) == []
    conditions._judge_peg("BTC/USDT", 0.5)
    assert states(kit) == []
    conditions._judge_peg("USDC/USDT", market.mid - 0.0001)
    assert states(kit) == [("global", "depeg", TradingState.NO_NEW)] == restarted(kit)
    assert alerts(kit) == ["DEPEG"]
    assert not kit.edge()
    kit.book("kucoin", 60_000.0, 60_001.0)
    kit.feed(Operator(ts=kit.ts, action="clear", argument="depeg"))
    assert kit.edge()


def test_a_watched_books_sums_are_those_of_its_last_minute() -> None:
    watched = Watched(SymbolMarket(("v", "A/B"), Kit().engine.market.limits), 10)
    history = [(n * 7919) % 11 < 4 for n in range(500)]
    for n, doubtful in enumerate(history):
        watched.note(doubtful)
        assert watched.bad == sum(history[max(0, n - 59) : n + 1])


# ---- how orders went -------------------------------------------------------------------------------------------------


def trade(kit: Kit, share: Decimal = ALL, worse: Decimal = NONE) -> None:
    """Both legs fill by this share; the buy costs `worse` a coin more than its cap."""
    buy, sell = kit.edge()
    for order, price in ((buy, D("60001") + worse), (sell, D("60241"))):
        kit.accept(order)
        lot = D("0.00001")
        quantity = order.quantity if share == 1 else order.quantity * share // lot * lot
        if quantity:
            kit.fill(order, quantity, price=price)
        kit.close(order, Ending.FILLED if share == 1 else Ending.EXPIRED, quantity)
    kit.book("kucoin", 60_000.0, 60_001.0)
    kit.later(300)
    kit.quiet()


def test_levels_that_are_not_what_they_show() -> None:
    kit = trading()
    for _ in range(10):
        assert states(kit) == []
        trade(kit, D(0))
    assert states(kit) == paused("fill-ratio") == restarted(kit)
    assert alerts(kit) == ["SYMBOL_PAUSED"]
    assert not kit.engine.desk.conduct.legs, "it begins anew"
    kit.ts += 601 * SECOND_NS
    kit.tick(0)
    assert states(kit) == []


def test_slippage_that_was_realised() -> None:
    """120.01 a coin on 60,001 are 20 bps on one leg of two: 10 on average; 250 are 41.7: 20.8."""
    kit = trading(max_loss_slippage_bps=20.0)
    for _ in range(10):
        trade(kit, worse=D("120.01"))
    assert states(kit) == []
    legs = kit.engine.desk.conduct.legs[SYMBOL]
    assert min(slip for _, slip in legs) == pytest.approx(-20.0, abs=0.02)
    for _ in range(10):
        trade(kit, worse=D(250))
    assert states(kit) == paused("slippage") == restarted(kit)
    assert alerts(kit) == ["SYMBOL_PAUSED"]


def test_what_orders_did_is_remembered_over_a_restart() -> None:
    kit = trading()
    trade(kit)
    trade(kit, D(0))
    again = Kit()
    for record in kit.records:
        again.engine.apply(record)
    other = Kit()
    other.engine.apply(kit.engine.desk.checkpoint(kit.ts))
    for desk in (again.engine.desk, other.engine.desk):
        assert desk.conduct.image() == kit.engine.desk.conduct.image()
        assert [share for share, _ in desk.conduct.legs[SYMBOL]] == [1.0, 1.0, 0.0, 0.0]


def test_technical_errors_halt_their_venue() -> None:
    kit = trading(technical_limit=5, technical_window_s=60)
    for _ in range(4):
        kit.feed(VenueFault(ts=kit.ts, venue="kucoin", channel="user", code="malformed", text="x"))
    kit.ts += 61 * SECOND_NS
    for _ in range(4):
        kit.feed(VenueFault(ts=kit.ts, venue="kucoin", channel="user", code="malformed", text="x"))
    kit.feed(VenueFault(ts=kit.ts, venue="binance", channel="user", code="malformed", text="x"))
    assert states(kit) == []
    kit.feed(OrderRejected(ts=kit.ts, venue="kucoin", client_id="no", code="400100", text="no such", short=True))
    assert states(kit) == [], "a lack of balance is none"
    kit.feed(OrderRejected(ts=kit.ts, venue="kucoin", client_id="no", code="400100", text="odd"))
    assert states(kit) == [("venue:kucoin", "technical", TradingState.HALTED)] == restarted(kit)
    assert alerts(kit)[-1] == "TECHNICAL"
    kit.ts += 3_600 * SECOND_NS
    kit.tick(0)
    assert states(kit), "a latch"
    kit.feed(Operator(ts=kit.ts, action="clear", scope="venue:kucoin", argument="technical"))
    assert states(kit) == []
    assert [venue for _, venue in kit.engine.desk.conduct.faults] == ["binance"]


# ---- each order ------------------------------------------------------------------------------------------------------


def test_cancels_beyond_their_rate_open_nothing_for_a_second() -> None:
    kit = trading(risk=RiskLimits(max_cancels_per_s=3))
    kit.engine.desk.ts = kit.ts
    cancel = CancelOrder(venue="binance", symbol=SYMBOL, client_id="x", venue_order_id="")
    kit.engine.execution.note_cancels([cancel] * 4)
    assert not kit.edge()
    assert "CANCEL_RATE" in refusals(kit)
    kit.later(1000)
    kit.book("binance", 60_000.0, 60_001.0)
    assert kit.edge()


@pytest.mark.parametrize(
    ("scope", "both_legs"),
    [("venue:kucoin", False), (f"symbol:{SYMBOL}", True), ("strategy:cross_arb", True)],
)
def test_a_scope_has_limits_of_its_own(scope: str, both_legs: bool) -> None:
    kit = trading(risk=RiskLimits(scoped_order_notional={scope: D(100), "venue:other": D(1)}))
    orders = kit.edge()
    bounded = [order for order in orders if both_legs or order.venue == "kucoin"]
    assert all(order.quantity * order.price <= 100 for order in bounded)
    assert all(order.quantity * order.price > 99 for order in orders)
    kit = trading(risk=RiskLimits(scoped_open_orders={scope: 0}))
    assert not kit.edge()
    assert refusals(kit) == ["SCOPED_ORDERS"]
    kit = trading(risk=RiskLimits(scoped_open_orders={scope: 1 if scope.startswith("venue") else 2}))
    assert kit.edge()


def test_the_whole_desk_never_meets_itself() -> None:
    """A leg of another strategy rests at KuCoin, a buy at 60,241: our sell there would trade with it."""
    kit = trading()
    buy, sell = kit.edge()
    desk = kit.engine.desk
    live = desk.orders.live[sell.client_id]
    for side, price, reason in ((buy.side, "60241", True), (buy.side, "60100", False), (sell.side, "60241", False)):
        resting = ((sell.venue, side, D(price)),)
        kit.engine.execution._resting = lambda symbol, resting=resting: resting  # type: ignore[method-assign,misc]
        desk.arbitrages.clear()
        kit.later(300)
        kit.book("kucoin", 60_000.0, 60_001.0)
        kit.edge()
        assert ("SELF_TRADE" in refusals(kit)) is reason, (side, price)
    assert live.live


# ---- the table -------------------------------------------------------------------------------------------------------


def all_limits(**changes: Any) -> dict[str, Any]:
    sections: dict[str, Any] = {"risk": {}, "losses": {}, "breakers": {}}
    for key, value in changes.items():
        section, _, name = key.partition("__")
        sections[section][name] = value
    return {
        "risk": RiskLimits(**sections["risk"]),
        "losses": LossLimits(**sections["losses"]),
        "breakers": BreakerLimits(**sections["breakers"]),
    }


@pytest.mark.parametrize(
    ("changes", "loose"),
    [
        ({"risk__max_trade_pct": D(3)}, True),
        ({"risk__max_trade_pct": D(1)}, False),
        ({"risk__reserve_pct": D(40)}, True),
        ({"risk__reserve_pct": D(60)}, False),
        ({"losses__streak": 0}, True),
        ({"losses__streak": 2}, False),
        ({"losses__streak": 4}, True),
        ({"losses__streak_pause_s": 60}, True),
        ({"breakers__min_fill_pct": 0.0}, True),
        ({"breakers__min_fill_pct": 50.0}, False),
        ({"risk__currency": "USDC"}, True),
        ({"risk__scoped_open_orders": {"venue:kucoin": 3}}, False),
    ],
)
def test_what_loosens(changes: dict[str, Any], loose: bool) -> None:
    found = loosened(all_limits(), all_limits(**changes))
    assert bool(found) is loose
    if loose:
        (key,) = changes
        assert found[0].startswith(key.replace("__", "."))


def test_a_scopes_limit_that_goes_loosens() -> None:
    before = all_limits(risk__scoped_open_orders={"venue:kucoin": 3, "venue:binance": 3})
    for after in ({"venue:kucoin": 3}, {"venue:kucoin": 4, "venue:binance": 3}):
        assert loosened(before, all_limits(risk__scoped_open_orders=after))
    assert not loosened(before, all_limits(risk__scoped_open_orders={"venue:kucoin": 1, "venue:binance": 3}))


def test_every_state_of_the_table_has_a_drill() -> None:
    """By its reason, in this file, test_losses.py or test_breaker.py."""
    from pathlib import Path

    here = Path(__file__).parent
    files = ("test_conditions.py", "test_losses.py", "test_breaker.py")
    text = "".join((here / name).read_text("utf-8") for name in files)
    codes = {limit.code for limit in LIMITS if limit.code.islower()}
    assert len(codes) > 12
    assert [code for code in sorted(codes) if f'"{code}"' not in text] == []


def test_a_decision_looks_at_the_venues_of_its_legs_alone() -> None:
    kit = trading()
    conditions: Conditions = kit.engine.conditions
    far = {"bids": [(50_000.0, 1.0)], "asks": [(50_001.0, 1.0)]}
    kit.feed(BookSnapshot(ts=kit.ts, venue="kucoin", symbol=SYMBOL, update_id=1, **far))
    assert conditions.refusal(SYMBOL, ["binance"]) == ""
    assert conditions.refusal(SYMBOL, ["kucoin"]) == "PRICE_JUMP kucoin"
    assert kit.engine.market.symbols["kucoin", SYMBOL].trust is Trust.SYNCED
    assert kit.ts % MS == 0
    assert not kit.of(OpportunityClosed)
