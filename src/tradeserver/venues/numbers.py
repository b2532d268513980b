"""What a venue's number must be before it is believed: finite, not negative, and of a size that our arithmetic carries.

A string on the wire can say "NaN", "Infinity" or "1E+999999", and a decoder that is asked for a number takes it. Market
data are checked by the decoder itself: `DepthUpdate[Measured]` instead of `[float]` (0.08 us a frame of ten levels,
0.2 us one of forty). Money is checked where a message becomes an event: `money` and `charge`. What does not pass raises
`msgspec.ValidationError`, so that a frame is malformed and an answer is no answer: the venue's fault, never ours.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec

MOST: Final = Decimal(10**18)
"""No price, quantity or balance is larger. `Decimal` keeps 28 digits: so much on a grid of 1e-8 takes 27 of them."""

Measured = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
"""A price or quantity of market data. 0 is allowed: a removed level, an empty side, KuCoin's "no change"."""


def money(value: Decimal) -> Decimal:
    """`value`, which must be an amount: 0 or more. Raises msgspec.ValidationError."""
    if value.is_finite() and 0 <= value <= MOST:
        return value
    raise msgspec.ValidationError(f"{value:.6g} is no amount of money")


def charge(value: Decimal) -> Decimal:
    """The same for what may be negative: commission, where a maker is paid, and its rates."""
    if value.is_finite() and -MOST <= value <= MOST:
        return value
    raise msgspec.ValidationError(f"{value:.6g} is no commission")
