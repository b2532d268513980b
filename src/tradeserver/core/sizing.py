"""From an intent's floats to orders in money: one quantity for all legs, net of the fees taken in base.

The quantity is a multiple of every leg's lot. A buy whose commission is charged in base is grossed up, so that what
arrives is what the other leg sells, within one lot; carried dust is netted into it. Quantities round down (the gross-up
rounds up, inside the limits), buy caps down, sell floors up. Pure functions; they look at nothing but their arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from tradeserver.core.arbitrage import common_lot
from tradeserver.core.intents import LegIntent
from tradeserver.core.types import ZERO, Charged, Fees, Instrument, Rounding, Side, quantise

ONE = Decimal(1)


class SizedLeg(msgspec.Struct, frozen=True):
    """One leg in money."""

    instrument: Instrument
    fees: Fees
    side: Side
    quantity: Decimal
    price: Decimal  # the cap
    expected_price: Decimal


def base_fee(fees: Fees, side: Side) -> Decimal:
    """The fraction of a taker's base that the venue keeps."""
    return fees.taker if fees.charged is Charged.RECEIVED and side is Side.BUY else ZERO


def quote_fee(fees: Fees, side: Side) -> Decimal:
    """The fraction of a taker's notional that is charged in quote."""
    if fees.charged is Charged.QUOTE or (fees.charged is Charged.RECEIVED and side is Side.SELL):
        return fees.taker
    return ZERO


def reserve(leg: SizedLeg) -> tuple[str, Decimal]:
    """(asset, amount) that the order may take at worst: a buy its cap and fee in quote, a sell its base."""
    if leg.side is Side.SELL:
        return leg.instrument.base, leg.quantity
    return leg.instrument.quote, leg.quantity * leg.price * (ONE + quote_fee(leg.fees, Side.BUY))


def gross_up(target: Decimal, fees: Fees, lot: Decimal) -> Decimal:
    """The quantity to buy so that `target` base arrives, up to the next lot."""
    return quantise(target / (ONE - base_fee(fees, Side.BUY)), lot, Rounding.UP)


def size(
    legs: Sequence[tuple[LegIntent, Instrument, Fees]],
    quantity: float,
    max_notional: Decimal,
    free: Mapping[tuple[str, str], Decimal],
    carried: Decimal,
) -> tuple[tuple[SizedLeg, ...], str]:
    """The legs in money, and what limited them ("" where nothing did).

    `quantity` is the base that the intent would trade, `max_notional` the limit of one leg, `free` the unreserved
    balances by (venue, asset), `carried` the dust of the base asset. A quantity of zero is for risk to refuse.
    """
    lot = common_lot(instrument for _, instrument, _ in legs)
    priced = [
        (leg, instrument, fees, instrument.price(leg.cap, Rounding.DOWN if leg.side is Side.BUY else Rounding.UP))
        for leg, instrument, fees in legs
    ]
    wanted = Decimal(repr(quantity))
    limiter = ""
    for leg, instrument, fees, price in priced:
        if price <= 0:
            return (), f"TICK_SIZE {instrument.venue}"
        if leg.side is Side.SELL:
            affordable = free.get((instrument.venue, instrument.base), ZERO)
            asset = instrument.base
        else:
            affordable = free.get((instrument.venue, instrument.quote), ZERO) / (
                price * (ONE + quote_fee(fees, Side.BUY))
            )
            affordable *= ONE - base_fee(fees, Side.BUY)
            asset = instrument.quote
        if affordable < wanted:
            wanted, limiter = affordable, f"NO_BALANCE {instrument.venue} {asset}"
        largest = max_notional / price * (ONE - base_fee(fees, leg.side))
        if largest < wanted:
            wanted, limiter = largest, ""
    common = quantise(max(wanted, ZERO), lot, Rounding.DOWN)
    netted = carried if abs(carried) * 2 < common else ZERO
    sized = _legs(priced, common, netted)
    for _ in range(3):  # the gross-up rounds up: step down where that breaks a limit
        if not common or _within(sized, max_notional, free):
            break
        common -= lot
        sized = _legs(priced, common, netted)
    return sized, limiter


def _legs(
    priced: Sequence[tuple[LegIntent, Instrument, Fees, Decimal]], common: Decimal, netted: Decimal
) -> tuple[SizedLeg, ...]:
    return tuple(
        SizedLeg(
            instrument,
            fees,
            leg.side,
            gross_up(common - netted, fees, instrument.lot) if leg.side is Side.BUY and common else common,
            price,
            Decimal(repr(leg.expected_price)),
        )
        for leg, instrument, fees, price in priced
    )


def _within(legs: Sequence[SizedLeg], max_notional: Decimal, free: Mapping[tuple[str, str], Decimal]) -> bool:
    for leg in legs:
        asset, amount = reserve(leg)
        if leg.quantity * leg.price > max_notional or amount > free.get((leg.instrument.venue, asset), ZERO):
            return False
    return True
