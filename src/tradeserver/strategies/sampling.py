"""Even samples of an uneven stream, and the prices that are sampled.

A sample is due at the first update at or after each multiple of the period since the epoch: what is decided on it can
be done at the very prices that were sampled. Nothing is made up for periods without an update; after more than
`GAP_PERIODS` of them in a row the caller is told, so that it does not take what lies before and after for neighbours.
"""

from __future__ import annotations

import enum
from typing import Final

from tradeserver.core.market import SymbolMarket

GAP_PERIODS: Final = 5
SECOND_NS: Final = 1_000_000_000


class Due(enum.IntEnum):
    """Whether to take a sample now."""

    NO = 0
    YES = 1
    AFTER_GAP = 2  # yes, and forget what was before


class Sampler:
    """One stream's clock."""

    __slots__ = ("_next", "_period_ns")

    def __init__(self, period_s: float) -> None:
        self._period_ns = int(period_s * SECOND_NS)
        self._next = 0

    def due(self, ts: int) -> Due:
        """Call it with every update's time; a sample that is due is due once."""
        if ts < self._next:
            return Due.NO
        gap = bool(self._next) and ts - self._next >= GAP_PERIODS * self._period_ns
        self._next = (ts // self._period_ns + 1) * self._period_ns
        return Due.AFTER_GAP if gap else Due.YES


def micro_price(market: SymbolMarket) -> float:
    """Between the bests, nearer to the side with less behind it: the side that is likelier to give way."""
    quantity = market.bid_quantity + market.ask_quantity
    return (market.ask * market.bid_quantity + market.bid * market.ask_quantity) / quantity if quantity else market.mid


def spread_bps(market: SymbolMarket) -> float:
    """Best ask over best bid, in basis points of the mid."""
    return (market.ask - market.bid) / market.mid * 1e4
