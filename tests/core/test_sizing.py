"""Sizing: one quantity for all legs, net of fees, inside every limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk_kit import instrument
from tradeserver.core.arbitrage import common_lot
from tradeserver.core.intents import LegIntent
from tradeserver.core.sizing import Sized, base_fee, gross_up, money, quote_fee, reserve, size
from tradeserver.core.types import Charged, Fees, Instrument, Side

D = Decimal
BASE_FEE = Fees(D("0.001"), D("0.001"), Charged.RECEIVED)
QUOTE_FEE = Fees(D("0.001"), D("0.001"), Charged.QUOTE)
NO_FEE = Fees(D(0), D(0), Charged.QUOTE)
THIRD = Fees(D("0.00075"), D("0.00075"), Charged.THIRD, "BNB")
PLENTY = {(v, a): D(10**9) for v in ("binance", "kucoin") for a in ("BTC", "USDT")}
AMPLE = D(10**9)


def legs(
    buy: Fees = BASE_FEE, sell: Fees = QUOTE_FEE, ask: float = 60_001.0, bid: float = 60_241.0, **changes: Any
) -> list[tuple[LegIntent, Instrument, Fees]]:
    return [
        (LegIntent("binance", Side.BUY, ask, ask), instrument("binance", **changes), buy),
        (LegIntent("kucoin", Side.SELL, bid, bid), instrument("kucoin"), sell),
    ]


def sized(quantity: float, **changes: Any) -> Sized:
    known: dict[str, Any] = {"max_notional": AMPLE, "free": PLENTY, "carried": D(0)}
    return size(changes.pop("legs", legs()), quantity, **(known | changes))


# ---- by hand --------------------------------------------------------------------------------------------------------


def test_a_buy_that_pays_base_is_grossed_up() -> None:
    buy, sell = sized(0.00666).legs
    assert sell.quantity == D("0.00666")
    assert buy.quantity == D("0.00667")  # 0.00666 / 0.999 = 0.0066666..., up to the lot 0.00001


def test_a_buy_that_pays_quote_or_a_third_asset_is_not() -> None:
    for fees in (QUOTE_FEE, THIRD, NO_FEE):
        buy, sell = sized(0.00666, legs=legs(buy=fees)).legs
        assert buy.quantity == sell.quantity == D("0.00666")


def test_gross_up_is_exact_where_the_lots_meet() -> None:
    assert gross_up(D("0.999"), BASE_FEE, D("0.00001")) == D("1.00000")
    assert gross_up(D("0.99900001"), BASE_FEE, D("0.00001")) == D("1.00001")


@pytest.mark.parametrize(
    ("fees", "side", "base", "quote"),
    [
        (BASE_FEE, Side.BUY, "0.001", "0"),
        (BASE_FEE, Side.SELL, "0", "0.001"),
        (QUOTE_FEE, Side.BUY, "0", "0.001"),
        (QUOTE_FEE, Side.SELL, "0", "0.001"),
        (THIRD, Side.BUY, "0", "0"),
        (THIRD, Side.SELL, "0", "0"),
    ],
)
def test_which_asset_pays(fees: Fees, side: Side, base: str, quote: str) -> None:
    assert base_fee(fees, side) == D(base)
    assert quote_fee(fees, side) == D(quote)


def test_reservations_by_hand() -> None:
    buy, sell = sized(0.00666).legs
    assert reserve(buy) == ("USDT", D("0.00667") * D(60_001))
    assert reserve(sell) == ("BTC", D("0.00666"))
    (buy, _) = sized(0.00666, legs=legs(buy=QUOTE_FEE)).legs
    assert reserve(buy) == ("USDT", D("0.00666") * D(60_001) * D("1.001"))


def test_caps_round_inwards() -> None:
    buy, sell = sized(0.01, legs=legs(ask=60_001.119, bid=60_241.01)).legs
    assert buy.price == D("60001.11")  # binance's tick: 0.01
    assert sell.price == D("60241.1")  # kucoin's tick: 0.1


def test_a_balance_that_limits_is_named() -> None:
    small = PLENTY | {("kucoin", "BTC"): D("0.00012345")}
    outcome = sized(1.0, free=small)
    assert outcome.limiter == "NO_BALANCE kucoin BTC"
    assert outcome.legs[1].quantity == D("0.00012")
    poor = PLENTY | {("binance", "USDT"): D(600)}
    outcome = sized(1.0, free=poor)
    assert outcome.limiter == "NO_BALANCE binance USDT"
    assert outcome.legs[0].quantity * outcome.legs[0].price <= 600
    assert sized(1.0, free={}).legs[0].quantity == 0


def test_the_notional_limit_holds_for_the_dearer_leg() -> None:
    outcome = sized(1.0, max_notional=D(500))
    assert outcome.limiter == ""
    assert outcome.legs[1].quantity == D("0.00829")  # 500 / 60241 = 0.0082999...
    assert all(leg.quantity * leg.price <= 500 for leg in outcome.legs)


def test_carried_dust_is_netted() -> None:
    """Too much is carried: the leg with the finer lot, here the sell, takes it in; too little the other way."""
    outcome = sized(0.006, legs=legs(buy=QUOTE_FEE), carried=D("0.0005"))
    assert outcome.carried == D("0.0005")
    assert [leg.quantity for leg in outcome.legs] == [D("0.006"), D("0.0065")]
    outcome = sized(0.006, legs=legs(buy=QUOTE_FEE), carried=D("-0.0005"))
    assert [leg.quantity for leg in outcome.legs] == [D("0.006"), D("0.0055")]


def test_a_buy_with_the_finer_lot_nets() -> None:
    coarse = legs(buy=QUOTE_FEE, lot=D("0.000000001"))
    outcome = sized(0.006, legs=coarse, carried=D("0.0005"))
    assert [leg.quantity for leg in outcome.legs] == [D("0.0055"), D("0.006")]


def test_a_coarse_venue_does_not_stand_in_the_way_of_netting() -> None:
    """KuCoin trades thousandths only, Binance hundred-thousandths: what KuCoin cannot net, Binance sells."""
    pair = [
        (LegIntent("kucoin", Side.BUY, 60_001.0, 60_001.0), instrument("kucoin", lot=D("0.001")), NO_FEE),
        (LegIntent("binance", Side.SELL, 60_241.0, 60_241.0), instrument("binance"), NO_FEE),
    ]
    outcome = sized(0.0128, legs=pair, carried=D("0.00071"))
    assert [leg.quantity for leg in outcome.legs] == [D("0.012"), D("0.01271")]


def test_dust_of_half_the_trade_or_more_is_left_alone() -> None:
    outcome = sized(0.001, legs=legs(buy=QUOTE_FEE), carried=D("0.0005"))
    assert outcome.carried == 0
    assert [leg.quantity for leg in outcome.legs] == [D("0.001"), D("0.001")]


def test_a_short_residue_fits_into_the_limit_too() -> None:
    """200 lots short at the limit of 500: the grossed-up, netting buy still stays inside."""
    outcome = sized(1.0, max_notional=D(500), carried=D("-0.002"))
    assert outcome.carried == D("-0.002")
    buy, sell = outcome.legs
    assert buy.quantity * buy.price <= 500
    assert D("0") <= buy.quantity * D("0.999") - sell.quantity - D("0.002") < D("0.00001")
    assert sell.quantity > D("0.0063")


def test_a_cap_below_a_tick_is_no_price() -> None:
    outcome = sized(1.0, legs=legs(ask=0.001))
    assert outcome.legs == ()
    assert outcome.limiter == "TICK_SIZE binance"


def test_common_lot() -> None:
    assert common_lot([instrument("binance"), instrument("kucoin")]) == D("0.00001")
    odd = [instrument("binance", lot=D("0.0006")), instrument("kucoin", lot=D("0.0004"))]
    assert common_lot(odd) == D("0.0012")
    assert common_lot([instrument("binance", lot=D(10)), instrument("kucoin", lot=D("0.5"))]) == 10
    assert common_lot([instrument("binance", lot=D("1E+1")), instrument("kucoin", lot=D("15"))]) == 30


def test_averages_keep_a_thousandth_of_a_tick() -> None:
    value = money(60241.123456789, instrument("binance"))
    assert value % D("0.00001") == 0
    assert abs(value - D("60241.123456789")) <= D("0.00001")


# ---- whatever the input ---------------------------------------------------------------------------------------------

fee_schedules = st.sampled_from([BASE_FEE, QUOTE_FEE, THIRD, NO_FEE, Fees(D("0.02"), D("0.02"), Charged.RECEIVED)])
lots = st.sampled_from([D("0.00001"), D("0.00000001"), D("0.001"), D("0.0006"), D("1"), D("0.10")])
ticks = st.sampled_from([D("0.01"), D("0.1"), D("0.00001")])
amounts = st.integers(0, 10**12).map(lambda n: D(n) / 10**8)


@given(
    quantity=st.floats(1e-6, 50.0),
    ask=st.floats(0.5, 70_000.0),
    edge=st.floats(0.99, 1.05),
    buy_fees=fee_schedules,
    sell_fees=fee_schedules,
    buy_lot=lots,
    sell_lot=lots,
    tick=ticks,
    max_notional=st.integers(1, 10**6).map(D),
    free_quote=amounts,
    free_base=amounts,
    carried=st.integers(-(10**7), 10**7).map(lambda n: D(n) / 10**10),
)
def test_sizing_keeps_every_promise(
    quantity: float,
    ask: float,
    edge: float,
    buy_fees: Fees,
    sell_fees: Fees,
    buy_lot: Decimal,
    sell_lot: Decimal,
    tick: Decimal,
    max_notional: Decimal,
    free_quote: Decimal,
    free_base: Decimal,
    carried: Decimal,
) -> None:
    buyer = instrument("binance", lot=buy_lot, tick=tick)
    seller = instrument("kucoin", lot=sell_lot)
    intents = [
        (LegIntent("binance", Side.BUY, ask, ask), buyer, buy_fees),
        (LegIntent("kucoin", Side.SELL, ask * edge, ask * edge), seller, sell_fees),
    ]
    free = {("binance", "USDT"): free_quote, ("kucoin", "BTC"): free_base}
    outcome = size(intents, quantity, max_notional, free, carried)
    if not outcome.legs:
        assert ask < tick or ask * edge < seller.tick
        return
    buy, sell = outcome.legs
    if not buy.quantity or not sell.quantity:
        return
    assert buy.quantity % buy_lot == 0
    assert sell.quantity % sell_lot == 0
    assert buy.price <= D(repr(ask)) * (1 + D("1e-8"))
    assert sell.price >= D(repr(ask * edge)) * (1 - D("1e-8"))
    assert buy.price % tick == 0
    assert sell.price % seller.tick == 0
    for leg in outcome.legs:
        asset, amount = reserve(leg)
        assert amount <= free[leg.instrument.venue, asset]
        assert leg.quantity * leg.price <= max_notional
    assert outcome.carried in (D(0), carried)
    assert sell.quantity <= D(repr(quantity)) + abs(outcome.carried)
    net = buy.quantity * (1 - base_fee(buy_fees, Side.BUY)) - sell.quantity + outcome.carried
    assert 0 <= net < buy_lot + sell_lot


@given(st.floats(1e-4, 1.0), st.integers(10, 10**5))
def test_nothing_is_left_on_the_table(quantity: float, limit: int) -> None:
    """Where only the notional limits, one lot more would break it."""
    buy, sell = sized(quantity, max_notional=D(limit)).legs
    lot = D("0.00001")
    if sell.quantity + lot <= D(repr(quantity)):
        more = gross_up(sell.quantity + lot, BASE_FEE, lot)
        assert (sell.quantity + lot) * sell.price > limit or more * buy.price > limit
