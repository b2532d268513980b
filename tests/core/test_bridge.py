"""From the expected edge to the realised one: the sum is exact, and what the market did meanwhile has a name."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk_kit import SYMBOL, D, Kit
from tradeserver.core.arbitrage import Arbitrage
from tradeserver.core.orders import Order
from tradeserver.core.records import ArbitrageClosed, ArbitrageOpened, FillBooked, Leg, OrderSubmitted
from tradeserver.core.types import Side

ASK, BID = D(60_001), D(60_241)


def closed(kit: Kit) -> ArbitrageClosed:
    (record,) = kit.of(ArbitrageClosed)
    return record


def test_a_market_that_fell_before_the_second_leg_filled_is_time_between_legs() -> None:
    """The buy fills as planned; by then KuCoin bids 100 less; the sell gets 30 less than that: 130 in all."""
    kit = Kit()
    kit.begin()
    kit.quiet()
    buy, sell = kit.edge()
    kit.book("kucoin", 60_141.0, 60_142.0)
    kit.fill(buy, price=ASK)
    kit.close(buy)
    kit.book("kucoin", 60_000.0, 60_001.0)  # what comes later is the leg's own slippage
    kit.fill(sell, price=BID - 130)
    kit.close(sell)
    bridge = closed(kit).bridge
    assert bridge["time_between_legs"] == -100 * sell.quantity
    assert bridge["slippage_leg_1"] == -30 * sell.quantity
    assert bridge["slippage_leg_0"] == 0


def test_legs_that_fill_on_an_unmoved_market_lost_no_time() -> None:
    kit = Kit()
    kit.begin()
    kit.quiet()
    for order, price in zip(kit.edge(), (ASK, BID), strict=True):
        kit.fill(order, price=price)
        kit.close(order)
    assert closed(kit).bridge["time_between_legs"] == 0


prices = st.decimals(D("0.01"), D(99_999), places=5)
quantities = st.decimals(D("0.00001"), D(50), places=8)
amounts = st.decimals(D(0), D(3), places=8)
fill = st.tuples(prices, quantities, amounts, st.sampled_from(["BTC", "USDT", "BNB"]))


@st.composite
def arbitrages(draw: st.DrawFn) -> Arbitrage:
    """Two legs and up to two hedges, with any fills at any price, also far more than was planned."""
    sides = draw(st.permutations([Side.BUY, Side.SELL]))
    legs = tuple(
        Leg(
            leg=number,
            venue="v",
            symbol=SYMBOL,
            side=side,
            quantity=draw(quantities),
            cap=draw(prices),
            expected_price=draw(prices),
            expected_fee=draw(amounts),
            net_base=draw(quantities) * (1 if side is Side.BUY else -1),
            client_id=f"leg{number}",
        )
        for number, side in enumerate(sides)
    )
    buy = next(leg for leg in legs if leg.side is Side.BUY)
    planned = sum((-1 if leg.side is Side.BUY else 1) * leg.quantity * leg.expected_price for leg in legs)
    planned -= sum(leg.expected_fee for leg in legs)
    expected = planned + sum(leg.net_base for leg in legs) * buy.expected_price
    opened = ArbitrageOpened(
        ts=0, arbitrage=1, strategy="s", opportunity=1, base="BTC", quote="USDT", legs=legs,
        gross_bps=0.0, net_bps=0.0, expected_edge=Decimal(expected), on_exhausted="unwind",
    )  # fmt: skip
    arbitrage = Arbitrage(opened)
    hedges = [(f"hedge{n}", draw(st.sampled_from(Side))) for n in range(draw(st.integers(0, 2)))]
    stood = {leg.leg: draw(prices) for leg in legs[1:]} if draw(st.booleans()) else {}
    for client_id, side in [*((leg.client_id, leg.side) for leg in legs), *hedges]:
        if client_id == "leg1" and draw(st.booleans()):
            continue  # it never left
        order = Order(
            OrderSubmitted(
                ts=0,
                venue="v",
                symbol=SYMBOL,
                client_id=client_id,
                arbitrage=1,
                leg=0,
                attempt=0,
                side=side,
                quantity=D(1),
                price=D(1),
                time_in_force="IOC",
                opening=True,
                reserve_asset="USDT",
                reserve=D(0),
            )
        )
        for number, (price, quantity, commission, asset) in enumerate(draw(st.lists(fill, max_size=3))):
            booked = FillBooked(
                ts=0, venue="v", symbol=SYMBOL, client_id=client_id, arbitrage=1, leg=0, side=side,
                trade_id=f"{client_id}-{number}", venue_order_id="", price=price, quantity=quantity,
                commission=commission, commission_asset=asset, commission_expected=False, maker=False, venue_ts=0,
                stood=stood if client_id == "leg0" and number == 0 else {},
            )  # fmt: skip
            order.add(booked)
        arbitrage.add(order)
    return arbitrage


@given(arbitrages(), prices)
def test_expected_and_bridge_come_to_what_the_cash_says(arbitrage: Arbitrage, mark: Decimal) -> None:
    realised, bridge, _ = arbitrage.result(mark)
    cash = base = D(0)
    for order in arbitrage.orders.values():  # what the account has seen, nothing of the plan in it
        for one in order.fills:
            sign = 1 if one.side is Side.BUY else -1
            cash -= sign * one.price * one.quantity + (one.commission if one.commission_asset == "USDT" else 0)
            base += sign * one.quantity - (one.commission if one.commission_asset == "BTC" else 0)
    assert realised == cash + base * mark
    assert arbitrage.opened.expected_edge + sum(bridge.values()) == realised
