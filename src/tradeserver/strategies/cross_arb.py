"""Cross-exchange arbitrage: buy where the ask is lower, sell where the bid is higher, in the same instant.

For every pair of venues and both directions: gross edge = bid / ask - 1; net edge takes off both takers' fees. Above
`watch_bps` the direction is being watched and every change of either book gives a sighting; it is over when the gross
edge falls to `watch_bps - hysteresis_bps` or below. Above `min_edge_bps` net, the sighting carries an intent: both
books are walked level by level while the marginal net edge stays above the minimum, up to `max_notional`. A share of
the surplus edge is given to the price caps, so that a level that moves by a hair still fills.

It reads books and fees only; balances, limits and states are execution's and risk's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from tradeserver.core.intents import Intent, LegIntent, Sighting, View
from tradeserver.core.market import SymbolMarket
from tradeserver.core.types import Key, Level, Side

_NOTHING: tuple[Sighting, ...] = ()
_NO_PAIRS: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class CrossArbParams:
    """Edges in basis points, notional in quote currency."""

    min_edge_bps: Annotated[float, Ge(0)] = 2.0
    """Net edge, after both fees, from which an opportunity is taken."""
    watch_bps: Annotated[float, Ge(0)] = 0.0
    """Gross edge from which an opportunity is recorded."""
    hysteresis_bps: Annotated[float, Ge(0)] = 1.0
    """How far below `watch_bps` the edge must fall for the episode to end."""
    max_notional: Annotated[float, Gt(0)] = 400.0
    """Most that one arbitrage buys."""
    cap_share_pct: Annotated[float, Ge(0), Le(100)] = 50.0
    """Share of the surplus over `min_edge_bps` that the two price caps may give away together."""


class CrossArb:
    """One instance serves any number of symbols and venues."""

    name = "cross_arb"

    def __init__(self, params: CrossArbParams, symbols: Sequence[str], venues: Sequence[str]) -> None:
        self._params = params
        self._venues = tuple(venues)
        self._symbols = tuple(symbols)
        self._others = {v: tuple(o for o in venues if o != v) for v in venues}
        self._watched: dict[str, set[tuple[str, str]]] = {}  # symbol -> (buy, sell), asked for membership only
        self._apart = 1.0 + params.watch_bps / 1e4 * 0.999  # bid over ask that may be worth a look

    def books(self) -> Sequence[Key]:
        return [(venue, symbol) for venue in self._venues for symbol in self._symbols]

    def on_market(self, view: View, changed: SymbolMarket, ts: int) -> Sequence[Sighting]:
        venue, symbol = changed.key
        apart = self._apart
        sightings: list[Sighting] | None = None
        for other_venue in self._others[venue]:
            other = view.market.symbols[other_venue, symbol]
            if changed.bid < other.ask * apart and other.bid < changed.ask * apart and symbol not in self._watched:
                continue  # as nearly always: neither direction is watched, or becomes so
            for buy, sell in ((changed, other), (other, changed)):
                sighting = self._direction(view, symbol, buy, sell)
                if sighting is not None:
                    if sightings is None:
                        sightings = []
                    sightings.append(sighting)
        return sightings or _NOTHING

    def _direction(self, view: View, symbol: str, buy: SymbolMarket, sell: SymbolMarket) -> Sighting | None:
        ask, bid = buy.ask, sell.bid
        params = self._params
        gross_bps = (bid / ask - 1.0) * 1e4 if ask > 0.0 and bid > 0.0 else -1e4
        if gross_bps < params.watch_bps:
            pair, watched = (buy.key[0], sell.key[0]), self._watched.get(symbol, _NO_PAIRS)
            if pair not in watched:
                return None
            if gross_bps <= params.watch_bps - params.hysteresis_bps:
                self._watched[symbol] = watched - {pair}
                if not self._watched[symbol]:
                    del self._watched[symbol]
                return Sighting(symbol, pair[0], pair[1], gross_bps, gross_bps, 0.0, over=True)
        else:
            self._watched.setdefault(symbol, set()).add((buy.key[0], sell.key[0]))
        return self._sight(view, symbol, buy, sell, gross_bps)

    def _sight(self, view: View, symbol: str, buy: SymbolMarket, sell: SymbolMarket, gross_bps: float) -> Sighting:
        buy_fee = view.taker_bps.get(buy.key)
        sell_fee = view.taker_bps.get(sell.key)
        buy_venue, sell_venue = buy.key[0], sell.key[0]
        touch = min(buy.ask_quantity, sell.bid_quantity)
        if buy_fee is None or sell_fee is None:
            return Sighting(symbol, buy_venue, sell_venue, gross_bps, gross_bps, touch, reason="FEES_UNKNOWN")
        net_bps = gross_bps - buy_fee - sell_fee
        minimum = self._params.min_edge_bps
        if net_bps < minimum:
            return Sighting(symbol, buy_venue, sell_venue, gross_bps, net_bps, touch, reason="EDGE_TOO_SMALL")
        ratio = 1.0 + (minimum + buy_fee + sell_fee) / 1e4
        most = self._params.max_notional / buy.ask
        quantity, cost, proceeds, worst_ask, worst_bid = sweep(
            buy.levels(Side.BUY), sell.levels(Side.SELL), ratio, most
        )
        if quantity <= 0.0:
            return Sighting(symbol, buy_venue, sell_venue, gross_bps, net_bps, touch, reason="NO_DEPTH")
        surplus = max(0.0, worst_bid / worst_ask / ratio - 1.0) * self._params.cap_share_pct / 200.0
        legs = (
            LegIntent(buy_venue, Side.BUY, worst_ask * (1.0 + surplus), cost / quantity),
            LegIntent(sell_venue, Side.SELL, worst_bid * (1.0 - surplus), proceeds / quantity),
        )
        return Sighting(
            symbol, buy_venue, sell_venue, gross_bps, net_bps, quantity, intent=Intent(symbol, quantity, legs)
        )


def sweep(
    asks: Iterator[Level], bids: Iterator[Level], ratio: float, most: float
) -> tuple[float, float, float, float, float]:
    """Walk both books while bid / ask >= `ratio`, `most` base at most.

    Returns (quantity, cost, proceeds, worst ask, worst bid).
    """
    quantity = cost = proceeds = worst_ask = worst_bid = 0.0
    ask, ask_left = next(asks, (0.0, 0.0))
    bid, bid_left = next(bids, (0.0, 0.0))
    while ask > 0.0 and bid > 0.0 and bid >= ask * ratio:
        step = min(ask_left, bid_left, most - quantity)
        if step <= 0.0:
            break
        quantity += step
        cost += step * ask
        proceeds += step * bid
        worst_ask, worst_bid = ask, bid
        ask_left -= step
        bid_left -= step
        if ask_left <= 0.0:
            ask, ask_left = next(asks, (0.0, 0.0))
        if bid_left <= 0.0:
            bid, bid_left = next(bids, (0.0, 0.0))
    return quantity, cost, proceeds, worst_ask, worst_bid
