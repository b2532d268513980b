"""The bench's own strategy: what cross_arb sees and decides, cut down to its leg at Binance. For one order a tick.

The stub lets such orders expire (`"expire": true`), so that nothing is filled and nothing has to be hedged. It trades
nowhere else: `[[strategies]] name = "tradeserver.lab.bench.one_leg:OneLeg"` is written by the bench alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tradeserver.core.intents import Intent, Sighting, View
from tradeserver.core.market import SymbolMarket
from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams


class OneLeg(CrossArb):
    """`CrossArb` with intents of one leg."""

    name = "one_leg"
    Params = CrossArbParams

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting]:
        return [_one(sighting) for sighting in super().on_market(view, changed, ts)]


def _one(sighting: Sighting) -> Sighting:
    intent = sighting.intent
    if not isinstance(intent, Intent):
        return sighting
    leg = next(leg for leg in intent.legs if leg.venue == "binance")
    return msgspec.structs.replace(sighting, intent=Intent(intent.symbol, intent.quantity, (leg,)))
