"""No sequence of events passes an order beyond a share of the capital: whole worlds with faults, from the records."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from toy_world import World
from tradeserver.core.commands import Command, SubmitOrder
from tradeserver.core.records import BalanceBooked, PeriodOpened, Record
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Side

D = Decimal
LIMITS = RiskLimits()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_opening_order_is_within_its_shares(seed: int) -> None:
    world = World(seed)
    kept: list[Record] = []

    def judge(records: Sequence[Record], commands: Sequence[Command]) -> None:
        kept.extend(records)
        for order in commands:
            if not isinstance(order, SubmitOrder) or not order.opening:
                continue
            capital = [r.capital for r in kept if isinstance(r, PeriodOpened) and r.period == "day"][-1]
            gone = sum((r.previous - r.total for r in kept if _withdrawn(r)), D(0))
            assert order.quantity * order.price <= (capital - gone) * LIMITS.max_trade_pct / 100
            desk = world.engine.desk
            asset = "USDT" if order.side is Side.BUY else "BTC"
            opened = [r for r in kept if isinstance(r, PeriodOpened) and r.period == "day"][-1]
            floor = opened.holdings[order.venue].get(asset, D(0)) * LIMITS.reserve_pct / 100
            if not any(_withdrawn(r) for r in kept):
                assert desk.ledger.free(order.venue, asset) >= floor

    world.after_step = judge
    world.begin()
    world.run(20)


def _withdrawn(record: Record) -> bool:
    return isinstance(record, BalanceBooked) and record.reason == "external"
