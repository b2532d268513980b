"""A day in figures, from the database: what was earned, what was tried, what wanted a person.

Profit of a day is the last mark of it less the last mark before it. Days are UTC.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, Table, func, select

from tradeserver.core.types import ZERO, plain
from tradeserver.services import tables as t

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
MOST_POINTS: Final = 1_440

Curve = list[tuple[int, float]]


class Day(msgspec.Struct, frozen=True):
    """One day. Money by asset; `curves` is profit since the day's start by quote asset, (ns, amount)."""

    begins: int
    profit: dict[str, Decimal]
    fees: dict[str, Decimal]
    curves: dict[str, Curve]
    drawdown: dict[str, float]
    arbitrages: int
    one_sided: int
    hedges: int
    fills: int
    opportunities: int
    taken: int
    alerts: dict[str, int]  # by severity

    @property
    def name(self) -> str:
        """2026-07-21."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.begins // SECOND_NS))

    def text(self) -> str:
        """The figures in words."""
        profit = ", ".join(f"{plain(v)} {asset}" for asset, v in self.profit.items()) or "none"
        fees = ", ".join(f"{plain(v)} {asset}" for asset, v in self.fees.items()) or "none"
        fall = ", ".join(f"{v:.2f} {asset}" for asset, v in self.drawdown.items()) or "none"
        told = ", ".join(f"{n} {severity}" for severity, n in self.alerts.items()) or "none"
        return (
            f"Profit {profit}; fees {fees}; deepest fall {fall}. {self.arbitrages} arbitrages ({self.one_sided} "
            f"one-sided, {self.hedges} hedges), {self.fills} fills, {self.taken} of {self.opportunities} opportunities "
            f"taken. Alerts: {told}."
        )


def day(engine: Engine, begins: int) -> Day | None:
    """The day that begins at `begins` (ns); None where no daemon ran in it. Blocks."""
    ends = begins + DAY_NS
    with engine.connect() as c:
        marks = t.pnl_marks.c
        before = c.execute(
            select(t.pnl_marks).where(marks.ts_ns < begins).order_by(marks.ts_ns.desc()).limit(1)
        ).first()
        count = _count(c, t.pnl_marks, marks.ts_ns, begins, ends)
        if not count:
            return None
        base = _profit(before)
        every = -(-count // MOST_POINTS)
        curves: dict[str, Curve] = {}
        last: Any = None
        rows = c.execute(select(t.pnl_marks).where(marks.ts_ns >= begins, marks.ts_ns < ends).order_by(marks.ts_ns))
        for n, last in enumerate(rows):
            if not n % every or n == count - 1:
                for asset, amount in _profit(last).items():
                    curves.setdefault(asset, []).append((last.ts_ns, float(amount - base.get(asset, ZERO))))
        a = t.arbitrages.c
        done = c.execute(
            select(a.one_sided, a.hedges).where(a.opened_ns >= begins, a.opened_ns < ends, a.state != "open")
        ).all()
        o = t.opportunities.c
        seen = c.execute(select(o.taken).where(o.opened_ns >= begins, o.opened_ns < ends)).all()
        alerts = c.execute(
            select(t.alerts.c.severity, func.count().label("number"))
            .where(t.alerts.c.ts_ns >= begins, t.alerts.c.ts_ns < ends)
            .group_by(t.alerts.c.severity)
        ).all()
        fills = _count(c, t.fills, t.fills.c.ts_ns, begins, ends)
    return Day(
        begins=begins,
        profit=_less(_profit(last), base),
        fees=_less(_money(last.fees), _money(before.fees) if before else {}),
        curves=curves,
        drawdown={asset: fall for asset, curve in curves.items() if (fall := _fall(curve))},
        arbitrages=len(done),
        one_sided=sum(row.one_sided for row in done),
        hedges=sum(row.hedges for row in done),
        fills=fills,
        opportunities=len(seen),
        taken=sum(row.taken for row in seen),
        alerts={row.severity: row.number for row in alerts},
    )


def _count(c: Connection, table: Table, column: Any, begins: int, ends: int) -> int:
    return c.scalar(select(func.count()).select_from(table).where(column >= begins, column < ends)) or 0


def _money(amounts: dict[str, str]) -> dict[str, Decimal]:
    return {asset: Decimal(amount) for asset, amount in amounts.items()}


def _profit(mark: Any) -> dict[str, Decimal]:
    if mark is None:
        return {}
    profit = _money(mark.realised)
    for asset, amount in _money(mark.unrealised).items():
        profit[asset] = profit.get(asset, ZERO) + amount
    return profit


def _less(now: dict[str, Decimal], before: dict[str, Decimal]) -> dict[str, Decimal]:
    return {asset: change for asset, amount in now.items() if (change := amount - before.get(asset, ZERO))}


def _fall(curve: Curve) -> float:
    """The deepest fall below an earlier height; the day's start is one."""
    high, deepest = 0.0, 0.0
    for _, amount in curve:
        high = max(high, amount)
        deepest = max(deepest, high - amount)
    return deepest
