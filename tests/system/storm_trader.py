"""A stand-in for the trading loop: real records into a real log, ten each millisecond, every step timed.

    python storm_trader.py STATE PHASES

Quiet and stormy seconds take turns: the same number of records, once of a kind that nobody is told, once alerts. Prints
the p99 of each second's steps, microseconds, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tradeserver.core.records import Alert, Checkpoint, LinkChanged, Record, Severity
from tradeserver.runtime.wal import FileWal, WalSettings, encode_record
from tradeserver.services import layout

EMPTY = Checkpoint(
    ts=0, next_arbitrage=1, next_opportunity=1, orders=(), arbitrages=(), balances={}, positions={}, realised={},
    fees={}, states=(), fill_keys=(), dust={},
)  # fmt: skip
TEXT = "binance market: not JSON. It was opened anew."


def record(storm: bool) -> Record:
    ts = time.time_ns()
    if storm:
        return Alert(ts=ts, severity=Severity.WARNING, code="VENUE_malformed", text=TEXT)
    return LinkChanged(ts=ts, venue="binance", channel="market", up=True, reason=TEXT)


def second(wal: FileWal, storm: bool) -> float:
    took = []
    begun = time.perf_counter_ns()
    for n in range(1_000):
        while time.perf_counter_ns() - begun < n * 1_000_000:
            time.sleep(0.0002)
        at = time.perf_counter_ns()
        assert wal.write([encode_record(record(storm)) for _ in range(10)])
        took.append(time.perf_counter_ns() - at)
    wal.idle(lambda: EMPTY)
    return sorted(took)[990] / 1_000


def main(state: Path, phases: int) -> None:
    wal = FileWal(layout.wal(state), WalSettings(preallocate=True, reserve_bytes=0))
    wal.begin(EMPTY)
    second(wal, storm=False)  # to warm up
    p99: dict[str, list[float]] = {"quiet": [], "storm": []}
    for phase in range(phases):
        storm = bool(phase % 2)
        p99["storm" if storm else "quiet"].append(second(wal, storm))
    wal.close()
    print(json.dumps({**p99, "sequence": wal.seq}))


main(Path(sys.argv[1]), int(sys.argv[2]))
