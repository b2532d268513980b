"""What each kind of record does to the tables: one short function a kind, no decision of its own.

A function gets an open transaction, the record's sequence and the record. Kinds that are absent from `FOLDS` leave no
trace in the database. Balances follow the ledger's own arithmetic: absolute bookings, then fills and commissions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Executable, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tradeserver.core import records as r
from tradeserver.core.types import ZERO, Side
from tradeserver.services import tables as t
from tradeserver.services.messages import public


def put(c: Connection, table: Table, **values: Any) -> None:
    """Insert, or replace the row with the same primary key."""
    c.execute(_upsert(c.dialect.name, table, tuple(values)), values)


@functools.cache
def _upsert(dialect: str, table: Table, names: tuple[str, ...]) -> Executable:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    keys = [column.name for column in table.primary_key]
    replaced = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced)


def _run_started(c: Connection, n: int, x: r.RunStarted) -> None:
    put(c, t.runs, sequence=n, run=x.run, instance=x.instance, mode=x.mode, commit=x.commit, started_ns=x.ts, reason="")
    put(c, t.meta, name="run_sequence", value=n)


def _run_stopped(c: Connection, n: int, x: r.RunStopped) -> None:
    started = select(t.meta.c.value).where(t.meta.c.name == "run_sequence").scalar_subquery()
    c.execute(update(t.runs).where(t.runs.c.sequence == started).values(stopped_ns=x.ts, reason=x.reason))


def _order_submitted(c: Connection, n: int, x: r.OrderSubmitted) -> None:
    put(
        c,
        t.orders,
        sequence=n,
        client_id=x.client_id,
        venue=x.venue,
        symbol=x.symbol,
        arbitrage=x.arbitrage,
        leg=x.leg,
        attempt=x.attempt,
        side=x.side.value,
        quantity=x.quantity,
        price=x.price,
        time_in_force=x.time_in_force,
        opening=x.opening,
        state=r.OrderState.SENT.value,
        executed=ZERO,
        venue_order_id="",
        code="",
        reason="",
        submitted_ns=x.ts,
        changed_ns=x.ts,
        stages_ns={},
    )


def _order_changed(c: Connection, n: int, x: r.OrderChanged) -> None:
    values: dict[str, Any] = {
        "sequence": n,
        "state": x.state.value,
        "executed": x.executed,
        "code": x.code,
        "reason": x.reason,
        "changed_ns": x.ts,
    }
    if x.venue_order_id:
        values["venue_order_id"] = x.venue_order_id
    c.execute(update(t.orders).where(t.orders.c.client_id == x.client_id).values(**values))


def _order_timed(c: Connection, n: int, x: r.OrderTimed) -> None:
    row = t.orders.c.client_id == x.client_id
    known = c.scalar(select(t.orders.c.stages_ns).where(row)) or {}
    c.execute(update(t.orders).where(row).values(sequence=n, stages_ns={**known, **x.stages_ns}))


def _fill_booked(c: Connection, n: int, x: r.FillBooked) -> None:
    put(
        c,
        t.fills,
        sequence=n,
        venue=x.venue,
        symbol=x.symbol,
        trade_id=x.trade_id,
        client_id=x.client_id,
        arbitrage=x.arbitrage,
        leg=x.leg,
        side=x.side.value,
        venue_order_id=x.venue_order_id,
        price=x.price,
        quantity=x.quantity,
        commission=x.commission,
        commission_asset=x.commission_asset,
        commission_expected=x.commission_expected,
        maker=x.maker,
        ts_ns=x.ts,
        venue_ts_ns=x.venue_ts,
        booked_commission=x.commission,
        booked_asset=x.commission_asset,
        corrected_sequence=0,
    )
    base, _, quote = x.symbol.partition("/")
    sign = 1 if x.side is Side.BUY else -1
    _move(c, n, x.ts, x.venue, base, sign * x.quantity)
    _move(c, n, x.ts, x.venue, quote, -sign * x.quantity * x.price)
    _move(c, n, x.ts, x.venue, x.commission_asset, -x.commission)


def _commission_corrected(c: Connection, n: int, x: r.CommissionCorrected) -> None:
    row = (t.fills.c.venue == x.venue) & (t.fills.c.symbol == x.symbol) & (t.fills.c.trade_id == x.trade_id)
    booked = c.execute(select(t.fills.c.commission, t.fills.c.commission_asset).where(row)).one_or_none()
    if booked is None:
        return  # the fill is older than the log that is left
    c.execute(
        update(t.fills)
        .where(row)
        .values(
            commission=x.commission,
            commission_asset=x.commission_asset,
            commission_expected=False,
            corrected_sequence=n,
        )
    )
    _move(c, n, x.ts, x.venue, booked.commission_asset, booked.commission)
    _move(c, n, x.ts, x.venue, x.commission_asset, -x.commission)


def _move(c: Connection, n: int, ts: int, venue: str, asset: str, amount: Decimal) -> None:
    if amount:
        row = (t.balances.c.venue == venue) & (t.balances.c.asset == asset)
        total = c.scalar(select(t.balances.c.total).where(row)) or ZERO
        put(c, t.balances, sequence=n, venue=venue, asset=asset, total=total + amount, ts_ns=ts)


def _balance_booked(c: Connection, n: int, x: r.BalanceBooked) -> None:
    put(c, t.balances, sequence=n, venue=x.venue, asset=x.asset, total=x.total, ts_ns=x.ts)


def _arbitrage_opened(c: Connection, n: int, x: r.ArbitrageOpened) -> None:
    put(
        c,
        t.arbitrages,
        sequence=n,
        arbitrage=x.arbitrage,
        strategy=x.strategy,
        opportunity=x.opportunity,
        base=x.base,
        quote=x.quote,
        legs=public(x.legs),
        gross_bps=x.gross_bps,
        net_bps=x.net_bps,
        expected_edge=x.expected_edge,
        opened_ns=x.ts,
        state="open",
        one_sided=False,
        quantity=max((leg.quantity for leg in x.legs), default=ZERO),
        bridge={},
        hedges=0,
    )
    c.execute(update(t.opportunities).where(t.opportunities.c.opportunity == x.opportunity).values(taken=True))


def _arbitrage_closed(c: Connection, n: int, x: r.ArbitrageClosed) -> None:
    c.execute(
        update(t.arbitrages)
        .where(t.arbitrages.c.arbitrage == x.arbitrage)
        .values(
            sequence=n,
            state=x.outcome.value,
            one_sided=x.one_sided,
            quantity=x.quantity,
            realised_edge=x.realised_edge,
            bridge=public(x.bridge),
            residual_base=x.residual_base,
            hedges=x.hedges,
            duration_ns=x.duration_ns,
            exposure_quote_s=x.exposure_quote_s,
        )
    )


def _opportunity_opened(c: Connection, n: int, x: r.OpportunityOpened) -> None:
    put(
        c,
        t.opportunities,
        sequence=n,
        opportunity=x.opportunity,
        strategy=x.strategy,
        symbol=x.symbol,
        buy_venue=x.buy_venue,
        sell_venue=x.sell_venue,
        opened_ns=x.ts,
        state="open",
        peak_gross_bps=x.gross_bps,
        peak_net_bps=x.net_bps,
        peak_quantity=0.0,
        taken=False,
        reason="",
    )


def _opportunity_closed(c: Connection, n: int, x: r.OpportunityClosed) -> None:
    reasons = [d.reasons[0] for d in x.decisions if not d.taken and d.reasons]
    put(
        c,
        t.opportunities,
        sequence=n,
        opportunity=x.opportunity,
        strategy=x.strategy,
        symbol=x.symbol,
        buy_venue=x.buy_venue,
        sell_venue=x.sell_venue,
        opened_ns=x.opened,
        state="closed",
        duration_ns=x.duration_ns,
        peak_gross_bps=x.peak_gross_bps,
        peak_net_bps=x.peak_net_bps,
        peak_quantity=x.peak_quantity,
        buy_age_ns=x.buy_age_ns,
        sell_age_ns=x.sell_age_ns,
        taken=x.taken,
        reason="" if x.taken or not reasons else reasons[0],
    )
    c.execute(delete(t.decisions).where(t.decisions.c.opportunity == x.opportunity))
    if x.decisions:
        c.execute(insert(t.decisions), [_decision(n, x.opportunity, i, d) for i, d in enumerate(x.decisions)])


def _decision(n: int, opportunity: int, number: int, d: r.Decision) -> dict[str, Any]:
    return {
        "sequence": n,
        "opportunity": opportunity,
        "number": number,
        "ts_ns": d.ts,
        "taken": d.taken,
        "arbitrage": d.arbitrage,
        "reason": "" if d.taken or not d.reasons else d.reasons[0],
        "reasons": list(d.reasons),
        "gross_bps": d.gross_bps,
        "net_bps": d.net_bps,
        "quantity": d.quantity,
        "count": d.count,
    }


def _pnl_marked(c: Connection, n: int, x: r.PnlMarked) -> None:
    money = {name: public(getattr(x, name)) for name in ("realised", "unrealised", "fees")}
    put(c, t.pnl_marks, sequence=n, ts_ns=x.ts, **money)


def _state_changed(c: Connection, n: int, x: r.StateChanged) -> None:
    if x.state is r.TradingState.RUNNING:
        c.execute(delete(t.states).where((t.states.c.scope == x.scope) & (t.states.c.reason == x.reason)))
        return
    put(
        c,
        t.states,
        sequence=n,
        scope=x.scope,
        reason=x.reason,
        state=x.state.value,
        until_ns=x.until,
        by=x.by,
        ts_ns=x.ts,
    )


def _alert(c: Connection, n: int, x: r.Alert) -> None:
    put(c, t.alerts, sequence=n, ts_ns=x.ts, severity=x.severity.value, code=x.code, text=x.text)


def _kill_reported(c: Connection, n: int, x: r.KillReported) -> None:
    """One row a kill: told again when it is proven, it replaces what was told before."""
    put(
        c,
        t.kills,
        sequence=n,
        began_ns=x.began,
        scope=x.scope,
        ts_ns=x.ts,
        by=x.by,
        prover=x.prover,
        proven=x.proven,
        found=x.found,
        cancelled=x.cancelled,
        gone=x.gone,
        elapsed_ms=x.elapsed_ms,
        venues=public(x.venues),
        exposure=public(x.exposure),
        note=x.note,
    )


FOLDS: Final[dict[type[r.Record], Callable[[Connection, int, Any], None]]] = {
    r.RunStarted: _run_started,
    r.RunStopped: _run_stopped,
    r.OrderSubmitted: _order_submitted,
    r.OrderChanged: _order_changed,
    r.OrderTimed: _order_timed,
    r.FillBooked: _fill_booked,
    r.CommissionCorrected: _commission_corrected,
    r.BalanceBooked: _balance_booked,
    r.ArbitrageOpened: _arbitrage_opened,
    r.ArbitrageClosed: _arbitrage_closed,
    r.OpportunityOpened: _opportunity_opened,
    r.OpportunityClosed: _opportunity_closed,
    r.PnlMarked: _pnl_marked,
    r.StateChanged: _state_changed,
    r.KillReported: _kill_reported,
    r.Alert: _alert,
}
