"""`python -m tradeserver.lab.bench.trader CONFIG SAMPLES [stages|profile|bare]`: the daemon, a stopwatch around it.

Two functions are wrapped: where a frame enters (`WebSocket.on_ws_frame`, the first line of ours after picows) and where
an order leaves (`WebSocket.send`); and the write and the sync of the write-ahead log. That is two clock reads an order.
Samples go to the file SAMPLES at the end: triples of i64, nanoseconds of the monotonic clock.

    kind 1   an order left: (1, when its frame entered, when its send returned)
    kind 2   a write of the log: (2, when it began, when it returned)
    kind 3   the log's thread brought it to the disk: (3, when that began, when it returned)

With "stages" the steps of the walk in between are wrapped as well (`STAGES`), which costs some microseconds itself.
With "profile" Python's own profiler looks at every call from the first order on, which makes everything two to three
times slower; its counts go to SAMPLES.pstats. With "bare" nothing is wrapped: samples are memory too.
"""

from __future__ import annotations

import cProfile
import os
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from picows import WSFrame, WSTransport

from tradeserver import app
from tradeserver.core.engine import Engine
from tradeserver.net.websocket import WebSocket
from tradeserver.runtime.journal import FileJournal
from tradeserver.runtime.reactor import Reactor
from tradeserver.runtime.wal import FileWal
from tradeserver.sessions.wire import ChannelSource, VenueSession

ORDER = 1
WRITE = 2
SYNC = 3

STAGES: dict[int, tuple[type, str]] = {
    10: (FileJournal, "input"),
    11: (ChannelSource, "decode"),
    12: (Engine, "step"),
    13: (Reactor, "_log"),
    14: (VenueSession, "perform"),
    15: (WebSocket, "send"),
}

clock = time.perf_counter_ns


def instrument(samples: array[int], on_order: Callable[[], object] = lambda: None) -> None:
    """Wrap the functions; `on_order` is called before the first order leaves."""
    entered = 0
    on_frame, send, write, fdatasync = WebSocket.on_ws_frame, WebSocket.send, FileWal.write, os.fdatasync
    ordered = False

    def timed_frame(self: WebSocket, transport: WSTransport, frame: WSFrame) -> None:
        nonlocal entered
        entered = clock()
        on_frame(self, transport, frame)

    def timed_send(self: WebSocket, data: bytes) -> bool:
        nonlocal ordered
        if not ordered and b"lientO" in data:
            ordered = True
            on_order()
        taken = send(self, data)
        if b"lientO" in data:  # "newClientOrderId", "clientOid": an order
            samples.extend((ORDER, entered, clock()))
        return taken

    def timed_write(self: FileWal, payloads: Sequence[bytes]) -> bool:
        begun = clock()
        done = write(self, payloads)
        samples.extend((WRITE, begun, clock()))
        return done

    def timed_sync(file: Any) -> None:
        begun = clock()
        fdatasync(file)
        samples.extend((SYNC, begun, clock()))

    os.fdatasync = timed_sync  # type: ignore[assignment]
    WebSocket.on_ws_frame = timed_frame  # type: ignore[method-assign]
    WebSocket.send = timed_send  # type: ignore[method-assign]
    FileWal.write = timed_write  # type: ignore[method-assign]


def instrument_stages(samples: array[int]) -> None:
    """Wrap the steps between a frame and its orders: (kind, when it began, when it returned)."""
    for kind, (owner, name) in STAGES.items():
        setattr(owner, name, _timed(kind, getattr(owner, name), samples))


def _timed(kind: int, function: Callable[..., Any], samples: array[int]) -> Callable[..., Any]:
    def timed(*words: Any, **named: Any) -> Any:
        begun = clock()
        result = function(*words, **named)
        samples.extend((kind, begun, clock()))
        return result

    return timed


def main(config: str, file: str, look: str = "") -> int:
    """Run until stopped; the exit code."""
    samples: array[int] = array("q")
    if look == "stages":
        instrument_stages(samples)
    profiler = cProfile.Profile()
    if look != "bare":
        instrument(samples, profiler.enable if look == "profile" else lambda: None)
    try:
        return app.run(Path(config))
    finally:
        if look == "profile":
            profiler.disable()
            profiler.dump_stats(file + ".pstats")
        with open(file, "wb") as out:
            samples.tofile(out)


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))
