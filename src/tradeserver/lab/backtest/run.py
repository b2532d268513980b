"""One backtest: data sets in, a folder out that holds the log, the file as it was, and the summary.

The log in the folder is a write-ahead log like a daemon's, so everything that reads one reads a backtest: `report`,
`parity`, `why`, and with the database built from it the verbs `orders`, `fills`, `arbitrages` and their like.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.app.wiring import commit, make_engine
from tradeserver.config import describe
from tradeserver.core.engine import Engine
from tradeserver.core.events import Event, InstrumentsLoaded, LinkUp, RunBegan
from tradeserver.core.records import Record
from tradeserver.lab.backtest.crossed import CrossedSeconds
from tradeserver.lab.backtest.settings import SECOND_NS, BacktestFile
from tradeserver.lab.data.runs import prepared
from tradeserver.runtime.backtest import Backtest, NoMarket, together
from tradeserver.runtime.datasets import DataSet, merged
from tradeserver.runtime.journal import JournalError
from tradeserver.runtime.wal import FileWal, MemoryWal, Wal, WalSettings
from tradeserver.services import layout
from tradeserver.services.faults import ConfigError, OperatorError
from tradeserver.sessions.paper import PaperSession

SUMMARY: Final = "backtest.json"
CHUNK: Final = 20_000
"""Events between two looks at the wall clock."""
SETTLE_NS: Final = 60 * SECOND_NS

Progress = Callable[[int, int, float], None]
"""(events so far, events in all, events a second)."""


@dataclass
class Outcome:
    """What a backtest came to, before anybody reads its log."""

    engine: Engine
    backtest: Backtest
    crossed: list[dict[str, object]]
    first_ns: int
    last_ns: int
    wall_s: float
    cpu_s: float
    troubles: list[str]

    @property
    def rate(self) -> float:
        """Events a second of this process's time."""
        return self.backtest.events / self.cpu_s if self.cpu_s else 0.0


class NoRecords(MemoryWal):
    """A log that counts and forgets, for runs of which only the end matters."""

    def write(self, payloads: Any) -> bool:
        """See `Wal.write`."""
        self.seq += len(payloads)
        return True


def open_data(file: BacktestFile, scratch: Path) -> list[DataSet]:
    """Every data set that the file names; runs are decoded into `scratch` first. Raises OperatorError."""
    sets = []
    for folder in file.folders:
        if not folder.is_dir():
            raise ConfigError(f"backtest.data: there is no folder {folder}")
        try:
            sets.append(DataSet(prepared(folder, scratch)))
        except JournalError as error:
            raise OperatorError(f"{folder} cannot be read: {error}") from None
    known = {venue for each in sets for venue in each.header.venues}
    lacking = [venue for venue in file.accounts if venue not in known]
    if lacking:
        have = ", ".join(sorted(known))
        raise ConfigError(f"no data for {', '.join(lacking)}: the data sets hold {have}. Mend backtest.venues")
    symbols = {symbol for each in sets for symbol in each.header.symbols}
    lacking = [symbol for symbol in file.config.symbols if symbol not in symbols]
    if lacking:
        raise ConfigError(f"no data for {', '.join(lacking)}: the data sets hold {', '.join(sorted(symbols))}")
    return sets


def play(
    file: BacktestFile,
    sets: list[DataSet],
    wal: Wal,
    progress: Progress = lambda done, total, rate: None,
    *,
    every_tick: bool = False,
    keep: Callable[[Sequence[Record]], None] | None = None,
) -> Outcome:
    """The run itself; `keep` takes its records instead of the log. Raises OperatorError where the data hold nothing."""
    settings, venues = file.settings, list(file.accounts)
    total = sum(each.count for each in sets)
    stream = merged(sets)
    if any(each.header.together for each in sets):
        stream = iter(together(stream))
    first = next(stream, None)
    if first is None:
        texts = "; ".join(text for each in sets for text in each.troubles)
        raise OperatorError(f"the data hold no event{': ' + texts if texts else ''}")
    started = first.ts - int(settings.warmup_s * SECOND_NS) - SECOND_NS
    fees = {venue: float(file.fees(venue).taker) for venue in venues}
    crossed = CrossedSeconds(file.config.symbols, fees)
    engine = make_engine(
        file.config,
        "backtest",
        started // SECOND_NS,
        venues,
        int(settings.mark_s * SECOND_NS),
        (crossed,) if settings.crossed and len(venues) > 1 else (),
    )
    sessions = [
        PaperSession(NoMarket(venue), engine.market, file.accounts[venue], file.fees(venue)) for venue in venues
    ]
    backtest = Backtest(engine, sessions, wal, started, every_tick=every_tick, keep=keep)
    backtest.begin(_opening(file, started), sessions)
    backtest.pass_time(first.ts - 1)
    stream = itertools.chain((first,), stream)
    wall, cpu = time.perf_counter(), time.process_time()
    with _no_collector():
        last = _run(file, backtest, stream, total, progress)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    backtest.stop("end of the data", SETTLE_NS)
    hold_s = max(each.header.hold_s for each in sets)
    troubles = [text for each in sets for text in each.troubles]
    return Outcome(engine, backtest, crossed.rows(last, hold_s), first.ts, last, wall, cpu, troubles)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Automatic garbage collection off, as in a daemon: what a message allocates is gone when it is processed."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _opening(file: BacktestFile, started: int) -> Iterator[Event]:
    """What a run begins with, and what data sets leave out."""
    text = describe.to_toml(file.config).encode()
    yield RunBegan(
        ts=started,
        instance=file.config.instance.name,
        mode="backtest",
        commit=commit(),
        config_sha256=hashlib.sha256(text).hexdigest(),
        recovered=False,
    )
    for venue in file.accounts:
        if instruments := file.instruments(venue):
            yield InstrumentsLoaded(ts=started, venue=venue, instruments=instruments)
        yield LinkUp(ts=started, venue=venue, channel="market")


def _run(file: BacktestFile, backtest: Backtest, stream: Iterator[Event], total: int, progress: Progress) -> int:
    """Chunk after chunk; the last event's stamp."""
    if file.start_ns:
        for event in itertools.takewhile(lambda e: e.ts < file.start_ns, stream):
            backtest.engine.market.on_event(event, [])
    if file.end_ns:
        stream = itertools.takewhile(lambda e: e.ts < file.end_ns, stream)
    began = time.perf_counter()
    while True:
        before = backtest.events
        backtest.run(itertools.islice(stream, CHUNK))
        if backtest.events == before:
            return backtest.ts
        gc.collect(1)
        progress(backtest.events, total, backtest.events / max(time.perf_counter() - began, 1e-9))


# ---- with a folder ---------------------------------------------------------------------------------------------------


def run(file: BacktestFile, out: Path, progress: Progress, *, database: bool = False) -> dict[str, Any]:
    """Run it into `out`; the summary, which is also written there. Raises OperatorError."""
    from tradeserver.lab.report.figures import figures_of

    make_room(out)
    sets = open_data(file, out / "prepared")
    log = FileWal(layout.wal(out), WalSettings(preallocate=False, reserve_bytes=0, sync_ms=1_000))
    try:
        list(log.recover())
        log.begin(make_engine(file.config, "backtest", 0, list(file.accounts)).checkpoint(0))
        outcome = play(file, sets, log, progress)
    finally:
        log.close()
    if log.failed:
        raise OperatorError(f"the log in {out} could not be written: {log.failed}")
    (out / "config.toml").write_text(describe.to_toml(file.config), "utf-8")
    summary = {
        "file": str(file.path),
        "folder": str(out),
        "data": [{"folder": str(each.directory), "origin": each.header.origin} for each in sets],
        "first_ns": outcome.first_ns,
        "last_ns": outcome.last_ns,
        "events": outcome.backtest.events,
        "ticks": outcome.backtest.ticks,
        "wall_s": round(outcome.wall_s, 3),
        "events_per_cpu_s": round(outcome.rate),
        "crossed_seconds": outcome.crossed,
        "troubles": outcome.troubles,
        "figures": figures_of(out).summary(),
    }
    (out / SUMMARY).write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    if database:
        _build_database(out)
    return summary


def make_room(out: Path) -> None:
    """An empty folder for a result; an earlier result of ours is replaced, nothing else is. Raises ConfigError."""
    if out.exists() and any(out.iterdir()):
        if not (out / SUMMARY).exists() and {p.name for p in out.iterdir()} - {"wal", "prepared", "config.toml"}:
            raise ConfigError(f"{out} is not empty and holds no backtest: choose another folder with --out")
        shutil.rmtree(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out} cannot be made: {error.strerror}") from None


def _build_database(out: Path) -> None:
    from tradeserver.runtime.wal_read import read
    from tradeserver.services.store import Store

    store = Store(layout.store_url(out))
    store.rebuild(read(layout.wal(out)))
    store.close()


def profit(outcome: Outcome) -> dict[str, Decimal]:
    """Realised and marked, by quote asset."""
    ledger = outcome.engine.desk.ledger
    total = dict(ledger.realised)
    for asset, amount in outcome.engine.vitals.unrealised().items():
        total[asset] = total.get(asset, Decimal(0)) + amount
    return total
