"""Item 7: two runs of a demo, made to include what is hard to replay, are replayed in other processes, byte for byte.

The first run has sends refused at the last gate (KuCoin's quota is small, and part of it is kept for hedges), orders
whose answers are lost and whose fate is UNKNOWN for a while, a lost order link, and ends by `kill -9` with an order
under way; the second is its restart and ends in order. Each replay runs in a fresh process under a PYTHONHASHSEED of
its own. The check itself is checked: the same journal with one digit of one input changed must not come out equal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tradeserver.core.records import FillBooked, LinkChanged, OrderChanged, OrderState, OrderSubmitted, Record
from tradeserver.lab.acceptance.agreement import folded
from tradeserver.lab.acceptance.house import UNBROKEN, CheckFailedError, House, house, lively_market, require
from tradeserver.lab.processes import tradeserver
from tradeserver.runtime.journal import (
    DIGEST,
    END,
    INPUT,
    SOURCE,
    Entry,
    FileJournal,
    count_and_digest,
    read_journal,
)
from tradeserver.services import layout

HASH_SEEDS = ("1", "271828")
PARAMS = "min_edge_bps = 1"
SECONDS = 6.0
"""How long each run goes on without anything special."""
LEAST_DIGESTS = 5
SPOT_30S = 150
LATE = ("delay *.orders 100ms", "delay *.user 50ms")
SILENCE = ("drop *.orders", "drop *.user", "answer *.rest status=503 side=in")
"""Nothing is heard of any order: the next one is under way until the process is killed."""
FILL = b'"x":"TRADE"'
"""In a Binance execution report: this one is a fill, and "L" is its price."""
PRICE = b'"L":"'


class Replayed(NamedTuple):
    """One run's replay."""

    run: str
    inputs: int
    digests: int
    ended: bool
    records: int


def item_7(folder: Path, data: Path) -> str:
    """Both runs equal, a changed input not; the purity and import contracts hold."""
    counts, journals = two_runs(folder / "demo")
    replays = []
    for directory, hash_seed in zip(journals, HASH_SEEDS, strict=True):
        answer = replay(directory, hash_seed)
        require(answer["equal"], f"run {answer['run']} does not replay: {answer['mismatch']}")
        require(answer["digests"] >= LEAST_DIGESTS, f"run {answer['run']}: {answer['digests']} digests were compared")
        replays.append(Replayed(*(answer[name] for name in Replayed._fields)))
    require(replays[1].ended, f"the last digest of run {replays[1].run} was not compared")
    changed = replay(with_one_digit_changed(journals[0], folder / "changed"), HASH_SEEDS[0])
    require(not changed["equal"], "one digit of an input was changed and the replay is still equal")
    contracts()
    return f"{describe(counts, replays)}; with one digit changed: {changed['mismatch']['inputs']} inputs in, unequal"


def describe(counts: Mapping[str, int], replays: list[Replayed]) -> str:
    """One line for a person."""
    had = ", ".join(f"{count} {what}" for what, count in counts.items())
    each = "; ".join(
        f"run {r.run}: {r.inputs} inputs, {r.records} records, {r.digests} digests equal"
        + (" (the last one too)" if r.ended else "")
        for r in replays
    )
    return f"together {had}; {each}"


# ---- the two runs ----------------------------------------------------------------------------------------------------


def two_runs(folder: Path) -> tuple[dict[str, int], list[Path]]:
    """What the runs had, and their journals, the older first. Raises CheckFailedError."""
    words = [str(lively_market(folder, SPOT_30S)), *(word for fault in LATE for word in ("--fault", fault))]
    with house(folder, words, params=PARAMS, more=UNBROKEN) as built:
        built.start()
        built.wait_ready()
        time.sleep(SECONDS)
        _until(built, "a fill", lambda records: any(isinstance(r, FillBooked) for r in records))
        _until(built, "a refused send", lambda records: _counts(records)["refused sends"], 60)
        _lose_answers(built)
        for fault in SILENCE:
            built.simulator.post("/fault", {"fault": fault})
        _until(built, "an order under way", lambda records: folded(records).orders.live, 60)
        assert built.daemon is not None
        built.daemon.kill()
        at_the_end = len(folded(built.records()).orders.live)
        _mend_faults(built)
        time.sleep(1.1)  # a journal is named by its start second
        built.start()
        built.wait_ready()
        fills = sum(isinstance(r, FillBooked) for r in built.records())
        time.sleep(SECONDS)
        _until(built, "fills after the restart", lambda rs: sum(isinstance(r, FillBooked) for r in rs) > fills, 60)
        code = built.stop()
        require(code == 0, f"the daemon ended with code {code}")
        counts = _counts(built.records()) | {"orders under way at the kill": at_the_end}
        journals = sorted(layout.journals(built.state).iterdir(), key=lambda path: path.stat().st_mtime)
    for what, count in counts.items():
        require(count, f"the two runs had no {what}")
    require(len(journals) == 2, f"{len(journals)} journals instead of two")
    return counts, journals


def _lose_answers(built: House) -> None:
    """What each venue says about orders is lost until one is in doubt; then Binance's order link itself."""
    for venue, said, told in (("kucoin", "orderId", "tradeOrders"), ("binance", "clientOrderId", "executionReport")):
        before = _in_doubt(built.records(), venue)
        built.simulator.post("/fault", {"fault": f"drop {venue}.orders match={said}"})
        built.simulator.post("/fault", {"fault": f"drop {venue}.user match={told}"})
        _until(built, f"an order in doubt at {venue}", lambda rs, v=venue, b=before: _in_doubt(rs, v) > b, 60)  # type: ignore[misc]
        _mend(built)
    built.simulator.post("/fault", {"fault": "disconnect binance.orders"})
    lost = ("binance", "orders", False)
    _until(built, "a lost order link", lambda rs: any(_link(r) == lost for r in rs))
    _mend(built)


def _mend(built: House) -> None:
    _mend_faults(built)
    built.wait_ready(60)


def _mend_faults(built: House) -> None:
    built.simulator.post("/fault/clear", {})
    for fault in LATE:
        built.simulator.post("/fault", {"fault": fault})


def _link(record: Record) -> tuple[str, str, bool] | None:
    return (record.venue, record.channel, record.up) if isinstance(record, LinkChanged) else None


def _in_doubt(records: list[Record], venue: str) -> int:
    return sum(isinstance(r, OrderChanged) and r.state is OrderState.UNKNOWN and r.venue == venue for r in records)


def _counts(records: list[Record]) -> dict[str, int]:
    changes = [r for r in records if isinstance(r, OrderChanged)]
    return {
        "orders": sum(isinstance(r, OrderSubmitted) for r in records),
        "fills": sum(isinstance(r, FillBooked) for r in records),
        "refused sends": sum(r.code == "NOT_SENT" for r in changes),
        "UNKNOWN orders": len({r.client_id for r in changes if r.state is OrderState.UNKNOWN}),
    }


def _until(built: House, what: str, seen: Callable[[list[Record]], object], patience_s: float = 30.0) -> None:
    """Until the log shows it. Raises CheckFailedError."""
    end = time.monotonic() + patience_s
    while not seen(built.records()):
        assert built.daemon is not None
        built.daemon.require_running()
        if time.monotonic() > end:
            raise CheckFailedError(f"not within {patience_s:g} s: {what}\n{built.daemon.tail(5)}")
        time.sleep(0.05)


# ---- replays ---------------------------------------------------------------------------------------------------------


def replay(directory: Path, hash_seed: str) -> dict[str, Any]:
    """`tradeserver replay` in a process of its own."""
    done = subprocess.run(
        tradeserver("replay", str(directory), "--json"),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    require(done.returncode in (0, 1) and done.stdout, f"replay ended with code {done.returncode}: {done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    require(answer["equal"] == (done.returncode == 0), f"exit code {done.returncode}, but equal is {answer['equal']}")
    return answer


def with_one_digit_changed(journal: Path, target: Path) -> Path:
    """The same journal, but for one digit of the price of the first Binance fill."""
    header, entries = read_journal(journal)
    copy = FileJournal(target, header)
    done = False
    for entry in entries:
        if entry.kind == INPUT and not done and FILL in entry.data:
            at = entry.data.index(PRICE) + len(PRICE)
            digit = bytes([entry.data[at] ^ 1])
            entry = Entry(entry.kind, entry.source, entry.ts, entry.data[:at] + digit + entry.data[at + 1 :])
            done = True
        _put(copy, entry)
    copy.close()
    require(done, "the journal holds no fill of Binance")
    require(not copy.failed, f"the copy failed: {copy.failed}")
    return target


def _put(journal: FileJournal, entry: Entry) -> None:
    if entry.kind == INPUT:
        journal.input(entry.ts, entry.source, entry.data)
    elif entry.kind == SOURCE:
        journal.source(entry.source, entry.data.decode())
    elif entry.kind == DIGEST:
        journal.digest(*count_and_digest(entry))
    elif entry.kind == END:
        journal.end(*count_and_digest(entry))


def contracts() -> None:
    """Nothing impure in the deterministic half; imports point one way. Raises CheckFailedError."""
    lint = Path(sys.executable).with_name("lint-imports")
    tests = [sys.executable, "-m", "pytest", "-q", "tests/test_purity.py", "tests/test_architecture.py"]
    for command in ([str(lint)], tests):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        require(done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-1500:]}")
