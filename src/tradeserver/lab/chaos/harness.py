"""Both sides in one `for` loop: traders and the simulated world under simulated time, with seeded chance and faults.

No socket and no clock. `Loop` owns the world, the time, one network a venue and one trader (more can be made beside
it); `run` lets time pass. Everything that is asked about the outcome is asked of the other side where that is possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import msgspec

from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import Event, Operator, Trust
from tradeserver.core.records import Record
from tradeserver.core.types import Key
from tradeserver.core.venues import Phase
from tradeserver.lab.chaos.network import Network, Wire
from tradeserver.lab.chaos.timeline import MS, SECOND, Timeline
from tradeserver.lab.chaos.trader import Memory, Setup, Trader
from tradeserver.runtime.journal import Journal, MemoryJournal
from tradeserver.runtime.reactor import Reactor
from tradeserver.simulator.accounts import Rates
from tradeserver.simulator.config import SimConfig, default_config
from tradeserver.simulator.world import World

WORLD_NS = 10 * MS


def lively_config(symbols: Sequence[str]) -> SimConfig:
    """The demo's market with these symbols alone, more shocks and small fees: more happens in less time."""
    config = default_config()
    flows = {name: flow for name, flow in config.market.symbols.items() if name in symbols}
    market = msgspec.structs.replace(config.market, symbols=flows, shocks_per_minute=40.0)
    rates = Rates(Decimal("0.0001"), Decimal("0.0002"))
    venues = {venue: msgspec.structs.replace(settings, rates=rates) for venue, settings in config.venues.items()}
    return msgspec.structs.replace(config, market=market, venues=venues)


class Loop:
    """One trader and one simulated world. `seed` is all the chance there is."""

    def __init__(
        self,
        seed: int,
        setup: Setup,
        *,
        faults: Sequence[str] = (),
        config: SimConfig | None = None,
        watch: Callable[[Event, list[Record], list[Command]], None] | None = None,
        journal: Callable[[], Journal] = MemoryJournal,
    ) -> None:
        self.time = Timeline(seed)
        sim = msgspec.structs.replace(config or lively_config(setup.symbols), seed=seed)
        self.world = World(sim, self.time.now)
        for fault in faults:
            self.world.faults.add(fault, self.time.now)
        self.networks = {venue: Network(venue, self.world, self.time) for venue in self.world.fronts}
        self.trader = Trader(setup, self.networks, self.time, watch=watch, journal=journal)
        self.others: list[Trader] = []
        self.flowing = True  # the simulated market moves
        self.trader.boot()
        self.time.at(self.time.now, self._world)

    # ---- the trader, in short ----------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        return self.trader.engine

    @property
    def reactor(self) -> Reactor:
        return self.trader.reactor

    @property
    def trace(self) -> Memory:
        return self.trader.trace

    @property
    def wires(self) -> dict[str, Wire]:
        return self.trader.wires

    def twin(self, tag: str) -> Trader:
        """Another instance with another tag on the same accounts."""
        other = Trader(replace(self.trader.setup, tag=tag), self.networks, self.time)
        self.others.append(other)
        other.boot()
        return other

    # ---- time --------------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> Loop:
        """Let time pass."""
        self.time.run(self.time.now + int(seconds * SECOND))
        return self

    def _world(self) -> None:
        world, now = self.world, self.time.now
        if self.flowing:
            world.step(now)
        for venue, channel in world.faults.disconnects(now):
            for name, network in self.networks.items():
                if venue in ("*", name):
                    network.cut(channel)
        for network in self.networks.values():
            network.settle()
        self.time.at(now + WORLD_NS, self._world)

    # ---- looking -----------------------------------------------------------------------------------------------------

    def calm(self, at_most_s: int = 30) -> Loop:
        """Nothing new is opened until everything under way has ended; then the market stands still."""
        self.trader.tell(Operator(ts=0, action="pause", source="control"))
        for _ in range(at_most_s):
            self.run(1.0)
            if self.quiet():
                break
        self.flowing = False
        self.run(0.5)
        while any(network.under_way() for network in self.networks.values()):  # what a stall holds back
            self.run(0.5)
        return self

    def quiet(self) -> bool:
        """Whether every book is synchronised, every venue ready, and nothing of ours under way."""
        desk = self.engine.desk
        synced = all(symbol.trust is Trust.SYNCED for symbol in desk.market.symbols.values())
        ready = all(venue.phase is Phase.READY for venue in self.engine.readiness.venues.values())
        return synced and ready and not desk.orders.live and not desk.arbitrages

    def of(self, kind: type) -> list[Event]:
        """The events of one kind so far."""
        return [event for event in self.trace.events if isinstance(event, kind)]

    def kept(self, kind: type) -> list[Record]:
        """The records of one kind so far."""
        return [record for record in self.trace.records if isinstance(record, kind)]

    def unequal_books(self) -> list[str]:
        """Where our book is not the exchange's, level by level. For a market that stands still."""
        wrong = []
        for key, symbol in self.engine.market.symbols.items():
            ours = symbol.book.top(10_000)
            if ours != true_book(self.world, key):
                wrong.append(f"{key} at {symbol.book.update_id}: {ours[0][:2]} {ours[1][:2]}")
        return wrong

    def unequal_balances(self) -> list[str]:
        """Where the ledger differs from the exchange's account, to the last digit."""
        wrong = []
        for venue, exchange in self.world.exchanges.items():
            account = exchange.accounts["main"]
            for asset, balance in account.balances.items():
                ours = self.engine.desk.ledger.totals.get((venue, asset), Decimal(0))
                if ours != balance.total:
                    wrong.append(f"{venue} {asset}: ours {ours}, theirs {balance.total}")
        return wrong


def true_book(world: World, key: Key) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The exchange's own book as floats."""
    depth = world.exchanges[key[0]].depth(key[1], 100_000)
    bids, asks = ([(float(p), float(q)) for p, q in side] for side in (depth.bids, depth.asks))
    return bids, asks
