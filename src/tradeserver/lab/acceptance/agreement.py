"""Do the log, the ledger and the venue tell the same story? Everything is compared, to the last digit.

The venue's side is the simulator's control API: accounts, every order, every fill, and the log of everything that was
ever asked of it. Ours is the write-ahead log, folded by the code that a restart uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from tradeserver.core.desk import Desk
from tradeserver.core.ids import ClientIds
from tradeserver.core.market import Market, MarketLimits
from tradeserver.core.records import (
    BalanceBooked,
    CommissionCorrected,
    ExposureHeld,
    FillBooked,
    OrderChanged,
    OrderSubmitted,
    Record,
)
from tradeserver.core.types import ZERO
from tradeserver.lab.demo import compare
from tradeserver.lab.processes import Simulator

FillKey = tuple[str, str, str]
"""(venue, symbol, trade id)."""


def folded(records: Iterable[Record]) -> Desk:
    """The desk that a restart would make of this log."""
    desk = Desk(Market(MarketLimits()), ClientIds("D0", "demo", 0))
    for record in records:
        desk.apply(record)
    return desk


def disagreements(records: Sequence[Record], simulator: Simulator) -> list[str]:
    """Every way in which they differ, or something is unknown, open or sent twice; [] where all is well."""
    desk = folded(records)
    wrong = [f"balance {row}" for row in compare(desk, simulator.get("/state"))]
    wrong += [f"booked as external, not as a fill: {r}" for r in records if _external(r)]
    wrong += [
        f"live in the log: {o.client_id} {o.state.value} at {o.submitted.venue}" for o in desk.orders.live.values()
    ]
    wrong += [f"arbitrage {number} is open" for number in desk.arbitrages]
    wrong += _orders(records, simulator.get("/orders")["rows"])
    wrong += _fills(records, simulator.get("/fills")["rows"])
    wrong += _twice(records, simulator.get("/log")["rows"])
    return wrong


def _external(record: Record) -> bool:
    return isinstance(record, BalanceBooked) and record.reason != "opening"


def _orders(records: Sequence[Record], theirs: Sequence[dict[str, Any]]) -> list[str]:
    """Every order at the venue is ours, over, and has executed what our log says."""
    submitted = {r.client_id: r for r in records if isinstance(r, OrderSubmitted)}
    last = {r.client_id: r for r in records if isinstance(r, OrderChanged)}
    wrong = []
    for row in theirs:
        name = f"order {row['client_id']} at {row['venue']}"
        ours = submitted.get(row["client_id"])
        end = last.get(row["client_id"])
        if ours is None or ours.venue != row["venue"]:
            wrong.append(f"{name} is not in the log")
        elif row["state"] == "open":
            wrong.append(f"{name} is open at the venue")
        elif Decimal(row["quantity"]) != ours.quantity or Decimal(row["price"]) != ours.price:
            wrong.append(
                f"{name} is for {row['quantity']} at {row['price']}, in the log {ours.quantity} at {ours.price}"
            )
        elif Decimal(row["filled"]) != (end.executed if end is not None else ZERO):
            wrong.append(f"{name} executed {row['filled']}, in the log {end.executed if end else 'nothing'}")
    there = {row["client_id"] for row in theirs}
    wrong += [f"order {i} executed in the log only" for i, end in last.items() if end.executed and i not in there]
    return wrong


def _fills(records: Sequence[Record], theirs: Sequence[dict[str, Any]]) -> list[str]:
    """The same fills, each once, with the same price, quantity and commission."""
    found = {(row["venue"], row["symbol"], str(row["trade_id"])): _fill_of(row) for row in theirs}
    ours: dict[FillKey, tuple[str, Decimal, Decimal, Decimal, str]] = {}
    wrong = []
    for r in records:
        if isinstance(r, FillBooked):
            key = (r.venue, r.symbol, r.trade_id)
            if key in ours:
                wrong.append(f"fill {key} is in the log twice")
            ours[key] = (r.client_id, r.price, r.quantity, r.commission, r.commission_asset)
        elif isinstance(r, CommissionCorrected):
            key = (r.venue, r.symbol, r.trade_id)
            ours[key] = (*ours[key][:3], r.commission, r.commission_asset)
    for key in sorted({*found, *ours}):
        if found.get(key) != ours.get(key):
            wrong.append(f"fill {key} is {found.get(key)} at the venue, {ours.get(key)} in the log")
    return wrong


def _fill_of(row: dict[str, Any]) -> tuple[str, Decimal, Decimal, Decimal, str]:
    price, quantity, commission = (Decimal(row[name]) for name in ("price", "quantity", "commission"))
    return row["client_id"], price, quantity, commission, row["commission_asset"]


def _twice(records: Sequence[Record], log: Sequence[dict[str, Any]]) -> list[str]:
    """No client id was placed twice, and none without the log's knowing it before."""
    placed = Counter((row["venue"], row["client_id"]) for row in log)
    known = {(r.venue, r.client_id) for r in records if isinstance(r, OrderSubmitted)}
    wrong = [
        f"{client_id} was placed {count} times at {venue}" for (venue, client_id), count in placed.items() if count > 1
    ]
    return wrong + [
        f"{client_id} was placed at {venue} and is not in the log"
        for venue, client_id in placed
        if (venue, client_id) not in known
    ]


def exposure(
    records: Sequence[Record], mids: dict[str, Decimal], most: Decimal
) -> tuple[list[str], dict[str, Decimal]]:
    """(what is above `most` in quote and was not named, what is carried by asset). `mids` by base asset."""
    desk = folded(records)
    named = {r.asset for r in records if isinstance(r, ExposureHeld)}
    wrong = [
        f"{amount} {asset} are carried, worth {abs(amount) * mids[asset]:.2f}, and nobody was told"
        for asset, amount in desk.dust.items()
        if asset not in named and abs(amount) * mids[asset] > most
    ]
    return wrong, dict(desk.dust)
