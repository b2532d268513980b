"""NATS: a stranger's durable pull consumer sees every sequence of a trading daemon's log exactly once.

The consumer is `tests/system/consumer.py`, which imports nats-py alone. It listens while the daemon trades, over a
restart (kill -9) of the NATS server and over an outage; a second one reads the whole stream afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tradeserver.core.records import kind_of
from tradeserver.lab.acceptance.house import House, house, require
from tradeserver.lab.demo import MORE
from tradeserver.lab.processes import start_nats
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.services.nats import stream_name

CONSUMER = Path("tests/system/consumer.py")
OUTAGE_S = 180.0
PAUSE_S = 8.0  # trading between two mishaps
NEVER = 10**12


def item_6(folder: Path, data: Path) -> str:
    """With a true outage of three minutes, longer than the stream's duplicate window of two."""
    return delivered(folder, OUTAGE_S)


def delivered(folder: Path, outage_s: float) -> str:
    """Raises CheckFailedError where a sequence is missing, doubled or out of order."""
    with house(folder, more=MORE) as built:
        built.start()
        built.wait("the first fill", lambda s: s["realised"], 60)
        seconds = 3 * PAUSE_S + outage_s + 20
        live = _consumer(built, NEVER, seconds, "live")
        time.sleep(PAUSE_S)
        built.nats.kill()
        built.nats = start_nats(folder, built.nats_port)
        time.sleep(PAUSE_S)
        before = built.status()["sequence"]
        built.nats.stop()
        time.sleep(outage_s)
        after = built.status()["sequence"]
        built.nats = start_nats(folder, built.nats_port)
        time.sleep(PAUSE_S)
        seen_live = _result(live, seconds + 30)
        require(built.stop() == 0, "the daemon did not end well")
        log = [(sequence, kind_of(record)) for sequence, record in read(layout.wal(built.state))]
        seen_after = _result(_consumer(built, log[-1][0], 60, "afterwards"), 90)
    last = log[-1][0]
    fills = [sequence for sequence, kind in log if kind == "fill_booked"]
    missed = [sequence for sequence in fills if before < sequence <= after]
    require(missed, "nothing was traded during the outage")
    require([sequence for sequence, _ in log] == list(range(1, last + 1)), "the log itself has a gap")
    require(seen_after == list(range(1, last + 1)), _wrong("afterwards", seen_after, last))
    require(seen_live == list(range(1, len(seen_live) + 1)), _wrong("while it traded", seen_live, last))
    require(len(seen_live) > after, f"the consumer saw {len(seen_live)} sequences, the outage ended at {after}")
    return (
        f"{last} sequences ({len(fills)} fills), each once and in order, live and afterwards, over a kill -9 of the "
        f"server and an outage of {outage_s:g} s, in which {after - before} were written ({len(missed)} fills)"
    )


def _consumer(built: House, last: int, seconds: float, durable: str) -> subprocess.Popen[str]:
    words = [f"nats://127.0.0.1:{built.nats_port}", stream_name("demo"), str(last), str(seconds), durable]
    return subprocess.Popen([sys.executable, str(CONSUMER), *words], stdout=subprocess.PIPE, text=True)


def _result(consumer: subprocess.Popen[str], patience_s: float) -> list[int]:
    out, _ = consumer.communicate(timeout=patience_s)
    found: dict[str, Any] = json.loads(out)
    require(not found["mismatched"], f"body and header disagree at {found['mismatched'][:5]}")
    order: list[int] = found["in_stream_order"]
    return order


def _wrong(who: str, seen: list[int], last: int) -> str:
    missing = sorted(set(range(1, last + 1)) - set(seen))[:5]
    doubled = sorted({n for n in seen if seen.count(n) > 1})[:5] if len(set(seen)) < len(seen) else []
    return f"the consumer {who} saw {len(seen)} of {last}: missing {missing}, doubled {doubled}"
