"""Replay: feed a journal's inputs through the same reactor and compare what comes out with what came out then.

The wiring differs in three places and nowhere else: the clock is the journal's, sessions are bound to a feeder that
feeds nothing (`reactor.Muted`), and the write-ahead log is in memory. Every decision, every encoded byte is made anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tradeserver.runtime.journal import (
    DIGEST,
    END,
    INPUT,
    SOURCE,
    JournalError,
    JournalHeader,
    NoJournal,
    count_and_digest,
)
from tradeserver.runtime.latch import MemoryLatch
from tradeserver.runtime.reactor import Engine, Muted, Reactor
from tradeserver.runtime.tape import read_run
from tradeserver.runtime.ticks import TickSource
from tradeserver.runtime.wal import MemoryWal
from tradeserver.sessions.base import Session, Source


@dataclass(frozen=True)
class Mismatch:
    """The first digest that differs."""

    inputs: int  # so many inputs had been processed
    expected: str  # hex, by the run itself
    found: str  # hex, now


@dataclass(frozen=True)
class ReplayResult:
    """What a replay showed. `ended`: the run closed its journal in order, so that its last digest was compared too."""

    run: str
    inputs: int
    digests: int  # compared, the final one included
    ended: bool
    mismatch: Mismatch | None
    digest: str  # hex, after the last input
    records: int

    @property
    def equal(self) -> bool:
        """Everything that could be compared was the same, and something was compared."""
        return self.mismatch is None and self.digests > 0


def replay(
    directory: Path,
    engine: Callable[[JournalHeader], Engine],
    sessions: Callable[[JournalHeader], Sequence[Session]],
    until: int = 0,
) -> ReplayResult:
    """Replay the run in `directory`, or only what came up to `until` (ns). Raises JournalError.

    `engine` answers the engine as it was when the run began (the header holds configuration and checkpoint),
    `sessions` the same sessions with `NullTransport`s.
    """
    header, entries = read_run(directory)
    clock = [header.started]
    wal = MemoryWal()
    reactor = Reactor(
        engine(header),
        sessions(header),
        wal,
        NoJournal(),
        lambda: clock[0],
        MemoryLatch(),
        effects=Muted,
        digest_every=sys.maxsize,  # marks are made where the journal has them
    )
    reactor.add(TickSource(tuple(reactor.sessions.values())))
    names: dict[int, str] = {}
    compared, ended, mismatch = 0, False, None
    for entry in entries:
        if entry.kind == INPUT:
            if until and entry.ts > until:
                break
            clock[0] = entry.ts
            reactor.feed(_source(reactor, names, entry.source), entry.data)
        elif entry.kind == SOURCE:
            names[entry.source] = entry.data.decode()
        elif entry.kind in (DIGEST, END):
            inputs, expected = count_and_digest(entry)
            found = reactor.mark() if entry.kind == DIGEST else reactor.digest()
            ended = ended or entry.kind == END
            compared += 1
            if found != expected or inputs != reactor.inputs:
                mismatch = Mismatch(inputs, expected.hex(), found.hex())
                break
    return ReplayResult(
        header.run, reactor.inputs, compared, ended, mismatch, reactor.digest().hex(), len(wal.payloads)
    )


def _source(reactor: Reactor, names: dict[int, str], number: int) -> Source:
    name = names.get(number, "")
    source = reactor.sources.get(name)
    if source is None:
        raise JournalError(f"input {reactor.inputs + 1} came from {name or number}, which this wiring does not have")
    return source
