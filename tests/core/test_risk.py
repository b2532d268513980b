"""The gate: every reason can be reached, all reasons are told, and nothing beyond a limit is ever approved."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk_kit import instrument
from tradeserver.core.risk import Allowed, Approved, Draft, Facts, Reason, Refused, RiskLimits, check, submit
from tradeserver.core.types import Side

D = Decimal
LIMITS = RiskLimits()
REPLACE = msgspec.structs.replace


def draft(venue: str = "binance", side: Side = Side.BUY, **changes: Any) -> Draft:
    quantity, price = D("0.005"), D("60001")
    fields: dict[str, Any] = {
        "instrument": instrument(venue),
        "client_id": f"id-{venue}",
        "arbitrage": 1,
        "leg": 0 if side is Side.BUY else 1,
        "attempt": 0,
        "side": side,
        "quantity": quantity,
        "price": price,
        "opening": True,
        "reserve_asset": "USDT" if side is Side.BUY else "BTC",
        "reserve": quantity * price if side is Side.BUY else quantity,
    }
    return Draft(**(fields | changes))


def pair(**changes: Any) -> list[Draft]:
    """The legs of a healthy arbitrage; `changes` to the buy."""
    return [draft(**changes), draft("kucoin", Side.SELL, price=D("60200"))]


def facts(**changes: Any) -> Facts:
    fields: dict[str, Any] = {
        "ts": 1,
        "state": "",
        "live_orders": 0,
        "arbitrages": 0,
        "recent_orders": 0,
        "free": {("binance", "USDT"): D(1000), ("kucoin", "BTC"): D(1)},
        "mids": {"binance": D(60_000), "kucoin": D("60200.5")},
        "market_reasons": {"binance": "", "kucoin": ""},
        "ages_ns": {"binance": 0, "kucoin": 0},
        "worst_exposure": D(0),
        "dust": D(0),
        "allowed": Allowed(max_trade=D(600), exposure_left=D(1000), floors={}),
    }
    return Facts(**(fields | changes))


def reasons(limits: RiskLimits = LIMITS, known: Facts | None = None, drafts: list[Draft] | None = None) -> set[str]:
    verdict = check(limits, known or facts(), drafts or pair())
    assert isinstance(verdict, Refused)
    return {reason.split()[0] for reason in verdict.reasons}


def test_a_healthy_pair_passes_and_becomes_orders() -> None:
    drafts = pair()
    verdict = check(LIMITS, facts(), drafts)
    assert verdict == tuple(Approved(d) for d in drafts)
    order = submit(verdict[0])
    assert (order.client_id, order.quantity, order.price, order.opening) == (
        "id-binance",
        D("0.005"),
        D("60001"),
        True,
    )


FACTS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.TRADING_STATE, {"state": "halted global kill"}),
    (Reason.MAX_OPEN_ORDERS, {"live_orders": LIMITS.max_open_orders - 1}),
    (Reason.MAX_ARBITRAGES, {"arbitrages": LIMITS.max_arbitrages}),
    (Reason.ORDER_RATE, {"recent_orders": LIMITS.max_orders_per_s - 1}),
    (Reason.DECISION_LATE, {"ages_ns": {"binance": 0, "kucoin": 1_000_000_001}}),
    (Reason.MAX_POSITION, {"worst_exposure": D("0.0284")}),  # + 0.005 = 0.0334 BTC at 60,000 is 2004
    (Reason.MAX_DUST, {"dust": D("0.000334")}),
    (Reason.MAX_TRADE, {"allowed": Allowed(D("300.99"), D(1000), {})}),  # the sell comes to 0.005 * 60,200 = 301
    (Reason.SCOPED_NOTIONAL, {"allowed": Allowed(D(400), D(1000), {}, (("venue:kucoin", D("300.99")),))}),
    (Reason.SCOPED_NOTIONAL, {"allowed": Allowed(D(400), D(1000), {}, (("strategy:x", D("300.99")),))}),
    (Reason.SCOPED_ORDERS, {"full": ("venue:kucoin",)}),
    (Reason.CANCEL_RATE, {"recent_cancels": LIMITS.max_cancels_per_s + 1}),
    (Reason.SELF_TRADE, {"resting": (("binance", Side.SELL, D("60001")),)}),
    (Reason.SELF_TRADE, {"resting": (("kucoin", Side.BUY, D("60200")),)}),
    (Reason.PRICE_JUMP, {"conditions": "PRICE_JUMP kucoin"}),
    (Reason.SPREAD, {"conditions": "SPREAD binance"}),
    (Reason.MAX_EXPOSURE, {"allowed": Allowed(D(400), D("300.99"), {})}),
    (Reason.RESERVE, {"allowed": Allowed(D(400), D(1000), {("binance", "USDT"): D("699.9951")})}),
    (Reason.RESERVE, {"allowed": Allowed(D(400), D(1000), {("kucoin", "BTC"): D("0.99501")})}),
    (Reason.NO_BALANCE, {"free": {("binance", "USDT"): D("300.0049"), ("kucoin", "BTC"): D(1)}}),
    (Reason.NO_BALANCE, {"free": {("kucoin", "BTC"): D(1)}}),
    *(
        (reason, {"market_reasons": {"binance": "", "kucoin": reason.value}})
        for reason in (
            Reason.BOOK_SNAPSHOTTING,
            Reason.BOOK_GAP,
            Reason.BOOK_STALE,
            Reason.BOOK_CROSSED,
            Reason.BOOK_EMPTY,
            Reason.LINK_NOT_CURRENT,
            Reason.SYMBOL_HALTED,
        )
    ),
]


@pytest.mark.parametrize(("reason", "changes"), FACTS)
def test_each_fact_that_forbids(reason: Reason, changes: dict[str, Any]) -> None:
    assert reasons(known=facts(**changes)) == {reason.value}


@pytest.mark.parametrize(
    "changes",
    [
        {"live_orders": LIMITS.max_open_orders - 2},
        {"arbitrages": LIMITS.max_arbitrages - 1},
        {"recent_orders": LIMITS.max_orders_per_s - 2},
        {"ages_ns": {"binance": 0, "kucoin": 1_000_000_000}},
        {"worst_exposure": D("0.0282")},
        {"dust": D("0.000332")},
        {"recent_cancels": LIMITS.max_cancels_per_s},
        {
            "resting": (
                ("binance", Side.SELL, D("60001.01")),
                ("kucoin", Side.SELL, D(1)),
                ("x", Side.BUY, D(99_999)),
            )
        },
        {"allowed": Allowed(D(400), D(1000), {}, (("venue:kucoin", D(301)), ("venue:other", D(1))))},
        {"allowed": Allowed(D(301), D(301), {("binance", "USDT"): D("699.995"), ("kucoin", "BTC"): D("0.995")})},
        {"free": {("binance", "USDT"): D("300.005"), ("kucoin", "BTC"): D("0.005")}},
    ],
)
def test_a_limit_itself_is_allowed(changes: dict[str, Any]) -> None:
    assert not isinstance(check(LIMITS, facts(**changes), pair()), Refused)


RULES = instrument("binance")
DRAFTS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.PRICE_BAND, {"price": D("60600.01")}),  # 100 bps above 60,000 is 60,600
    (Reason.MAX_ORDER_NOTIONAL, {"quantity": D("0.00834")}),  # * 60,001 = 500.4
    (Reason.SLIPPAGE_CAP, {"expected_price": D("59406")}),  # 100 bps above is 60,000.06
    (Reason.MIN_QUANTITY, {"instrument": REPLACE(RULES, min_quantity=D("0.00501"))}),
    (Reason.MAX_QUANTITY, {"instrument": REPLACE(RULES, max_quantity=D("0.00499"))}),
    (Reason.MIN_NOTIONAL, {"instrument": REPLACE(RULES, min_notional=D("300.01"))}),
    (Reason.MAX_NOTIONAL, {"instrument": REPLACE(RULES, max_notional=D("300"))}),
    (Reason.LOT_SIZE, {"quantity": D("0.0050001")}),
    (Reason.TICK_SIZE, {"price": D("60001.001")}),
    (Reason.SYMBOL_HALTED, {"instrument": REPLACE(RULES, tradable=False)}),
]


@pytest.mark.parametrize(("reason", "changes"), DRAFTS)
def test_each_order_that_is_illegal(reason: Reason, changes: dict[str, Any]) -> None:
    assert reasons(drafts=pair(**changes)) == {reason.value}


def test_nothing_is_no_order() -> None:
    assert {"MIN_QUANTITY", "MIN_NOTIONAL"} <= reasons(drafts=pair(quantity=D(0)))
    assert "TICK_SIZE" in reasons(drafts=pair(price=D(0)))


def test_a_sell_far_below_its_mid_is_out_of_the_band() -> None:
    drafts = [draft(), draft("kucoin", Side.SELL, price=D("59598.4"))]  # 100 bps below 60200.5: 59598.495
    assert reasons(drafts=drafts) == {"PRICE_BAND"}


def test_the_legs_of_one_asset_are_added_up() -> None:
    twice = [draft(), draft(client_id="other")]
    known = facts(free={("binance", "USDT"): D(600)})
    assert reasons(known=known, drafts=twice) == {"NO_BALANCE"}


def test_every_reason_of_the_gate_is_covered_above() -> None:
    elsewhere = {  # the strategy's and execution's own: tests/core/test_engine_arbitrage.py
        Reason.EDGE_TOO_SMALL,
        Reason.EDGE_TOO_GOOD,
        Reason.NO_DEPTH,
        Reason.ON_TARGET,
        Reason.VENUE_NOT_READY,
        Reason.FEES_UNKNOWN,
        Reason.CAPITAL_UNKNOWN,  # tests/core/test_capital.py
        Reason.IN_FLIGHT,
        Reason.COOL_OFF,
    }
    assert {reason for reason, _ in (*FACTS, *DRAFTS)} | elsewhere == set(Reason)


def test_one_refusal_tells_everything_and_approves_nothing() -> None:
    known = facts(state="halted global kill", live_orders=99, market_reasons={"binance": "BOOK_GAP", "kucoin": ""})
    verdict = check(LIMITS, known, pair(price=D("60001.001")))
    assert verdict == Refused(
        ("TRADING_STATE halted global kill", "MAX_OPEN_ORDERS", "BOOK_GAP binance", "TICK_SIZE binance")
    )


def test_one_bad_leg_refuses_both_and_says_which() -> None:
    drafts = [draft(), draft("kucoin", Side.SELL, price=D("60200.05"))]
    assert check(LIMITS, facts(), drafts) == Refused(("TICK_SIZE kucoin",))


def test_a_hedge_passes_the_limits_on_opening_but_not_the_venues_rules() -> None:
    tight = RiskLimits(max_open_orders=1, max_arbitrages=1, max_orders_per_s=1, max_order_notional=D(1))
    known = facts(live_orders=9, arbitrages=9, recent_orders=9, worst_exposure=D(9), dust=D(9), mids={}, ages_ns={})
    known.allowed = None
    hedge = draft(opening=False)
    assert check(tight, known, [hedge]) == (Approved(hedge),)
    assert reasons(known=known, drafts=[draft(opening=False, price=D("0.001"))]) == {"TICK_SIZE", "MIN_NOTIONAL"}
    known.market_reasons = {"binance": "BOOK_STALE"}
    assert reasons(known=known, drafts=[hedge]) == {"BOOK_STALE"}


@given(
    quantity=st.integers(0, 2000).map(lambda n: D(n) / 100_000),
    price=st.integers(5_900_000, 6_100_000).map(lambda n: D(n) / 100),
    live=st.integers(0, 25),
    arbitrages=st.integers(0, 6),
    recent=st.integers(0, 60),
    free=st.integers(0, 1000).map(D),
    exposure=st.integers(0, 5000).map(lambda n: D(n) / 100_000),
    trade=st.integers(0, 600).map(D),
    left=st.integers(-100, 600).map(D),
    floor=st.integers(0, 1000).map(D),
    age=st.integers(0, 2_000_000_000),
)
def test_no_approved_order_breaks_a_limit(
    quantity: Decimal,
    price: Decimal,
    live: int,
    arbitrages: int,
    recent: int,
    free: Decimal,
    exposure: Decimal,
    trade: Decimal,
    left: Decimal,
    floor: Decimal,
    age: int,
) -> None:
    known = facts(
        live_orders=live,
        arbitrages=arbitrages,
        recent_orders=recent,
        free={("binance", "USDT"): free, ("kucoin", "BTC"): D(1)},
        worst_exposure=exposure,
        allowed=Allowed(trade, left, {("binance", "USDT"): floor}),
        ages_ns={"binance": age, "kucoin": 0},
    )
    drafts = [
        draft(quantity=quantity, price=price, reserve=quantity * price),
        draft("kucoin", Side.SELL, quantity=quantity, price=D("60200")),
    ]
    if isinstance(check(LIMITS, known, drafts), Refused):
        return
    assert quantity * price <= LIMITS.max_order_notional
    assert quantity * price <= free - floor
    assert max(quantity * price, quantity * D("60200")) <= min(trade, left)
    assert quantity * price >= RULES.min_notional
    assert live + 2 <= LIMITS.max_open_orders
    assert arbitrages < LIMITS.max_arbitrages
    assert recent + 2 <= LIMITS.max_orders_per_s
    assert (exposure + quantity) * D(60_000) <= LIMITS.max_position_notional
    assert price <= D(60_600)
    assert age <= LIMITS.max_decision_age_ms * 1e6
