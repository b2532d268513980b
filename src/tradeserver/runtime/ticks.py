"""Time passing: the tick source, the task that makes ticks, and the housekeeping that waits for idle ones.

A tick is due every 10 ms and says how late it is. It runs every session's own `tick` inside the same input, so that
codecs' timers are journaled too. A tick more than `STALL_NS` late means that frames may have waited in the kernel: the
market channels are pinged, at once but no more than twice a second. An idle tick is one that was on time and found
little to do since the one before.
"""

from __future__ import annotations

import asyncio
import gc
import struct
import time
from collections.abc import Callable, Sequence

from tradeserver.core.events import Event, Tick
from tradeserver.runtime.reactor import Reactor
from tradeserver.sessions.base import Session

TICK_NS = 10_000_000
STALL_NS = 50_000_000
PING_EVERY_NS = 500_000_000
"""Binance drops a connection that sends more than five frames a second, pings among them."""

_LATE = struct.Struct("<q")


class TickSource:
    """A tick: every codec's timers, then the engine's `Tick`. The data is how late it is, i64 ns."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self.id = -1
        self.name = "tick"
        self._sessions = tuple(sessions)

    def decode(self, data: bytes, ts: int) -> Sequence[Event]:
        """Codecs first: what their timers find is seen before the engine looks at the clock."""
        events: list[Event] = []
        for session in self._sessions:
            events.extend(session.tick(ts))
        events.append(Tick(ts=ts, late_ns=_LATE.unpack(data)[0]))
        return events

    def flush(self) -> bytes:
        """Hand on what the timers made the codecs say."""
        return b"".join([session.flush() for session in self._sessions])


def encode_tick(late_ns: int) -> bytes:
    """The data of one tick."""
    return _LATE.pack(late_ns)


def spin(loop: asyncio.AbstractEventLoop) -> None:
    """Keep the loop from ever sleeping: it looks at its sockets again and again, on a whole core."""
    loop.call_soon(spin, loop)


class Ticker:
    """Feeds ticks, and does the chores. `source` is known to the reactor from construction on."""

    FLUSH_EVERY = 5  # ticks between two flushes of the journal
    MARK_EVERY = 100  # ticks between two digests: a run that is killed can be compared up to its last second
    QUIET_INPUTS = 20  # an idle tick follows at most so many inputs
    HURRY_AFTER = 1000  # ticks without an idle one: then any tick will do
    COLLECT_EVERY = 100  # ticks between two collections of the young garbage
    COLLECT_ALL_EVERY = 30_000

    def __init__(self, reactor: Reactor, after_tick: Callable[[], None] = lambda: None) -> None:
        self.source = TickSource(tuple(reactor.sessions.values()))
        self.ticks = 0
        self.late_ns = 0  # of the last tick
        self.worst_ns = 0  # of all; whoever reports it sets it back to 0
        self._reactor = reactor
        self._after_tick = after_tick
        self._inputs = 0
        self._ping_wanted = False
        self._pinged_at = 0
        self._not_idle = 0
        self._collected = self._collected_all = 0
        reactor.add(self.source)

    async def run(self, monotonic: Callable[[], int] = time.monotonic_ns) -> None:
        """Ticks until cancelled. A late tick is not made up for: the next one is due a whole period after it."""
        due = monotonic() + TICK_NS
        while True:
            await asyncio.sleep(max(0, due - monotonic()) / 1e9)
            now = monotonic()
            late = max(0, now - due)
            due = due + TICK_NS if late < TICK_NS else now + TICK_NS
            self.tick(late)

    def tick(self, late_ns: int) -> None:
        """One tick, `late_ns` after it was due."""
        reactor = self._reactor
        reactor.feed(self.source, encode_tick(late_ns))
        self.ticks += 1
        self.late_ns = late_ns
        self.worst_ns = max(self.worst_ns, late_ns)
        self._ping_wanted = self._ping_wanted or late_ns > STALL_NS
        if self._ping_wanted:
            self._ping(reactor.now())
        if not self.ticks % self.MARK_EVERY:
            reactor.mark()
        if not self.ticks % self.FLUSH_EVERY:
            reactor.journal.flush()
        quiet = late_ns < TICK_NS // 5 and reactor.inputs - self._inputs <= self.QUIET_INPUTS
        self._inputs = reactor.inputs
        if quiet or self._not_idle >= self.HURRY_AFTER:
            self._not_idle = 0
            self._idle()
        else:
            self._not_idle += 1
        self._after_tick()

    def _ping(self, now: int) -> None:
        """At once, then no more often than a venue bears: a loop that stays late asks again after a while."""
        if self._pinged_at and now - self._pinged_at < PING_EVERY_NS:
            return
        self._ping_wanted = False
        self._pinged_at = now
        for session in self._reactor.sessions.values():
            session.ping(now)

    def _idle(self) -> None:
        """A moment without haste: roll the log, collect garbage (automatic collection is off)."""
        reactor = self._reactor
        reactor.wal.idle(lambda: reactor.engine.checkpoint(reactor.now()))
        if self.ticks - self._collected_all >= self.COLLECT_ALL_EVERY:
            self._collected_all = self._collected = self.ticks
            gc.collect()
        elif self.ticks - self._collected >= self.COLLECT_EVERY:
            self._collected = self.ticks
            gc.collect(1)
