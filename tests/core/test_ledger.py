"""Balances, reservations and average cost against naive twins."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.ledger import Ledger, Position
from tradeserver.core.orders import LIVE, Order
from tradeserver.core.records import (
    BalanceBooked,
    CommissionCorrected,
    FillBooked,
    OrderState,
    OrderSubmitted,
)
from tradeserver.core.types import Side

D = Decimal
SYMBOL = "BTC/USDT"


def fill(
    side: Side,
    quantity: str | Decimal,
    price: str | Decimal,
    commission: str | Decimal = "0",
    asset: str = "USDT",
    *,
    arbitrage: int = 1,
    trade_id: str = "1",
    client_id: str = "a",
    venue: str = "binance",
) -> FillBooked:
    return FillBooked(
        ts=1,
        venue=venue,
        symbol=SYMBOL,
        client_id=client_id,
        arbitrage=arbitrage,
        leg=0,
        side=side,
        trade_id=trade_id,
        venue_order_id="v",
        price=D(price),
        quantity=D(quantity),
        commission=D(commission),
        commission_asset=asset,
        commission_expected=False,
        maker=False,
        venue_ts=0,
    )


def order(side: Side, quantity: str | Decimal, reserve: str | Decimal, client_id: str = "a") -> Order:
    return Order(
        OrderSubmitted(
            ts=1,
            venue="binance",
            symbol=SYMBOL,
            client_id=client_id,
            arbitrage=1,
            leg=0,
            attempt=0,
            side=side,
            quantity=D(quantity),
            price=D(60_000),
            time_in_force="IOC",
            opening=True,
            reserve_asset="USDT" if side is Side.BUY else "BTC",
            reserve=D(reserve),
        )
    )


def test_a_buy_and_a_sell_by_hand() -> None:
    ledger = Ledger()
    ledger.apply_balance(
        BalanceBooked(ts=1, venue="binance", asset="USDT", total=D(1000), previous=D(0), reason="opening")
    )
    ledger.apply_fill(fill(Side.BUY, "0.01", "60000", "0.00001", "BTC"))
    assert ledger.totals == {("binance", "USDT"): D(400), ("binance", "BTC"): D("0.00999")}
    ledger.apply_fill(fill(Side.SELL, "0.00999", "61000", "0.60939"))
    assert ledger.totals[("binance", "BTC")] == 0
    assert ledger.totals[("binance", "USDT")] == D("1008.78061")  # 400 + 609.39 - 0.60939
    assert ledger.realised == {"USDT": D("8.78061")}
    assert ledger.fees == {"BTC": D("0.00001"), "USDT": D("0.60939")}
    assert ledger.positions[SYMBOL].quantity == 0
    assert ledger.positions[SYMBOL].cost == 0


def test_a_third_asset_is_a_cost_and_no_position() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(Side.BUY, "0.01", "60000", "0.001", "BNB"))
    assert ledger.totals[("binance", "BNB")] == D("-0.001")
    assert ledger.fees == {"BNB": D("0.001")}
    assert ledger.positions[SYMBOL].quantity == D("0.01")
    assert ledger.positions[SYMBOL].cost == D(600)


def test_a_foreign_fill_moves_balances_and_earns_nothing() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(Side.BUY, "0.01", "60000", "0.6", arbitrage=0))
    assert ledger.totals == {("binance", "BTC"): D("0.01"), ("binance", "USDT"): D("-600.6")}
    assert ledger.positions == {}
    assert ledger.realised == {}
    assert ledger.fees == {}


def test_a_corrected_commission_equals_one_booked_right_at_once() -> None:
    for side in Side:
        for asset, amount in (("USDT", "0.7"), ("BTC", "0.00001"), ("KCS", "0.02")):
            right, repaired = Ledger(), Ledger()
            right.apply_fill(fill(side, "0.01", "60000", amount, asset))
            wrong = fill(side, "0.01", "60000", "0.6", "USDT")
            repaired.apply_fill(wrong)
            repaired.apply_commission(
                CommissionCorrected(
                    ts=2,
                    venue="binance",
                    symbol=SYMBOL,
                    client_id="a",
                    trade_id="1",
                    commission=D(amount),
                    commission_asset=asset,
                ),
                wrong,
            )
            assert repaired.totals == right.totals
            assert {a: f for a, f in repaired.fees.items() if f} == right.fees
            total = right.realised.get("USDT", D(0)) - right.positions[SYMBOL].cost
            assert repaired.realised.get("USDT", D(0)) - repaired.positions[SYMBOL].cost == total
            assert repaired.positions[SYMBOL].quantity == right.positions[SYMBOL].quantity


# ---- positions ------------------------------------------------------------------------------------------------------

lots = st.integers(-500, 500).map(lambda n: D(n) / 100_000)
prices = st.integers(1, 10_000_000).map(lambda n: D(n) / 100)


class Twin:
    """Average cost in fractions: closing realises against the average, what is left over opens the other way."""

    def __init__(self) -> None:
        self.quantity = Fraction(0)
        self.average = Fraction(0)
        self.realised = Fraction(0)

    def trade(self, base: Fraction, price: Fraction) -> None:
        if self.quantity * base < 0:
            closed = min(abs(base), abs(self.quantity)) * (1 if base > 0 else -1)
            self.realised += -closed * (price - self.average)
            self.quantity += closed
            base -= closed
        if base:
            cost = self.quantity * self.average + base * price
            self.quantity += base
            self.average = cost / self.quantity


@given(st.lists(st.tuples(lots.filter(bool), prices), max_size=30))
def test_positions_against_fractions(trades: list[tuple[Decimal, Decimal]]) -> None:
    position, twin = Position(), Twin()
    realised, cash = D(0), D(0)
    for base, price in trades:
        realised += position.trade(base, -base * price)
        cash -= base * price
        twin.trade(Fraction(base), Fraction(price))
        assert Fraction(position.quantity) == twin.quantity
        assert abs(Fraction(position.cost) - twin.quantity * twin.average) < Fraction(1, 10**15)
        assert abs(Fraction(realised) - twin.realised) < Fraction(1, 10**15)
        mid = D(50_000)
        assert abs(realised + position.unrealised(mid) - cash - position.quantity * mid) < D("1e-15")
        if not position.quantity:
            assert position.cost == 0


# ---- totals ---------------------------------------------------------------------------------------------------------

fills = st.builds(
    fill,
    st.sampled_from(Side),
    st.integers(1, 10**7).map(lambda n: D(n) / 10**8),
    prices,
    st.integers(0, 10**6).map(lambda n: D(n) / 10**10),
    st.sampled_from(["BTC", "USDT", "BNB"]),
    arbitrage=st.integers(0, 1),
    venue=st.sampled_from(["binance", "kucoin"]),
)


@given(st.lists(fills, max_size=30))
def test_totals_are_exact(booked: list[FillBooked]) -> None:
    ledger = Ledger()
    exact: dict[tuple[str, str], Fraction] = {}
    for one in booked:
        ledger.apply_fill(one)
        sign = 1 if one.side is Side.BUY else -1
        for asset, amount in (
            ("BTC", Fraction(one.quantity) * sign),
            ("USDT", -Fraction(one.quantity) * Fraction(one.price) * sign),
            (one.commission_asset, -Fraction(one.commission)),
        ):
            exact[one.venue, asset] = exact.get((one.venue, asset), Fraction(0)) + amount
    assert {k: v for k, v in exact.items() if v} == {k: Fraction(v) for k, v in ledger.totals.items() if v}


# ---- reservations ---------------------------------------------------------------------------------------------------

states = st.sampled_from(OrderState)
changes = st.tuples(st.integers(0, 3), states | st.integers(1, 60).map(lambda n: D(n) / 100_000))


@given(st.lists(changes, max_size=40))
def test_reservations_never_leak(steps: list[tuple[int, OrderState | Decimal]]) -> None:
    ledger = Ledger()
    orders = [
        order(Side.BUY, "0.00147", "88.29482"),
        order(Side.SELL, "0.00147", "0.00147", "b"),
        order(Side.BUY, "0.00033", "20.00001", "c"),
        order(Side.SELL, "0.00007", "0.00007", "d"),
    ]
    for one in orders:
        ledger.hold(one)
    for index, change in steps:
        one = orders[index]
        ledger.release(one)
        if isinstance(change, OrderState):
            one.state = change
        else:
            one.filled += change  # over-fills too
        ledger.hold(one)
        for asset, side in (("USDT", Side.BUY), ("BTC", Side.SELL)):
            reserved = ledger.reserved.get(("binance", asset), D(0))
            worst = sum((o.submitted.reserve for o in orders if o.submitted.side is side and o.live), D(0))
            assert 0 <= reserved <= worst
            assert ledger.free("binance", asset) == -reserved
    for one in orders:
        ledger.release(one)
        one.state = OrderState.EXPIRED
        ledger.hold(one)
    assert ledger.reserved == {}


def test_a_reservation_shrinks_with_the_fills_and_goes_with_the_end() -> None:
    ledger = Ledger()
    one = order(Side.BUY, "0.003", "180.18")
    ledger.hold(one)
    assert ledger.reserved == {("binance", "USDT"): D("180.18")}
    ledger.release(one)
    one.filled = D("0.001")
    ledger.hold(one)
    assert ledger.reserved == {("binance", "USDT"): D("120.12")}
    assert OrderState.UNKNOWN in LIVE
