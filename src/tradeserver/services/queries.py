"""The questions that the command line asks the database.

Each answers `{"rows": [...], "sequence": n}`: plain JSON data in the public form (money as strings, times `_ns`), as of
at least sequence `n` of the write-ahead log. Newest first, where there is an order in time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Select, Table, func, select

from tradeserver.core.ledger import Ledger
from tradeserver.core.records import CommissionCorrected, FillBooked
from tradeserver.core.types import ZERO, Side
from tradeserver.services import tables as t
from tradeserver.services.faults import NotFoundError
from tradeserver.services.messages import public

Answer = dict[str, Any]

LIMIT: Final = 50
_DAY_NS: Final = 86_400 * 1_000_000_000
_INTERNAL: Final = ("booked_commission", "booked_asset", "corrected_sequence")


def orders(engine: Engine, limit: int = LIMIT, live: bool = False) -> Answer:
    """Orders; `live` only those that have not ended."""
    query = select(t.orders).order_by(t.orders.c.submitted_ns.desc(), t.orders.c.sequence.desc()).limit(limit)
    if live:
        query = query.where(t.orders.c.state.in_(["sent", "accepted", "cancel_pending", "unknown", "closing"]))
    return _rows(engine, query)


def fills(engine: Engine, limit: int = LIMIT) -> Answer:
    """Fills."""
    return _rows(engine, select(t.fills).order_by(t.fills.c.ts_ns.desc(), t.fills.c.sequence.desc()).limit(limit))


def balances(engine: Engine) -> Answer:
    """The ledger's total of each asset at each venue."""
    return _rows(engine, select(t.balances).order_by(t.balances.c.venue, t.balances.c.asset))


def arbitrages(engine: Engine, limit: int = LIMIT) -> Answer:
    """Arbitrages with plan and result."""
    return _rows(engine, select(t.arbitrages).order_by(t.arbitrages.c.arbitrage.desc()).limit(limit))


def opportunities(engine: Engine, limit: int = LIMIT, taken: bool | None = None) -> Answer:
    """Episodes; `taken` True or False to see only those."""
    query = select(t.opportunities).order_by(t.opportunities.c.opportunity.desc()).limit(limit)
    if taken is not None:
        query = query.where(t.opportunities.c.taken == taken)
    return _rows(engine, query)


def alerts(engine: Engine, limit: int = LIMIT) -> Answer:
    """Alerts."""
    return _rows(engine, select(t.alerts).order_by(t.alerts.c.sequence.desc()).limit(limit))


def states(engine: Engine) -> Answer:
    """Every trading state other than RUNNING, by scope."""
    return _rows(engine, select(t.states).order_by(t.states.c.scope, t.states.c.reason))


def refusals(engine: Engine) -> Answer:
    """Refused decisions by the reason that decided, most frequent first."""
    d = t.decisions.c
    query = (
        select(
            d.reason,
            func.sum(d.count).label("decisions"),
            func.count(d.opportunity.distinct()).label("opportunities"),
            func.max(d.net_bps).label("best_net_bps"),
            func.max(d.ts_ns).label("last_ns"),
        )
        .where(d.taken.is_(False))
        .group_by(d.reason)
        .order_by(func.sum(d.count).desc(), d.reason)
    )
    return _rows(engine, query)


def opportunity(engine: Engine, number: int) -> Answer:
    """One episode in full, as one row: its decisions, and the arbitrages, orders and fills that came of it."""
    with engine.connect() as c:
        sequence = _position(c)
        found = c.execute(select(t.opportunities).where(t.opportunities.c.opportunity == number)).one_or_none()
        if found is None:
            raise NotFoundError(f"there is no opportunity {number} in the database (it is at sequence {sequence})")
        made = _all(c, t.arbitrages, t.arbitrages.c.opportunity == number)
        ids = [row["arbitrage"] for row in made]
        row = {
            **_row(found),
            "decisions": _all(c, t.decisions, t.decisions.c.opportunity == number),
            "arbitrages": made,
            "orders": _all(c, t.orders, t.orders.c.arbitrage.in_(ids)),
            "fills": _all(c, t.fills, t.fills.c.arbitrage.in_(ids)),
        }
    return {"rows": [row], "sequence": sequence}


# ---- profit and loss ------------------------------------------------------------------------------------------------


def pnl(engine: Engine, by: str = "") -> Answer:
    """Profit and loss.

    "" is the last mark: realised, unrealised (at mid), fees. "day" (UTC) and "symbol" split what is realised and add up
    to the total. "venue" says what each venue gained and gave, fees taken off: an arbitrage's profit belongs to no one
    venue. Amounts are by asset.
    """
    if by == "":
        query = select(t.pnl_marks).order_by(t.pnl_marks.c.ts_ns.desc()).limit(1)
        return _rows(engine, query)
    with engine.connect() as c:
        sequence = _position(c)
        groups: dict[str, dict[str, Any]] = {}
        ledger = Ledger()
        booked: dict[tuple[str, str, str], FillBooked] = {}
        for entry in _entries(c):
            before, fees = dict(ledger.realised), dict(ledger.fees)
            totals = dict(ledger.totals) if by == "venue" else {}
            if isinstance(entry, FillBooked):
                booked[entry.venue, entry.symbol, entry.trade_id] = entry
                ledger.apply_fill(entry)
            else:
                ledger.apply_commission(entry, booked[entry.venue, entry.symbol, entry.trade_id])
            name = _group(by, entry)
            row = groups.setdefault(name, {by: name, "fills": 0, "realised": {}, "turnover": {}, "fees": {}, "net": {}})
            if isinstance(entry, FillBooked):
                row["fills"] += 1
                _add(row["turnover"], entry.symbol.partition("/")[2], entry.price * entry.quantity)
            _gain(row["realised"], before, ledger.realised)
            _gain(row["fees"], fees, ledger.fees)
            if by == "venue":
                mine = {asset: total for (venue, asset), total in ledger.totals.items() if venue == entry.venue}
                _gain(row["net"], {a: total for (v, a), total in totals.items() if v == entry.venue}, mine)
    unused = "realised" if by == "venue" else "net"
    rows = [{k: v for k, v in groups[name].items() if k != unused} for name in sorted(groups)]
    return {"rows": public(rows), "sequence": sequence}


def _group(by: str, entry: FillBooked | CommissionCorrected) -> str:
    if by == "day":
        return time.strftime("%Y-%m-%d", time.gmtime(entry.ts // 1_000_000_000))
    return entry.venue if by == "venue" else entry.symbol


def _entries(c: Connection) -> Iterator[FillBooked | CommissionCorrected]:
    """Fills and corrections in the order in which the ledger booked them, so that the sums are its sums."""
    found: list[tuple[int, FillBooked | CommissionCorrected]] = []
    for x in c.execute(select(t.fills)):
        common = {"ts": x.ts_ns, "venue": x.venue, "symbol": x.symbol, "client_id": x.client_id, "trade_id": x.trade_id}
        fill = FillBooked(
            **common,
            arbitrage=x.arbitrage,
            leg=x.leg,
            side=Side(x.side),
            venue_order_id=x.venue_order_id,
            price=x.price,
            quantity=x.quantity,
            commission=x.booked_commission,
            commission_asset=x.booked_asset,
            commission_expected=x.commission_expected,
            maker=x.maker,
            venue_ts=x.venue_ts_ns,
        )
        found.append((x.sequence, fill))
        if x.corrected_sequence:
            correction = CommissionCorrected(**common, commission=x.commission, commission_asset=x.commission_asset)
            found.append((x.corrected_sequence, correction))
    return (entry for _, entry in sorted(found, key=lambda item: item[0]))


def _gain(row: dict[str, Decimal], before: dict[str, Decimal], after: dict[str, Decimal]) -> None:
    for asset, amount in after.items():
        change = amount - before.get(asset, ZERO)
        if change:
            _add(row, asset, change)


def _add(row: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    row[asset] = row.get(asset, ZERO) + amount


# ---- plumbing -------------------------------------------------------------------------------------------------------


def _rows(engine: Engine, query: Select[Any]) -> Answer:
    with engine.connect() as c:
        sequence = _position(c)  # before the rows: they are at least as new
        return {"rows": [_row(row) for row in c.execute(query)], "sequence": sequence}


def _all(c: Connection, table: Table, condition: Any) -> list[dict[str, Any]]:
    return [_row(row) for row in c.execute(select(table).where(condition).order_by(table.c.sequence))]


def _row(row: Row[Any]) -> dict[str, Any]:
    shown: dict[str, Any] = public({k: v for k, v in row._mapping.items() if k not in _INTERNAL})
    return shown


def _position(c: Connection) -> int:
    return c.scalar(select(t.meta.c.value).where(t.meta.c.name == "position")) or 0
