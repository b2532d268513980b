"""From an intent's floats to orders in money: one quantity for all legs, net of the fees taken in base.

The quantity is a multiple of every leg's lot. A buy whose commission is charged in base is grossed up, so that what
arrives is what the other leg sells, within one lot; carried dust is netted into it. Quantities round down (the gross-up
rounds up, inside the limits), buy caps down, sell floors up. Pure functions; they look at nothing but their arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

import msgspec

from tradeserver.core.arbitrage import common_multiple
from tradeserver.core.intents import LegIntent
from tradeserver.core.types import ZERO, Charged, Fees, Instrument, Rounding, Side, measured, on_grid

ONE = Decimal(1)
BUY, SELL = Side.BUY, Side.SELL  # an Enum's member is found ten times as slowly by its class
DOWN, UP = Rounding.DOWN, Rounding.UP


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
    return fees.taker if fees.charged is Charged.RECEIVED and side is BUY else ZERO


def quote_fee(fees: Fees, side: Side) -> Decimal:
    """The fraction of a taker's notional that is charged in quote."""
    if fees.charged is Charged.QUOTE or (fees.charged is Charged.RECEIVED and side is SELL):
        return fees.taker
    return ZERO


@lru_cache(maxsize=1_024)
def rates(fees: Fees, side: Side) -> tuple[Decimal, Decimal]:
    """(`base_fee`, `quote_fee`)."""
    return base_fee(fees, side), quote_fee(fees, side)


@lru_cache(maxsize=1_024)
def _shares(fees: Fees) -> tuple[Decimal, Decimal]:
    """Of a buy: the share of its base that stays ours, and what it takes in quote for each one of its notional."""
    return ONE - base_fee(fees, BUY), ONE + quote_fee(fees, BUY)


def reserve(leg: SizedLeg) -> tuple[str, Decimal]:
    """(asset, amount) that the order may take at worst: a buy its cap and fee in quote, a sell its base."""
    if leg.side is SELL:
        return leg.instrument.base, leg.quantity
    return leg.instrument.quote, leg.quantity * leg.price * _shares(leg.fees)[1]


@lru_cache(maxsize=1_024)
def _lots(instruments: tuple[Instrument, ...]) -> tuple[Decimal, int]:
    """Of these instruments: the smallest common multiple of their lots, and which one has the finest lot."""
    lots = tuple([instrument.lot for instrument in instruments])
    return common_multiple(lots), lots.index(min(lots))


def gross_up(target: Decimal, fees: Fees, lot: Decimal) -> Decimal:
    """The quantity to buy so that `target` base arrives, up to the next lot."""
    return on_grid(target / _shares(fees)[0], lot, UP)


class Sized(msgspec.Struct, frozen=True):
    """The legs in money; none where a cap is no price."""

    legs: tuple[SizedLeg, ...]
    limiter: str  # the reason that made the quantity smaller, "" where nothing did
    carried: Decimal = ZERO  # the dust that the legs net


class _Priced(msgspec.Struct, frozen=True):
    instrument: Instrument
    fees: Fees
    side: Side
    price: Decimal
    expected_price: Decimal
    arrives: Decimal  # share of the base that is bought and stays ours
    costs: Decimal  # what a buy takes in quote, for each one of its notional
    nets: bool  # this leg takes the carried dust in: the one with the finest lot


def size(
    legs: Sequence[tuple[LegIntent, Instrument, Fees]],
    quantity: float,
    max_notional: Decimal,
    free: Mapping[tuple[str, str], Decimal],
    carried: Decimal,
) -> Sized:
    """One quantity for all legs, as large as everything allows.

    `quantity` is the base that the intent would trade, `max_notional` the limit of one leg, `free` the unreserved
    balances by (venue, asset), `carried` the dust of the base asset; it is netted where the trade is at least twice as
    large. A quantity of zero is for risk to refuse.
    """
    lot, finest = _lots(tuple([instrument for _, instrument, _ in legs]))
    priced: list[_Priced] = []
    for leg, instrument, fees in legs:
        price = measured(leg.cap, instrument.tick, DOWN if leg.side is BUY else UP)
        if price <= ZERO:
            return Sized((), f"TICK_SIZE {instrument.venue}")
        arrives, costs = _shares(fees)
        expected = money(leg.expected_price, instrument)
        priced.append(_Priced(instrument, fees, leg.side, price, expected, arrives, costs, len(priced) == finest))
    whole = Decimal(repr(quantity))
    common, netted = _netting(whole, lot, carried)
    sized = _legs(priced, common, netted)
    if common and _within(sized, max_notional, free):
        return Sized(sized, "", netted)  # as nearly always: nothing limits it
    return _limited(priced, whole, lot, max_notional, free, carried)


def _netting(wanted: Decimal, lot: Decimal, carried: Decimal) -> tuple[Decimal, Decimal]:
    """(quantity on the common lot, the dust that a trade so large nets)."""
    common = on_grid(max(wanted, ZERO), lot, DOWN)
    return common, carried if abs(carried) * 2 < common else ZERO


def _limited(
    priced: Sequence[_Priced],
    whole: Decimal,
    lot: Decimal,
    max_notional: Decimal,
    free: Mapping[tuple[str, str], Decimal],
    carried: Decimal,
) -> Sized:
    """The largest that balances and limit allow, where they do not allow the whole."""
    wanted, limiter = _largest(priced, whole, max_notional, free, carried)
    common, netted = _netting(wanted, lot, carried)
    if netted != carried:
        wanted, limiter = _largest(priced, whole, max_notional, free, netted)
        common = on_grid(max(wanted, ZERO), lot, DOWN)
    sized = _legs(priced, common, netted)
    while common and not _within(sized, max_notional, free):  # the gross-up rounds up: once, by a lot
        common -= lot
        sized = _legs(priced, common, netted)
    return Sized(sized, limiter, netted if common else ZERO)


def _largest(
    priced: Sequence[_Priced],
    wanted: Decimal,
    max_notional: Decimal,
    free: Mapping[tuple[str, str], Decimal],
    netted: Decimal,
) -> tuple[Decimal, str]:
    """The most that every leg's balance and limit allow, and the balance that decided."""
    limiter = ""
    for leg in priced:
        rules, price = leg.instrument, leg.price
        taken_in = netted if leg.nets else ZERO
        if leg.side is BUY:
            asset = rules.quote
            affordable = free.get((rules.venue, asset), ZERO) / (price * leg.costs) * leg.arrives + taken_in
            largest = max_notional / price * leg.arrives + taken_in
        else:
            asset = rules.base
            affordable = free.get((rules.venue, asset), ZERO) - taken_in
            largest = max_notional / price - taken_in
        if affordable < wanted:
            wanted, limiter = affordable, f"NO_BALANCE {rules.venue} {asset}"
        if largest < wanted:
            wanted, limiter = largest, ""
    return wanted, limiter


def _legs(priced: Sequence[_Priced], common: Decimal, netted: Decimal) -> tuple[SizedLeg, ...]:
    """`common` net of fees and of the dust that a leg takes in: a buy buys less of it, a sell sells it too."""
    sized = []
    for leg in priced:
        rules, quantity = leg.instrument, common
        if common:
            taken_in = netted if leg.nets else ZERO
            if leg.side is BUY:
                quantity = gross_up(max(common - taken_in, ZERO), leg.fees, rules.lot)
            else:
                quantity = on_grid(common + taken_in, rules.lot, DOWN)
        sized.append(SizedLeg(rules, leg.fees, leg.side, quantity, leg.price, leg.expected_price))
    return tuple(sized)


def money(price: float, instrument: Instrument) -> Decimal:
    """An average or a mid as money: to a thousandth of a tick, so that sums of its products stay exact."""
    return measured(price, instrument.tick / 1000, DOWN)


def _within(legs: Sequence[SizedLeg], max_notional: Decimal, free: Mapping[tuple[str, str], Decimal]) -> bool:
    for leg in legs:
        asset, amount = reserve(leg)
        if leg.quantity * leg.price > max_notional or amount > free.get((leg.instrument.venue, asset), ZERO):
            return False
    return True
