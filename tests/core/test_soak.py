"""A long, troubled life under seeds: when everything is quiet again, our books are the venues' books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest

from desk_kit import SYMBOL, VENUES, instrument
from toy_world import LIMITS, World
from tradeserver.core.commands import Command, SubmitOrder
from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    BalanceBooked,
    ExposureHeld,
    Outcome,
    Record,
    StateChanged,
    TradingState,
    Vitals,
)
from tradeserver.core.types import Side

D = Decimal
DUST = D(5)  # ExecutionPolicy.hedge_min_notional


class Watch:
    """What must hold after every step, worked out from records and commands alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._states: dict[tuple[str, str], StateChanged] = {}
        self.ids: set[str] = set()
        world.after_step = self.step

    def step(self, records: Sequence[Record], commands: Sequence[Command]) -> None:
        for record in records:
            if isinstance(record, StateChanged):
                self._states[record.scope, record.reason] = record
        desk = self._world.engine.desk
        for order in commands:
            if not isinstance(order, SubmitOrder):
                continue
            assert order.client_id not in self.ids
            self.ids.add(order.client_id)
            if order.opening:
                self._opening(order)
            else:
                self._shrinks(order)
        for (venue, asset), amount in desk.ledger.reserved.items():
            assert 0 <= amount <= desk.ledger.totals[venue, asset]

    def _opening(self, order: SubmitOrder) -> None:
        desk = self._world.engine.desk
        scopes = {"global", f"symbol:{SYMBOL}", *(f"venue:{venue}" for venue in VENUES)}
        for state in self._states.values():
            if state.scope in scopes and state.state is not TradingState.RUNNING:
                assert state.until, state
                assert state.until <= desk.ts, state
        assert order.quantity * order.price <= LIMITS.max_order_notional
        assert len(desk.orders.live) <= LIMITS.max_open_orders
        assert len(desk.arbitrages) <= LIMITS.max_arbitrages

    def _shrinks(self, order: SubmitOrder) -> None:
        """A hedge goes against what is certain and beyond it by a lot at most."""
        arbitrage = self._world.engine.desk.arbitrages[order.arbitrage]
        low, high = arbitrage.interval()  # this order included
        lot = instrument(order.venue).lot
        if order.side is Side.SELL:
            assert low >= -lot
        else:
            assert high <= lot + order.quantity / 1000  # its commission is not taken off yet
        halted = [s for s in self._states.values() if s.state is TradingState.HALTED]
        now = self._world.engine.desk.ts
        for state in halted:
            if not state.until or state.until > now:
                assert state.scope not in ("global", f"symbol:{SYMBOL}", f"venue:{order.venue}"), state


def check(world: World, *, late: bool = False) -> None:
    """Everything is quiet: books equal, nothing open, what is left is dust or named."""
    desk = world.engine.desk
    assert not desk.orders.live
    assert not desk.orders.owed
    assert not desk.arbitrages
    assert desk.ledger.reserved == {}
    for name, venue in world.venues.items():
        for asset, total in venue.balances.items():
            assert desk.ledger.totals[name, asset] == total, (name, asset)
    base = sum((venue.balances["BTC"] for venue in world.venues.values()), D(-2))
    assert desk.dust.get("BTC", D(0)) == base
    last = {r.arbitrage: r for r in world.records if isinstance(r, ArbitrageClosed)}
    held = {r.arbitrage for r in world.records if isinstance(r, ExposureHeld)}
    for number, record in last.items():
        assert record.expected_edge + sum(record.bridge.values()) == record.realised_edge
        if record.outcome is Outcome.HELD:
            assert number in held
    external = [r for r in world.records if isinstance(r, BalanceBooked) and r.reason == "external"]
    assert late or not external
    codes = {alert.code for alert in world.records if isinstance(alert, Alert)}
    assert not codes & {"FOREIGN_FILL", "OVERFILL", "ORPHAN_ORDER", "FOREIGN_ORDER", "COMMISSION_ASSET"}


@pytest.mark.parametrize("seed", range(6))
def test_after_trouble_the_books_are_equal(seed: int) -> None:
    world = World(seed)
    Watch(world)
    world.begin()
    world.run(25)
    world.settle()
    check(world)
    assert world.sent


def test_without_trouble_everything_completes() -> None:
    world = World(99, faults=False)
    Watch(world)
    world.begin()
    world.run(40)
    world.settle()
    check(world)
    outcomes = Counter(r.outcome for r in world.records if isinstance(r, ArbitrageClosed))
    assert outcomes[Outcome.COMPLETED] > 3


@pytest.mark.parametrize("seed", [22, 34])
def test_orders_that_arrive_after_all_are_booked_and_hedged(seed: int) -> None:
    """Later than any bound: refused by evidence, then filled. Balances are counted as external, and back again."""
    world = World(seed)
    world.very_late = True
    Watch(world)
    world.begin()
    world.run(60)
    world.settle()
    check(world, late=True)


@pytest.mark.parametrize("seed", [31, 32, 181])
def test_ticks_with_nothing_due_may_be_left_out(seed: int) -> None:
    told, ticks = [], []
    for lazy in (False, True):
        world = World(seed)
        world.lazy = lazy
        world.begin()
        world.run(20)
        told.append([r for r in world.records if not isinstance(r, Vitals)])  # which counts the ticks
        ticks.append(world.ticks)
    assert told[0] == told[1]
    assert ticks[1] < ticks[0]


def test_a_seed_says_the_same_twice() -> None:
    told = []
    for _ in range(2):
        world = World(7)
        world.begin()
        world.run(5)
        told.append(world.records)
    assert told[0] == told[1]
