"""Where the relay delivers: NATS, the database, log lines. Each knows itself how far it has come.

A sink raises `SinkError` for everything that may pass; the relay then closes it, waits and opens it again. None of them
decides anything, and none knows of the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from tradeserver.core.records import Record, RunStopped, Severity
from tradeserver.runtime.wal_files import first_seq_of, list_segments
from tradeserver.services.logs import Log, notable
from tradeserver.services.nats import NatsError, Publisher, Stream
from tradeserver.services.store import Store, StoreError

FRESH_NS: Final = 10_000_000_000
"""Vitals come each second: a last record older than this is no sign of life."""

Batch = Sequence[tuple[int, Record]]


class SinkError(Exception):
    """A sink cannot take anything now: wait, open it again."""


class Sink(Protocol):
    """Somewhere that records go. `open` answers the last sequence that it has; both raise SinkError."""

    name: str

    async def open(self, noted: int) -> int:
        """Be ready; `noted` is what the relay remembers, for a sink that cannot say itself."""
        ...

    async def deliver(self, batch: Batch) -> None:
        """Take `batch`, in order, or raise; some of it may then have been taken."""
        ...

    def settled(self, at: int) -> int:
        """Of what was delivered up to sequence `at`: up to where a next relay need not deliver again."""
        ...

    async def close(self) -> None:
        """Let go. Never raises."""
        ...


@runtime_checkable
class Tells(Protocol):
    """A sink that also takes what the relay says by itself."""

    def tell(self, severity: Severity, code: str, text: str) -> None:
        """Tell it now."""
        ...


class NatsSink:
    """JetStream. The stream's last message is the truth."""

    name = "nats"

    def __init__(self, make: Callable[[], Publisher]) -> None:
        self._make = make
        self._publisher: Publisher | None = None

    async def open(self, noted: int) -> int:
        """A new connection."""
        self._publisher = self._make()
        try:
            found = await self._publisher.connect()
        except NatsError as error:
            raise SinkError(str(error)) from None
        if isinstance(found, Stream):
            return 0 if found is Stream.NEW else noted
        return found

    async def deliver(self, batch: Batch) -> None:
        """Publish and wait for the acknowledgements."""
        assert self._publisher is not None
        try:
            await self._publisher.publish(batch)
        except NatsError as error:
            raise SinkError(str(error)) from None

    def settled(self, at: int) -> int:
        """All of it."""
        return at

    async def close(self) -> None:
        """Drop the connection."""
        if self._publisher is not None:
            await self._publisher.close()
            self._publisher = None


class StoreSink:
    """The database, in a thread: it may wait for a disk or a lock. Its row `position` is the truth."""

    name = "store"

    def __init__(self, url: str) -> None:
        self._store = Store(url)

    async def open(self, noted: int) -> int:
        """Make the tables where they are missing."""
        try:
            return await asyncio.to_thread(self._store.open)
        except StoreError as error:
            raise SinkError(str(error)) from None

    async def deliver(self, batch: Batch) -> None:
        """One transaction."""
        try:
            await asyncio.to_thread(self._store.write, batch)
        except StoreError as error:
            raise SinkError(str(error)) from None

    def settled(self, at: int) -> int:
        """All of it."""
        return at

    async def close(self) -> None:
        """Give the connections back."""
        self._store.close()


class LogSink:
    """Log lines of the records that deserve one. Begins at the end of the log where it has no note."""

    name = "log"

    def __init__(self, log: Log, directory: Path) -> None:
        self._log = log
        self._directory = directory
        self.stopped = False  # the last record said that the daemon ended in order
        self.heard = time.monotonic()
        self._newest = 0  # stamp of the last record, ns

    def well(self) -> bool:
        """Whether a daemon lives: its records are of now, and the last one did not end it."""
        return not self.stopped and abs(time.time_ns() - self._newest) < FRESH_NS

    async def open(self, noted: int) -> int:
        """Where we were, or the beginning of the newest segment."""
        segments = list_segments(self._directory)
        return noted or (first_seq_of(segments[-1]) - 1 if len(segments) > 1 else 0)

    async def deliver(self, batch: Batch) -> None:
        """Queue the lines; a thread writes them."""
        self.heard = time.monotonic()
        self._newest = batch[-1][1].ts
        self.stopped = isinstance(batch[-1][1], RunStopped)
        for sequence, record in batch:
            line = notable(sequence, record)
            if line is not None:
                level, event, fields = line
                self._log.put(level, event, **fields)

    def settled(self, at: int) -> int:
        """All of it."""
        return at

    async def close(self) -> None:
        """Nothing to let go of."""
