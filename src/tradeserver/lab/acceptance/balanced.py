"""Ledger and accounts: equal to the last digit after demos of several seeds; nothing to hedge after a good arbitrage.

The sums here are made from the log's fills and the simulator's opening balances alone, apart from the daemon's ledger.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradeserver.core.records import (
    ArbitrageClosed,
    ArbitrageOpened,
    BalanceBooked,
    CommissionCorrected,
    FillBooked,
    HedgeDecided,
    Outcome,
    Record,
)
from tradeserver.core.types import Side
from tradeserver.lab.acceptance.house import require
from tradeserver.lab.processes import tradeserver
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.simulator.config import default_config

SEEDS = (1, 2, 3)
SECONDS = 40
Totals = Mapping[tuple[str, str], Decimal]


def item_2(folder: Path, data: Path) -> str:
    """Balances equal, no hedge after a completed arbitrage, exposure within one lot, in both directions."""
    directions: Counter[str] = Counter()
    worst: dict[str, Decimal] = {}
    fills = 0
    for seed in SEEDS:
        records = demo(folder / f"seed-{seed}", seed)
        fills += sum(isinstance(r, FillBooked) for r in records)
        check_totals(seed, records, folder / f"seed-{seed}")
        check_exposure(seed, records, directions, worst)
    require(len(directions) == 2, f"only one direction was traded: {dict(directions)}")
    ways = ", ".join(f"{count} {way}" for way, count in directions.items())
    left = ", ".join(f"{amount} {asset}" for asset, amount in worst.items())
    return f"{len(SEEDS)} seeds, {fills} fills, every balance equal; {ways}; no hedge; largest net exposure {left}"


def demo(folder: Path, seed: int, seconds: float = SECONDS) -> list[Record]:
    """A demo of its own process, which must end well; its log. `folder`/simulator.json has the final accounts."""
    folder.mkdir(parents=True)
    words = ["demo", "--duration", str(seconds), "--seed", str(seed), "--folder", str(folder), "--plain"]
    done = subprocess.run(
        tradeserver(*words, "--json", str(folder / "summary.json")),
        capture_output=True,
        text=True,
        timeout=seconds + 90,
    )
    require(done.returncode == 0, f"the demo with seed {seed} ended with code {done.returncode}: {done.stdout[-600:]}")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    require(summary["ledger_equal"] is True, f"seed {seed}: {summary['ledger_differences']}")
    return [record for _, record in read(layout.wal(folder / "state"))]


# ---- balances -------------------------------------------------------------------------------------------------------


def check_totals(seed: int, records: Iterable[Record], folder: Path) -> None:
    """Opening balances and fills, commissions taken off, come to the simulator's accounts."""
    expected = by_hand(records)
    actual = accounts(json.loads((folder / "simulator.json").read_text("utf-8")))
    for key in sorted({*expected, *actual}):
        ours, theirs = expected.get(key, Decimal(0)), actual.get(key, Decimal(0))
        require(ours == theirs, f"seed {seed}: {' '.join(key)} is {ours} by the log's fills, {theirs} at the simulator")


def by_hand(records: Iterable[Record]) -> Totals:
    """The default market's opening balances and every fill."""
    totals: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for name, settings in default_config().venues.items():
        for account in settings.accounts:
            for asset, amount in account.balances.items():
                totals[name, asset] += amount
    commissions: dict[tuple[str, str, str], FillBooked | CommissionCorrected] = {}
    for record in records:
        if isinstance(record, BalanceBooked):
            require(record.reason == "opening", f"the ledger was corrected from outside: {record}")
        elif isinstance(record, FillBooked):
            base, _, quote = record.symbol.partition("/")
            sign = 1 if record.side is Side.BUY else -1
            totals[record.venue, base] += sign * record.quantity
            totals[record.venue, quote] -= sign * record.quantity * record.price
            commissions[record.venue, record.symbol, record.trade_id] = record
        elif isinstance(record, CommissionCorrected):
            commissions[record.venue, record.symbol, record.trade_id] = record
    for (place, _, _), final in commissions.items():
        totals[place, final.commission_asset] -= final.commission
    return totals


def accounts(state: Mapping[str, Any]) -> Totals:
    """What the simulator says that it holds for us."""
    return {
        (venue, asset): Decimal(balance["free"]) + Decimal(balance["locked"])
        for venue, found in state["venues"].items()
        for account in found["accounts"].values()
        for asset, balance in account["balances"].items()
    }


# ---- exposure -------------------------------------------------------------------------------------------------------


def check_exposure(seed: int, records: Iterable[Record], directions: Counter[str], worst: dict[str, Decimal]) -> None:
    """Completed arbitrages: no hedge, and what they left is within one lot. Counts directions, keeps the worst."""
    net = net_base(records)
    lots = common_lots()
    hedged = {r.arbitrage for r in records if isinstance(r, HedgeDecided)}
    plans = {r.arbitrage: r for r in records if isinstance(r, ArbitrageOpened)}
    for record in records:
        if not isinstance(record, ArbitrageClosed) or record.outcome is not Outcome.COMPLETED:
            continue
        name = f"seed {seed}, arbitrage {record.arbitrage}"
        require(record.arbitrage not in hedged and not record.hedges, f"{name} was hedged")
        left = net[record.arbitrage]
        lot = lots[f"{record.base}/{record.quote}"]
        require(left == record.residual_base, f"{name} left {left} by its fills, {record.residual_base} by its record")
        require(abs(left) <= lot, f"{name} left {left} {record.base}, more than one lot of {lot}")
        worst[record.base] = max(worst.get(record.base, Decimal(0)), abs(left))
        sides = {leg.side: leg.venue for leg in plans[record.arbitrage].legs}
        directions[f"{sides[Side.BUY]} to {sides[Side.SELL]}"] += 1


def net_base(records: Iterable[Record]) -> Mapping[int, Decimal]:
    """Arbitrage -> base received less base given, commissions in base taken off, over both venues."""
    net: defaultdict[int, Decimal] = defaultdict(Decimal)
    for record in records:
        if isinstance(record, FillBooked):
            base = record.symbol.partition("/")[0]
            kept = record.commission if record.commission_asset == base else Decimal(0)
            net[record.arbitrage] += (record.quantity if record.side is Side.BUY else -record.quantity) - kept
    return net


def common_lots() -> Mapping[str, Decimal]:
    """The coarser of the venues' lots, by symbol, from the simulator's rules."""
    lots: dict[str, Decimal] = {}
    for venue in default_config().venues.values():
        for symbol in venue.symbols:
            lots[symbol.name] = max(symbol.lot, lots.get(symbol.name, symbol.lot))
    return lots
