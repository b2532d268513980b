"""The nouns of the house: venues' instruments, sides, order types, fees, and the border between floats and money.

Market data are measurements (`float`); orders, fills, balances, limits and P&L are money (`Decimal`). The two meet in
`Instrument.price` and `Instrument.quantity` only. Nothing here decides anything.
"""

from __future__ import annotations

import enum
import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec

ZERO: Final = Decimal(0)
BPS: Final = Decimal(10_000)

Key = tuple[str, str]
"""(venue, symbol), for example ("binance", "BTC/USDT"): what a book, an instrument or a fee schedule is filed under."""

Level = tuple[float, float]
"""(price, quantity) of one book level."""


class Word(enum.Enum):
    """One of a few fixed words. Hashed by identity, as it is compared: Enum's own hash is Python code, 0.3 us a look
    into a table. So never iterate over a set of words: its order is no run's but this one's."""

    __hash__ = object.__hash__


class Side(Word):
    """The side of an order, seen from us."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class TimeInForce(Word):
    """How long an order may rest. Arbitrage legs and hedges are IOC."""

    IOC = "IOC"
    GTC = "GTC"
    FOK = "FOK"


class Rounding(Word):
    """Which way the border rounds: towards the cheaper price or the smaller quantity (DOWN), or up."""

    DOWN = "down"
    UP = "up"


class Charged(Word):
    """The asset in which a venue is expected to charge commission."""

    RECEIVED = "received"  # Binance: a buy pays base, a sell pays quote
    QUOTE = "quote"  # KuCoin: both sides pay quote
    THIRD = "third"  # BNB, KCS: `Fees.third_asset`


class Fees(msgspec.Struct, frozen=True, cache_hash=True):
    """Commission rates of one symbol at one venue, as fractions (0.001 is 10 bps)."""

    maker: Decimal
    taker: Decimal
    charged: Charged
    third_asset: str = ""


class Instrument(msgspec.Struct, frozen=True, cache_hash=True):
    """One symbol at one venue with its trading rules. Prices in quote, quantities in base.

    A `max_*` or `min_*` of zero means that the venue sets no such limit.
    """

    venue: str
    symbol: str  # ours: "BTC/USDT"
    native: str  # the venue's: "BTCUSDT", "BTC-USDT"
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal = ZERO
    tradable: bool = True

    @property
    def key(self) -> Key:
        return (self.venue, self.symbol)

    def price(self, x: float, rounding: Rounding) -> Decimal:
        """`x` as money, on the tick grid. A result within 1e-9 of a tick, and a hundredth of one, is that tick."""
        return measured(x, self.tick, rounding)

    def quantity(self, x: float, rounding: Rounding = Rounding.DOWN) -> Decimal:
        """`x` as money, on the lot grid. A result within 1e-9 of a lot, and a hundredth of one, is that lot."""
        return measured(x, self.lot, rounding)


_NEAR: Final = 1e-9  # of the value: what arithmetic in floats may have added or taken
_NEAR_STEPS: Final = 0.01  # but never more than a hundredth of a step: down is down where there are many steps
_NEAR_MONEY: Final = Decimal("1e-9")
_NEAR_STEPS_MONEY: Final = Decimal("0.01")
_COUNTABLE: Final = 1e12


def measured(x: float, step: Decimal, rounding: Rounding) -> Decimal:
    """`quantise(Decimal(repr(x)), step, rounding)`, at a third of the time: the steps are counted in floats.

    A float errs by some 1e-16 of itself. Where there are so many steps that this comes near a hundredth of one, they
    are counted as money.
    """
    steps = x / float(step)
    if steps > _COUNTABLE:
        return quantise(Decimal(repr(x)), step, rounding)
    nearest = round(steps)
    apart = abs(steps - nearest)
    if apart > _NEAR and apart > min(_NEAR * abs(steps), _NEAR_STEPS):
        nearest = math.floor(steps) if rounding is Rounding.DOWN else math.ceil(steps)
    return Decimal(nearest) * step


def quantise(value: Decimal, step: Decimal, rounding: Rounding) -> Decimal:
    """`value` on the grid of `step`: a grid point within 1e-9 of it and a hundredth of a step, else rounded as told."""
    steps = value / step
    nearest = steps.to_integral_value()
    if abs(steps - nearest) > min(_NEAR_MONEY * max(abs(steps), Decimal(1)), _NEAR_STEPS_MONEY):
        nearest = steps.to_integral_value(ROUND_FLOOR if rounding is Rounding.DOWN else ROUND_CEILING)
    return (nearest * step).quantize(step)


def on_grid(value: Decimal, step: Decimal, rounding: Rounding) -> Decimal:
    """Money on the grid of `step`, exactly: what is already money has no float's noise that would need snapping."""
    steps = value // step  # towards zero
    if rounding is Rounding.DOWN:
        if steps * step > value:
            steps -= 1
    elif steps * step < value:
        steps += 1
    return steps * step


def plain(value: Decimal) -> str:
    """`value` in plain notation without trailing zeros: "0.0000001", never "1E-7"; "100", never "1E+2"."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
