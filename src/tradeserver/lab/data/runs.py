"""A run as data: its journal (or a recording) replayed once, and every market event of it put onto a tape.

The replay is the proving one (`runtime/replay.py`): the same codecs, the same inputs in the same order, every digest
compared. So the events are those that the run's engine saw, to the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tradeserver.core.commands import Command
from tradeserver.core.engine import Engine
from tradeserver.core.events import (
    BestQuote,
    BookDelta,
    BookInvalid,
    BookSnapshot,
    ClockOffset,
    Event,
    InstrumentsLoaded,
    LinkCurrent,
    LinkDown,
    LinkUp,
    SymbolStatus,
    Tick,
    Trade,
)
from tradeserver.core.records import Checkpoint, Record
from tradeserver.runtime.datasets import DataSetWriter, header_of
from tradeserver.runtime.journal import JournalError, JournalHeader
from tradeserver.runtime.tape import is_tape, read_tape
from tradeserver.runtime.ticks import STALL_NS

MARKET: Final = frozenset(
    (BookSnapshot, BookDelta, BookInvalid, BestQuote, Trade, InstrumentsLoaded, SymbolStatus, ClockOffset)
)
"""Kinds of events that say something about a market, whoever trades on it. So do links of the channel "market"."""


def _of_market(event: Event) -> bool:
    """A link of market data, or a stall of the run's own loop, after which no link is current for a while."""
    if isinstance(event, Tick):
        return event.late_ns > STALL_NS
    return isinstance(event, LinkUp | LinkDown | LinkCurrent) and event.channel == "market"


class Eavesdropper:
    """Stands between the reactor and its engine and notes the market's events."""

    def __init__(self, engine: Engine, writer: DataSetWriter) -> None:
        self._engine = engine
        self._writer = writer

    def step(self, event: Event) -> tuple[list[Record], list[Command]]:
        """See `reactor.Engine.step`."""
        kind = type(event)
        if kind in MARKET or _of_market(event):
            self._writer.put(event)
        return self._engine.step(event)

    def apply(self, record: Record) -> None:
        """See `reactor.Engine.apply`."""
        self._engine.apply(record)

    def checkpoint(self, ts: int) -> Checkpoint:
        """See `reactor.Engine.checkpoint`."""
        return self._engine.checkpoint(ts)

    def digest_state(self) -> bytes:
        """See `reactor.Engine.digest_state`."""
        return self._engine.digest_state()

    def next_deadline(self) -> int:
        """See `reactor.Engine.next_deadline`."""
        return self._engine.next_deadline()


def is_data_set(folder: Path) -> bool:
    """A tape of events, not a recording."""
    return is_tape(folder) and bool(read_tape(folder)[0].venues)


def prepared(folder: Path, scratch: Path) -> Path:
    """`folder` where it is a data set; else the run in it as one, made below `scratch`. Raises JournalError."""
    if is_data_set(folder):
        return folder
    target = scratch / folder.name
    if not is_data_set(target):
        decode_run(folder, target)
    return target


def decode_run(folder: Path, target: Path, environ: Mapping[str, str] | None = None) -> int:
    """Replay the run in `folder` into a data set; the number of events. Raises JournalError.

    A live run's codecs need their secrets again, from `environ` (default: this process's).
    """
    import os

    from tradeserver.app import wiring
    from tradeserver.config import parse
    from tradeserver.runtime.tape import read_run

    header: JournalHeader = read_run(folder)[0]
    config = parse(header.config, f"the configuration inside {folder}")
    writer = DataSetWriter(
        target, header_of(f"run {header.run} in {folder}", config.enabled, config.symbols, header.started)
    )
    result = wiring.replay_run(folder, os.environ if environ is None else environ, lambda e: Eavesdropper(e, writer))
    writer.close()
    if result.mismatch is not None:
        raise JournalError(
            f"{folder} does not replay with this version: the digest differs after {result.mismatch.inputs} inputs. "
            "Decode it with the commit that recorded it."
        )
    return writer.events
