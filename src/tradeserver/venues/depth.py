"""The snapshot-and-delta dance of one book: the one small machine for every venue that sends diffs with ranges of ids.

It owns the buffer, the id chain and the decision when to ask for a snapshot. It holds no book, sends nothing and reads
no clock: deltas and snapshots go in, events come out, and `due(ts)` says when the codec shall request a snapshot.

How a venue's ids chain is a `DepthRule`:

- Binance (spot API docs, web-socket-streams.md "How to manage a local order book correctly", 2026-07-21): a snapshot
  with `lastUpdateId` < the first buffered `U` is too old (`slack=0`); events with `u` <= the book's id are ignored, so
  a late or repeated event does no harm (`late_breaks=False`); levels carry no ids of their own (`levels=None`).
- KuCoin (docs, "Orderbook - Level 2", 2025-11): the snapshot's `sequence` must be >= the first cached `sequenceStart`
  - 1 (`slack=1`); a message must move `sequenceEnd` on, otherwise synchronise again (`late_breaks=True`); rows are
  (price, size, sequence): price 0 changes nothing, rows with sequence <= the snapshot's are skipped (`levels` drops
  both kinds and strips the third value). Messages that the snapshot already covers are discarded, as in Binance.

In both: a first id > the book's id + 1 is a gap. A snapshot is requested only after a delta was heard, since only that
proves that the subscription works.

| state     | delta                                   | snapshot                     | gap, resync | stop |
|-----------|-----------------------------------------|------------------------------|-------------|------|
| IDLE      | ignored                                 | ignored                      | -           | -    |
| BUFFERING | buffered; clears the buffer if no chain | too old: ask again; SYNCED   | BUFFERING   | IDLE |
| SYNCED    | BookDelta, ignored, or gap              | ignored                      | BUFFERING   | IDLE |
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from tradeserver.core.events import BookDelta, BookInvalid, BookSnapshot, SymbolEvent, Trust
from tradeserver.core.types import Level

MAX_BUFFERED: Final = 2_000
"""Deltas kept while waiting for a snapshot (200 s at 10 a second). Beyond it the oldest go, and a newer snapshot is
needed, which the chain check demands by itself."""

BACK_OFF_NS: Final = tuple(ms * 1_000_000 for ms in (0, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000))
"""Pause before the n-th snapshot request in a row; the last one repeats, so the rate is bounded and hope is not."""

SETTLED_NS: Final = 10_000_000_000
"""A book that held this long counts as recovered: its next gap starts the back-off anew."""

_NOTHING: Final[tuple[SymbolEvent, ...]] = ()


class DepthRule(msgspec.Struct, frozen=True):
    """How one venue's ids chain; see the module's text."""

    slack: int
    late_breaks: bool
    levels: Callable[[Sequence[Any], int], list[Level]] | None = None
    """(rows as received, id of the snapshot) -> levels; None where rows are (price, quantity) already."""


class State(enum.Enum):
    """Where the dance stands."""

    IDLE = "idle"
    BUFFERING = "buffering"
    SYNCED = "synced"


SYNCED: Final = State.SYNCED
"""Asked for with every message: an Enum's member is found ten times as slowly by its class."""


class Delta(msgspec.Struct, frozen=True, gc=False):
    """One buffered message."""

    first: int
    last: int
    bids: Sequence[Any]
    asks: Sequence[Any]
    venue_ts: int


class DepthSync:
    """The dance of one symbol at one venue."""

    __slots__ = (
        "_buffer",
        "_heard",
        "_pending",
        "_retry_at",
        "_rule",
        "_snapshot_id",
        "_synced_ts",
        "_tries",
        "gaps",
        "ignored",
        "state",
        "symbol",
        "update_id",
        "venue",
    )

    def __init__(self, venue: str, symbol: str, rule: DepthRule, max_buffered: int = MAX_BUFFERED) -> None:
        self.venue = venue
        self.symbol = symbol
        self.state = State.IDLE
        self.update_id = 0
        self.gaps = 0  # how often the chain broke
        self.ignored = 0  # deltas that a snapshot or a later delta already covered
        self._rule = rule
        self._buffer: deque[Delta] = deque(maxlen=max_buffered)
        self._snapshot_id = 0
        self._heard = False
        self._pending = False
        self._retry_at = 0
        self._tries = 0
        self._synced_ts = 0

    # ---- life ----

    def start(self, ts: int) -> Sequence[SymbolEvent]:
        """The channel is open and the subscription on its way."""
        self._heard = False
        self._restart(ts, 0)
        return (self._invalid(ts, Trust.SNAPSHOTTING, "subscribed"),)

    def stop(self, ts: int, reason: str) -> Sequence[SymbolEvent]:
        """The channel is gone: nothing is known any more."""
        if self.state is State.IDLE:
            return _NOTHING
        self.state = State.IDLE
        self._buffer.clear()
        self._pending = False
        return (self._invalid(ts, Trust.SNAPSHOTTING, reason),)

    def resync(self, ts: int, reason: str) -> Sequence[SymbolEvent]:
        """Somebody does not believe the book: begin again on the living stream."""
        if self.state is State.IDLE:
            return _NOTHING
        self._restart(ts, 0)
        return (self._invalid(ts, Trust.SNAPSHOTTING, reason),)

    # ---- the snapshot request ----

    def due(self, ts: int) -> bool:
        """Whether to request a snapshot now."""
        return self.state is State.BUFFERING and self._heard and not self._pending and ts >= self._retry_at

    def requested(self) -> None:
        """A request is on its way; `snapshot` or `failed` will follow."""
        self._pending = True

    def failed(self, ts: int) -> None:
        """The request brought no snapshot, or one that was too old: pause, then ask again."""
        if self.state is not State.BUFFERING:
            return
        self._pending = False
        self._tries = min(self._tries + 1, len(BACK_OFF_NS) - 1)
        self._retry_at = ts + BACK_OFF_NS[self._tries]

    def snapshot(
        self, update_id: int, bids: list[Level], asks: list[Level], ts: int, venue_ts: int = 0
    ) -> Sequence[SymbolEvent]:
        """The request's answer: BookSnapshot and what the buffer adds to it, or nothing and another request later."""
        if self.state is not State.BUFFERING:
            return _NOTHING
        buffer = self._buffer
        if buffer and update_id < buffer[0].first - self._rule.slack:
            self.failed(ts)
            return _NOTHING
        self._pending = False
        self.state = State.SYNCED
        self._synced_ts = ts
        self.update_id = self._snapshot_id = update_id
        events: list[SymbolEvent] = [
            BookSnapshot(
                ts=ts,
                venue=self.venue,
                symbol=self.symbol,
                venue_ts=venue_ts,
                update_id=update_id,
                bids=bids,
                asks=asks,
            )
        ]
        kept = list(buffer)
        buffer.clear()
        for delta in kept:
            if delta.last <= update_id:
                self.ignored += 1
            else:
                events += self.delta(delta.first, delta.last, delta.bids, delta.asks, delta.venue_ts, ts)
        return events

    # ---- the stream ----

    def delta(
        self, first: int, last: int, bids: Sequence[Any], asks: Sequence[Any], venue_ts: int, ts: int
    ) -> Sequence[SymbolEvent]:
        """One message with the ids `first`..`last`."""
        if self.state is not SYNCED:
            if self.state is State.BUFFERING:
                self._keep(Delta(first, last, bids, asks, venue_ts))
            return _NOTHING
        update_id = self.update_id
        if last <= update_id and (last <= self._snapshot_id or not self._rule.late_breaks):
            self.ignored += 1
            return _NOTHING
        if first > update_id + 1 or last <= update_id:
            return self._gap(Delta(first, last, bids, asks, venue_ts), ts)
        self.update_id = last
        levels = self._rule.levels
        if levels is not None:
            covered = self._snapshot_id if first <= self._snapshot_id else 0  # 0: no row of it, none is to be looked at
            bids, asks = levels(bids, covered), levels(asks, covered)
        return (
            BookDelta(
                ts=ts,
                venue=self.venue,
                symbol=self.symbol,
                venue_ts=venue_ts,
                update_id=last,
                bids=bids,  # type: ignore[arg-type]  # lists of levels by now
                asks=asks,  # type: ignore[arg-type]
            ),
        )

    def _keep(self, delta: Delta) -> None:
        """Buffer a delta; one that does not chain with those before it makes them useless."""
        buffer = self._buffer
        if buffer:
            if delta.last <= buffer[-1].last:  # repeated or late: nothing new
                self.ignored += 1
                return
            if delta.first > buffer[-1].last + 1:
                buffer.clear()
        buffer.append(delta)
        self._heard = True

    def _gap(self, delta: Delta, ts: int) -> Sequence[SymbolEvent]:
        reason = f"ids {delta.first}..{delta.last} after {self.update_id}"
        self.gaps += 1
        tries = 0 if ts - self._synced_ts > SETTLED_NS else min(self._tries + 1, len(BACK_OFF_NS) - 1)
        self._restart(ts, tries)
        self._keep(delta)
        return (self._invalid(ts, Trust.GAP, reason),)

    def _restart(self, ts: int, tries: int) -> None:
        self.state = State.BUFFERING
        self._buffer.clear()
        self._pending = False
        self._tries = tries
        self._retry_at = ts + BACK_OFF_NS[tries]

    def _invalid(self, ts: int, trust: Trust, reason: str) -> BookInvalid:
        return BookInvalid(ts=ts, venue=self.venue, symbol=self.symbol, trust=trust, reason=reason)
