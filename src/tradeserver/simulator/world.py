"""The whole simulated world without a socket: exchanges, their market or recordings, their fronts, and the faults.

`server.py` puts it on sockets; a test may also call the fronts in a loop under simulated time. Everything that is
random comes from dice seeded by the configuration's `seed`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from tradeserver.simulator.accounts import Account, Fees
from tradeserver.simulator.binance.front import BinanceFront
from tradeserver.simulator.config import SimConfig, VenueConfig
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import Faults
from tradeserver.simulator.front import Front
from tradeserver.simulator.happenings import happen
from tradeserver.simulator.kucoin.front import KucoinFront
from tradeserver.simulator.market import Market
from tradeserver.simulator.playback import Feed, Playback
from tradeserver.simulator.types import Order, Status

FIRST_ID: Final = 1_000_000
TICK_NS: Final = 10_000_000


_FRONTS: Final[dict[str, Callable[[Exchange, Faults, VenueConfig, random.Random], Front]]] = {
    "binance": BinanceFront,
    "kucoin": KucoinFront,
}


def build_exchange(venue: str, config: VenueConfig) -> Exchange:
    """One venue's exchange as configured, with empty books."""
    accounts = [
        Account(
            account.name,
            account.keys,
            account.balances,
            account.rates or config.rates,
            account.rates_by_symbol,
            account.pays_third_asset,
        )
        for account in config.accounts
    ]
    exchange = Exchange(
        venue,
        config.symbols,
        accounts,
        Fees(config.fee_model, config.commission_decimals, config.third_asset),
        ids_forever=venue == "kucoin",
        max_open_orders=config.limits.open_orders,
        first_id=FIRST_ID,
    )
    if not config.trading:
        for symbol in exchange.symbols:
            exchange.set_status(symbol, Status.HALTED, 0)
    return exchange


class World:
    """Everything that is simulated. `step` after anything that happened; then empty each front's `outgoing`."""

    def __init__(self, config: SimConfig, now_ns: int) -> None:
        """Raises RecordingError when a recording cannot be read."""
        self.config = config
        self.faults = Faults(random.Random(f"{config.seed} faults"))
        for text in config.faults:
            self.faults.add(text, now_ns)
        self.exchanges: dict[str, Exchange] = {
            venue: build_exchange(venue, settings) for venue, settings in config.venues.items()
        }
        feeds = [
            Feed(settings.recording, self.exchanges[venue])
            for venue, settings in config.venues.items()
            if settings.recording
        ]
        self.playback = Playback(config.playback, feeds)
        self.market = Market(config.market, self.exchanges.values(), config.seed)
        self.fronts: dict[str, Front] = {
            venue: _FRONTS[venue](self.exchanges[venue], self.faults, settings, random.Random(f"{config.seed} {venue}"))
            for venue, settings in config.venues.items()
        }
        for exchange in self.exchanges.values():
            exchange.share = self._share_of(exchange.venue)
        self._next_tick_ns = 0

    def step(self, now_ns: int) -> None:
        """Whatever is due: the market, the recordings, time-outs, and each front's publishing."""
        for exchange in self.exchanges.values():
            exchange.offset_ns = self.faults.skew_ns(exchange.venue, now_ns)
        for fault in self.faults.moments(now_ns):
            happen(fault, self, now_ns)
        self.market.advance(now_ns)
        self.playback.advance(now_ns)
        self.settle(now_ns)
        self._next_tick_ns = now_ns + TICK_NS

    def settle(self, now_ns: int) -> None:
        """Time-outs, and each front's publishing: behind anything that happened at an exchange."""
        for venue, exchange in self.exchanges.items():
            exchange.tick(self.time_at(venue, now_ns))
        for venue, front in self.fronts.items():
            front.tick(self.time_at(venue, now_ns))

    def time_at(self, venue: str, now_ns: int) -> int:
        """What that venue's clock says: for its front, whatever comes in."""
        return now_ns + self.exchanges[venue].offset_ns

    def _share_of(self, venue: str) -> Callable[[Order, int], Decimal]:
        def share(order: Order, now_ns: int) -> Decimal:
            return self.faults.share(venue, f"{order.symbol} {order.side.value} {order.client_id}", now_ns)

        return share

    def next_due(self) -> int:
        """When `step` wants to be called next, at the latest."""
        return min(self._next_tick_ns, self.market.next_due(), self.playback.next_due())
