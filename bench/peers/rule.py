"""The decision that every contender makes: the two venues' best prices against each other, after 10 bps of fees a side.

One order at Binance for each time that the edge appears: a buy where KuCoin bids more, a sell where it asks less. At
most 400 in quote and never more than both tops hold. The same rule as tradeserver's `cross_arb` with these settings.
"""

from __future__ import annotations

FEES_BPS = 20.0
LEAST_BPS = 2.0
MOST_NOTIONAL = 400.0

Top = tuple[float, float, float, float]
"""bid, its quantity, ask, its quantity"""


class Rule:
    """Fires once when the edge comes; `apart` while it stays."""

    def __init__(self) -> None:
        self.apart = False
        self.orders = 0

    def decide(self, binance: Top, kucoin: Top) -> tuple[str, float, float] | None:
        """(side at Binance, quantity, price), or None: most of the time."""
        bid, bid_quantity, ask, ask_quantity = binance
        other_bid, other_bid_quantity, other_ask, other_ask_quantity = kucoin
        if (other_bid / ask - 1.0) * 1e4 - FEES_BPS >= LEAST_BPS:
            order = "BUY", min(ask_quantity, other_bid_quantity, MOST_NOTIONAL / ask), ask
        elif (bid / other_ask - 1.0) * 1e4 - FEES_BPS >= LEAST_BPS:
            order = "SELL", min(bid_quantity, other_ask_quantity, MOST_NOTIONAL / other_ask), bid
        else:
            self.apart = False
            return None
        if self.apart:
            return None
        self.apart = True
        self.orders += 1
        return order
