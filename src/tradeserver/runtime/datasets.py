"""Data sets: tapes of decoded events, as one ordered stream.

A damaged block costs its events and the trust in every book that the tape feeds: after it a `BookInvalid` for each, so
that nothing is decided on a book with a hole; the next snapshot heals it. Stamps never fall: an event whose stamp is
older than the one before it is left out and counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.core.events import AnyEvent, BookInvalid, Event, Trust
from tradeserver.runtime.journal import INPUT, JournalError
from tradeserver.runtime.tape import EVENTS, LOST, TapeHeader, TapeSettings, TapeWriter, count_entries, read_tape

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final[Callable[[bytes], Any]] = msgspec.msgpack.Decoder(AnyEvent).decode


class DataSetWriter:
    """Puts events onto a new tape, in order. Raises OSError as `TapeWriter` does."""

    def __init__(self, directory: Path, header: TapeHeader, settings: TapeSettings | None = None) -> None:
        self._tape = TapeWriter(directory, header, settings)
        self._tape.source(0, EVENTS)
        self.events = 0

    def put(self, event: Event) -> None:
        """One event."""
        self.events += 1
        self._tape.input(event.ts, 0, _encode(event))

    def close(self) -> int:
        """Write what is left; the bytes on disk. Raises OSError where it could not be written."""
        self._tape.close()
        if self._tape.failed:
            raise OSError(self._tape.failed)
        return self._tape.bytes


class DataSet:
    """One tape of events. `troubles` are sentences, as they are met. Raises JournalError for what is none."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.troubles: list[str] = []
        self.header, self._entries = read_tape(directory, self.troubles.append)
        if not self.header.venues:
            raise JournalError(f"{directory} is a recording, not a data set: import it first")
        self.count = count_entries(directory)

    def events(self) -> Iterator[Event]:
        """Every event. May be called once."""
        last = 0
        fallen = 0
        decode = _decode
        for kind, _, ts, data in self._entries:
            if kind == INPUT:
                if ts < last:
                    fallen += 1
                    continue
                last = ts
                try:
                    yield decode(data)
                except msgspec.MsgspecError as error:
                    self.troubles.append(f"{self.directory} holds an event of another version: {error}")
                    return
            elif kind == LOST and last:
                yield from self._distrust(last)
        if fallen:
            self.troubles.append(f"{self.directory}: {fallen} events older than the one before them were left out")

    def _distrust(self, ts: int) -> Iterable[Event]:
        for venue in self.header.venues:
            for symbol in self.header.symbols:
                yield BookInvalid(
                    ts=ts, venue=venue, symbol=symbol, trust=Trust.GAP, reason="a part of the data is lost"
                )


def merged(sets: Sequence[DataSet]) -> Iterator[Event]:
    """The events of all of them by stamp; of equal stamps in the order of the sets."""
    if len(sets) == 1:
        return sets[0].events()
    return heapq.merge(*(each.events() for each in sets), key=lambda event: event.ts)


def header_of(origin: str, venues: Iterable[str], symbols: Iterable[str], started: int, **more: Any) -> TapeHeader:
    """The header of a data set."""
    return TapeHeader(
        run="",
        config="",
        commit="",
        checkpoint=None,
        started=started,
        origin=origin,
        venues=tuple(venues),
        symbols=tuple(symbols),
        **more,
    )
