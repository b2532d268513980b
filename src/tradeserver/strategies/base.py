"""The registry: built-in strategies by short name, anyone else's by `package.module:Class`."""

from __future__ import annotations

from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams
from tradeserver.strategies.mean_reversion import MeanReversion, MeanReversionParams
from tradeserver.strategies.stat_arb import StatArb, StatArbParams

BUILT_IN: dict[str, tuple[type, type]] = {
    "cross_arb": (CrossArb, CrossArbParams),
    "mean_reversion": (MeanReversion, MeanReversionParams),
    "stat_arb": (StatArb, StatArbParams),
}
"""Short name -> (class, its parameters' dataclass). A class is constructed with (params, symbols, venues)."""
