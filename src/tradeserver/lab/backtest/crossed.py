"""How long each direction was crossed after fees: somebody who looks on, in the place of a strategy, and says nothing.

A direction is crossed while bid x (1 - taker fee) is strictly above ask x (1 + taker fee), on books that are
synchronised. Between two looks nothing changes, so time counts as it was found; the last observation stands for as long
as the data set says that its rows do.
"""

from __future__ import annotations

from collections.abc import Sequence

from tradeserver.core.events import Trust
from tradeserver.core.intents import Sighting, View
from tradeserver.core.market import SymbolMarket
from tradeserver.core.types import Key

Direction = tuple[str, str, str]
"""(symbol, buy venue, sell venue)."""


class CrossedSeconds:
    """See the module. `after_fees` holds what each venue leaves of a bid and adds to an ask."""

    name = "crossed_seconds"

    def __init__(self, symbols: Sequence[str], taker_fees: dict[str, float]) -> None:
        self._venues = tuple(taker_fees)
        self._keys = [(venue, symbol) for venue in self._venues for symbol in symbols]
        self._others = {v: tuple(o for o in self._venues if o != v) for v in self._venues}
        self._keeps = {venue: 1.0 - fee for venue, fee in taker_fees.items()}
        self._costs = {venue: 1.0 + fee for venue, fee in taker_fees.items()}
        self._since: dict[Direction, int] = {}
        self.total_ns: dict[Direction, int] = {
            (symbol, buy, sell): 0 for symbol in symbols for buy in self._venues for sell in self._others[buy]
        }

    def books(self) -> Sequence[Key]:
        return self._keys

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting]:
        venue, symbol = changed.key
        for name in self._others[venue]:
            other = view.market.symbols[name, symbol]
            self._look(changed, other, symbol, venue, name, ts)
            self._look(other, changed, symbol, name, venue, ts)
        return ()

    def _look(self, buy: SymbolMarket, sell: SymbolMarket, symbol: str, buyer: str, seller: str, ts: int) -> None:
        ask = buy.ask
        crossed = ask > 0.0 and sell.bid * self._keeps[seller] > ask * self._costs[buyer]
        if not crossed and not self._since:
            return
        direction = (symbol, buyer, seller)
        if crossed and buy.trust is Trust.SYNCED and sell.trust is Trust.SYNCED:
            self._since.setdefault(direction, ts)
        elif direction in self._since:
            self.total_ns[direction] += ts - self._since.pop(direction)

    def rows(self, end: int, hold_s: float) -> list[dict[str, object]]:
        """One row a direction; `end` is the last event's stamp, which stands for `hold_s` more."""
        last = end + int(hold_s * 1e9)
        return [
            {
                "symbol": direction[0],
                "buy_venue": direction[1],
                "sell_venue": direction[2],
                "crossed_seconds": (total + (last - self._since[direction] if direction in self._since else 0)) / 1e9,
            }
            for direction, total in self.total_ns.items()
        ]
