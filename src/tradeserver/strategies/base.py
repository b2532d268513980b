"""The registry: built-in strategies by short name, anyone else's by `package.module:Class`."""

from __future__ import annotations

from tradeserver.strategies.cross_arb import CrossArb, CrossArbParams
from tradeserver.strategies.mean_reversion import MeanReversion, MeanReversionParams

BUILT_IN: dict[str, tuple[type, type]] = {
    "cross_arb": (CrossArb, CrossArbParams),
    "mean_reversion": (MeanReversion, MeanReversionParams),
}
"""Short name -> (class, its parameters' dataclass). A class is constructed with (params, symbols, venues)."""
