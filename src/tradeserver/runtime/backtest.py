"""Backtest: the engine on events from a data set, the paper venue for orders, and time that jumps.

The same `Engine`, `PaperSession` and `Gateway` as in a paper run; what differs is that nobody waits. Rules:

- Time is the data's. A tick falls on the 10 ms grid, as live, but only where the engine or a paper venue has something
  due (`Engine.next_deadline`, `PaperSession.next_due`): the ticks left out would change nothing, and a test runs both.
- Before each event everything is heard that the paper venues have said by then; an order meets the book as it stood
  when it arrived.
- What performing a command causes is processed next, with the stamp of the step that caused it.
- Every decision takes no time: latency is the paper venue's, from sending to match and from match to hearing.

It reads no clock, no file and no configuration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import BestQuote, BookDelta, BookSnapshot, Event, Operator, Tick, Together, Trade
from tradeserver.core.records import Record
from tradeserver.runtime.gateway import Gateway
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.ticks import TICK_NS
from tradeserver.runtime.wal import Wal, encode_record
from tradeserver.sessions.base import Feeder, Session, Source
from tradeserver.sessions.paper import PaperSession

_SEEN: Final = (BookSnapshot, BookDelta, BestQuote, Trade)


class NoMarket:
    """The market half of a paper session whose data come from elsewhere: nothing to say, nobody to ask."""

    def __init__(self, venue: str) -> None:
        self.venue = venue

    def bind(self, feeder: Feeder) -> None:
        """It has no sources."""

    def start(self) -> None:
        """Nothing begins."""

    def refusal(self, command: Command) -> str:
        """Everything may be asked; the answer is in the data or nowhere."""
        return ""

    def perform(self, command: Command, ts: int, send: bool = True) -> tuple[bytes, str]:
        """A snapshot cannot be had: the next one in the data will do."""
        return b"", ""

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """Nothing is asked, nothing is spent."""
        return {}

    def tick(self, ts: int) -> Sequence[Event]:
        """No timers."""
        return ()

    def flush(self) -> bytes:
        """Nothing to say."""
        return b""

    def reset(self, channel: str, reason: str) -> None:
        """Nothing to hang up."""

    def ping(self, ts: int) -> None:
        """Nobody answers."""


class Backtest:
    """One run. `every_tick` skips none, to prove that skipping changes nothing; `keep` takes records past the log."""

    def __init__(
        self,
        engine: Engine,
        sessions: Sequence[Session],
        wal: Wal,
        started: int,
        *,
        every_tick: bool = False,
        keep: Callable[[Sequence[Record]], None] | None = None,
    ) -> None:
        self.engine = engine
        self.ts = started
        self.events = 0
        self.ticks = 0
        self._wal = wal
        self._every_tick = every_tick
        self._keep = keep or self._log
        self._paper = [session for session in sessions if isinstance(session, PaperSession)]
        self._inbox: deque[tuple[Source, bytes]] = deque()
        self._caused: deque[Event] = deque()
        self._busy = False  # a paper venue has something to say, or will have
        self._next_tick = -(-started // TICK_NS) * TICK_NS  # the first that may still be made
        self._cell_end = 0  # no tick before this needs to be looked for
        self._gateway = Gateway({s.venue: s for s in sessions}, MemoryLatch(), lambda: self.ts, self._caused.append)
        for session in sessions:
            session.bind(self)

    # ---- for the sessions --------------------------------------------------------------------------------------------

    def add(self, source: Source) -> None:
        """See `Feeder.add`: sources need no numbers here."""

    def feed(self, source: Source, data: bytes) -> None:
        """See `Feeder.feed`: it waits its turn."""
        self._inbox.append((source, data))

    # ---- time and events ---------------------------------------------------------------------------------------------

    def run(self, stream: Iterable[Event]) -> None:
        """Every event, in order; stamps must not fall."""
        step, keep = self.engine.step, self._keep
        count = 0
        for event in stream:
            ts = event.ts
            if ts >= self._cell_end:
                self.pass_time(ts)
            self.ts = ts
            if self._busy:
                self._hear(ts)
            records, commands = step(event)
            if records:
                keep(records)
            if commands:
                self._act(commands, ts)
                self._after()
            count += 1
        self.events += count

    def tell(self, event: Event) -> None:
        """One event of the shell's, at its stamp."""
        self.pass_time(event.ts)
        self.ts = event.ts
        self._step(event)
        self._after()

    def pass_time(self, until: int) -> None:
        """Every tick up to and at `until` that has something to do."""
        while True:
            due = self._next_tick if self._every_tick else self._due()
            if not due:
                break
            at = max(-(-due // TICK_NS) * TICK_NS, self._next_tick)
            if at > until:
                break
            self._next_tick = at + TICK_NS
            self._tick(at)
        self._cell_end = (until // TICK_NS + 1) * TICK_NS
        self._next_tick = max(self._next_tick, self._cell_end)

    def settle(self, most_ns: int) -> None:
        """Let what is open finish and hedge; time passes, nothing else happens."""
        end = self.ts + most_ns
        desk = self.engine.desk
        while (desk.arbitrages or desk.orders.live) and self.ts < end:
            self.ts += TICK_NS
            self.pass_time(self.ts)

    def stop(self, reason: str, settle_ns: int) -> None:
        """As a daemon stops: nothing new, settle, the last records."""
        self.tell(Operator(ts=self.ts, action="stop", argument=reason, source="shell"))
        self.settle(settle_ns)
        self.tell(Operator(ts=self.ts, action="end", argument=reason, source="shell"))

    def _due(self) -> int:
        due = self.engine.next_deadline()
        for paper in self._paper:
            at = paper.next_due()
            if at and (at < due or not due):
                due = at
        return due

    def _tick(self, at: int) -> None:
        self.ts = at
        self.ticks += 1
        if self._busy:
            self._hear(at)
        self._step(Tick(ts=at))
        self._after()

    def _hear(self, ts: int) -> None:
        """What has fallen due, in due order, then resting orders that the books have come to."""
        while True:
            first = min((p for p in self._paper if 0 < p.next_due() <= ts), key=lambda p: p.next_due(), default=None)
            if first is None:
                break
            if data := first.due(first.next_due()):
                self._take(first.source, data)
        for one in self._paper:
            if data := one.due(ts):
                self._take(one.source, data)
        self._busy = any(not paper.idle for paper in self._paper)

    def _take(self, source: Source, data: bytes) -> None:
        for event in source.decode(data, self.ts):
            self._step(event)
        self._after()

    def _after(self) -> None:
        """What the input that is over has caused, each an input of its own."""
        while self._caused:
            self._step(self._caused.popleft())
        while self._inbox:
            self._take(*self._inbox.popleft())

    def _step(self, event: Event) -> None:
        records, commands = self.engine.step(event)
        if records:
            self._keep(records)
        if commands:
            self._act(commands, event.ts)

    def _log(self, records: Sequence[Record]) -> None:
        self._wal.write(list(map(encode_record, records)))

    def _act(self, commands: Sequence[Command], ts: int) -> None:
        self._gateway.perform(commands, ts, ts, ts, "")
        self._busy = True

    def begin(self, events: Iterable[Event], sessions: Iterable[PaperSession]) -> None:
        """The run's first inputs, and what the paper venues say of themselves."""
        for event in events:
            self._step(event)
        for session in sessions:
            session.start()
        self._after()


def together(stream: Iterable[Event]) -> Iterable[Event]:
    """Market events of one stamp as one `Together`; a single one, and every other kind, as it is."""
    for _, group in groupby(stream, key=lambda event: event.ts):
        rows = list(group)
        seen = [event for event in rows if isinstance(event, _SEEN)]
        if len(seen) < 2:
            yield from rows
            continue
        yield from (event for event in rows if not isinstance(event, _SEEN))
        yield Together(ts=seen[0].ts, events=tuple(seen))
